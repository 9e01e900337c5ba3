/* What queues and the ends of pipes have in common: a ring of payloads, and who owns them. */
#ifndef SHL_FLOW_QUEUE_H
#define SHL_FLOW_QUEUE_H

#include "flow/queue_shm.h"
#include "flow/ring.h"

/* A call on an object that begins as a queue does; the caller adds himself, handle and deadline. */
struct ring_call shl_queue_call(const struct shl_segment *segment, struct object_shm *object);

/* The ring of a new object, whose value_size is set. 0 or an error. */
int shl_queue_init(const struct shl_segment *segment, struct object_shm *object, uint64_t capacity);

/* Gives it back: nobody has seen it. */
void shl_queue_unmake(const struct shl_segment *segment, struct object_shm *object);

int shl_queue_put(const struct ring_call *call, void *payload);
int shl_queue_get(const struct ring_call *call, void **ret_payload);

/* put of a copy. */
int shl_queue_put_copy(const struct ring_call *call, const void *data, size_t size);

/* Ends the object and frees what is in it. */
int shl_queue_end(struct ring_call *call);

#endif
