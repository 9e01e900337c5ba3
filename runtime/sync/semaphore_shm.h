/*
 * A semaphore.
 *   plain: `count` permits are free; whoever takes one owns it himself: it dies with him
 *   owned: one cell per permit, 0 or the process that holds it (peer_shm.h, short); a cell of a
 *          dead process is free again
 */
#ifndef SHL_SYNC_SEMAPHORE_SHM_H
#define SHL_SYNC_SEMAPHORE_SHM_H

#include <assert.h>

#include "mem/object_shm.h"
#include "sync/park_shm.h"

#define SEMAPHORE_COUNT_MAX UINT32_C(0x7fffffff)

struct semaphore_shm {
    struct object_shm object;
    atom32 count;   /* plain: free permits */
    atom32 changes; /* owned: moves on with every release, for those who sleep */
    struct bell_shm bell;
    uint32_t limit; /* of a bounded one: its initial value; else SEMAPHORE_COUNT_MAX */
    uint32_t owned;
    uint8_t padding[64 - 48];
};

/* One with owned permits has a larger place: the cells follow. */
#define SEMAPHORE_CELLS_MAX ((OBJECT_HUGE_SIZE - 64) / sizeof(atom32))
struct owned_semaphore_shm {
    struct semaphore_shm semaphore;
    atom32 cells[SEMAPHORE_CELLS_MAX];
};

static_assert(sizeof(struct semaphore_shm) == 64, "a semaphore is one line of a small place");
static_assert(sizeof(struct owned_semaphore_shm) == OBJECT_HUGE_SIZE,
              "the cells fill a huge place");

#endif
