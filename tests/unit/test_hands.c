/* What a thread keeps in its hands is bounded over all sizes together, and goes to those in use. */
#include "memory.h"

#include "mem/alloc.h"

TestSuite(hands, .timeout = 60);

#define MIB (UINT64_C(1) << 20)

enum { BURST = 64, LARGE = 65000 };

/* As alloc.c says: of all sizes together, and one of each of those below. */
#define KEPT_MOST (5 * MIB + MIB / 2)

/* Bursts of all of them would be 13 MiB. */
static const size_t sizes[] = { 64,    1024,  4096,  5000,  6000,  7000,  8192,
                                10000, 12000, 14000, 16000, 20000, 24000, 28000 };

static shoal_segment segment;

/* Enough free blocks, with used ones between them: no run is ever whole, and none taken for another
 * size. */
static void make_runs(size_t size)
{
    void *payloads[4 * BURST];
    for (size_t i = 0; i < COUNT_OF(payloads); i++)
        cr_assert_not_null(payloads[i] = shoal_alloc_in(segment, size), "%s",
                           shoal_error_message());
    for (size_t i = 0; i < COUNT_OF(payloads); i += 2)
        shoal_free(payloads[i]);
}

static void setup(void)
{
    segment = memory_segment(256 * MIB);
    make_runs(LARGE);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        make_runs(sizes[i]);
}

static void burst(size_t size)
{
    void *payloads[BURST];
    atom_store_relaxed(&shl_decayed_ns, 0); /* however long it takes, nothing decays */
    for (size_t i = 0; i < BURST; i++)
        cr_assert_not_null(payloads[i] = shoal_alloc_in(segment, size), "%s",
                           shoal_error_message());
    for (size_t i = 0; i < BURST; i++)
        shoal_free(payloads[i]);
}

/* Free blocks of the size that the thread keeps. */
static uint64_t kept_of(size_t size)
{
    shoal_size_class found[80];
    const int count = shoal_segment_sizes(segment, found, COUNT_OF(found));
    for (int i = 0; i < count; i++)
        if (found[i].size_max >= size)
            return found[i].kept_count;
    return 0;
}

Test(hands, keep_little_however_many_sizes_are_used, .timeout = 60)
{
    uint64_t most = 0;
    setup();
    for (int round = 0; round < 10; round++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            burst(sizes[i]);
            const uint64_t kept = memory_audit(segment).kept;
            most = kept > most ? kept : most;
        }
    cr_assert(most > 4 * MIB && most <= KEPT_MOST, "%zu", (size_t)most);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(hands, let_a_size_go_that_is_wanted_no_more_for_those_that_are, .timeout = 60)
{
    setup();
    for (int round = 0; round < 10; round++)
        burst(LARGE);
    cr_assert_geq(kept_of(LARGE), BURST / 2);
    for (int round = 0; round < 100; round++)
        for (size_t i = 0; i < 4; i++)
            burst(sizes[COUNT_OF(sizes) - 1 - i]);
    cr_assert_eq(kept_of(LARGE), 0);
    for (size_t i = 0; i < 2; i++)
        cr_assert_gt(kept_of(sizes[COUNT_OF(sizes) - 1 - i]), 1);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(hands, keep_bursts_of_several_sizes_if_they_are_small_enough, .timeout = 60)
{
    setup();
    for (int round = 0; round < 10; round++)
        for (size_t i = 0; i < 8; i++)
            burst(sizes[i]);
    for (size_t i = 0; i < 8; i++)
        cr_assert_geq(kept_of(sizes[i]), BURST / 2, "%zu", sizes[i]);
    assert_code(shoal_segment_detach(segment), 0);
}
