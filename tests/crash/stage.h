/*
 * A stage for one kill point: a victim comes to it, where it is killed, or stopped and then killed,
 * or stopped and then let go, while survivors use or wait for the same object. All of them are
 * children of a director, and he is a child of the test: a play that goes wrong ends with an exit
 * code, hangs nobody, and takes its players with it.
 */
#ifndef TESTS_CRASH_STAGE_H
#define TESTS_CRASH_STAGE_H

#include "harness.h"

#undef assert_code /* all of it runs in children */
#define assert_code(call, expected) CHILD_CHECK((call) == (expected))

#include "../sync.h"

#include "mem/object.h"
#include "os/chaos.h"
#include "os/futex.h"

#include <sys/mman.h>
#include <sys/wait.h>

enum { SURVIVORS_MAX = 2 };

static int limit_ms = 10000; /* a survivor that waits longer hangs */

/* Who is woken for the dead is there long before the tick of a second, at which all look again. */
enum { LATE_MS = 700, LATE = 3, MISSED = 4 };

enum fate { KILLED, STOPPED_AND_KILLED, STOPPED_AND_LET_GO, FATES_COUNT };
static const char *const fate_names[] = { "killed", "stopped and killed", "stopped and let go" };

struct row {
    const char *point;
    const char *what;
    unsigned passes;       /* how often the victim passes the point before */
    int (*act)(void);      /* the victim's, who comes to the point in it; not below 0 if it ends */
    int (*other)(void);    /* a survivor's, who ends with this result: */
    int if_dead, if_alive; /* when the victim died, or was let go */
    int survivors;         /* 0: one */
    bool late;             /* only the tick tells them of the victim's death */
    bool may_overtake;    /* who wakes at a tick may come before the victim, and ends as if_alive */
    void (*before)(void); /* the director's, with the objects as waits_make() leaves them */
    void (*lure)(void);   /* the director's, when the victim and the survivors wait */
    void (*meanwhile)(void);        /* the director's, while the victim is stopped at the point */
    void (*then)(bool victim_died); /* the director's, when the victim's fate is done */
    void (*after)(void);            /* the director's, when all have ended */
};

/* What the players tell each other outside the library. */
static struct board {
    _Atomic int there, go, waiting;
    _Atomic pid_t first, victim; /* first: who died before the play began */
    atom32 stopped, released;
    int results[SURVIVORS_MAX];
} * board;

static const struct row *row; /* that is played, and how */
static enum fate fate;

static bool victim_dies(void)
{
    return fate != STOPPED_AND_LET_GO;
}

/* --- players -------------------------------------------------------------------------------- */

static shoal_deadline limit(void)
{
    return shoal_after_ms(limit_ms);
}

/* In an act: what comes next is for when the director says so. */
static void comes(void)
{
    board->there = 1;
    CHILD_CHECK(harness_until(board->go));
}

static void goes(void)
{
    board->go = 1;
}

static int acts(void *argument)
{
    shl_chaos_plan(&(struct shl_chaos_plan){
        .point = row->point,
        .action = fate == KILLED ? SHL_CHAOS_KILL : SHL_CHAOS_STALL,
        .passes = row->passes,
        .stalled = &board->stopped,
        .released = &board->released,
    });
    CHILD_CHECK(row->act() >= 0);
    return argument != NULL;
}

static int survives(void *argument)
{
    *(int *)argument = row->other();
    return 0;
}

static bool is_over(pid_t pid)
{
    siginfo_t info = { .si_pid = 0 };
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

static bool is_at_the_point(pid_t victim)
{
    return board->stopped || is_over(victim);
}

/* --- the director --------------------------------------------------------------------------- */

static void meets_his_fate(pid_t victim)
{
    if (fate != KILLED && !board->stopped)
        _exit(MISSED);
    if (fate != KILLED && row->meanwhile)
        row->meanwhile();
    if (fate == STOPPED_AND_KILLED)
        kill(victim, SIGKILL);
    if (victim_dies()) {
        const int status = harness_wait_ms(victim, limit_ms);
        if (status == 0)
            _exit(MISSED);
        CHILD_CHECK(status == -SIGKILL);
        return;
    }
    board->released = 1;
    shl_futex_wake(&board->released, 1);
}

/* Every slot of the dead can be settled, once: only the director's is left. */
static void nobody_is_left(void)
{
    const struct shl_segment *family = shl_segment_family();
    shl_peer_recover_all(family);
    CHILD_CHECK(atom_load_relaxed(&family->shm->threads_attached) == 1);
}

static int directs(void *argument)
{
    pid_t survivors[SURVIVORS_MAX];
    const int count = row->survivors ? row->survivors : 1;
    waits_make();
    if (row->before)
        row->before();
    const pid_t victim = harness_child(acts, NULL);
    board->victim = victim;
    CHILD_CHECK(harness_until(board->there || is_asleep(victim) || is_at_the_point(victim)));
    for (int i = 0; i < count; i++) {
        survivors[i] = harness_child(survives, &board->results[i]);
        CHILD_CHECK(harness_until(is_asleep(survivors[i]) || is_over(survivors[i])));
    }
    if (row->lure)
        row->lure();
    CHILD_CHECK(harness_until(is_at_the_point(victim)));
    const uint64_t late_ns = harness_now_ns() + LATE_MS * UINT64_C(1000000);
    meets_his_fate(victim);
    if (row->then)
        row->then(victim_dies());
    CHILD_CHECK(victim_dies() || harness_wait_ms(victim, limit_ms) == 0);
    for (int i = 0; i < count; i++) {
        CHILD_CHECK(harness_wait_ms(survivors[i], limit_ms) == 0);
        if (row->may_overtake && victim_dies() && board->results[i] == row->if_alive)
            _exit(MISSED);
        CHILD_CHECK(board->results[i] == (victim_dies() ? row->if_dead : row->if_alive));
    }
    const bool late = victim_dies() && !row->late && harness_now_ns() > late_ns;
    if (row->after)
        row->after();
    waits_end();
    nobody_is_left();
    return late ? LATE : argument != NULL;
}

/* Players whose director has given up are killed by the kernel, and become our children. */
static void clear_the_stage(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {}
}

/* 0: all was well. LATE, or MISSED because a survivor came before the victim: three times, for once
 * may be a busy machine's fault. */
static int play(const struct row *chosen, enum fate chosen_fate)
{
    row = chosen;
    fate = chosen_fate;
    int status = LATE;
    for (int i = 0; (status == LATE || status == MISSED) && i < 3; i++) {
        board = harness_shared(sizeof *board);
        status = harness_wait(harness_child(directs, NULL));
        clear_the_stage();
        munmap(board, sizeof *board);
    }
    return status;
}

#endif
