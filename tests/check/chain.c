/* flow/chain.c: what holds for one ring holds for a chain of them, which grows, is drained, is shut
 * down and is destroyed meanwhile; and no ring is left that nobody can reach. */
#include "flow/chain.h"

#include <shoal/memory.h>
#include <shoal/queue.h>
#include <shoal/stats.h>
#include <shoal/values.h>

#include "flow/queue.h"
#include "../chain.h"
#include "mem/alloc.h"
#include "mem/pages.h"
#include "mem/runs.h"
#include "players.h"

enum { QUEUE = MORE_GHOSTS, ENDED, PAYLOAD };
enum { DESTROYER = 1, SETTLER = 2, HANDS = 2, MESSAGE_SIZE = 7000, FIRST_ITEM = 9, LENGTH_MAX = 8 };

static struct queue_shm *shm;

static shoal_queue queue(void)
{
    return (shoal_queue){ machine.ghosts[QUEUE] };
}

/* What a thread may need of a class is in its hands, and part of the state. */
static void add_hands(unsigned size_class, size_t size)
{
    struct shl_attachment *self = &current->self->attachments[SHL_FAMILY];
    struct block_shm **kept = self->kept[size_class] + 1;
    uint32_t count = shl_runs_take(shl_segment_family(), self->owner, size_class, kept, HANDS);
    shl_hands_set_count(self, size_class, count);
    if (count != HANDS)
        machine_bail_out("no memory");
    for (unsigned i = 0; i < HANDS; i++)
        machine_add_region(kept[i], size);
    if (current == machine.threads)
        machine_add_block(kept[0]);
}

static void add_rings(void)
{
    size_t size = 2 * sizeof(struct cell_shm);
    for (unsigned i = 0; i < threads_count; i++) {
        machine_become(i);
        shl_alloc_flush(shl_segment_family(), &current->self->attachments[SHL_FAMILY]);
        add_hands(CLASS_OF_POOL(POOL_CELLS), sizeof *shm);
        add_hands(shl_class_of(size), sizeof(struct block_shm) + size);
    }
    machine_become(0);
}

/* A queue whose first ring has one cell. */
static void begin_with(size_t value_size)
{
    shoal_queue made;
    machine_settles_memory = true;
    if (shoal_queue_create(&(shoal_queue_options){ .value_size = value_size }, &made) < 0)
        machine_bail_out("no queue");
    machine.ghosts[QUEUE] = made.ref;
    shm = machine_add_object(made.ref, KIND_QUEUE, sizeof *shm);
    chain_shrink(made.ref);
    void *cells = shl_at(shl_segment_family(), shm->cells.cells);
    machine_add_region(shl_block(cells), sizeof(struct block_shm) + sizeof(struct cell_shm));
    machine_add_block(cells);
    add_rings();
    for (unsigned i = 0; i < threads_count; i++)
        machine_add_region(&machine.threads[i].self->found,
                           sizeof(struct shl_found[SHL_FOUND_PLACES]));
}

static void begin(void)
{
    begin_with(sizeof(uint64_t));
}

static void put_now(uint64_t item)
{
    if (shoal_queue_put_value(queue(), &item, sizeof item, SHOAL_NOW) < 0)
        machine_bail_out("put failed");
    machine.ghosts[PUT] |= UINT64_C(1) << item;
}

static void begin_full(void)
{
    begin();
    put_now(FIRST_ITEM);
}

/* Rings of which the first is drained, and each of the others has an item. */
static void begin_rings(unsigned count)
{
    begin();
    for (unsigned i = 0; i < count; i++) {
        put_now(FIRST_ITEM + i);
        if (!chain_shrink(i ? shm->cells.chain.newest : machine.ghosts[QUEUE]))
            machine_bail_out("no ring");
    }
    take(0);
}

static void begin_chained(void)
{
    begin_rings(3);
}

/* The first one and another, both empty. */
static void begin_empty(void)
{
    begin_rings(2);
    take(0);
}

static void put(unsigned self, unsigned number)
{
    uint64_t item = item_make(self, number);
    if (shoal_queue_put_value(queue(), &item, sizeof item, SHOAL_FOREVER) < 0)
        machine_fail("put failed");
    machine.ghosts[PUT] |= UINT64_C(1) << item;
}

static int try_to_take(unsigned self, shoal_deadline deadline)
{
    uint64_t item = 0;
    int code = shoal_queue_get_value(queue(), &item, sizeof item, deadline);
    if (code == 0)
        had(self, item);
    return code;
}

static void take(unsigned self)
{
    if (try_to_take(self, SHOAL_FOREVER) < 0)
        machine_fail("take failed");
}

/* --- what must be so ------------------------------------------------------------------------- */

/* What is in the rings that are reached. */
static uint64_t count_items(void)
{
    const struct shl_segment *family = shl_segment_family();
    uint64_t count = 0, at = shm->cells.chain.oldest;
    const struct cells_shm *ring = &shm->cells;
    for (unsigned i = 0; at != CELLS_SHUT && i < LENGTH_MAX; i++) {
        if (at)
            ring = &((struct queue_shm *)shl_at(family, shl_ref_offset(at)))->cells;
        const struct cell_shm *cell = shl_at(family, ring->cells);
        for (uint64_t k = 0; k < ring->capacity; k++)
            count += (cell[k].turn & CELL_STATE_MASK) == CELL_FULL;
        at = ring->end ? ring->end : CELLS_SHUT;
    }
    return count;
}

static const char *judge_rings(void)
{
    bool is_there = shm->object.self == machine.ghosts[QUEUE];
    unsigned length = is_there ? chain_length(shl_segment_family(), shm) : 0;
    return chain_objects(shl_segment_family()) == length ? NULL : "a ring is left over, or missing";
}

static const char *judge(void)
{
    uint64_t there = count_items();
    const char *wrong = judge_items(there, there + 1, &shm->cells.not_empty.bell);
    for (unsigned i = 0; i < threads_count && !wrong; i++)
        if (is_asleep(i) && there > 0)
            wrong = "a sleeper though there is an item";
    return wrong ? wrong : machine.kills == 0 ? judge_rings() : NULL;
}

static void settle(void)
{
    machine_await(others_have_ended);
    shl_peer_recover_all(shl_segment_family());
}

static const char *judge_settled(void)
{
    const char *wrong = judge();
    return wrong ? wrong : judge_rings();
}

/* --- growing and draining -------------------------------------------------------------------- */

static void take_two_beside_a_put(unsigned self)
{
    if (self < 2)
        take(self);
    else
        put(self, 3);
}

static void put_and_settle(unsigned self)
{
    if (self < SETTLER)
        put(self, 0);
    else
        settle();
}

static void take_and_settle(unsigned self)
{
    if (self < SETTLER)
        (void)try_to_take(self, SHOAL_NOW);
    else
        settle();
}

/* Its last store may be seen later than it has looked. */
static void take_and_pause(unsigned self)
{
    (void)try_to_take(self, SHOAL_NOW);
    machine_pause();
}

/* --- the end --------------------------------------------------------------------------------- */

/* A put that lengthens the chain, beside a shutdown: if it succeeds somebody has the message, and
 * nobody was told the end before. */
static void put_beside_shutdown(unsigned self)
{
    uint64_t item = item_make(0, 0);
    if (self == 0) {
        int code = shoal_queue_put_value(queue(), &item, sizeof item, SHOAL_FOREVER);
        if (code == 0)
            machine.ghosts[PUT] |= UINT64_C(1) << item;
        else if (code != -EPIPE)
            machine_fail("put failed");
    } else if (self == 1) {
        if (shoal_queue_shutdown(queue()) < 0)
            machine_fail("shutdown failed");
    } else {
        while (try_to_take(self, SHOAL_FOREVER) == 0) {}
        machine.ghosts[ENDED] = 1;
    }
}

static const char *judge_shutdown(void)
{
    if (machine.ghosts[ENDED] && machine.ghosts[PUT] & ~machine.ghosts[TAKEN])
        return "a message was put after the end was told";
    return is_asleep(2) && !is_dead(0) && !is_dead(1) ? "a sleeper though it is shut down" : NULL;
}

static void put_and_destroy(unsigned self)
{
    uint64_t item = item_make(0, 0);
    if (self == 0) {
        int code = shoal_queue_put_value(queue(), &item, sizeof item, SHOAL_FOREVER);
        if (code < 0 && code != -ESTALE)
            machine_fail("put failed");
    } else if (self == DESTROYER)
        (void)shoal_queue_destroy(queue());
    else
        settle();
}

static void wait_and_destroy(unsigned self)
{
    if (self == DESTROYER)
        (void)shoal_queue_destroy(queue());
    else if (try_to_take(self, SHOAL_FOREVER) != -ESTALE)
        machine_fail("a wait for what is destroyed ended otherwise");
}

/* Unless it is there, nothing is. */
static const char *judge_end(void)
{
    shoal_audit audit;
    if (shoal_segment_audit((shoal_segment){ 0 }, &audit) < 0 || audit.damaged > 0)
        return "the tables are damaged";
    if (shm->object.self == machine.ghosts[QUEUE])
        return judge_rings();
    if (is_asleep(0))
        return "a sleeper though the queue is gone";
    if (threads_count <= SETTLER && machine.kills > 0)
        return NULL; /* nobody was there to settle it */
    return audit.objects + audit.lost > 0 ? "memory of a queue that is gone" : NULL;
}

/* --- a message on its way -------------------------------------------------------------------- */

/* One is there, in a full ring, and another is put. */
static void begin_message(void)
{
    void *first = shl_alloc(shl_segment_family(), MESSAGE_SIZE);
    void *second = shl_alloc(shl_segment_family(), MESSAGE_SIZE);
    begin_with(0);
    if (!second || shoal_queue_put(queue(), first, SHOAL_NOW) < 0)
        machine_bail_out("no room");
    machine.ghosts[PAYLOAD] = (uint64_t)(uintptr_t)second;
    machine_add_region(shl_block(first), sizeof(struct block_shm));
    machine_add_region(shl_block(second), sizeof(struct block_shm));
    machine_add_block(shl_block(second));
}

static void send_and_settle(unsigned self)
{
    if (self == 0 &&
        shoal_queue_put(queue(), (void *)(uintptr_t)machine.ghosts[PAYLOAD], SHOAL_NOW) < 0)
        machine_fail("put failed");
    if (self == 1)
        settle();
}

static const char *judge_message(void)
{
    shoal_audit audit;
    if (shoal_segment_audit((shoal_segment){ 0 }, &audit) < 0 || audit.damaged > 0)
        return "the tables are damaged";
    if (audit.lost + audit.owned > 0)
        return "the message is lost";
    if (audit.payloads_count != shoal_queue_qsize(queue()))
        return "a message that is queued was freed, or the other way round";
    return judge_rings();
}

static void check_growth(struct scenario like)
{
    like.name = "chain that 2 putters lengthen, 1 taker";
    holds(&like);
    fails(&like, "chain.unmade");
    like.name = "chain drained by 2 takers beside a put";
    like.begin = begin_chained;
    like.thread = take_two_beside_a_put;
    holds(&like);
    fails(&like, "chain.left");
    like.name = "chain that 2 putters lengthen, 1 settles, 1 kill";
    like.begin = begin_full;
    like.thread = put_and_settle;
    like.judge = judge_settled;
    like.victims = 1 << 0 | 1 << 1;
    like.kills = 1;
    like.may_sleep = false;
    holds(&like);
    fails(&like, "chain.settle");
    like.name = "chain drained by 2 takers, 1 settles, 1 kill";
    like.begin = begin_chained;
    like.thread = take_and_settle;
    holds(&like);
    like.name = "chain drained by 2 takers, store buffers";
    like.store_buffers = true;
    like.threads = 2;
    like.thread = take_and_pause;
    like.kills = 0;
    like.preemptions = 2;
    holds(&like);
    fails(&like, "cells.unseen");
    like.store_buffers = false;
    like.thread = take_and_settle;
    like.name = "chain drained by 2 takers";
    like.threads = 2;
    like.kills = 0;
    like.preemptions = 2;
    like.preemptions_full = UNBOUNDED;
    holds(&like);
    fails(&like, "cells.closer");
}

static void check_ends(struct scenario like)
{
    like.name = "chain shut down beside a put that lengthens it";
    like.thread = put_beside_shutdown;
    like.judge = judge_shutdown;
    holds(&like);
    fails(&like, "cells.closes");
    like.name = "chain destroyed beside a put that lengthens it, 1 settles, 1 kill";
    like.thread = put_and_destroy;
    like.judge = judge_end;
    like.victims = 1 << 0 | 1 << 1;
    like.kills = 1;
    like.preemptions = 0;
    holds(&like);
    like.name = "chain destroyed, 1 waits, 1 kill";
    like.begin = begin_empty;
    like.thread = wait_and_destroy;
    like.threads = 2;
    like.preemptions = 2;
    like.preemptions_full = UNBOUNDED;
    holds(&like);
    fails(&like, "chain.over");
}

void check_chain(void)
{
    struct scenario growth = { .threads = 3,
                               .preemptions = 1,
                               .preemptions_full = 2,
                               .begin = begin_full,
                               .thread = two_putters,
                               .judge = judge,
                               .may_sleep = true };
    check_growth(growth);
    check_ends(growth);
    struct scenario message = growth;
    message.name = "chain lengthened by a message, 1 settles, 1 kill";
    message.threads = 2;
    message.kills = 1;
    message.victims = 1 << 0;
    message.preemptions = UNBOUNDED;
    message.begin = begin_message;
    message.thread = send_and_settle;
    message.judge = judge_message;
    message.may_sleep = false;
    holds(&message);
    fails(&message, "journal.moves");
}
