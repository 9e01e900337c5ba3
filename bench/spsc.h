/*
 * The simplest ring of pointers, for the threads of one process that puts and one that gets: a cell
 * is empty or full, and who finds it otherwise waits longer and longer, so that the two work on
 * different cache lines most of the time.
 */
#ifndef BENCH_SPSC_H
#define BENCH_SPSC_H

#include "measure.h"
#include "near.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

#define SPSC_CELLS 65536
#define SPSC_PAUSES_MAX 512

struct spsc {
    size_t count; /* of cells in use */
    _Alignas(NEAR_LINE) size_t put_at;
    _Alignas(NEAR_LINE) size_t got_at;
    _Alignas(NEAR_LINE) _Atomic(void *) cells[SPSC_CELLS]; /* NULL: empty */
};

static inline void spsc_wait(unsigned *pauses)
{
    for (unsigned i = 0; i < *pauses; i++)
        cpu_relax();
    if (*pauses < SPSC_PAUSES_MAX)
        *pauses *= 2;
    else
        sched_yield();
}

static inline size_t spsc_next(const struct spsc *ring, size_t at)
{
    return at + 1 == ring->count ? 0 : at + 1;
}

static inline void spsc_put(struct spsc *ring, void *block)
{
    _Atomic(void *) *cell = &ring->cells[ring->put_at];
    unsigned pauses = 4;

    while (atomic_load_explicit(cell, memory_order_acquire) != NULL)
        spsc_wait(&pauses);
    atomic_store_explicit(cell, block, memory_order_release);
    ring->put_at = spsc_next(ring, ring->put_at);
}

static inline void *spsc_get(struct spsc *ring)
{
    _Atomic(void *) *cell = &ring->cells[ring->got_at];
    unsigned pauses = 4;
    void *block;

    while ((block = atomic_load_explicit(cell, memory_order_acquire)) == NULL)
        spsc_wait(&pauses);
    atomic_store_explicit(cell, NULL, memory_order_release);
    ring->got_at = spsc_next(ring, ring->got_at);
    return block;
}

#endif
