/* Queues without a capacity: they hold what there is memory for, and give it back. */
#include "chain.h"

#include <errno.h>

#include <shoal/stats.h>
#include <shoal/values.h>

#include "crowd.h"
#include "memory.h"

TestSuite(chain, .timeout = 120);

enum { MANY = 100000 };

static void put_value(shoal_queue queue, uint64_t value)
{
    assert_code(shoal_queue_put_value(queue, &value, sizeof value, SHOAL_NOW), 0);
}

static uint64_t get_value(shoal_queue queue)
{
    uint64_t value = 0;
    assert_code(shoal_queue_get_value(queue, &value, sizeof value, SHOAL_NOW), 0);
    return value;
}

static shoal_queue values_in(shoal_segment segment)
{
    shoal_queue queue;
    const shoal_queue_options options = { .segment = segment, .value_size = sizeof(uint64_t) };
    assert_code(shoal_queue_create(&options, &queue), 0);
    return queue;
}

/* 1.10.3: never full; the count is exact; drained rings give their memory back, and so does the
 * end, also of a queue that is not drained. */
Test(chain, of_values_is_never_full_1_10_3, .timeout = 120)
{
    const shoal_segment segment = memory_segment(64 << 20);
    const shoal_audit before = memory_audit(segment);
    const shoal_queue queue = values_in(segment);
    const shoal_audit empty = memory_audit(segment);
    uint64_t put = 0, got = 0;
    cr_assert_leq(empty.objects - before.objects, 24 << 10, "an empty queue is small");
    for (int round = 0; round < 2; round++) {
        for (; put < (uint64_t)(round + 1) * MANY; put++) {
            cr_assert(!shoal_queue_full(queue));
            put_value(queue, put);
            cr_assert(put % 1000 || shoal_queue_qsize(queue) == put - got + 1);
        }
        for (; got < put; got++) {
            cr_assert_eq(get_value(queue), got);
            cr_assert(got % 1000 || shoal_queue_qsize(queue) == put - got - 1);
        }
        cr_assert(shoal_queue_empty(queue));
    }
    shoal_queue_counters counters;
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert(counters.puts == put && counters.gets == got && counters.count == 0);
    for (uint64_t i = 0; i < MANY; i++)
        put_value(queue, i);
    assert_code(shoal_queue_destroy(queue), 0);
    memory_give_back(segment);
    memory_assert_same(segment, &before);
    assert_code(shoal_segment_detach(segment), 0);
}

/* 1.10.3: likewise of payloads, with what is known of them. */
Test(chain, of_payloads_is_never_full_and_counts_them_1_10_3, .timeout = 120)
{
    shoal_queue queue;
    shoal_queue_counters counters;
    shoal_free(shoal_alloc(1));
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    assert_code(shoal_queue_create(NULL, &queue), 0);
    cr_assert(chain_shrink(queue.ref));
    for (uint64_t i = 0; i < 1000; i++)
        assert_code(shoal_queue_put_bytes(queue, &i, sizeof i, SHOAL_NOW), 0);
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert(counters.count == 1000 && counters.size == 8000 && counters.puts == 1000);
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t *payload;
        assert_code(shoal_queue_get(queue, (void **)&payload, SHOAL_NOW), 0);
        cr_assert_eq(*payload, i);
        shoal_free(payload);
    }
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert(counters.count == 500 && counters.gets == 500 && counters.size == 4000);
    assert_code(shoal_queue_destroy(queue), 0);
    const shoal_audit after = memory_audit((shoal_segment){ 0 });
    cr_assert(after.queued == before.queued && after.objects == before.objects && !after.lost);
}

Test(chain, is_shut_down_and_drained_as_any_queue, .timeout = 120)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        const shoal_queue queue = values_of(sizeof(uint64_t), 0);
        uint64_t value = 0;
        cr_assert(chain_shrink(queue.ref));
        for (uint64_t i = 0; i < 100; i++)
            put_value(queue, i);
        assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
        assert_code(at_once ? shoal_queue_shutdown_now(queue) : shoal_queue_shutdown(queue), 0);
        assert_code(shoal_queue_put_value(queue, &value, sizeof value, SHOAL_FOREVER), -EPIPE);
        for (uint64_t i = 0; i < 100 && !at_once; i++)
            cr_assert_eq(get_value(queue), i);
        for (int i = 0; i < 3; i++)
            assert_code(shoal_queue_get_value(queue, &value, sizeof value, SHOAL_FOREVER), -EPIPE);
        assert_code(shoal_queue_shutdown(queue), 0);
        cr_assert_eq(shoal_queue_qsize(queue), 0);
        assert_code(shoal_queue_destroy(queue), 0);
        assert_code(shoal_queue_put_value(queue, &value, sizeof value, SHOAL_NOW), -ESTALE);
    }
}

/* Full is what has no memory; and again has some, once it is drained. */
Test(chain, without_memory_says_so_and_keeps_what_it_has, .timeout = 120)
{
    const shoal_segment segment = memory_segment(8 << 20);
    const shoal_queue queue = values_in(segment);
    for (int round = 0; round < 2; round++) {
        uint64_t put = 0;
        int code;
        while ((code = shoal_queue_put_value(queue, &put, sizeof put, SHOAL_FOREVER)) == 0)
            put++;
        assert_code(code, -ENOMEM);
        cr_assert_gt(put, 10000);
        cr_assert_eq(shoal_queue_qsize(queue), put);
        for (uint64_t i = 0; i < put; i++)
            cr_assert_eq(get_value(queue), i);
    }
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* What another process has written there leads nobody astray. */
Test(chain, that_is_damaged_is_told, .timeout = 120)
{
    const shoal_queue queue = values_of(sizeof(uint64_t), 0), other = values_of(8, 0);
    struct queue_shm *shm = chain_shrink(queue.ref);
    uint64_t value = 1;
    put_value(queue, 1);
    const uint64_t ends[] = { queue.ref, other.ref, UINT64_C(1) << 50, UINT64_MAX };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        shm->cells.end = ends[i];
        shm->cells.chain.newest = ends[i];
        cr_assert_lt(shoal_queue_put_value(queue, &value, sizeof value, SHOAL_NOW), 0);
        (void)shoal_queue_qsize(queue);
    }
    cr_assert_eq(shoal_queue_qsize(other), 0);
    shm->cells.end = shm->cells.chain.newest = 0;
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(other), 0);
}

Test(chain, hands_each_item_on_once_and_in_its_producer_s_order, .timeout = 120)
{
    const shoal_queue queue = values_of(sizeof(uint64_t), 0);
    cr_assert(chain_shrink(queue.ref));
    crowd_hands_on(queue, sizeof(uint64_t));
}
