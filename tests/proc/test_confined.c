/*
 * Living under a seccomp filter that lets through what docs/embedding.md lists, and nothing else:
 * confined_helper.c, a program of its own, is executed under it and uses every part of the library.
 */
#include "proc/children.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

TestSuite(confined, .timeout = 90);

static const struct call {
    const char *name;
    unsigned number;
    bool is_optional;
} calls[] = {
#define CALL(name, is_optional) { #name, SYS_##name, is_optional },
#include "confined_calls.h"
#undef CALL
};

/* --- the filter ------------------------------------------------------------------------------ */

enum { REFUSED_NONE = -1, REFUSED_OPTIONAL = -2, SKIPPED = 77 };

struct filter {
    int refused; /* an index of calls, or one of the above */
    unsigned answer, others;
    bool without_server;
};

static unsigned errno_of_filter(unsigned number)
{
    return SECCOMP_RET_ERRNO | number;
}

static unsigned action_for(const struct filter *filter, size_t index)
{
    const bool refuses = filter->refused == REFUSED_OPTIONAL ? calls[index].is_optional
                                                             : filter->refused == (int)index;
    return refuses ? filter->answer : SECCOMP_RET_ALLOW;
}

static bool is_installed(const struct filter *filter)
{
    struct sock_filter code[2 * COUNT_OF(calls) + 2];
    unsigned short length = 0;
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                  offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0,
                                                      1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action_for(filter, i));
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, filter->others);
    const struct sock_fprog program = { length, code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static int is_confined(void *filter)
{
    const char *program = harness_program("confined_helper");
    if (!is_installed(filter))
        return SKIPPED;
    execl(program, program, ((struct filter *)filter)->without_server ? "2" : "3", (char *)NULL);
    return 98;
}

static int status_under(struct filter filter)
{
#ifndef __x86_64__
    cr_skip_test("the list is that of x86-64");
#endif
    if (HARNESS_SANITIZED)
        cr_skip_test("a sanitizer makes calls of its own");
    const int status = harness_wait(harness_child(is_confined, &filter));
    if (status == SKIPPED)
        cr_skip_test("no filter of system calls is to be had here");
    return status;
}

/* --- the list ------------------------------------------------------------------------------- */

Test(confined, what_is_not_listed_is_never_called, .timeout = 90)
{
    cr_assert_eq(status_under((struct filter){ REFUSED_NONE, 0, SECCOMP_RET_KILL_PROCESS, false }),
                 0);
}

Test(confined, what_is_not_listed_may_be_refused, .timeout = 90)
{
    cr_assert_eq(status_under((struct filter){ REFUSED_NONE, 0, errno_of_filter(EPERM), false }),
                 0);
}

Test(confined, each_optional_call_may_be_refused, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        if (calls[i].is_optional)
            cr_expect_eq(status_under((struct filter){ (int)i, errno_of_filter(EPERM),
                                                       SECCOMP_RET_KILL_PROCESS, false }),
                         0, "%s", calls[i].name);
}

Test(confined, all_optional_calls_may_be_missing, .timeout = 90)
{
    cr_assert_eq(status_under((struct filter){ REFUSED_OPTIONAL, errno_of_filter(ENOSYS),
                                               SECCOMP_RET_KILL_PROCESS, false }),
                 0);
}

static int index_of(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        if (strcmp(calls[i].name, name) == 0)
            return (int)i;
    cr_assert(false, "%s is not listed", name);
    return REFUSED_NONE;
}

static int status_without(const char *name, bool without_server)
{
    return status_under((struct filter){ index_of(name), errno_of_filter(EPERM),
                                         SECCOMP_RET_KILL_PROCESS, without_server });
}

Test(confined, fork_server_alone_needs_the_robust_list, .timeout = 90)
{
    cr_assert_eq(status_without("get_robust_list", true), 0);
    cr_assert_neq(status_without("get_robust_list", false), 0);
}

/* Else the tests above have shown nothing. */
Test(confined, needed_call_is_missed, .timeout = 90)
{
    cr_assert_neq(status_without("memfd_create", false), 0);
}
