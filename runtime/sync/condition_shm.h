/*
 * A condition. Who waits has an entry:
 *   entry = {ticket:32, state:2, owner:30 (peer_shm.h, long)}; 0: free
 *           ticket: of a GRANTED one how far the tickets were then: only who waited then may
 *           get the grant if its owner dies
 *           free -> WAITING      by a waiter, who holds the lock
 *           WAITING -> GRANTED   by a notifier, or by who passes a dead one's grant on
 *           WAITING -> free      by the waiter that gives up, or for a dead one
 *           GRANTED -> free      by the waiter, with the lock again; for a dead one, passed on
 */
#ifndef SHL_SYNC_CONDITION_SHM_H
#define SHL_SYNC_CONDITION_SHM_H

#include <assert.h>

#include "mem/object_shm.h"
#include "sync/park_shm.h"

#define CONDITION_WAITERS_MAX 1024u
#define ENTRY_WAITING (UINT64_C(1) << 30)
#define ENTRY_GRANTED (UINT64_C(2) << 30)
#define ENTRY_STATE(entry) ((entry) & (UINT64_C(3) << 30))
#define ENTRY_OWNER(entry) ((uint32_t)(entry)&0x3fffffff)
#define ENTRY_TICKET(entry) ((uint32_t)((entry) >> 32))

struct condition_shm {
    struct object_shm object;
    uint64_t lock;     /* its handle */
    uint32_t own_lock; /* made with the condition, and destroyed with it */
    atom32 tickets;    /* handed out so far: who waits longest has the smallest */
    struct bell_shm bell;
    atom32 entries_used; /* at most so many entries have ever been taken */
    atom32 notifier;     /* who notifies just now (peer_shm.h, long), or died of it; 0: nobody */
    uint8_t padding[SHL_LINE - 56];
    atom64 entries[CONDITION_WAITERS_MAX];
};

static_assert(offsetof(struct condition_shm, entries) == SHL_LINE, "padded");
static_assert(sizeof(struct condition_shm) <= OBJECT_HUGE_SIZE, "a condition fits a huge place");

#endif
