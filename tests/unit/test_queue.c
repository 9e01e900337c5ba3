/* Queues seen by one thread: options, order, bounds, deadlines, misuse, the end. */
#include "harness.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

TestSuite(queue, .timeout = 60);

/* What an output holds before a call that must not write it. */
static char marked;
#define marker ((void *)&marked)

static void *number_new(uint64_t number)
{
    uint64_t *payload = SHOAL_NEW(uint64_t);
    cr_assert_not_null(payload);
    *payload = number;
    return payload;
}

static void number_put(shoal_queue queue, uint64_t number)
{
    assert_code(shoal_queue_put(queue, number_new(number), SHOAL_NOW), 0);
}

static uint64_t number_get(shoal_queue queue)
{
    void *payload = NULL;
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
    cr_assert_not_null(payload);
    const uint64_t number = *(uint64_t *)payload;
    shoal_free(payload);
    return number;
}

static void empty_now(shoal_queue queue)
{
    void *payload = marker;
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -ETIMEDOUT);
    cr_assert_eq(payload, marker, "a failed get wrote its output");
}

/* --- making --------------------------------------------------------------------------------- */

Test(queue, create_refuses_absurd_options, .timeout = 60)
{
    shoal_queue queue = { 77 };
    static const size_t counts[] = { SIZE_MAX, SIZE_MAX / 8, (size_t)SHOAL_QUEUE_CAPACITY_MAX + 1,
                                     UINT64_C(1) << 40 };
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        assert_code(
            shoal_queue_create(&(shoal_queue_options){ .capacity_count = counts[i] }, &queue),
            -EINVAL);
    for (size_t i = 0; i < 8; i++) {
        shoal_queue_options options = { .capacity_count = 1 };
        options.reserved[i] = UINT64_MAX;
        assert_code(shoal_queue_create(&options, &queue), -EINVAL);
    }
    assert_code(shoal_queue_create(NULL, NULL), -EINVAL);
    const shoal_segment garbage = { UINT64_MAX };
    assert_code(shoal_queue_create(&(shoal_queue_options){ .segment = garbage }, &queue), -ESTALE);
    cr_assert_eq(queue.ref, 77, "a failure wrote its output");
}

Test(queue, create_without_memory_leaves_nothing, .timeout = 60)
{
    shoal_segment segment;
    shoal_queue queue = { 77 };
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 8 << 20 }, &segment), 0);
    for (int i = 0; i < 5000; i++)
        assert_code(
            shoal_queue_create(
                &(shoal_queue_options){ .segment = segment, .capacity_count = 1 << 22 }, &queue),
            -ENOMEM);
    cr_assert_eq(queue.ref, 77);
    assert_code(shoal_queue_create(
                    &(shoal_queue_options){ .segment = segment, .capacity_count = 100 }, &queue),
                0);
    assert_code(shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(queue, created_and_destroyed_many_times_leaks_nothing, .timeout = 60)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 8 << 20 }, &segment), 0);
    for (int i = 0; i < 20000; i++) {
        shoal_queue queue;
        assert_code(shoal_queue_create(
                        &(shoal_queue_options){ .segment = segment, .capacity_count = 64 }, &queue),
                    0);
        for (int k = 0; k < 3; k++)
            assert_code(shoal_queue_put_bytes(queue, "left in the queue", 18, SHOAL_NOW), 0);
        assert_code(shoal_queue_destroy(queue), 0);
    }
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- order and bounds ----------------------------------------------------------------------- */

/* 1.10.2 and 1.10.3: capacity is exact, also where it is no power of two; FIFO over many laps. */
Test(queue, capacity_is_exact_and_order_is_kept_1_10_3, .timeout = 60)
{
    static const size_t capacities[] = { 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 100, 1000, 1023 };
    for (size_t i = 0; i < COUNT_OF(capacities); i++) {
        const size_t capacity = capacities[i];
        const shoal_queue queue = queue_of(capacity);
        uint64_t put = 0, got = 0;
        for (int lap = 0; lap < 7; lap++) {
            while (put - got < capacity)
                number_put(queue, put++);
            cr_assert_eq(shoal_queue_qsize(queue), capacity);
            cr_assert(shoal_queue_full(queue) && !shoal_queue_empty(queue));
            void *payload = number_new(put);
            assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), -ETIMEDOUT);
            cr_assert_eq(shoal_size(payload), 8, "a refused payload is still the caller's");
            shoal_free(payload);
            const uint64_t until = lap % 2 ? put : got + (capacity + 1) / 2;
            while (got < until) {
                cr_assert_eq(number_get(queue), got);
                got++;
            }
            cr_assert_eq(shoal_queue_qsize(queue), put - got);
        }
        while (got < put) {
            cr_assert_eq(number_get(queue), got);
            got++;
        }
        empty_now(queue);
        cr_assert(shoal_queue_empty(queue) && !shoal_queue_full(queue));
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

Test(queue, qsize_is_exact_when_quiet_1_10_3, .timeout = 60)
{
    const shoal_queue queue = queue_of(10);
    static const size_t expected[] = { 0, 1, 2, 1, 0 };
    cr_assert_eq(shoal_queue_qsize(queue), expected[0]);
    number_put(queue, 1);
    cr_assert_eq(shoal_queue_qsize(queue), expected[1]);
    number_put(queue, 2);
    cr_assert_eq(shoal_queue_qsize(queue), expected[2]);
    number_get(queue);
    cr_assert_eq(shoal_queue_qsize(queue), expected[3]);
    number_get(queue);
    cr_assert_eq(shoal_queue_qsize(queue), expected[4]);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(queue, message_is_the_sender_s_own_memory, .timeout = 60)
{
    const shoal_queue queue = queue_of(4);
    for (size_t size = 0; size <= 3 << 20; size = size * 7 + 1) {
        char *built = shoal_alloc(size);
        void *payload = NULL;
        memset(built, 'm', size);
        assert_code(shoal_queue_put(queue, built, SHOAL_NOW), 0);
        assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
        cr_assert_eq(payload, (void *)built, "nothing is copied");
        cr_assert_eq(shoal_size(payload), size);
        cr_assert(size == 0 || (built[0] == 'm' && built[size - 1] == 'm'));
        shoal_free(payload);
    }
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(queue, put_bytes_copies, .timeout = 60)
{
    const shoal_queue queue = queue_of(4);
    char text[] = "first";
    void *payload = NULL;
    assert_code(shoal_queue_put_bytes(queue, text, sizeof text, SHOAL_NOW), 0);
    memcpy(text, "other", sizeof text);
    assert_code(shoal_queue_put_bytes(queue, NULL, 0, SHOAL_NOW), 0);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "first");
    shoal_free(payload);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
    cr_assert_eq(shoal_size(payload), 0);
    shoal_free(payload);
    assert_code(shoal_queue_put_bytes(queue, NULL, 1, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put_bytes(queue, text, SIZE_MAX, SHOAL_NOW), -ENOMEM);
    assert_code(shoal_queue_put_bytes(queue, text, SIZE_MAX / 2, SHOAL_NOW), -ENOMEM);
    empty_now(queue);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(queue, put_bytes_into_a_full_queue_leaks_nothing, .timeout = 60)
{
    shoal_segment segment;
    shoal_queue queue;
    static char data[1000];
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 8 << 20 }, &segment), 0);
    assert_code(shoal_queue_create(
                    &(shoal_queue_options){ .segment = segment, .capacity_count = 1 }, &queue),
                0);
    assert_code(shoal_queue_put_bytes(queue, data, sizeof data, SHOAL_NOW), 0);
    for (int i = 0; i < 50000; i++)
        assert_code(shoal_queue_put_bytes(queue, data, sizeof data, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- deadlines ------------------------------------------------------------------------------ */

/* 1.10.2: after the timeout and not before it; a time in the past is a poll. */
Test(queue, deadlines_bound_put_and_get_1_10_2, .timeout = 60)
{
    const shoal_queue queue = queue_of(1);
    void *payload = marker;
    empty_now(queue);
    assert_code(shoal_queue_get(queue, &payload, shoal_at_ns(1)), -ETIMEDOUT);
    assert_code(shoal_queue_get(queue, &payload, shoal_after_ms(-5)), -ETIMEDOUT);
    uint64_t end_ns = harness_now_ns() + 20000000;
    assert_code(shoal_queue_get(queue, &payload, shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns, "get gave up early");
    cr_assert_eq(payload, marker);
    number_put(queue, 1);
    payload = number_new(2);
    assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_put(queue, payload, shoal_at_ns(1)), -ETIMEDOUT);
    end_ns = harness_now_ns() + 20000000;
    assert_code(shoal_queue_put(queue, payload, shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns, "put gave up early");
    cr_assert_eq(number_get(queue), 1);
    /* A time in the past does not keep a call from what it can do at once. */
    assert_code(shoal_queue_put(queue, payload, shoal_at_ns(1)), 0);
    assert_code(shoal_queue_get(queue, &payload, shoal_at_ns(1)), 0);
    shoal_free(payload);
    assert_code(shoal_queue_destroy(queue), 0);
}

static void calls_that_would_wait_answer(shoal_queue empty, shoal_queue full,
                                         shoal_deadline deadline, int code)
{
    void *payload = marker;
    assert_code(shoal_queue_get(empty, &payload, deadline), code);
    cr_assert_eq(payload, marker);
    payload = number_new(2);
    assert_code(shoal_queue_put(full, payload, deadline), code);
    cr_assert_eq(shoal_size(payload), 8);
    shoal_free(payload);
    assert_code(shoal_queue_put_bytes(full, "x", 1, deadline), code);
    cr_assert_eq(shoal_queue_qsize(empty), 0);
    cr_assert_eq(shoal_queue_qsize(full), 1);
}

Test(queue, cancel_event_ends_calls_that_would_wait, .timeout = 60)
{
    const shoal_queue empty = queue_of(1), full = queue_of(1);
    shoal_event event, stale;
    number_put(full, 1);
    assert_code(shoal_event_create(NULL, &event), 0);
    assert_code(shoal_event_create(NULL, &stale), 0);
    assert_code(shoal_event_destroy(stale), 0);
    const shoal_deadline deadlines[] = { SHOAL_FOREVER, shoal_after_s(30) };
    for (size_t i = 0; i < COUNT_OF(deadlines); i++) {
        shoal_deadline deadline = shoal_until(deadlines[i], stale);
        calls_that_would_wait_answer(empty, full, deadline, -ESTALE);
        deadline.cancel.ref = empty.ref;
        calls_that_would_wait_answer(empty, full, deadline, -EINVAL);
        deadline.cancel = event;
        assert_code(shoal_event_set(event), 0);
        calls_that_would_wait_answer(empty, full, deadline, -ECANCELED);
        assert_code(shoal_event_clear(event), 0);
        deadline.ns = shoal_after_ms(5).ns;
        calls_that_would_wait_answer(empty, full, deadline, -ETIMEDOUT);
    }
    for (int shift = 0; shift < 36; shift += 12) { /* of no object at all */
        shoal_deadline deadline = SHOAL_FOREVER;
        void *payload = marker;
        deadline.cancel.ref = UINT64_C(0x123456789) << shift;
        const int code = shoal_queue_get(empty, &payload, deadline);
        cr_assert(code == -EINVAL || code == -ESTALE, "%d", code);
        cr_assert_eq(payload, marker);
    }
    cr_assert_eq(number_get(full), 1);
    assert_code(shoal_event_destroy(event), 0);
    assert_code(shoal_queue_destroy(empty), 0);
    assert_code(shoal_queue_destroy(full), 0);
}

/* --- misuse --------------------------------------------------------------------------------- */

Test(queue, what_is_no_payload_is_refused, .timeout = 60)
{
    const shoal_queue queue = queue_of(4);
    static char in_data[64];
    char on_stack[64], *on_heap = malloc(64), *payload = shoal_alloc(100);
    memset(payload, 'p', 100);
    assert_code(shoal_queue_put(queue, NULL, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put(queue, on_stack, SHOAL_NOW), -EFAULT);
    assert_code(shoal_queue_put(queue, on_heap, SHOAL_NOW), -EFAULT);
    assert_code(shoal_queue_put(queue, in_data, SHOAL_NOW), -EFAULT);
    for (size_t i = 1; i < 100; i++)
        assert_code(shoal_queue_put(queue, payload + i, SHOAL_NOW), -EFAULT);
    assert_code(shoal_queue_put(queue, payload - 16, SHOAL_NOW), -EFAULT);
    shoal_free(payload);
    assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), -EFAULT);
    assert_code(shoal_queue_get(queue, NULL, SHOAL_NOW), -EINVAL);
    cr_assert_eq(shoal_queue_qsize(queue), 0);
    empty_now(queue);
    assert_code(shoal_queue_destroy(queue), 0);
    free(on_heap);
}

Test(queue, get_without_output_takes_nothing, .timeout = 60)
{
    const shoal_queue queue = queue_of(4);
    number_put(queue, 9);
    assert_code(shoal_queue_get(queue, NULL, SHOAL_NOW), -EINVAL);
    cr_assert_eq(number_get(queue), 9);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(queue, payload_put_is_no_longer_the_putter_s, .timeout = 60)
{
    const shoal_queue queue = queue_of(4), other = queue_of(4);
    uint64_t *payload = number_new(5);
    assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), 0);
    assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), -EPERM);
    assert_code(shoal_queue_put(other, payload, SHOAL_NOW), -EPERM);
    shoal_free(payload);
    cr_assert(shoal_error_message()[0]);
    cr_assert_eq(shoal_queue_qsize(queue), 1);
    cr_assert_eq(shoal_queue_qsize(other), 0);
    cr_assert_eq(number_get(queue), 5);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(other), 0);
}

Test(queue, payload_of_another_segment_is_refused, .timeout = 60)
{
    shoal_segment segment;
    shoal_queue there;
    assert_code(shoal_segment_create(NULL, &segment), 0);
    assert_code(shoal_queue_create(&(shoal_queue_options){ .segment = segment }, &there), 0);
    const shoal_queue here = queue_of(4);
    char *inside = shoal_alloc_in(segment, 10), *outside = shoal_alloc(10);
    memcpy(outside, "unchanged", 10);
    assert_code(shoal_queue_put(here, inside, SHOAL_NOW), -EXDEV);
    assert_code(shoal_queue_put(there, outside, SHOAL_NOW), -EXDEV);
    cr_assert_str_eq(outside, "unchanged");
    cr_assert(shoal_size(inside) == 10 && shoal_size(outside) == 10);
    assert_code(shoal_queue_put(there, inside, SHOAL_NOW), 0);
    assert_code(shoal_queue_put(here, outside, SHOAL_NOW), 0);
    assert_code(shoal_queue_destroy(here), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- the end -------------------------------------------------------------------------------- */

Test(queue, shutdown_refuses_puts_and_drains, .timeout = 60)
{
    const shoal_queue queue = queue_of(4);
    for (uint64_t i = 0; i < 3; i++)
        number_put(queue, i);
    assert_code(shoal_queue_shutdown(queue), 0);
    assert_code(shoal_queue_shutdown(queue), 0);
    uint64_t *payload = number_new(9);
    assert_code(shoal_queue_put(queue, payload, SHOAL_FOREVER), -EPIPE);
    cr_assert_eq(shoal_size(payload), 8, "it is still the caller's");
    assert_code(shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW), -EPIPE);
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(shoal_queue_qsize(queue), 3 - i);
        cr_assert_eq(number_get(queue), i);
    }
    void *ret = marker;
    assert_code(shoal_queue_get(queue, &ret, SHOAL_NOW), -EPIPE);
    assert_code(shoal_queue_get(queue, &ret, SHOAL_FOREVER), -EPIPE);
    cr_assert_eq(ret, marker);
    shoal_free(payload);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(queue, shutdown_of_a_full_queue_keeps_its_messages, .timeout = 60)
{
    static const size_t capacities[] = { 1, 2, 3, 7, 8 };
    for (size_t i = 0; i < COUNT_OF(capacities); i++) {
        const shoal_queue queue = queue_of(capacities[i]);
        for (uint64_t k = 0; k < capacities[i]; k++)
            number_put(queue, k);
        assert_code(shoal_queue_shutdown(queue), 0);
        assert_code(shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW), -EPIPE);
        for (uint64_t k = 0; k < capacities[i]; k++)
            cr_assert_eq(number_get(queue), k);
        void *ret = NULL;
        assert_code(shoal_queue_get(queue, &ret, SHOAL_NOW), -EPIPE);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

static void is_stale(shoal_queue queue)
{
    void *payload = marker;
    void *mine = number_new(1);
    assert_code(shoal_queue_put(queue, mine, SHOAL_FOREVER), -ESTALE);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_FOREVER), -ESTALE);
    assert_code(shoal_queue_put_bytes(queue, "x", 1, SHOAL_FOREVER), -ESTALE);
    assert_code(shoal_queue_shutdown(queue), -ESTALE);
    assert_code(shoal_queue_destroy(queue), 0);
    cr_assert_eq(shoal_queue_qsize(queue), 0);
    cr_assert(shoal_queue_empty(queue) && !shoal_queue_full(queue));
    cr_assert_eq(payload, marker);
    cr_assert_eq(shoal_size(mine), 8);
    shoal_free(mine);
}

Test(queue, destroyed_queue_is_stale_and_frees_its_messages, .timeout = 60)
{
    const shoal_queue queue = queue_of(8);
    shoal_ref refs[5];
    for (size_t i = 0; i < COUNT_OF(refs); i++) {
        void *payload = number_new(i);
        refs[i] = shoal_ref_of(payload);
        assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), 0);
    }
    assert_code(shoal_queue_destroy(queue), 0);
    for (size_t i = 0; i < COUNT_OF(refs); i++)
        cr_assert_null(shoal_deref(refs[i]), "message %zu was not freed", i);
    is_stale(queue);
    assert_code(shoal_queue_destroy((shoal_queue){ 0 }), 0);
}

Test(queue, old_handle_does_not_name_a_new_queue, .timeout = 60)
{
    const shoal_queue old = queue_of(4);
    assert_code(shoal_queue_destroy(old), 0);
    bool place_used_again = false;
    for (int i = 0; i < 1000; i++) {
        const shoal_queue fresh = queue_of(4);
        cr_assert_not(SHOAL_SAME(old, fresh), "round %d", i);
        place_used_again = place_used_again || (old.ref ^ fresh.ref) << 28 == 0;
        number_put(fresh, 42);
        is_stale(old);
        cr_assert_eq(number_get(fresh), 42);
        assert_code(shoal_queue_destroy(fresh), 0);
    }
    cr_assert(place_used_again, "the test proves nothing if places are never used again");
}
