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
        machine_fail("no barrier");
    machine.ghosts[BARRIER] = barrier.ref;
    shm = machine_add_object(barrier.ref, KIND_BARRIER,
                             offsetof(struct barrier_shm, places) + 4 * sizeof(atom64));
}

static void begin_two(void)
{
    parties = 2;
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

static void impatient(unsigned self)
{
    int code = wait(0, self == 0 ? SOON : SHOAL_FOREVER);
    if (code != 0 && code != -ECONNABORTED && code != -ETIMEDOUT)
        machine_fail("wait failed");
}

void check_barrier(void)
{
    struct scenario two = { .name = "barrier, 2 parties, 2 rounds",
                            .threads = 2,
                            .preemptions = UNBOUNDED,
                            .begin = begin_two,
                            .thread = two_rounds };
    holds(&two);
    struct scenario hasty = two;
    hasty.name = "barrier, 2 parties, one of which may time out";
    hasty.thread = impatient;
    holds(&hasty);
}
