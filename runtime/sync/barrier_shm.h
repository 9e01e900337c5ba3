/*
 * A barrier.
 *   state = {round:32, actor:30, phase:2}; actor: who runs the action, while ACTING
 *           {r, FILLING} -> {r + 1, FILLING}   every place has arrived in r
 *                        -> {r, ACTING}        likewise, and there is an action to run first
 *                        -> {r, BROKEN}        a party gave up or died, or it was aborted
 *           {r, ACTING}  -> {r + 1, FILLING}   the action is done
 *                        -> {r, BROKEN}        who ran it died
 *           any          -> {r + 1, FILLING}   reset
 *   place = {round:31, left:1, zero:2, owner:30 (peer_shm.h, long)}; owner 0: free
 *           registered by its owner's first wait; arrived in `round`; `left` once its wait is over
 */
#ifndef SHL_SYNC_BARRIER_SHM_H
#define SHL_SYNC_BARRIER_SHM_H

#include <assert.h>

#include "mem/object_shm.h"
#include "sync/park_shm.h"

enum { BARRIER_FILLING = 0, BARRIER_ACTING = 1, BARRIER_BROKEN = 2 };

#define BARRIER_PARTIES_MAX 1024u
#define BARRIER_ROUND_MASK UINT32_C(0x7fffffff)
#define PLACE_LEFT (UINT64_C(1) << 32)
#define PLACE_OWNER(place) ((uint32_t)(place))
#define PLACE_ROUND(place) ((uint32_t)((place) >> 33))

struct barrier_shm {
    struct object_shm object;
    atom64 state;
    struct bell_shm bell;
    uint32_t parties;
    atom32 told;     /* the last round whose waiters have all been woken */
    uint64_t action; /* a function of the family, or 0; and what it is called with */
    uint64_t context;
    atom32 crowded; /* odd: somebody waits for a place; moves on when one is left then */
    uint8_t padding[SHL_LINE - 68];
    atom64 places[BARRIER_PARTIES_MAX];
};

static_assert(offsetof(struct barrier_shm, places) == SHL_LINE, "padded");
static_assert(sizeof(struct barrier_shm) <= OBJECT_HUGE_SIZE, "a barrier fits a huge place");

#endif
