#include "image.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/peer_shm.h"
#include "mem/segment.h"

enum { PAGE = 4096, WORDS = PAGE / 4, PIDS_MAX = 16 };

static char *base, *saved, *last;
static uint64_t *hashes, total; /* of each page of `last`; of all of them */
static uint64_t noted_end;      /* behind the last page that was noted */
static bool *is_saved;
static pid_t pids[PIDS_MAX];
static unsigned pids_count;
static uint64_t hidden, hidden_size;

void image_hide(uint64_t offset, uint64_t size)
{
    hidden = offset;
    hidden_size = size;
}

/* The next page at or after this one that has memory: a hole must not be read, that fills it. */
static uint64_t next_page(uint64_t page, uint64_t *run_end)
{
    const struct shl_segment *family = &shl_segments[SHL_FAMILY];
    if (page < *run_end)
        return page;
    const off_t data = lseek(family->fd, (off_t)(page * PAGE), SEEK_DATA);
    if (data < 0)
        return UINT64_MAX;
    *run_end = (uint64_t)lseek(family->fd, data, SEEK_HOLE) / PAGE;
    return (uint64_t)data / PAGE;
}

#define FOR_EACH_PAGE(page)                                                         \
    for (uint64_t run_end_ = 0, page = next_page(0, &run_end_); page != UINT64_MAX; \
         page = next_page(page + 1, &run_end_))

static void *reserve(uint64_t size)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                0);
}

void image_save(void)
{
    const struct shl_segment *family = &shl_segments[SHL_FAMILY];
    const uint64_t pages = family->size / PAGE;
    base = (char *)family->shm;
    saved = reserve(family->size);
    last = reserve(family->size);
    hashes = calloc(pages, sizeof *hashes);
    is_saved = calloc(pages, sizeof *is_saved);
    FOR_EACH_PAGE(page)
    {
        memcpy(saved + page * PAGE, base + page * PAGE, PAGE);
        is_saved[page] = true;
    }
}

void image_restore(void)
{
    FOR_EACH_PAGE(page)
    {
        if (!is_saved[page])
            madvise(base + page * PAGE, PAGE, MADV_REMOVE);
        else if (memcmp(base + page * PAGE, saved + page * PAGE, PAGE) != 0)
            memcpy(base + page * PAGE, saved + page * PAGE, PAGE);
    }
}

/* Process ids may have flags above them, as in a robust mutex. */
static uint32_t without_pid(uint32_t word)
{
    for (unsigned i = 0; i < pids_count; i++)
        if ((word & 0x3fffffff) == (uint32_t)pids[i])
            return (word & ~UINT32_C(0x3fffffff)) | (UINT32_C(0x2fff0000) + i);
    return word;
}

/* When its owner began stands in each slot, and differs from play to play. */
static bool is_start_time(uint64_t offset)
{
    const uint64_t inside = (offset - SEGMENT_PEERS_AT) % sizeof(struct peer_shm);
    const uint64_t first = offsetof(struct peer_shm, start_time);
    return offset >= SEGMENT_PEERS_AT && offset < SEGMENT_CHUNKS_AT && inside - first < 8;
}

/* What is to be known of a word. */
static uint32_t shown(uint64_t offset, uint32_t word)
{
    return offset - hidden < hidden_size ? word != 0 : without_pid(word);
}

/* splitmix64's end. */
static uint64_t mix(uint64_t word)
{
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

/* 0 for a page of zeros: whether it has memory is nobody's business. */
static uint64_t hash_page(uint64_t page)
{
    const uint32_t *words = (const uint32_t *)(last + page * PAGE);
    uint64_t hash = 0;
    for (uint64_t i = 0; i < WORDS; i++)
        if (words[i] != 0 && !is_start_time(page * PAGE + i * 4))
            hash += mix((page * WORDS + i) << 32 | shown(page * PAGE + i * 4, words[i]));
    return hash;
}

static void note_page(uint64_t page)
{
    memcpy(last + page * PAGE, base + page * PAGE, PAGE);
    total -= hashes[page];
    hashes[page] = hash_page(page);
    total += hashes[page];
    noted_end = page < noted_end ? noted_end : page + 1;
}

/* Those have no memory any more: as good as zeros. */
static void forget_pages(uint64_t page, uint64_t end)
{
    for (; page < end; page++)
        if (hashes[page] != 0) {
            memset(last + page * PAGE, 0, PAGE);
            total -= hashes[page];
            hashes[page] = 0;
        }
}

void image_begin(const pid_t *chosen, unsigned count)
{
    pids_count = count;
    memcpy(pids, chosen, count * sizeof *pids);
    const uint64_t pages = shl_segments[SHL_FAMILY].size / PAGE;
    madvise(last, pages * PAGE, MADV_DONTNEED);
    memset(hashes, 0, pages * sizeof *hashes);
    total = noted_end = 0;
    FOR_EACH_PAGE(page)
    note_page(page);
}

uint64_t image_hash(void)
{
    uint64_t seen = 0;
    FOR_EACH_PAGE(page)
    {
        forget_pages(seen, page);
        seen = page + 1;
        if (memcmp(last + page * PAGE, base + page * PAGE, PAGE) != 0)
            note_page(page);
    }
    forget_pages(seen, noted_end);
    return total;
}
