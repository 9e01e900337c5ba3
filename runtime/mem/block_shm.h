/*
 * A block: 16 bytes of header, then the payload. One word of the header is the truth about who owns
 * it at every instant; lists and bits of free blocks are caches of it.
 *
 *   own  = {state:4, owner:16, zero:12, seq:32} of FREE, OWNED and SENDING
 *          owner: a slot and its generation, short (peer_shm.h): the thread of a FREE block, else
 *                 the process; seq: counts the block's sends
 *        = {state:4, rest:12, ref:48} of the others
 *          ref: the low bits of the reference of an object, or, of UNDER, of a payload; rest: what
 *               is kept of seq, rounded up, so that no number of a send comes again soon
 *   meta = {parent:1, envelope:1, zero:6, generation:12, size:44}
 *          generation: counts the block's allocations, for shoal_ref; size: the payload's bytes,
 *          or, of a parent, where the table of its children lies, divided by 16 (under_shm.h);
 *          envelope: the payload stands for a hold of a shared one (share_shm.h)
 *
 *   FREE, nobody -> FREE, thread    taken out of its run's free bits, by who works on the run
 *   FREE, thread -> OWNED           alloc, by that thread
 *   OWNED -> SENDING                put, by the owner; the send counts
 *   SENDING -> OWNED                get, by whoever took it out; or put gave up
 *   OWNED -> FREE, thread           free, by a thread of the owner
 *   FREE, thread -> FREE, nobody    given to everybody; then its run's free bit is set
 *   OWNED -> SHARED                 share, by the owner; who holds it stands in the object
 *   SHARED -> OWNED                 by who ended that object when nobody held it, to free it
 *   SENDING <-> LEASED              got from a joinable queue; or put by its holder (lease_shm.h)
 *   LEASED -> OWNED                 finished, by its holder
 *   OWNED -> UNDER                  alloc_under, by the owner of both
 *   UNDER -> OWNED                  by the owner of its parent, to free it
 *   OWNED <-> PART                  memory of an object, never a payload
 *   FREE, thread <-> OBJECT         the place of an object (object_shm.h)
 *   of a dead owner -> FREE, nobody by whoever settles it; likewise PART, SHARED and LEASED of an
 *                                   object, and UNDER of a payload, that is no more
 */
#ifndef SHL_MEM_BLOCK_SHM_H
#define SHL_MEM_BLOCK_SHM_H

#include "mem/segment_shm.h"

enum block_state {
    BLOCK_FREE = 0,
    BLOCK_OWNED,
    BLOCK_SENDING,
    BLOCK_PART,
    BLOCK_OBJECT,
    BLOCK_SHARED,
    BLOCK_UNDER,
    BLOCK_LEASED
};

struct block_shm {
    atom64 own;
    atom64 meta;
};

static_assert(sizeof(struct block_shm) == 16, "the payload behind it is 16-byte aligned");

#define BLOCK_SIZE_BITS 44
#define BLOCK_SIZE_MASK ((UINT64_C(1) << BLOCK_SIZE_BITS) - 1)
#define BLOCK_REF_MASK ((UINT64_C(1) << 48) - 1)
#define BLOCK_META_PARENT (UINT64_C(1) << 63)
#define BLOCK_META_ENVELOPE (UINT64_C(1) << 62)

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

/* Is it OWNED by this process? */
static inline bool block_own_is_mine(uint64_t own, uint32_t process_owner)
{
    return own >> 44 == ((uint64_t)BLOCK_OWNED << 16 | process_owner);
}

/* Of the object or payload with this reference. */
static inline uint64_t block_own_make_ref(enum block_state state, uint64_t ref)
{
    return (uint64_t)state << 60 | (ref & BLOCK_REF_MASK);
}

/* Likewise for a block that was OWNED and will be so again. */
static inline uint64_t block_own_lend(enum block_state state, uint64_t ref, uint64_t before)
{
    uint64_t rest = (block_own_seq(before) + 15) >> 4 & 0xfff;
    return block_own_make_ref(state, ref) | rest << 48;
}

static inline bool block_own_is_lent(uint64_t own, enum block_state state, uint64_t ref)
{
    return (own & ~(UINT64_C(0xfff) << 48)) == block_own_make_ref(state, ref);
}

static inline uint32_t block_own_seq_lent(uint64_t own)
{
    return (uint32_t)(own >> 48 & 0xfff) << 4;
}

static inline uint64_t block_meta_make(uint32_t generation, uint64_t size)
{
    return (uint64_t)(generation & 0xfff) << BLOCK_SIZE_BITS | size;
}

/* Of the block's next payload. */
static inline uint64_t block_meta_next(uint64_t meta, uint64_t size)
{
    uint64_t generation = meta + (UINT64_C(1) << BLOCK_SIZE_BITS);
    return (generation & UINT64_C(0xfff) << BLOCK_SIZE_BITS) | size;
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
