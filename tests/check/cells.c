/* flow/cells.c: first in, first out, nothing lost or twice, nobody sleeps who could go on, and
 * nobody touches the cells once they are freed. */
#include "flow/cells.h"
#include "flow/single.h"

#include <string.h>

#include <shoal/memory.h>
#include <shoal/queue.h>

#include "players.h"

enum { ENDED = MORE_GHOSTS };
enum { CAPACITY_MAX = 3 };

static struct cells_shm *ring;
static struct cell_shm *cells;
static uint64_t ref;
static unsigned capacity, laps_begun;
static bool puts_alone;

static void *must_alloc(size_t size)
{
    void *memory = shoal_alloc(size);
    if (!memory)
        machine_bail_out("no memory");
    return memory;
}

/* The thread's notes, on the ring in place of the queue's. NULL: the queue is gone. */
static struct shl_found *find(void)
{
    struct shl_found *found = shl_find(ref, KIND_QUEUE);
    if (found && found->ring != ring)
        shl_cells_learn(found, ring, ITEMS_VALUES);
    if (found)
        found->puts_alone = puts_alone;
    return found;
}

/* A ring beside a queue, which lends it its handle. */
static void begin(unsigned capacity_wanted, unsigned laps)
{
    shoal_queue queue;
    if (shoal_queue_create(&(shoal_queue_options){ .capacity_count = 1 }, &queue) < 0)
        machine_bail_out("no queue");
    ref = queue.ref;
    capacity = capacity_wanted;
    laps_begun = laps;
    struct shl_segment *family = shl_segment_family();
    ring = must_alloc(sizeof *ring);
    cells = must_alloc(shl_cells_size(CAPACITY_MAX));
    memset(ring, 0, sizeof *ring);
    memset(cells, 0, shl_cells_size(CAPACITY_MAX));
    shl_cells_init(family, ring, shl_offset(family, cells), capacity,
                   laps ? (uint64_t)0 - laps : 0);
    machine_add_object(ref, KIND_QUEUE, sizeof(struct object_shm));
    machine_add_region(ring, sizeof *ring);
    machine_add_region(cells, shl_cells_size(capacity));
    for (unsigned i = 0; i < threads_count; i++)
        machine_add_region(&machine.threads[i].self->found[shl_found_place(ref)],
                           sizeof(struct shl_found));
}

static void begin_one(void)
{
    puts_alone = false;
    begin(1, 0);
}

static void begin_two(void)
{
    puts_alone = false;
    begin(2, 0);
}

/* Of a single producer. */
static void begin_single(void)
{
    begin_one();
    puts_alone = true;
    struct queue_shm *queue = (struct queue_shm *)find()->object;
    shl_single_init(queue, SHL_PUTS, true);
    machine_add_region(queue->singles, sizeof queue->singles);
}

/* One lap before the counter comes round. */
static void begin_three_round(void)
{
    begin(3, 1);
}

static void begin_full(void)
{
    begin_one();
    struct shl_found *found = find();
    if (shl_cells_put(found, 1, SHOAL_FOREVER) < 0)
        machine_bail_out("no room");
}

static void put(unsigned self, unsigned number)
{
    struct shl_found *found = find();
    if (shl_cells_put(found, item_make(self, number), SHOAL_FOREVER) < 0)
        machine_fail("put failed");
    machine.ghosts[PUT] |= UINT64_C(1) << item_make(self, number);
}

static void take(unsigned self)
{
    struct shl_found *found = find();
    uint64_t item = 0;
    if (shl_cells_take(found, false, SHOAL_FOREVER, &item) < 0)
        machine_fail("take failed");
    had(self, item);
}

static void two_and_two(unsigned self)
{
    if (self < 2)
        put(self, 0);
    else
        take(self);
}

/* Two want to put: the second one may when the first one is dead. The taker waits for another
 * one in any case. */
static void single_putters(unsigned self)
{
    for (unsigned i = 0; self == 2 && i < 2; i++)
        take(self);
    if (self == 2)
        return;
    struct shl_found *found = find();
    struct ring_call call = { .segment = found->segment,
                              .self = found->self,
                              .found = found,
                              .object = found->object,
                              .ref = ref };
    int code = shl_single_enter(&call, SHL_PUTS);
    if (code == 0)
        put(self, 0);
    else if (code != -EPERM)
        machine_fail("a side is neither free nor had");
}

static uint64_t count_full(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < capacity; i++)
        count += (cells[i].turn & CELL_STATE_MASK) == CELL_FULL;
    return count;
}

static const char *judge(void)
{
    return judge_items(count_full(), capacity, &ring->not_empty.bell);
}

/* --- the seal -------------------------------------------------------------------------------- */

static void expect(int code, int expected)
{
    if (code != expected)
        machine_fail("a wait ended otherwise than by the end of the queue");
}

static void seal(void)
{
    struct shl_found *found = find();
    if (shl_cells_seal(found, CELLS_SHUT) < 0)
        machine_fail("shutdown failed");
}

static void takers_sealed(unsigned self)
{
    struct shl_found *found = find();
    uint64_t item;
    if (self + 1 < threads_count)
        expect(shl_cells_take(found, false, SHOAL_FOREVER, &item), -EPIPE);
    else
        seal();
}

static void putters_sealed(unsigned self)
{
    struct shl_found *found = find();
    if (self + 1 < threads_count)
        expect(shl_cells_put(found, 1, SHOAL_FOREVER), -EPIPE);
    else
        seal();
}

static const char *judge_sealed(void)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (is_asleep(i) && ring->end)
            return "a sleeper though the queue is shut down";
    return NULL;
}

/* A put beside the seal: if it succeeds somebody has the message, and nobody was told the end
 * before. */
static void put_beside_seal(unsigned self)
{
    struct shl_found *found = find();
    uint64_t item = 0;
    if (self == 0) {
        int code = shl_cells_put(found, item_make(0, 0), SHOAL_FOREVER);
        if (code == 0)
            machine.ghosts[PUT] |= UINT64_C(1) << item_make(0, 0);
        else if (code != -EPIPE)
            machine_fail("put failed");
    } else if (self == 1) {
        seal();
    } else {
        while (shl_cells_take(found, false, SHOAL_FOREVER, &item) == 0)
            had(self, item);
        machine.ghosts[ENDED] = 1;
    }
}

static const char *judge_beside_seal(void)
{
    if (machine.ghosts[ENDED] && machine.ghosts[PUT] & ~machine.ghosts[TAKEN])
        return "a message was put after the end was told";
    return judge_sealed();
}

/* --- the end --------------------------------------------------------------------------------- */

/* From then on the cells are somebody else's memory, who happens to keep what is in it. */
static void end(void)
{
    struct shl_found *found = find();
    if (!found)
        return;
    struct ring_call call = { .segment = found->segment,
                              .self = found->self,
                              .cells = ring,
                              .object = found->object,
                              .ref = ref };
    int code = shl_cells_close(&call);
    if (code == -EAGAIN)
        return;
    if (code < 0)
        machine_fail("close failed");
    for (unsigned i = 0; i < capacity; i++)
        if ((cells[i].turn & CELL_STATE_MASK) == CELL_FULL)
            machine.ghosts[LAST + i] = cells[i].turn;
    machine.ghosts[ENDED] = 1;
}

static void watch_cells(void)
{
    if (!machine.ghosts[ENDED])
        return;
    for (unsigned i = 0; i < capacity; i++)
        if (((cells[i].turn & CELL_STATE_MASK) == CELL_FULL ? cells[i].turn : 0) !=
            machine.ghosts[LAST + i])
            machine_fail("a late step has changed freed memory");
}

static void put_and_end(unsigned self)
{
    struct shl_found *found = find();
    uint64_t item;
    if (self == 2)
        end();
    else if (found && self == 0)
        shl_cells_put(found, 1, SHOAL_FOREVER);
    else if (found)
        shl_cells_take(found, false, SHOAL_FOREVER, &item);
    watch_cells();
}

static const char *judge_end(void)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (is_asleep(i))
            return "a sleeper though the queue is gone";
    return NULL;
}

static void check_ends(struct scenario like)
{
    like.name = "cells shut down, 2 takers, 1 kill";
    like.thread = takers_sealed;
    like.judge = judge_sealed;
    holds(&like);
    fails(&like, "cells.seal");
    like.name = "cells shut down, 2 putters, 1 kill";
    like.ticks = 1; /* for a kill between the two bells */
    like.begin = begin_full;
    like.thread = putters_sealed;
    holds(&like);
    like.ticks = 0;
    like.name = "cells shut down beside a put, 1 kill";
    like.begin = begin_one;
    like.thread = put_beside_seal;
    like.judge = judge_beside_seal;
    holds(&like);
    fails(&like, "cells.closes");
    like.name = "cells of a single producer shut down beside a put, 1 kill";
    like.begin = begin_single;
    holds(&like);
    fails(&like, "cells.unasked");
    like.begin = begin_one;
    like.name = "cells destroyed beside a put and a take, store buffers, 1 kill";
    like.store_buffers = true;
    like.ticks = 1; /* likewise */
    like.thread = put_and_end;
    like.judge = judge_end;
    holds(&like);
    fails(&like, "cells.unseen");
    like.name =
        "cells destroyed without membarrier, beside a put and a take, store buffers, 1 kill";
    like.no_membarrier = true;
    holds(&like);
    fails(&like, "cells.inside");
}

void check_cells(void)
{
    struct scenario one = { .name = "cells: 1, 1 putter, 1 taker, 2 kills",
                            .threads = 2,
                            .kills = 2,
                            .preemptions = UNBOUNDED,
                            .begin = begin_one,
                            .thread = one_and_one,
                            .judge = judge,
                            .may_sleep = true };
    holds(&one);
    struct scenario buffered = one;
    buffered.name = "cells: 2, 1 putter, 1 taker, store buffers, 1 kill";
    buffered.kills = 1;
    buffered.store_buffers = true;
    buffered.begin = begin_two;
    holds(&buffered);
    struct scenario putters = one;
    putters.name = "cells: 1, 2 putters, 1 taker, 1 kill";
    putters.threads = 3;
    putters.kills = 1;
    putters.preemptions = 2;
    putters.preemptions_full = UNBOUNDED;
    putters.thread = two_putters;
    holds(&putters);
    fails(&putters, "cells.P3");
    fails(&putters, "cells.two_steps");
    struct scenario takers = putters;
    takers.name = "cells: 2, 2 takers, 1 putter, 1 kill";
    takers.begin = begin_two;
    takers.preemptions_full = 3;
    takers.thread = two_takers;
    holds(&takers);
    fails(&takers, "cells.slept");
    fails(&takers, "cells.same_turn");
    struct scenario four = takers;
    four.name = "cells: 3, 2 putters, 2 takers, the counter comes round, 1 kill";
    four.threads = 4;
    four.begin = begin_three_round;
    four.thread = two_and_two;
    holds(&four);
    check_ends(takers);
    struct scenario single = putters;
    single.name = "cells: 1, 2 who want to put alone, 1 taker, store buffers, 1 kill";
    single.store_buffers = true;
    single.begin = begin_single;
    single.thread = single_putters;
    holds(&single);
    fails(&single, "single.alive");
}
