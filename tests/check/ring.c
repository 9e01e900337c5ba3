/* flow/ring.c: first in, first out, nothing lost or twice, and nobody sleeps who could go on. */
#include "flow/ring.h"

#include <shoal/queue.h>

#include "flow/queue_shm.h"
#include "flow/store.h"
#include "players.h"

static const uint64_t an_item = 1;

enum { QUEUE = MORE_GHOSTS };

static struct queue_shm *shm;
static unsigned capacity;

static void begin(void)
{
    shoal_queue queue;
    shoal_queue_options options = { .capacity_count = capacity, .bulk = true };
    if (shoal_queue_create(&options, &queue) < 0)
        machine_bail_out("no queue");
    machine.ghosts[QUEUE] = queue.ref;
    shm = machine_add_object(queue.ref, KIND_QUEUE, sizeof *shm);
    uint64_t store = shl_store_of(&shm->ring);
    machine_add_region((char *)shl_segment_family()->shm + store_offset(store),
                       shl_store_size(store_mask(store) + 1, sizeof(uint64_t)));
}

static void begin_one(void)
{
    capacity = 1;
    begin();
}

static struct ring_call call(void);

static void begin_full(void)
{
    begin_one();
    struct ring_call ring = call();
    if (shl_ring_put(&ring, &an_item, 1) < 0)
        machine_bail_out("no room");
}

static void begin_two(void)
{
    capacity = 2;
    begin();
}

static struct ring_call call(void)
{
    const struct shl_found *found = shl_find(machine.ghosts[QUEUE], KIND_QUEUE);
    return (struct ring_call){ .segment = found->segment,
                               .self = found->self,
                               .ring = &shm->ring,
                               .object = found->object,
                               .ref = found->ref,
                               .item_size = sizeof(uint64_t),
                               .is_owned = true,
                               .deadline = SHOAL_FOREVER };
}

static void put(unsigned self, unsigned number)
{
    struct ring_call ring = call();
    uint64_t item = item_make(self, number);
    if (shl_ring_put(&ring, &item, 1) < 0)
        machine_fail("put failed");
    machine.ghosts[PUT] |= UINT64_C(1) << item_make(self, number);
}

static void take(unsigned self)
{
    struct ring_call ring = call();
    uint64_t item = 0;
    if (shl_ring_take(&ring, &item, 1) < 0)
        machine_fail("take failed");
    had(self, item);
}

/* An end is an item too: of two putters one puts it, and one an item into the same cell. */
enum { END = 20 };

static void puts_end_or_item(unsigned self)
{
    struct ring_call ring = call();
    if (self == 1) {
        put(self, 0);
    } else {
        if (shl_ring_put_end(&ring) < 0)
            machine_fail("put_end failed");
        machine.ghosts[PUT] |= UINT64_C(1) << END;
    }
}

static void takes_end_or_item(void)
{
    struct ring_call ring = call();
    uint64_t item = END;
    int code = shl_ring_take(&ring, &item, 1);
    if (code < 0)
        machine_fail("take failed");
    if ((code == 0) != (item == END) || (machine.ghosts[TAKEN] >> item & 1))
        machine_fail("an end that is an item, or twice");
    machine.ghosts[TAKEN] |= UINT64_C(1) << item;
}

static void ends_among_items(unsigned self)
{
    if (self < 2)
        puts_end_or_item(self);
    for (unsigned i = 0; self == 2 && i < 2; i++)
        takes_end_or_item();
}

/* The last one shuts the ring down, or destroys the queue: whoever waits learns it. */
static void expect(int code, int expected)
{
    if (code != expected && code != -ESTALE)
        machine_fail("a wait ended otherwise than by the end of the queue");
}

static void shut_down(void)
{
    if (shoal_queue_shutdown((shoal_queue){ machine.ghosts[QUEUE] }) < 0)
        machine_fail("shutdown failed");
}

static void takers_shut_down(unsigned self)
{
    struct ring_call ring = call();
    uint64_t item;
    if (self + 1 < threads_count)
        expect(shl_ring_take(&ring, &item, 1), -EPIPE);
    else
        shut_down();
}

static void putters_shut_down(unsigned self)
{
    struct ring_call ring = call();
    if (self + 1 < threads_count)
        expect(shl_ring_put(&ring, &an_item, 1), -EPIPE);
    else
        shut_down();
}

static const char *judge_end(void)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (is_asleep(i) && (shm->ring.tail.word & RING_SEALED))
            return "a sleeper though the queue is shut down";
    return NULL;
}

static const char *judge(void)
{
    return judge_items(shl_ring_count(&shm->ring), capacity, &shm->ring.not_empty.bell);
}

void check_ring(void)
{
    struct scenario one = { .name = "ring of 1, 1 putter, 1 taker, 2 kills",
                            .threads = 2,
                            .kills = 2,
                            .preemptions = UNBOUNDED,
                            .begin = begin_one,
                            .thread = one_and_one,
                            .judge = judge,
                            .may_sleep = true };
    holds(&one);
    struct scenario buffered = one;
    buffered.name = "ring of 2, 1 putter, 1 taker, store buffers, 1 kill";
    buffered.kills = 1;
    buffered.store_buffers = true;
    buffered.begin = begin_two;
    holds(&buffered);
    fails(&buffered, "ring.order");
    struct scenario putters = one;
    putters.name = "ring of 1, 2 putters, 1 taker, 1 kill";
    putters.threads = 3;
    putters.kills = 1;
    putters.preemptions = 2;
    putters.preemptions_full = UNBOUNDED;
    putters.thread = two_putters;
    holds(&putters);
    fails(&putters, "ring.P5");
    struct scenario ends = putters;
    ends.name = "ring of 1, an end and an item, 1 kill";
    ends.thread = ends_among_items;
    holds(&ends);
    fails(&ends, "ring.stale_end");
    struct scenario takers = putters;
    takers.name = "ring of 2, 2 takers, 1 putter, 1 kill";
    takers.begin = begin_two;
    takers.preemptions_full = 3;
    takers.thread = two_takers;
    holds(&takers);
    fails(&takers, "ring.slept");
    struct scenario ending = takers;
    ending.name = "ring that is shut down, 2 takers, 1 kill";
    ending.thread = takers_shut_down;
    ending.judge = judge_end;
    holds(&ending);
    fails(&ending, "ring.seal");
    struct scenario full = ending;
    full.name = "ring that is shut down, 2 putters, 1 kill";
    full.ticks = 1; /* for a kill between the two bells */
    full.begin = begin_full;
    full.thread = putters_shut_down;
    holds(&full);
}
