/* What the tests of memory share: a look at a segment from inside and from outside. */
#ifndef SHOAL_TESTS_MEMORY_H
#define SHOAL_TESTS_MEMORY_H

#include "harness.h"

#include "mem/alloc.h"
#include "mem/runs.h"

/* A segment of that size, with the calling thread in it. */
static inline shoal_segment memory_segment(size_t size_max)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = size_max }, &segment),
                0);
    shoal_free(shoal_alloc_in(segment, 1));
    return segment;
}

/* What the thread keeps goes to everybody, and what nobody has to the system. */
static inline void memory_give_back(shoal_segment handle)
{
    const struct shl_segment *segment = shl_segment_of_handle(handle);
    struct shl_attachment *self = shl_self(segment);
    shl_alloc_flush(segment, self);
    while (shl_runs_collect(segment, self->owner, true)) {}
}

static inline shoal_audit memory_audit(shoal_segment segment)
{
    shoal_audit audit;
    assert_code(shoal_segment_audit(segment, &audit), 0);
    cr_assert_eq(audit.damaged, 0, "%llu bytes damaged", (unsigned long long)audit.damaged);
    return audit;
}

/* Bytes in use that the system has given no memory for: some of the tables, always; less if it has
 * given some for what is free. */
static inline int64_t memory_missing(shoal_segment segment)
{
    const shoal_audit audit = memory_audit(segment);
    return (int64_t)(audit.size - audit.unused - audit.free - audit.committed);
}

/* The same payloads are there as before, and the same of what belongs to them. */
static inline void memory_assert_same(shoal_segment segment, const shoal_audit *before)
{
    const shoal_audit now = memory_audit(segment);
    cr_assert_eq(now.payloads_count, before->payloads_count);
    cr_assert_eq(now.owned, before->owned, "%llu", (unsigned long long)now.owned);
    cr_assert_eq(now.queued, before->queued);
    cr_assert_eq(now.shared, before->shared);
    cr_assert_eq(now.objects, before->objects);
    cr_assert_eq(now.lost, before->lost);
}

/* What a payload of that size takes. */
static inline uint64_t memory_stride(size_t size)
{
    return shl_sizes[shl_class_of(size)].stride;
}

#endif
