/*
 * A block: 16 bytes of header, then the payload. The header is the truth about who owns it; lists
 * of free blocks are caches.
 *
 *   own  = {state:4, owner:16, zero:12, seq:32}
 *          owner: the process's slot and generation; seq: counts the block's sends
 *   meta = {class:8, generation:12, value:44}
 *          generation: counts the block's allocations, for shoal_ref
 *          value: the payload's size in bytes, or in a stack the next one's offset/16
 *
 *   FREE -> OWNED       alloc, by the process that took it from a list or from fresh memory
 *   OWNED -> SENDING    put, by the owner; the send counts
 *   SENDING -> OWNED    get, by whoever took it out; or put gave up
 *   OWNED -> FREE       free, by the owner
 *   FREE <-> OBJECT     memory of an object of the library, never a payload
 */
#ifndef SHL_MEM_BLOCK_SHM_H
#define SHL_MEM_BLOCK_SHM_H

#include "mem/segment_shm.h"

enum block_state { BLOCK_FREE = 0, BLOCK_OWNED, BLOCK_SENDING, BLOCK_OBJECT };

struct block_shm {
    atom64 own;
    atom64 meta;
};

static_assert(sizeof(struct block_shm) == 16, "the payload behind it is 16-byte aligned");

#define BLOCK_VALUE_BITS 44
#define BLOCK_VALUE_MASK ((UINT64_C(1) << BLOCK_VALUE_BITS) - 1)
#define BLOCK_CLASS_LARGE 0xffu /* whole chunks */

static inline uint64_t block_own_make(enum block_state state, uint32_t owner, uint32_t seq)
{
    return (uint64_t)state << 60 | (uint64_t)owner << 44 | seq;
}

static inline enum block_state block_own_state(uint64_t own)
{
    return (enum block_state)(own >> 60);
}

static inline uint32_t block_own_owner(uint64_t own)
{
    return (uint32_t)(own >> 44) & 0xffff;
}

static inline uint32_t block_own_seq(uint64_t own)
{
    return (uint32_t)own;
}

static inline uint64_t block_meta_make(uint32_t size_class, uint32_t generation, uint64_t value)
{
    return (uint64_t)size_class << 56 | (uint64_t)(generation & 0xfff) << BLOCK_VALUE_BITS | value;
}

static inline uint32_t block_meta_class(uint64_t meta)
{
    return (uint32_t)(meta >> 56);
}

static inline uint32_t block_meta_generation(uint64_t meta)
{
    return (uint32_t)(meta >> BLOCK_VALUE_BITS) & 0xfff;
}

static inline uint64_t block_meta_value(uint64_t meta)
{
    return meta & BLOCK_VALUE_MASK;
}

#endif
