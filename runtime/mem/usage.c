/* What the memory of a segment is used for, by the size of blocks, and what limits it. */
#include <shoal/stats.h>

#include "base/heap.h"
#include "mem/alloc.h"
#include "mem/runs.h"
#include "os/group.h"
#include "os/memfd.h"

enum { LARGE = CLASS_PAYLOAD_LAST + 1, SIZES_COUNT };

static void count_run(const struct shl_run *run, shoal_size_class *count)
{
    const struct shl_size *size = &shl_sizes[run->size_class];
    count->pages_size += size->pages * PAGE_SIZE_SHM;
    for (uint32_t i = 0; i < size->blocks; i++) {
        uint64_t own = atom_load_relaxed(&shl_run_block(run, i)->own);
        bool kept = block_own_state(own) == BLOCK_FREE;
        ++*(block_own_is_nobodys(own) ? &count->free_count
            : kept                    ? &count->kept_count
                                      : &count->used_count);
    }
}

static void count_large(const struct shl_segment *segment, uint64_t chunk, shoal_size_class *count)
{
    uint64_t chunks = chunk_word_value(shl_chunk_word(segment, chunk * CHUNK_SIZE));
    uint64_t left = shl_chunks_count(segment) - chunk; /* more is damaged */
    uint64_t own = atom_load_relaxed(&shl_large(segment, chunk)->own);
    count->pages_size += (chunks < left ? chunks : left) * CHUNK_SIZE;
    ++*(block_own_is_nobodys(own) ? &count->free_count : &count->used_count);
}

static void count_pages(const struct shl_segment *segment, uint64_t chunk, shoal_size_class *counts)
{
    struct shl_run run;
    for (uint64_t page = 1; page < PAGES_PER_CHUNK; page++) {
        uint64_t number = shl_page_number(chunk, page);
        if (page_word_kind(shl_page_word(segment, number * PAGE_SIZE_SHM)) == PAGE_RUN &&
            shl_run_find(segment, number, &run) && run.size_class <= CLASS_PAYLOAD_LAST)
            count_run(&run, &counts[run.size_class]);
    }
}

static void count_chunk(const struct shl_segment *segment, uint32_t owner, uint64_t chunk,
                        shoal_size_class *counts)
{
    enum chunk_kind kind = chunk_word_kind(shl_chunk_word(segment, chunk * CHUNK_SIZE));
    if (kind == CHUNK_LARGE && shl_large_enter(segment, owner, chunk))
        count_large(segment, chunk, &counts[LARGE]);
    else if (kind == CHUNK_PAGES && shl_pages_enter(segment, owner, shl_page_number(chunk, 0)))
        count_pages(segment, chunk, counts);
    else
        return;
    shl_pages_leave(segment, owner);
}

int shoal_segment_sizes(shoal_segment handle, shoal_size_class *ret_sizes, unsigned sizes_max)
{
    REQUIRE(ret_sizes || sizes_max == 0, -EINVAL, "no place for the sizes");
    const struct shl_segment *segment = shl_segment_of_handle(handle);
    const struct shl_attachment *self = segment ? shl_self(segment) : NULL;
    if (!self)
        return shl_error_code();
    shoal_size_class counts[SIZES_COUNT] = { 0 };
    for (uint64_t chunk = segment->chunks_at; chunk < shl_chunks_end(segment); chunk++)
        count_chunk(segment, self->owner, chunk, counts);
    unsigned found = 0;
    for (uint32_t i = 0; i < SIZES_COUNT && found < sizes_max; i++) {
        counts[i].size_max = i == LARGE
                                 ? segment->size
                                 : shl_sizes[i].stride - sizeof(struct block_shm) - GUARD_SIZE;
        if (counts[i].pages_size > 0)
            ret_sizes[found++] = counts[i];
    }
    return (int)found;
}

int shoal_segment_limits(shoal_segment handle, shoal_limits *ret_limits)
{
    REQUIRE(ret_limits, -EINVAL, "no place for the limits");
    const struct shl_segment *segment = shl_segment_of_handle(handle);
    if (!segment)
        return shl_error_code();
    struct shl_group_memory group = shl_group_memory("/proc/self/cgroup", "/sys/fs/cgroup");
    shoal_limits limits = { .size_max = segment->size,
                            .group_max = group.most,
                            .group_used = group.used,
                            .private_heap = shl_heap_is_jemalloc() ? SHOAL_HEAP_JEMALLOC
                                                                   : SHOAL_HEAP_MALLOC };
    struct shl_file_identity file = { 0 };
    int code = shl_segment_file(segment, &file);
    if (code < 0)
        return code;
    limits.committed = file.committed;
    *ret_limits = limits;
    return 0;
}
