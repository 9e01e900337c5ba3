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
    uint32_t first;      /* page of its run in the chunk */
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
    *ret_place = (struct shl_place){ segment, block, size_class, first };
    return shl_block_begins(size, offset % CHUNK_SIZE - first * PAGE_SIZE_SHM);
}

/*
 * Runs that the thread has found lately, by the page where one of their blocks lies: what the words
 * of chunk and page would say again. A run ends before its pages are given back, and that is
 * counted before they are anything else; who is handed a block of what comes then has seen the
 * count. So while it is the same as before the run was found, the run is what it was.
 */
static inline struct shl_known_run *shl_known_run(struct shl_attachment *self,
                                                  const struct block_shm *block)
{
    return &self->known[(uintptr_t)block / PAGE_SIZE_SHM % SHL_KNOWN_RUNS];
}

/* Likewise as shl_place_in_run(), but true only if the run is known. */
static inline bool shl_place_known(const struct shl_segment *segment, struct shl_attachment *self,
                                   struct block_shm *block, uint32_t *ret_size_class)
{
    const struct shl_known_run *run = shl_known_run(self, block);
    uint64_t inside = (uintptr_t)block - run->begin;
    *ret_size_class = run->size_class;
    return likely(inside < run->end && inside * run->inverse < run->inverse &&
                  /* Relaxed: see above. */
                  atom_load_relaxed(&segment->shm->pages_given) == run->given);
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
    if (unlikely(cache->count >= cache->limit))
        return false;
    atom_store_relaxed(&block->own, self->own_of_thread | seq);
    SHL_CHAOS("alloc.kept");
    self->kept[size_class][++cache->count] = block;
    cache->last = block;
    return true;
}

/* So many are in the hands now. */
static inline void shl_hands_set_count(struct shl_attachment *self, uint32_t size_class,
                                       uint32_t count)
{
    self->caches[size_class].count = count;
    self->caches[size_class].last = self->kept[size_class][count];
}

/* A free block out of the thread's hands, still its own; NULL if there is none. */
static inline struct block_shm *shl_hands_take(struct shl_attachment *self, uint32_t size_class)
{
    struct shl_cache *cache = &self->caches[size_class];
    struct block_shm *block = cache->last;
    if (likely(block))
        cache->last = self->kept[size_class][--cache->count];
    return block;
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
    uint64_t meta = block_meta_next(atom_load_relaxed(&block->meta), size);
    uint32_t seq = block_own_seq(atom_load_relaxed(&block->own));
    return shl_hand_out(self, block, meta, seq);
}

/* alloc, out of the thread's hands. */
static inline void *shl_hands_alloc(struct shl_attachment *self, uint64_t size)
{
    uint32_t size_class;
    if (likely(shl_guarded(size) <= SIZES_OFTEN))
        size_class = shl_classes_often[(shl_guarded(size) + 15) / 16];
    else if ((size_class = shl_class_of(shl_guarded(size))) > CLASS_LAST)
        return NULL;
    struct block_shm *block = shl_hands_take(self, size_class);
    return likely(block) ? shl_hands_give_out(self, block, size) : NULL;
}

/* free, into the thread's hands, of a payload that nothing else goes with. */
static inline bool shl_hands_free(const struct shl_segment *segment, struct shl_attachment *self,
                                  const void *payload)
{
    uint64_t seq;
    uint32_t size_class;
    struct block_shm *block = shl_block(payload);
    return likely(GUARD_SIZE == 0 && shl_place_known(segment, self, block, &size_class) &&
                  shl_block_is_owned(self, block, &seq) &&
                  !(atom_load_relaxed(&block->meta) & (BLOCK_META_PARENT | BLOCK_META_ENVELOPE))) &&
           shl_hands_keep(self, size_class, block, seq);
}

#endif
