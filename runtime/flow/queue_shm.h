/* A queue's place: the head of every object, then its ring. */
#ifndef SHL_FLOW_QUEUE_SHM_H
#define SHL_FLOW_QUEUE_SHM_H

#include "flow/ring_shm.h"
#include "mem/object_shm.h"

/*
 * What lies in the ring: a descriptor, {zero:8, seq:16, offset/16:40} of a block. The send's
 * sequence tells this send of the block from an earlier one.
 */
static inline uint64_t descriptor_make(uint64_t offset, uint32_t seq)
{
    return (uint64_t)(seq & 0xffff) << 40 | offset >> 4;
}

static inline uint64_t descriptor_offset(uint64_t descriptor)
{
    return (descriptor & ((UINT64_C(1) << 40) - 1)) << 4;
}

struct queue_shm {
    struct object_shm object;
    uint8_t padding[SHL_LINE - sizeof(struct object_shm)];
    struct ring_shm ring;
};

static_assert(sizeof(struct queue_shm) <= OBJECT_BIG_SIZE, "a queue fits a place");

#endif
