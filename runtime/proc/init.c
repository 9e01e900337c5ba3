/* The library as a whole: how a program begins with it, and ends. */
#include <stdlib.h>

#include "base/clock.h"
#include "mem/self.h"
#include "os/chaos.h"
#include "proc/start.h"

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

/* Who gives main's arguments is in main, where a child that is exec'd comes by as well. */
static void choose_method(char ***argv, enum shoal_start_method asked)
{
    shl_start_argv = argv ? *argv : NULL;
    shl_start_method = asked ? asked : shl_start_argv ? SHOAL_START_FORKSERVER : SHOAL_START_FORK;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): main's, as elsewhere */
int shoal_init(int *argc, char ***argv, const shoal_init_options *options)
{
    (void)argc;
    shoal_init_options chosen = options ? *options : (shoal_init_options){ 0 };
    REQUIRE_RESERVED(&chosen);
    int code = shl_start_check(chosen.start_method, argv ? *argv : NULL);
    if (code == 0)
        code = shl_chaos_check();
    /* cppcheck-suppress knownConditionTrueFalse ; not in the builds with kill points */
    if (code == 0 && !chosen.no_exit_hook)
        code = register_hook();
    if (code < 0)
        return code;
    bool child = shl_enter_pending();
    if (!child)
        code = shl_segment_family_create(chosen.size_max);
    if (code < 0)
        return code;
    leaves_at_exit = !chosen.no_exit_hook;
    choose_method(argv, chosen.start_method);
    return child ? shl_enter() : 0;
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

static void stop_server(void)
{
    struct shl_children *children = shl_children_lock();
    if (!children)
        return;
    shl_server_stop(&children->server);
    shl_children_unlock();
}

int shoal_shutdown(shoal_deadline deadline)
{
    int code = shl_join_check(deadline);
    for (;;) {
        shoal_process running = code == 0 ? next_running() : (shoal_process){ 0 };
        if (SHOAL_IS_NONE(running))
            break;
        code = shoal_process_join(running, deadline);
        if (code == -ESTALE)
            code = 0; /* another thread joined and closed it */
    }
    stop_server();
    return code;
}

unsigned shoal_cpu_count(void)
{
    return shl_cpu_count();
}

const char *shoal_version(void)
{
    return TEXT(SHOAL_VERSION_MAJOR) "." TEXT(SHOAL_VERSION_MINOR) "." TEXT(SHOAL_VERSION_PATCH);
}
