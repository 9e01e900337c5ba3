#include "mem/pages.h"

#include <string.h>

#include "os/chaos.h"
#include "os/memfd.h"

static atom64 *chunk_words(const struct shl_segment *segment)
{
    return shl_at(segment, SEGMENT_CHUNKS_AT);
}

static uint64_t chunk_word_make(enum chunk_kind kind, uint32_t owner, uint64_t count)
{
    return count << 32 | (uint64_t)owner << 16 | kind;
}

static uint64_t page_word_make(enum page_kind kind, uint32_t owner, uint32_t size_class,
                               uint32_t first)
{
    return (uint64_t)first << 56 | (uint64_t)size_class << 48 | (uint64_t)owner << 16 | kind;
}

static atom64 *page_words(const struct shl_segment *segment, uint64_t chunk)
{
    return shl_at(segment, chunk * CHUNK_SIZE);
}

/* Takes words[first..first + count) or none of them. */
static bool take_run(atom64 *words, uint64_t first, uint64_t count, uint64_t value)
{
    for (uint64_t i = 0; i < count; i++) {
        /* [pages.chunk] acquire <- shl_chunks_give(): its last user is done. */
        if (atom_cas_acquire_64(&words[first + i], 0, value))
            continue;
        while (i-- > 0)
            atom_store_relaxed(&words[first + i], 0);
        return false;
    }
    return true;
}

/* Finds and takes a run between two indices. A lost race only makes it look further. */
static bool find_run(atom64 *words, uint64_t begin, uint64_t end, uint64_t count,
                     uint64_t (*value_of)(uint64_t first, uint64_t base), uint64_t base,
                     uint64_t *ret_first)
{
    uint64_t length = 0;
    for (uint64_t i = begin; i < end; i++) {
        length = atom_load_relaxed(&words[i]) == 0 ? length + 1 : 0;
        if (length < count)
            continue;
        uint64_t first = i + 1 - count;
        if (take_run(words, first, count, value_of(first, base))) {
            *ret_first = first;
            return true;
        }
        length = 0;
    }
    return false;
}

static uint64_t same_value(uint64_t first, uint64_t base)
{
    (void)first;
    return base;
}

static uint64_t with_first_page(uint64_t first, uint64_t base)
{
    return base | first << 56;
}

/* The host may have closed our descriptor, and its number may be a file of its own by now. */
static int commit(const struct shl_segment *segment, uint64_t offset, uint64_t size)
{
    struct shl_file_identity identity;
    int code = shl_file_identify(segment->fd, &identity);
    REQUIRE(code == 0 && identity.device == segment->device && identity.inode == segment->inode,
            -EIO, "the segment's descriptor was closed by somebody else");
    return shl_memfd_commit(segment->fd, offset, size);
}

/* Chunks that are ours but not usable yet. */
static int take_chunks(const struct shl_segment *segment, uint32_t owner, uint64_t count,
                       uint64_t *ret_chunk)
{
    atom64 *words = chunk_words(segment);
    uint64_t taken = chunk_word_make(CHUNK_TAKEN, owner, count);
    if (!find_run(words, segment->chunks_at, segment->size / CHUNK_SIZE, count, same_value, taken,
                  ret_chunk))
        return shl_error(-ENOMEM, "the segment has reached its size_max");
    int code = commit(segment, *ret_chunk * CHUNK_SIZE, count * CHUNK_SIZE);
    for (uint64_t i = SHL_MISTAKE("pages.chunks"); code < 0 && i < count; i++)
        atom_store_relaxed(&words[*ret_chunk + i], 0);
    return code;
}

int shl_chunks_take(const struct shl_segment *segment, uint32_t owner, uint64_t count,
                    uint64_t *ret_offset)
{
    uint64_t chunk = 0;
    REQUIRE(count <= segment->size / CHUNK_SIZE, -ENOMEM, "larger than the segment's size_max");
    int code = take_chunks(segment, owner, count, &chunk);
    if (code < 0)
        return code;
    atom64 *words = chunk_words(segment);
    for (uint64_t i = count - 1; i > 0; i--)
        atom_store_relaxed(&words[chunk + i], chunk_word_make(CHUNK_REST, owner, count));
    /* [pages.chunk] release -> shl_chunk_word(). */
    atom_store_release(&words[chunk], chunk_word_make(CHUNK_LARGE, owner, count));
    *ret_offset = chunk * CHUNK_SIZE;
    return 0;
}

/* Are these the words of one large block? Another process may have damaged them. */
static bool is_large_run(const struct shl_segment *segment, uint64_t chunk, uint64_t count)
{
    atom64 *words = chunk_words(segment);
    if (count == 0 || count > segment->size / CHUNK_SIZE - chunk ||
        chunk_word_kind(atom_load_relaxed(&words[chunk])) != CHUNK_LARGE)
        return false;
    for (uint64_t i = 1; i < count; i++) {
        uint64_t word = atom_load_relaxed(&words[chunk + i]);
        if (chunk_word_kind(word) != CHUNK_REST || chunk_word_count(word) != count)
            return false;
    }
    return true;
}

void shl_chunks_give(const struct shl_segment *segment, uint64_t offset)
{
    atom64 *words = chunk_words(segment);
    uint64_t chunk = offset / CHUNK_SIZE;
    uint64_t count = chunk_word_count(shl_chunk_word(segment, offset));
    if (offset % CHUNK_SIZE || !is_large_run(segment, chunk, count))
        return; /* better lost than given twice */
    shl_memory_decommit(shl_at(segment, offset), count * CHUNK_SIZE);
    for (uint64_t i = count; i-- > 0;)
        /* [pages.chunk] release -> take_run(): we are done with it. */
        atom_store_release(&words[chunk + i], 0);
}

/* A chunk of pages for everybody. A rival may add one too: then one of them fills later. */
static int add_page_chunk(const struct shl_segment *segment, uint32_t owner, uint64_t *ret_chunk)
{
    int code = take_chunks(segment, owner, 1, ret_chunk);
    if (code < 0)
        return code;
    memset(shl_at(segment, *ret_chunk * CHUNK_SIZE), 0, PAGES_PER_CHUNK * sizeof(uint64_t));
    /* [pages.chunk] release -> shl_chunk_word(): the page words are zero. */
    atom_store_release(&chunk_words(segment)[*ret_chunk], chunk_word_make(CHUNK_PAGES, owner, 1));
    atom_store_relaxed(&segment->shm->page_chunk, *ret_chunk);
    return 0;
}

static bool find_pages(const struct shl_segment *segment, uint64_t chunk, uint32_t count,
                       uint64_t base, uint64_t *ret_offset)
{
    uint64_t page;
    if (chunk_word_kind(shl_chunk_word(segment, chunk * CHUNK_SIZE)) != CHUNK_PAGES)
        return false;
    if (!find_run(page_words(segment, chunk), 1, PAGES_PER_CHUNK, count, with_first_page, base,
                  &page))
        return false;
    *ret_offset = chunk * CHUNK_SIZE + page * PAGE_SIZE_SHM;
    return true;
}

/* A chunk of pages that somebody may still find room in, for when no new chunk is to be had. */
static bool find_pages_anywhere(const struct shl_segment *segment, uint32_t count, uint64_t base,
                                uint64_t *ret_offset)
{
    for (uint64_t chunk = segment->chunks_at; chunk < segment->size / CHUNK_SIZE; chunk++)
        if (find_pages(segment, chunk, count, base, ret_offset))
            return true;
    return false;
}

int shl_pages_take(const struct shl_segment *segment, uint32_t owner, enum page_kind kind,
                   uint32_t size_class, uint32_t count, uint64_t *ret_offset)
{
    uint64_t base = page_word_make(kind, owner, size_class, 0);
    uint64_t chunk = atom_load_relaxed(&segment->shm->page_chunk);
    while (!find_pages(segment, chunk, count, base, ret_offset)) {
        if (add_page_chunk(segment, owner, &chunk) == 0)
            continue;
        return find_pages_anywhere(segment, count, base, ret_offset) ? 0 : -ENOMEM;
    }
    return 0;
}
