/* What the synchronisation objects do about deaths: see the registry in mem/peer.h. */
#ifndef SHL_SYNC_SETTLE_H
#define SHL_SYNC_SETTLE_H

#include "mem/object.h"

extern SHL_HIDDEN const struct shl_settler shl_lock_settler, shl_semaphore_settler,
    shl_event_settler, shl_condition_settler, shl_barrier_settler;

/* Where an object's bell lies: see struct shl_settler. */
#define SHL_BELL_AT(type) \
    ((uint32_t)(offsetof(struct type, bell) + offsetof(struct bell_shm, bell)))

#endif
