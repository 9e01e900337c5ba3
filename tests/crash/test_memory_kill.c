/* Random work with payloads while processes are killed: afterwards every byte is accounted for. */
#include "memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "mem/peer.h"

TestSuite(memory_kill, .timeout = 600);

enum { PLACES = 8, HELD_MAX = 64, QUEUES = 3 };

static struct {
    shoal_queue queues[QUEUES];
    _Atomic int stop;
    _Atomic uint64_t works[PLACES];
} * board;

struct life {
    int place;
    uint64_t seed;
};

/* A size of any order of magnitude up to a few chunks, small ones most. */
static size_t random_size(uint64_t *state)
{
    const unsigned bits = (unsigned)(harness_random(state) % 100);
    const unsigned most = bits < 70 ? 10 : bits < 95 ? 16 : bits < 99 ? 20 : 23;
    return (size_t)(harness_random(state) % (UINT64_C(1) << most));
}

/* Both ends tell whose block it is: a block that two have shows. */
static void mark(unsigned char *payload, size_t size, unsigned char salt)
{
    if (size > 0)
        payload[0] = payload[size - 1] = salt;
}

static void release(unsigned char *payload, unsigned char salt)
{
    const size_t size = shoal_size(payload);
    CHILD_CHECK(size == 0 || (payload[0] == salt && payload[size - 1] == salt));
    shoal_free(payload);
}

static void one_step(unsigned char *held[HELD_MAX], unsigned char salts[HELD_MAX], uint64_t *state)
{
    const unsigned i = (unsigned)(harness_random(state) % HELD_MAX);
    const shoal_queue queue = board->queues[harness_random(state) % QUEUES];
    const unsigned char salt = (unsigned char)harness_random(state);
    void *message;
    if (!held[i]) {
        const size_t size = random_size(state);
        held[i] = shoal_alloc(size);
        if (held[i])
            mark(held[i], size, salts[i] = salt);
    } else if (harness_random(state) % 4 == 0) {
        if (shoal_queue_put(queue, held[i], SHOAL_NOW) == 0)
            held[i] = NULL;
    } else {
        release(held[i], salts[i]);
        held[i] = NULL;
    }
    if (harness_random(state) % 4 == 0 && shoal_queue_get(queue, &message, SHOAL_NOW) == 0)
        shoal_free(message);
}

static int works(void *argument)
{
    const struct life *life = argument;
    uint64_t state = life->seed;
    unsigned char *held[HELD_MAX] = { NULL }, salts[HELD_MAX];
    while (!board->stop) {
        one_step(held, salts, &state);
        board->works[life->place]++;
    }
    for (int i = 0; i < HELD_MAX; i++)
        if (held[i])
            release(held[i], salts[i]);
    return 0;
}

static pid_t begin(struct life *life, int place, uint64_t *state)
{
    *life = (struct life){ place, harness_random(state) };
    return harness_child(works, life);
}

static unsigned kill_for(uint64_t ns, uint64_t *state)
{
    struct life lives[PLACES];
    pid_t pids[PLACES];
    unsigned kills = 0;
    for (int i = 0; i < PLACES; i++)
        pids[i] = begin(&lives[i], i, state);
    for (const uint64_t end_ns = harness_now_ns() + ns; harness_now_ns() < end_ns; kills++) {
        const int place = (int)(harness_random(state) % PLACES);
        harness_wait_at_random(state, 3000000);
        kill(pids[place], SIGKILL);
        cr_assert_eq(harness_wait(pids[place]), -SIGKILL);
        pids[place] = begin(&lives[place], place, state);
    }
    board->stop = 1;
    for (int i = 0; i < PLACES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0, "place %d", i);
    return kills;
}

Test(memory_kill, every_byte_is_accounted_for_2_24, .timeout = 600)
{
    uint64_t state = harness_seed("every_byte_is_accounted_for");
    board = harness_shared(sizeof *board);
    for (int i = 0; i < QUEUES; i++)
        assert_code(
            shoal_queue_create(&(shoal_queue_options){ .capacity_count = 100 }, &board->queues[i]),
            0);
    const unsigned kills = kill_for((uint64_t)(harness_seconds(4) * 1e9), &state);
    shl_peer_recover_all(shl_segment_family());
    const shoal_audit settled = memory_audit((shoal_segment){ 0 });
    uint64_t works = 0;
    for (int i = 0; i < PLACES; i++)
        works += board->works[i];
    fprintf(stderr, "every_byte_is_accounted_for: %u kills, %llu steps\n", kills,
            (unsigned long long)works);
    cr_assert_eq(settled.owned + settled.lost, 0);
    void *message;
    for (int i = 0; i < QUEUES; i++) {
        while (shoal_queue_get(board->queues[i], &message, SHOAL_NOW) == 0)
            shoal_free(message);
        assert_code(shoal_queue_destroy(board->queues[i]), 0);
    }
    const shoal_audit after = memory_audit((shoal_segment){ 0 });
    cr_assert_eq(after.owned + after.queued + after.shared, 0);
    cr_assert_eq(after.payloads_count, 0);
    cr_assert_eq(after.lost, 0);
    cr_assert_eq(after.objects, 0);
}
