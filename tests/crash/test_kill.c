/*
 * Processes killed at any instant inside put, get, alloc and free: the others go on, no message
 * comes twice or out of its producer's order, and the queue and the memory stay usable.
 * Spec 1.6.4.
 */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(kill, .timeout = 180);

/* --- what a message says -------------------------------------------------------------------- */

enum { PLACES = 4, LIVES = 1024 };

struct message {
    uint32_t life;   /* which process sent it: each gets a number of its own */
    uint32_t number; /* 0, 1, 2 … in the order of its puts */
    uint32_t check, size;
    unsigned char filling[];
};

/* What the processes tell each other outside the library. */
struct board {
    _Atomic uint32_t lives_count;
    _Atomic uint32_t puts[LIVES]; /* numbers whose put returned */
    _Atomic uint32_t gets;        /* messages taken, by all */
    _Atomic int failures, stop;
    _Atomic int line;                  /* of the first failure */
    _Atomic uint32_t seen[LIVES * 64]; /* a bit per message that was taken */
};

static struct board *board;
static shoal_queue queue;
static uint32_t numbers_max = 2048; /* messages that one life sends; times the lives: see mark() */

static bool holds(bool condition, int line)
{
    int none = 0;
    if (condition)
        return true;
    atomic_compare_exchange_strong(&board->line, &none, line);
    board->failures++;
    return false;
}
#define HOLDS(condition) holds(condition, __LINE__)

static struct message *message_new(uint32_t life, uint32_t number, uint64_t *state)
{
    const uint32_t size = (uint32_t)(harness_random(state) % 300);
    struct message *message = shoal_alloc(sizeof *message + size);
    if (!HOLDS(message))
        return NULL;
    message->life = life;
    message->number = number;
    message->check = ~(life * 31 + number);
    message->size = size;
    memset(message->filling, (int)(number + life), size);
    return message;
}

static bool message_holds(const void *payload)
{
    const struct message *message = payload;
    if (shoal_size(payload) < sizeof *message || message->life >= LIVES ||
        message->check != ~(message->life * 31 + message->number) ||
        shoal_size(payload) != sizeof *message + message->size)
        return false;
    for (uint32_t i = 0; i < message->size; i++)
        if (message->filling[i] != (unsigned char)(message->number + message->life))
            return false;
    return true;
}

/* True the first time. */
static bool mark(const struct message *message)
{
    const size_t at = (size_t)message->life * numbers_max + message->number;
    const uint32_t bit = 1u << at % 32;
    if (at / 32 >= COUNT_OF(board->seen))
        return false;
    return !(atomic_fetch_or(&board->seen[at / 32], bit) & bit);
}

/* --- what the processes do ------------------------------------------------------------------ */

/* Puts its own messages, takes anybody's, holds some memory meanwhile: all at random. */
static int hammers(void *argument)
{
    uint64_t state = *(uint64_t *)argument;
    const uint32_t life = board->lives_count++;
    int64_t last[LIVES];
    void *held[8] = { NULL };
    uint32_t number = 0;
    memset(last, -1, sizeof last);
    if (!HOLDS(life < LIVES))
        return 1;
    while (!board->stop) {
        const uint64_t random = harness_random(&state);
        void **const slot = &held[random % 8];
        shoal_free(*slot);
        *slot = shoal_alloc(random / 8 % 2000);
        if (random % 2 == 0 && number < numbers_max) {
            struct message *message = message_new(life, number, &state);
            if (message && shoal_queue_put(queue, message, shoal_after_ms(1)) == 0)
                board->puts[life] = ++number;
            else
                shoal_free(message);
            continue;
        }
        void *payload = NULL;
        if (shoal_queue_get(queue, &payload, shoal_after_ms(1)) != 0)
            continue;
        const struct message *message = payload;
        if (HOLDS(message_holds(payload))) {
            HOLDS(mark(message));
            HOLDS((int64_t)message->number > last[message->life]);
            last[message->life] = message->number;
        }
        board->gets++;
        shoal_free(payload);
    }
    return 0;
}

static void board_make(size_t capacity_count)
{
    const shoal_queue_options options = { .capacity_count = capacity_count };
    board = harness_shared(sizeof *board);
    cr_assert_not_null(board);
    assert_code(shoal_queue_create(&options, &queue), 0);
}

static void no_failures(void)
{
    cr_assert_eq(board->failures, 0, "%d failures, the first at line %d", board->failures,
                 board->line);
}

/* Others get and put while the dead are replaced: something moves between any two kills. */
static unsigned kill_for(uint64_t seconds, uint64_t *state)
{
    uint64_t seeds[PLACES];
    pid_t pids[PLACES];
    unsigned kills = 0;
    for (int i = 0; i < PLACES; i++) {
        seeds[i] = harness_random(state);
        pids[i] = harness_child(hammers, &seeds[i]);
    }
    const uint64_t end_ns = harness_now_ns() + seconds * 1000000000;
    while (harness_now_ns() < end_ns && board->lives_count < LIVES - PLACES) {
        const uint64_t victim = harness_random(state) % PLACES;
        harness_wait_at_random(state, 3000000);
        const uint32_t before = board->gets;
        kill(pids[victim], SIGKILL);
        cr_assert_eq(harness_wait(pids[victim]), -SIGKILL);
        kills++;
        /* At once: the others may have put all the numbers that they have. */
        seeds[victim] = harness_random(state);
        pids[victim] = harness_child(hammers, &seeds[victim]);
        cr_assert(harness_until(board->gets > before + 10), "nobody proceeds after kill %u", kills);
        no_failures();
    }
    board->stop = 1;
    for (int i = 0; i < PLACES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    return kills;
}

/* What is still queued is whole, in order and new; then the queue is as good as a fresh one. */
static void queue_is_usable(size_t capacity_count)
{
    int64_t last[LIVES];
    void *payload = NULL;
    memset(last, -1, sizeof last);
    while (shoal_queue_get(queue, &payload, SHOAL_NOW) == 0) {
        const struct message *message = payload;
        cr_assert(message_holds(payload));
        cr_assert(mark(message), "message %u of %u came twice", message->number, message->life);
        cr_assert_gt((int64_t)message->number, last[message->life]);
        last[message->life] = message->number;
        shoal_free(payload);
    }
    cr_assert_eq(shoal_queue_qsize(queue), 0);
    for (size_t lap = 0; lap < 3; lap++) {
        for (size_t i = 0; i < capacity_count; i++)
            assert_code(shoal_queue_put_bytes(queue, &i, sizeof i, SHOAL_NOW), 0);
        assert_code(shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW), -ETIMEDOUT);
        for (size_t i = 0; i < capacity_count; i++) {
            assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
            cr_assert_eq(*(size_t *)payload, i);
            shoal_free(payload);
        }
    }
}

static void killed_at_random(const char *name, size_t capacity_count, uint64_t seconds)
{
    uint64_t state = harness_seed(name);
    board_make(capacity_count);
    const unsigned kills = kill_for(seconds, &state);
    no_failures();
    fprintf(stderr, "%s: %u kills, %u messages\n", name, kills, board->gets);
    cr_assert_geq(kills, 30);
    queue_is_usable(capacity_count);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* 1.6.4 */
Test(kill, at_random_instants_over_a_roomy_queue_1_6_4, .timeout = 180)
{
    killed_at_random("at_random_instants_over_a_roomy_queue", 100, 6);
}

/* Full and empty all the time: kills hit sleepers and those about to wake others. */
Test(kill, at_random_instants_over_a_tiny_queue_1_6_4, .timeout = 180)
{
    killed_at_random("at_random_instants_over_a_tiny_queue", 2, 6);
}

/* --- what was put before the kill is there -------------------------------------------------- */

static int puts_only(void *argument)
{
    uint64_t state = *(uint64_t *)argument;
    const uint32_t life = board->lives_count++;
    for (uint32_t number = 0; number < numbers_max; number++) {
        struct message *message = message_new(life, number, &state);
        if (!message || shoal_queue_put(queue, message, SHOAL_FOREVER) != 0)
            return 1;
        board->puts[life] = number + 1;
    }
    return 0;
}

/* 1.10.7: killed inside put: all that returned, and at most the one under way; nothing else. */
Test(kill, putter_killed_inside_put_loses_nothing_that_returned_1_10_7, .timeout = 180)
{
    uint64_t state = harness_seed("putter_killed_inside_put");
    board_make(64);
    for (uint32_t life = 0; life < 300; life++) {
        uint64_t seed = harness_random(&state);
        const pid_t pid = harness_child(puts_only, &seed);
        const uint64_t end_ns = harness_now_ns() + 500000 + harness_random(&state) % 1500000;
        uint32_t expected = 0;
        bool killed = false;
        for (;;) {
            void *payload = NULL;
            if (!killed && harness_now_ns() >= end_ns) {
                kill(pid, SIGKILL);
                const int status = harness_wait(pid);
                cr_assert(status == -SIGKILL || status == 0, "%d", status);
                killed = true;
            }
            if (shoal_queue_get(queue, &payload, SHOAL_NOW) != 0) {
                if (killed)
                    break;
                continue;
            }
            const struct message *message = payload;
            cr_assert(message_holds(payload));
            cr_assert_eq(message->number, expected);
            expected++;
            shoal_free(payload);
        }
        const uint32_t lives = board->lives_count;
        const uint32_t returned = lives ? board->puts[lives - 1] : 0;
        if (expected > 0)
            cr_assert(expected == returned || expected == returned + 1, "%u of %u", expected,
                      returned);
    }
    no_failures();
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- stopped, not dead ---------------------------------------------------------------------- */

/* 1.5.7 for messages: a stopped process keeps what it holds, and goes on where it was. */
Test(kill, stopped_process_is_not_taken_for_dead_1_5_7, .timeout = 180)
{
    uint64_t state = harness_seed("stopped_process_is_not_taken_for_dead");
    uint64_t seeds[PLACES];
    pid_t pids[PLACES];
    numbers_max = LIVES * 2048 / PLACES;
    board_make(8);
    for (int i = 0; i < PLACES; i++) {
        seeds[i] = harness_random(&state);
        pids[i] = harness_child(hammers, &seeds[i]);
    }
    for (int round = 0; round < 150; round++) {
        const pid_t victim = pids[harness_random(&state) % PLACES];
        harness_wait_at_random(&state, 2000000);
        kill(victim, SIGSTOP);
        harness_wait_at_random(&state, 20000000);
        kill(victim, SIGCONT);
        const uint32_t before = board->gets;
        cr_assert(harness_until(board->gets > before + 10 || board->puts[0] == numbers_max));
        no_failures();
    }
    board->stop = 1;
    for (int i = 0; i < PLACES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    no_failures();
    queue_is_usable(8);
    uint64_t put = 0;
    for (int i = 0; i < PLACES; i++)
        put += board->puts[i];
    cr_assert_gt(put, 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* Nothing but put and get, so that a stop often strikes while a side of the ring is held. */
static int passes_tokens_on(void *argument)
{
    (void)argument;
    while (!board->stop) {
        void *payload = NULL;
        if (shoal_queue_get(queue, &payload, harness_deadline()) != 0)
            return 1;
        _Atomic uint32_t *holders = &board->puts[*(uint32_t *)payload % LIVES];
        HOLDS((*holders)++ == 0);
        (*holders)--;
        board->gets++;
        if (shoal_queue_put(queue, payload, harness_deadline()) != 0)
            return 1;
    }
    return 0;
}

/* 1.5.7: who waits for a stopped one's side waits, and does not take it: no token is doubled. */
Test(kill, stopped_process_is_not_robbed_of_its_side_1_5_7, .timeout = 180)
{
    enum { TOKENS = 64, WORKERS = 3 };
    uint64_t state = harness_seed("stopped_process_is_not_robbed_of_its_side");
    pid_t pids[WORKERS];
    board_make(TOKENS);
    for (uint32_t i = 0; i < TOKENS; i++)
        assert_code(shoal_queue_put_bytes(queue, &i, sizeof i, SHOAL_NOW), 0);
    for (int i = 0; i < WORKERS; i++)
        pids[i] = harness_child(passes_tokens_on, NULL);
    for (int round = 0; round < 1500; round++) {
        const pid_t victim = pids[harness_random(&state) % WORKERS];
        harness_wait_at_random(&state, 400000);
        kill(victim, SIGSTOP);
        harness_wait_at_random(&state, 2000000);
        kill(victim, SIGCONT);
    }
    const uint32_t before = board->gets;
    cr_assert(harness_until(board->gets > before + 100), "nobody proceeds");
    board->stop = 1;
    for (int i = 0; i < WORKERS; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    no_failures();
    cr_assert_eq(shoal_queue_qsize(queue), TOKENS);
    bool seen[TOKENS] = { false };
    for (int i = 0; i < TOKENS; i++) {
        void *payload = NULL;
        assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
        const uint32_t token = *(uint32_t *)payload;
        cr_assert(token < TOKENS && !seen[token]);
        seen[token] = true;
        shoal_free(payload);
    }
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- memory of the dead --------------------------------------------------------------------- */

static int allocates_and_frees(void *argument)
{
    uint64_t state = *(uint64_t *)argument;
    unsigned char *held[32] = { NULL };
    while (!board->stop) {
        const uint64_t random = harness_random(&state);
        unsigned char **const slot = &held[random % 32];
        if (*slot)
            HOLDS((*slot)[0] == (unsigned char)getpid() && shoal_size(*slot) > 0);
        shoal_free(*slot);
        *slot = shoal_alloc(1 + random / 32 % 3000);
        if (*slot)
            **slot = (unsigned char)getpid();
    }
    return 0;
}

/* Killed inside alloc or free: nobody ever gets a block that another one has. */
Test(kill, inside_alloc_and_free_corrupts_nothing_1_6_4, .timeout = 180)
{
    uint64_t state = harness_seed("inside_alloc_and_free"), seeds[3];
    pid_t pids[3];
    board_make(8);
    for (int i = 0; i < 3; i++) {
        seeds[i] = harness_random(&state);
        pids[i] = harness_child(allocates_and_frees, &seeds[i]);
    }
    const uint64_t end_ns = harness_now_ns() + UINT64_C(3000000000);
    unsigned kills = 0;
    while (harness_now_ns() < end_ns) {
        const uint64_t victim = harness_random(&state) % 3;
        harness_wait_at_random(&state, 3000000);
        kill(pids[victim], SIGKILL);
        cr_assert_eq(harness_wait(pids[victim]), -SIGKILL);
        kills++;
        seeds[victim] = harness_random(&state);
        pids[victim] = harness_child(allocates_and_frees, &seeds[victim]);
        unsigned char *mine[16];
        for (int i = 0; i < 16; i++) {
            mine[i] = shoal_alloc(200);
            cr_assert_not_null(mine[i], "after %u kills: %s", kills, shoal_error_message());
            memset(mine[i], i, 200);
        }
        for (int i = 0; i < 16; i++) {
            for (int k = 0; k < 200; k++)
                cr_assert_eq(mine[i][k], i);
            shoal_free(mine[i]);
        }
        no_failures();
    }
    for (int i = 0; i < 3; i++) {
        kill(pids[i], SIGKILL);
        cr_assert_eq(harness_wait(pids[i]), -SIGKILL);
    }
    cr_assert_geq(kills, 30);
    assert_code(shoal_queue_destroy(queue), 0);
}
