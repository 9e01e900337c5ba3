/*
 * Many processes, many messages, for a few seconds: what went in comes out, once, in order, whole.
 * Seeded; SHOAL_TEST_SECONDS makes it longer.
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

TestSuite(flood, .timeout = 600);

enum { PARTIES_MAX = 8 };

struct message {
    uint64_t producer, number, sum;
    uint64_t words_count;
    uint64_t words[];
};

/* What each process sums up; producers' and consumers' totals must be equal. */
struct totals {
    _Atomic uint64_t messages, bytes, sum;
};

struct board {
    struct totals put[PARTIES_MAX], got[PARTIES_MAX];
    _Atomic int stop;
};

struct flood {
    struct board *board;
    shoal_queue queue;
    uint64_t seed;
    uint64_t index;
    uint64_t words_max;
};

static uint64_t sum_of(const struct message *message)
{
    uint64_t sum = message->producer * 31 + message->number;
    for (uint64_t i = 0; i < message->words_count; i++)
        sum = (sum ^ message->words[i]) * UINT64_C(1099511628211);
    return sum;
}

static void produce(const struct flood *flood)
{
    struct totals *totals = &flood->board->put[flood->index];
    uint64_t state = flood->seed + flood->index;
    for (uint64_t number = 0; !flood->board->stop; number++) {
        const uint64_t words_count = harness_random(&state) % (flood->words_max + 1);
        struct message *message = shoal_alloc(sizeof *message + words_count * 8);
        CHILD_CHECK(message);
        message->producer = flood->index;
        message->number = number;
        message->words_count = words_count;
        for (uint64_t i = 0; i < words_count; i++)
            message->words[i] = state * (i + 1);
        message->sum = sum_of(message);
        totals->messages++;
        totals->bytes += words_count * 8;
        totals->sum += message->sum;
        CHILD_CHECK(shoal_queue_put(flood->queue, message, harness_deadline()) == 0);
    }
}

static int produces(void *argument)
{
    produce(argument);
    return 0;
}

static int consumes(void *argument)
{
    const struct flood *flood = argument;
    struct totals *totals = &flood->board->got[flood->index];
    uint64_t next[PARTIES_MAX] = { 0 };
    void *payload = NULL;
    int code;
    while ((code = shoal_queue_get(flood->queue, &payload, harness_deadline())) == 0) {
        const struct message *message = payload;
        CHILD_CHECK(shoal_size(payload) == sizeof *message + message->words_count * 8);
        CHILD_CHECK(message->producer < PARTIES_MAX && message->sum == sum_of(message));
        CHILD_CHECK(message->number >= next[message->producer]);
        next[message->producer] = message->number + 1;
        totals->messages++;
        totals->bytes += message->words_count * 8;
        totals->sum += message->sum;
        shoal_free(payload);
    }
    CHILD_CHECK(code == -EPIPE);
    return 0;
}

static struct totals totals_of(struct totals *each, int count)
{
    struct totals all = { 0, 0, 0 };
    for (int i = 0; i < count; i++) {
        all.messages += each[i].messages;
        all.bytes += each[i].bytes;
        all.sum += each[i].sum;
    }
    return all;
}

static void flood_for(const char *name, int producers, int consumers, size_t capacity,
                      uint64_t words_max)
{
    struct flood floods[2 * PARTIES_MAX];
    pid_t pids[2 * PARTIES_MAX];
    shoal_queue queue;
    struct board *board = harness_shared(sizeof *board);
    const uint64_t seed = harness_seed(name);
    const shoal_queue_options options = { .capacity_count = capacity };
    assert_code(shoal_queue_create(&options, &queue), 0);
    for (int i = 0; i < producers + consumers; i++) {
        const bool producer = i < producers;
        floods[i] = (struct flood){ board, queue, seed, (uint64_t)(producer ? i : i - producers),
                                    words_max };
        pids[i] = harness_child(producer ? produces : consumes, &floods[i]);
    }
    const uint64_t end_ns = harness_now_ns() + (uint64_t)(harness_seconds(5) / 3 * 1e9);
    struct harness_poll poll = { .end_ns = end_ns };
    while (harness_poll_again(&poll)) {}
    board->stop = 1;
    for (int i = 0; i < producers + consumers; i++) {
        if (i == producers)
            assert_code(shoal_queue_shutdown(queue), 0);
        const int status = harness_wait(pids[i]);
        cr_assert_eq(status, 0, "process %d of %s: %d", i, name, status);
    }
    const struct totals put = totals_of(board->put, producers),
                        got = totals_of(board->got, consumers);
    fprintf(stderr, "%s: %llu messages, %llu MB\n", name, (unsigned long long)put.messages,
            (unsigned long long)(put.bytes >> 20));
    cr_assert_gt(put.messages, 0);
    cr_assert_eq(put.messages, got.messages);
    cr_assert_eq(put.bytes, got.bytes);
    cr_assert_eq(put.sum, got.sum);
    assert_code(shoal_queue_destroy(queue), 0);
    munmap(board, sizeof *board);
}

Test(flood, four_to_four_small_messages, .timeout = 600)
{
    flood_for("four_to_four_small_messages", 4, 4, 256, 16);
}

Test(flood, three_to_two_large_messages, .timeout = 600)
{
    flood_for("three_to_two_large_messages", 3, 2, 16, 16000);
}

Test(flood, two_to_five_over_a_queue_of_three, .timeout = 600)
{
    flood_for("two_to_five_over_a_queue_of_three", 2, 5, 3, 200);
}
