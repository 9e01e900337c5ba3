/*
 * Start by fork. The child waits for its parent's word before it does anything: until then it
 * cannot end, so that its pid cannot become another process's before the parent has a descriptor
 * for it.
 */
#include "proc/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/self.h"
#include "os/futex.h"

/* The parent's death ends the wait too: the lifeline is tied before. */
static void wait_for_parent(struct process_shm *process)
{
    struct shl_futex_watch watch = { &process->state, PROCESS_STARTING };
    /* [process.state] acquire <- adopt(): pid and state. */
    while (atom_load_acquire(&process->state) == PROCESS_STARTING)
        shl_futex_wait(&watch, 1, UINT64_MAX);
}

/* What was copied of the parent's table is closed: these are the parent's children. */
static void close_parents(struct shl_children *children)
{
    for (size_t i = 0; i < children->count; i++)
        if (children->list[i].pidfd >= 0)
            close(children->list[i].pidfd);
    free(children->list);
}

static _Noreturn void run_child(struct shl_children *children, const struct shl_child *child,
                                const struct shl_segment *segment, struct process_shm *process)
{
    uint64_t ref = child->ref;
    void (*target)(void *) = child->target;
    if (shl_lifeline_tie(&children->lifeline) < 0)
        _exit(EXIT_FAILURE); /* without it the child could outlive its creator */
    wait_for_parent(process);
    close_parents(children);
    shl_child_null_stdin();
    prctl(PR_SET_NAME, process->name);
    atom_store_relaxed(&shl_shared()->process_ref, ref);
    target(process->argument ? shl_at(segment, process->argument) : NULL);
    shl_process_leave();
    fflush(stdout);
    fflush(stderr);
    _exit(EXIT_SUCCESS);
}

static int adopt(struct shl_child *child, struct process_shm *process, pid_t pid)
{
    int pidfd = shl_child_pidfd(pid);
    if (pidfd < 0) {
        kill(pid, SIGKILL); /* it waits for us, so the pid is still its own */
        waitpid(pid, NULL, 0);
        return pidfd;
    }
    child->pidfd = pidfd;
    atom_store_relaxed(&process->pid, (uint32_t)pid);
    /* [process.state] release -> wait_for_parent(), and everybody who asks for the pid. */
    atom_store_release(&process->state, PROCESS_RUNNING);
    shl_futex_wake(&process->state, 1);
    return 0;
}

int shl_start_fork(struct shl_children *children, struct shl_child *child,
                   const struct shl_segment *segment, struct process_shm *process)
{
    int code = children->lifeline.fd_write ? 0 : shl_lifeline_open(&children->lifeline);
    if (code < 0)
        return code;
    pid_t pid = shl_child_fork();
    if (pid == 0)
        run_child(children, child, segment, process);
    return pid < 0 ? (int)pid : adopt(child, process, pid);
}
