/* The one place that sleeps. */
#ifndef SHL_SYNC_PARK_H
#define SHL_SYNC_PARK_H

#include <stdbool.h>

#include "base/clock.h"
#include "os/futex.h"
#include "sync/park_shm.h"

/* What somebody waits for. */
struct shl_park_for {
    /* Tries it: -EAGAIN, with the word whose change would make it succeed, or its result. */
    int (*attempt)(void *context, struct shl_futex_watch *ret_watch);
    /* Would another waiter's attempt succeed now, or fail for good? */
    bool (*ready)(void *context);
    void *context;
};

/* After an attempt has answered -EAGAIN: spins a little, then sleeps, and attempts again until the
 * result is another one, or -ETIMEDOUT at the deadline. */
int shl_park(struct bell_shm *bell, const struct shl_park_for *what, shoal_deadline deadline);

/* After a seq_cst change that may let a waiter's attempt succeed: wakes one, who wakes the next. */
void shl_park_ring(struct bell_shm *bell);

/* For a word that a live, named peer is about to change, without waking anybody: sleeps until then
 * or for about `ns`. */
void shl_park_nap(atom32 *word, uint32_t seen, uint64_t ns);

/* Tells the processor, or the scheduler, that nothing can be done before another one runs: round 0,
 * 1, … of a spin. False when the spin has lasted long enough. */
bool shl_park_spin(unsigned round);

#endif
