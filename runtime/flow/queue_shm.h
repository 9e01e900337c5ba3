/* A queue's place: the head of every object, then its ring. */
#ifndef SHL_FLOW_QUEUE_SHM_H
#define SHL_FLOW_QUEUE_SHM_H

#include "flow/ring_shm.h"
#include "mem/object_shm.h"

struct queue_shm {
    struct object_shm object;
    uint32_t value_size; /* 0: its items are descriptors of payloads. Written once */
    uint8_t padding[SHL_LINE - sizeof(struct object_shm) - 4];
    struct ring_shm ring;
    atom64 copied_size; /* bytes that put_bytes has copied */
    uint8_t padding_1[SHL_LINE - 8];
};

static_assert(sizeof(struct queue_shm) <= OBJECT_BIG_SIZE, "a queue fits a place");

#endif
