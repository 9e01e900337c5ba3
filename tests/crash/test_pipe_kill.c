/*
 * Processes killed at any instant while they hold an end of a pipe: the other end is told, after it
 * has received what came before, and of a pipe whose holders are all dead nothing is left.
 * Spec 2.11, 2.12.
 */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

TestSuite(pipe_kill, .timeout = 180);

enum { ROUNDS = 40, SIZE = 100 };

struct ends {
    shoal_connection first, second;
};

static struct ends pipe_of(size_t capacity_count)
{
    struct ends ends;
    const shoal_pipe_options options = { .capacity_count = capacity_count };
    assert_code(shoal_pipe_create(&options, &ends.first, &ends.second), 0);
    return ends;
}

/* Holds an end, and passes back whatever comes; some of it as a copy. */
static void echoes(void *argument)
{
    const shoal_connection end = *(shoal_connection *)argument;
    void *payload = NULL;
    for (unsigned i = 0; shoal_connection_recv(end, &payload, harness_deadline()) == 0; i++)
        if (i % 2 == 0) {
            if (shoal_connection_send(end, payload, harness_deadline()) < 0)
                shoal_free(payload);
        } else {
            (void)!shoal_connection_send_bytes(end, payload, SIZE, harness_deadline());
            shoal_free(payload);
        }
}

static void begins_to_echo(void *argument)
{
    char text[SIZE];
    const shoal_connection end = *(shoal_connection *)argument;
    memset(text, 'm', sizeof text);
    CHILD_CHECK(shoal_connection_send_bytes(end, text, SIZE, harness_deadline()) == 0);
    echoes(argument);
}

static shoal_process holder_start(void (*target)(void *), shoal_connection end)
{
    shoal_process child;
    const shoal_process_options options = { .target = target,
                                            .argument = &end,
                                            .argument_size = sizeof end };
    assert_code(shoal_process_create(&options, &child), 0);
    assert_code(shoal_connection_give(end, child), 0);
    assert_code(shoal_process_start(child), 0);
    return child;
}

struct killer {
    pid_t pid;
    uint64_t seed;
};

static int kills_at_random(void *argument)
{
    struct killer *killer = argument;
    harness_wait_at_random(&killer->seed, 1000000);
    return kill(killer->pid, SIGKILL);
}

static void is_reaped(shoal_process process)
{
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    assert_code(shoal_process_close(process), 0);
}

static bool is_message(const char *payload)
{
    for (size_t i = 0; i < SIZE; i++)
        if (payload[i] != 'm')
            return false;
    return shoal_size(payload) == SIZE;
}

/* Sends and receives until told that nobody is there any more. */
static int talks(shoal_connection end)
{
    for (;;) {
        char *message = shoal_alloc(SIZE);
        void *payload = NULL;
        cr_assert_not_null(message);
        memset(message, 'm', SIZE);
        int code = shoal_connection_send(end, message, harness_deadline());
        if (code < 0)
            shoal_free(message);
        code = shoal_connection_recv(end, &payload, harness_deadline());
        if (code < 0)
            return code;
        cr_assert(is_message(payload));
        shoal_free(payload);
    }
}

/* 2.12: who talks with one that is killed meanwhile. */
Test(pipe_kill, other_end_is_told_2_12, .timeout = 120)
{
    uint64_t state = harness_seed("pipe_kill");
    shoal_audit before, after;
    for (int i = 0; i < ROUNDS; i++) {
        const struct ends ends = pipe_of(3);
        const shoal_process child = holder_start(echoes, ends.second);
        struct killer killer = { shoal_process_pid(child), harness_random(&state) };
        const pid_t pid = harness_child(kills_at_random, &killer);
        assert_code(talks(ends.first), -EPIPE);
        cr_assert_eq(harness_wait(pid), 0);
        is_reaped(child);
        assert_code(shoal_connection_close(ends.first), 0);
        assert_code(shoal_segment_audit((shoal_segment){ 0 }, i == 4 ? &before : &after), 0);
    }
    cr_assert_eq(after.objects, before.objects);
    cr_assert_eq(after.queued + after.lost, 0);
}

static void both_are_killed(uint64_t *state, bool second_first)
{
    const struct ends ends = pipe_of(3);
    const shoal_process one = holder_start(begins_to_echo, ends.first);
    const shoal_process other = holder_start(echoes, ends.second);
    for (int k = 0; k < 2; k++) {
        struct killer killer = { shoal_process_pid(second_first == (k == 0) ? other : one),
                                 harness_random(state) };
        cr_assert_eq(kills_at_random(&killer), 0);
    }
    is_reaped(one);
    is_reaped(other);
}

/* One that has used its end is killed: what others left who had not is found then. */
static void one_more_is_killed(void)
{
    const struct ends ends = pipe_of(3);
    const shoal_process child = holder_start(begins_to_echo, ends.second);
    assert_code(shoal_connection_poll(ends.first, harness_deadline()), 0);
    assert_code(shoal_process_kill(child), 0);
    is_reaped(child);
    assert_code(shoal_connection_close(ends.first), 0);
}

/* Both are killed in the midst of it, and nobody else holds anything. */
Test(pipe_kill, nothing_is_left_of_a_pipe_of_the_dead, .timeout = 120)
{
    uint64_t state = harness_seed("pipe_kill");
    shoal_audit before, after;
    one_more_is_killed();
    assert_code(shoal_segment_audit((shoal_segment){ 0 }, &before), 0);
    for (int i = 0; i < ROUNDS; i++)
        both_are_killed(&state, i % 2);
    one_more_is_killed();
    assert_code(shoal_segment_audit((shoal_segment){ 0 }, &after), 0);
    cr_assert_eq(after.objects, before.objects);
    cr_assert_eq(after.queued + after.lost, 0);
}
