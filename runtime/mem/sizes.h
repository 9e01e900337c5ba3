/* Size classes: which blocks there are, and from what runs of pages they are cut. */
#ifndef SHL_MEM_SIZES_H
#define SHL_MEM_SIZES_H

#include "mem/block_shm.h"
#include "mem/object_shm.h"
#include "mem/self.h"

/* Blocks for payloads, by the room behind the header; then the places of objects, by pool. */
#define CLASS_PAYLOAD_LAST 62u /* 1.75 MiB: larger ones are whole chunks */
#define CLASS_OF_POOL(pool) (CLASS_PAYLOAD_LAST + 1 + (uint32_t)(pool))

struct shl_size {
    uint32_t stride; /* bytes from one block to the next */
    uint32_t pages;  /* of a run */
    uint32_t blocks; /* in it */
    uint32_t cached; /* how many free ones a thread may keep */
    uint64_t inverse;
};

static_assert(CLASS_OF_POOL(POOLS_COUNT) <= CLASSES_COUNT, "a class for each pool");

extern SHL_HIDDEN const struct shl_size shl_sizes[CLASSES_COUNT];

/* The class of the smallest blocks with room for a payload; above CLASS_PAYLOAD_LAST: chunks. */
static inline uint32_t shl_class_of(uint64_t size)
{
    if (size <= 128)
        return size == 0 ? 0 : (uint32_t)((size - 1) / 16);
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(size - 1);
    uint32_t quarter = (uint32_t)((size - 1 - (UINT64_C(1) << shift)) >> (shift - 2));
    return 8 + (shift - 7) * 4 + quarter;
}

/* Which block of a run an offset inside it lies in: a division of a number below CHUNK_SIZE. */
#define SIZE_INVERSE_SHIFT 42
static inline uint32_t shl_block_index(const struct shl_size *size, uint64_t inside)
{
    return (uint32_t)(inside * size->inverse >> SIZE_INVERSE_SHIFT);
}

#endif
