/* Queues with a single producer, or a single consumer, among threads: who has a side. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

TestSuite(single, .timeout = 120);

/* One of each ring and each way to put; of cells the first four. */
static const shoal_queue_options kinds[] = {
    { .capacity_count = 5, .value_size = 8 },
    { .capacity_count = 5 },
    { .value_size = 8 },
    { .value_size = 0 },
    { .capacity_count = 5, .value_size = 8, .bulk = true },
    { .capacity_count = 5, .value_size = 100 },
    { .capacity_count = 5, .capacity_size = 1 << 20 },
    { .capacity_count = 5, .joinable = true },
};

static shoal_queue single_of(const shoal_queue_options *kind, bool producer, bool consumer)
{
    shoal_queue queue;
    shoal_queue_options options = *kind;
    options.single_producer = producer;
    options.single_consumer = consumer;
    assert_code(shoal_queue_create(&options, &queue), 0);
    return queue;
}

struct player {
    shoal_queue queue;
    size_t value_size;
    int code, code_many, code_end;
};

/* By each call that can put, one message each if it may. */
static void *puts_all(void *argument)
{
    struct player *player = argument;
    const shoal_queue queue = player->queue;
    const size_t size = player->value_size;
    static const char value[100];
    size_t count;
    if (size > 0) {
        player->code = shoal_queue_put_value(queue, value, size, SHOAL_NOW);
        player->code_many = shoal_queue_put_values(queue, value, size, 1, &count, SHOAL_NOW);
    } else {
        void *payloads[] = { shoal_alloc(8), shoal_alloc(8) };
        player->code = shoal_queue_put(queue, payloads[0], SHOAL_NOW);
        player->code_many = shoal_queue_put_many(queue, &payloads[1], 1, &count, SHOAL_NOW);
        if (player->code < 0)
            shoal_free(payloads[0]);
        if (player->code_many < 0)
            shoal_free(payloads[1]);
        const int code = shoal_queue_put_bytes(queue, value, 8, SHOAL_NOW);
        player->code = player->code < 0 || code == player->code ? player->code : 1;
    }
    player->code_end = shoal_queue_put_end(queue, SHOAL_NOW);
    return NULL;
}

static void *gets_all(void *argument)
{
    struct player *player = argument;
    const shoal_queue queue = player->queue;
    const size_t size = player->value_size;
    char value[100];
    void *payload = NULL;
    size_t count;
    if (size > 0) {
        player->code = shoal_queue_get_value(queue, value, size, SHOAL_NOW);
        player->code_many = shoal_queue_get_values(queue, value, size, 1, &count, SHOAL_NOW);
        return NULL;
    }
    player->code = shoal_queue_get(queue, &payload, SHOAL_NOW);
    shoal_free(payload);
    payload = NULL;
    player->code_many = shoal_queue_get_many(queue, &payload, 1, &count, SHOAL_NOW);
    shoal_free(payload);
    return NULL;
}

static struct player by_another(void *(*function)(void *), shoal_queue queue, size_t value_size)
{
    struct player player = { queue, value_size, 1, 1, 1 };
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, function, &player), 0);
    pthread_join(thread, NULL);
    return player;
}

/* By any call, and nothing is changed. */
Test(single, a_second_producer_is_refused, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const shoal_queue queue = single_of(&kinds[i], true, false);
        struct player first = { queue, kinds[i].value_size, 1, 1, 1 };
        puts_all(&first);
        cr_assert_eq(first.code + first.code_many + first.code_end, 0, "kind %zu", i);
        const size_t count = shoal_queue_qsize(queue);
        const struct player second = by_another(puts_all, queue, kinds[i].value_size);
        assert_code(second.code, -EPERM);
        assert_code(second.code_many, -EPERM);
        assert_code(second.code_end, -EPERM);
        cr_assert_eq(shoal_queue_qsize(queue), count);
        assert_code(by_another(gets_all, queue, kinds[i].value_size).code, 0);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

Test(single, a_second_consumer_is_refused, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const shoal_queue queue = single_of(&kinds[i], false, true);
        struct player first = { queue, kinds[i].value_size, 1, 1, 1 };
        puts_all(&first);
        gets_all(&first);
        cr_assert_eq(first.code + first.code_many, 0, "kind %zu", i);
        const size_t count = shoal_queue_qsize(queue);
        const struct player second = by_another(gets_all, queue, kinds[i].value_size);
        assert_code(second.code, -EPERM);
        assert_code(second.code_many, -EPERM);
        cr_assert_eq(shoal_queue_qsize(queue), count);
        assert_code(shoal_queue_shutdown_now(queue), 0); /* may be called by anybody */
        cr_assert_eq(shoal_queue_qsize(queue), 0);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

/* Whoever comes first, again and again; also where the last one left the ring's last lap. */
Test(single, a_thread_that_ends_leaves_its_side, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const shoal_queue queue = single_of(&kinds[i], true, true);
        for (int round = 0; round < 9; round++) {
            assert_code(by_another(puts_all, queue, kinds[i].value_size).code, 0);
            assert_code(by_another(gets_all, queue, kinds[i].value_size).code_many, 0);
            while (shoal_queue_qsize(queue) > 0)
                (void)by_another(gets_all, queue, kinds[i].value_size);
        }
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

/* Nobody has a side of a new queue because he had one of the last one there. */
Test(single, a_new_queue_is_nobodys, .timeout = 60)
{
    const uint64_t value = 1;
    for (int round = 0; round < 20; round++) {
        const shoal_queue queue = single_of(&kinds[0], true, true);
        const bool first = round % 2;
        if (first)
            assert_code(shoal_queue_put_value(queue, &value, 8, SHOAL_NOW), 0);
        assert_code(by_another(puts_all, queue, 8).code, first ? -EPERM : 0);
        assert_code(shoal_queue_destroy(queue), 0);
        assert_code(shoal_queue_put_value(queue, &value, 8, SHOAL_NOW), -ESTALE);
    }
}

struct stranger {
    shoal_queue queue;
    pthread_barrier_t turn;
    int before, after;
};

static void *puts_before_and_after(void *argument)
{
    struct stranger *stranger = argument;
    const uint64_t value = 1;
    stranger->before = shoal_queue_put_value(stranger->queue, &value, sizeof value, SHOAL_NOW);
    pthread_barrier_wait(&stranger->turn);
    pthread_barrier_wait(&stranger->turn);
    for (int i = 0; i < 2; i++) /* by the first it is noted anew */
        stranger->after = shoal_queue_put_value(stranger->queue, &value, sizeof value, SHOAL_NOW);
    return NULL;
}

/* The same handle again, after 4095 reuses of the place: what a thread noted of the first queue, in
 * which anybody could put, opens no side of this one. */
Test(single, a_handle_that_comes_round_opens_no_side, .timeout = 60)
{
    const uint64_t value = 1;
    struct stranger stranger = { .queue = single_of(&kinds[0], false, false) };
    pthread_t thread;
    cr_assert_eq(pthread_barrier_init(&stranger.turn, NULL, 2), 0);
    cr_assert_eq(pthread_create(&thread, NULL, puts_before_and_after, &stranger), 0);
    pthread_barrier_wait(&stranger.turn);
    shoal_queue queue = stranger.queue;
    for (int uses = 0; uses == 0 || !SHOAL_SAME(queue, stranger.queue); uses++) {
        cr_assert_lt(uses, 2 * 4095, "the place is not used again");
        assert_code(shoal_queue_destroy(queue), 0);
        queue = single_of(&kinds[0], true, false);
    }
    assert_code(shoal_queue_put_value(queue, &value, sizeof value, SHOAL_NOW), 0);
    pthread_barrier_wait(&stranger.turn);
    pthread_join(thread, NULL);
    assert_code(stranger.before, 0);
    assert_code(stranger.after, -EPERM);
    pthread_barrier_destroy(&stranger.turn);
    assert_code(shoal_queue_destroy(queue), 0);
}

static void puts_badly(shoal_queue queue, size_t value_size)
{
    char value[100] = { 0 };
    void *freed[] = { shoal_alloc(8) };
    size_t count;
    shoal_free(freed[0]);
    cr_assert_lt(shoal_queue_put(queue, NULL, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put(queue, freed[0], SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put(queue, value, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put_many(queue, freed, 1, &count, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put_many(queue, NULL, 1, &count, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put_bytes(queue, NULL, 1, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put_bytes(queue, value, SIZE_MAX, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put_value(queue, NULL, value_size, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put_value(queue, value, value_size + 1, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_put_values(queue, value, value_size, 1, NULL, SHOAL_NOW), 0);
}

static void gets_badly(shoal_queue queue, size_t value_size)
{
    char value[100];
    size_t count;
    cr_assert_lt(shoal_queue_get(queue, NULL, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_get_many(queue, NULL, 1, &count, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_get_value(queue, NULL, value_size, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_get_value(queue, value, value_size + 1, SHOAL_NOW), 0);
    cr_assert_lt(shoal_queue_get_values(queue, value, value_size, 1, NULL, SHOAL_NOW), 0);
}

/* Whoever is refused for what he asks has no side by that. */
Test(single, bad_input_takes_no_side, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const shoal_queue queue = single_of(&kinds[i], true, true);
        puts_badly(queue, kinds[i].value_size);
        assert_code(by_another(puts_all, queue, kinds[i].value_size).code, 0);
        gets_badly(queue, kinds[i].value_size);
        assert_code(by_another(gets_all, queue, kinds[i].value_size).code, 0);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

Test(single, dead_letters_have_no_single_producer, .timeout = 60)
{
    shoal_queue other = { 0 };
    const shoal_queue queue = single_of(&kinds[1], true, false);
    const shoal_queue_options options = { .joinable = true, .dead_letters = queue };
    assert_code(shoal_queue_create(&options, &other), -EINVAL);
    assert_code(by_another(puts_all, queue, 0).code, 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- a stream ------------------------------------------------------------------------------- */

enum { NUMBERS = 20000 };

static void *streams_numbers(void *argument)
{
    struct player *player = argument;
    player->code = 0;
    for (uint64_t i = 0; i < NUMBERS && player->code == 0; i++)
        player->code = shoal_queue_put_value(player->queue, &i, sizeof i, harness_deadline());
    return NULL;
}

static void *streams_payloads(void *argument)
{
    struct player *player = argument;
    player->code = 0;
    for (uint64_t i = 0; i < NUMBERS && player->code == 0; i++)
        player->code = shoal_queue_put_bytes(player->queue, &i, sizeof i, harness_deadline());
    return NULL;
}

static uint64_t next_number(shoal_queue queue, size_t value_size)
{
    uint64_t number = 0;
    void *payload = NULL;
    if (value_size > 0) {
        assert_code(shoal_queue_get_value(queue, &number, value_size, harness_deadline()), 0);
        return number;
    }
    assert_code(shoal_queue_get(queue, &payload, harness_deadline()), 0);
    memcpy(&number, payload, sizeof number);
    shoal_free(payload);
    return number;
}

Test(single, a_stream_is_whole_and_in_order, .timeout = 120)
{
    for (size_t i = 0; i < 4; i++) {
        struct player player = { .queue = single_of(&kinds[i], true, true) };
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL,
                                    kinds[i].value_size ? streams_numbers : streams_payloads,
                                    &player),
                     0);
        for (uint64_t number = 0; number < NUMBERS; number++)
            cr_assert_eq(next_number(player.queue, kinds[i].value_size), number);
        pthread_join(thread, NULL);
        assert_code(player.code, 0);
        cr_assert(shoal_queue_empty(player.queue));
        assert_code(shoal_queue_destroy(player.queue), 0);
    }
}
