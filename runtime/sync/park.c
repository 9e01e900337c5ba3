/*
 * Purpose. Waiting without losing a wake-up, and without a system call while nobody sleeps.
 *
 * Layout. park_shm.h.
 *
 * Protocol.  waiter                                   notifier
 *   W1 flag = 1                             N1 commit the change
 *   W2 attempt; done if it succeeds         N2 if flag was 1: flag = 0
 *   W3 sleep while bell = 0, the watched    N3 and wake one sleeper at the bell
 *      word is as W2 saw it, and flag = 1
 *   W4 again from W1; at the end, if it slept and another's attempt would succeed: wake one
 *
 * Order.     W1 flag = 1                              N1 tail = t + 1
 *            W2 load tail                             N2 load flag
 * [park.flag] all four are seq_cst: not both can miss the other's store. So either the attempt sees
 * the change, or the notifier sees the flag.
 *
 * Progress. A waiter that is killed after it was woken, and a notifier that is killed between N1
 * and N3, take a wake-up along: those who sleep look again every tick.
 *
 * Sources. The protocol is a bell with chained wake-ups; its model was checked with kills at every
 * step, with the kernel ringing for the dead, which replaces the tick.
 */
#include "sync/park.h"

#include <errno.h>
#include <sched.h>

#include "os/child.h"

#define TICK_NS (50 * SHL_NS_PER_MS)

enum { PAUSES_FIRST = 4, PAUSES_DOUBLINGS = 5, SPIN_PAUSING = 24, SPIN_YIELDING = 8 };

bool shl_park_spin(unsigned round)
{
    static _Thread_local unsigned cpus;
    if (unlikely(cpus == 0))
        cpus = shl_cpu_count();
    if (round >= SPIN_PAUSING + SPIN_YIELDING)
        return false;
    if (round >= SPIN_PAUSING || cpus == 1) {
        sched_yield();
        return cpus > 1 || round < SPIN_YIELDING;
    }
    int pauses = PAUSES_FIRST << (round < PAUSES_DOUBLINGS ? round : PAUSES_DOUBLINGS);
    for (int i = 0; i < pauses; i++)
        atom_pause();
    return true;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* W1 to W4 but for the last wake. */
static int sleep_until_done(struct bell_shm *bell, const struct shl_park_for *what,
                            shoal_deadline deadline, bool *ret_slept)
{
    for (;;) {
        struct shl_futex_watch watches[3] = { { &bell->bell, 0 }, { 0 }, { &bell->flag, 1 } };
        /* [park.flag] seq_cst, acquire and release: see Order above. */
        atom_exchange_seq_cst(&bell->flag, 1);
        int code = what->attempt(what->context, &watches[1]);
        if (code != -EAGAIN)
            return code;
        if (shl_deadline_passed(deadline))
            return -ETIMEDOUT;
        *ret_slept = true;
        shl_futex_wait(watches, 3, earlier(deadline.ns, shl_clock_ns() + TICK_NS));
    }
}

static int spin(const struct shl_park_for *what, shoal_deadline deadline)
{
    struct shl_futex_watch watch;
    for (unsigned round = 0; shl_park_spin(round); round++) {
        int code = what->attempt(what->context, &watch);
        if (code != -EAGAIN)
            return code;
        if (shl_deadline_passed(deadline))
            return -ETIMEDOUT;
    }
    return -EAGAIN;
}

int shl_park(struct bell_shm *bell, const struct shl_park_for *what, shoal_deadline deadline)
{
    if (shl_deadline_is_now(deadline))
        return -ETIMEDOUT;
    int code = spin(what, deadline);
    if (code != -EAGAIN)
        return code;
    bool slept = false;
    code = sleep_until_done(bell, what, deadline, &slept);
    if (slept && what->ready(what->context))
        shl_futex_wake(&bell->bell, 1);
    return code;
}

void shl_park_ring(struct bell_shm *bell)
{
    /* [park.flag] seq_cst, acquire and release: see Order above. */
    if (unlikely(atom_load_seq_cst(&bell->flag)) && atom_exchange_seq_cst(&bell->flag, 0))
        shl_futex_wake(&bell->bell, 1);
}

void shl_park_nap(atom32 *word, uint32_t seen, uint64_t ns)
{
    struct shl_futex_watch watch = { word, seen };
    shl_futex_wait(&watch, 1, shl_clock_ns() + ns);
}
