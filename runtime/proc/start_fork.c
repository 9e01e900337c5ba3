/*
 * Start by fork. Neither goes on before the other is ready: the parent waits until the child has
 * tied itself to the lifeline, so that no moment exists in which the child could outlive it or hold
 * a sibling's line; the child waits for the parent's word, so that it cannot end, and its pid
 * become another process's, before the parent has a descriptor for it.
 */
#include "proc/start.h"

#include <unistd.h>

#include "base/heap.h"
#include "flow/doors.h"
#include "mem/readers.h"

/* What was copied of the parent's table is closed: these are the parent's children. */
static void close_parents(struct shl_children *children)
{
    for (size_t i = 0; i < children->count; i++)
        if (children->list[i].pidfd >= 0)
            close(children->list[i].pidfd);
    shl_heap_free(children->list);
    shl_heap_free(children->finalizers.list);
    shl_server_forget(&children->server);
    shl_doors_leave();
}

/* The child has both tables as they are between two changes, and their locks open. */
static pid_t fork_whole_tables(void)
{
    shl_children_lock();
    bool doors = shl_doors_lock();
    bool readers = shl_readers_before_fork();
    pid_t pid = shl_child_fork();
    shl_readers_after_fork(readers, pid == 0);
    if (pid != 0) {
        if (doors)
            shl_doors_unlock();
        shl_children_unlock();
    }
    return pid;
}

int shl_start_fork(const struct shl_start *start)
{
    pid_t pid = fork_whole_tables();
    if (pid < 0)
        return pid;
    if (pid > 0)
        return shl_start_adopt(start, pid, shl_child_pidfd(pid));
    struct shl_child child = *start->child;
    int code = shl_start_tie(&start->children->lifeline);
    code = code < 0 ? code : shl_exit_hook_child(true);
    close_parents(start->children);
    shl_start_become(child.ref, start->process->flags, start->process->name);
    shl_start_prepare(start->process, code);
    shl_child_null_stdin();
    shl_start_give(child.fds, child.fds_count);
    shl_start_run(&child, start->process->flags);
}
