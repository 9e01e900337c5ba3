/* Locks for other objects: the condition lends and waits with one. */
#ifndef SHL_SYNC_LOCK_H
#define SHL_SYNC_LOCK_H

#include "mem/object.h"
#include "sync/lock_shm.h"

/* Does the calling thread hold it? */
bool shl_lock_is_mine(const struct shl_found *found);

/* Lets it go however often it is held: answers how often. And takes it back so often: 0,
 * SHOAL_OWNER_DIED, or -ESTALE if it was destroyed. */
uint32_t shl_lock_release_all(const struct shl_found *found);
int shl_lock_acquire_again(uint64_t ref, uint32_t depth);

#endif
