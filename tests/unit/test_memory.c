/* Payloads: allocation, contents, misuse, references. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

TestSuite(memory, .timeout = 60);

static const size_t sizes[] = { 0,      1,     2,     7,     8,      15,      16,
                                17,     31,    48,    63,    64,     65,      100,
                                127,    128,   129,   255,   256,    1000,    1024,
                                4000,   4096,  4097,  8192,  16384,  32768,   65519,
                                65520,  65535, 65536, 65537, 100000, 1 << 20, (1 << 20) + 1,
                                5 << 20 };

/* Bytes that tell the block and the place in it. */
static void pattern_fill(unsigned char *bytes, size_t size, unsigned salt)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)((i * 131 + salt * 29) ^ (i >> 8));
}

static bool pattern_holds(const unsigned char *bytes, size_t size, unsigned salt)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)((i * 131 + salt * 29) ^ (i >> 8)))
            return false;
    return true;
}

/* 2.24 */
Test(memory, all_sizes_are_aligned_apart_and_keep_their_contents, .timeout = 60)
{
    unsigned char *payloads[COUNT_OF(sizes)];
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            payloads[i] = shoal_alloc(sizes[i]);
            cr_assert_not_null(payloads[i], "%zu bytes: %s", sizes[i], shoal_error_message());
            cr_assert_eq((uintptr_t)payloads[i] % 16, 0);
            cr_assert_eq(shoal_size(payloads[i]), sizes[i]);
            pattern_fill(payloads[i], sizes[i], (unsigned)i + round);
        }
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            cr_assert(pattern_holds(payloads[i], sizes[i], (unsigned)i + round), "%zu", sizes[i]);
            shoal_free(payloads[i]);
        }
    }
    cr_assert_str_eq(shoal_error_message(), "");
}

Test(memory, freed_memory_is_used_again, .timeout = 60)
{
    /* Far more in sum than the smallest segment holds at once. */
    shoal_segment segment;
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 16 << 20 }, &segment),
                0);
    for (unsigned round = 0; round < 300; round++)
        for (size_t size = 16; size <= 1 << 20; size *= 4) {
            unsigned char *payload = shoal_alloc_in(segment, size);
            cr_assert_not_null(payload, "round %u, %zu: %s", round, size, shoal_error_message());
            payload[size - 1] = 1;
            shoal_free(payload);
        }
    assert_code(shoal_segment_detach(segment), 0);
}

/* 2.24: a negative size is one of them. */
Test(memory, absurd_sizes_are_out_of_memory, .timeout = 60)
{
    static const size_t absurd[] = { SIZE_MAX,         SIZE_MAX - 1, SIZE_MAX - 15,
                                     SIZE_MAX - 4096,  SIZE_MAX / 2, UINT64_C(1) << 48,
                                     UINT64_C(1) << 41 };
    unsigned char *kept = shoal_alloc(100);
    pattern_fill(kept, 100, 1);
    for (size_t i = 0; i < COUNT_OF(absurd); i++) {
        cr_assert_null(shoal_alloc(absurd[i]));
        cr_assert(shoal_error_message()[0]);
        cr_assert_null(shoal_calloc(absurd[i], 1));
        cr_assert_null(shoal_calloc(1, absurd[i]));
        cr_assert_null(shoal_alloc_in(shoal_segment_family(), absurd[i]));
    }
    cr_assert(pattern_holds(kept, 100, 1));
    shoal_free(kept);
}

Test(memory, calloc_zeroes_recycled_memory_and_refuses_overflow, .timeout = 60)
{
    for (size_t size = 1; size <= 300000; size = size * 3 + 1) {
        unsigned char *dirty = shoal_alloc(size);
        memset(dirty, 0xa5, size);
        shoal_free(dirty);
        unsigned char *payload = shoal_calloc(size, 1);
        cr_assert_not_null(payload);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(payload[i], 0);
        cr_assert_eq(shoal_size(payload), size);
        shoal_free(payload);
    }
    cr_assert_null(shoal_calloc(SIZE_MAX, 2));
    cr_assert_null(shoal_calloc(SIZE_MAX / 2, 3));
    cr_assert_null(shoal_calloc(UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1));
    void *nothing = shoal_calloc(0, SIZE_MAX);
    cr_assert_not_null(nothing);
    cr_assert_eq(shoal_size(nothing), 0);
    shoal_free(nothing);
    struct pair {
        long one, other;
    } *pair = SHOAL_NEW(struct pair);
    cr_assert(pair && pair->one == 0 && pair->other == 0 && shoal_size(pair) == sizeof *pair);
    shoal_free(pair);
}

Test(memory, alloc_in_names_the_segment, .timeout = 60)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(NULL, &segment), 0);
    void *inside = shoal_alloc_in(segment, 10), *outside = shoal_alloc_in((shoal_segment){ 0 }, 10);
    cr_assert(inside && outside);
    const shoal_any place = { shoal_ref_of(inside).ref }, other = { shoal_ref_of(outside).ref };
    cr_assert(SHOAL_SAME(shoal_segment_of(place), segment));
    cr_assert(SHOAL_SAME(shoal_segment_of(other), shoal_segment_family()));
    shoal_free(inside);
    shoal_free(outside);
    assert_code(shoal_segment_detach(segment), 0);
    cr_assert_null(shoal_alloc_in(segment, 10));
}

Test(memory, aligned_payloads_are_aligned_apart_and_found, .timeout = 60)
{
    unsigned char *payloads[COUNT_OF(sizes)];
    for (size_t alignment = 1; alignment <= 64; alignment *= 2)
        for (unsigned round = 0; round < 5; round++) {
            for (size_t i = 0; i < COUNT_OF(sizes); i++) {
                payloads[i] = shoal_alloc_aligned(alignment, sizes[i]);
                cr_assert_not_null(payloads[i], "%zu: %s", sizes[i], shoal_error_message());
                cr_assert_eq((uintptr_t)payloads[i] % alignment, 0, "%zu", sizes[i]);
                cr_assert_eq(shoal_size(payloads[i]), sizes[i]);
                pattern_fill(payloads[i], sizes[i], (unsigned)i + round);
            }
            for (size_t i = 0; i < COUNT_OF(sizes); i++) {
                cr_assert(pattern_holds(payloads[i], sizes[i], (unsigned)i + round), "%zu",
                          sizes[i]);
                cr_assert_eq(shoal_deref(shoal_ref_of(payloads[i])), payloads[i]);
                shoal_free(payloads[i]);
            }
        }
    cr_assert_str_eq(shoal_error_message(), "");
    static const size_t wrong[] = { 0, 3, 24, 65, 96, 128, SIZE_MAX };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        cr_assert_null(shoal_alloc_aligned(wrong[i], 100), "%zu", wrong[i]);
    cr_assert_null(shoal_alloc_aligned(64, SIZE_MAX));
    cr_assert_null(shoal_alloc_aligned(64, SIZE_MAX / 2));
}

/* Every class of blocks, those of lines too: a run full of each, and each block is found. */
Test(memory, every_block_of_every_class_is_found, .timeout = 60)
{
    enum { BLOCKS = 200 };
    unsigned char *payloads[BLOCKS];
    for (size_t size = 1; size < 100000; size = size * 5 / 4 + 1)
        for (size_t alignment = 16; alignment <= 64; alignment *= 4) {
            for (size_t i = 0; i < BLOCKS; i++) {
                payloads[i] = shoal_alloc_aligned(alignment, size);
                cr_assert_not_null(payloads[i], "%zu: %s", size, shoal_error_message());
                memset(payloads[i], (int)i, size);
            }
            for (size_t i = 0; i < BLOCKS; i++) {
                cr_assert_eq(shoal_size(payloads[i]), size);
                cr_assert_eq(payloads[i][0], (unsigned char)i);
                cr_assert_eq(payloads[i][size - 1], (unsigned char)i);
                shoal_free(payloads[i]);
                cr_assert_eq(shoal_size(payloads[i]), 0);
            }
        }
}

Test(memory, strdup_copies_the_text, .timeout = 60)
{
    char *empty = shoal_strdup(""), *text = shoal_strdup("a text");
    cr_assert(empty && text);
    cr_assert_str_eq(empty, "");
    cr_assert_str_eq(text, "a text");
    cr_assert_eq(shoal_size(empty), 1);
    cr_assert_eq(shoal_size(text), 7);
    shoal_free(empty);
    shoal_free(text);
    cr_assert_null(shoal_strdup(NULL));
    cr_assert(shoal_error_message()[0]);
}

/* --- misuse --------------------------------------------------------------------------------- */

static char *last_message(void)
{
    static char text[256];
    strncpy(text, shoal_error_message(), sizeof text - 1);
    return text;
}

/* Makes the thread's last failure a known one, so that a later one shows. */
static void message_reset(void)
{
    assert_code(shoal_segment_attach_fd(-1, NULL), -EINVAL);
    last_message();
}

/* Each of these must be told and change nothing. */
static void misuse_is_told(void *pointer, const char *what)
{
    message_reset();
    char *before = strdup(last_message());
    shoal_free(pointer);
    cr_assert_str_neq(shoal_error_message(), before, "%s: free said nothing", what);
    message_reset();
    cr_assert_eq(shoal_size(pointer), 0, "%s", what);
    cr_assert_str_neq(shoal_error_message(), before, "%s: size said nothing", what);
    cr_assert(SHOAL_IS_NONE(shoal_ref_of(pointer)), "%s", what);
    free(before);
}

static char in_data[64];

Test(memory, pointers_that_are_no_payload_are_told, .timeout = 60)
{
    char on_stack[64] = "", *on_heap = calloc(1, 4096);
    unsigned char *payload = shoal_alloc(1000), *large = shoal_alloc(3 << 20);
    pattern_fill(payload, 1000, 5);
    pattern_fill(large, 3 << 20, 6);
    misuse_is_told(on_stack + 16, "stack");
    misuse_is_told(on_heap + 64, "heap");
    misuse_is_told(in_data, "data");
    misuse_is_told((void *)(uintptr_t)16, "low");
    misuse_is_told((void *)(UINTPTR_MAX - 15), "high");
    for (size_t i = 1; i < 1000; i++)
        misuse_is_told(payload + i, "inside a payload");
    for (size_t i = 16; i < 3 << 20; i += 65536 - 16)
        misuse_is_told(large + i, "inside a large payload");
    misuse_is_told(payload - 16, "before a payload");
    misuse_is_told(payload - 1, "before a payload");
    cr_assert(pattern_holds(payload, 1000, 5) && pattern_holds(large, 3 << 20, 6));
    cr_assert_eq(shoal_size(payload), 1000);
    shoal_free(payload);
    shoal_free(large);
    free(on_heap);
}

/* The whole range from the start of the family's segment, beyond what is in use too. */
Test(memory, any_place_of_the_segment_is_bounded, .timeout = 60)
{
    unsigned char *payload = shoal_alloc(1000);
    pattern_fill(payload, 1000, 5);
    unsigned char *base = payload;
    while (!SHOAL_IS_NONE(shoal_segment_family()) && (uintptr_t)base % (2u << 20))
        base -= 16;
    for (size_t i = 0; i < 64u << 20; i += 4096 + 16) {
        if (base + i == payload)
            continue;
        cr_assert_eq(shoal_size(base + i), 0);
        shoal_free(base + i);
    }
    cr_assert(pattern_holds(payload, 1000, 5));
    cr_assert_eq(shoal_size(payload), 1000);
    shoal_free(payload);
}

Test(memory, freed_twice_is_told_and_harmless, .timeout = 60)
{
    static const size_t some[] = { 1, 100, 5000, 65536, 1 << 20, 5 << 20 };
    for (size_t i = 0; i < COUNT_OF(some); i++) {
        unsigned char *payload = shoal_alloc(some[i]);
        shoal_free(payload);
        misuse_is_told(payload, "freed before");
        /* It was given back once: two allocations never get the same place. */
        unsigned char *one = shoal_alloc(some[i]), *other = shoal_alloc(some[i]);
        cr_assert(one && other && one != other);
        shoal_free(one);
        shoal_free(other);
    }
}

Test(memory, null_is_nothing, .timeout = 60)
{
    shoal_free(NULL);
    cr_assert_str_eq(shoal_error_message(), "");
    cr_assert_eq(shoal_size(NULL), 0);
    cr_assert(SHOAL_IS_NONE(shoal_ref_of(NULL)));
    cr_assert_null(shoal_deref((shoal_ref){ 0 }));
}

/* 2.24: freed after detach. */
Test(memory, payload_of_a_left_segment_is_told, .timeout = 60)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(NULL, &segment), 0);
    void *payload = shoal_alloc_in(segment, 100);
    const shoal_ref ref = shoal_ref_of(payload);
    cr_assert_eq(shoal_deref(ref), payload);
    assert_code(shoal_segment_detach(segment), 0);
    cr_assert_null(shoal_deref(ref));
    misuse_is_told(payload, "in a segment that was left");
}

/* --- who is not attached -------------------------------------------------------------------- */

static struct {
    void *_Atomic payload;
    shoal_segment segment;
} * board;

/* It changes nothing, not even what it cannot see. */
static int misuses_it(void)
{
    void *payload = board->payload;
    shoal_free(payload);
    CHILD_CHECK(strstr(shoal_error_message(), "not a payload"));
    CHILD_CHECK(shoal_size(payload) == 0);
    CHILD_CHECK(SHOAL_IS_NONE(shoal_ref_of(payload)));
    CHILD_CHECK(shoal_share(payload) == -EFAULT);
    CHILD_CHECK(shoal_unshare(payload) == -EFAULT);
    CHILD_CHECK(!shoal_alloc_under(payload, 1));
    return 0;
}

static int never_attaches(void *argument)
{
    (void)argument;
    CHILD_CHECK(harness_until(board->payload));
    return misuses_it();
}

static int detaches(void *argument)
{
    (void)argument;
    shoal_free(shoal_alloc_in(board->segment, 1));
    CHILD_CHECK(shoal_segment_detach(board->segment) == 0);
    return misuses_it();
}

/* 2.24: freed by a process that was never attached, or is so no longer. */
Test(memory, who_is_not_attached_is_told_and_frees_nothing, .timeout = 60)
{
    board = harness_shared(sizeof *board);
    const pid_t stranger = harness_child(never_attaches, NULL);
    assert_code(shoal_segment_create(NULL, &board->segment), 0);
    unsigned char *payload = shoal_alloc_in(board->segment, 1000);
    pattern_fill(payload, 1000, 7);
    board->payload = payload;
    cr_assert_eq(harness_wait(stranger), 0);
    cr_assert_eq(harness_wait(harness_child(detaches, NULL)), 0);
    cr_assert_eq(shoal_size(payload), 1000);
    cr_assert(pattern_holds(payload, 1000, 7));
    shoal_free(payload);
    assert_code(shoal_segment_detach(board->segment), 0);
}

/* --- references ----------------------------------------------------------------------------- */

Test(memory, references_lead_back, .timeout = 60)
{
    void *payloads[COUNT_OF(sizes)];
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        payloads[i] = shoal_alloc(sizes[i]);
        const shoal_ref ref = shoal_ref_of(payloads[i]);
        cr_assert_not(SHOAL_IS_NONE(ref));
        cr_assert_eq(shoal_deref(ref), payloads[i]);
        for (size_t k = 0; k < i; k++)
            cr_assert_not(SHOAL_SAME(ref, shoal_ref_of(payloads[k])));
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        shoal_free(payloads[i]);
}

Test(memory, reference_is_stale_once_the_payload_is_freed, .timeout = 60)
{
    static const size_t some[] = { 1, 100, 5000, 65536, 3 << 20 };
    for (size_t i = 0; i < COUNT_OF(some); i++)
        for (int round = 0; round < 100; round++) {
            void *payload = shoal_alloc(some[i]);
            const shoal_ref ref = shoal_ref_of(payload);
            shoal_free(payload);
            cr_assert_null(shoal_deref(ref));
            void *again = shoal_alloc(some[i]);
            cr_assert_null(shoal_deref(ref), "%zu bytes: the place was given out again", some[i]);
            cr_assert_eq(shoal_deref(shoal_ref_of(again)), again);
            shoal_free(again);
        }
}

Test(memory, random_references_are_none, .timeout = 60)
{
    uint64_t state = harness_seed("random_references_are_none");
    unsigned char *payload = shoal_alloc(1000);
    pattern_fill(payload, 1000, 5);
    const uint64_t good = shoal_ref_of(payload).ref;
    for (unsigned bit = 0; bit < 64; bit++)
        cr_assert_neq(shoal_deref((shoal_ref){ good ^ UINT64_C(1) << bit }), payload, "bit %u",
                      bit);
    for (int i = 0; i < 200000; i++) {
        const uint64_t word = harness_random(&state);
        cr_assert(word == good || shoal_deref((shoal_ref){ word }) != payload);
        const uint64_t near = (good & ~UINT64_C(0xffffffff)) | (word & 0xffffffff);
        cr_assert(near == good || !shoal_deref((shoal_ref){ near }));
    }
    cr_assert(pattern_holds(payload, 1000, 5));
    shoal_free(payload);
}

/* --- threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, HELD = 64, STEPS = 20000 };

struct worker {
    pthread_t thread;
    uint64_t seed;
    unsigned id, failures;
};

/* Allocates and frees at random and looks whether anybody else wrote into what it holds. */
static void *hammer(void *argument)
{
    struct worker *worker = argument;
    struct {
        unsigned char *bytes;
        size_t size;
        unsigned salt;
    } held[HELD] = { { 0 } };
    for (unsigned step = 0; step < STEPS; step++) {
        const size_t i = harness_random(&worker->seed) % HELD;
        if (held[i].bytes) {
            worker->failures += !pattern_holds(held[i].bytes, held[i].size, held[i].salt);
            worker->failures += shoal_size(held[i].bytes) != held[i].size;
            shoal_free(held[i].bytes);
            held[i].bytes = NULL;
            continue;
        }
        const uint64_t random = harness_random(&worker->seed);
        held[i].size = random % 100 == 0 ? random % 200000 : random % 600;
        held[i].salt = step * THREADS + worker->id;
        held[i].bytes = shoal_alloc(held[i].size);
        worker->failures += !held[i].bytes || (uintptr_t)held[i].bytes % 16;
        if (held[i].bytes)
            pattern_fill(held[i].bytes, held[i].size, held[i].salt);
    }
    for (size_t i = 0; i < HELD; i++)
        shoal_free(held[i].bytes);
    return NULL;
}

Test(memory, threads_never_share_a_block, .timeout = 180)
{
    struct worker workers[THREADS];
    const uint64_t seed = harness_seed("threads_never_share_a_block");
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .seed = seed + i, .id = i };
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, hammer, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        cr_assert_eq(workers[i].failures, 0, "thread %u: %u", i, workers[i].failures);
    }
}

static void *frees(void *payload)
{
    shoal_free(payload);
    return NULL;
}

Test(memory, any_thread_of_the_owner_may_free, .timeout = 60)
{
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        void *payload = shoal_alloc(100);
        const shoal_ref ref = shoal_ref_of(payload);
        cr_assert_eq(pthread_create(&thread, NULL, frees, payload), 0);
        pthread_join(thread, NULL);
        cr_assert_null(shoal_deref(ref));
    }
}

static void *allocates(void *argument)
{
    (void)argument;
    char *payload = shoal_alloc(64);
    shoal_free(payload);
    return payload;
}

/* More threads, one after the other, than there are places for them: each gives its own back. */
Test(memory, three_thousand_threads_come_and_go, .timeout = 180)
{
    for (int i = 0; i < 3000; i++) {
        pthread_t thread;
        void *payload = NULL;
        cr_assert_eq(pthread_create(&thread, NULL, allocates, NULL), 0);
        pthread_join(thread, &payload);
        cr_assert_not_null(payload, "thread %d: %s", i, shoal_error_message());
    }
}
