/*
 * How a process ends: by exit(3), whose hooks run last come first. So the one that a child
 * registers when it begins runs after all that are the child's own, and before those that came with
 * a fork, which are its parent's: there it ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mem/self.h"
#include "os/chaos.h"
#include "os/child.h"
#include "proc/log.h"
#include "proc/start.h"

static bool hooked, leaves_at_exit;

/* Inherited by children: one that calls exit() joins its own children. */
static void leave(void)
{
    SHOAL_LOG(SHOAL_LOG_INFO, "process shutting down");
    SHOAL_LOG(SHOAL_LOG_DEBUG, "running all \"atexit\" finalizers with priority >= 0");
    SHL_CHAOS("exit.begins");
    shoal_shutdown(SHOAL_FOREVER);
    SHOAL_LOG(SHOAL_LOG_DEBUG, "running the remaining \"atexit\" finalizers");
    SHL_CHAOS("exit.childless");
    shl_self_leave();
    SHL_CHAOS("exit.left");
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

/* A child that runs, a daemon or not, and has not been told this signal, if one is named; it is
 * taken as told then. None: there is no more. */
static shoal_process next_running(bool daemon, int signal_number)
{
    shoal_process found = { 0 };
    struct shl_children *children = shl_children_lock();
    for (size_t i = 0; children && i < children->count && SHOAL_IS_NONE(found); i++) {
        struct shl_child *child = &children->list[i];
        struct shl_segment *segment;
        struct process_shm *process = shl_process_find((shoal_process){ child->ref }, &segment);
        if (!process || child->pidfd < 0 || shl_child_look(child, process) ||
            process->flags & PROCESS_OUTLIVES ||
            daemon != ((process->flags & PROCESS_DAEMON) != 0) ||
            (signal_number && child->told == signal_number))
            continue;
        if (signal_number)
            child->told = signal_number;
        found.ref = child->ref;
    }
    if (children)
        shl_children_unlock();
    return found;
}

static void tell_daemons(int signal_number)
{
    for (;;) {
        shoal_process daemon = next_running(true, signal_number);
        if (SHOAL_IS_NONE(daemon))
            return;
        SHOAL_LOG(SHOAL_LOG_INFO, "calling %s() for daemon %s",
                  signal_number == SIGTERM ? "terminate" : "kill", shoal_process_name(daemon));
        shoal_process_signal(daemon, signal_number);
    }
}

static int join_running(bool daemons, shoal_deadline deadline)
{
    for (;;) {
        shoal_process running = next_running(daemons, 0);
        if (SHOAL_IS_NONE(running))
            return 0;
        SHOAL_LOG(SHOAL_LOG_INFO, "calling join() for process %s", shoal_process_name(running));
        int code = shoal_process_join(running, deadline);
        if (code < 0 && code != -ESTALE) /* another thread joined and closed it */
            return code;
    }
}

/* They have been told: who is still there after that time, or at the deadline, is killed. */
enum { DAEMON_GRACE_MS = 1000 };

static int end_daemons(shoal_deadline grace, shoal_deadline deadline)
{
    if (join_running(true, grace.ns < deadline.ns ? grace : deadline) == 0)
        return 0;
    tell_daemons(SIGKILL);
    return join_running(true, deadline);
}

static void clean_up(void)
{
    struct shl_children *children = shl_children_lock();
    if (!children)
        return;
    shl_children_drop_auto_closed(children);
    shl_children_unlock();
    if (!shl_starts_try_lock())
        return; /* another thread starts somebody, and perhaps by the server */
    shl_server_stop(&children->server);
    shl_starts_unlock();
}

/* A process that has started nobody is spared looking at clocks and locks: each first touch of a
 * page costs a child as much as a system call. */
static bool has_had_children(void)
{
    struct shl_children *children = shl_children_lock();
    bool used = children && children->used;
    if (children)
        shl_children_unlock();
    return used;
}

static int end_children(shoal_deadline deadline)
{
    if (!has_had_children())
        return 0;
    shoal_deadline grace = shoal_after_ms(DAEMON_GRACE_MS);
    tell_daemons(SIGTERM);
    int code = join_running(false, deadline);
    int of_daemons = end_daemons(grace, deadline);
    clean_up();
    return code < 0 ? code : of_daemons;
}

int shoal_shutdown(shoal_deadline deadline)
{
    int code = shl_join_check(deadline);
    if (code < 0)
        return code;
    shl_finalizers_run(0);
    code = end_children(deadline);
    shl_finalizers_run(SHOAL_FINALIZE_NEVER + 1);
    return code;
}
