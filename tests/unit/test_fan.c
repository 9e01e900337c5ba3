/* Shared payloads in queues: a put moves a hold to the queue, a get moves it on to the getter. */
#include "memory.h"

#include <errno.h>
#include <shoal/pipe.h>
#include <shoal/stats.h>
#include <string.h>

TestSuite(fan, .timeout = 60);

enum { SIZE = 100, QUEUES = 3 };

static shoal_queue queues[QUEUES];

static shoal_audit begin(void)
{
    for (int i = 0; i < QUEUES; i++)
        assert_code(shoal_queue_create(&(shoal_queue_options){ .capacity_count = 4 }, &queues[i]),
                    0);
    shoal_free(shoal_alloc(1));
    return memory_audit((shoal_segment){ 0 });
}

/* Shared so often. */
static char *payload_new(int shares)
{
    char *payload = shoal_alloc(SIZE);
    memset(payload, 's', SIZE);
    for (int i = 0; i < shares; i++)
        assert_code(shoal_share(payload), 0);
    return payload;
}

static bool payload_holds(const char *payload)
{
    bool good = shoal_size(payload) == SIZE;
    for (int i = 0; good && i < SIZE; i++)
        good = payload[i] == 's';
    return good;
}

Test(fan, a_put_moves_the_hold_and_a_get_moves_it_back, .timeout = 60)
{
    const shoal_audit before = begin();
    char *payload = payload_new(1);
    void *message;
    assert_code(shoal_queue_put(queues[0], payload, SHOAL_NOW), 0);
    assert_code(shoal_unshare(payload), -EPERM);
    assert_code(shoal_queue_put(queues[1], payload, SHOAL_NOW), -EPERM);
    cr_assert(payload_holds(payload));
    const shoal_audit now = memory_audit((shoal_segment){ 0 });
    cr_assert_eq(now.payloads_count, before.payloads_count + 1);
    cr_assert_gt(now.shared, before.shared + SIZE);
    cr_assert_eq(now.owned, before.owned);
    cr_assert_eq(now.lost, 0);
    assert_code(shoal_queue_get(queues[0], &message, SHOAL_NOW), 0);
    cr_assert_eq(message, payload);
    cr_assert(payload_holds(payload));
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).queued, before.queued);
    assert_code(shoal_unshare(payload), 0);
    cr_assert_eq(shoal_size(payload), 0);
    memory_assert_same((shoal_segment){ 0 }, &before);
}

static int gets_and_frees(void *argument)
{
    void *message;
    CHILD_CHECK(shoal_queue_get(*(shoal_queue *)argument, &message, harness_deadline()) == 0);
    CHILD_CHECK(payload_holds(message));
    shoal_free(message);
    CHILD_CHECK(shoal_unshare(message) < 0);
    return 0;
}

Test(fan, the_last_of_several_queues_frees, .timeout = 60)
{
    const shoal_audit before = begin();
    char *payload = payload_new(QUEUES);
    for (int i = 0; i < QUEUES; i++)
        assert_code(shoal_queue_put(queues[i], payload, SHOAL_NOW), 0);
    assert_code(shoal_unshare(payload), -EPERM);
    for (int i = 0; i < QUEUES; i++) {
        cr_assert(payload_holds(payload), "%d", i);
        cr_assert_eq(harness_wait(harness_child(gets_and_frees, &queues[i])), 0);
    }
    cr_assert_eq(shoal_size(payload), 0);
    const shoal_audit now = memory_audit((shoal_segment){ 0 });
    cr_assert_eq(now.shared, before.shared);
    cr_assert_eq(now.queued, before.queued);
    cr_assert_eq(now.payloads_count, before.payloads_count);
}

Test(fan, one_queue_may_have_it_several_times, .timeout = 60)
{
    const shoal_audit before = begin();
    void *payload = payload_new(3), *messages[4];
    size_t count;
    assert_code(shoal_queue_put_many(queues[0], (void *[]){ payload, payload, payload }, 3, &count,
                                     SHOAL_NOW),
                0);
    cr_assert_eq(count, 3);
    assert_code(shoal_queue_get_many(queues[0], messages, 4, &count, SHOAL_NOW), 0);
    cr_assert_eq(count, 3);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(messages[i], payload);
        cr_assert(payload_holds(payload));
        shoal_free(messages[i]);
    }
    cr_assert_eq(shoal_size(payload), 0);
    memory_assert_same((shoal_segment){ 0 }, &before);
}

Test(fan, a_put_that_fails_leaves_the_hold, .timeout = 60)
{
    const shoal_audit before = begin();
    char *payload = payload_new(5);
    for (int i = 0; i < 4; i++)
        assert_code(shoal_queue_put(queues[0], payload, SHOAL_NOW), 0);
    assert_code(shoal_queue_put(queues[0], payload, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_shutdown(queues[1]), 0);
    assert_code(shoal_queue_put(queues[1], payload, SHOAL_NOW), -EPIPE);
    assert_code(shoal_queue_shutdown_now(queues[0]), 0);
    cr_assert(payload_holds(payload));
    assert_code(shoal_unshare(payload), 0);
    cr_assert_eq(shoal_size(payload), 0);
    memory_assert_same((shoal_segment){ 0 }, &before);
}

Test(fan, a_queue_that_is_destroyed_holds_no_more, .timeout = 60)
{
    begin();
    char *payload = payload_new(2 * QUEUES + 1);
    for (int i = 0; i < 2 * QUEUES; i++)
        assert_code(shoal_queue_put(queues[i / 2], payload, SHOAL_NOW), 0);
    assert_code(shoal_unshare(payload), 0);
    for (int i = 0; i < QUEUES; i++) {
        cr_assert(payload_holds(payload));
        assert_code(shoal_queue_destroy(queues[i]), 0);
    }
    cr_assert_eq(shoal_size(payload), 0);
    const shoal_audit now = memory_audit((shoal_segment){ 0 });
    cr_assert_eq(now.payloads_count + now.owned + now.shared + now.queued + now.lost, 0);
}

static int puts_what_it_does_not_hold(void *argument)
{
    CHILD_CHECK(shoal_queue_put(queues[0], argument, SHOAL_NOW) == -EPERM);
    return 0;
}

Test(fan, only_who_holds_it_puts_it, .timeout = 60)
{
    const shoal_audit before = begin();
    char *payload = payload_new(1);
    cr_assert_eq(harness_wait(harness_child(puts_what_it_does_not_hold, payload)), 0);
    cr_assert(shoal_queue_empty(queues[0]));
    assert_code(shoal_unshare(payload), 0);
    assert_code(shoal_queue_put(queues[0], payload, SHOAL_NOW), -EFAULT);
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).payloads_count, before.payloads_count);
}

/* --- sizes ---------------------------------------------------------------------------------- */

/* Of what was asked for: neither of the envelope, nor of what is under it. */
Test(fan, a_message_s_size_is_what_was_asked_for, .timeout = 60)
{
    shoal_queue_counters counters;
    begin();
    char *payload = payload_new(1), *parent = shoal_alloc(SIZE);
    cr_assert_not_null(shoal_alloc_under(parent, 3 * SIZE));
    assert_code(shoal_queue_put(queues[0], payload, SHOAL_NOW), 0);
    assert_code(shoal_queue_put(queues[0], parent, SHOAL_NOW), 0);
    assert_code(shoal_queue_stats(queues[0], &counters), 0);
    cr_assert_eq(counters.count, 2);
    cr_assert_eq(counters.size, 2 * SIZE);
}

Test(fan, a_pipe_is_as_a_queue, .timeout = 60)
{
    shoal_connection ends[2];
    char copy[SIZE];
    size_t size;
    void *message;
    begin();
    assert_code(shoal_pipe_create(NULL, &ends[0], &ends[1]), 0);
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    char *payload = payload_new(2), *parent = shoal_alloc(SIZE);
    cr_assert_not_null(shoal_alloc_under(parent, SIZE));
    for (int i = 0; i < 2; i++)
        assert_code(shoal_connection_send(ends[0], payload, SHOAL_NOW), 0);
    assert_code(shoal_connection_send(ends[0], parent, SHOAL_NOW), 0);
    assert_code(shoal_connection_recv_bytes(ends[1], copy, SIZE - 1, &size, SHOAL_NOW), -EMSGSIZE);
    assert_code(shoal_connection_recv_bytes(ends[1], copy, SIZE, &size, SHOAL_NOW), 0);
    cr_assert_eq(size, SIZE);
    cr_assert_eq(copy[SIZE - 1], 's');
    assert_code(shoal_connection_recv(ends[1], &message, SHOAL_NOW), 0);
    cr_assert_eq(message, payload);
    shoal_free(message);
    cr_assert_eq(shoal_size(payload), 0);
    assert_code(shoal_connection_recv_bytes(ends[1], copy, SIZE, &size, SHOAL_NOW), 0);
    cr_assert_eq(size, SIZE);
    memory_assert_same((shoal_segment){ 0 }, &before);
}
