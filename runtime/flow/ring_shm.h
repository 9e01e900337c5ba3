/* The layout of the dense ring: see ring.c. */
#ifndef SHL_FLOW_RING_SHM_H
#define SHL_FLOW_RING_SHM_H

#include "mem/peer_shm.h"
#include "sync/park_shm.h"

/*
 * side word = {owner:16, sealed:1, position:47}
 *   owner 0       nobody is in: whoever sets his owner by compare-and-set is in
 *   owner alive   only he may change the word
 *   owner dead    anybody may replace him by compare-and-set: nothing is to be repaired
 *   sealed        of the tail: nothing is put any more
 */
#define RING_SEALED (UINT64_C(1) << 47)
#define RING_POSITION(word) ((word) & (RING_SEALED - 1))

/*
 * store = {number:16, log2 of the count of cells:8, offset/16:40}; number: counts a place's stores
 */
static inline uint64_t store_offset(uint64_t store)
{
    return (store & ((UINT64_C(1) << 40) - 1)) << 4;
}

/* The count of cells, less 1. */
static inline uint64_t store_mask(uint64_t store)
{
    return (UINT64_C(1) << (store >> 40 & 63)) - 1;
}

static inline uint64_t store_make_next(uint64_t before, uint64_t cells_count, uint64_t offset)
{
    uint64_t log2 = (uint64_t)__builtin_ctzll(cells_count);
    return ((before >> 48) + 1) << 48 | log2 << 40 | offset >> 4;
}

struct ring_side_shm {
    atom64 word;
    atom64 other;    /* the other side's position when last looked at; written by: the owner */
    atom64 sizes[2]; /* of all items before the position, by its last bit; only if bytes count */
    uint8_t padding[SHL_LINE - 32];
};

struct ring_shm {
    /* written by: who holds both sides; the two change together */
    atom64 store; /* where the items lie: see store.h */
    atom64 spare; /* a block beside it, or 0 */
    /* written once, before the ring is visible; a late caller of the place's last one may look */
    atom64 capacity; /* items at most; 0: as many as its store holds, and that grows */
    uint64_t least;  /* of one that grows: the cells of its smallest store */
    uint64_t first; /* the position at which both sides began: what was moved since counts itself */

    atom64 ends_put; /* 0: no bit was ever set. Written by: the tail's owner */
    uint8_t padding[SHL_LINE - 48];

    struct ring_side_shm tail; /* written by: producers */
    struct ring_side_shm head; /* written by: consumers */
    struct bell_shm not_empty; /* written by: consumers that sleep, and producers that wake them */
    atom64 take_waits;         /* how often a take had to wait */
    uint8_t padding_1[SHL_LINE - sizeof(struct bell_shm) - 8];
    struct bell_shm not_full; /* likewise */
    atom64 put_waits;
    uint8_t padding_2[SHL_LINE - sizeof(struct bell_shm) - 8];
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a futex watches the position's low half");
static_assert(sizeof(struct ring_side_shm) == SHL_LINE, "a side on a line of its own");
static_assert(sizeof(struct ring_shm) == 5 * sizeof(struct ring_side_shm), "nothing shares a line");
static_assert(offsetof(struct ring_shm, tail) == SHL_LINE, "the sides on lines of their own");

#endif
