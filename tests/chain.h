/* What the tests of queues without a capacity share. */
#ifndef SHOAL_TESTS_CHAIN_H
#define SHOAL_TESTS_CHAIN_H

#include "flow/queue_shm.h"
#include "mem/object.h"

/* As if a ring that this thread alone has used, for one item, had one cell; NULL if it is none. */
static inline struct queue_shm *chain_shrink(uint64_t ring)
{
    struct shl_found *found = shl_find(ring, KIND_QUEUE);
    struct queue_shm *shm = found ? (struct queue_shm *)found->object : NULL;
    if (!shm || shm->ring_kind == RING_DENSE)
        return NULL;
    shm->cells.capacity = 1;
    shm->cells.number++; /* what is noted of it is void */
    return shm;
}

/* The rings of a queue: the first one, and those that are not drained. */
static inline unsigned chain_length(const struct shl_segment *segment, struct queue_shm *shm)
{
    unsigned length = 1;
    uint64_t at = atom_load_relaxed(&shm->cells.chain.oldest);
    for (at = at ? at : atom_load_relaxed(&shm->cells.end); at > CELLS_SHUT; length++)
        at = atom_load_relaxed(
            &((struct queue_shm *)shl_at(segment, shl_ref_offset(at)))->cells.end);
    return length;
}

/* Queues with cells, and rings, that there are, also ended ones. */
static inline unsigned chain_objects(const struct shl_segment *segment)
{
    unsigned count = 0;
    struct shl_object_walk all = { 0 };
    while (shl_object_next_in(segment, &all, POOL_CELLS))
        count++;
    return count;
}

#endif
