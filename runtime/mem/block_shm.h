/*
 * A block: 16 bytes of header, then the payload. One word of the header is the truth about who owns
 * it at every instant; lists and bits of free blocks are caches of it.
 *
 *   own  = {state:4, owner:16, zero:12, seq:32}, of OBJECT and PART {state:4, zero:12, ref:48}
 *          owner: a slot and its generation, short (peer_shm.h): the thread of a FREE block, else
 *                 the process; seq: counts the block's sends
 *          ref: the low bits of the object's reference
 *   meta = {zero:8, generation:12, size:44}
 *          generation: counts the block's allocations, for shoal_ref; size: the payload's bytes
 *
 *   FREE, nobody -> FREE, thread    taken out of its run's free bits, by who works on the run
 *   FREE, thread -> OWNED           alloc, by that thread
 *   OWNED -> SENDING                put, by the owner; the send counts
 *   SENDING -> OWNED                get, by whoever took it out; or put gave up
 *   OWNED -> FREE, thread           free, by a thread of the owner
 *   FREE, thread -> FREE, nobody    given to everybody; then its run's free bit is set
 *   OWNED <-> PART                  memory of an object, never a payload
 *   FREE, thread <-> OBJECT         the place of an object (object_shm.h)
 *   of a dead owner -> FREE, nobody by whoever settles it
 */
#ifndef SHL_MEM_BLOCK_SHM_H
#define SHL_MEM_BLOCK_SHM_H

#include "mem/segment_shm.h"

enum block_state { BLOCK_FREE = 0, BLOCK_OWNED, BLOCK_SENDING, BLOCK_PART, BLOCK_OBJECT };

struct block_shm {
    atom64 own;
    atom64 meta;
};

static_assert(sizeof(struct block_shm) == 16, "the payload behind it is 16-byte aligned");

#define BLOCK_SIZE_BITS 44
#define BLOCK_SIZE_MASK ((UINT64_C(1) << BLOCK_SIZE_BITS) - 1)
#define BLOCK_REF_MASK ((UINT64_C(1) << 48) - 1)

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

/* FREE, and in nobody's hands: then its run's free bit is set, or about to be. */
static inline bool block_own_is_nobodys(uint64_t own)
{
    return own >> 44 == 0;
}

/* OBJECT or PART: of the object with this reference. */
static inline uint64_t block_own_make_ref(enum block_state state, uint64_t ref)
{
    return (uint64_t)state << 60 | (ref & BLOCK_REF_MASK);
}

static inline uint64_t block_meta_make(uint32_t generation, uint64_t size)
{
    return (uint64_t)(generation & 0xfff) << BLOCK_SIZE_BITS | size;
}

static inline uint32_t block_meta_generation(uint64_t meta)
{
    return (uint32_t)(meta >> BLOCK_SIZE_BITS) & 0xfff;
}

static inline uint64_t block_meta_size(uint64_t meta)
{
    return meta & BLOCK_SIZE_MASK;
}

/*
 * A message on its way: {zero:8, seq:16, offset/16:40} of a block's payload. The send's number
 * tells this send of the block from an earlier one.
 */
static inline uint64_t descriptor_make(uint64_t offset, uint32_t seq)
{
    return (uint64_t)(seq & 0xffff) << 40 | offset >> 4;
}

static inline uint64_t descriptor_offset(uint64_t descriptor)
{
    return (descriptor & ((UINT64_C(1) << 40) - 1)) << 4;
}

#endif
