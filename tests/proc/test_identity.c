/* Who is who: spec 1.3, 2.4, 2.5. Each test is run for each start method. */
#include "proc/children.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(identity, .timeout = 90);

static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                   SHOAL_START_FORKSERVER };

static shoal_process start_named(enum shoal_start_method method, const char *name,
                                 void (*target)(void *argument), const void *argument, size_t size)
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target,
                                            .name = name,
                                            .argument = argument,
                                            .argument_size = size,
                                            .start_method = method };
    assert_code(shoal_process_start_new(&options, &process), 0);
    return process;
}

/* Runs a test by each method. */
static void by_each_method(void (*body)(enum shoal_start_method method))
{
    assert_code(harness_init(NULL), 0);
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        body(methods[i]);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* --- names ---------------------------------------------------------------------------------- */

struct nest {
    char names[3][64];
};

static void names_itself(void *argument)
{
    char *name = *(char **)argument;
    snprintf(name, 64, "%s", shoal_process_name(shoal_current_process()));
}

static void names_itself_and_two_children(void *argument)
{
    struct nest *nest = *(struct nest **)argument;
    for (int i = 1; i < 3; i++) {
        const char *name = nest->names[i];
        const shoal_process_options options = { .target = names_itself, SHOAL_COPY_OF(name) };
        shoal_process process = { 0 };
        CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
        CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    }
    const char *name = nest->names[0];
    names_itself(&name);
}

/* The count goes on from method to method. */
static void nests(enum shoal_start_method method)
{
    static int count;
    char expected[64];
    struct nest *nest = shoal_calloc(1, sizeof *nest);
    child_ends(start_named(method, NULL, names_itself_and_two_children, &nest, sizeof nest), 0);
    count++;
    snprintf(expected, sizeof expected, "Process-%d", count);
    cr_assert_str_eq(nest->names[0], expected);
    for (int i = 1; i < 3; i++) {
        snprintf(expected, sizeof expected, "Process-%d:%d", count, i);
        cr_assert_str_eq(nest->names[i], expected);
    }
    shoal_free(nest);
}

Test(identity, nested_children_are_numbered_by_their_ancestors_1_3_4, .timeout = 90)
{
    by_each_method(nests);
}

struct meeting {
    shoal_event go;
    char name[64];
};

static void names_itself_later(void *argument)
{
    struct meeting *meeting = argument;
    CHILD_CHECK(shoal_event_wait(meeting->go, harness_deadline()) == 0);
    const shoal_process me = shoal_current_process();
    snprintf(meeting->name, sizeof meeting->name, "%s", shoal_process_name(me));
    CHILD_CHECK(shoal_process_set_name(me, "its own") == 0);
    CHILD_CHECK(strcmp(shoal_process_name(me), "its own") == 0);
}

static void renames(enum shoal_start_method method)
{
    shoal_process process;
    struct meeting *meeting, here = { 0 };
    assert_code(shoal_event_create(NULL, &here.go), 0);
    const shoal_process_options options = { .target = names_itself_later,
                                            .start_method = method,
                                            SHOAL_COPY_OF(here) };
    assert_code(shoal_process_create(&options, &process), 0);
    assert_code(shoal_process_set_name(process, "before"), 0);
    assert_code(shoal_process_start(process), 0);
    assert_code(shoal_process_set_name(process, "after"), 0);
    cr_assert_str_eq(shoal_process_name(process), "after");
    assert_code(shoal_event_set(here.go), 0);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    cr_assert_str_eq(shoal_process_name(process), "after");
    meeting = shoal_process_argument(process);
    cr_assert_str_eq(meeting->name, "before");
    child_ends(process, 0);
    assert_code(shoal_event_destroy(here.go), 0);
}

Test(identity, name_is_set_before_and_after_the_start_1_3_2, .timeout = 90)
{
    by_each_method(renames);
}

Test(identity, bad_names_are_refused, .timeout = 90)
{
    char name[SHOAL_PROCESS_NAME_MAX + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    const shoal_process me = shoal_current_process();
    assert_code(shoal_process_set_name(me, name), -EMSGSIZE);
    assert_code(shoal_process_set_name(me, NULL), -EINVAL);
    name[SHOAL_PROCESS_NAME_MAX] = 0;
    assert_code(shoal_process_set_name(me, name), 0);
    cr_assert_str_eq(shoal_process_name(me), name);
    const shoal_process process = child_start(target_nothing, NULL, 0);
    child_ends(process, 0);
    assert_code(shoal_process_set_name(process, "gone"), -ESTALE);
}

static void is_seen_by_ps(enum shoal_start_method method)
{
    char path[64], name[64] = "";
    const shoal_process process = start_named(method, "a name of more than 15", target_pauses, NULL,
                                              0);
    snprintf(path, sizeof path, "/proc/%d/comm", (int)shoal_process_pid(process));
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    /* It is there when the target runs, perhaps not when start returns. */
    cr_assert(harness_until(pread(file, name, sizeof name - 1, 0) > 0 &&
                            strcmp(name, "a name of more \n") == 0),
              "%s", name);
    close(file);
    assert_code(shoal_process_kill(process), 0);
    child_ends(process, -SIGKILL);
}

Test(identity, name_is_seen_by_ps_1_3_8, .timeout = 90)
{
    by_each_method(is_seen_by_ps);
}

/* --- parents and children ------------------------------------------------------------------- */

static void knows_its_parent(void *argument)
{
    const shoal_process parent = shoal_parent_process();
    CHILD_CHECK(SHOAL_SAME(parent, *(shoal_process *)argument));
    CHILD_CHECK(shoal_process_pid(parent) == getppid());
    CHILD_CHECK(strcmp(shoal_process_name(parent), "MainProcess") == 0);
    CHILD_CHECK(shoal_process_is_alive(parent));
    CHILD_CHECK(shoal_process_join(parent, SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(shoal_process_join(parent, shoal_after_ms(20)) == -ETIMEDOUT);
    CHILD_CHECK(shoal_process_kill(parent) == -ECHILD);
}

static void has_a_parent(enum shoal_start_method method)
{
    const shoal_process me = shoal_current_process();
    cr_assert(SHOAL_IS_NONE(shoal_parent_process()));
    child_ends(start_named(method, NULL, knows_its_parent, &me, sizeof me), 0);
}

Test(identity, parent_is_known_and_can_be_waited_for_1_3_6_2_5, .timeout = 90)
{
    by_each_method(has_a_parent);
}

static void counts_its_children(enum shoal_start_method method)
{
    shoal_process list[4];
    cr_assert_eq(shoal_active_children(list, COUNT_OF(list)), 0);
    const shoal_process stays = start_named(method, NULL, target_pauses, NULL, 0);
    const shoal_process ends = start_named(method, NULL, target_nothing, NULL, 0);
    shoal_process unstarted;
    assert_code(
        shoal_process_create(&(shoal_process_options){ .target = target_nothing }, &unstarted), 0);
    cr_assert(harness_until(shoal_active_children(NULL, 0) == 1)); /* one was reaped by the call */
    cr_assert_eq(shoal_active_children(list, 1), 1);
    cr_assert(SHOAL_SAME(list[0], stays));
    assert_code(shoal_process_kill(stays), 0);
    child_ends(stays, -SIGKILL);
    cr_assert_eq(shoal_active_children(list, COUNT_OF(list)), 0);
    child_ends(ends, 0);
    assert_code(shoal_process_close(unstarted), 0);
}

/* 2.4 */
Test(identity, active_children_are_those_that_run_2_4, .timeout = 90)
{
    by_each_method(counts_its_children);
}

/* --- in words ------------------------------------------------------------------------------- */

static void assert_described(shoal_process process, const char *format, int pid)
{
    char text[256], expected[256];
    snprintf(expected, sizeof expected, format, pid, getpid());
    const size_t length = shoal_process_describe(process, text, sizeof text);
    cr_assert_str_eq(text, expected);
    cr_assert_eq(length, strlen(expected));
}

static void describes_its_parent_and_itself(void *argument)
{
    char text[256], expected[256];
    shoal_process_describe(shoal_current_process(), text, sizeof text);
    snprintf(expected, sizeof expected, "<Process name='it' pid=%d parent=%d started>", getpid(),
             getppid());
    CHILD_CHECK(strcmp(text, expected) == 0);
    shoal_process_describe(*(shoal_process *)argument, text, sizeof text);
    snprintf(expected, sizeof expected, "<Process name='other' parent=%d unknown>", getppid());
    CHILD_CHECK(strcmp(text, expected) == 0);
}

static void is_described(enum shoal_start_method method)
{
    shoal_process process;
    const shoal_process_options options = { .target = target_pauses,
                                            .name = "other",
                                            .start_method = method };
    assert_code(shoal_process_create(&options, &process), 0);
    assert_described(process, "<Process name='other'%.0d parent=%d initial>", 0);
    child_ends(start_named(method, "it", describes_its_parent_and_itself, &process, sizeof process),
               0);
    assert_code(shoal_process_start(process), 0);
    const pid_t pid = shoal_process_pid(process);
    assert_described(process, "<Process name='other' pid=%d parent=%d started>", pid);
    assert_code(shoal_process_terminate(process), 0);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    assert_described(process, "<Process name='other' pid=%d parent=%d stopped exitcode=-SIGTERM>",
                     pid);
    assert_code(shoal_process_close(process), 0);
    assert_described(process, "<Process closed>", pid);
}

Test(identity, process_is_described_in_words_1_3_7, .timeout = 90)
{
    by_each_method(is_described);
    assert_described(shoal_current_process(),
                     "<_MainProcess name='MainProcess' pid=%d parent=None started>", getpid());
    char few[9];
    cr_assert_gt(shoal_process_describe(shoal_current_process(), few, sizeof few), sizeof few);
    cr_assert_str_eq(few, "<_MainPr");
}
