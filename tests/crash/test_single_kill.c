/*
 * The single producer, or consumer, of a queue is killed or stopped at a step of its call: the next
 * one has its side at once, or not at all, and no message is lost, doubled or changed.
 */
#include "harness.h"

#include <errno.h>
#include <signal.h>

#include "os/chaos.h"
#include "os/futex.h"

TestSuite(single_kill, .timeout = 120);

static shoal_queue queue;
static bool of_payloads;
static atom32 *stalled, *released;

static void make_queue(void)
{
    const shoal_queue_options options = { .capacity_count = 3,
                                          .value_size = of_payloads ? 0 : sizeof(uint64_t),
                                          .single_producer = true,
                                          .single_consumer = true };
    assert_code(shoal_queue_create(&options, &queue), 0);
}

static int put(uint64_t number)
{
    return of_payloads ? shoal_queue_put_bytes(queue, &number, sizeof number, SHOAL_NOW)
                       : shoal_queue_put_value(queue, &number, sizeof number, SHOAL_NOW);
}

static int get(uint64_t *ret_number)
{
    void *payload;
    if (!of_payloads)
        return shoal_queue_get_value(queue, ret_number, sizeof *ret_number, SHOAL_NOW);
    const int code = shoal_queue_get(queue, &payload, SHOAL_NOW);
    if (code == 0) {
        *ret_number = *(uint64_t *)payload;
        shoal_free(payload);
    }
    return code;
}

static void expect_next(uint64_t expected)
{
    uint64_t number = 0;
    assert_code(get(&number), 0);
    cr_assert_eq(number, expected);
}

/* --- killed --------------------------------------------------------------------------------- */

struct step {
    const char *point;
    bool takes;    /* killed in its second get, else in its second put */
    unsigned left; /* of two messages, when it is dead */
};

static const struct step steps[] = {
    { "single.S1", false, 0 },  { "cells.P1", false, 1 }, { "cells.P4", false, 1 },
    { "cells.item", false, 1 }, { "cells.P5", false, 2 }, { "single.S1", true, 2 },
    { "cells.P1", true, 1 },    { "cells.P4", true, 1 },  { "cells.P5", true, 0 },
};

static int is_killed(void *argument)
{
    const struct step *step = argument;
    const unsigned passes = step->point[0] != 's';
    uint64_t number;
    shl_chaos_plan(&(struct shl_chaos_plan){ step->point, SHL_CHAOS_KILL, passes, NULL, NULL });
    for (uint64_t i = 1; i <= 2; i++)
        CHILD_CHECK((step->takes ? get(&number) : put(i)) == 0);
    return 0;
}

static void play(const struct step *step)
{
    make_queue();
    for (uint64_t i = 1; i <= 2 && step->takes; i++)
        assert_code(put(i), 0);
    cr_assert_eq(harness_wait(harness_child(is_killed, (void *)step)), -SIGKILL, "%s", step->point);
    cr_assert_eq(shoal_queue_qsize(queue), step->left, "%s: %zu left", step->point,
                 shoal_queue_qsize(queue));
    assert_code(put(3), 0);
    const uint64_t first = step->takes ? 3 - step->left : 1;
    for (unsigned i = 0; i < step->left; i++)
        expect_next(first + i);
    expect_next(3);
    for (uint64_t i = 4; i < 12; i++) { /* more than a lap */
        assert_code(put(i), 0);
        expect_next(i);
    }
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(single_kill, at_each_step_leaves_the_side_to_the_next_one, .timeout = 60)
{
    for (int i = 0; i < 2; i++) {
        of_payloads = i;
        for (size_t k = 0; k < COUNT_OF(steps); k++)
            play(&steps[k]);
    }
}

/* --- stopped -------------------------------------------------------------------------------- */

static int is_stopped(void *argument)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ argument, SHL_CHAOS_STALL, 0, stalled, released });
    return put(1);
}

/* He is not taken for dead, and his message comes whole when he goes on. */
Test(single_kill, who_is_stopped_keeps_the_side, .timeout = 60)
{
    static const char *const points[] = { "cells.P1", "cells.P4", "cells.item", "cells.P5" };
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        uint64_t number;
        const bool is_in = i == COUNT_OF(points) - 1;
        stalled = harness_shared(sizeof *stalled);
        released = harness_shared(sizeof *released);
        make_queue();
        const pid_t pid = harness_child(is_stopped, (void *)points[i]);
        cr_assert(harness_until(atom_load_acquire(stalled))); /* acquire <- the producer */
        assert_code(put(2), -EPERM);
        assert_code(get(&number), is_in ? 0 : -ETIMEDOUT);
        atom_store_release(released, 1); /* release -> the producer, which may sleep there */
        shl_futex_wake(released, 1);
        cr_assert_eq(harness_wait(pid), 0);
        if (!is_in)
            expect_next(1);
        assert_code(put(3), 0);
        expect_next(3);
        assert_code(shoal_queue_destroy(queue), 0);
    }
}
