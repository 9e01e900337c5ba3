/*
 * An object of the library: a place of 128 B, 1, 4 or 16 KiB that begins with this head. Places
 * are type-stable: they never become payload memory, so that a stale handle always meets a head.
 *
 *   own  = as a block's (block_shm.h): {FREE, whose the place is} while no object lives here;
 *          {OBJECT, the low bits of self} while one does; {OBJECT, others}: it has ended, but what
 *          belongs to it has still to be freed by whoever comes, as who ended it may be dead
 *   self = the place's own reference, with the generation of its object or of the next one
 *   kind = what lives here; NONE: nothing
 *   creator = the process (short) with whose death it ends; 0: it has a life of its own
 *
 * A handle is good if it equals `self` and the kind is the one it says. Ending an object moves the
 * generation on: from then on no handle of it is good, for 4095 reuses of the place.
 */
#ifndef SHL_MEM_OBJECT_SHM_H
#define SHL_MEM_OBJECT_SHM_H

#include "mem/segment_shm.h"

enum shl_kind {
    KIND_NONE = 0,
    KIND_PROCESS,
    KIND_QUEUE,
    KIND_LOCK,
    KIND_SEMAPHORE,
    KIND_EVENT,
    KIND_CONDITION,
    KIND_BARRIER,
    KIND_NAME,
    KIND_SHARE,
    KIND_CONNECTION,
    KIND_LEASE,
    KINDS_COUNT
};

/* Which places there are: one pool for each layout, so that a stale caller who is about to find out
 * meets fields of the kind he knows. The pool is the class in the page's word. */
enum shl_pool {
    POOL_PROCESS,
    POOL_QUEUE,
    POOL_LOCK,
    POOL_SEMAPHORE,
    POOL_OWNED_SEMAPHORE,
    POOL_EVENT,
    POOL_CONDITION,
    POOL_BARRIER,
    POOL_NAME,
    POOL_CELLS, /* queues with a ring of cells */
    POOL_SHARE,
    POOL_CONNECTION,
    POOL_LEASE,
    POOLS_COUNT
};
#define OBJECT_SMALL_SIZE 128u
#define OBJECT_BIG_SIZE 1024u
#define OBJECT_SHARE_SIZE 4096u
#define OBJECT_HUGE_SIZE 16384u

struct object_shm {
    atom64 own;
    atom64 self;
    atom32 kind;
    atom32 creator;
};

static_assert(sizeof(struct object_shm) == 24, "the object's own fields follow");

#endif
