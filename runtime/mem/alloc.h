/*
 * Payload memory: blocks by size class, cached per thread, exchanged between processes in chains.
 * The public face is <shoal/memory.h>; these are what queues and objects need of it.
 */
#ifndef SHL_MEM_ALLOC_H
#define SHL_MEM_ALLOC_H

#include "mem/block_shm.h"
#include "mem/self.h"

#include <shoal/memory.h>

static inline struct block_shm *shl_block(const void *payload)
{
    return (struct block_shm *)((uintptr_t)payload - sizeof(struct block_shm));
}

static inline void *shl_payload(struct block_shm *block)
{
    return block + 1;
}

/* The segment and header of a block whose payload begins at this address, whoever owns it; NULL
 * (no error told) for every other address. */
struct block_shm *shl_block_find(const void *payload, struct shl_segment **ret_segment);

/* A block in a given state, of this process; NULL with an error. */
void *shl_alloc(const struct shl_segment *segment, size_t size, enum block_state state);

/* Ends a block that the caller owns in whatever state. */
void shl_free(const struct shl_segment *segment, struct block_shm *block);

/* Says why a block in this state is not a payload of the caller. */
int shl_block_error(uint64_t own);

/* Returns the calling thread's cached blocks to everybody. */
void shl_alloc_flush(const struct shl_segment *segment, struct shl_attachment *self);

#endif
