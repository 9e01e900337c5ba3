/* The dense ring: 8-byte items, first in first out, any number of processes on either side. */
#ifndef SHL_FLOW_RING_H
#define SHL_FLOW_RING_H

#include "flow/ring_shm.h"
#include "mem/object.h"
#include "mem/self.h"
#include "sync/park.h"

/* One call on a ring that is part of an object. */
struct ring_call {
    const struct shl_segment *segment;
    struct shl_attachment *self;
    struct ring_shm *ring;
    struct object_shm *object; /* what the handle must still name once a side is held */
    uint64_t ref;
    shoal_deadline deadline;
};

/* 0, -ETIMEDOUT, -EPIPE sealed (for take: and empty), -ESTALE. */
int shl_ring_put(const struct ring_call *call, uint64_t item);
int shl_ring_take(const struct ring_call *call, uint64_t *ret_item);

/* From here on puts fail; 0 or -ESTALE. Wakes those who wait. */
int shl_ring_seal(const struct ring_call *call);

/*
 * Ends the ring's object with both sides held: 0, and nobody else is inside or will be; -ESTALE if
 * another did. The caller frees and drops the items left one by one, then calls shl_ring_leave().
 */
int shl_ring_close(const struct ring_call *call);
/* Likewise for one that has ended already and whose sides nobody alive holds, while its place says
 * `own`. */
bool shl_ring_enter_ended(const struct ring_call *call, uint64_t own);
bool shl_ring_first(const struct ring_call *call, uint64_t *ret_item);
void shl_ring_drop(const struct ring_call *call);
void shl_ring_leave(const struct ring_call *call);

/* Leaves the sides that a dead thread held. */
void shl_ring_settle(struct ring_shm *ring, const struct shl_dead *dead);

/* Calls it for every item, until it answers true, which it then does; it may miss or repeat those
 * that others put and take meanwhile. */
bool shl_ring_visit(const struct ring_call *call, bool (*visitor)(void *context, uint64_t item),
                    void *context);

/* Items in it; exact while nobody is inside. */
uint64_t shl_ring_count(const struct ring_shm *ring);

#endif
