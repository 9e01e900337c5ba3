/*
 * Who hands a descriptor over, or takes one, is killed at each step, or stopped there first: the
 * other one is told long before the tick, has what was handed over, and of what was not taken
 * nothing is left open. Spec 2.14.
 */
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "os/chaos.h"
#include "os/futex.h"

TestSuite(descriptors_kill, .timeout = 120);

struct ends {
    shoal_connection first, second;
};

/* A tick is a second: who is told by it is told too late. */
enum { LATE_MS = 700 };

static const char *point;

/* The victim has used its end before: else its death is noticed at a tick, what it handed over not.
 */
static bool is_known;

static void plan_kill(void)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = point, .action = SHL_CHAOS_KILL });
}

static void sends(void *argument)
{
    const shoal_connection end = *(shoal_connection *)argument;
    if (is_known)
        CHILD_CHECK(shoal_connection_send_bytes(end, NULL, 0, SHOAL_NOW) == 0);
    plan_kill();
    (void)!shoal_connection_send_fd(end, shoal_process_fd(0), harness_deadline());
}

static void receives(void *argument)
{
    const shoal_connection end = *(shoal_connection *)argument;
    int fd;
    plan_kill();
    (void)!shoal_connection_recv_fd(end, &fd, harness_deadline());
}

static shoal_process victim_start(void (*target)(void *), struct ends ends, int fd)
{
    shoal_process child;
    const shoal_process_options options = { .target = target,
                                            .argument = &ends.second,
                                            .argument_size = sizeof ends.second,
                                            .fds = fd < 0 ? NULL : &fd,
                                            .fds_count = fd >= 0 };
    assert_code(shoal_process_create(&options, &child), 0);
    assert_code(shoal_connection_give(ends.second, child), 0);
    assert_code(shoal_process_start(child), 0);
    return child;
}

static void was_killed(shoal_process child)
{
    assert_code(shoal_process_join(child, harness_deadline()), 0);
    cr_assert_eq(shoal_process_exitcode(child), -SIGKILL, "%s", point);
    assert_code(shoal_process_close(child), 0);
}

static struct ends pipe_create(void)
{
    struct ends ends;
    assert_code(shoal_pipe_create(NULL, &ends.first, &ends.second), 0);
    return ends;
}

/* 2.14: killed before it is handed in it was not sent; behind it, it is received. */
Test(descriptors_kill, sender_at_every_step_2_14, .timeout = 60)
{
    const char *const points[] = { "pipe.D2", "pipe.D3" };
    for (unsigned i = 0; i < 2 * COUNT_OF(points); i++) {
        const struct ends ends = pipe_create();
        int fd = -1, file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        point = points[i / 2];
        is_known = i / 2 == 0;
        if (i % 2) /* the door is open before */
            assert_code(shoal_connection_recv_fd(ends.first, &fd, SHOAL_NOW), -ETIMEDOUT);
        const shoal_process child = victim_start(sends, ends, file);
        if (is_known)
            assert_code(shoal_connection_poll(ends.first, harness_deadline()), 0);
        const uint64_t before = harness_now_ns();
        int code = shoal_connection_recv_fd(ends.first, &fd, harness_deadline());
        cr_assert_eq(code, i / 2 == 0 ? -EPIPE : 0, "%s: %d", point, code);
        cr_assert_lt(harness_now_ns() - before, LATE_MS * 1000000ull, "%s: late", point);
        if (code == 0) {
            char byte = 1;
            cr_assert(read(fd, &byte, 1) == 1 && byte == 0);
            close(fd);
            assert_code(shoal_connection_recv_fd(ends.first, &fd, harness_deadline()), -EPIPE);
        }
        was_killed(child);
        close(file);
        assert_code(shoal_connection_close(ends.first), 0);
    }
}

/* Whoever waits for the door, or for room, is told; what was on its way is closed. */
Test(descriptors_kill, receiver_at_every_step_2_14, .timeout = 60)
{
    const char *const points[] = { "pipe.R1", "pipe.R3" };
    for (unsigned i = 0; i < COUNT_OF(points); i++) {
        const struct ends ends = pipe_create();
        int sides[2], code;
        char byte;
        point = points[i];
        cr_assert_eq(pipe2(sides, O_CLOEXEC), 0);
        const shoal_process child = victim_start(receives, ends, -1);
        while ((code = shoal_connection_send_fd(ends.first, sides[1], harness_deadline())) == 0) {}
        assert_code(code, -EPIPE);
        close(sides[1]);
        was_killed(child);
        cr_assert_eq(read(sides[0], &byte, 1), 0, "%s: it is still open somewhere", point);
        close(sides[0]);
        assert_code(shoal_connection_close(ends.first), 0);
    }
}

static void closes(void *argument)
{
    plan_kill();
    (void)!shoal_connection_close(*(shoal_connection *)argument);
}

/* Nobody's end is a closed one, also if who was closing it is dead, or has not gone on. */
Test(descriptors_kill, who_closes_and_holds_it_no_more, .timeout = 60)
{
    const struct ends ends = pipe_create();
    void *payload;
    point = "pipe.nobody";
    const shoal_process child = victim_start(closes, ends, -1);
    assert_code(shoal_connection_recv(ends.first, &payload, harness_deadline()), -EPIPE);
    assert_code(shoal_connection_send_fd(ends.first, 0, harness_deadline()), -EPIPE);
    was_killed(child);
    assert_code(shoal_connection_close(ends.first), 0);
    shoal_audit audit;
    assert_code(shoal_segment_audit((shoal_segment){ 0 }, &audit), 0);
    cr_assert_eq(audit.lost + audit.damaged, 0);
}

/* --- an end that changes in the middle of a call -------------------------------------------- */

enum { PIPES = 8 };

static struct {
    atom32 stalled, released;
    _Atomic bool made;
    struct ends old, made_anew[PIPES];
} stale;

static int opens_door_slowly(struct call *call)
{
    int fd;
    shl_chaos_plan(
        &(struct shl_chaos_plan){ "pipe.R1", SHL_CHAOS_STALL, 0, &stale.stalled, &stale.released });
    return shoal_connection_recv_fd(call->end, &fd, SHOAL_NOW);
}

static int closes_and_makes_anew(struct call *call)
{
    int code = shoal_connection_close(stale.old.first);
    (void)call;
    if (code == 0)
        code = shoal_connection_close(stale.old.second);
    for (unsigned i = 0; code == 0 && i < PIPES; i++)
        code = shoal_pipe_create(NULL, &stale.made_anew[i].first, &stale.made_anew[i].second);
    stale.made = true;
    return code;
}

static void descriptors_come_to(shoal_connection to, shoal_connection from)
{
    int fd;
    assert_code(shoal_connection_recv_fd(to, &fd, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_connection_send_fd(from, 0, harness_deadline()), 0);
    assert_code(shoal_connection_recv_fd(to, &fd, harness_deadline()), 0);
    close(fd);
}

/* Who was opening the door of a closed end does not say so in the next end of its place. */
Test(descriptors_kill, late_door_is_no_new_end_s, .timeout = 60)
{
    stale.old = pipe_create();
    struct call slow = { .function = opens_door_slowly, .end = stale.old.first };
    struct call other = { .function = closes_and_makes_anew };
    call_start(&slow);
    cr_assert(harness_until(atom_load_acquire(&stale.stalled)));
    call_start(&other);
    cr_assert(harness_until(stale.made || is_asleep(other.tid)));
    atom_store_release(&stale.released, 1);
    shl_futex_wake(&stale.released, 1);
    const int code = call_ends(&slow);
    cr_assert(code == -ETIMEDOUT || code == -ESTALE, "%d", code);
    assert_code(call_ends(&other), 0);
    for (unsigned i = 0; i < PIPES; i++) {
        descriptors_come_to(stale.made_anew[i].first, stale.made_anew[i].second);
        descriptors_come_to(stale.made_anew[i].second, stale.made_anew[i].first);
        assert_code(shoal_connection_close(stale.made_anew[i].first), 0);
        assert_code(shoal_connection_close(stale.made_anew[i].second), 0);
    }
}
