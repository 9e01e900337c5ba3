/*
 * Memory as a day uses it: phases of small and of large blocks, which the next phase finds held in
 * part; and processes with threads that allocate, hand over and free at random until they are
 * killed.
 */
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(allocator, .timeout = 300);

static shoal_segment segment;

/* --- a day ---------------------------------------------------------------------------------- */

enum { HELD = 1 << 16, STEPS = 200000 };

/* Bytes that a phase holds when it is steady, and the sizes of its blocks. */
static const struct phase {
    uint64_t live;
    size_t least, most;
} phases[] = {
    { 8 << 20, 16, 200 },       { 24 << 20, 200, 4000 },        { 4 << 20, 16, 64 },
    { 32 << 20, 10000, 60000 }, { 16 << 20, 64, 1000 },         { 32 << 20, 100000, 900000 },
    { 8 << 20, 16, 4000 },      { 48 << 20, 1 << 20, 6 << 20 }, { 32 << 20, 16, 200000 },
};

struct day {
    void *held[HELD];
    uint64_t live, peak, state;
};

/* Sizes of every order of magnitude between the two alike. */
static size_t size_of_phase(const struct phase *phase, uint64_t *state)
{
    size_t most = phase->least * 2;
    while (most < phase->most && harness_random(state) % 3)
        most *= 2;
    most = most < phase->most ? most : phase->most;
    return phase->least + (size_t)(harness_random(state) % (most - phase->least + 1));
}

static void day_step(struct day *day, const struct phase *phase)
{
    void **const place = &day->held[harness_random(&day->state) % HELD];
    day->live -= *place ? shoal_size(*place) : 0;
    shoal_free(*place);
    *place = NULL;
    if (day->live >= phase->live)
        return;
    const size_t size = size_of_phase(phase, &day->state);
    *place = shoal_alloc_in(segment, size);
    cr_assert_not_null(*place, "%zu bytes: %s", size, shoal_error_message());
    day->live += size;
    day->peak = day->live > day->peak ? day->live : day->peak;
}

/* Of the phase's blocks nothing stays but for one in a thousand; then a second passes, and the
 * allocator does what it does then. */
static void day_phase_ends(struct day *day)
{
    for (size_t i = 0; i < HELD; i++) {
        if (i % 1000 == 0)
            continue;
        day->live -= day->held[i] ? shoal_size(day->held[i]) : 0;
        shoal_free(day->held[i]);
        day->held[i] = NULL;
    }
    const struct shl_segment *inside = shl_segment_of_handle(segment);
    shl_alloc_flush(inside, shl_self(inside));
    shl_runs_collect(inside, shl_self(inside)->owner, true);
}

/* What the segment takes from the system stays near what was live at most. */
Test(allocator, a_day_takes_little_more_than_its_peak, .timeout = 300)
{
    struct day *day = calloc(1, sizeof *day);
    uint64_t committed = 0;
    segment = memory_segment(256 << 20);
    day->state = harness_seed("a_day_takes_little_more_than_its_peak");
    for (size_t i = 0; i < 2 * COUNT_OF(phases); i++) {
        for (unsigned step = 0; step < STEPS; step++)
            day_step(day, &phases[i % COUNT_OF(phases)]);
        const uint64_t now = memory_audit(segment).committed;
        committed = now > committed ? now : committed;
        day_phase_ends(day);
    }
    fprintf(stderr, "a_day_takes_little_more_than_its_peak: %llu MiB of %llu MiB live\n",
            (unsigned long long)committed >> 20, (unsigned long long)day->peak >> 20);
    /* The constant: of each class in use a run is not full, and those of large blocks are long. */
    cr_assert_leq(committed, day->peak * 13 / 10 + (32 << 20));
    for (size_t i = 0; i < HELD; i++)
        shoal_free(day->held[i]);
    memory_give_back(segment);
    cr_assert_leq(memory_audit(segment).committed, 4 << 20);
    free(day);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- processes with threads, and kills ------------------------------------------------------ */

enum { PROCESSES = 8, THREADS = 3, OWN = 40 };

static struct {
    shoal_queue queue;
    atom32 stop;
    atom64 steps;
} * board;

/* The first byte and the last: a block that two have shows. */
static void mark(unsigned char *payload, size_t size, unsigned char salt)
{
    payload[0] = payload[size - 1] = salt;
}

static void free_marked(unsigned char *payload, unsigned char salt)
{
    const size_t size = shoal_size(payload);
    CHILD_CHECK(size > 0 && payload[0] == salt && payload[size - 1] == salt);
    shoal_free(payload);
}

static void one_step(unsigned char *held[OWN], uint64_t *state)
{
    const unsigned i = (unsigned)(harness_random(state) % OWN);
    const size_t size = 1 + (size_t)(harness_random(state) % (16u << harness_random(state) % 16));
    void *message;
    if (held[i] && harness_random(state) % 3 == 0 &&
        shoal_queue_put(board->queue, held[i], SHOAL_NOW) == 0)
        held[i] = NULL;
    else if (held[i])
        free_marked(held[i], (unsigned char)i);
    held[i] = shoal_alloc_in(segment, size);
    if (held[i])
        mark(held[i], size, (unsigned char)i);
    if (harness_random(state) % 3 == 0 && shoal_queue_get(board->queue, &message, SHOAL_NOW) == 0)
        free_marked(message, *(unsigned char *)message);
}

static void *steps(void *seed)
{
    uint64_t state = *(uint64_t *)seed;
    unsigned char *held[OWN] = { NULL };
    while (!atom_load_relaxed(&board->stop)) {
        one_step(held, &state);
        atom_add_relaxed(&board->steps, 1);
    }
    for (unsigned i = 0; i < OWN; i++)
        if (held[i])
            free_marked(held[i], (unsigned char)i);
    return NULL;
}

static int process(void *seed)
{
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = *(uint64_t *)seed + i;
        CHILD_CHECK(pthread_create(&threads[i], NULL, steps, &seeds[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static pid_t begin(uint64_t *state)
{
    uint64_t seed = harness_random(state);
    return harness_child(process, &seed);
}

static unsigned kill_until(uint64_t end_ns, uint64_t *state)
{
    pid_t pids[PROCESSES];
    unsigned kills = 0;
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = begin(state);
    for (; harness_now_ns() < end_ns; kills++) {
        pid_t *const pid = &pids[harness_random(state) % PROCESSES];
        const uint64_t next_ns = harness_now_ns() + harness_random(state) % 10000000;
        while (harness_now_ns() < next_ns)
            sched_yield();
        kill(*pid, SIGKILL);
        cr_assert_eq(harness_wait(*pid), -SIGKILL);
        if (harness_random(state) % 2) /* else whoever finds no slot settles it */
            shl_peer_recover_all(shl_segment_of_handle(segment));
        *pid = begin(state);
    }
    atom_store_relaxed(&board->stop, 1);
    for (unsigned i = 0; i < PROCESSES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0, "process %u", i);
    return kills;
}

Test(allocator, eight_processes_with_threads_are_killed_and_every_byte_comes_back, .timeout = 300)
{
    const char *given = getenv("SHOAL_TEST_SECONDS");
    const uint64_t seconds = given ? strtoull(given, NULL, 10) : 4;
    uint64_t state = harness_seed("eight_processes_with_threads");
    segment = memory_segment(128 << 20);
    board = harness_shared(sizeof *board);
    const shoal_queue_options options = { .segment = segment, .capacity_count = 200 };
    assert_code(shoal_queue_create(&options, &board->queue), 0);
    memory_give_back(segment);
    const shoal_audit before = memory_audit(segment);
    const unsigned kills = kill_until(harness_now_ns() + seconds * 1000000000u, &state);
    fprintf(stderr, "eight_processes_with_threads: %u kills, %llu steps\n", kills,
            (unsigned long long)atom_load_relaxed(&board->steps));
    shl_peer_recover_all(shl_segment_of_handle(segment));
    for (void *message; shoal_queue_get(board->queue, &message, SHOAL_NOW) == 0;)
        shoal_free(message);
    memory_give_back(segment);
    const shoal_audit after = memory_audit(segment);
    cr_assert_eq(after.lost, 0, "%llu bytes", (unsigned long long)after.lost);
    cr_assert_eq(after.owned + after.queued + after.kept, 0);
    cr_assert_eq(after.objects, before.objects);
    cr_assert_eq(after.unused, before.unused);
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}
