/*
 * Payload memory: a few free blocks of each class in the hands of each thread, which are exchanged
 * with everybody's in runs.c; above the largest class whole chunks. The public face is
 * <shoal/memory.h>; these are what queues and objects need of it.
 */
#ifndef SHL_MEM_ALLOC_H
#define SHL_MEM_ALLOC_H

#include "mem/hands.h"

#include <shoal/memory.h>

/* The place of the block whose payload begins at this address, whoever owns it; false (no error
 * told) for every other address. */
bool shl_place_find(const void *payload, struct shl_place *ret_place);
bool shl_place_large(const struct shl_segment *segment, struct block_shm *block,
                     struct shl_place *ret_place);
static inline bool shl_place_at(const struct shl_segment *segment, uint64_t payload_offset,
                                struct shl_place *ret_place)
{
    struct block_shm *block = shl_block(shl_at(segment, payload_offset));
    return likely(shl_place_in_run(segment, block, ret_place)) ||
           shl_place_large(segment, block, ret_place);
}

/* Likewise, for a block that another thread may give back: what holds it is named in the slot of
 * `owner` (short; 0: nowhere), so that it stays memory until shl_pages_leave(). */
bool shl_place_enter(const struct shl_segment *segment, uint32_t owner, uint64_t payload_offset,
                     struct shl_place *ret_place);

/* Likewise for who only reads the block's header, until shl_place_look_away(); beside what he may
 * have entered. */
bool shl_place_look(const struct shl_segment *segment, uint32_t owner, uint64_t payload_offset,
                    struct shl_place *ret_place);
void shl_place_look_away(const struct shl_segment *segment, uint32_t owner);

/* Bytes behind the header of a block. */
uint64_t shl_room(const struct shl_place *place);

/* A block of this process's; NULL with an error. */
void *shl_alloc(const struct shl_segment *segment, size_t size);

/* Likewise, aligned to PAYLOAD_LINE. */
void *shl_alloc_line(const struct shl_segment *segment, size_t size);

/* Ends a block that the caller owns in whatever state. */
void shl_free(const struct shl_place *place);

/* A free place for an object in the thread's hands, and its return. NULL with an error. */
struct block_shm *shl_alloc_place(const struct shl_segment *segment, uint32_t size_class);
void shl_free_place(const struct shl_segment *segment, uint32_t size_class,
                    struct block_shm *place);

/* When this process began to wait before it gives memory back again, in ns; 0: it has not yet. */
extern SHL_HIDDEN atom64 shl_decayed_ns;

/* Says why a block in this state is not a payload of the caller's own. */
int shl_block_error(const struct shl_segment *segment, uint64_t own);

/* Returns the calling thread's free blocks to everybody. */
void shl_alloc_flush(const struct shl_segment *segment, struct shl_attachment *self);

/* What a dead thread or process had in its hands is nobody's again. */
void shl_alloc_settle(const struct shl_segment *segment, const struct shl_dead *dead);

#endif
