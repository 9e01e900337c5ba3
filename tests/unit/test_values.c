/* Queues of values, calls for several messages, and ends, seen by one thread. */
#include "harness.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

TestSuite(values, .timeout = 60);

enum { VALUE_MAX = SHOAL_QUEUE_VALUE_SIZE_MAX };

static const size_t sizes[] = { 1, 2, 3, 4, 7, 8, 9, 12, 16, 24, 64, 100, 1000, 4095, 4096 };

/* Bytes that tell which value they are of, and that it is whole. */
static void fill(unsigned char *value, size_t size, uint64_t number)
{
    for (size_t i = 0; i < size; i++)
        value[i] = (unsigned char)(number * 37 + i * 11);
}

static bool is_value(const unsigned char *value, size_t size, uint64_t number)
{
    unsigned char expected[VALUE_MAX];
    fill(expected, size, number);
    return memcmp(value, expected, size) == 0;
}

static void put_number(shoal_queue queue, size_t size, uint64_t number)
{
    unsigned char value[VALUE_MAX];
    fill(value, size, number);
    assert_code(shoal_queue_put_value(queue, value, size, SHOAL_NOW), 0);
}

static void get_number(shoal_queue queue, size_t size, uint64_t number)
{
    unsigned char value[VALUE_MAX + 1];
    memset(value, 0xa5, sizeof value);
    assert_code(shoal_queue_get_value(queue, value, size, SHOAL_NOW), 0);
    cr_assert(is_value(value, size, number), "value %ju of %zu bytes", (uintmax_t)number, size);
    cr_assert_eq(value[size], 0xa5, "written behind the value");
}

/* --- values --------------------------------------------------------------------------------- */

Test(values, of_each_size_keep_their_order_and_bounds_1_10_3, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t capacity = 1; capacity < 10; capacity += 1 + capacity / 2) {
            const size_t size = sizes[i];
            const shoal_queue queue = values_of(size, capacity);
            unsigned char value[VALUE_MAX];
            uint64_t put = 0, got = 0;
            for (int lap = 0; lap < 5; lap++) {
                while (put - got < capacity)
                    put_number(queue, size, put++);
                cr_assert(shoal_queue_full(queue) && shoal_queue_qsize(queue) == capacity);
                fill(value, size, put);
                assert_code(shoal_queue_put_value(queue, value, size, SHOAL_NOW), -ETIMEDOUT);
                do
                    get_number(queue, size, got++);
                while (lap % 2 && got < put);
            }
            while (got < put)
                get_number(queue, size, got++);
            value[0] = 7;
            assert_code(shoal_queue_get_value(queue, value, size, SHOAL_NOW), -ETIMEDOUT);
            cr_assert(value[0] == 7 && shoal_queue_empty(queue));
            assert_code(shoal_queue_destroy(queue), 0);
        }
}

Test(values, queues_of_values_come_and_go_without_a_trace, .timeout = 60)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 8 << 20 }, &segment), 0);
    for (int i = 0; i < 5000; i++) {
        shoal_queue queue;
        const shoal_queue_options options = { .segment = segment,
                                              .capacity_count = 100,
                                              .value_size = 1000 };
        assert_code(shoal_queue_create(&options, &queue), 0);
        put_number(queue, 1000, 1);
        assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
        assert_code(shoal_queue_destroy(queue), 0);
    }
    assert_code(shoal_segment_detach(segment), 0);
}

Test(values, misuse_is_refused_and_changes_nothing, .timeout = 60)
{
    shoal_queue queue = { 77 };
    static const size_t absurd[] = { VALUE_MAX + 1, SIZE_MAX, SIZE_MAX / 2 };
    for (size_t i = 0; i < COUNT_OF(absurd); i++)
        assert_code(shoal_queue_create(&(shoal_queue_options){ .value_size = absurd[i] }, &queue),
                    -EINVAL);
    const shoal_queue_options huge = { .value_size = VALUE_MAX,
                                       .capacity_count = SHOAL_QUEUE_CAPACITY_MAX };
    assert_code(shoal_queue_create(&huge, &queue), -ENOMEM);
    cr_assert_eq(queue.ref, 77);
    const shoal_queue values = values_of(8, 4), payloads = queue_of(4);
    uint64_t number = 5;
    void *payload = shoal_alloc(8), *got = &number;
    size_t count = 99;
    assert_code(shoal_queue_put(values, payload, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_bytes(values, "x", 1, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_many(values, &payload, 1, &count, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get(values, &got, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get_many(values, &got, 1, &count, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_value(payloads, &number, sizeof number, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_values(payloads, &number, sizeof number, 1, &count, SHOAL_NOW),
                -EINVAL);
    assert_code(shoal_queue_get_value(payloads, &number, sizeof number, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get_values(payloads, &number, sizeof number, 1, &count, SHOAL_NOW),
                -EINVAL);
    assert_code(shoal_queue_put_value(values, &number, sizeof number - 1, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get_value(values, &number, sizeof number - 1, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_values(values, &number, 0, 1, &count, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get_values(values, &number, 0, 1, &count, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_value(values, NULL, sizeof number, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_values(values, NULL, sizeof number, 1, &count, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_values(values, &number, sizeof number, 1, NULL, SHOAL_NOW),
                -EINVAL);
    assert_code(shoal_queue_get_value(values, NULL, sizeof number, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get_values(values, NULL, sizeof number, 1, &count, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get_values(values, &number, sizeof number, 1, NULL, SHOAL_NOW),
                -EINVAL);
    assert_code(shoal_queue_put_many(payloads, NULL, 1, &count, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_many(payloads, &payload, 1, NULL, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get_many(payloads, NULL, 1, &count, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_get_many(payloads, &got, 1, NULL, SHOAL_NOW), -EINVAL);
    cr_assert(number == 5 && count == 99 && got == &number);
    cr_assert(shoal_queue_empty(values) && shoal_queue_empty(payloads));
    shoal_free(payload);
    assert_code(shoal_queue_destroy(values), 0);
    assert_code(shoal_queue_destroy(payloads), 0);
    assert_code(shoal_queue_put_value(values, &number, sizeof number, SHOAL_NOW), -ESTALE);
    assert_code(shoal_queue_get_value(values, &number, sizeof number, SHOAL_NOW), -ESTALE);
    assert_code(shoal_queue_put_end(payloads, SHOAL_NOW), -ESTALE);
    assert_code(shoal_queue_shutdown_now(payloads), -ESTALE);
}

/* 1.10.2: after the timeout and not before it. */
Test(values, deadlines_bound_put_and_get_1_10_2, .timeout = 60)
{
    const shoal_queue queue = values_of(100, 1);
    unsigned char value[100];
    fill(value, sizeof value, 1);
    uint64_t end_ns = harness_now_ns() + 20000000;
    assert_code(shoal_queue_get_value(queue, value, sizeof value, shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns);
    assert_code(shoal_queue_put_value(queue, value, sizeof value, shoal_at_ns(1)), 0);
    end_ns = harness_now_ns() + 20000000;
    assert_code(shoal_queue_put_value(queue, value, sizeof value, shoal_at_ns(end_ns)), -ETIMEDOUT);
    assert_code(shoal_queue_put_end(queue, shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns);
    get_number(queue, sizeof value, 1);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- several at once ------------------------------------------------------------------------ */

Test(values, several_are_moved_in_order_as_many_as_fit, .timeout = 60)
{
    enum { CAPACITY = 7, MANY = 20 };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const size_t size = sizes[i];
        const shoal_queue queue = values_of(size, CAPACITY);
        static unsigned char values[MANY * VALUE_MAX];
        uint64_t put = 0, got = 0;
        size_t count = 99;
        for (size_t wanted = 1; wanted < MANY; wanted++) {
            for (size_t k = 0; k < wanted; k++)
                fill(values + k * size, size, put + k);
            const size_t room = CAPACITY - (size_t)(put - got);
            assert_code(shoal_queue_put_values(queue, values, size, wanted, &count, SHOAL_NOW), 0);
            cr_assert_eq(count, wanted < room ? wanted : room);
            put += count;
            const size_t there = (size_t)(put - got), asked = wanted % 5 + 1;
            memset(values, 0xa5, sizeof values);
            assert_code(shoal_queue_get_values(queue, values, size, asked, &count, SHOAL_NOW), 0);
            cr_assert_eq(count, asked < there ? asked : there);
            for (size_t k = 0; k < count; k++)
                cr_assert(is_value(values + k * size, size, got + k));
            cr_assert_eq(values[count * size], 0xa5, "written behind the values");
            got += count;
        }
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

Test(values, more_than_one_step_moves_are_moved, .timeout = 60)
{
    enum { MANY = 100000 };
    static uint64_t numbers[MANY], got[MANY];
    const shoal_queue queue = values_of(8, MANY);
    size_t count = 0;
    for (uint64_t i = 0; i < MANY; i++)
        numbers[i] = i * i;
    assert_code(shoal_queue_put_values(queue, numbers, sizeof *numbers, MANY, &count, SHOAL_NOW),
                0);
    cr_assert_eq(count, MANY);
    assert_code(shoal_queue_get_values(queue, got, sizeof *got, MANY, &count, SHOAL_NOW), 0);
    cr_assert_eq(count, MANY);
    cr_assert_eq(memcmp(numbers, got, sizeof got), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(values, none_at_all_is_nothing_to_do, .timeout = 60)
{
    const shoal_queue values = values_of(8, 1), payloads = queue_of(1);
    uint64_t number = 1;
    void *payload = NULL;
    size_t count = 99;
    assert_code(shoal_queue_put_values(values, &number, sizeof number, 0, &count, SHOAL_FOREVER),
                0);
    cr_assert_eq(count, 0);
    assert_code(shoal_queue_get_values(values, &number, sizeof number, 0, &count, SHOAL_FOREVER),
                0);
    assert_code(shoal_queue_put_many(payloads, &payload, 0, &count, SHOAL_FOREVER), 0);
    assert_code(shoal_queue_get_many(payloads, &payload, 0, &count, SHOAL_FOREVER), 0);
    cr_assert_eq(count, 0);
    assert_code(shoal_queue_destroy(values), 0);
    assert_code(shoal_queue_destroy(payloads), 0);
}

Test(values, several_payloads_change_hands_one_by_one, .timeout = 60)
{
    enum { CAPACITY = 5, MANY = 8 };
    const shoal_queue queue = queue_of(CAPACITY);
    void *payloads[MANY], *got[MANY];
    size_t count = 99;
    for (size_t i = 0; i < MANY; i++) {
        payloads[i] = SHOAL_NEW(uint64_t);
        *(uint64_t *)payloads[i] = i;
    }
    assert_code(shoal_queue_put_many(queue, payloads, MANY, &count, SHOAL_NOW), 0);
    cr_assert_eq(count, CAPACITY);
    shoal_free(payloads[CAPACITY - 1]); /* the queue's */
    assert_code(shoal_queue_put_many(queue, payloads + CAPACITY, 1, &count, SHOAL_NOW), -ETIMEDOUT);
    cr_assert_eq(count, CAPACITY, "a failure wrote its output");
    assert_code(shoal_queue_get_many(queue, got, MANY, &count, SHOAL_FOREVER), 0);
    cr_assert_eq(count, CAPACITY);
    for (size_t i = 0; i < CAPACITY; i++) {
        cr_assert_eq(got[i], payloads[i]);
        cr_assert_eq(*(uint64_t *)got[i], i);
        shoal_free(got[i]);
    }
    assert_code(shoal_queue_get_many(queue, got, MANY, &count, SHOAL_NOW), -ETIMEDOUT);
    for (size_t i = CAPACITY; i < MANY; i++)
        shoal_free(payloads[i]);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* What stands before the one that is refused is put; that one is told by the next call. */
Test(values, several_payloads_stop_at_one_that_is_none, .timeout = 60)
{
    const shoal_queue queue = queue_of(5);
    char local;
    void *payloads[3] = { shoal_alloc(8), &local, shoal_alloc(8) }, *got[3];
    size_t count = 0;
    assert_code(shoal_queue_put_many(queue, payloads, 3, &count, SHOAL_NOW), 0);
    cr_assert_eq(count, 1);
    assert_code(shoal_queue_put_many(queue, payloads + 1, 2, &count, SHOAL_NOW), -EFAULT);
    payloads[1] = NULL;
    assert_code(shoal_queue_put_many(queue, payloads + 1, 2, &count, SHOAL_NOW), -EINVAL);
    payloads[1] = payloads[0];
    assert_code(shoal_queue_put_many(queue, payloads + 1, 2, &count, SHOAL_NOW), -EPERM);
    cr_assert_eq(shoal_size(payloads[2]), 8, "it is still the caller's");
    assert_code(shoal_queue_get_many(queue, got, 3, &count, SHOAL_NOW), 0);
    cr_assert(count == 1 && got[0] == payloads[0]);
    shoal_free(got[0]);
    shoal_free(payloads[2]);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- ends ----------------------------------------------------------------------------------- */

static void end_is_next(shoal_queue queue, bool values)
{
    uint64_t number = 77;
    void *payload = &number;
    if (values)
        assert_code(shoal_queue_get_value(queue, &number, sizeof number, SHOAL_FOREVER), -EPIPE);
    else
        assert_code(shoal_queue_get(queue, &payload, SHOAL_FOREVER), -EPIPE);
    cr_assert(number == 77 && payload == &number);
}

static void put_one(shoal_queue queue, bool values, uint64_t number)
{
    if (values)
        assert_code(shoal_queue_put_value(queue, &number, sizeof number, SHOAL_NOW), 0);
    else
        assert_code(shoal_queue_put_bytes(queue, &number, sizeof number, SHOAL_NOW), 0);
}

static void get_one(shoal_queue queue, bool values, uint64_t number)
{
    uint64_t got = 0;
    void *payload = NULL;
    if (values) {
        assert_code(shoal_queue_get_value(queue, &got, sizeof got, SHOAL_NOW), 0);
        cr_assert_eq(got, number);
    } else {
        assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
        cr_assert_eq(*(uint64_t *)payload, number);
        shoal_free(payload);
    }
}

/* 1.10.11: each end ends one get, in its place among the messages, and is none of them. */
Test(values, an_end_is_taken_once_in_its_turn_1_10_11, .timeout = 60)
{
    for (int values = 0; values < 2; values++) {
        const shoal_queue queue = values_of(values ? 8 : 0, 3);
        for (uint64_t lap = 0; lap < 20; lap++) { /* in every cell, and over cells of ends */
            assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
            put_one(queue, values, lap);
            assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
            cr_assert(shoal_queue_full(queue) && shoal_queue_qsize(queue) == 3);
            assert_code(shoal_queue_put_end(queue, SHOAL_NOW), -ETIMEDOUT);
            end_is_next(queue, values);
            get_one(queue, values, lap);
            end_is_next(queue, values);
            cr_assert(shoal_queue_empty(queue));
            put_one(queue, values, lap);
            get_one(queue, values, lap);
        }
        assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
        assert_code(shoal_queue_shutdown(queue), 0);
        assert_code(shoal_queue_put_end(queue, SHOAL_NOW), -EPIPE);
        end_is_next(queue, values);
        end_is_next(queue, values); /* of the queue */
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

Test(values, several_stop_before_an_end, .timeout = 60)
{
    const shoal_queue values = values_of(8, 8), payloads = queue_of(8);
    uint64_t numbers[8] = { 0 };
    void *got[8];
    size_t count = 99;
    for (uint64_t i = 0; i < 6; i++) {
        put_one(values, true, i);
        put_one(payloads, false, i);
        if (i % 3 == 2) {
            assert_code(shoal_queue_put_end(values, SHOAL_NOW), 0);
            assert_code(shoal_queue_put_end(payloads, SHOAL_NOW), 0);
        }
    }
    for (int i = 0; i < 2; i++) {
        assert_code(
            shoal_queue_get_values(values, numbers, sizeof *numbers, 8, &count, SHOAL_FOREVER), 0);
        cr_assert_eq(count, 3);
        assert_code(
            shoal_queue_get_values(values, numbers, sizeof *numbers, 8, &count, SHOAL_FOREVER),
            -EPIPE);
        assert_code(shoal_queue_get_many(payloads, got, 8, &count, SHOAL_FOREVER), 0);
        cr_assert_eq(count, 3);
        assert_code(shoal_queue_get_many(payloads, got + 3, 5, &count, SHOAL_FOREVER), -EPIPE);
        for (size_t k = 0; k < 3; k++)
            shoal_free(got[k]);
    }
    cr_assert(shoal_queue_empty(values) && shoal_queue_empty(payloads));
    assert_code(shoal_queue_destroy(values), 0);
    assert_code(shoal_queue_destroy(payloads), 0);
}

/* Of each ring, with an end behind each message. */
Test(values, shutdown_now_drops_and_frees_what_is_queued, .timeout = 60)
{
    static const shoal_queue_options kinds[] = {
        { .capacity_count = 10, .value_size = 8 },
        { .capacity_count = 10 },
        { .value_size = 8 },
        { .value_size = 0 },
        { .capacity_count = 10, .value_size = 8, .bulk = true },
        { .capacity_count = 10, .capacity_size = 1 << 20 },
        { .capacity_count = 10, .joinable = true },
    };
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        const bool values = kinds[kind].value_size > 0;
        shoal_queue queue;
        shoal_audit before, after;
        assert_code(shoal_queue_create(&kinds[kind], &queue), 0);
        assert_code(shoal_segment_audit((shoal_segment){ 0 }, &before), 0);
        for (uint64_t i = 0; i < 4; i++) {
            put_one(queue, values, i);
            assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
        }
        assert_code(shoal_queue_shutdown_now(queue), 0);
        assert_code(shoal_segment_audit((shoal_segment){ 0 }, &after), 0);
        cr_assert(after.queued == 0 && shoal_queue_qsize(queue) == 0, "kind %zu", kind);
        cr_assert_eq(after.payloads_count, before.payloads_count);
        end_is_next(queue, values);
        assert_code(shoal_queue_put_end(queue, SHOAL_NOW), -EPIPE);
        assert_code(shoal_queue_shutdown_now(queue), 0);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}
