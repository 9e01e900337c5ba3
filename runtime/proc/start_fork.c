/*
 * Start by fork. Neither goes on before the other is ready: the parent waits until the child has
 * tied itself to the lifeline, so that no moment exists in which the child could outlive it or hold
 * a sibling's line; the child waits for the parent's word, so that it cannot end, and its pid
 * become another process's, before the parent has a descriptor for it.
 */
#include "proc/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "mem/readers.h"
#include "mem/self.h"
#include "os/futex.h"

/* After so long the child looks by itself: the kernel may have had no memory to wake it. */
#define TICK_NS (100 * SHL_NS_PER_MS)

static void set_state(struct process_shm *process, uint32_t state)
{
    /* [process.state] release -> wait_while(), and everybody who asks for the pid. */
    atom_store_release(&process->state, state);
    shl_futex_wake(&process->state, 1);
}

/* Sleeps until the state is another one, or until `deadline_ns`: true if it is. */
static bool wait_while(struct process_shm *process, uint32_t state, uint64_t deadline_ns)
{
    struct shl_futex_watch watch = { &process->state, state };
    /* [process.state] acquire <- set_state(). */
    while (atom_load_acquire(&process->state) == state)
        if (shl_futex_wait(&watch, 1, deadline_ns) == -ETIMEDOUT)
            return false;
    return true;
}

/* What was copied of the parent's table is closed: these are the parent's children. */
static void close_parents(struct shl_children *children)
{
    for (size_t i = 0; i < children->count; i++)
        if (children->list[i].pidfd >= 0)
            close(children->list[i].pidfd);
    shl_heap_free(children->list);
}

static _Noreturn void run_child(struct shl_children *children, const struct shl_child *copied,
                                const struct shl_segment *segment, struct process_shm *process)
{
    struct shl_child child = *copied;
    bool tied = shl_lifeline_tie(&children->lifeline) == 0;
    atom_store_relaxed(&process->start_time, shl_process_start_time());
    set_state(process, tied ? PROCESS_TIED : PROCESS_UNTIED);
    while (!tied) { /* the creator is about to kill us; or it is dead, and nobody else would */
        wait_while(process, PROCESS_UNTIED, shl_clock_ns() + TICK_NS);
        if (getppid() != (pid_t)process->creator_pid)
            _exit(EXIT_FAILURE);
    }
    while (!wait_while(process, PROCESS_TIED, shl_clock_ns() + TICK_NS)) {}
    close_parents(children);
    shl_child_null_stdin();
    prctl(PR_SET_NAME, process->name);
    atom_store_relaxed(&shl_shared()->process_ref, child.ref);
    memcpy(shl_shared()->process_name, process->name, sizeof process->name);
    child.target(child.argument ? shl_at(segment, child.argument) : NULL);
    shl_process_leave();
    fflush(stdout);
    fflush(stderr);
    _exit(EXIT_SUCCESS);
}

/* Is it tied? Looks now and then whether somebody else has killed it meanwhile. */
static int wait_for_tie(struct process_shm *process, int pidfd)
{
    while (!wait_while(process, PROCESS_STARTING, shl_clock_ns() + 10 * SHL_NS_PER_MS))
        if (shl_child_wait(pidfd, 0) == 0)
            return shl_error(-EIO, "the new process was killed before it began");
    REQUIRE(atom_load_relaxed(&process->state) == PROCESS_TIED, -EIO,
            "the new process could not be tied to its creator: /proc is not readable");
    return 0;
}

static int adopt(struct shl_child *child, struct process_shm *process, pid_t pid)
{
    int pidfd = shl_child_pidfd(pid);
    int code = pidfd < 0 ? pidfd : wait_for_tie(process, pidfd);
    if (code < 0) {
        shl_child_discard(pid, pidfd);
        return code;
    }
    child->pidfd = pidfd;
    atom_store_relaxed(&process->pid, (uint32_t)pid);
    set_state(process, PROCESS_RUNNING);
    return 0;
}

int shl_start_fork(struct shl_children *children, struct shl_child *child,
                   const struct shl_segment *segment, struct process_shm *process)
{
    int code = shl_children_open_lifeline(children);
    if (code < 0)
        return code;
    bool readers = shl_readers_before_fork();
    pid_t pid = shl_child_fork();
    shl_readers_after_fork(readers, pid == 0);
    if (pid == 0)
        run_child(children, child, segment, process);
    return pid < 0 ? (int)pid : adopt(child, process, pid);
}
