/* sync/barrier.c: all pass a round or none does, and a death breaks it instead of delaying it. */
#include <shoal/sync.h>

#include "search.h"
#include "sync/barrier_shm.h"

enum { BARRIER, ARRIVED, PASSED = ARRIVED + 2, BROKEN = PASSED + 2, INDICES = BROKEN + 2 };

static unsigned parties;
static struct barrier_shm *shm;

static void begin(void)
{
    shoal_barrier barrier;
    if (shoal_barrier_create(parties, NULL, &barrier) < 0)
        machine_bail_out("no barrier");
    machine.ghosts[BARRIER] = barrier.ref;
    shm = machine_add_object(barrier.ref, KIND_BARRIER,
                             offsetof(struct barrier_shm, places) + 4 * sizeof(atom64));
}

static void begin_two(void)
{
    parties = 2;
    begin();
}

static void begin_three(void)
{
    parties = 3;
    begin();
}

static int wait(unsigned round, shoal_deadline deadline)
{
    shoal_barrier barrier = { machine.ghosts[BARRIER] };
    unsigned index = 99;
    machine.ghosts[ARRIVED + round]++;
    int code = shoal_barrier_wait(barrier, &index, deadline);
    if (code == 0) {
        if (machine.ghosts[ARRIVED + round] < parties)
            machine_fail("passed before all had come");
        if (machine.ghosts[INDICES + round] >> index & 1)
            machine_fail("two parties have one index");
        machine.ghosts[INDICES + round] |= 1u << index;
        machine.ghosts[PASSED + round]++;
    } else {
        machine.ghosts[BROKEN + round]++;
    }
    if (machine.ghosts[PASSED + round] && machine.ghosts[BROKEN + round])
        machine_fail("a round was passed by some and broken for others");
    return code;
}

static void two_rounds(unsigned self)
{
    (void)self;
    for (unsigned round = 0; round < 2; round++) {
        int code = wait(round, SHOAL_FOREVER);
        if (code == -ECONNABORTED && machine.kills > 0)
            return;
        if (code != 0)
            machine_fail("wait failed");
    }
}

static void one_round(unsigned self)
{
    (void)self;
    int code = wait(0, SHOAL_FOREVER);
    if (code != 0 && !(code == -ECONNABORTED && machine.kills > 0))
        machine_fail("wait failed");
}

/* More threads than parties: who is late for a round is in the next one. */
static void crowd(unsigned self)
{
    (void)self;
    unsigned index;
    machine.ghosts[ARRIVED]++;
    if (shoal_barrier_wait((shoal_barrier){ machine.ghosts[BARRIER] }, &index, SHOAL_FOREVER) < 0)
        machine_fail("wait failed");
    machine.ghosts[PASSED]++;
    if ((machine.ghosts[PASSED] + 1) / 2 > machine.ghosts[ARRIVED] / 2)
        machine_fail("passed before the other party had come");
}

/* The last one aborts: whoever waits learns it. */
static void crowd_or_abort(unsigned self)
{
    shoal_barrier barrier = { machine.ghosts[BARRIER] };
    int code = self + 1 < threads_count ? shoal_barrier_wait(barrier, NULL, SHOAL_FOREVER)
                                        : shoal_barrier_abort(barrier);
    if (code != 0 && code != -ECONNABORTED)
        machine_fail("wait failed");
}

static void impatient(unsigned self)
{
    int code = wait(0, self == 0 ? SOON : SHOAL_FOREVER);
    if (code != 0 && code != -ECONNABORTED && code != -ETIMEDOUT)
        machine_fail("wait failed");
}

static bool is_party(unsigned thread)
{
    for (unsigned i = 0; i < parties; i++)
        if (PLACE_OWNER(shm->places[i]) == machine_owner_long(thread))
            return true;
    return false;
}

/* Who was killed before he arrived was no party: the others wait for another one. */
static const char *judge(void)
{
    bool asleep = false, excused = false;
    for (unsigned i = 0; i < threads_count; i++) {
        asleep |= is_asleep(i);
        excused |= is_dead(i) && !is_party(i);
    }
    return asleep && !excused ? "a sleeper though all have come, or one of them is dead" : NULL;
}

void check_barrier(void)
{
    struct scenario two = { .name = "barrier, 2 parties, 2 rounds",
                            .threads = 2,
                            .preemptions = UNBOUNDED,
                            .begin = begin_two,
                            .thread = two_rounds };
    holds(&two);
    struct scenario killed = two;
    killed.name = "barrier, 2 parties, 2 rounds, 1 kill";
    killed.kills = 1;
    killed.judge = judge;
    killed.may_sleep = true;
    holds(&killed);
    fails(&killed, "barrier.life");
    struct scenario three = killed;
    three.name = "barrier, 3 parties, 1 round, 1 kill";
    three.threads = 3;
    three.preemptions = 2;
    three.preemptions_full = 3;
    three.begin = begin_three;
    three.thread = one_round;
    holds(&three);
    fails(&three, "barrier.B3");
    fails(&three, "barrier.pending");
    struct scenario crowded = two;
    crowded.name = "barrier, 2 parties, 4 threads";
    crowded.threads = 4;
    crowded.preemptions = 1;
    crowded.preemptions_full = 2;
    crowded.thread = crowd;
    holds(&crowded);
    fails(&crowded, "barrier.late");
    struct scenario aborted = crowded;
    aborted.name = "barrier, 2 parties, 3 threads, abort";
    aborted.threads = 3;
    aborted.preemptions = UNBOUNDED;
    aborted.thread = crowd_or_abort;
    holds(&aborted);
    struct scenario hasty = two;
    hasty.name = "barrier, 2 parties, one of which may time out";
    hasty.thread = impatient;
    holds(&hasty);
}
