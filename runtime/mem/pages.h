/*
 * Purpose. Where memory comes from: chunks of 2 MiB, and pages of 64 KiB inside a chunk. A chunk
 * gets its memory from the system before anybody may use it, so that no access can fail later.
 *
 * Layout. One word per chunk in the tables, one per page in the first page of a chunk of pages:
 *     chunk word {count:32, owner:16, zero:8, kind:8}     owner: the process that took it
 *     page word  {first:8, class:8, owner:16 ..., kind:8} first: the run's first page
 * A word is taken by a compare-and-set from zero that writes the owner, a run of words one by one,
 * given back on a conflict. So whatever is half taken has a name on it.
 */
#ifndef SHL_MEM_PAGES_H
#define SHL_MEM_PAGES_H

#include "mem/segment.h"

enum chunk_kind {
    CHUNK_FREE = 0, /* a hole in the file: not to be read */
    CHUNK_TAKEN,    /* by its owner, who is getting memory for it */
    CHUNK_PAGES,    /* its first page holds page words */
    CHUNK_LARGE,    /* the first of `count` chunks that hold one block */
    CHUNK_REST      /* the others of them */
};

enum page_kind { PAGE_FREE = 0, PAGE_BLOCKS = 1, PAGE_OBJECTS = 2 };

static inline enum chunk_kind chunk_word_kind(uint64_t word)
{
    return (enum chunk_kind)(word & 0xff);
}

static inline uint64_t chunk_word_count(uint64_t word)
{
    return word >> 32;
}

static inline enum page_kind page_word_kind(uint64_t word)
{
    return (enum page_kind)(word & 0xff);
}

static inline uint32_t page_word_class(uint64_t word)
{
    return (uint32_t)(word >> 48) & 0xff;
}

static inline uint32_t page_word_first(uint64_t word)
{
    return (uint32_t)(word >> 56);
}

/* The word of the chunk an offset lies in; CHUNK_FREE also for the tables and beyond the end. */
static inline uint64_t shl_chunk_word(const struct shl_segment *segment, uint64_t offset)
{
    if (unlikely(offset >= segment->size || offset / CHUNK_SIZE < segment->chunks_at))
        return CHUNK_FREE;
    atom64 *words = (atom64 *)shl_at(segment, SEGMENT_CHUNKS_AT);
    /* [pages.chunk] acquire <- take: the chunk has memory, and its page words are there. */
    return atom_load_acquire(&words[offset / CHUNK_SIZE]);
}

/* The word of the page an offset lies in; PAGE_FREE if it is no page of a chunk of pages. */
static inline uint64_t shl_page_word(const struct shl_segment *segment, uint64_t offset)
{
    if (unlikely(chunk_word_kind(shl_chunk_word(segment, offset)) != CHUNK_PAGES))
        return PAGE_FREE;
    uint64_t page = offset % CHUNK_SIZE / PAGE_SIZE_SHM;
    atom64 *words = (atom64 *)shl_at(segment, offset - offset % CHUNK_SIZE);
    return likely(page != 0) ? atom_load_relaxed(&words[page]) : PAGE_FREE;
}

/* A run of pages, with memory, zero when taken first. 0 or -ENOMEM. */
int shl_pages_take(const struct shl_segment *segment, uint32_t owner, enum page_kind kind,
                   uint32_t size_class, uint32_t count, uint64_t *ret_offset);

/* Chunks in a row for one large block, with memory. 0 or -ENOMEM. */
int shl_chunks_take(const struct shl_segment *segment, uint32_t owner, uint64_t count,
                    uint64_t *ret_offset);

/* Gives the chunks of a large block, and their memory, back to the system. */
void shl_chunks_give(const struct shl_segment *segment, uint64_t offset);

#endif
