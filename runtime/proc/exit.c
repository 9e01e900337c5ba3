/*
 * How a process ends: by exit(3), whose hooks run last come first. So the one that a child
 * registers when it begins runs after all that are the child's own, and before those that came with
 * a fork, which are its parent's: there it ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/child.h"
#include "mem/self.h"
#include "proc/log.h"
#include "proc/start.h"

static bool hooked, leaves_at_exit;

/* Inherited by children: one that calls exit() joins its own children. */
static void leave(void)
{
    SHOAL_LOG(SHOAL_LOG_INFO, "process shutting down");
    SHOAL_LOG(SHOAL_LOG_DEBUG, "running all \"atexit\" finalizers with priority >= 0");
    shoal_shutdown(SHOAL_FOREVER);
    SHOAL_LOG(SHOAL_LOG_DEBUG, "running the remaining \"atexit\" finalizers");
    shl_self_leave();
}

static void at_exit(int status, void *unused)
{
    (void)status, (void)unused;
    if (leaves_at_exit)
        leave();
}

/* Before the family is made, which cannot be unmade: a hook that is left alone does nothing. */
int shl_exit_hook(void)
{
    hooked = hooked || on_exit(at_exit, NULL) == 0;
    REQUIRE(hooked, -ENOMEM, "no memory for the exit hook");
    return 0;
}

void shl_exit_hook_enable(bool enabled)
{
    leaves_at_exit = enabled;
}

static bool others_are_inherited;

static void at_exit_of_child(int status, void *unused)
{
    (void)unused;
    SHOAL_LOG(SHOAL_LOG_INFO, "process exiting with exitcode %d", status & 0xff);
    leave();
    leaves_at_exit = false;
    if (!others_are_inherited)
        return;
    shl_child_flush();
    _exit(status);
}

int shl_exit_hook_child(bool inherited)
{
    others_are_inherited = inherited;
    return on_exit(at_exit_of_child, NULL) == 0 ? 0 : -ENOMEM;
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
