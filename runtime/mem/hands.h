/*
 * The fast paths of payload memory: which block an address names, and the free blocks in a thread's
 * hands, taken and put back without a call. Whatever is out of the ordinary is answered by false or
 * NULL (no error told), and left to alloc.c.
 */
#ifndef SHL_MEM_HANDS_H
#define SHL_MEM_HANDS_H

#include "mem/block_shm.h"
#include "mem/guard.h"
#include "mem/pages.h"
#include "mem/self.h"
#include "mem/sizes.h"
#include "os/chaos.h"

/* Where a block lies, by the words of its chunk and page, which no payload's overrun reaches. */
struct shl_place {
    const struct shl_segment *segment;
    struct block_shm *block;
    uint32_t size_class; /* or CLASS_LARGE */
};

static inline struct block_shm *shl_block(const void *payload)
{
    return (struct block_shm *)((uintptr_t)payload - sizeof(struct block_shm));
}

static inline void *shl_payload(struct block_shm *block)
{
    return block + 1;
}

/* The block of whole chunks. */
static inline struct block_shm *shl_large(const struct shl_segment *segment, uint64_t chunk)
{
    return (struct block_shm *)shl_at(segment, chunk * CHUNK_SIZE + BLOCKS_AT);
}

/* The place of a block, whoever owns it, if one that is cut from a run begins there: false for
 * every other address, in the segment or not. */
static inline bool shl_place_in_run(const struct shl_segment *segment, struct block_shm *block,
                                    struct shl_place *ret_place)
{
    uint64_t offset = shl_offset(segment, block) - BLOCKS_AT;
    uint64_t word = shl_page_word(segment, offset);
    uint32_t size_class = page_word_class(word), first = page_word_first(word);
    if (unlikely(page_word_kind(word) < PAGE_RUN || size_class > CLASS_PAYLOAD_LAST))
        return false;
    const struct shl_size *size = &shl_sizes[size_class];
    if (unlikely(first > size->first_most) && !SHL_MISTAKE("alloc.run"))
        return false; /* damaged: the run would reach beyond its chunk */
    *ret_place = (struct shl_place){ segment, block, size_class };
    return shl_block_begins(size, offset % CHUNK_SIZE - first * PAGE_SIZE_SHM);
}

/* Does the block's header say that it is this process's? Then `*ret_seq` counts its sends. */
static inline bool shl_block_is_owned(const struct shl_attachment *self,
                                      const struct block_shm *block, uint64_t *ret_seq)
{
    *ret_seq = atom_load_relaxed(&block->own) ^ self->own_of_process;
    return *ret_seq <= UINT32_MAX;
}

/* Into the thread's hands, if it may keep one more. The header says so before anything else. */
static inline bool shl_hands_keep(struct shl_attachment *self, uint32_t size_class,
                                  struct block_shm *block, uint64_t seq)
{
    struct shl_cache *cache = &self->caches[size_class];
    uint32_t count = cache->count;
    if (unlikely(count >= cache->limit))
        return false;
    atom_store_relaxed(&block->own, self->own_of_thread | seq);
    SHL_CHAOS("alloc.kept");
    cache->blocks[count] = block;
    cache->count = count + 1;
    return true;
}

/* A free block out of the thread's hands, still its own; NULL if there is none. */
static inline struct block_shm *shl_hands_take(struct shl_attachment *self, uint32_t size_class)
{
    struct shl_cache *cache = &self->caches[size_class];
    return likely(cache->count) ? cache->blocks[--cache->count] : NULL;
}

/* Makes a free block a payload of the process's. */
static inline void *shl_hand_out(const struct shl_attachment *self, struct block_shm *block,
                                 uint64_t meta, uint32_t seq)
{
    shl_guard_set(shl_payload(block), block_meta_size(meta));
    atom_store_relaxed(&block->meta, meta);
    /* [alloc.own] release -> shl_under_parent(): the generation. */
    atom_store_release(&block->own, self->own_of_process | seq);
    SHL_CHAOS("alloc.owned");
    return shl_payload(block);
}

static inline void *shl_hands_give_out(const struct shl_attachment *self, struct block_shm *block,
                                       uint64_t size)
{
    uint32_t generation = block_meta_generation(atom_load_relaxed(&block->meta)) + 1;
    uint32_t seq = block_own_seq(atom_load_relaxed(&block->own));
    return shl_hand_out(self, block, block_meta_make(generation, size), seq);
}

/* alloc, out of the thread's hands. */
static inline void *shl_hands_alloc(struct shl_attachment *self, uint64_t size)
{
    uint32_t size_class = shl_class_of(shl_guarded(size));
    if (unlikely(size_class > CLASS_LAST || self->caches[size_class].count == 0))
        return NULL;
    struct block_shm *block = shl_hands_take(self, size_class);
    return shl_hands_give_out(self, block, size);
}

/* free, into the thread's hands, of a payload that nothing else goes with. */
static inline bool shl_hands_free(const struct shl_segment *segment, struct shl_attachment *self,
                                  const void *payload)
{
    struct shl_place place;
    uint64_t seq;
    return likely(GUARD_SIZE == 0 && shl_place_in_run(segment, shl_block(payload), &place) &&
                  shl_block_is_owned(self, place.block, &seq) &&
                  !(atom_load_relaxed(&place.block->meta) &
                    (BLOCK_META_PARENT | BLOCK_META_ENVELOPE))) &&
           shl_hands_keep(self, place.size_class, place.block, seq);
}

#endif
