/* Joinable queues, bulk ones and those of other values than words, without a capacity: they hold
 * what there is memory for, and give it back. */
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <shoal/event.h>
#include <shoal/joinable.h>
#include <shoal/stats.h>
#include <shoal/values.h>

#include "crowd.h"
#include "memory.h"
#include "os/chaos.h"
#include "os/futex.h"

TestSuite(store, .timeout = 120);

enum {
    MANY = 100000,
    THREADS = 2,
    ITEMS = 20000,
    AT_ONCE = 3000,
    VALUE_MAX = SHOAL_QUEUE_VALUE_SIZE_MAX
};

static const shoal_queue_options kinds[] = {
    { .joinable = true },         { .bulk = true },
    { .capacity_size = 1 << 30 }, { .bulk = true, .value_size = 8 },
    { .value_size = 1 },          { .value_size = 100 },
    { .value_size = VALUE_MAX },
};

static shoal_queue queue_in(shoal_segment segment, shoal_queue_options options)
{
    shoal_queue queue;
    options.segment = segment;
    assert_code(shoal_queue_create(&options, &queue), 0);
    return queue;
}

/* A number as a message, of which a small value keeps the low bits alone. */
static int put_number(shoal_queue queue, size_t value_size, uint64_t number)
{
    char value[VALUE_MAX] = { 0 };
    memcpy(value, &number, value_size < 8 && value_size > 0 ? value_size : 8);
    return value_size ? shoal_queue_put_value(queue, value, value_size, SHOAL_NOW)
                      : shoal_queue_put_bytes(queue, &number, 8, SHOAL_NOW);
}

static void assert_next(shoal_queue queue, size_t value_size, uint64_t number)
{
    char value[VALUE_MAX] = { 0 };
    void *payload = value;
    const size_t size = value_size < 8 && value_size > 0 ? value_size : 8;
    assert_code(value_size ? shoal_queue_get_value(queue, value, value_size, SHOAL_NOW)
                           : shoal_queue_get(queue, &payload, SHOAL_NOW),
                0);
    cr_assert(memcmp(payload, &number, size) == 0, "size %zu, number %llu", value_size,
              (unsigned long long)number);
    if (payload != value)
        shoal_free(payload);
}

/* 1.10.3: never full; the count is exact; what was drained gives its memory back to the segment,
 * and so does the end, also of a queue that is not drained. */
Test(store, grows_and_shrinks_and_is_never_full_1_10_3, .timeout = 120)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        const size_t size = kinds[k].value_size;
        const uint64_t many = size > 8 ? 200000 / size * 10 : MANY;
        const shoal_segment segment = memory_segment(64 << 20);
        const shoal_audit before = memory_audit(segment);
        const shoal_queue queue = queue_in(segment, kinds[k]);
        const shoal_audit empty = memory_audit(segment);
        cr_assert_leq(empty.objects - before.objects, 336 << 10, "an empty queue is small");
        for (int round = 0; round < 2; round++) {
            for (uint64_t i = 0; i < many; i++) {
                cr_assert(!shoal_queue_full(queue));
                assert_code(put_number(queue, size, i), 0);
            }
            cr_assert_eq(shoal_queue_qsize(queue), many);
            for (uint64_t i = 0; i < many; i++)
                assert_next(queue, size, i);
            char none[VALUE_MAX];
            void *nothing;
            assert_code(size ? shoal_queue_get_value(queue, none, size, SHOAL_NOW)
                             : shoal_queue_get(queue, &nothing, SHOAL_NOW),
                        -ETIMEDOUT);
            const shoal_audit drained = memory_audit(segment);
            cr_assert_leq(drained.objects, empty.objects + (64 << 10), "kind %zu: %llu", k,
                          (unsigned long long)(drained.objects - empty.objects));
        }
        for (uint64_t i = 0; i < many; i++)
            assert_code(put_number(queue, size, i), 0);
        assert_code(shoal_queue_destroy(queue), 0);
        memory_give_back(segment);
        memory_assert_same(segment, &before);
        assert_code(shoal_segment_detach(segment), 0);
    }
}

/* Ends keep their places among what moves, and so do the sums that are told. */
Test(store, moves_ends_and_counts_with_the_items, .timeout = 120)
{
    shoal_queue_counters counters;
    void *payload;
    const shoal_queue queue = queue_in((shoal_segment){ 0 }, kinds[1]);
    cr_assert(store_shrink(queue.ref));
    for (uint64_t i = 0; i < 300; i++)
        assert_code(i % 3 == 2 ? shoal_queue_put_end(queue, SHOAL_NOW) : put_number(queue, 0, i),
                    0);
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert(counters.count == 300 && counters.puts == 300 && counters.size == 1600, "%llu",
              (unsigned long long)counters.size);
    for (uint64_t i = 0; i < 300; i++)
        if (i % 3 == 2)
            assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -EPIPE);
        else
            assert_next(queue, 0, i);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(store, is_shut_down_and_drained_as_any_queue, .timeout = 120)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        const shoal_queue queue = queue_in((shoal_segment){ 0 }, kinds[5]);
        char value[100];
        cr_assert(store_shrink(queue.ref));
        for (uint64_t i = 0; i < 100; i++)
            assert_code(put_number(queue, 100, i), 0);
        assert_code(at_once ? shoal_queue_shutdown_now(queue) : shoal_queue_shutdown(queue), 0);
        assert_code(put_number(queue, 100, 0), -EPIPE);
        for (uint64_t i = 0; i < 100 && !at_once; i++)
            assert_next(queue, 100, i);
        assert_code(shoal_queue_get_value(queue, value, 100, SHOAL_FOREVER), -EPIPE);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

/* Bytes still bound it: the count alone does not. */
Test(store, is_bounded_by_its_bytes, .timeout = 120)
{
    const shoal_queue queue = queue_in((shoal_segment){ 0 },
                                       (shoal_queue_options){ .capacity_size = 80000 });
    cr_assert(store_shrink(queue.ref));
    for (uint64_t i = 0; i < 10000; i++)
        assert_code(put_number(queue, 0, i), 0);
    cr_assert(shoal_queue_full(queue));
    assert_code(put_number(queue, 0, 0), -ETIMEDOUT);
    for (uint64_t i = 0; i < 10000; i++)
        assert_next(queue, 0, i);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(store, without_memory_says_so_and_keeps_what_it_has, .timeout = 120)
{
    const shoal_segment segment = memory_segment(8 << 20);
    const shoal_queue queue = queue_in(segment, kinds[5]);
    for (int round = 0; round < 2; round++) {
        uint64_t put = 0;
        int code;
        while ((code = put_number(queue, 100, put)) == 0)
            put++;
        assert_code(code, -ENOMEM);
        cr_assert_gt(put, 10000);
        cr_assert_eq(shoal_queue_qsize(queue), put);
        for (uint64_t i = 0; i < put; i++)
            assert_next(queue, 100, i);
    }
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* 1.10.10: leases, and join, know nothing of where the messages lie. */
Test(store, moves_messages_that_are_joined_1_10_10, .timeout = 120)
{
    enum { COUNT = 3000 };
    void *payloads[COUNT];
    const shoal_queue queue = queue_in((shoal_segment){ 0 }, kinds[0]);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_code(put_number(queue, 0, i), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_code(shoal_queue_get(queue, &payloads[i], SHOAL_NOW), 0);
        cr_assert_eq(*(uint64_t *)payloads[i], i);
    }
    assert_code(shoal_queue_join(queue, SHOAL_NOW), -ETIMEDOUT);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_code(shoal_queue_task_done(queue, payloads[i]), 0);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* Positions come round after 2^47 items: only distances count. */
Test(store, goes_on_where_positions_come_round, .timeout = 120)
{
    for (size_t k = 0; k < 2 * COUNT_OF(kinds); k++) {
        shoal_queue_options options = kinds[k / 2];
        options.capacity_count = k % 2 ? 3 : 0;
        const shoal_queue queue = queue_in((shoal_segment){ 0 }, options);
        struct ring_shm *ring =
            &((struct queue_shm *)shl_find(queue.ref, KIND_QUEUE)->object)->ring;
        const uint64_t first = RING_SEALED - 2;
        if (k % 2 == 0)
            cr_assert(store_shrink(queue.ref));
        ring->first = first;
        ring->head.word = ring->tail.word = ring->head.other = ring->tail.other = first;
        uint64_t put = 0, got = 0;
        for (int lap = 0; lap < 5; lap++) {
            for (int i = 0; i < 3; i++)
                assert_code(put_number(queue, options.value_size, put++), 0);
            cr_assert_eq(shoal_queue_full(queue), k % 2);
            cr_assert_eq(shoal_queue_qsize(queue), 3);
            for (int i = 0; i < 3; i++)
                assert_next(queue, options.value_size, got++);
            cr_assert(shoal_queue_empty(queue));
        }
        shoal_queue_counters counters;
        assert_code(shoal_queue_stats(queue, &counters), 0);
        cr_assert(counters.puts == 15 && counters.gets == 15 && ring->head.word == 13);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

/* What another process has written there leads nobody astray. */
Test(store, that_is_damaged_is_told, .timeout = 120)
{
    const shoal_queue queue = queue_in((shoal_segment){ 0 }, kinds[3]);
    struct ring_shm *ring = store_shrink(queue.ref);
    const uint64_t good = ring->store;
    const uint64_t stores[] = { 0, UINT64_MAX, good | UINT64_C(40) << 40, good + (1 << 30) };
    assert_code(put_number(queue, 8, 1), 0);
    for (size_t i = 0; i < COUNT_OF(stores); i++) {
        char value[8];
        ring->store = stores[i];
        int code = put_number(queue, 8, 1);
        cr_assert(code == 0 || code == -EUCLEAN || code == -ENOMEM, "%d", code);
        code = shoal_queue_get_value(queue, value, 8, SHOAL_NOW);
        cr_assert(code == 0 || code == -EUCLEAN, "%d", code);
        (void)shoal_queue_qsize(queue);
        (void)shoal_queue_full(queue);
        const uint64_t position = RING_POSITION(ring->head.word);
        ring->tail.word = position;
    }
    ring->store = good;
    /* Its head before its tail: it is as full as no ring can be. */
    const uint64_t position = RING_POSITION(ring->tail.word);
    ring->head.word = ring->tail.other = position + 1;
    assert_code(put_number(queue, 8, 1), -EUCLEAN);
    ring->head.word = ring->head.other = ring->tail.other = position;
    /* A spare block that is none: what is in use is not freed, and foreign memory neither. */
    uint64_t *foreign = shoal_alloc(8);
    const uint64_t spares[] = { good, 1, UINT64_MAX,
                                shl_offset(shl_segment_family(), foreign) >> 4 };
    for (size_t i = 0; i < COUNT_OF(spares); i++) {
        ring->spare = spares[i];
        for (uint64_t k = 0; k < 8; k++)
            assert_code(put_number(queue, 8, k), 0);
        for (uint64_t k = 0; k < 8; k++)
            assert_next(queue, 8, k);
        cr_assert_eq(ring->spare, 0);
        char value[8];
        assert_code(shoal_queue_get_value(queue, value, 8, SHOAL_NOW), -ETIMEDOUT);
    }
    assert_code(shoal_queue_destroy(queue), 0);
    shoal_free(foreign);
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).lost, 0);
}

/* --- many at once ---------------------------------------------------------------------------- */

Test(store, hands_each_item_on_once_and_in_its_producer_s_order, .timeout = 120)
{
    const shoal_queue queue = values_of(2 * sizeof(uint64_t), 0);
    cr_assert(store_shrink(queue.ref));
    crowd_hands_on(queue, 2 * sizeof(uint64_t));
}

static shoal_queue shared;
static _Atomic unsigned failures;

/* Who adds up what is queued finds each message once, wherever it lies by then. */
static void *sums_up(void *stop)
{
    while (!*(_Atomic bool *)stop) {
        shoal_queue_counters counters;
        failures += shoal_queue_stats(shared, &counters) != 0 || counters.size % 8 != 0 ||
                    counters.size > 8 * AT_ONCE;
    }
    return NULL;
}

static void fill_and_drain(uint64_t count)
{
    void *nothing;
    for (uint64_t i = 0; i < count; i++)
        assert_code(put_number(shared, 0, i), 0);
    for (uint64_t i = 0; i < count; i++)
        assert_next(shared, 0, i);
    assert_code(shoal_queue_get(shared, &nothing, SHOAL_NOW), -ETIMEDOUT);
}

/* Its stores are of other sizes than the messages, so that no message comes where one was. */
Test(store, is_looked_into_while_it_moves, .timeout = 120)
{
    _Atomic bool stop = false;
    pthread_t thread;
    shared = queue_in((shoal_segment){ 0 }, kinds[1]);
    fill_and_drain(AT_ONCE);
    cr_assert_eq(pthread_create(&thread, NULL, sums_up, &stop), 0);
    for (int round = 0; round < 50; round++)
        fill_and_drain(AT_ONCE);
    stop = true;
    pthread_join(thread, NULL);
    cr_assert_eq(failures, 0, "%u failures", failures);
    assert_code(shoal_queue_destroy(shared), 0);
}

/* --- the queue's end meanwhile --------------------------------------------------------------- */

static struct {
    shoal_queue queue;
    atom32 stalled, released;
} mover;

static void *enlarges(void *unused)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = "store.M1",
                                             .action = SHL_CHAOS_STALL,
                                             .stalled = &mover.stalled,
                                             .released = &mover.released });
    failures += put_number(mover.queue, 8, 2) == 0;
    return unused;
}

/* It ends with its creator, say, while a put moves it: both stores are the queue's that was. */
Test(store, leaves_nothing_of_a_queue_that_ends_meanwhile, .timeout = 60)
{
    pthread_t thread;
    shoal_free(shoal_alloc(1));
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    mover.queue = queue_in((shoal_segment){ 0 }, kinds[3]);
    const struct shl_found *found = shl_find(mover.queue.ref, KIND_QUEUE);
    cr_assert(store_shrink(mover.queue.ref));
    assert_code(put_number(mover.queue, 8, 1), 0);
    cr_assert_eq(pthread_create(&thread, NULL, enlarges, NULL), 0);
    /* [chaos.stall] acquire <- stall(). */
    cr_assert(harness_until(atom_load_acquire(&mover.stalled)));
    cr_assert(shl_object_expire(found->object, mover.queue.ref));
    /* [chaos.stall] release -> stall(). */
    atom_store_release(&mover.released, 1);
    shl_futex_wake(&mover.released, 1);
    pthread_join(thread, NULL);
    cr_assert_eq(failures, 0);
    shl_object_finish(shl_segment_family(), KIND_QUEUE, found->object, mover.queue.ref);
    const shoal_audit after = memory_audit((shoal_segment){ 0 });
    cr_assert(after.objects == before.objects && after.lost == 0 && after.owned == before.owned,
              "%llu bytes of objects", (unsigned long long)after.objects);
}

/* --- a side that is held -------------------------------------------------------------------- */

static struct {
    _Atomic uint64_t owner;
    shoal_event over, cancel;
} holder;

/* Attached, and stopped, as far as others can see. */
static void *holds(void *argument)
{
    holder.owner = shl_self(shl_segment_family())->owner;
    (void)!shoal_event_wait(holder.over, harness_deadline());
    return argument;
}

static void *cancels(void *argument)
{
    (void)!shoal_event_set(holder.cancel);
    return argument;
}

static void assert_ends(shoal_queue queue, shoal_deadline deadline, int code)
{
    uint64_t values[2] = { 0 };
    size_t count;
    assert_code(shoal_queue_put_value(queue, values, 8, deadline), code);
    assert_code(shoal_queue_put_values(queue, values, 8, 2, &count, deadline), code);
    assert_code(shoal_queue_get_value(queue, values, 8, deadline), code);
    assert_code(shoal_queue_get_values(queue, values, 8, 2, &count, deadline), code);
}

/* Who waits for a stopped one's side does so as anybody waits. */
Test(store, wait_for_a_side_ends_at_its_deadline_or_is_cancelled, .timeout = 120)
{
    pthread_t thread, canceller;
    assert_code(shoal_event_create(NULL, &holder.over), 0);
    assert_code(shoal_event_create(NULL, &holder.cancel), 0);
    const shoal_queue queue = queue_in((shoal_segment){ 0 },
                                       (shoal_queue_options){ .bulk = true, .value_size = 8 });
    put_number(queue, 8, 1);
    cr_assert_eq(pthread_create(&thread, NULL, holds, NULL), 0);
    while (holder.owner == 0)
        sched_yield();
    struct ring_shm *ring = &((struct queue_shm *)shl_find(queue.ref, KIND_QUEUE)->object)->ring;
    const uint64_t tail = ring->tail.word, head = ring->head.word;
    ring->tail.word = tail | holder.owner << SIDE_OWNER_SHIFT;
    ring->head.word = head | holder.owner << SIDE_OWNER_SHIFT;
    assert_ends(queue, SHOAL_NOW, -ETIMEDOUT);
    assert_ends(queue, shoal_after_ms(20), -ETIMEDOUT);
    const shoal_deadline deadline = shoal_until(SHOAL_FOREVER, holder.cancel);
    cr_assert_eq(pthread_create(&canceller, NULL, cancels, NULL), 0);
    assert_ends(queue, deadline, -ECANCELED);
    pthread_join(canceller, NULL);
    assert_code(shoal_event_destroy(holder.cancel), 0);
    assert_ends(queue, deadline, -ESTALE);
    ring->tail.word = tail;
    ring->head.word = head;
    assert_code(shoal_event_set(holder.over), 0);
    pthread_join(thread, NULL);
    assert_next(queue, 8, 1);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_event_destroy(holder.over), 0);
}
