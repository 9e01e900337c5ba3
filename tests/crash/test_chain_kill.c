/*
 * Queues without a capacity, of either kind, grow and are drained while processes are killed in the
 * middle: what was put is there, once and in its order, and no ring is left behind.
 */
#include "chain.h"

#include <signal.h>

#include "mem/peer.h"
#include "memory.h"
#include "store.h"

TestSuite(chain_kill, .timeout = 180);

enum { LIVES = 120, MANY = 20000 };

static shoal_queue queue;
static _Atomic uint64_t *done; /* calls of the child that have returned */

static void make_queue(bool dense)
{
    assert_code(shoal_queue_create(&(shoal_queue_options){ .bulk = dense }, &queue), 0);
    /* It grows from one cell on. */
    cr_assert(dense ? store_shrink(queue.ref) != NULL : chain_shrink(queue.ref) != NULL);
}

static void puts_number(uint64_t number)
{
    assert_code(shoal_queue_put_bytes(queue, &number, sizeof number, SHOAL_NOW), 0);
}

static int puts_all(void *unused)
{
    (void)unused;
    for (uint64_t i = 0; i < MANY; *done = ++i)
        CHILD_CHECK(shoal_queue_put_bytes(queue, &i, sizeof i, SHOAL_NOW) == 0);
    return 0;
}

static int gets_all(void *unused)
{
    (void)unused;
    for (uint64_t i = 0; i < MANY; *done = ++i) {
        void *payload;
        CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0);
        CHILD_CHECK(*(uint64_t *)payload == i);
        shoal_free(payload);
    }
    return 0;
}

/* Of the first `count` numbers the last ones are there, in their order: tells the first of them. */
static uint64_t drain(uint64_t *ret_end)
{
    uint64_t first = UINT64_MAX, next = UINT64_MAX;
    void *payload;
    while (shoal_queue_get(queue, &payload, SHOAL_NOW) == 0) {
        const uint64_t number = *(uint64_t *)payload;
        first = first == UINT64_MAX ? number : first;
        cr_assert(next == UINT64_MAX || number == next, "%llu after %llu",
                  (unsigned long long)number, (unsigned long long)next);
        next = number + 1;
        shoal_free(payload);
    }
    *ret_end = next;
    return first;
}

static void kill_child(int (*deed)(void *), uint64_t *state)
{
    *done = 0;
    const pid_t pid = harness_child(deed, NULL);
    cr_assert(harness_until(*done > 0 || kill(pid, 0) < 0));
    harness_wait_at_random(state, 1500000);
    kill(pid, SIGKILL);
    const int status = harness_wait(pid);
    cr_assert(status == -SIGKILL || status == 0, "%d", status);
    shl_peer_recover_all(shl_segment_family());
}

static void end_queue(void)
{
    puts_number(7); /* it works as before */
    cr_assert_eq(shoal_queue_qsize(queue), 1);
    assert_code(shoal_queue_destroy(queue), 0);
    cr_assert_eq(chain_objects(shl_segment_family()), 0, "a ring is left");
}

Test(chain_kill, while_it_grows_loses_nothing_that_was_put_1_10_7, .timeout = 180)
{
    uint64_t state = harness_seed("while_it_grows"), end;
    done = harness_shared(sizeof *done);
    for (int life = 0; life < LIVES; life++) {
        make_queue(life % 2);
        kill_child(puts_all, &state);
        cr_assert_eq(drain(&end), 0);
        cr_assert(end == *done || end == *done + 1, "%llu of %llu", (unsigned long long)end,
                  (unsigned long long)*done);
        end_queue();
    }
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).lost, 0);
}

Test(chain_kill, while_it_is_drained_loses_nothing_that_is_left_1_10_7, .timeout = 180)
{
    uint64_t state = harness_seed("while_it_is_drained"), end;
    done = harness_shared(sizeof *done);
    for (int life = 0; life < LIVES; life++) {
        make_queue(life % 2);
        for (uint64_t i = 0; i < MANY; i++)
            puts_number(i);
        kill_child(gets_all, &state);
        const uint64_t first = drain(&end);
        cr_assert(first == UINT64_MAX ? *done + 1 >= MANY : end == MANY);
        cr_assert(first == UINT64_MAX || first == *done || first == *done + 1, "%llu after %llu",
                  (unsigned long long)first, (unsigned long long)*done);
        end_queue();
    }
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).lost, 0);
}
