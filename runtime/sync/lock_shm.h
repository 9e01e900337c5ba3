/*
 * A lock.
 *   word = {waiters:1, zero:1, owner:30} (peer_shm.h, long); 0: free
 *          free -> owner        by whoever takes it
 *          dead owner -> owner  by whoever takes it over: he answers for what it guarded
 *          + waiters            by who is about to sleep: then the release wakes one
 *          owner -> free        by the owner; of a lock that is not recursive, by anybody
 * The rest is written by the holder alone.
 */
#ifndef SHL_SYNC_LOCK_SHM_H
#define SHL_SYNC_LOCK_SHM_H

#include <assert.h>

#include "mem/object_shm.h"
#include "sync/park_shm.h"

#define LOCK_WAITERS (UINT32_C(1) << 31)
#define LOCK_OWNER(word) ((word) & ~LOCK_WAITERS)
#define LOCK_DIED (UINT32_C(1) << 29 | 0xffff) /* an owner that died and is forgotten */

struct lock_shm {
    struct object_shm object;
    atom32 word;
    uint32_t recursive;
    struct bell_shm bell;
    atom32 depth;      /* of a recursive lock: how often its owner has it */
    atom32 owner_died; /* a holder died and nobody has said since that all is well */
    atom32 dead_pid, dead_tid;
    char dead_name[64];
    atom64 dead_handle;
};

static_assert(sizeof(struct lock_shm) == OBJECT_SMALL_SIZE, "a lock fills a small place");
static_assert(offsetof(struct lock_shm, dead_pid) < 64,
              "what acquire and release touch is one line");

#endif
