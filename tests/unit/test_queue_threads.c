/* Queues among threads: waking, ending, counting. ThreadSanitizer sees these. */
#include "call.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

TestSuite(queue_threads, .timeout = 120);

/* --- one call that waits -------------------------------------------------------------------- */

static struct call getter_of(shoal_queue queue)
{
    return (struct call){ .function = call_gets, .queue = queue };
}

static struct call putter_of(shoal_queue queue)
{
    return (struct call){ .function = call_puts, .queue = queue, .payload = shoal_alloc(8) };
}

Test(queue_threads, blocked_get_is_woken_by_a_put, .timeout = 120)
{
    const shoal_queue queue = queue_of(4);
    for (int i = 0; i < 20; i++) {
        struct call call = getter_of(queue);
        call_sleeps(&call);
        assert_code(shoal_queue_put_bytes(queue, "woken", 6, SHOAL_NOW), 0);
        assert_code(call_ends(&call), 0);
        cr_assert_str_eq(call.payload, "woken");
        shoal_free(call.payload);
    }
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(queue_threads, blocked_put_is_woken_by_a_get, .timeout = 120)
{
    const shoal_queue queue = queue_of(1);
    assert_code(shoal_queue_put_bytes(queue, "0", 2, SHOAL_NOW), 0);
    for (int i = 0; i < 20; i++) {
        struct call call = putter_of(queue);
        void *payload = NULL;
        call_sleeps(&call);
        assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
        assert_code(call_ends(&call), 0);
        cr_assert_eq(shoal_queue_qsize(queue), 1);
        shoal_free(payload);
    }
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(queue_threads, shutdown_wakes_all_getters_and_putters, .timeout = 120)
{
    const shoal_queue empty = queue_of(4), full = queue_of(1);
    struct call getters[3], putters[3];
    assert_code(shoal_queue_put_bytes(full, "0", 2, SHOAL_NOW), 0);
    for (size_t i = 0; i < COUNT_OF(getters); i++) {
        getters[i] = getter_of(empty);
        putters[i] = putter_of(full);
        call_sleeps(&getters[i]);
        call_sleeps(&putters[i]);
    }
    assert_code(shoal_queue_shutdown(empty), 0);
    assert_code(shoal_queue_shutdown(full), 0);
    for (size_t i = 0; i < COUNT_OF(getters); i++) {
        assert_code(call_ends(&getters[i]), -EPIPE);
        assert_code(call_ends(&putters[i]), -EPIPE);
        cr_assert_null(getters[i].payload);
        cr_assert_eq(shoal_size(putters[i].payload), 8, "a refused payload is still the putter's");
        shoal_free(putters[i].payload);
    }
    cr_assert_eq(shoal_queue_qsize(full), 1);
    assert_code(shoal_queue_destroy(empty), 0);
    assert_code(shoal_queue_destroy(full), 0);
}

Test(queue_threads, destroy_wakes_all_getters_and_putters, .timeout = 120)
{
    for (int round = 0; round < 10; round++) {
        const shoal_queue empty = queue_of(4), full = queue_of(1);
        struct call getters[2], putters[2];
        assert_code(shoal_queue_put_bytes(full, "0", 2, SHOAL_NOW), 0);
        for (size_t i = 0; i < COUNT_OF(getters); i++) {
            getters[i] = getter_of(empty);
            putters[i] = putter_of(full);
            call_sleeps(&getters[i]);
            call_sleeps(&putters[i]);
        }
        assert_code(shoal_queue_destroy(empty), 0);
        assert_code(shoal_queue_destroy(full), 0);
        for (size_t i = 0; i < COUNT_OF(getters); i++) {
            assert_code(call_ends(&getters[i]), -ESTALE);
            assert_code(call_ends(&putters[i]), -ESTALE);
            cr_assert_eq(shoal_size(putters[i].payload), 8);
            shoal_free(putters[i].payload);
        }
    }
}

/* Destroying a queue while others are in the middle of calls: each ends with a code. */
static int uses_until_stale(struct call *call)
{
    int code;
    do {
        void *payload = NULL;
        code = shoal_queue_put_bytes(call->queue, "x", 2, harness_deadline());
        if (code == 0)
            code = shoal_queue_get(call->queue, &payload, harness_deadline());
        if (code == 0)
            shoal_free(payload);
    } while (code == 0);
    return code;
}

Test(queue_threads, destroy_in_the_middle_of_calls_is_safe, .timeout = 120)
{
    for (int round = 0; round < 60; round++) {
        const shoal_queue queue = queue_of(3);
        struct call calls[3];
        for (size_t i = 0; i < COUNT_OF(calls); i++) {
            calls[i] = (struct call){ .function = uses_until_stale, .queue = queue };
            call_start(&calls[i]);
        }
        assert_code(shoal_queue_destroy(queue), 0);
        for (size_t i = 0; i < COUNT_OF(calls); i++)
            assert_code(call_ends(&calls[i]), -ESTALE);
    }
}

/* --- many to many --------------------------------------------------------------------------- */

enum { PARTIES_MAX = 8, MESSAGES = 20000 };

struct message {
    uint32_t producer, number, check;
};

struct traffic {
    shoal_queue queue;
    unsigned producers_count, consumers_count, messages_count;
    _Atomic unsigned seen[PARTIES_MAX][MESSAGES];
    _Atomic unsigned failures;
};

struct party {
    pthread_t thread;
    struct traffic *traffic;
    unsigned index;
};

static void *produces(void *argument)
{
    struct party *party = argument;
    struct traffic *traffic = party->traffic;
    for (uint32_t i = 0; i < traffic->messages_count; i++) {
        struct message *message = SHOAL_NEW(struct message);
        if (!message) {
            traffic->failures++;
            continue;
        }
        *message = (struct message){ party->index, i, ~(i ^ party->index) };
        traffic->failures += shoal_queue_put(traffic->queue, message, harness_deadline()) != 0;
    }
    return NULL;
}

static void *consumes(void *argument)
{
    struct party *party = argument;
    struct traffic *traffic = party->traffic;
    int64_t last[PARTIES_MAX];
    memset(last, -1, sizeof last);
    void *payload = NULL;
    int code;
    while ((code = shoal_queue_get(traffic->queue, &payload, harness_deadline())) == 0) {
        const struct message *message = payload;
        const uint32_t producer = message->producer, number = message->number;
        if (producer >= traffic->producers_count || number >= traffic->messages_count ||
            message->check != ~(number ^ producer) || shoal_size(payload) != sizeof *message) {
            traffic->failures++;
            continue;
        }
        /* Each consumer sees the messages of one producer in their order. */
        traffic->failures += (int64_t)number <= last[producer];
        last[producer] = number;
        traffic->seen[producer][number]++;
        shoal_free(payload);
    }
    traffic->failures += code != -EPIPE;
    return NULL;
}

static void traffic_run(size_t capacity_count, unsigned producers, unsigned consumers,
                        unsigned messages)
{
    static struct traffic traffic;
    struct party parties[2 * PARTIES_MAX];
    memset(&traffic, 0, sizeof traffic);
    traffic.queue = queue_of(capacity_count);
    traffic.producers_count = producers;
    traffic.consumers_count = consumers;
    traffic.messages_count = messages;
    for (unsigned i = 0; i < producers + consumers; i++) {
        parties[i].traffic = &traffic;
        parties[i].index = i < producers ? i : i - producers;
        cr_assert_eq(pthread_create(&parties[i].thread, NULL, i < producers ? produces : consumes,
                                    &parties[i]),
                     0);
    }
    for (unsigned i = 0; i < producers + consumers; i++) {
        if (i == producers)
            assert_code(shoal_queue_shutdown(traffic.queue), 0);
        pthread_join(parties[i].thread, NULL);
    }
    cr_assert_eq(traffic.failures, 0, "%u failures", traffic.failures);
    for (unsigned p = 0; p < producers; p++)
        for (unsigned i = 0; i < messages; i++)
            cr_assert_eq(traffic.seen[p][i], 1, "message %u of %u came %u times", i, p,
                         traffic.seen[p][i]);
    cr_assert_eq(shoal_queue_qsize(traffic.queue), 0);
    assert_code(shoal_queue_destroy(traffic.queue), 0);
}

Test(queue_threads, one_to_one_each_once_in_order, .timeout = 120)
{
    traffic_run(1, 1, 1, MESSAGES / 4);
    traffic_run(100, 1, 1, MESSAGES);
}

Test(queue_threads, many_to_many_each_once_in_order, .timeout = 120)
{
    traffic_run(64, 3, 3, MESSAGES / 2);
}

Test(queue_threads, many_to_many_over_a_tiny_queue, .timeout = 120)
{
    traffic_run(1, 2, 2, MESSAGES / 8);
    traffic_run(3, 4, 2, MESSAGES / 8);
}

Test(queue_threads, one_to_many_and_many_to_one, .timeout = 120)
{
    traffic_run(16, 1, 4, MESSAGES / 4);
    traffic_run(16, 4, 1, MESSAGES / 4);
}

/* While all threads only put and get what they got, nothing is lost or made. */
static void *passes_on(void *argument)
{
    struct party *party = argument;
    for (int i = 0; i < 5000; i++) {
        void *payload = NULL;
        if (shoal_queue_get(party->traffic->queue, &payload, harness_deadline()) != 0 ||
            shoal_queue_put(party->traffic->queue, payload, harness_deadline()) != 0)
            party->traffic->failures++;
    }
    return NULL;
}

Test(queue_threads, passing_on_keeps_the_messages, .timeout = 120)
{
    static struct traffic traffic;
    struct party parties[4];
    unsigned seen[8] = { 0 };
    traffic.queue = queue_of(8);
    for (uint32_t i = 0; i < 8; i++)
        assert_code(shoal_queue_put_bytes(traffic.queue, &i, sizeof i, SHOAL_NOW), 0);
    for (size_t i = 0; i < COUNT_OF(parties); i++) {
        parties[i].traffic = &traffic;
        cr_assert_eq(pthread_create(&parties[i].thread, NULL, passes_on, &parties[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(parties); i++)
        pthread_join(parties[i].thread, NULL);
    cr_assert_eq(traffic.failures, 0);
    cr_assert_eq(shoal_queue_qsize(traffic.queue), 8);
    for (int i = 0; i < 8; i++) {
        void *payload = NULL;
        assert_code(shoal_queue_get(traffic.queue, &payload, SHOAL_NOW), 0);
        seen[*(uint32_t *)payload % 8]++;
        shoal_free(payload);
    }
    for (int i = 0; i < 8; i++)
        cr_assert_eq(seen[i], 1);
    assert_code(shoal_queue_destroy(traffic.queue), 0);
}

/* Messages handed round and freed by other threads than those that made them: memory is found
 * again, whoever frees. */
static void *produces_large(void *argument)
{
    struct party *party = argument;
    for (int i = 0; i < 3000; i++) {
        unsigned char *payload = shoal_alloc(60000);
        if (!payload) {
            party->traffic->failures++;
            break;
        }
        payload[0] = payload[59999] = (unsigned char)i;
        party->traffic->failures += shoal_queue_put(party->traffic->queue, payload,
                                                    harness_deadline()) != 0;
    }
    return NULL;
}

Test(queue_threads, memory_freed_by_the_consumer_comes_back, .timeout = 120)
{
    static struct traffic traffic;
    struct party party = { .traffic = &traffic };
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .size_max = 16 << 20 }), 0);
    traffic.queue = queue_of(32);
    cr_assert_eq(pthread_create(&party.thread, NULL, produces_large, &party), 0);
    for (int i = 0; i < 3000; i++) {
        void *payload = NULL;
        assert_code(shoal_queue_get(traffic.queue, &payload, harness_deadline()), 0);
        const unsigned char *bytes = payload;
        cr_assert(bytes[0] == (unsigned char)i && bytes[59999] == (unsigned char)i);
        shoal_free(payload);
    }
    pthread_join(party.thread, NULL);
    cr_assert_eq(traffic.failures, 0);
    assert_code(shoal_queue_destroy(traffic.queue), 0);
}
