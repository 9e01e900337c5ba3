/*
 * An event.
 *   word = {generation:31, set:1}: every set from clear moves the generation on, so that who waits
 *          is released by a set even if a clear follows at once
 *   told = the last generation whose waiters have all been woken: if it lags, who was woken by the
 *          kernel for a dead setter wakes the others
 */
#ifndef SHL_SYNC_EVENT_SHM_H
#define SHL_SYNC_EVENT_SHM_H

#include <assert.h>

#include "mem/object_shm.h"
#include "sync/park_shm.h"

#define EVENT_SET 1u

struct event_shm {
    struct object_shm object;
    atom32 word;
    atom32 told;
    struct bell_shm bell;
    uint8_t padding[OBJECT_SMALL_SIZE - 40];
};

static_assert(sizeof(struct event_shm) == OBJECT_SMALL_SIZE, "an event fills a small place");

#endif
