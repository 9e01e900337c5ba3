/* Runs, pages and chunks: blocks go round among threads, memory goes back and serves others. */
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/chaos.h"
#include "os/futex.h"

TestSuite(runs, .timeout = 120);

/* --- blocks in all orders ------------------------------------------------------------------- */

enum { THREADS = 4, BLOCKS = 150, ROUNDS = 60 };

static struct {
    atom64 held[BLOCKS]; /* offsets of payloads: whoever empties a place frees it */
    atom32 failures;
    shoal_segment segment;
} exchange;

struct worker {
    pthread_t thread;
    uint64_t seed;
};

/* A block that two have shows: its word is written twice, or not what was written. */
static void free_marked(uint64_t *payload)
{
    if (payload && *payload != (uint64_t)(uintptr_t)payload)
        atom_add_relaxed(&exchange.failures, 1);
    if (payload)
        *payload = 0;
    shoal_free(payload);
}

/* Puts new blocks where it takes old ones away: what one thread took another one gives. */
static void *exchanges(void *argument)
{
    uint64_t *state = &((struct worker *)argument)->seed;
    static const size_t sizes[] = { 8, 60, 1000, 9000, 60000 };
    for (int i = 0; i < ROUNDS * BLOCKS; i++) {
        uint64_t *payload = shoal_alloc_in(exchange.segment,
                                           sizes[harness_random(state) % COUNT_OF(sizes)]);
        if (!payload) {
            atom_add_relaxed(&exchange.failures, 1);
            continue;
        }
        if (*payload == (uint64_t)(uintptr_t)payload)
            atom_add_relaxed(&exchange.failures, 1);
        *payload = (uint64_t)(uintptr_t)payload;
        /* seq_cst: a place hands a payload from thread to thread, both ways. */
        free_marked((uint64_t *)(uintptr_t)atom_exchange_seq_cst(
            &exchange.held[harness_random(state) % BLOCKS], (uint64_t)(uintptr_t)payload));
    }
    return NULL;
}

/* 2.24: random allocs and frees, and the sum is exact. */
Test(runs, blocks_go_round_among_threads_and_all_come_back, .timeout = 120)
{
    struct worker workers[THREADS];
    const uint64_t seed = harness_seed("blocks_go_round_among_threads");
    exchange.segment = memory_segment(64 << 20);
    memory_give_back(exchange.segment);
    const shoal_audit before = memory_audit(exchange.segment);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].seed = seed + i;
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, exchanges, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < BLOCKS; i++)
        free_marked((uint64_t *)(uintptr_t)atom_load_relaxed(&exchange.held[i]));
    cr_assert_eq(atom_load_relaxed(&exchange.failures), 0);
    memory_give_back(exchange.segment);
    const shoal_audit after = memory_audit(exchange.segment);
    cr_assert_eq(after.unused, before.unused);
    cr_assert_eq(after.free + after.kept + after.owned + after.lost, before.free);
    assert_code(shoal_segment_detach(exchange.segment), 0);
}

/* --- one after another ---------------------------------------------------------------------- */

enum { HELD_MAX = 300000 };

struct hoard {
    shoal_segment segment;
    void **held;
    size_t count;
};

static struct hoard hoard_begin(size_t size_max)
{
    return (struct hoard){ memory_segment(size_max), calloc(HELD_MAX, sizeof(void *)), 0 };
}

/* Until there is no more; how many. */
static size_t hoard_fill(struct hoard *hoard, size_t size)
{
    const size_t begin = hoard->count;
    void *payload;
    while (hoard->count < HELD_MAX && (payload = shoal_alloc_in(hoard->segment, size)))
        hoard->held[hoard->count++] = payload;
    return hoard->count - begin;
}

/* Every `step`th first, then the others. */
static void hoard_free(struct hoard *hoard, size_t step)
{
    for (size_t k = 0; k < step; k++)
        for (size_t i = k; i < hoard->count; i += step)
            shoal_free(hoard->held[i]);
    hoard->count = 0;
}

static void hoard_end(struct hoard *hoard)
{
    free(hoard->held);
    assert_code(shoal_segment_detach(hoard->segment), 0);
}

Test(runs, a_full_segment_answers_enomem_and_is_as_new_afterwards, .timeout = 120)
{
    static const size_t sizes[] = { 64, 1000, 5000, 40000, 200000, 1 << 20, 1835008, 2 << 20 };
    struct hoard hoard = hoard_begin(16 << 20);
    const struct shl_segment *inside = shl_segment_of_handle(hoard.segment);
    memory_give_back(hoard.segment);
    const shoal_audit before = memory_audit(hoard.segment);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const size_t count = hoard_fill(&hoard, sizes[i]);
        cr_assert(strstr(shoal_error_message(), "size_max"), "%s", shoal_error_message());
        cr_assert_eq(shl_error_code(), -ENOMEM);
        cr_assert_eq(memory_audit(hoard.segment).payloads_count, count);
        /* Less what a chunk's end loses where no run fits. */
        cr_assert_geq(count * sizes[i], (16u << 20) / 4, "%zu bytes", sizes[i]);
        hoard_free(&hoard, i + 1);
        cr_assert_eq(memory_audit(hoard.segment).owned, 0);
        shl_alloc_flush(inside, shl_self(inside)); /* what it keeps would hold some chunks */
    }
    memory_give_back(hoard.segment);
    const shoal_audit after = memory_audit(hoard.segment);
    cr_assert_eq(after.unused, before.unused);
    hoard_end(&hoard);
}

/* At once, but for the runs of the blocks that the thread keeps. */
Test(runs, the_pages_of_one_class_serve_another, .timeout = 120)
{
    struct hoard hoard = hoard_begin(8 << 20);
    const size_t small = hoard_fill(&hoard, 64);
    hoard_free(&hoard, 7);
    const size_t large = hoard_fill(&hoard, 8192);
    cr_assert_geq(large * (8192 + 16) * 4, small * (64 + 16) * 3, "%zu after %zu", large, small);
    hoard_free(&hoard, 2);
    const size_t again = hoard_fill(&hoard, 64);
    cr_assert_geq(again * 4, small * 3, "%zu after %zu", again, small);
    hoard_free(&hoard, 1);
    hoard_end(&hoard);
}

/* 2.24 */
Test(runs, empty_chunks_go_back_to_the_system, .timeout = 120)
{
    struct hoard hoard = hoard_begin(64 << 20);
    memory_give_back(hoard.segment);
    const shoal_audit before = memory_audit(hoard.segment);
    for (int i = 0; i < 100000; i++)
        hoard.held[hoard.count++] = shoal_alloc_in(hoard.segment, 200);
    const shoal_audit full = memory_audit(hoard.segment);
    cr_assert_geq(full.committed, before.committed + 100000 * (200 + 16));
    hoard_free(&hoard, 3);
    memory_give_back(hoard.segment);
    const shoal_audit after = memory_audit(hoard.segment);
    cr_assert_eq(after.unused, before.unused);
    cr_assert_leq(after.committed, before.committed);
    hoard_end(&hoard);
}

/* Most of what fills two chunks is freed, given back, and used again: how much of that is used
 * without memory. */
static int64_t used_without_memory(void)
{
    enum { COUNT = 300, KEPT = 30, SIZE = 10000 };
    const shoal_segment segment = memory_segment(16 << 20);
    memory_give_back(segment);
    const int64_t before = memory_missing(segment);
    void *payloads[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        payloads[i] = shoal_alloc_in(segment, SIZE);
    const uint64_t full = memory_audit(segment).committed;
    for (size_t i = 0; i < COUNT; i++)
        if (i % KEPT != 0)
            shoal_free(payloads[i]);
    memory_give_back(segment);
    const uint64_t least = memory_audit(segment).committed;
    cr_assert_leq(least, full - COUNT / 2 * SIZE, "%llu of %llu", (unsigned long long)least,
                  (unsigned long long)full);
    for (size_t i = 0; i < COUNT; i++)
        if (i % KEPT != 0)
            cr_assert_not_null(payloads[i] = shoal_alloc_in(segment, SIZE));
    const int64_t missing = memory_missing(segment) - before;
    for (size_t i = 0; i < COUNT; i++)
        shoal_free(payloads[i]);
    assert_code(shoal_segment_detach(segment), 0);
    return missing;
}

Test(runs, free_pages_of_a_chunk_in_use_go_back_and_get_memory_before_use, .timeout = 120)
{
    cr_assert_leq(used_without_memory(), 0);
    shl_mistake = "pages.filled";
    cr_expect_gt(used_without_memory(), 0, "pages.filled is not found");
    shl_mistake = NULL;
}

/* In turns: what lies too short for one is used by another, or goes to the system. */
Test(runs, runs_of_several_lengths_waste_no_chunks, .timeout = 120)
{
    struct hoard hoard = hoard_begin(64 << 20);
    uint64_t live = 0;
    for (int i = 0; i < 500; i++) {
        static const size_t sizes[] = { 7168, 32768, 49152 };
        const size_t size = sizes[i % 3];
        cr_assert_not_null(hoard.held[hoard.count++] = shoal_alloc_in(hoard.segment, size));
        live += size;
    }
    const shoal_audit full = memory_audit(hoard.segment);
    cr_assert_leq(full.size - full.unused, live * 13 / 10 + (6 << 20), "%llu used for %llu",
                  (unsigned long long)(full.size - full.unused), (unsigned long long)live);
    hoard_free(&hoard, 1);
    hoard_end(&hoard);
}

/* Blocks in runs of one page, one of which in the middle of its chunk is held: the only one. */
struct almost_free {
    struct hoard hoard;
    const struct shl_segment *inside;
    struct shl_attachment *self;
    void *pinned;
};

static struct almost_free almost_free_begin(void)
{
    struct almost_free half = { .hoard = hoard_begin(4 << 20) };
    half.inside = shl_segment_of_handle(half.hoard.segment);
    half.self = shl_self(half.inside);
    const size_t count = hoard_fill(&half.hoard, 7168);
    half.pinned = half.hoard.held[count / 2];
    half.hoard.held[count / 2] = NULL;
    hoard_free(&half.hoard, 1);
    shl_alloc_flush(half.inside, half.self);
    return half;
}

static void almost_free_end(struct almost_free *half)
{
    shoal_free(half->pinned);
    hoard_end(&half->hoard);
}

/* Else who needs chunks would not ask the system again. */
Test(runs, who_collects_is_told_that_pages_went_to_the_system, .timeout = 120)
{
    struct almost_free half = almost_free_begin();
    while (shl_runs_collect(half.inside, half.self->owner, false)) {}
    const uint64_t before = memory_audit(half.hoard.segment).committed;
    cr_assert(shl_runs_collect(half.inside, half.self->owner, true));
    cr_assert_lt(memory_audit(half.hoard.segment).committed, before - (1 << 20));
    cr_assert_not(shl_runs_collect(half.inside, half.self->owner, true));
    almost_free_end(&half);
}

/* So many pages, TAKEN by somebody, in a segment whose file is no more its descriptor's or is. */
static bool take_pages(const struct almost_free *half, uint32_t owner, uint32_t count, bool refused)
{
    uint64_t number;
    bool zero;
    const int kept = dup(half->inside->fd), other = dup(STDIN_FILENO);
    cr_assert_geq(refused ? dup2(other, half->inside->fd) : 0, 0);
    const bool taken = shl_pages_take(half->inside, owner, count, PAGES_ANY, &number, &zero);
    cr_assert_geq(dup2(kept, half->inside->fd), 0);
    close(kept);
    close(other);
    return taken;
}

Test(runs, pages_that_may_have_memory_go_back_to_the_system, .timeout = 120)
{
    enum { OTHER = 5, COUNT = 40 };
    struct almost_free half = almost_free_begin();
    memory_give_back(half.hoard.segment);
    const uint64_t least = memory_audit(half.hoard.segment).committed;
    struct shl_dead dead = { .threads[OTHER] = 1 };
    cr_assert(take_pages(&half, PEER_OWNER_MAKE(OTHER, 1), COUNT, false));
    shl_alloc_settle(half.inside, &dead);
    cr_assert_gt(memory_audit(half.hoard.segment).committed, least);
    memory_give_back(half.hoard.segment);
    cr_assert_eq(memory_audit(half.hoard.segment).committed, least, "of the dead");

    void *block = shoal_alloc_in(half.hoard.segment, 7168);
    shoal_free(block);
    shl_alloc_flush(half.inside, half.self);
    shl_runs_collect(half.inside, half.self->owner, false); /* one page has memory */
    cr_assert_not(take_pages(&half, half.self->owner, COUNT, true));
    memory_give_back(half.hoard.segment);
    cr_assert_eq(memory_audit(half.hoard.segment).committed, least, "of the refused");
    almost_free_end(&half);
}

/* --- large blocks --------------------------------------------------------------------------- */

Test(runs, a_large_block_is_committed_only_as_far_as_needed, .timeout = 120)
{
    const shoal_segment segment = memory_segment(64 << 20);
    memory_give_back(segment);
    const shoal_audit before = memory_audit(segment);
    static const size_t sizes[] = { (2 << 20) - PAYLOAD_LINE, (2 << 20) - PAYLOAD_LINE + 1, 5 << 20,
                                    (8 << 20) + 100 };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned char *payload = shoal_alloc_in(segment, sizes[i]);
        payload[sizes[i] - 1] = 1;
        const shoal_audit during = memory_audit(segment);
        cr_assert_leq(during.committed, before.committed + sizes[i] + PAYLOAD_LINE + 4096);
        cr_assert_geq(during.committed, before.committed + sizes[i]);
        cr_assert_eq(during.owned % CHUNK_SIZE, 0);
        cr_assert_lt(during.owned, sizes[i] + PAYLOAD_LINE + CHUNK_SIZE);
        shoal_free(payload);
        cr_assert_eq(memory_audit(segment).committed, before.committed);
    }
    assert_code(shoal_segment_detach(segment), 0);
}

/* A large block that somebody looks at stays as it is when it is freed: who needs room finds it. */
Test(runs, a_large_block_that_was_named_when_it_was_freed_is_found, .timeout = 120)
{
    enum { OTHER = 5, COUNT = 1000, SIZE = 4000 };
    static void *payloads[COUNT];
    const shoal_segment segment = memory_segment(8 << 20);
    const struct shl_segment *inside = shl_segment_of_handle(segment);
    void *large = shoal_alloc_in(segment, 5 << 20);
    cr_assert_not_null(large);
    const uint32_t other = PEER_OWNER_MAKE(OTHER, 1);
    cr_assert(shl_large_enter(inside, other, shl_offset(inside, large) / CHUNK_SIZE));
    shoal_free(large);
    shl_pages_leave(inside, other);
    cr_assert_eq(memory_audit(segment).lost, 0);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_not_null(payloads[i] = shoal_alloc_in(segment, SIZE), "%zu: %s", i,
                           shoal_error_message());
    for (size_t i = 0; i < COUNT; i++)
        shoal_free(payloads[i]);
    assert_code(shoal_segment_detach(segment), 0);
}

/* Also in what its hands keep. */
Test(runs, a_large_block_finds_room_in_what_the_thread_has_freed, .timeout = 120)
{
    enum { COUNT = 1200, SIZE = 4000 };
    static void *payloads[COUNT];
    const shoal_segment segment = memory_segment(8 << 20);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_not_null(payloads[i] = shoal_alloc_in(segment, SIZE));
    for (size_t i = 0; i < COUNT; i++)
        shoal_free(payloads[i]);
    void *large = shoal_alloc_in(segment, 5 << 20);
    cr_assert_not_null(large, "%s", shoal_error_message());
    shoal_free(large);
    assert_code(shoal_segment_detach(segment), 0);
}

/* Else what the journal of a dead sender says would be taken for the next block's send. */
Test(runs, sends_of_a_large_block_are_not_numbered_as_its_predecessor_s, .timeout = 120)
{
    const shoal_segment segment = memory_segment(64 << 20);
    void *before = shoal_alloc_in(segment, 3 << 20);
    const uint32_t seq = block_own_seq(shl_block(before)->own);
    shoal_free(before);
    void *after = shoal_alloc_in(segment, 3 << 20);
    cr_assert_eq(before, after, "the place was not used anew");
    cr_assert_geq((block_own_seq(shl_block(after)->own) - seq) & 0xffff, 256);
    shoal_free(after);
    assert_code(shoal_segment_detach(segment), 0);
}

static void *zeroed_in(shoal_segment segment, size_t size)
{
    void *payload = shoal_alloc_in(segment, size);
    return payload ? memset(payload, 0, size) : NULL;
}

static struct {
    atom32 stalled, released;
    const char *point;
} stop;

/* Frees, gives what it keeps as it ends, and is stopped in between. */
static void *is_stopped(void *payload)
{
    shl_chaos_plan(
        &(struct shl_chaos_plan){ stop.point, SHL_CHAOS_STALL, 0, &stop.stalled, &stop.released });
    shoal_free(payload);
    return NULL;
}

static void stop_at(const char *point, pthread_t *thread, void *payload)
{
    stop.point = point;
    stop.stalled = stop.released = 0;
    cr_assert_eq(pthread_create(thread, NULL, is_stopped, payload), 0);
    /* acquire <- the stopped thread */
    cr_assert(harness_until(atom_load_acquire(&stop.stalled)), "nobody comes to %s", point);
}

static void go_on(pthread_t thread)
{
    /* release -> the stopped thread, which may sleep there */
    atom_store_release(&stop.released, 1);
    shl_futex_wake(&stop.released, 1);
    pthread_join(thread, NULL);
}

/* Who settles a death meanwhile gives the chunks, and they become another block: true if that one
 * stays whole. */
static bool successor_lives(void)
{
    const shoal_segment segment = memory_segment(64 << 20);
    pthread_t thread;
    unsigned char *payload = shoal_alloc_in(segment, 3 << 20);
    stop_at("alloc.large", &thread, payload);
    shl_alloc_settle(shl_segment_of_handle(segment), &(struct shl_dead){ .left = false });
    unsigned char *successor = shoal_alloc_in(segment, 3 << 20);
    cr_assert_eq(successor, payload, "the place was not used anew");
    memset(successor, 7, 3 << 20);
    go_on(thread);
    const bool lives = shoal_size(successor) == 3 << 20 && successor[(3 << 20) - 1] == 7;
    shoal_free(successor);
    assert_code(shoal_segment_detach(segment), 0);
    return lives;
}

Test(runs, a_late_giver_of_a_large_block_leaves_its_successor_alone, .timeout = 120)
{
    cr_assert(successor_lives());
}

enum { SHARERS = 9 }; /* as many as there are in a run of nearly all pages of a chunk */

/* A thread gives one block of a run and is stopped at a step; then all the others come back, so
 * that the chunk goes to the system and may become something else: true if nobody writes there,
 * and the memory comes back once the thread goes on. */
static bool successor_of_a_run_lives(const char *point, bool settled)
{
    const shoal_segment segment = memory_segment(64 << 20);
    const struct shl_segment *inside = shl_segment_of_handle(segment);
    memory_give_back(segment);
    const uint64_t unused = memory_audit(segment).unused;
    void *payloads[SHARERS];
    pthread_t thread;
    for (size_t i = 0; i < SHARERS; i++)
        payloads[i] = shoal_alloc_in(segment, 220000);
    stop_at(point, &thread, payloads[0]);
    for (size_t i = 1; i < SHARERS; i++)
        shoal_free(payloads[i]);
    shl_alloc_flush(inside, shl_self(inside));
    if (settled) /* his bit is missing: then all are made again */
        shl_alloc_settle(inside, &(struct shl_dead){ .left = false });
    memory_give_back(segment);
    unsigned char *successor = zeroed_in(segment, 3 << 20);
    go_on(thread);
    size_t written = shoal_size(successor) != 3 << 20;
    for (size_t i = 0; i < 3 << 20; i++)
        written += successor[i] != 0;
    for (size_t i = 0; i < BLOCKS_AT; i++) /* the chunk's first bytes, before the header */
        written += (successor - PAYLOAD_LINE)[i] != 0;
    shoal_free(successor);
    memory_give_back(segment);
    const bool back = memory_audit(segment).unused == unused && memory_audit(segment).lost == 0;
    assert_code(shoal_segment_detach(segment), 0);
    return written == 0 && back;
}

Test(runs, a_late_giver_leaves_what_becomes_of_the_run_alone, .timeout = 120)
{
    cr_assert(successor_of_a_run_lives("runs.giving", true), "before the bit");
    cr_assert(successor_of_a_run_lives("runs.given", false), "before the flag");
    cr_assert(successor_of_a_run_lives("runs.given", true), "before the flag, settled");
}

static struct almost_free purged;

static void *purges(void *unused)
{
    struct shl_attachment *self = shl_self(purged.inside);
    shl_chaos_plan(&(struct shl_chaos_plan){ "pages.purging", SHL_CHAOS_STALL, 0, &stop.stalled,
                                             &stop.released });
    shl_runs_collect(purged.inside, self->owner, true);
    return unused;
}

Test(runs, who_is_stopped_as_he_gives_pages_back_leaves_most_to_others, .timeout = 120)
{
    pthread_t thread;
    purged = almost_free_begin();
    stop.stalled = stop.released = 0;
    cr_assert_eq(pthread_create(&thread, NULL, purges, NULL), 0);
    /* acquire <- the stopped thread */
    cr_assert(harness_until(atom_load_acquire(&stop.stalled)));
    cr_assert_geq(hoard_fill(&purged.hoard, 7168), 2 * (PAGES_PER_CHUNK - 20));
    go_on(thread);
    cr_assert_geq(hoard_fill(&purged.hoard, 7168), 2);
    hoard_free(&purged.hoard, 1);
    almost_free_end(&purged);
}

/* --- caches and hints ----------------------------------------------------------------------- */

/* A thread holds one block of a run: true if nobody else gets it, whatever bits and flags say. */
static bool headers_decide(shoal_segment segment)
{
    const struct shl_segment *inside = shl_segment_of_handle(segment);
    void *held = shoal_alloc_in(segment, 5000), *others[8];
    bool mine = true;
    struct shl_run run;
    shl_alloc_flush(inside, shl_self(inside));
    cr_assert(shl_run_find(inside, shl_offset(inside, held) / PAGE_SIZE_SHM, &run));
    atom_or_seq_cst(&run.bits[0], (UINT64_C(1) << shl_sizes[run.size_class].blocks) - 1);
    atom_or_seq_cst(run.word, RUN_WHOLE);
    memory_give_back(segment);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        others[i] = shoal_alloc_in(segment, 5000);
        mine = mine && others[i] != held;
    }
    for (size_t i = 0; i < COUNT_OF(others); i++)
        shoal_free(others[i]);
    mine = mine && shoal_size(held) == 5000;
    shoal_free(held);
    return mine;
}

Test(runs, neither_bits_nor_hints_give_a_held_block_away, .timeout = 120)
{
    const shoal_segment segment = memory_segment(16 << 20);
    cr_assert(headers_decide(segment));
    cr_assert_eq(memory_audit(segment).lost, 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* In a full segment a thread gives a block, and is stopped before the hint says so: true if
 * somebody else gets it all the same. */
static bool the_last_block_is_found(void)
{
    struct hoard hoard = hoard_begin(8 << 20);
    pthread_t thread;
    hoard_fill(&hoard, 5000);
    stop_at("runs.some", &thread, hoard.held[--hoard.count]);
    void *last = shoal_alloc_in(hoard.segment, 5000);
    const bool found = last == hoard.held[hoard.count];
    go_on(thread);
    shoal_free(last);
    hoard_free(&hoard, 1);
    hoard_end(&hoard);
    return found;
}

Test(runs, a_full_segment_is_searched_whatever_the_hints_say, .timeout = 120)
{
    cr_assert(the_last_block_is_found());
}

enum { PAIRS = 40 };

/* A payload that does not lie in its run's first page. */
static size_t one_behind(const struct shl_segment *segment, void *const *payloads)
{
    for (size_t i = 0; i < PAIRS; i++)
        if (page_word_kind(shl_page_word(segment, shl_offset(segment, payloads[i]))) == PAGE_REST)
            return i;
    return PAIRS;
}

/* The page of a block that is about to be given says that it belongs to another run: true if
 * nothing is written, into that one's bits or elsewhere. */
static bool a_wrong_run_is_left_alone(void)
{
    const shoal_segment segment = memory_segment(16 << 20);
    const struct shl_segment *inside = shl_segment_of_handle(segment);
    void *payloads[PAIRS], *last = NULL;
    struct shl_run other;
    for (size_t i = 0; i < PAIRS; i++) {
        payloads[i] = zeroed_in(segment, 8192);
        last = payloads[i] > last ? payloads[i] : last;
    }
    cr_assert(shl_run_find(inside, shl_offset(inside, last) / PAGE_SIZE_SHM, &other));
    shl_alloc_flush(inside, shl_self(inside));
    void *payload = payloads[one_behind(inside, payloads)];
    shoal_free(payload);
    const uint64_t offset = shl_offset(inside, payload), chunk = offset / CHUNK_SIZE;
    atom64 *word = &shl_page_words(inside, chunk)[offset % CHUNK_SIZE / PAGE_SIZE_SHM];
    const uint64_t before = *word;
    *word = page_word_make(PAGE_REST, 0, page_word_class(before),
                           (uint32_t)(other.number % PAGES_PER_CHUNK));
    void *copy = malloc(CHUNK_SIZE);
    memcpy(copy, shl_at(inside, chunk * CHUNK_SIZE), CHUNK_SIZE);
    shl_alloc_flush(inside, shl_self(inside));
    const bool same = memcmp(copy, shl_at(inside, chunk * CHUNK_SIZE), CHUNK_SIZE) == 0;
    *word = before;
    free(copy);
    assert_code(shoal_segment_detach(segment), 0);
    return same;
}

Test(runs, a_damaged_page_word_harms_no_other_run, .timeout = 120)
{
    cr_assert(a_wrong_run_is_left_alone());
}

Test(runs, mistakes_are_found, .timeout = 120)
{
    static const char *const mistakes[] = { "runs.header", "runs.retire" };
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        const shoal_segment segment = memory_segment(16 << 20);
        shl_mistake = mistakes[i];
        cr_expect_not(headers_decide(segment), "%s is not found", mistakes[i]);
        shl_mistake = NULL;
        assert_code(shoal_segment_detach(segment), 0);
    }
    shl_mistake = "runs.back";
    const shoal_segment segment = memory_segment(16 << 20);
    cr_expect_neq(memory_audit(segment).lost, 0, "runs.back is not found");
    assert_code(shoal_segment_detach(segment), 0);
    shl_mistake = "pages.successor";
    cr_expect_not(successor_lives(), "pages.successor is not found");
    shl_mistake = "pages.named";
    cr_expect_not(successor_of_a_run_lives("runs.giving", true), "pages.named is not found");
    cr_expect_not(successor_of_a_run_lives("runs.given", false), "pages.named is not found");
    shl_mistake = "runs.gift";
    cr_expect_not(a_wrong_run_is_left_alone(), "runs.gift is not found");
    shl_mistake = "runs.thoroughly";
    cr_expect_not(the_last_block_is_found(), "runs.thoroughly is not found");
}

/* --- refusals ------------------------------------------------------------------------------- */

/* The system refuses to take back what is locked in memory: then it is not zero afterwards. */
Test(runs, memory_that_the_system_does_not_take_back_is_used_all_the_same, .timeout = 120)
{
    struct hoard hoard = hoard_begin(8 << 20);
    unsigned char *large = shoal_alloc_in(hoard.segment, (2 << 20) - PAYLOAD_LINE);
    memset(large, 2, (2 << 20) - PAYLOAD_LINE);
    cr_assert_eq(mlock(large, (2 << 20) - 4096), 0);
    shoal_free(large);
    memory_give_back(hoard.segment);
    cr_assert_geq(hoard_fill(&hoard, 64), (4u << 20) / 80);
    memory_audit(hoard.segment);
    hoard_free(&hoard, 1);
    munlock(large, (2 << 20) - 4096);
    hoard_end(&hoard);
}
