/* Size classes: which blocks there are, and from what runs of pages they are cut. */
#ifndef SHL_MEM_SIZES_H
#define SHL_MEM_SIZES_H

#include <string.h>

#include "mem/block_shm.h"
#include "mem/object_shm.h"
#include "mem/self.h"

/* Blocks for payloads, by the room behind the header; small ones on lines of their own; then the
 * places of objects, by pool. */
#define CLASS_LAST 62u       /* 1.75 MiB: larger ones are whole chunks */
#define CLASS_LINES_FROM 23u /* 2 KiB: these and larger ones lie on lines of their own anyway */
#define CLASS_LINES_FIRST (CLASS_LAST + 1)
#define CLASS_PAYLOAD_LAST 72u
#define CLASS_LARGE 0xffu /* whole chunks */
#define CLASS_OF_POOL(pool) (CLASS_PAYLOAD_LAST + 1 + (uint32_t)(pool))

struct shl_size {
    uint64_t inverse;    /* 2^64 / stride, rounded up */
    uint32_t stride;     /* bytes from one block to the next */
    uint32_t blocks;     /* in a run */
    uint32_t pages;      /* of it */
    uint32_t first_most; /* its first page in the chunk at most */
    uint32_t end;        /* bytes of it that are blocks */
    uint16_t kept;       /* how many free ones a thread may keep at first, */
    uint16_t kept_most;  /* and in the end */
};

static_assert(sizeof(struct shl_size) == 32, "found by a shift");

static_assert(CLASS_OF_POOL(POOLS_COUNT) <= CLASSES_COUNT, "a class for each pool");

extern SHL_HIDDEN const struct shl_size shl_sizes[CLASSES_COUNT];

/* Where the first block of a run or chunk begins: its payload is aligned to a line, and so are all
 * of a class whose stride is a number of lines. Places of objects begin at 0. */
#define PAYLOAD_LINE 64u
#define BLOCKS_AT (PAYLOAD_LINE - sizeof(struct block_shm))

/* The class of the smallest blocks with room for a payload; above CLASS_LAST: chunks. Four
 * classes to a doubling are the exponent and the first two digits of a double; counting leading
 * zeros takes an instruction that waits for its target's last value, up to 30 ns. */
static inline uint32_t shl_class_of(uint64_t size)
{
    uint64_t bits, last = size - (size != 0); /* byte of it */
    if (last < 128)
        return (uint32_t)last / 16;
    double number = (double)(int64_t)last;
    memcpy(&bits, &number, sizeof bits);
    return (uint32_t)(bits >> 50) - (1023 + 7 - 2) * 4;
}

/* Likewise of the sizes that are asked for most, in steps of 16 bytes. */
#define SIZES_OFTEN 1024u
extern SHL_HIDDEN const uint8_t shl_classes_often[SIZES_OFTEN / 16 + 1];

/* Likewise of those whose payloads are aligned to a line; CLASSES_COUNT: chunks. */
uint32_t shl_class_of_lines(uint64_t size);

/* Which block of a run an offset inside it lies in: a division of a number below CHUNK_SIZE. */
#define SIZE_INVERSE_SHIFT 42
static inline uint32_t shl_block_index(const struct shl_size *size, uint64_t inside)
{
    uint64_t inverse = (size->inverse >> (64 - SIZE_INVERSE_SHIFT)) + 1;
    return (uint32_t)(inside * inverse >> SIZE_INVERSE_SHIFT);
}

/* Does a block begin there? Modulo 2^64, only multiples of the stride times its inverse are less
 * than the inverse (Lemire, Kaser, Kurz: Faster remainder by direct computation). */
static inline bool shl_block_begins(const struct shl_size *size, uint64_t inside)
{
    return inside < size->end && inside * size->inverse < size->inverse;
}

#endif
