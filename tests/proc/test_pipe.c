/* Pipes: messages, who holds an end, and what becomes of the other one. Spec 2.11, 2.12. */
#include "call.h"
#include "children.h"

#include <errno.h>
#include <stdint.h>

TestSuite(pipe, .timeout = 120);

struct ends {
    shoal_connection first, second;
};

static struct ends pipe_of(size_t capacity_count, bool one_way)
{
    struct ends ends;
    const shoal_pipe_options options = { .capacity_count = capacity_count, .one_way = one_way };
    assert_code(shoal_pipe_create(&options, &ends.first, &ends.second), 0);
    cr_assert_not(SHOAL_SAME(ends.first, ends.second));
    return ends;
}

static void close_both(struct ends ends)
{
    assert_code(shoal_connection_close(ends.first), 0);
    assert_code(shoal_connection_close(ends.second), 0);
}

static void says(shoal_connection from, const char *text)
{
    assert_code(shoal_connection_send_bytes(from, text, strlen(text) + 1, SHOAL_NOW), 0);
}

static void hears(shoal_connection at, const char *text)
{
    char heard[100] = "";
    size_t size = 0;
    assert_code(shoal_connection_recv_bytes(at, heard, sizeof heard, &size, SHOAL_NOW), 0);
    cr_assert_str_eq(heard, text);
    cr_assert_eq(size, strlen(text) + 1);
}

/* --- messages ------------------------------------------------------------------------------- */

/* 2.11: both ways at once, each message by itself, empty ones too. */
Test(pipe, messages_stay_apart_2_11, .timeout = 60)
{
    const struct ends ends = pipe_of(0, false);
    char heard[100];
    size_t size = 77;
    says(ends.first, "one");
    assert_code(shoal_connection_send_bytes(ends.first, NULL, 0, SHOAL_NOW), 0);
    says(ends.second, "back");
    says(ends.first, "two");
    hears(ends.second, "one");
    assert_code(shoal_connection_poll(ends.second, SHOAL_NOW), 0);
    assert_code(shoal_connection_recv_bytes(ends.second, NULL, 0, &size, SHOAL_NOW), 0);
    cr_assert_eq(size, 0);
    hears(ends.first, "back");
    hears(ends.second, "two");
    assert_code(shoal_connection_poll(ends.second, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_connection_poll(ends.second, shoal_after_ms(-1)), -ETIMEDOUT);
    assert_code(shoal_connection_recv_bytes(ends.second, heard, 100, &size, SHOAL_NOW), -ETIMEDOUT);
    close_both(ends);
}

/* 2.11: 16 MiB, handed over and not copied. */
Test(pipe, large_message_is_handed_over_2_11, .timeout = 60)
{
    const struct ends ends = pipe_of(1, false);
    char *large = shoal_alloc(16 << 20);
    void *payload = NULL;
    memset(large, 'l', 16 << 20);
    assert_code(shoal_connection_send(ends.first, large, SHOAL_NOW), 0);
    assert_code(shoal_connection_send(ends.first, shoal_alloc(0), SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_connection_recv(ends.second, &payload, SHOAL_NOW), 0);
    cr_assert_eq(payload, (void *)large);
    cr_assert_eq(shoal_size(payload), 16 << 20);
    shoal_free(payload);
    close_both(ends);
}

/* 2.12: a message that does not fit stays. */
Test(pipe, message_larger_than_its_room_stays_2_12, .timeout = 60)
{
    const struct ends ends = pipe_of(0, false);
    char heard[4] = "abc";
    size_t size = 77;
    says(ends.first, "12345");
    assert_code(shoal_connection_recv_bytes(ends.second, heard, 4, &size, SHOAL_FOREVER),
                -EMSGSIZE);
    cr_assert_str_eq(shoal_error_message(), "the message has 6 bytes");
    cr_assert(size == 77 && strcmp(heard, "abc") == 0);
    hears(ends.second, "12345");
    close_both(ends);
}

/* 2.11 */
Test(pipe, one_way_ends_do_one_thing_2_11, .timeout = 60)
{
    const struct ends ends = pipe_of(0, true);
    void *payload = shoal_alloc(8), *got;
    size_t size;
    assert_code(shoal_connection_send(ends.first, payload, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_send_bytes(ends.first, "x", 1, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_recv(ends.second, &got, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_recv_bytes(ends.second, NULL, 0, &size, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_poll(ends.second, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_send(ends.second, payload, SHOAL_NOW), 0);
    assert_code(shoal_connection_recv(ends.first, &got, SHOAL_NOW), 0);
    cr_assert_eq(got, payload);
    shoal_free(got);
    close_both(ends);
}

/* 2.12: no handle, one of something else, an end that was closed. */
Test(pipe, misuse_is_refused_2_12, .timeout = 60)
{
    const struct ends ends = pipe_of(0, false);
    const shoal_queue queue = queue_of(1);
    struct ends none = { { 77 }, { 77 } };
    char local, *mine = shoal_alloc(8);
    void *got = NULL;
    shoal_pipe_options absurd = { .capacity_count = SIZE_MAX };
    assert_code(shoal_pipe_create(NULL, &none.first, NULL), -EINVAL);
    assert_code(shoal_pipe_create(&absurd, &none.first, &none.second), -EINVAL);
    absurd = (shoal_pipe_options){ .reserved = { 1 } };
    assert_code(shoal_pipe_create(&absurd, &none.first, &none.second), -EINVAL);
    cr_assert(none.first.ref == 77 && none.second.ref == 77);
    assert_code(shoal_connection_send((shoal_connection){ 0 }, mine, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_send((shoal_connection){ queue.ref }, mine, SHOAL_NOW), -EINVAL);
    assert_code(shoal_queue_put((shoal_queue){ ends.first.ref }, mine, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_send(ends.first, &local, SHOAL_NOW), -EFAULT);
    assert_code(shoal_connection_send(ends.first, NULL, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_send_bytes(ends.first, NULL, 1, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_recv(ends.first, NULL, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_give(ends.first, (shoal_process){ 0 }), -EINVAL);
    assert_code(shoal_connection_give(ends.first, (shoal_process){ queue.ref }), -EINVAL);
    close_both(ends);
    close_both(ends);
    assert_code(shoal_connection_close((shoal_connection){ 0 }), 0);
    assert_code(shoal_connection_close((shoal_connection){ queue.ref }), -EINVAL);
    assert_code(shoal_connection_send(ends.first, mine, SHOAL_NOW), -ESTALE);
    assert_code(shoal_connection_recv(ends.first, &got, SHOAL_NOW), -ESTALE);
    assert_code(shoal_connection_poll(ends.first, SHOAL_NOW), -ESTALE);
    shoal_free(mine);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* --- the end -------------------------------------------------------------------------------- */

/* 2.11, 2.12: what was sent before the close is received; poll tells of the end. */
Test(pipe, closed_end_is_the_end_of_the_other_2_12, .timeout = 60)
{
    const struct ends ends = pipe_of(0, false);
    void *got = NULL, *mine = shoal_alloc(8);
    says(ends.first, "last");
    says(ends.second, "unread");
    assert_code(shoal_connection_close(ends.first), 0);
    assert_code(shoal_connection_send(ends.second, mine, SHOAL_NOW), -EPIPE);
    hears(ends.second, "last");
    assert_code(shoal_connection_poll(ends.second, SHOAL_NOW), 0);
    assert_code(shoal_connection_recv(ends.second, &got, SHOAL_NOW), -EPIPE);
    assert_code(shoal_connection_recv(ends.second, &got, SHOAL_FOREVER), -EPIPE);
    cr_assert_eq(shoal_size(mine), 8, "it is still the caller's");
    shoal_free(mine);
    assert_code(shoal_connection_close(ends.second), 0);
}

Test(pipe, pipes_come_and_go_without_a_trace, .timeout = 60)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 8 << 20 }, &segment), 0);
    for (int i = 0; i < 3000; i++) {
        struct ends ends;
        const shoal_pipe_options options = { .segment = segment };
        assert_code(shoal_pipe_create(&options, &ends.first, &ends.second), 0);
        says(ends.first, "left");
        says(ends.second, "behind");
        close_both(ends);
    }
    assert_code(shoal_segment_detach(segment), 0);
}

static int receives(struct call *call)
{
    const int code = shoal_connection_recv(call->end, &call->payload, harness_deadline());
    shoal_free(call->payload);
    return code;
}

static int sends(struct call *call)
{
    return shoal_connection_send_bytes(call->end, "more", 5, harness_deadline());
}

/* Half of the time it sleeps already. */
static void begin(struct call *call, int (*function)(struct call *), shoal_connection end,
                  int round)
{
    *call = (struct call){ .function = function, .end = end };
    if (round % 2)
        call_sleeps(call);
    else
        call_start(call);
}

Test(pipe, sleepers_are_woken_by_messages_and_by_either_close, .timeout = 60)
{
    for (int i = 0; i < 30; i++) {
        const struct ends ends = pipe_of(0, false);
        const int code = i % 4 < 2 ? -ESTALE : -EPIPE;
        struct call calls[2];
        begin(&calls[0], receives, ends.first, i);
        says(ends.second, "woken");
        assert_code(call_ends(&calls[0]), 0);
        begin(&calls[0], receives, ends.first, i);
        begin(&calls[1], receives, ends.first, i);
        assert_code(shoal_connection_close(i % 4 < 2 ? ends.first : ends.second), 0);
        assert_code(call_ends(&calls[0]), code);
        assert_code(call_ends(&calls[1]), code);
        close_both(ends);
    }
}

/* Of two who wait for room both are told, by -ESTALE whose own end was closed. */
Test(pipe, waiting_senders_are_told_of_either_close, .timeout = 60)
{
    for (int i = 0; i < 4; i++) {
        const struct ends ends = pipe_of(1, false);
        struct call calls[2];
        says(ends.first, "full");
        for (unsigned j = 0; j < COUNT_OF(calls); j++)
            begin(&calls[j], sends, ends.first, i);
        assert_code(shoal_connection_close(i < 2 ? ends.first : ends.second), 0);
        for (unsigned j = 0; j < COUNT_OF(calls); j++)
            assert_code(call_ends(&calls[j]), i < 2 ? -ESTALE : -EPIPE);
        close_both(ends);
    }
}

/* A deadline's event that is gone is no end of the pipe. */
Test(pipe, stale_cancel_event_is_told_as_such, .timeout = 60)
{
    const struct ends ends = pipe_of(1, false);
    shoal_event event;
    void *payload = NULL;
    assert_code(shoal_event_create(NULL, &event), 0);
    assert_code(shoal_event_destroy(event), 0);
    const shoal_deadline deadline = shoal_until(harness_deadline(), event);
    says(ends.first, "full");
    assert_code(shoal_connection_send_bytes(ends.first, "more", 5, deadline), -ESTALE);
    hears(ends.second, "full");
    assert_code(shoal_connection_recv(ends.second, &payload, deadline), -ESTALE);
    close_both(ends);
}

/* --- other processes ------------------------------------------------------------------------ */

static void answers(void *argument)
{
    const shoal_connection end = *(shoal_connection *)argument;
    void *payload = NULL;
    int code;
    while ((code = shoal_connection_recv(end, &payload, harness_deadline())) == 0)
        CHILD_CHECK(shoal_connection_send(end, payload, harness_deadline()) == 0);
    CHILD_CHECK(code == -EPIPE);
}

/* A running child that holds the second end. */
static shoal_process holder_start(void (*target)(void *), struct ends ends)
{
    shoal_process child;
    const shoal_process_options options = { .target = target,
                                            .argument = &ends.second,
                                            .argument_size = sizeof ends.second };
    assert_code(shoal_process_create(&options, &child), 0);
    assert_code(shoal_connection_give(ends.second, child), 0);
    assert_code(shoal_process_start(child), 0);
    return child;
}

/* An end goes to a child before it starts; the giver has no part in it any more. */
Test(pipe, given_end_is_the_child_s_2_11, .timeout = 60)
{
    const struct ends ends = pipe_of(0, false);
    const shoal_process child = holder_start(answers, ends);
    void *got = NULL;
    assert_code(shoal_connection_recv(ends.second, &got, SHOAL_NOW), -EPERM);
    assert_code(shoal_connection_close(ends.second), -EPERM);
    for (int i = 0; i < 100; i++) {
        void *payload = shoal_alloc(8);
        assert_code(shoal_connection_send(ends.first, payload, harness_deadline()), 0);
        assert_code(shoal_connection_recv(ends.first, &got, harness_deadline()), 0);
        shoal_free(got);
    }
    assert_code(shoal_connection_close(ends.first), 0);
    child_ends(child, 0);
}

static void dies_of_a_message(void *argument)
{
    const shoal_connection end = *(shoal_connection *)argument;
    void *payload = NULL;
    CHILD_CHECK(shoal_connection_send_bytes(end, "ready", 6, harness_deadline()) == 0);
    CHILD_CHECK(shoal_connection_recv(end, &payload, harness_deadline()) == 0);
    raise(SIGKILL);
}

/* 2.11, 2.12: who is killed has closed his end; what he had sent is received first. */
Test(pipe, killed_holder_ends_the_other_s_wait_2_12, .timeout = 120)
{
    shoal_audit before, after;
    for (int i = 0; i < 20; i++) {
        const struct ends ends = pipe_of(0, false);
        const shoal_process child = holder_start(dies_of_a_message, ends);
        void *got = NULL;
        assert_code(shoal_connection_recv(ends.first, &got, harness_deadline()), 0);
        cr_assert_str_eq(got, "ready");
        shoal_free(got);
        says(ends.first, "die");
        says(ends.first, "unread");
        if (i % 2)
            assert_code(shoal_connection_poll(ends.first, harness_deadline()), 0);
        assert_code(shoal_connection_recv(ends.first, &got, harness_deadline()), -EPIPE);
        child_ends(child, -SIGKILL);
        assert_code(shoal_connection_send_bytes(ends.first, "x", 1, SHOAL_NOW), -EPIPE);
        assert_code(shoal_connection_close(ends.first), 0);
        assert_code(shoal_segment_audit((shoal_segment){ 0 }, i == 4 ? &before : &after), 0);
    }
    cr_assert_eq(after.objects, before.objects, "an end of the dead was left");
    cr_assert_eq(after.queued, 0);
}

/* One that never used what it was given. */
Test(pipe, child_that_ends_without_its_end_is_noticed, .timeout = 60)
{
    const struct ends ends = pipe_of(0, false);
    const shoal_process child = holder_start(target_nothing, ends);
    void *got = NULL;
    assert_code(shoal_connection_recv(ends.first, &got, harness_deadline()), -EPIPE);
    child_ends(child, 0);
    assert_code(shoal_connection_close(ends.first), 0);
}

/* A process that was given nothing. */
static int has_no_part_in_it(void *argument)
{
    const struct ends *ends = argument;
    void *got = NULL;
    CHILD_CHECK(shoal_connection_send_bytes(ends->first, "x", 1, SHOAL_NOW) == -EPERM);
    CHILD_CHECK(shoal_connection_recv(ends->second, &got, SHOAL_NOW) == -EPERM);
    CHILD_CHECK(shoal_connection_poll(ends->second, SHOAL_NOW) == -EPERM);
    CHILD_CHECK(shoal_connection_give(ends->second, shoal_current_process()) == -EPERM);
    CHILD_CHECK(shoal_connection_close(ends->second) == -EPERM);
    return 0;
}

Test(pipe, forked_process_holds_neither_end, .timeout = 60)
{
    struct ends ends = pipe_of(0, false);
    cr_assert_eq(harness_wait(harness_child(has_no_part_in_it, &ends)), 0);
    says(ends.first, "still ours");
    hears(ends.second, "still ours");
    close_both(ends);
}
