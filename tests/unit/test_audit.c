/* The audit: each byte is in one category, the right one, whatever the segment is used for. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/group.h"

TestSuite(audit, .timeout = 60);

static shoal_segment segment;

/* The audit itself answers 0 only if the sum of all categories is the size. */
static shoal_audit audited(void)
{
    const shoal_audit audit = memory_audit(segment);
    cr_assert_eq(audit.unused + audit.tables + audit.free + audit.kept + audit.owned +
                     audit.queued + audit.shared + audit.objects + audit.lost + audit.damaged,
                 audit.size);
    cr_assert_eq(audit.lost, 0);
    return audit;
}

Test(audit, a_new_segment_is_unused, .timeout = 60)
{
    const shoal_segment_options options = { .size_max = 16 << 20 };
    assert_code(shoal_segment_create(&options, &segment), 0);
    const shoal_audit audit = audited();
    cr_assert_eq(audit.size, 16 << 20);
    cr_assert_eq(audit.unused + audit.tables, audit.size);
    cr_assert_leq(audit.committed, audit.tables);
    cr_assert_eq(audit.payloads_count, 0);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(audit, payloads_are_owned_then_queued_then_kept_then_free, .timeout = 60)
{
    static const size_t sizes[] = { 0, 1, 100, 5000, 32768, 100000, 1 << 20 };
    shoal_queue queue;
    void *payload;
    segment = memory_segment(64 << 20);
    assert_code(shoal_queue_create(&(shoal_queue_options){ .segment = segment }, &queue), 0);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const uint64_t stride = memory_stride(sizes[i]);
        memory_give_back(segment);
        const shoal_audit before = audited();
        payload = shoal_alloc_in(segment, sizes[i]);
        const shoal_audit owned = audited();
        cr_assert_eq(owned.owned, stride, "%zu", sizes[i]);
        cr_assert_eq(owned.payloads_count, 1);
        cr_assert_eq(owned.kept % stride, 0);
        assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), 0);
        const shoal_audit queued = audited();
        cr_assert(queued.queued == stride && queued.owned == 0, "%zu", sizes[i]);
        cr_assert(queued.kept == owned.kept && queued.payloads_count == 1);
        assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
        cr_assert_eq(audited().owned, stride);
        shoal_free(payload);
        const shoal_audit kept = audited();
        cr_assert_eq(kept.kept, owned.kept + stride, "%zu", sizes[i]);
        cr_assert_eq(kept.owned + kept.queued + kept.payloads_count, 0);
        memory_give_back(segment);
        const shoal_audit after = audited();
        cr_assert(after.kept == 0 && after.unused == before.unused);
    }
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(audit, objects_are_counted_with_what_belongs_to_them, .timeout = 60)
{
    shoal_queue queue;
    segment = memory_segment(64 << 20);
    const shoal_queue_options options = { .segment = segment, .capacity_count = 1000 };
    const uint64_t before = audited().objects;
    assert_code(shoal_queue_create(&options, &queue), 0);
    cr_assert_eq(audited().objects, before + OBJECT_BIG_SIZE + memory_stride(1000 * 16));
    assert_code(shoal_queue_destroy(queue), 0);
    cr_assert_eq(audited().objects, before);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- by size, by queue, limits -------------------------------------------------------------- */

/* The blocks whose payloads have room for so much, and no line more. */
static shoal_size_class sizes_of(size_t size)
{
    shoal_size_class sizes[80];
    const int count = shoal_segment_sizes(segment, sizes, COUNT_OF(sizes));
    cr_assert_gt(count, 0);
    for (int i = 0; i < count; i++)
        if (sizes[i].size_max >= size && (i == 0 || sizes[i - 1].size_max < size))
            return sizes[i];
    return (shoal_size_class){ 0 };
}

Test(audit, blocks_are_counted_by_size, .timeout = 60)
{
    static const size_t sizes[] = { 100, 5000, 300000, 3 << 20 };
    segment = memory_segment(64 << 20);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *payloads[3];
        for (size_t k = 0; k < 3; k++)
            payloads[k] = shoal_alloc_in(segment, sizes[i]);
        const shoal_size_class full = sizes_of(sizes[i]);
        cr_assert_eq(full.used_count, 3, "%zu: %zu", sizes[i], (size_t)full.used_count);
        cr_assert_geq(full.pages_size, 3 * sizes[i]);
        for (size_t k = 0; k < 3; k++)
            shoal_free(payloads[k]);
        const shoal_size_class freed = sizes_of(sizes[i]);
        const bool is_run = sizes[i] <= 1 << 20;
        cr_assert_eq(freed.used_count, 0);
        cr_assert_eq(freed.kept_count + freed.free_count,
                     is_run ? full.kept_count + full.free_count + 3 : 0);
        cr_assert_eq(freed.pages_size, is_run ? full.pages_size : 0);
    }
    cr_assert_eq(shoal_segment_sizes(segment, NULL, 0), 0);
    assert_code(shoal_segment_sizes(segment, NULL, 1), -EINVAL);
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_segment_sizes(segment, NULL, 0), -ESTALE);
}

Test(audit, queues_are_told_with_what_lies_in_them, .timeout = 60)
{
    shoal_queue queues[3];
    shoal_queue_load loads[8];
    segment = memory_segment(64 << 20);
    cr_assert_eq(shoal_segment_queues(segment, loads, COUNT_OF(loads)), 0);
    for (size_t i = 0; i < COUNT_OF(queues); i++) {
        const shoal_queue_options options = { .segment = segment };
        assert_code(shoal_queue_create(&options, &queues[i]), 0);
        for (size_t k = 0; k < i; k++)
            assert_code(shoal_queue_put(queues[i], shoal_alloc_in(segment, 1000), SHOAL_NOW), 0);
    }
    cr_assert_eq(shoal_segment_queues(segment, loads, COUNT_OF(loads)), COUNT_OF(queues));
    size_t told = 0;
    for (size_t i = 0; i < COUNT_OF(queues); i++)
        for (size_t k = 0; k < COUNT_OF(queues); k++)
            told += loads[k].queue.ref == queues[i].ref && loads[k].count == i &&
                    loads[k].size == i * 1000;
    cr_assert_eq(told, COUNT_OF(queues));
    cr_assert_eq(shoal_segment_queues(segment, loads, 1), 1);
    assert_code(shoal_segment_queues(segment, NULL, 1), -EINVAL);
    for (size_t i = 0; i < COUNT_OF(queues); i++)
        assert_code(shoal_queue_destroy(queues[i]), 0);
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_segment_queues(segment, loads, 1), -ESTALE);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s", path);
}

/* What a process in such groups sees. */
static struct shl_group_memory group_seen(const char *groups, const char *most)
{
    char folder[] = "/tmp/harness-group-XXXXXX", path[256], command[256];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(command, sizeof command, "mkdir -p %s/a/b/c %s/memory/a", folder, folder);
    cr_assert_eq(system(command), 0);
    write_file(folder, "groups", groups);
    write_file(folder, "a/b/memory.max", most);
    write_file(folder, "a/b/memory.current", "4096\n");
    write_file(folder, "a/memory.max", "2000000\n");
    write_file(folder, "a/memory.current", "1990000\n");
    write_file(folder, "a/b/c/memory.max", "max\n");
    write_file(folder, "memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file(folder, "memory/memory.usage_in_bytes", "16384\n");
    write_file(folder, "memory/a/memory.limit_in_bytes", most);
    write_file(folder, "memory/a/memory.usage_in_bytes", "8192\n");
    snprintf(path, sizeof path, "%s/groups", folder);
    const struct shl_group_memory seen = shl_group_memory(path, folder);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
    return seen;
}

Test(audit, the_group_s_limit_is_told_where_it_is_seen, .timeout = 60)
{
    static const struct {
        const char *groups, *most;
        struct shl_group_memory seen;
    } cases[] = {
        { "0::/a/b\n", "10000\n", { 10000, 4096 } },
        { "0::/a/b\n", "1000000\n", { 2000000, 1990000 } }, /* the one above leaves less */
        { "0::/a/b/c\n", "10000\n", { 10000, 4096 } },
        { "0::/a/b\n", "max\n", { 2000000, 1990000 } },
        { "3:cpu:/a\n4:memory:/a\n0::/a/b\n", "1000000\n", { 1000000, 8192 } },
        { "4:memory:/a\n", "9223372036854771712\n", { UINT64_MAX, 8192 } },
        { "0::/elsewhere\n", "1000000\n", { UINT64_MAX, 0 } },
        { "3:cpu:/a\n", "1000000\n", { UINT64_MAX, 0 } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct shl_group_memory seen = group_seen(cases[i].groups, cases[i].most);
        cr_assert_eq(seen.most, cases[i].seen.most, "case %zu: %zu", i, (size_t)seen.most);
        cr_assert_eq(seen.used, cases[i].seen.used, "case %zu: %zu", i, (size_t)seen.used);
    }
}

Test(audit, limits_are_told, .timeout = 60)
{
    shoal_limits limits;
    segment = memory_segment(16 << 20);
    assert_code(shoal_segment_limits(segment, &limits), 0);
    cr_assert_eq(limits.size_max, 16 << 20);
    cr_assert_eq(limits.committed, audited().committed);
    cr_assert_eq(limits.private_heap, SHOAL_HEAP_MALLOC);
    cr_assert_gt(limits.group_max, limits.group_used);
    assert_code(shoal_segment_limits(segment, NULL), -EINVAL);
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_segment_limits(segment, &limits), -ESTALE);
}

/* The host may close what it does not know, and open something else. */
Test(audit, another_file_under_the_segment_s_descriptor_is_not_taken_for_it, .timeout = 60)
{
    shoal_limits limits;
    shoal_audit audit;
    segment = memory_segment(16 << 20);
    const int fd = shl_segment_of_handle(segment)->fd, kept = dup(fd);
    const int other = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(dup2(other, fd), fd);
    assert_code(shoal_segment_limits(segment, &limits), -EIO);
    assert_code(shoal_segment_audit(segment, &audit), -EIO);
    cr_assert_eq(dup2(kept, fd), fd);
    close(kept);
    close(other);
    assert_code(shoal_segment_limits(segment, &limits), 0);
    audited();
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- errors --------------------------------------------------------------------------------- */

Test(audit, bad_arguments_are_told, .timeout = 60)
{
    shoal_audit audit = { .size = 77 };
    segment = memory_segment(16 << 20);
    assert_code(shoal_segment_audit(segment, NULL), -EINVAL);
    assert_code(shoal_segment_holders(segment, NULL, 1), -EINVAL);
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_segment_audit(segment, &audit), -ESTALE);
    assert_code(shoal_segment_holders(segment, NULL, 0), -ESTALE);
    cr_assert_eq(audit.size, 77, "an output was touched");
}

/* A table that somebody overwrote is told, and what is left is counted. */
Test(audit, damage_is_told, .timeout = 60)
{
    shoal_audit audit;
    segment = memory_segment(16 << 20);
    unsigned char *payload = shoal_alloc_in(segment, 5 << 20);
    const struct shl_segment *inside = shl_segment_of_handle(segment);
    atom64 *word = &shl_chunk_words(inside)[shl_offset(inside, payload) / CHUNK_SIZE];
    const uint64_t good = atom_load_relaxed(word);
    atom_store_relaxed(word, good + 1); /* another kind: the first of the three is missing */
    assert_code(shoal_segment_audit(segment, &audit), -EUCLEAN);
    cr_assert_eq(audit.size, 16 << 20);
    atom_store_relaxed(word, good | 0xf0);
    assert_code(shoal_segment_audit(segment, &audit), -EUCLEAN);
    cr_assert_eq(audit.damaged, CHUNK_SIZE);
    atom_store_relaxed(&shl_block(payload)->meta, BLOCK_SIZE_MASK);
    for (uint64_t count = 0; count < 99; count += 9) { /* chunks that it says it has */
        atom_store_relaxed(word, chunk_word_make(CHUNK_LARGE, 0, count));
        cr_assert_lt(shoal_size(payload), 16 << 20, "%llu chunks", (unsigned long long)count);
        cr_assert_leq(sizes_of(5 << 20).pages_size, 16 << 20);
    }
    atom_store_relaxed(&shl_block(payload)->meta, 5 << 20);
    atom_store_relaxed(word, good);
    audited();
    shoal_free(payload);
    assert_code(shoal_segment_detach(segment), 0);
}
