/* Queues that this process has closed, and what a queue counts. */
#include "call.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

TestSuite(queue_close, .timeout = 60);

static void calls_answer(shoal_queue queue, int put_code, int get_code)
{
    char *payload = shoal_alloc(10);
    void *got = NULL, *mine = payload;
    size_t count = 77;
    assert_code(shoal_queue_put_bytes(queue, "x", 2, SHOAL_NOW), put_code);
    assert_code(shoal_queue_put_end(queue, SHOAL_NOW), put_code);
    if (put_code < 0) {
        assert_code(shoal_queue_put(queue, payload, SHOAL_FOREVER), put_code);
        assert_code(shoal_queue_put_many(queue, &mine, 1, &count, SHOAL_FOREVER), put_code);
        cr_assert_eq(shoal_size(payload), 10, "it is still the caller's");
    }
    shoal_free(payload);
    assert_code(shoal_queue_get(queue, &got, SHOAL_NOW), get_code);
    if (get_code < 0)
        assert_code(shoal_queue_get_many(queue, &got, 1, &count, SHOAL_FOREVER), get_code);
    shoal_free(got);
    cr_assert_eq(count, 77);
}

static void is_closed_here(shoal_queue queue)
{
    calls_answer(queue, -EPIPE, -EPIPE);
    cr_assert_eq(shoal_queue_qsize(queue), 0);
    cr_assert(shoal_queue_empty(queue) && !shoal_queue_full(queue));
    cr_assert_str_eq(shoal_error_message(), "it is closed in this process");
}

/* The other process goes on, and so does a child that is forked after the close. */
static int uses_it(void *argument)
{
    const shoal_queue queue = *(shoal_queue *)argument;
    void *payload = NULL;
    CHILD_CHECK(shoal_queue_put_bytes(queue, "second", 7, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0);
    shoal_free(payload);
    CHILD_CHECK(shoal_queue_join_thread(queue) == -EBUSY);
    return 0;
}

/* 1.10.5, 1.10.6: and what was put before is there for others. */
Test(queue_close, closed_here_is_open_elsewhere_1_10_5, .timeout = 60)
{
    shoal_queue queue = queue_of(4);
    assert_code(shoal_queue_put_bytes(queue, "first", 6, SHOAL_NOW), 0);
    assert_code(shoal_queue_join_thread(queue), -EBUSY);
    assert_code(shoal_queue_close(queue), 0);
    assert_code(shoal_queue_close(queue), 0);
    assert_code(shoal_queue_join_thread(queue), 0);
    is_closed_here(queue);
    cr_assert_eq(harness_wait(harness_child(uses_it, &queue)), 0);
    is_closed_here(queue);
    assert_code(shoal_queue_shutdown(queue), 0);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_close(queue), 0);
    assert_code(shoal_queue_join_thread(queue), -ESTALE);
}

/* 1.10.5, 1.10.14: one that nobody has used. */
Test(queue_close, unused_queue_is_closed_without_harm_1_10_5, .timeout = 60)
{
    const shoal_queue queue = values_of(8, 4);
    uint64_t number = 1;
    assert_code(shoal_queue_close(queue), 0);
    assert_code(shoal_queue_close(queue), 0);
    cr_assert(shoal_queue_empty(queue));
    cr_assert_str_eq(shoal_error_message(), "it is closed in this process");
    assert_code(shoal_queue_put_value(queue, &number, sizeof number, SHOAL_NOW), -EPIPE);
    assert_code(shoal_queue_get_value(queue, &number, sizeof number, SHOAL_NOW), -EPIPE);
    assert_code(shoal_queue_shutdown_now(queue), 0);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_close((shoal_queue){ 0 }), 0);
    assert_code(shoal_queue_close((shoal_queue){ 12345 }), -EINVAL);
    assert_code(shoal_queue_join_thread((shoal_queue){ 0 }), -EINVAL);
}

Test(queue_close, place_of_a_closed_queue_serves_the_next_one, .timeout = 60)
{
    for (int i = 0; i < 300; i++) {
        const shoal_queue queue = queue_of(4), open = queue_of(4);
        calls_answer(queue, 0, 0);
        assert_code(shoal_queue_close(queue), 0);
        is_closed_here(queue);
        calls_answer(open, 0, 0);
        assert_code(shoal_queue_destroy(queue), 0);
        assert_code(shoal_queue_destroy(open), 0);
    }
}

static void *closes(void *argument)
{
    return shoal_queue_close(*(shoal_queue *)argument) == 0 ? argument : NULL;
}

/* Threads of a process close together, also one that knew the queue before. */
Test(queue_close, another_thread_closes_it_for_all, .timeout = 60)
{
    shoal_queue queue = queue_of(4);
    pthread_t thread;
    calls_answer(queue, 0, 0);
    cr_assert_eq(pthread_create(&thread, NULL, closes, &queue), 0);
    void *closed = NULL;
    pthread_join(thread, &closed);
    cr_assert_not_null(closed);
    is_closed_here(queue);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- capacity in bytes ---------------------------------------------------------------------- */

static shoal_queue queue_of_bytes(size_t capacity_size, size_t value_size)
{
    shoal_queue queue = { 0 };
    const shoal_queue_options options = { .capacity_size = capacity_size,
                                          .value_size = value_size };
    assert_code(shoal_queue_create(&options, &queue), 0);
    return queue;
}

static int put_bytes(shoal_queue queue, size_t size)
{
    static const char bytes[5000];
    return shoal_queue_put_bytes(queue, bytes, size, SHOAL_NOW);
}

static void get_bytes(shoal_queue queue, size_t size)
{
    void *payload = NULL;
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
    cr_assert_eq(shoal_size(payload), size);
    shoal_free(payload);
}

Test(queue_close, capacity_in_bytes_is_exact, .timeout = 60)
{
    for (int round = 0; round < 3; round++) { /* in a place that was used before */
        const shoal_queue queue = queue_of_bytes(1000, 0);
        for (int lap = 0; lap < 20; lap++) {
            assert_code(put_bytes(queue, 400), 0);
            assert_code(put_bytes(queue, 601), -ETIMEDOUT);
            cr_assert_not(shoal_queue_full(queue));
            assert_code(put_bytes(queue, 599), 0);
            assert_code(put_bytes(queue, 2), -ETIMEDOUT);
            assert_code(put_bytes(queue, 1), 0);
            cr_assert(shoal_queue_full(queue));
            assert_code(put_bytes(queue, 0), 0);
            assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
            get_bytes(queue, 400);
            assert_code(put_bytes(queue, 401), -ETIMEDOUT);
            assert_code(put_bytes(queue, 400), 0);
            get_bytes(queue, 599);
            get_bytes(queue, 1);
            get_bytes(queue, 0);
            void *payload;
            assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -EPIPE);
            get_bytes(queue, 400);
        }
        assert_code(put_bytes(queue, 10), 0);
        assert_code(put_bytes(queue, 5000), -ETIMEDOUT);
        get_bytes(queue, 10);
        assert_code(put_bytes(queue, 5000), 0); /* alone */
        assert_code(put_bytes(queue, 1), -ETIMEDOUT);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

Test(queue_close, capacity_in_bytes_bounds_values_by_their_count, .timeout = 60)
{
    const shoal_queue queue = queue_of_bytes(100, 30);
    const char value[30] = "";
    shoal_queue none = { 77 };
    for (int i = 0; i < 3; i++)
        assert_code(shoal_queue_put_value(queue, value, sizeof value, SHOAL_NOW), 0);
    assert_code(shoal_queue_put_value(queue, value, sizeof value, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_destroy(queue), 0);
    const shoal_queue_options too_small = { .capacity_size = 29, .value_size = 30 };
    assert_code(shoal_queue_create(&too_small, &none), -EINVAL);
    cr_assert_eq(none.ref, 77);
}

/* Who waits for much does not keep waiting who needs little. */
Test(queue_close, freed_bytes_serve_whom_they_suffice, .timeout = 60)
{
    for (int i = 0; i < 20; i++) {
        const shoal_queue queue = queue_of_bytes(1000, 0);
        struct call putters[2] = {
            { .function = call_puts, .queue = queue, .payload = shoal_alloc(1000) },
            { .function = call_puts, .queue = queue, .payload = shoal_alloc(100) }
        };
        assert_code(put_bytes(queue, 900), 0);
        assert_code(put_bytes(queue, 100), 0);
        call_sleeps(&putters[0]);
        call_sleeps(&putters[1]);
        get_bytes(queue, 900);
        assert_code(call_ends(&putters[1]), 0);
        get_bytes(queue, 100);
        get_bytes(queue, 100);
        assert_code(call_ends(&putters[0]), 0);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

/* --- counters ------------------------------------------------------------------------------- */

static shoal_queue_counters counters_of(shoal_queue queue)
{
    shoal_queue_counters counters;
    assert_code(shoal_queue_stats(queue, &counters), 0);
    return counters;
}

Test(queue_close, counters_of_payloads_are_exact, .timeout = 60)
{
    for (int round = 0; round < 3; round++) { /* in a place that was used before */
        const shoal_queue queue = queue_of(4);
        void *payload = shoal_alloc(1 << 20), *got;
        assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), 0);
        assert_code(shoal_queue_put_bytes(queue, "12345", 5, SHOAL_NOW), 0);
        assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
        shoal_queue_counters counters = counters_of(queue);
        cr_assert(counters.puts == 3 && counters.gets == 0 && counters.count == 3);
        cr_assert_eq(counters.size, (1 << 20) + 5);
        cr_assert_eq(counters.copied_size, 5, "what is put is not copied");
        assert_code(shoal_queue_get(queue, &got, SHOAL_NOW), 0);
        shoal_free(got);
        assert_code(shoal_queue_get(queue, &got, SHOAL_NOW), 0);
        shoal_free(got);
        assert_code(shoal_queue_get(queue, &got, SHOAL_NOW), -EPIPE);
        assert_code(shoal_queue_get(queue, &got, SHOAL_NOW), -ETIMEDOUT);
        assert_code(shoal_queue_get(queue, &got, shoal_after_ms(1)), -ETIMEDOUT);
        counters = counters_of(queue);
        cr_assert(counters.puts == 3 && counters.gets == 3 && counters.count == 0);
        cr_assert(counters.size == 0 && counters.copied_size == 5);
        cr_assert(counters.get_waits == 1 && counters.put_waits == 0);
        assert_code(shoal_queue_close(queue), 0);
        cr_assert_eq(counters_of(queue).puts, 3, "also of a closed one");
        assert_code(shoal_queue_stats(queue, NULL), -EINVAL);
        assert_code(shoal_queue_destroy(queue), 0);
        assert_code(shoal_queue_stats(queue, &counters), -ESTALE);
    }
}

Test(queue_close, counters_of_values_are_exact, .timeout = 60)
{
    const shoal_queue queue = values_of(12, 2);
    char values[3][12] = { "one", "two", "three" };
    size_t count;
    assert_code(
        shoal_queue_put_values(queue, values, sizeof values[0], 3, &count, shoal_after_ms(1)), 0);
    assert_code(shoal_queue_get_value(queue, values[0], sizeof values[0], SHOAL_NOW), 0);
    const shoal_queue_counters counters = counters_of(queue);
    cr_assert(counters.puts == 2 && counters.gets == 1 && counters.count == 1);
    cr_assert(counters.size == 12 && counters.copied_size == 36);
    cr_assert(counters.put_waits == 1 && counters.get_waits == 0);
    assert_code(shoal_queue_destroy(queue), 0);
}
