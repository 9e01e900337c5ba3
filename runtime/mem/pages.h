/*
 * Purpose. Where memory comes from: chunks of 2 MiB, and pages of 16 KiB inside a chunk. A chunk
 * gets its memory from the system before anybody may use it, so that no access can fail later.
 *
 * Layout. One word per chunk in the tables, one per page in the first page of a chunk of pages:
 *     chunk word {value:32, owner:16, zero:8, kind:8}
 *                value: of LARGE how many chunks; of REST its first one; of TAKEN 1 if its page
 *                words still stand; of PAGES {gives:16, full:8, row:8}, hints
 *                row: no more free pages lie in a row; full: no more of them that have memory. Who
 *                gives pages raises them and counts that in gives; who has looked in vain lowers
 *                them if nobody has given any meanwhile
 *     page word  {first:8, class:8, zero:16, owner:16, flags:8, kind:8}     (runs.h has the flags)
 *                first: of REST the run's first page; class: of RUN and REST (sizes.h)
 *     owner: the thread (short) with an unfinished step; nobody else then changes what it is about
 *
 * Death. Words are TAKEN, one by one, by a compare-and-set that writes the owner. Several become
 * one run, or free again, by one store to the first word; the others follow, and whoever settles
 * the owner can tell from the first one where they were to go.
 *
 * Late steps. Whoever is about to change words or headers in a chunk of pages that he does not own
 * may be stopped there for any time. Meanwhile the chunk must not become anything else, nor the run
 * that he is about to change (runs.h): so he names it first, in his own slot.
 *     walker: works_at = the chunk's page 0; is it still a chunk of pages? his steps; works_at = 0
 *     giver, settler of a run: works_at = the run's first page; likewise
 *     settler of a large block: works_at = its chunk's page 0; is it LARGE, and nobody gives it?
 *     who gives a large block: names it so; LARGE and his, if its header is nobody's; is it named
 *       in another slot or journal? then LARGE and nobody's again; else TAKEN
 *     who gives a chunk to the system: takes all its pages; word TAKEN, 1; is it or a page of it
 *       named in any slot? then word PAGES, and the pages are free again; else word TAKEN, 0
 *     who gives free pages to the system: takes a few in a row; writes the chunk's word by an or of
 *       nothing, so that who names the chunk later sees them TAKEN; is it or a page of it named in
 *       another slot? then they are free as before; else they are holes
 * Who only reads headers does the same, or else a limit of memory could kill him: a hole takes
 * memory when it is read. What he looks at beside the place where he works is looks_at.
 * Store and look are seq_cst on both sides [pages.named]: one of the two sees the other. A stopped
 * thread keeps one chunk or run from being collected, and what it has TAKEN from being found: a
 * run, a large block, a chunk that it gives back, or a few free pages. That is all.
 */
#ifndef SHL_MEM_PAGES_H
#define SHL_MEM_PAGES_H

#include "mem/segment.h"

enum chunk_kind {
    CHUNK_FREE = 0, /* a hole in the file: not to be read */
    CHUNK_TAKEN,    /* by its owner, who is getting memory for it or gives it back */
    CHUNK_PAGES,    /* its first page holds page words and the free bits of runs */
    CHUNK_LARGE,    /* the first of those that hold one block */
    CHUNK_REST      /* the others of them */
};

enum page_kind {
    PAGE_FREE = 0,
    PAGE_TAKEN, /* by its owner */
    PAGE_RUN,   /* the first of a run of blocks of one class */
    PAGE_REST   /* the others of it */
};

/* Of a free page or chunk: it was used before and is not zero. */
#define PAGE_DIRTY (UINT64_C(1) << 8)
/* Of a free page: the system has its memory, which must be asked for before it is used; if DIRTY as
 * well, perhaps. */
#define PAGE_HOLE (UINT64_C(1) << 9)

static inline uint64_t chunk_word_make(enum chunk_kind kind, uint32_t owner, uint64_t value)
{
    return value << 32 | (uint64_t)owner << 16 | kind;
}

static inline enum chunk_kind chunk_word_kind(uint64_t word)
{
    return (enum chunk_kind)(word & 0xff);
}

static inline uint32_t chunk_word_owner(uint64_t word)
{
    return (uint32_t)(word >> 16) & 0xffff;
}

static inline uint64_t chunk_word_value(uint64_t word)
{
    return word >> 32;
}

/* Of a chunk of pages, see above. */
static inline uint64_t chunk_word_make_pages(uint64_t gives, uint64_t full, uint64_t row)
{
    return chunk_word_make(CHUNK_PAGES, 0, (gives & 0xffff) << 16 | full << 8 | row);
}

static inline uint64_t chunk_word_gives(uint64_t word)
{
    return word >> 48;
}

static inline uint64_t chunk_word_full(uint64_t word)
{
    return word >> 40 & 0xff;
}

static inline uint64_t chunk_word_row(uint64_t word)
{
    return word >> 32 & 0xff;
}

#define PAGE_OWNER_MASK (UINT64_C(0xffff) << 16)

static inline uint64_t page_word_make(enum page_kind kind, uint32_t owner, uint32_t size_class,
                                      uint32_t first)
{
    return (uint64_t)first << 56 | (uint64_t)size_class << 48 | (uint64_t)owner << 16 | kind;
}

static inline enum page_kind page_word_kind(uint64_t word)
{
    return (enum page_kind)(word & 0xff);
}

static inline uint32_t page_word_owner(uint64_t word)
{
    return (uint32_t)(word >> 16) & 0xffff;
}

static inline uint32_t page_word_class(uint64_t word)
{
    return (uint32_t)(word >> 48) & 0xff;
}

static inline uint32_t page_word_first(uint64_t word)
{
    return (uint32_t)(word >> 56);
}

static inline atom64 *shl_chunk_words(const struct shl_segment *segment)
{
    return (atom64 *)shl_at(segment, SEGMENT_CHUNKS_AT);
}

static inline uint64_t shl_chunks_count(const struct shl_segment *segment)
{
    return segment->size / CHUNK_SIZE;
}

/* The word of the chunk an offset lies in; CHUNK_FREE also for the tables and beyond the end. */
static inline uint64_t shl_chunk_word(const struct shl_segment *segment, uint64_t offset)
{
    uint64_t chunk = offset / CHUNK_SIZE;
    if (unlikely(chunk - segment->chunks_at >= segment->chunks_most))
        return CHUNK_FREE;
    /* [pages.chunk] acquire <- publishing: the chunk has memory, and its page words are there. */
    return atom_load_acquire(&shl_chunk_words(segment)[chunk]);
}

static inline atom64 *shl_page_words(const struct shl_segment *segment, uint64_t chunk)
{
    return (atom64 *)shl_at(segment, chunk * CHUNK_SIZE);
}

/* The word of the page an offset lies in; PAGE_FREE if it is no page of a chunk of pages. */
static inline uint64_t shl_page_word(const struct shl_segment *segment, uint64_t offset)
{
    uint64_t page = offset % CHUNK_SIZE / PAGE_SIZE_SHM;
    if (unlikely(chunk_word_kind(shl_chunk_word(segment, offset)) != CHUNK_PAGES || page == 0))
        return PAGE_FREE;
    atom64 *words = shl_page_words(segment, offset / CHUNK_SIZE);
    return atom_load_relaxed(&words[page]);
}

/* A page's number in the segment. */
static inline uint64_t shl_page_number(uint64_t chunk, uint64_t page)
{
    return chunk * PAGES_PER_CHUNK + page;
}

/* Behind every chunk that was ever taken. */
uint64_t shl_chunks_end(const struct shl_segment *segment);

/* Names a chunk, or the run with this first page, in the slot of a thread (short): it stays what it
 * is. True if it is a chunk of pages. */
bool shl_pages_enter(const struct shl_segment *segment, uint32_t owner, uint64_t number);
void shl_pages_leave(const struct shl_segment *segment, uint32_t owner);
/* Likewise a large block, by its first chunk; true if it is one that nobody makes or gives now. */
bool shl_large_enter(const struct shl_segment *segment, uint32_t owner, uint64_t chunk);
/* Likewise, beside what it may have entered: what holds the payload at an offset stays memory as
 * long as the thread looks there. False if it is none, or somebody makes or gives it now. */
bool shl_pages_look(const struct shl_segment *segment, uint32_t owner, uint64_t offset);
void shl_pages_look_away(const struct shl_segment *segment, uint32_t owner);
/* Likewise the run of a block that is still in the thread's hands. */
void shl_pages_name(const struct shl_segment *segment, uint32_t owner, uint64_t number);

/* Does anybody but `owner` name one of these pages? */
bool shl_pages_are_named(const struct shl_segment *segment, uint32_t owner, uint64_t number,
                         uint64_t count);

/* Where to look for pages. */
enum pages_search {
    PAGES_FULL, /* among those that have memory */
    PAGES_ANY,
    PAGES_THOROUGHLY /* also where a hint says that there are none */
};

/* Pages in a row of one chunk, TAKEN by `owner`: true, with whether they are zero. */
bool shl_pages_take(const struct shl_segment *segment, uint32_t owner, uint32_t count,
                    enum pages_search search, uint64_t *ret_number, bool *ret_zero);

/* One more chunk of free pages. 0 or -ENOMEM. */
int shl_pages_add_chunk(const struct shl_segment *segment, uint32_t owner);

/* Gives pages back that `owner` has TAKEN. */
void shl_pages_give(const struct shl_segment *segment, uint64_t number, uint32_t count);

/* Gives a chunk all of whose pages are free back to the system: true if it was one. */
bool shl_pages_give_chunk(const struct shl_segment *segment, uint32_t owner, uint64_t chunk);

/* Gives the free pages of a chunk that is in use back to the system: true if there were any. */
bool shl_pages_purge(const struct shl_segment *segment, uint32_t owner, uint64_t chunk);

/* Chunks in a row, TAKEN by `owner`, with memory for `size` bytes. 0 or -ENOMEM. */
int shl_chunks_take(const struct shl_segment *segment, uint32_t owner, uint64_t count,
                    uint64_t size, uint64_t *ret_chunk);

/* Makes them the chunks of one large block, whose header is complete. */
void shl_chunks_publish(const struct shl_segment *segment, uint64_t chunk, uint64_t count);

/* Gives the chunks of a large block back to the system, if it is nobody's: true if it was. While
 * somebody else names them they stay, and are given by whoever collects. */
bool shl_chunks_give(const struct shl_segment *segment, uint32_t owner, uint64_t chunk);

/* Settles what dead threads left unfinished. */
struct shl_dead;
void shl_pages_settle(const struct shl_segment *segment, uint32_t owner,
                      const struct shl_dead *dead);

#endif
