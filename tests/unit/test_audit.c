/* The audit: each byte is in one category, the right one, whatever the segment is used for. */
#include "memory.h"

#include <errno.h>

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
    cr_assert_eq(audited().objects, before + OBJECT_BIG_SIZE + memory_stride(1024 * 8 + 1024 / 8));
    assert_code(shoal_queue_destroy(queue), 0);
    cr_assert_eq(audited().objects, before);
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
    }
    atom_store_relaxed(&shl_block(payload)->meta, 5 << 20);
    atom_store_relaxed(word, good);
    audited();
    shoal_free(payload);
    assert_code(shoal_segment_detach(segment), 0);
}
