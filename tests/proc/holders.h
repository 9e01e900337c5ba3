/* Holders of the objects of tests/sync.h: processes that take one and leave in some way. */
#ifndef TESTS_PROC_HOLDERS_H
#define TESTS_PROC_HOLDERS_H

#include "../sync.h"
#include "children.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* What parent and children tell each other outside the library. */
static struct board {
    _Atomic int arrived, go, failures, count, most;
    _Atomic pid_t tid;
    _Atomic uint64_t ns;
    unsigned long counter; /* not atomic */
} * board;

static inline void board_make(void)
{
    board = harness_shared(sizeof *board);
    cr_assert_not_null(board);
}

static inline void board_wait(_Atomic int *word, int value)
{
    CHILD_CHECK(harness_until(*word >= value));
}

/* --- holders that leave --------------------------------------------------------------------- */

enum leaving { BY_SIGKILL, BY_UNDERSCORE_EXIT, BY_EXIT, BY_EXEC, BY_ABORT, LEAVINGS };
static const char *const leaving_names[] = { "SIGKILL", "_exit", "exit", "exec", "abort" };

static inline void leave_by(enum leaving leaving)
{
    switch (leaving) {
    case BY_UNDERSCORE_EXIT:
        _exit(0);
    case BY_EXIT:
        fclose(stdin); /* nothing of the runner's is to be flushed twice */
        exit(0);
    case BY_EXEC: {
        char *const arguments[] = { (char *)"sleep", (char *)"1000", NULL };
        execv("/bin/sleep", arguments);
        _exit(HARNESS_CHILD_FAILED);
    }
    case BY_ABORT:
        prctl(PR_SET_DUMPABLE, 0);
        signal(SIGABRT, SIG_DFL);
        abort();
    case BY_SIGKILL:
    case LEAVINGS:
        break;
    }
    harness_pauses(NULL);
}

struct holding {
    int (*take)(void);
    enum leaving leaving;
};

static inline int takes_and_leaves(void *argument)
{
    const struct holding *holding = argument;
    prctl(PR_SET_NAME, "the holder");
    CHILD_CHECK(holding->take() == 0);
    board->tid = (pid_t)syscall(SYS_gettid);
    board->arrived = 1;
    board_wait(&board->go, 1);
    board->ns = harness_now_ns();
    leave_by(holding->leaving);
    return 0;
}

static inline pid_t holder_start(struct holding *holding)
{
    board->arrived = 0;
    board->go = 0;
    const pid_t pid = harness_child(takes_and_leaves, holding);
    cr_assert(harness_until(board->arrived));
    return pid;
}

static inline void holder_leaves(pid_t pid, enum leaving leaving)
{
    board->go = 1;
    if (leaving == BY_SIGKILL)
        kill(pid, SIGKILL);
}

/* Whatever remains of it, which after an exec is a whole program. */
static inline void holder_ends(pid_t pid)
{
    kill(pid, SIGKILL);
    harness_wait(pid);
}

static inline int take_lock(void)
{
    return shoal_lock_acquire(waits.lock, SHOAL_NOW);
}

static inline int take_rlock_thrice(void)
{
    int code = 0;
    for (int i = 0; i < 3; i++)
        code |= shoal_lock_acquire(waits.rlock, SHOAL_NOW);
    return code;
}

static inline int waits_once(void *argument)
{
    const enum wait_kind kind = *(enum wait_kind *)argument;
    board->count++;
    CHILD_CHECK(wait_kinds[kind].wait(SHOAL_FOREVER) >= 0);
    board->most++;
    return 0;
}

static inline void children_sleep(pid_t *pids, int count, enum wait_kind kind)
{
    for (int i = 0; i < count; i++)
        pids[i] = harness_child(waits_once, &kind);
    for (int i = 0; i < count; i++)
        cr_assert(harness_until(is_asleep(pids[i])));
}

/* 1.12.5: waiters in several processes, while the holder is killed: all get it, one by one. */
static inline int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

#endif
