/* What queues and the ends of pipes have in common: a ring of payloads, and who owns them. */
#ifndef SHL_FLOW_QUEUE_H
#define SHL_FLOW_QUEUE_H

#include <shoal/queue.h>

#include "flow/cells.h"
#include "flow/queue_shm.h"
#include "flow/ring.h"

/* A call on an object that begins as a queue does; the caller adds himself, handle and deadline. */
struct ring_call shl_queue_call(const struct shl_segment *segment, struct object_shm *object);

/* The queue behind a handle, and the calling thread's notes on it. 0 or an error. */
int shl_queue_find(shoal_queue handle, shoal_deadline deadline, struct ring_call *ret_call);

/* Notes what the shortest ways need to know of a queue that was found. */
void shl_queue_learn(struct shl_found *found);

/* Is what was found a queue of cells for such items that the thread has used lately at that side?
 * That it is still there is seen when it is entered. */
static inline bool shl_queue_has_cells(const struct shl_found *found, enum shl_items items,
                                       unsigned side)
{
    return found->shortest[side] == items && shl_cells_are_known(found);
}

/* The shortest way: the notes, if it is such a one, and NULL (no error told) if not. */
static inline struct shl_found *shl_queue_find_cells(shoal_queue handle, enum shl_items items,
                                                     unsigned side)
{
    struct shl_found *found = shl_found_lately(handle.ref);
    return likely(found && shl_queue_has_cells(found, items, side)) ? found : NULL;
}

/* As shl_ring_put() and shl_ring_take(), of either ring; an end is -EPIPE. */
int shl_queue_put_items(const struct ring_call *call, const void *items, uint32_t count);
int shl_queue_take_items(const struct ring_call *call, void *ret_items, uint32_t count);

/* After the first of several: what there is without waiting, and no end, which would go unseen. */
static inline void shl_queue_take_no_more(struct ring_call *call)
{
    call->deadline = SHOAL_NOW;
    call->leaves_end = true;
}

/* Of several, what was moved before the first failure counts. */
static inline int shl_queue_some_of(size_t moved, int code, size_t *ret_count)
{
    if (moved == 0 && code < 0)
        return code;
    *ret_count = moved;
    return 0;
}

/* Gives it back: nobody has seen it. */
void shl_queue_unmake(const struct shl_segment *segment, struct object_shm *object);

int shl_queue_put(const struct ring_call *call, void *payload);
int shl_queue_get(const struct ring_call *call, void **ret_payload);

/* put of a copy. */
int shl_queue_put_copy(const struct ring_call *call, const void *data, size_t size);

/* Ends the object and frees what is in it. */
int shl_queue_end(struct ring_call *call);

#endif
