/* Queues whose messages are leased, in one process and with children that die. */
#include "call.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "mem/peer.h"
#include "mem/segment.h"

TestSuite(joinable, .timeout = 60);

static shoal_queue joinable(shoal_queue_options options)
{
    shoal_queue queue = { 0 };
    options.joinable = true;
    assert_code(shoal_queue_create(&options, &queue), 0);
    return queue;
}

static void put(shoal_queue queue, const char *text)
{
    assert_code(shoal_queue_put_bytes(queue, text, strlen(text) + 1, SHOAL_NOW), 0);
}

/* What is got: its text, and how often it was given out. */
static void *get(shoal_queue queue, const char *text, int deliveries)
{
    void *payload = NULL;
    assert_code(shoal_queue_get(queue, &payload, harness_deadline()), 0);
    cr_assert_str_eq(payload, text);
    assert_code(shoal_queue_deliveries(payload), deliveries);
    return payload;
}

static shoal_queue shared_queue;

/* In a child: takes so many messages, and is killed with them. */
static int dies_with(void *argument)
{
    void *payload;
    for (unsigned i = *(unsigned *)argument; i > 0; i--)
        CHILD_CHECK(shoal_queue_get(shared_queue, &payload, harness_deadline()) == 0);
    raise(SIGKILL);
    return 0;
}

static void somebody_dies_with(shoal_queue queue, unsigned count)
{
    shared_queue = queue;
    cr_assert_eq(harness_wait(harness_child(dies_with, &count)), -SIGKILL);
    shl_peer_recover_all(&shl_segments[SHL_FAMILY]);
}

static uint64_t payloads_count(void)
{
    shoal_audit audit;
    assert_code(shoal_segment_audit((shoal_segment){ 0 }, &audit), 0);
    cr_assert_eq(audit.damaged, 0);
    return audit.payloads_count;
}

/* 1.10.10 */
Test(joinable, join_ends_when_every_message_is_done_1_10_10, .timeout = 60)
{
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    put(queue, "one");
    put(queue, "two");
    assert_code(shoal_queue_join(queue, SHOAL_NOW), -ETIMEDOUT);
    void *one = get(queue, "one", 1), *two = get(queue, "two", 1);
    assert_code(shoal_queue_join(queue, shoal_after_ms(1)), -ETIMEDOUT);
    assert_code(shoal_queue_task_done(queue, two), 0);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_task_done(queue, one), 0);
    assert_code(shoal_queue_join(queue, SHOAL_FOREVER), 0);
    cr_assert_eq(payloads_count(), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* 1.10.10: each way to end a lease is one, and once. */
Test(joinable, task_done_too_often_is_an_error_1_10_10, .timeout = 60)
{
    shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    const shoal_queue other = joinable((shoal_queue_options){ .capacity_count = 0 });
    shoal_queue plain = { 0 };
    assert_code(shoal_queue_create(NULL, &plain), 0);
    put(queue, "one");
    void *one = get(queue, "one", 1);
    assert_code(shoal_queue_task_done(queue, NULL), -EINVAL);
    assert_code(shoal_queue_task_done(queue, &queue), -EFAULT);
    assert_code(shoal_queue_task_done(other, one), -EINVAL);
    assert_code(shoal_queue_task_done(plain, one), -EINVAL);
    assert_code(shoal_queue_join(plain, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_task_done(queue, one), 0);
    assert_code(shoal_queue_task_done(queue, one), -EOVERFLOW);
    cr_assert(strstr(shoal_error_message(), "task_done() called too many times"));
    assert_code(shoal_queue_deliveries(one), -EOVERFLOW);
    void *mine = shoal_alloc(1);
    assert_code(shoal_queue_task_done(queue, mine), -EOVERFLOW);
    shoal_free(mine);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(other), 0);
    assert_code(shoal_queue_destroy(plain), 0);
}

Test(joinable, free_and_put_end_a_lease_too, .timeout = 60)
{
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    const shoal_queue full = joinable((shoal_queue_options){ .capacity_count = 1 });
    put(queue, "one");
    put(queue, "two");
    shoal_free(get(queue, "one", 1));
    void *two = get(queue, "two", 1);
    put(full, "there");
    assert_code(shoal_queue_put(full, two, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_deliveries(two), 1);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), -ETIMEDOUT);
    shoal_free(get(full, "there", 1));
    assert_code(shoal_queue_put(full, two, SHOAL_NOW), 0);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_task_done(full, get(full, "two", 1)), 0);
    assert_code(shoal_queue_join(full, SHOAL_NOW), 0);
    cr_assert_eq(payloads_count(), 0);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(full), 0);
}

Test(joinable, bad_options_are_refused, .timeout = 60)
{
    shoal_queue queue = { 0 }, values = { 0 };
    shoal_queue_options options = { .joinable = true, .value_size = 8 };
    assert_code(shoal_queue_create(&options, &queue), -ENOTSUP);
    options = (shoal_queue_options){ .deliveries_max = 1 };
    assert_code(shoal_queue_create(&options, &queue), -EINVAL);
    options = (shoal_queue_options){ .value_size = 8 };
    assert_code(shoal_queue_create(&options, &values), 0);
    options = (shoal_queue_options){ .joinable = true, .dead_letters = values };
    assert_code(shoal_queue_create(&options, &queue), -EINVAL);
    assert_code(shoal_queue_destroy(values), 0);
    assert_code(shoal_queue_create(&options, &queue), -ESTALE);
    cr_assert(SHOAL_IS_NONE(queue));
}

/* 1.10.11: an end counts until it is taken. */
Test(joinable, an_end_is_done_when_it_is_taken_1_10_11, .timeout = 60)
{
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    void *payload;
    assert_code(shoal_queue_put_end(queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -EPIPE);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* 1.10.13: in their old order, before what is queued, and counted. */
Test(joinable, what_a_dead_consumer_had_comes_first_1_10_13, .timeout = 60)
{
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    put(queue, "one");
    put(queue, "two");
    put(queue, "three");
    somebody_dies_with(queue, 2);
    cr_assert_eq(payloads_count(), 3);
    void *one = get(queue, "one", 2);
    assert_code(shoal_queue_task_done(queue, one), 0);
    somebody_dies_with(queue, 2);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), -ETIMEDOUT);
    void *two = get(queue, "two", 3), *three = get(queue, "three", 2);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_task_done(queue, three), 0);
    assert_code(shoal_queue_task_done(queue, two), 0);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    cr_assert_eq(payloads_count(), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* 1.10.13 */
Test(joinable, what_kills_its_consumers_goes_to_the_dead_letters_1_10_13, .timeout = 60)
{
    shoal_queue dead = { 0 };
    shoal_queue_counters counters;
    assert_code(shoal_queue_create(&(shoal_queue_options){ .capacity_count = 1 }, &dead), 0);
    const shoal_queue queue = joinable(
        (shoal_queue_options){ .deliveries_max = 1, .dead_letters = dead });
    put(queue, "one");
    put(queue, "two");
    put(queue, "three");
    somebody_dies_with(queue, 2);
    void *three = get(queue, "three", 1), *payload;
    assert_code(shoal_queue_get(dead, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "one");
    shoal_free(payload);
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert_eq(counters.dropped, 1, "there was no room for the second one");
    assert_code(shoal_queue_task_done(queue, three), 0);
    put(queue, "four");
    somebody_dies_with(queue, 1);
    assert_code(shoal_queue_join(queue, harness_deadline()), 0); /* without any consumer */
    assert_code(shoal_queue_get(dead, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "four");
    shoal_free(payload);
    cr_assert_eq(payloads_count(), 0);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(dead), 0);
}

/* 1.10.13: as often as a queue's options that do not say it. */
Test(joinable, what_killed_three_consumers_is_given_up_1_10_13, .timeout = 60)
{
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    shoal_queue_counters counters;
    void *payload;
    put(queue, "one");
    for (int i = 0; i < 3; i++) {
        assert_code(shoal_queue_join(queue, SHOAL_NOW), -ETIMEDOUT);
        somebody_dies_with(queue, 1);
    }
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert_eq(counters.dropped, 1);
    cr_assert_eq(payloads_count(), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(joinable, a_queue_that_is_gone_leaves_the_lease, .timeout = 60)
{
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    put(queue, "one");
    put(queue, "two");
    put(queue, "three");
    somebody_dies_with(queue, 1);
    void *one = get(queue, "one", 2), *two = get(queue, "two", 1);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_task_done(queue, one), -ESTALE);
    cr_assert_str_eq(one, "one");
    shoal_free(one);
    shoal_free(two);
    cr_assert_eq(payloads_count(), 0);
}

/* Bytes count as long as a message is queued, and not while it is out or has come back. */
Test(joinable, capacity_size_counts_what_is_queued, .timeout = 60)
{
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_size = 8 });
    shoal_queue_counters counters;
    put(queue, "12345");
    assert_code(shoal_queue_put_bytes(queue, "678", 4, SHOAL_NOW), -ETIMEDOUT);
    somebody_dies_with(queue, 1);
    put(queue, "678");
    assert_code(shoal_queue_put_bytes(queue, "12345", 6, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert_eq(counters.size, 4);
    void *first = get(queue, "12345", 2);
    assert_code(shoal_queue_put(queue, first, SHOAL_NOW), -ETIMEDOUT);
    shoal_free(get(queue, "678", 1));
    assert_code(shoal_queue_put(queue, first, SHOAL_NOW), 0);
    shoal_free(get(queue, "12345", 1));
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert_eq(counters.size, 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(joinable, shutdown_now_drops_what_came_back_too, .timeout = 60)
{
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    void *payload;
    put(queue, "one");
    put(queue, "two");
    somebody_dies_with(queue, 1);
    cr_assert_eq(payloads_count(), 2);
    assert_code(shoal_queue_shutdown_now(queue), 0);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -EPIPE);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    cr_assert_eq(payloads_count(), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

static int joins(struct call *call)
{
    return shoal_queue_join(call->queue, harness_deadline());
}

/* 1.10.10 */
Test(joinable, the_last_task_done_wakes_all_joiners_1_10_10, .timeout = 60)
{
    struct call calls[4];
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    put(queue, "one");
    void *one = get(queue, "one", 1);
    for (unsigned i = 0; i < COUNT_OF(calls); i++) {
        calls[i] = (struct call){ .function = joins, .queue = queue };
        call_sleeps(&calls[i]);
    }
    assert_code(shoal_queue_task_done(queue, one), 0);
    for (unsigned i = 0; i < COUNT_OF(calls); i++)
        assert_code(call_ends(&calls[i]), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(joinable, get_at_the_end_waits_for_leases_that_are_out, .timeout = 60)
{
    struct call calls[2];
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    put(queue, "one");
    void *one = get(queue, "one", 1), *payload;
    assert_code(shoal_queue_shutdown(queue), 0);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -ETIMEDOUT);
    for (unsigned i = 0; i < COUNT_OF(calls); i++) {
        calls[i] = (struct call){ .function = call_gets, .queue = queue };
        call_sleeps(&calls[i]);
    }
    assert_code(shoal_queue_task_done(queue, one), 0);
    for (unsigned i = 0; i < COUNT_OF(calls); i++)
        assert_code(call_ends(&calls[i]), -EPIPE);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(joinable, destroy_ends_joins, .timeout = 60)
{
    struct call call = { .function = joins,
                         .queue = joinable((shoal_queue_options){ .capacity_count = 0 }) };
    put(call.queue, "one");
    call_sleeps(&call);
    assert_code(shoal_queue_destroy(call.queue), 0);
    assert_code(call_ends(&call), -ESTALE);
}

/* In a child: has a message until it is killed. */
static int holds_one(void *argument)
{
    void *payload;
    _Atomic int *has = argument;
    CHILD_CHECK(shoal_queue_get(shared_queue, &payload, harness_deadline()) == 0);
    *has = 1;
    return harness_pauses(NULL);
}

/* 1.10.13: whoever waits, at the end of the queue or not. */
static void a_death_wakes_who_waits(bool shut_down)
{
    _Atomic int *has = harness_shared(sizeof *has);
    struct call call = { .function = call_gets,
                         .queue = joinable((shoal_queue_options){ .capacity_count = 0 }) };
    shared_queue = call.queue;
    put(call.queue, "one");
    const pid_t pid = harness_child(holds_one, (void *)has);
    cr_assert(harness_until(*has));
    if (shut_down)
        assert_code(shoal_queue_shutdown(call.queue), 0);
    call_sleeps(&call);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    assert_code(call_ends(&call), 0);
    cr_assert_str_eq(call.payload, "one");
    cr_assert_eq(harness_wait(pid), -SIGKILL);
    shoal_free(call.payload);
    assert_code(shoal_queue_join(call.queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_destroy(call.queue), 0);
}

Test(joinable, a_death_gives_a_waiting_get_its_message_1_10_13, .timeout = 60)
{
    a_death_wakes_who_waits(false);
}

Test(joinable, a_death_gives_a_get_at_the_end_its_message_1_10_13, .timeout = 60)
{
    a_death_wakes_who_waits(true);
}

/* 1.10.13: a process that leaves without finishing gives back too. */
static int leaves_with(void *argument)
{
    void *payload;
    (void)argument;
    CHILD_CHECK(shoal_queue_get(shared_queue, &payload, harness_deadline()) == 0);
    return 0;
}

Test(joinable, who_exits_with_a_lease_gives_it_back_1_10_13, .timeout = 60)
{
    const shoal_queue queue = shared_queue = joinable((shoal_queue_options){ .capacity_count = 0 });
    put(queue, "one");
    cr_assert_eq(harness_wait(harness_child(leaves_with, NULL)), 0);
    shl_peer_recover_all(&shl_segments[SHL_FAMILY]);
    assert_code(shoal_queue_task_done(queue, get(queue, "one", 2)), 0);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* ---- threads */

enum { THREADS = 4, EACH = 2000 };

struct party {
    pthread_t thread;
    shoal_queue queue, next;
    unsigned finished;
    int code;
};

static void *produces(void *argument)
{
    struct party *party = argument;
    for (unsigned i = 0; i < EACH && party->code == 0; i++)
        party->code = shoal_queue_put_bytes(party->queue, &i, sizeof i, harness_deadline());
    return NULL;
}

/* Ends each lease in one of the three ways. */
static void *consumes(void *argument)
{
    struct party *party = argument;
    void *payload;
    while ((party->code = shoal_queue_get(party->queue, &payload, harness_deadline())) == 0) {
        const unsigned way = *(unsigned *)payload % 3;
        const int code = way == 0   ? shoal_queue_task_done(party->queue, payload)
                         : way == 1 ? (shoal_free(payload), 0)
                                    : shoal_queue_put(party->next, payload, harness_deadline());
        party->finished += code == 0;
    }
    return NULL;
}

Test(joinable, threads_finish_each_message_once, .timeout = 120)
{
    struct party parties[2 * THREADS];
    const shoal_queue queue = joinable((shoal_queue_options){ .capacity_count = 16 });
    const shoal_queue next = joinable((shoal_queue_options){ .capacity_count = 0 });
    unsigned finished = 0;
    shoal_queue_counters counters;
    for (unsigned i = 0; i < COUNT_OF(parties); i++) {
        parties[i] = (struct party){ .queue = queue, .next = next };
        cr_assert_eq(pthread_create(&parties[i].thread, NULL, i < THREADS ? produces : consumes,
                                    &parties[i]),
                     0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(parties[i].thread, NULL);
    assert_code(shoal_queue_join(queue, harness_deadline()), 0);
    assert_code(shoal_queue_stats(queue, &counters), 0);
    cr_assert_eq(counters.gets, THREADS * EACH);
    assert_code(shoal_queue_shutdown(queue), 0);
    for (unsigned i = THREADS; i < COUNT_OF(parties); i++) {
        pthread_join(parties[i].thread, NULL);
        assert_code(parties[i].code, -EPIPE);
        finished += parties[i].finished;
    }
    cr_assert_eq(finished, THREADS * EACH);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(next), 0);
    cr_assert_eq(payloads_count(), 0);
}
