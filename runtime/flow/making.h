/* How a queue is made: what its options say, and which ring that wants. */
#ifndef SHL_FLOW_MAKING_H
#define SHL_FLOW_MAKING_H

#include <shoal/queue.h>

#include "flow/queue_shm.h"
#include "mem/segment.h"

/* What a new queue is, but for its ring. */
void shl_queue_describe(struct object_shm *object, const shoal_queue_options *options,
                        enum ring_kind kind);

/* The ring of a new object, whose value_size is set. 0 or an error. */
int shl_queue_init(const struct shl_segment *segment, struct object_shm *object, uint64_t capacity);

#endif
