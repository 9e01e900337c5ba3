/* The library as a whole: how a program begins with it, and ends. */
#include <stdlib.h>

#include "base/clock.h"
#include "mem/self.h"
#include "os/chaos.h"
#include "proc/process.h"

#define TEXT_(number) #number
#define TEXT(number) TEXT_(number)

/* Inherited by children: one that calls exit() joins its own children. */
void shl_process_leave(void)
{
    shoal_shutdown(SHOAL_FOREVER);
    shl_self_leave();
}

static bool hooked, leaves_at_exit;

static void at_exit(void)
{
    if (leaves_at_exit)
        shl_process_leave();
}

/* Before the family is made, which cannot be unmade: a hook that is left alone does nothing. */
static int register_hook(void)
{
    hooked = hooked || atexit(at_exit) == 0;
    REQUIRE(hooked, -ENOMEM, "no memory for the exit hook");
    return 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): other start methods will change it */
int shoal_init(int *argc, char ***argv, const shoal_init_options *options)
{
    (void)argc; /* other start methods pass arguments of their own */
    (void)argv;
    shoal_init_options chosen = options ? *options : (shoal_init_options){ 0 };
    REQUIRE_RESERVED(&chosen);
    REQUIRE((unsigned)chosen.start_method <= SHOAL_START_FORKSERVER, -EINVAL,
            "no such start method");
    REQUIRE(chosen.start_method <= SHOAL_START_FORK, -ENOTSUP,
            "only the fork method exists so far");
    int code = shl_chaos_check();
    /* cppcheck-suppress knownConditionTrueFalse ; not in the builds with kill points */
    if (code == 0 && !chosen.no_exit_hook)
        code = register_hook();
    if (code == 0)
        code = shl_segment_family_create(chosen.size_max);
    if (code == 0)
        leaves_at_exit = !chosen.no_exit_hook;
    return code;
}

/* A started child that has not been joined; or none, and the auto-closed ones are closed. */
static shoal_process next_running(void)
{
    shoal_process found = { 0 };
    struct shl_children *children = shl_children_lock();
    for (size_t i = 0; children && i < children->count; i++) {
        struct shl_segment *segment;
        shoal_process handle = { children->list[i].ref };
        struct process_shm *process = shl_process_find(handle, &segment);
        if (process && children->list[i].pidfd >= 0 &&
            atom_load_relaxed(&process->state) == PROCESS_RUNNING)
            found = handle;
    }
    if (children && SHOAL_IS_NONE(found))
        shl_children_drop_auto_closed(children);
    if (children)
        shl_children_unlock();
    return found;
}

int shoal_shutdown(shoal_deadline deadline)
{
    int code = shl_join_check(deadline);
    for (;;) {
        shoal_process running = code == 0 ? next_running() : (shoal_process){ 0 };
        if (SHOAL_IS_NONE(running))
            return code;
        code = shoal_process_join(running, deadline);
        if (code == -ESTALE)
            code = 0; /* another thread joined and closed it */
    }
}

unsigned shoal_cpu_count(void)
{
    return shl_cpu_count();
}

const char *shoal_version(void)
{
    return TEXT(SHOAL_VERSION_MAJOR) "." TEXT(SHOAL_VERSION_MINOR) "." TEXT(SHOAL_VERSION_PATCH);
}
