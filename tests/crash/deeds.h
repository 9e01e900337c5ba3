/*
 * What the tests share in which a process is killed at a step of the allocator or of queues: the
 * deed, who settles it, and what must be so afterwards. Includes memory.h.
 */
#ifndef CRASH_DEEDS_H
#define CRASH_DEEDS_H

#include "memory.h"

#include <signal.h>
#include <string.h>

#include "os/chaos.h"
#include "os/futex.h"

static struct {
    shoal_queue own;   /* which the killed process may have made */
    shoal_queue queue; /* between it and the others */
} * board;
static shoal_segment segment;
static shoal_audit before;
static bool dense; /* the queues are over the dense ring */

static const struct shl_segment *inside(void)
{
    return shl_segment_of_handle(segment);
}

static void make_board(void)
{
    segment = memory_segment(64 << 20);
    board = harness_shared(sizeof *board);
    /* The page of their places stays: afterwards everything else can be compared. */
    const shoal_queue_options options = { .segment = segment, .capacity_count = 8, .bulk = dense };
    assert_code(shoal_queue_create(&options, &board->own), 0);
    assert_code(shoal_queue_create(&options, &board->queue), 0);
    assert_code(shoal_queue_destroy(board->own), 0);
    memory_give_back(segment);
    before = memory_audit(segment);
    cr_assert_eq(before.owned + before.kept + before.lost + before.queued, 0);
}

/* --- what is killed ------------------------------------------------------------------------- */

struct deed {
    int (*function)(void);
    const char *point;
    unsigned passes; /* how often it may pass the point before */
};

static int does(void *argument)
{
    const struct deed *deed = argument;
    shl_chaos_plan(
        &(struct shl_chaos_plan){ deed->point, SHL_CHAOS_KILL, deed->passes, NULL, NULL });
    return deed->function();
}

/* True if it was killed at the point; else it was done before the point came. */
static bool dies(const struct deed *deed)
{
    const int status = harness_wait(harness_child(does, (void *)deed));
    cr_assert(status == 0 || status == -SIGKILL, "%s, pass %u: %d", deed->point, deed->passes,
              status);
    return status == -SIGKILL;
}

static void *payload_new(size_t size)
{
    unsigned char *payload = shoal_alloc_in(segment, size);
    CHILD_CHECK(payload);
    payload[0] = payload[size - 1] = (unsigned char)size;
    return payload;
}

/* A queue of its own, with a message in it when it ends. */
/* --- who settles it ------------------------------------------------------------------------- */

/* Without a slot of its own, as who looks for a slot when there is none. */
static int settles(void)
{
    shl_peer_recover_all(inside());
    return 0;
}

/* With one, as who joins a child. */
/* Everything is where it was, and goes back to the system: NULL, or what is not so. */
static const char *first_problem(size_t messages)
{
    shoal_audit audit;
    shl_peer_recover_all(inside());
    shl_alloc_flush(inside(), shl_self(inside()));
    if (shoal_segment_audit(segment, &audit) != 0 || audit.damaged)
        return "the tables are damaged";
    if (audit.lost)
        return "bytes are lost";
    if (audit.owned)
        return "a dead process owns payloads";
    if (audit.kept)
        return "a dead thread keeps blocks";
    if (shoal_queue_destroy(board->own) != 0)
        return "its queue cannot be destroyed";
    memory_give_back(segment);
    if (shoal_segment_audit(segment, &audit) != 0 || audit.damaged + audit.lost)
        return "a queue's end has damaged something";
    if (audit.payloads_count != messages)
        return "there are more messages, or fewer";
    if (audit.objects != before.objects)
        return "an object is left, or one too few";
    return messages == 0 && audit.unused != before.unused ? "chunks do not go back" : NULL;
}

static void assert_settled(const struct deed *deed, size_t messages)
{
    const char *problem = first_problem(messages);
    cr_assert(!problem, "%s, pass %u: %s", deed->point, deed->passes, problem);
}

/* Not those of the other ring. */
static bool is_passed(const char *point)
{
    return strncmp(point, dense ? "cells." : "ring.", dense ? 6 : 5) != 0;
}

/* --- a settler that is stopped -------------------------------------------------------------- */

static atom32 *stalled, *released;

static pid_t settler_stopped_at(int (*settler)(void *point), const char *point)
{
    stalled = harness_shared(sizeof *stalled);
    released = harness_shared(sizeof *released);
    const pid_t pid = harness_child(settler, (void *)point);
    cr_assert(harness_until(atom_load_acquire(stalled))); /* acquire <- the settler */
    return pid;
}

static void settler_goes_on(pid_t pid)
{
    atom_store_release(released, 1); /* release -> the settler, which may sleep there */
    shl_futex_wake(released, 1);
    cr_assert_eq(harness_wait(pid), 0);
}

#endif
