/* What the tests of dense rings without a capacity share. */
#ifndef SHOAL_TESTS_STORE_H
#define SHOAL_TESTS_STORE_H

#include "flow/queue_shm.h"
#include "mem/object.h"

/* As if the store of a new ring had been made for one item; NULL if it is none that grows. */
static inline struct ring_shm *store_shrink(uint64_t queue)
{
    struct shl_found *found = shl_find(queue, KIND_QUEUE);
    struct queue_shm *shm = found ? (struct queue_shm *)found->object : NULL;
    if (!shm || shm->ring_kind != RING_DENSE || shm->ring.capacity != 0)
        return NULL;
    shm->ring.store = store_make_next(shm->ring.store, 1, store_offset(shm->ring.store));
    shm->ring.least = 1;
    return &shm->ring;
}

#endif
