/* What the synchronisation objects do about a dead owner: see the registry in mem/peer.h. */
#ifndef SHL_SYNC_SETTLE_H
#define SHL_SYNC_SETTLE_H

#include "mem/object.h"

void shl_lock_settle(const struct shl_segment *segment, struct object_shm *object,
                     const struct shl_dead *dead);
void shl_semaphore_settle(const struct shl_segment *segment, struct object_shm *object,
                          const struct shl_dead *dead);
void shl_condition_settle(const struct shl_segment *segment, struct object_shm *object,
                          const struct shl_dead *dead);
void shl_barrier_settle(const struct shl_segment *segment, struct object_shm *object,
                        const struct shl_dead *dead);

#endif
