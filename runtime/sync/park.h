/* The one place that sleeps. */
#ifndef SHL_SYNC_PARK_H
#define SHL_SYNC_PARK_H

#include <stdbool.h>

#include "base/clock.h"
#include "os/futex.h"
#include "os/robust.h"
#include "sync/park_shm.h"

struct event_shm;
struct object_shm;
struct shl_segment;

/* Words whose change, or whose owner's death, may end a wait. */
struct shl_watches {
    unsigned count;
    bool slept; /* who attempts may have been woken, by a wake-up that another might need */
    bool soon;  /* somebody is dying: his threads are marked, but the process is not gone yet */
    struct shl_futex_watch list[SHL_FUTEX_WATCHES_MAX];
};

/* One more; the caller sets `expected`. A full list forgets its last: the tick looks after it. */
static inline struct shl_futex_watch *shl_watch(struct shl_watches *watches, atom32 *word)
{
    if (unlikely(watches->count == SHL_FUTEX_WATCHES_MAX))
        watches->count--;
    struct shl_futex_watch *watch = &watches->list[watches->count++];
    watch->word = word;
    watch->expected = 0;
    return watch;
}

static inline void shl_watches_init(struct shl_watches *watches)
{
    watches->count = 0;
    watches->slept = false;
    watches->soon = false;
}

/* The end of an object is a change too, though the flag may be set again after it. */
void shl_watch_end(struct shl_watches *watches, struct object_shm *object, uint64_t ref);

/* What somebody waits for. */
struct shl_park_for {
    /* Tries it: -EAGAIN, with the words whose change would make it succeed, or its result. */
    int (*attempt)(void *context, struct shl_watches *ret_watches);
    /* Would another waiter's attempt succeed now, or fail for good? NULL: nobody is to be woken. */
    bool (*ready)(void *context);
    void *context;
    struct object_shm *object; /* and what its handle must name */
    uint64_t ref;
    struct event_shm *event; /* if it waits for an event: whose setter may need help */
    bool keep_pending;       /* after success the bell stays pending: the caller clears it */
};

/*
 * After an attempt has answered -EAGAIN: spins a little, then sleeps, and attempts again until the
 * result is another one, -ETIMEDOUT at the deadline, -ECANCELED, or -ESTALE for a cancel event that
 * is none.
 */
int shl_park(struct bell_shm *bell, const struct shl_park_for *what, shoal_deadline deadline);

/* Ends an object, wakes all who wait at its bell, to find it gone, and gives its place back. True
 * for the one who did. */
bool shl_park_end(const struct shl_segment *segment, struct object_shm *object, uint64_t ref,
                  struct bell_shm *bell);

/* After a seq_cst change that may let a waiter's attempt succeed, with the bell pending: wakes one,
 * who wakes the next. */
static inline void shl_park_ring_slow(struct bell_shm *bell, int count)
{
    /* [park.flag] seq_cst, acquire and release: see Order in park.c. */
    if (atom_exchange_seq_cst(&bell->flag, 0))
        shl_futex_wake(&bell->bell, count);
}
static inline void shl_park_ring(struct bell_shm *bell)
{
    /* [park.flag] seq_cst: likewise. */
    if (unlikely(atom_load_seq_cst(&bell->flag)))
        shl_park_ring_slow(bell, 1);
}

/* Both, one after the other, each pending until it is rung: killed before the second one, its
 * sleepers look at a tick. */
void shl_park_ring_both(struct bell_shm *first, struct bell_shm *second);

/* The event that cancels a wait, if there is one, as it was when the wait began. */
struct shl_cancel {
    struct event_shm *event;
    uint64_t ref;
    uint32_t generation;
};

/* 0; -ESTALE if the deadline names an event that is none. */
int shl_cancel_find(shoal_deadline deadline, struct shl_cancel *ret_cancel);
/* 0, with the event's word; -ECANCELED once it was set, also if it is clear again; -ESTALE once it
 * is gone. */
int shl_cancel_check(const struct shl_cancel *cancel, uint32_t *ret_word);

/* For a word that a live, named peer is about to change, without waking anybody: sleeps until then
 * or for about `ns`. */
void shl_park_nap(atom32 *word, uint32_t seen, uint64_t ns);

/* Tells the processor, or the scheduler, that nothing can be done before another one runs: round 0,
 * 1, … of a spin. False when the spin has lasted long enough. */
bool shl_park_spin(unsigned round);

#endif
