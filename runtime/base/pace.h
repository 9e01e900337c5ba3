/*
 * How long to wait after a miss (nothing to take, no room to put) before the next look, learnt from
 * what waiting has brought so far. Two who run at one pace and look at once find one item each
 * time, and a cache line travels for it each time; who waits a little finds many. But only so long
 * that what is collected meanwhile fits the ring, and not at all where items come one by one.
 *
 * Private to a thread and one side of one queue.
 */
#ifndef SHL_BASE_PACE_H
#define SHL_BASE_PACE_H

#include <stdint.h>

#include "base/attr.h"

struct shl_pace {
    uint32_t hits;      /* since the last miss */
    uint16_t pauses;    /* before the next look; 0: look at once */
    uint16_t misses;    /* without a pause, since one was tried */
    uint16_t patience;  /* so many of these until one is tried again */
    uint16_t is_trying; /* the pause is a try, and has not paid yet */
};

static inline void shl_pace_hit(struct shl_pace *pace, uint32_t count)
{
    pace->hits += count;
}

/* Waits, a few microseconds at most. */
SHL_COLD void shl_pace_miss(struct shl_pace *pace, uint64_t capacity);

#endif
