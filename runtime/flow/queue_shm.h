/* A queue's place: the head of every object, then its ring, of one of two kinds. */
#ifndef SHL_FLOW_QUEUE_SHM_H
#define SHL_FLOW_QUEUE_SHM_H

#include "flow/cells_shm.h"
#include "flow/joinable_shm.h"
#include "flow/ring_shm.h"
#include "mem/object_shm.h"

enum ring_kind { RING_DENSE = 0, RING_CELLS, RING_CHAIN };

struct queue_shm {
    struct object_shm object;
    uint32_t value_size;    /* 0: its items are descriptors of payloads. Written once */
    uint32_t ring_kind;     /* written once; either DENSE or not in all places of a pool */
    uint64_t capacity_size; /* of its payloads together; 0: any. Written once */
    struct joinable_shm joinable;
    atom64 singles[2]; /* who alone puts, and who takes; 0: any number. See single.h */
    uint8_t padding[SHL_LINE - sizeof(struct object_shm) - 32 - sizeof(struct joinable_shm)];
    union {
        struct ring_shm ring;
        struct cells_shm cells;
    };
    atom64 copied_size; /* bytes that put_bytes has copied */
    uint8_t padding_1[SHL_LINE - 8];
};

static_assert(sizeof(struct queue_shm) <= OBJECT_BIG_SIZE, "a queue fits a place");

#endif
