/* flow/store.c: what holds for a dense ring holds for one that moves to another store, larger or
 * smaller, meanwhile; and no block is left over, or freed while somebody looks into it. */
#include "flow/store.h"

#include <shoal/memory.h>
#include <shoal/queue.h>
#include <shoal/stats.h>
#include <shoal/values.h>
#include <string.h>

#include "../store.h"
#include "mem/alloc.h"
#include "mem/runs.h"
#include "players.h"

enum { QUEUE = MORE_GHOSTS, PAYLOADS, PUTTER = 0, GROWER = 1, SETTLER = 2 };
enum { MESSAGE_SIZE = 7000, FIRST_ITEM = 9, CELLS_FIRST = 1024 };

static struct ring_shm *ring;
static struct object_shm *object;

static shoal_queue queue(void)
{
    return (shoal_queue){ machine.ghosts[QUEUE] };
}

/* Stores of so many cells are in each thread's hands; of each a few words are part of the state. */
static void add_hands(uint64_t cells_count, uint32_t wanted)
{
    size_t size = shl_store_size(cells_count, sizeof(uint64_t)), most = 5 * sizeof(uint64_t);
    unsigned size_class = shl_class_of(size);
    struct shl_attachment *self = &current->self->attachments[SHL_FAMILY];
    struct block_shm **kept = self->kept[size_class] + 1;
    uint32_t count = shl_runs_take(shl_segment_family(), self->owner, size_class, kept, wanted);
    shl_hands_set_count(self, size_class, count);
    if (count != wanted)
        machine_bail_out("no memory");
    for (unsigned i = 0; i < wanted; i++)
        machine_add_region(kept[i], sizeof(struct block_shm) + (size < most ? size : most));
    if (current == machine.threads)
        machine_add_block(kept[0]);
}

/* A queue whose store has one cell. */
static void begin_with(size_t value_size)
{
    shoal_queue made;
    shoal_queue_options options = { .bulk = true, .value_size = value_size };
    machine_settles_memory = true;
    if (shoal_queue_create(&options, &made) < 0)
        machine_bail_out("no queue");
    machine.ghosts[QUEUE] = made.ref;
    object = machine_add_object(made.ref, KIND_QUEUE, sizeof(struct queue_shm));
    ring = store_shrink(made.ref);
    char *cells = shl_at(shl_segment_family(), store_offset(ring->store));
    machine_add_region(shl_block(cells), sizeof(struct block_shm) + sizeof(uint64_t));
    machine_add_block((char *)object - offsetof(struct queue_shm, object));
    for (unsigned i = 0; i < threads_count; i++) {
        machine_become(i);
        shl_alloc_flush(shl_segment_family(), &current->self->attachments[SHL_FAMILY]);
        add_hands(1, 2);
        add_hands(2, 2);
        add_hands(4, 2);
        add_hands(CELLS_FIRST, 1);
    }
    machine_become(0);
    for (unsigned i = 0; i < threads_count; i++)
        machine_add_region(&machine.threads[i].self->found,
                           sizeof(struct shl_found[SHL_FOUND_PLACES]));
}

static int put_item(uint64_t item)
{
    int code = shoal_queue_put_value(queue(), &item, sizeof item, SHOAL_FOREVER);
    if (code == 0)
        machine.ghosts[PUT] |= UINT64_C(1) << item;
    return code;
}

static void put(unsigned self, unsigned number)
{
    if (put_item(item_make(self, number)) < 0)
        machine_fail("put failed");
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

static void begin_full(void)
{
    begin_with(sizeof(uint64_t));
    if (put_item(FIRST_ITEM) < 0)
        machine_bail_out("no room");
}

/* An end is in the way. */
static void begin_ended(void)
{
    begin_with(sizeof(uint64_t));
    if (shoal_queue_put_end(queue(), SHOAL_NOW) < 0)
        machine_bail_out("no room");
}

/* It has two cells, and nothing in them. */
static void begin_grown(void)
{
    begin_full();
    if (put_item(FIRST_ITEM + 1) < 0)
        machine_bail_out("no room");
    take(0);
    take(0);
}

/* Behind all others: what is left is taken, and the queue ends. */
static void settle_and_end(unsigned self)
{
    machine_await(others_have_ended);
    shl_peer_recover_all(shl_segment_family());
    int code;
    while ((code = try_to_take(self, SHOAL_NOW)) == 0) {}
    if (code != -ETIMEDOUT && code != -EPIPE)
        machine_fail("the rest is not to be had");
    if (shoal_queue_destroy(queue()) < 0)
        machine_fail("destroy failed");
}

static void two_put(unsigned self)
{
    if (self < SETTLER)
        put(self, 0);
    else
        settle_and_end(self);
}

/* Who finds it empty makes it small. */
static void take_beside_a_put(unsigned self)
{
    if (self == 0)
        (void)try_to_take(self, SHOAL_NOW);
    else if (self == 1)
        put(self, 0);
    else
        settle_and_end(self);
}

static void put_and_take_end(unsigned self)
{
    uint64_t item;
    if (self == 0) {
        put(self, 0);
    } else {
        machine_await(others_have_ended);
        if (shoal_queue_get_value(queue(), &item, sizeof item, SHOAL_NOW) != -EPIPE)
            machine_fail("an end was lost");
        settle_and_end(self);
    }
}

static const char *judge(void)
{
    shoal_audit audit;
    int lost = __builtin_popcountll(machine.ghosts[PUT] & ~machine.ghosts[TAKEN]);
    if (lost > (int)machine.kills)
        return "an item was lost";
    if (is_dead(threads_count - 1))
        return NULL;
    if (shoal_segment_audit((shoal_segment){ 0 }, &audit) < 0 || audit.damaged > 0)
        return "the tables are damaged";
    return audit.objects + audit.lost + audit.owned > 0 ? "memory of a queue that is gone" : NULL;
}

/* --- a look at what moves -------------------------------------------------------------------- */

/* Two messages, one of each putter's. */
static void begin_messages(void)
{
    void *payloads[2];
    for (unsigned i = 0; i < 2; i++) {
        machine_become(i);
        payloads[i] = shl_alloc(shl_segment_family(), MESSAGE_SIZE);
        if (!payloads[i])
            machine_bail_out("no memory");
    }
    machine_become(0);
    begin_with(0);
    for (unsigned i = 0; i < 2; i++) {
        machine.ghosts[PAYLOADS + i] = (uint64_t)(uintptr_t)payloads[i];
        machine_add_region(shl_block(payloads[i]), sizeof(struct block_shm));
    }
    machine_add_block(shl_block(payloads[0]));
}

static bool putter_is_out(void)
{
    return machine.threads[PUTTER].phase == DEAD || machine.threads[PUTTER].phase == DONE;
}

/* The first put is settled while the second one moves both, and the old store is used anew. */
static void put_settle_and_grow(unsigned self)
{
    void *payload = (void *)(uintptr_t)machine.ghosts[PAYLOADS + self];
    if (self < SETTLER && shoal_queue_put(queue(), payload, SHOAL_NOW) < 0)
        machine_fail("put failed");
    if (self == GROWER) {
        uint64_t *old = shl_alloc(shl_segment_family(),
                                  shl_store_size(CELLS_FIRST, sizeof(uint64_t)));
        if (old)
            *old = 0;
    }
    if (self == SETTLER) {
        machine_await(putter_is_out);
        shl_peer_recover_all(shl_segment_family());
    }
}

static const char *judge_messages(void)
{
    if (is_dead(SETTLER) || machine.threads[SETTLER].phase != DONE)
        return NULL;
    uint64_t word, count = 0, at = RING_POSITION(ring->head.word);
    for (; at != RING_POSITION(ring->tail.word); at++) {
        struct ring_call call = { .segment = shl_segment_family(),
                                  .ring = ring,
                                  .item_size = sizeof(uint64_t) };
        word = *shl_store_cell(&call, ring->store, at);
        struct block_shm *block = shl_block(shl_at(call.segment, descriptor_offset(word)));
        count += block_own_state(block->own) == BLOCK_SENDING;
    }
    return count == RING_POSITION(ring->tail.word - ring->head.word)
               ? NULL
               : "a message that is queued was freed";
}

void check_stores(void)
{
    struct scenario put_two = { .name = "store that 2 putters enlarge, 1 settles, 1 kill",
                                .threads = 3,
                                .kills = 1,
                                .victims = 1 << 0 | 1 << 1,
                                .preemptions = 1,
                                .preemptions_full = 2,
                                .begin = begin_full,
                                .thread = two_put,
                                .judge = judge };
    holds(&put_two);
    fails(&put_two, "store.spare");
    struct scenario take_one = put_two;
    take_one.name = "store made small beside a put, 1 settles, 1 kill";
    take_one.begin = begin_grown;
    take_one.thread = take_beside_a_put;
    holds(&take_one);
    struct scenario end = put_two;
    end.name = "store that is enlarged with an end in it, 1 kill";
    end.threads = 2;
    end.victims = 1 << 0;
    end.preemptions = UNBOUNDED;
    end.begin = begin_ended;
    end.thread = put_and_take_end;
    holds(&end);
    fails(&end, "store.ends");
    struct scenario message = put_two;
    message.name = "store that moves while a put is settled, 1 kill";
    message.victims = 1 << PUTTER;
    message.begin = begin_messages;
    message.thread = put_settle_and_grow;
    message.judge = judge_messages;
    holds(&message);
    fails(&message, "store.visit");
}
