/*
 * Processes killed at any instant while they put and get values, ends among them: the others go on,
 * no value is torn, comes twice or out of its producer's order, and what was put is lost only in
 * the hands of a killed consumer. Spec 1.6.4, 1.10.7.
 */
#include "memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "mem/peer.h"

TestSuite(values_kill, .timeout = 180);

enum { LIVES = 256, NUMBERS = 1 << 18, BATCH = 8, VALUE_MAX = SHOAL_QUEUE_VALUE_SIZE_MAX };
enum { PUTTERS = 2, GETTERS = 2, PLACES = PUTTERS + GETTERS };

/* What the processes tell each other outside the library. */
struct board {
    _Atomic uint32_t lives_count;
    _Atomic uint32_t puts[LIVES]; /* how many of its values were put by a call that returned */
    _Atomic uint32_t idle;        /* so many putters were done before they were killed */
    _Atomic int failed_at, stop;  /* a line */
    _Atomic bool seen[LIVES][NUMBERS];
};

static struct board *board;
static shoal_queue queue;
static size_t size;
static bool single; /* one putter and one getter at a time, the others are refused */

#define HOLDS(condition) ((condition) ? (void)0 : (void)(board->failed_at = __LINE__))

/* A value says who put it and which of his it is; the last word repeats it. */
static void stamp(unsigned char *value, uint32_t life, uint32_t number)
{
    const uint32_t word = life * NUMBERS + number;
    memset(value, (int)(word * 7), size);
    memcpy(value, &word, sizeof word);
    memcpy(value + size - sizeof word, &word, sizeof word);
}

static void look_at(const unsigned char *value, int64_t *last)
{
    unsigned char expected[VALUE_MAX];
    uint32_t word;
    memcpy(&word, value, sizeof word);
    const uint32_t life = word / NUMBERS, number = word % NUMBERS;
    if (life >= LIVES) {
        HOLDS(false);
        return;
    }
    stamp(expected, life, number);
    HOLDS(memcmp(value, expected, size) == 0);
    HOLDS(!atomic_exchange(&board->seen[life][number], true));
    HOLDS((int64_t)number > last[life]);
    last[life] = number;
}

static int puts_all(void *argument)
{
    uint64_t state = *(uint64_t *)argument;
    const uint32_t life = board->lives_count++;
    static unsigned char values[BATCH * VALUE_MAX];
    CHILD_CHECK(life < LIVES);
    for (uint32_t number = 0; number + BATCH < NUMBERS && !board->stop;) {
        const uint32_t wanted = 1 + (uint32_t)(harness_random(&state) % BATCH);
        size_t count = 0;
        for (uint32_t i = 0; i < wanted; i++)
            stamp(values + i * size, life, number + i);
        if (harness_random(&state) % 16 == 0)
            (void)!shoal_queue_put_end(queue, SHOAL_NOW);
        if (shoal_queue_put_values(queue, values, size, wanted, &count, shoal_after_ms(2)) == 0)
            board->puts[life] = number += (uint32_t)count;
    }
    board->idle += !board->stop;
    CHILD_CHECK(harness_until(board->stop));
    return 0;
}

static int gets_all(void *argument)
{
    uint64_t state = *(uint64_t *)argument;
    static unsigned char values[BATCH * VALUE_MAX];
    static int64_t last[LIVES];
    memset(last, -1, sizeof last);
    while (!board->stop) {
        size_t count = 0;
        const size_t wanted = 1 + harness_random(&state) % BATCH;
        const int code = shoal_queue_get_values(queue, values, size, wanted, &count,
                                                shoal_after_ms(2));
        HOLDS(code == 0 || code == -ETIMEDOUT || code == -EPIPE || (single && code == -EPERM));
        for (size_t i = 0; code == 0 && i < count; i++)
            look_at(values + i * size, last);
    }
    return 0;
}

static pid_t start(unsigned place, uint64_t *state)
{
    uint64_t seed = harness_random(state);
    return harness_child(place < PUTTERS ? puts_all : gets_all, &seed);
}

static unsigned missing(void)
{
    unsigned count = 0;
    for (uint32_t life = 0; life < LIVES; life++)
        for (uint32_t number = 0; number < board->puts[life]; number++)
            count += !board->seen[life][number];
    return count;
}

/* What is left is whole too. */
static void drain(void)
{
    static unsigned char value[VALUE_MAX];
    static int64_t last[LIVES];
    memset(last, -1, sizeof last);
    while (!shoal_queue_empty(queue)) {
        const int code = shoal_queue_get_value(queue, value, size, SHOAL_NOW);
        cr_assert(code == 0 || code == -EPIPE, "code %d", code);
        if (code == 0)
            look_at(value, last);
    }
}

/* Kills among the first so many places: the putters stand first. */
static void killed_at_random(size_t value_size, unsigned places, unsigned kills)
{
    uint64_t state = harness_seed("values_kill");
    pid_t pids[PLACES];
    unsigned getters_killed = 0;
    board = harness_shared(sizeof *board);
    size = value_size;
    const shoal_queue_options options = { .capacity_count = 13,
                                          .value_size = size,
                                          .single_producer = single,
                                          .single_consumer = single };
    assert_code(shoal_queue_create(&options, &queue), 0);
    for (unsigned i = 0; i < PLACES; i++)
        pids[i] = start(i, &state);
    for (unsigned i = 0; i < kills; i++) {
        const unsigned place = (unsigned)(harness_random(&state) % places);
        harness_wait_at_random(&state, 4000000);
        cr_assert_eq(kill(pids[place], SIGKILL), 0);
        cr_assert_eq(harness_wait(pids[place]), -SIGKILL);
        getters_killed += place >= PUTTERS;
        pids[place] = start(place, &state);
    }
    board->stop = 1;
    for (unsigned i = 0; i < PLACES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    drain();
    cr_assert_eq(board->failed_at, 0, "line %d", board->failed_at);
    cr_assert_lt(board->idle, kills / 2, "%u had nothing to put when killed", board->idle);
    cr_assert_leq(missing(), getters_killed * BATCH);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- bytes ---------------------------------------------------------------------------------- */

static int moves_bytes(void *argument)
{
    uint64_t state = *(uint64_t *)argument;
    static const char bytes[400];
    while (!board->stop) {
        void *payload = NULL;
        const uint64_t random = harness_random(&state);
        if (random % 2)
            (void)!shoal_queue_put_bytes(queue, bytes, random / 2 % 400, shoal_after_ms(1));
        else if (shoal_queue_get(queue, &payload, shoal_after_ms(1)) == 0)
            shoal_free(payload);
    }
    return 0;
}

static void room_is_exact(void)
{
    static const char bytes[100];
    void *payload;
    while (!shoal_queue_empty(queue)) {
        assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
        shoal_free(payload);
    }
    for (int i = 0; i < 10; i++)
        assert_code(shoal_queue_put_bytes(queue, bytes, 100, SHOAL_NOW), 0);
    assert_code(shoal_queue_put_bytes(queue, bytes, 1, SHOAL_NOW), -ETIMEDOUT);
}

/* A capacity in bytes is what it was, whoever is killed while he counts. */
Test(values_kill, bytes_are_counted_right_behind_kills, .timeout = 120)
{
    uint64_t state = harness_seed("values_kill");
    pid_t pids[PLACES];
    board = harness_shared(sizeof *board);
    assert_code(shoal_queue_create(&(shoal_queue_options){ .capacity_size = 1000 }, &queue), 0);
    for (unsigned i = 0; i < PLACES; i++)
        pids[i] = harness_child(moves_bytes, &(uint64_t){ harness_random(&state) });
    for (unsigned i = 0; i < 100; i++) {
        const unsigned place = (unsigned)(harness_random(&state) % PLACES);
        harness_wait_at_random(&state, 4000000);
        cr_assert_eq(kill(pids[place], SIGKILL), 0);
        cr_assert_eq(harness_wait(pids[place]), -SIGKILL);
        pids[place] = harness_child(moves_bytes, &(uint64_t){ harness_random(&state) });
    }
    board->stop = 1;
    for (unsigned i = 0; i < PLACES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    room_is_exact();
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- values --------------------------------------------------------------------------------- */

/* Whoever of the others comes first has a dead one's side. */
Test(values_kill, single_sides_pass_on_and_lose_nothing, .timeout = 120)
{
    single = true;
    killed_at_random(8, PLACES, 100);
}

/* 1.10.7: of what was put nothing is missing, whoever has put it. */
Test(values_kill, putters_of_words_lose_nothing_that_returned_1_10_7, .timeout = 120)
{
    killed_at_random(8, PUTTERS, 100);
}

/* 1.10.7 */
Test(values_kill, putters_of_records_lose_nothing_that_returned_1_10_7, .timeout = 120)
{
    killed_at_random(1000, PUTTERS, 100);
}

/* 1.6.4 */
Test(values_kill, anybody_at_random_instants_over_words_1_6_4, .timeout = 120)
{
    killed_at_random(8, PLACES, 100);
}

/* 1.6.4 */
Test(values_kill, anybody_at_random_instants_over_records_1_6_4, .timeout = 120)
{
    killed_at_random(VALUE_MAX, PLACES, 100);
}

/* --- stops ---------------------------------------------------------------------------------- */

static int passes_words(void *unused)
{
    uint64_t word = 1;
    (void)unused;
    while (!board->stop) {
        (void)!shoal_queue_put_value(queue, &word, sizeof word, SHOAL_NOW);
        (void)!shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW);
    }
    return 0;
}

static void pass_some_words(void)
{
    uint64_t word = 2;
    while (shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW) == 0) {}
    for (int i = 0; i < 1000; i++) {
        assert_code(shoal_queue_put_value(queue, &word, sizeof word, SHOAL_NOW), 0);
        assert_code(shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW), 0);
    }
}

/* A ring of cells: wherever it stands still. */
Test(values_kill, a_stopped_process_holds_nobody_up, .timeout = 120)
{
    uint64_t state = harness_seed("values_kill");
    const shoal_queue_options options = { .capacity_count = 1, .value_size = sizeof(uint64_t) };
    board = harness_shared(sizeof *board);
    assert_code(shoal_queue_create(&options, &queue), 0);
    const pid_t pid = harness_child(passes_words, NULL);
    for (int i = 0; i < 200; i++) {
        harness_wait_at_random(&state, 2000000);
        siginfo_t stopped = { 0 };
        cr_assert_eq(kill(pid, SIGSTOP), 0);
        cr_assert_eq(waitid(P_PID, (id_t)pid, &stopped, WSTOPPED), 0);
        pass_some_words();
        cr_assert_eq(kill(pid, SIGCONT), 0);
    }
    board->stop = 1;
    cr_assert_eq(harness_wait(pid), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

static int waits_for_word(void *unused)
{
    uint64_t word;
    (void)unused;
    return shoal_queue_get_value(queue, &word, sizeof word, SHOAL_FOREVER) != -ESTALE;
}

static bool somebody_waits(void)
{
    shoal_queue_counters counters;
    assert_code(shoal_queue_stats(queue, &counters), 0);
    return counters.get_waits > 0;
}

/* Whoever destroys a queue does not wait for him for long; his death frees the rest. */
Test(values_kill, a_stopped_getter_keeps_a_destroyed_queue_until_it_dies, .timeout = 60)
{
    const shoal_queue_options options = { .capacity_count = 1, .value_size = sizeof(uint64_t) };
    const uint64_t before = memory_audit(shoal_segment_family()).objects;
    siginfo_t stopped = { 0 };
    assert_code(shoal_queue_create(&options, &queue), 0);
    const pid_t pid = harness_child(waits_for_word, NULL);
    cr_assert(harness_until(somebody_waits()));
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    cr_assert_eq(waitid(P_PID, (id_t)pid, &stopped, WSTOPPED), 0);
    assert_code(shoal_queue_destroy(queue), 0);
    cr_assert_gt(memory_audit(shoal_segment_family()).objects, before);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_neq(harness_wait(pid), 0);
    shl_peer_recover_all(shl_segment_family());
    cr_assert_eq(memory_audit(shoal_segment_family()).objects, before);
}
