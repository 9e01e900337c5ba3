/* Queues between processes: spec 1.10. */
#include "proc/children.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

TestSuite(messages, .timeout = 120);

struct pair {
    shoal_queue one, other;
};

static void *number_new(uint64_t number)
{
    uint64_t *payload = SHOAL_NEW(uint64_t);
    if (payload)
        *payload = number;
    return payload;
}

static uint64_t number_of(void *payload)
{
    const uint64_t number = *(uint64_t *)payload;
    shoal_free(payload);
    return number;
}

/* --- visible at return ---------------------------------------------------------------------- */

static void answers_each(void *argument)
{
    const struct pair *pair = argument;
    void *payload = NULL;
    int code;
    while ((code = shoal_queue_get(pair->one, &payload, harness_deadline())) == 0)
        CHILD_CHECK(shoal_queue_put(pair->other, payload, harness_deadline()) == 0);
    CHILD_CHECK(code == -EPIPE);
}

/* 1.10.2: each side blocks until the other wakes it, thousands of times; nothing is copied. */
Test(messages, blocked_calls_are_woken_by_another_process_1_10_2, .timeout = 120)
{
    const struct pair pair = { queue_of(1), queue_of(1) };
    const shoal_process process = CHILD_START(answers_each, pair);
    for (uint64_t i = 0; i < 3000; i++) {
        void *sent = number_new(i), *payload = NULL;
        assert_code(shoal_queue_put(pair.one, sent, harness_deadline()), 0);
        assert_code(shoal_queue_get(pair.other, &payload, harness_deadline()), 0);
        cr_assert_eq(payload, sent);
        cr_assert_eq(number_of(payload), i);
    }
    assert_code(shoal_queue_shutdown(pair.one), 0);
    child_ends(process, 0);
    assert_code(shoal_queue_destroy(pair.one), 0);
    assert_code(shoal_queue_destroy(pair.other), 0);
}

static void gets_now(void *argument)
{
    const shoal_queue queue = *(shoal_queue *)argument;
    void *payload = NULL;
    CHILD_CHECK(!shoal_queue_empty(queue));
    CHILD_CHECK(shoal_queue_qsize(queue) == 1);
    CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0);
    CHILD_CHECK(strcmp(payload, "at once") == 0);
    shoal_free(payload);
    CHILD_CHECK(shoal_queue_empty(queue));
}

/* 1.10.4 */
Test(messages, put_is_visible_to_others_at_its_return_1_10_4, .timeout = 120)
{
    const shoal_queue queue = queue_of(4);
    for (int i = 0; i < 30; i++) {
        assert_code(shoal_queue_put_bytes(queue, "at once", 8, SHOAL_NOW), 0);
        child_ends(CHILD_START(gets_now, queue), 0);
        cr_assert(shoal_queue_empty(queue));
    }
    assert_code(shoal_queue_destroy(queue), 0);
}

static void puts_and_asks_to_look(void *argument)
{
    const struct pair *pair = argument;
    for (int i = 0; i < 1000; i++) {
        void *payload = NULL;
        CHILD_CHECK(shoal_queue_put_bytes(pair->one, &i, sizeof i, SHOAL_NOW) == 0);
        CHILD_CHECK(shoal_queue_put_bytes(pair->other, &i, sizeof i, SHOAL_NOW) == 0);
        while (shoal_queue_qsize(pair->other) > 0)
            sched_yield();
        CHILD_CHECK(shoal_queue_get(pair->one, &payload, SHOAL_NOW) == -ETIMEDOUT);
    }
}

/* 1.10.4: what was put first is there for whoever learned of what was put second. */
Test(messages, order_holds_across_queues_1_10_4, .timeout = 120)
{
    const struct pair pair = { queue_of(2), queue_of(2) };
    const shoal_process process = CHILD_START(puts_and_asks_to_look, pair);
    for (int i = 0; i < 1000; i++) {
        void *first = NULL, *second = NULL;
        cr_assert(harness_until(!shoal_queue_empty(pair.other)));
        assert_code(shoal_queue_get(pair.one, &first, SHOAL_NOW), 0);
        assert_code(shoal_queue_get(pair.other, &second, SHOAL_NOW), 0);
        cr_assert(*(int *)first == i && *(int *)second == i);
        shoal_free(first);
        shoal_free(second);
    }
    child_ends(process, 0);
    assert_code(shoal_queue_destroy(pair.one), 0);
    assert_code(shoal_queue_destroy(pair.other), 0);
}

/* --- the putter dies ------------------------------------------------------------------------ */

enum { SURVIVORS = 200 };

struct dying {
    shoal_queue queue;
    int signal_number;
};

static void puts_and_dies(void *argument)
{
    const struct dying *dying = argument;
    for (uint64_t i = 0; i < SURVIVORS; i++)
        CHILD_CHECK(shoal_queue_put(dying->queue, number_new(i), SHOAL_NOW) == 0);
    if (dying->signal_number)
        raise(dying->signal_number);
    _exit(4);
}

/* 1.10.7 */
Test(messages, what_was_put_survives_the_putter_1_10_7, .timeout = 120)
{
    static const int signals[] = { 0, SIGKILL, SIGTERM };
    struct dying dying = { .queue = queue_of(1000) };
    for (size_t round = 0; round < COUNT_OF(signals); round++) {
        dying.signal_number = signals[round];
        child_ends(CHILD_START(puts_and_dies, dying), signals[round] ? -signals[round] : 4);
        cr_assert_eq(shoal_queue_qsize(dying.queue), SURVIVORS);
        for (uint64_t i = 0; i < SURVIVORS; i++) {
            void *payload = NULL;
            assert_code(shoal_queue_get(dying.queue, &payload, SHOAL_NOW), 0);
            cr_assert_eq(number_of(payload), i);
        }
        cr_assert(shoal_queue_empty(dying.queue));
    }
    assert_code(shoal_queue_destroy(dying.queue), 0);
}

static void fills_and_returns(void *argument)
{
    const shoal_queue queue = *(shoal_queue *)argument;
    static char data[100000];
    for (int i = 0; i < 20; i++)
        CHILD_CHECK(shoal_queue_put_bytes(queue, data, sizeof data, SHOAL_NOW) == 0);
}

/* 1.10.7: a child with unread messages does not wait for a reader at its exit. */
Test(messages, unread_messages_do_not_hold_the_exit_1_10_7, .timeout = 120)
{
    const shoal_queue queue = queue_of(20);
    child_ends(CHILD_START(fills_and_returns, queue), 0);
    cr_assert_eq(shoal_queue_qsize(queue), 20);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- fork after use ------------------------------------------------------------------------- */

static void puts_ten_more(void *argument)
{
    const shoal_queue queue = *(shoal_queue *)argument;
    for (uint64_t i = 10; i < 20; i++)
        CHILD_CHECK(shoal_queue_put(queue, number_new(i), SHOAL_NOW) == 0);
}

static int puts_ten_more_raw(void *argument)
{
    puts_ten_more(argument);
    return 0;
}

/* 1.10.8: by a child that the library starts, and by one that the program forks itself. */
Test(messages, fork_after_use_1_10_8, .timeout = 120)
{
    shoal_queue queue = queue_of(100);
    for (int raw = 0; raw < 2; raw++) {
        for (uint64_t i = 0; i < 10; i++)
            assert_code(shoal_queue_put(queue, number_new(i), SHOAL_NOW), 0);
        if (raw)
            cr_assert_eq(harness_wait(harness_child(puts_ten_more_raw, &queue)), 0);
        else
            child_ends(CHILD_START(puts_ten_more, queue), 0);
        for (uint64_t i = 0; i < 20; i++) {
            void *payload = NULL;
            assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
            cr_assert_eq(number_of(payload), i);
        }
    }
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- two to two ----------------------------------------------------------------------------- */

enum { PARTIES = 2, MESSAGES = 20000 };

struct message {
    uint32_t producer, number, check;
};

struct ledger {
    _Atomic unsigned char seen[PARTIES][MESSAGES];
};

struct party {
    shoal_queue queue;
    struct ledger *ledger;
    uint32_t index;
};

static void produces(void *argument)
{
    const struct party *party = argument;
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct message *message = SHOAL_NEW(struct message);
        CHILD_CHECK(message);
        *message = (struct message){ party->index, i, ~(i ^ party->index) };
        CHILD_CHECK(shoal_queue_put(party->queue, message, harness_deadline()) == 0);
    }
}

static void consumes(void *argument)
{
    const struct party *party = argument;
    int64_t last[PARTIES] = { -1, -1 };
    void *payload = NULL;
    int code;
    while ((code = shoal_queue_get(party->queue, &payload, harness_deadline())) == 0) {
        const struct message message = *(struct message *)payload;
        CHILD_CHECK(shoal_size(payload) == sizeof message);
        CHILD_CHECK(message.producer < PARTIES && message.number < MESSAGES);
        CHILD_CHECK(message.check == ~(message.number ^ message.producer));
        CHILD_CHECK((int64_t)message.number > last[message.producer]);
        last[message.producer] = message.number;
        party->ledger->seen[message.producer][message.number]++;
        shoal_free(payload);
    }
    CHILD_CHECK(code == -EPIPE);
}

/* 1.10.2: FIFO per producer, each exactly once, over a queue that is full or empty often. */
static void two_to_two(size_t capacity)
{
    struct party party = { queue_of(capacity), harness_shared(sizeof(struct ledger)), 0 };
    shoal_process producers[PARTIES], consumers[PARTIES];
    for (party.index = 0; party.index < PARTIES; party.index++) {
        consumers[party.index] = CHILD_START(consumes, party);
        producers[party.index] = CHILD_START(produces, party);
    }
    for (int i = 0; i < PARTIES; i++)
        child_ends(producers[i], 0);
    assert_code(shoal_queue_shutdown(party.queue), 0);
    for (int i = 0; i < PARTIES; i++)
        child_ends(consumers[i], 0);
    for (int i = 0; i < PARTIES; i++)
        for (int k = 0; k < MESSAGES; k++)
            cr_assert_eq(party.ledger->seen[i][k], 1, "message %d of %d", k, i);
    assert_code(shoal_queue_destroy(party.queue), 0);
}

Test(messages, two_to_two_each_once_in_order_1_10_2, .timeout = 120)
{
    two_to_two(64);
}

Test(messages, two_to_two_over_a_queue_of_one_1_10_2, .timeout = 120)
{
    two_to_two(1);
}

/* --- shutdown and destroy seen by others ---------------------------------------------------- */

static void gets_until_code(void *argument)
{
    void *payload = NULL;
    exit(-shoal_queue_get(*(shoal_queue *)argument, &payload, harness_deadline()));
}

Test(messages, shutdown_and_destroy_wake_other_processes, .timeout = 120)
{
    for (int i = 0; i < 10; i++) {
        const shoal_queue queue = queue_of(4), gone = queue_of(4);
        const shoal_process one = CHILD_START(gets_until_code, queue);
        const shoal_process other = CHILD_START(gets_until_code, queue);
        const shoal_process third = CHILD_START(gets_until_code, gone);
        if (i % 2) /* half of the time they sleep already */
            assert_code(shoal_process_join(other, shoal_after_ms(10)), -ETIMEDOUT);
        assert_code(shoal_queue_shutdown(queue), 0);
        assert_code(shoal_queue_destroy(gone), 0);
        child_ends(one, EPIPE);
        child_ends(other, EPIPE);
        child_ends(third, ESTALE % 256);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

/* --- ownership ------------------------------------------------------------------------------ */

static int misuses_the_parents(void *argument)
{
    void **payloads = argument;
    const shoal_queue queue = *(shoal_queue *)payloads[1];
    shoal_free(payloads[0]);
    CHILD_CHECK(shoal_error_message()[0]);
    CHILD_CHECK(shoal_size(payloads[0]) == 100);
    CHILD_CHECK(shoal_queue_put(queue, payloads[0], SHOAL_NOW) == -EPERM);
    return 0;
}

Test(messages, only_the_owner_frees_and_puts, .timeout = 120)
{
    shoal_queue queue = queue_of(4);
    void *payload = shoal_alloc(100), *arguments[2] = { payload, &queue };
    memset(payload, 'p', 100);
    cr_assert_eq(harness_wait(harness_child(misuses_the_parents, arguments)), 0);
    cr_assert_eq(shoal_size(payload), 100);
    assert_code(shoal_queue_put(queue, payload, SHOAL_NOW), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* A pointer inside a payload is valid in every process of the family. */
struct list {
    struct list *next;
    int number;
};

static void walks_the_list(void *argument)
{
    void *payload = NULL;
    int count = 0;
    CHILD_CHECK(shoal_queue_get(*(shoal_queue *)argument, &payload, harness_deadline()) == 0);
    for (struct list *item = payload; item; item = item->next)
        CHILD_CHECK(item->number == count++);
    CHILD_CHECK(count == 100);
}

Test(messages, pointers_inside_payloads_are_valid_everywhere_1_10_1, .timeout = 120)
{
    const shoal_queue queue = queue_of(4);
    struct list *first = NULL;
    const shoal_process process = CHILD_START(walks_the_list, queue);
    for (int i = 99; i >= 0; i--) {
        struct list *item = SHOAL_NEW(struct list);
        cr_assert_not_null(item);
        *item = (struct list){ first, i };
        first = item;
    }
    assert_code(shoal_queue_put(queue, first, SHOAL_NOW), 0);
    child_ends(process, 0);
    assert_code(shoal_queue_destroy(queue), 0);
}
