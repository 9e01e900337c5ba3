/* The dense ring: items of one size, first in first out, any number of processes on either side. */
#ifndef SHL_FLOW_RING_H
#define SHL_FLOW_RING_H

#include "flow/ring_shm.h"
#include "mem/object.h"
#include "mem/self.h"
#include "sync/park.h"

struct cells_shm;

struct ring_call;

/* For rings that have somebody at each side. */
struct ring_hooks {
    /* Nobody is at the other side any more: what cannot be done now never can. Adds what tells of
     * his end to the watches. */
    bool (*is_alone)(const struct ring_call *call, struct shl_watches *watches);
    /* 0, or why the first item is to stay where it is. NULL: never. */
    int (*refuses)(const struct ring_call *call, uint64_t item);
};

/* One call on a ring that is part of an object: this dense one, or one of cells (cells.h). */
struct ring_call {
    const struct shl_segment *segment;
    struct shl_attachment *self;
    struct shl_found *found; /* the thread's own notes; NULL: none */
    struct ring_shm *ring;
    struct cells_shm *cells;
    struct object_shm *object; /* what the handle must still name once a side is held */
    uint64_t ref;
    uint32_t item_size; /* of 8 bytes are also descriptors: */
    bool is_chain;      /* the cells are the first ring of a chain */
    bool is_owned;      /* items are descriptors of payloads, and are moved one by one */
    bool leaves_end;    /* an end is not taken: there is nothing to take */
    atom64 *position; /* of a dense ring: where to note the place of what is taken; NULL: nowhere */
    shoal_deadline deadline;
    const struct ring_hooks *hooks; /* NULL: none */
    uint64_t size_max;              /* of owned items together; 0: any, and none is weighed */
    uint64_t (*weigh)(const struct ring_call *call, uint64_t item);
};

/* Before anybody sees it: `call` names segment, object, ring and the size of items. Without a
 * capacity (0) it holds what there is memory for. 0, -ENOMEM. */
int shl_ring_init(const struct ring_call *call, uint64_t capacity);

/* How many items it may hold: for now, if it grows. */
static inline uint64_t shl_ring_limit(const struct ring_shm *ring)
{
    uint64_t capacity = atom_load_relaxed(&ring->capacity);
    return likely(capacity != 0) ? capacity : store_mask(atom_load_relaxed(&ring->store)) + 1;
}

/*
 * Waits until one of the items can be moved, and moves as many as can be: answers how many.
 * -ETIMEDOUT, -ECANCELED, -EPIPE sealed (for take: and empty), -ESTALE, -EUCLEAN.
 * -ENOMEM without a capacity, for put.
 * An end lies among the items: take stops before it, or takes it alone and answers 0.
 * `ret_items` may be NULL: what is taken is dropped.
 */
int shl_ring_put(const struct ring_call *call, const void *items, uint32_t count);
int shl_ring_put_end(const struct ring_call *call);
int shl_ring_take(const struct ring_call *call, void *ret_items, uint32_t count);
/* Until a take would not wait, or would fail for good. 0, -ETIMEDOUT, -ECANCELED, -ESTALE. */
int shl_ring_wait(const struct ring_call *call);

/* Likewise of one item, without waiting: -EAGAIN, with what would change that, or its result. Who
 * waits does so at the bell `not_empty`. */
int shl_ring_try_take(const struct ring_call *call, void *ret_item, struct shl_watches *watches);

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

/* Sizes of what is in it together, if they count; likewise. */
uint64_t shl_ring_size(struct ring_shm *ring);
/* Would a put wait? */
bool shl_ring_full(const struct ring_call *call);
/* Items in it, ends too; exact while nobody is inside. */
uint64_t shl_ring_count(const struct ring_shm *ring);
/* Of all items that were ever put, and of those that were taken. */
static inline void shl_ring_counters(const struct ring_shm *ring, uint64_t *ret_put,
                                     uint64_t *ret_taken)
{
    *ret_taken = RING_POSITION(atom_load_relaxed(&ring->head.word) - ring->first);
    *ret_put = RING_POSITION(atom_load_relaxed(&ring->tail.word) - ring->first);
}

#endif
