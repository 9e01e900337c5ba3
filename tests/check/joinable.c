/* flow/joinable.c, mem/lease.c: a message is had by one at a time and finished once, by somebody;
 * what a dead one had comes back first, and join and the end of a queue that was shut down wait for
 * all that, and for no more. */
#include <shoal/joinable.h>
#include <shoal/memory.h>

#include "flow/cells.h"
#include "flow/queue.h"
#include "flow/store.h"
#include "mem/journal.h"
#include "mem/lease.h"
#include "search.h"

/* Ghosts: handles; the payloads; of messages, as bits: who has which, what was finished, what was
 * about to be; whether join or the end has returned, and whether the victim died with one. */
enum {
    QUEUE,
    OTHER,
    PAYLOADS,
    HELD = PAYLOADS + 3,
    FINISHED = HELD + THREADS_MAX,
    BEGUN,
    OVER,
    DIED_WITH
};
enum { VICTIM = 0, MESSAGE_SIZE = 7000, HANDS = 2 };

static struct queue_shm *shm;
static unsigned messages_count;

static shoal_queue queue(void)
{
    return (shoal_queue){ machine.ghosts[QUEUE] };
}

static struct queue_shm *add_queue(unsigned ghost, const shoal_queue_options *options)
{
    shoal_queue made;
    if (shoal_queue_create(options, &made) < 0)
        machine_bail_out("no queue");
    machine.ghosts[ghost] = made.ref;
    struct queue_shm *found = machine_add_object(made.ref, KIND_QUEUE, sizeof *found);
    uint64_t store = shl_store_of(&found->ring);
    uint64_t cells = found->ring_kind ? found->cells.cells : store_offset(store);
    uint64_t size = found->ring_kind ? shl_cells_size(found->cells.capacity)
                                     : shl_store_size(store_mask(store) + 1, sizeof(uint64_t));
    machine_add_region(shl_at(shl_segment_family(), cells), size);
    for (unsigned i = 0; i < threads_count; i++)
        machine_add_region(&machine.threads[i].self->found[shl_found_place(made.ref)],
                           sizeof(struct shl_found));
    return found;
}

/* Each thread has some unused leases in its hands, and nobody needs more. */
static void add_leases(void)
{
    for (unsigned i = 0; i < threads_count; i++) {
        machine_become(i);
        struct shl_attachment *self = &current->self->attachments[SHL_FAMILY];
        struct block_shm **kept = self->kept[CLASS_OF_POOL(POOL_LEASE)] + 1;
        struct lease_shm *lease = shl_lease_prepare(shl_segment_family(), self, queue().ref);
        if (!lease)
            machine_bail_out("no lease");
        shl_lease_unused(shl_segment_family(), lease);
        shl_hands_set_count(self, CLASS_OF_POOL(POOL_LEASE), HANDS);
        for (unsigned j = 0; j < HANDS; j++)
            machine_add_region(kept[j], sizeof *lease);
        if (i == 0)
            machine_add_block(kept[0]);
    }
    machine_become(0);
}

static void begin(unsigned count, shoal_queue_options options)
{
    options.capacity_count = count;
    options.joinable = true;
    shm = add_queue(QUEUE, &options);
    messages_count = count;
    for (unsigned i = 0; i < count; i++) {
        void *payload = shl_alloc(shl_segment_family(), MESSAGE_SIZE);
        if (!payload || shoal_queue_put(queue(), payload, SHOAL_NOW) < 0)
            machine_bail_out("no message");
        machine.ghosts[PAYLOADS + i] = (uint64_t)(uintptr_t)payload;
        machine_add_region(shl_block(payload), sizeof(struct block_shm));
        if (i == 0)
            machine_add_block(shl_block(payload));
    }
    add_leases();
}

static void begin_one(void)
{
    begin(1, (shoal_queue_options){ .deliveries_max = 9 });
}

/* Three, of which the victim gets two; the lease of the second lies before that of the first. */
static void begin_three(void)
{
    begin(3, (shoal_queue_options){ .deliveries_max = 9 });
    struct shl_attachment *self = &machine.threads[VICTIM].self->attachments[SHL_FAMILY];
    struct block_shm **kept = self->kept[CLASS_OF_POOL(POOL_LEASE)] + 1;
    struct block_shm *second = kept[0];
    kept[0] = kept[1];
    kept[1] = second;
    shl_hands_set_count(self, CLASS_OF_POOL(POOL_LEASE), HANDS);
}

/* With another queue, to which messages are handed on, or which are given up. */
static void begin_two_queues(void)
{
    add_queue(OTHER, &(shoal_queue_options){ .capacity_count = 1 });
    begin_one();
}

static void begin_dead_letters(void)
{
    add_queue(OTHER, &(shoal_queue_options){ .capacity_count = 1 });
    begin(1,
          (shoal_queue_options){ .deliveries_max = 1, .dead_letters = { machine.ghosts[OTHER] } });
}

/* --- what is done, and what may be ------------------------------------------------------------ */

static uint64_t bit_of(const void *payload)
{
    for (unsigned i = 0; i < messages_count; i++)
        if (machine.ghosts[PAYLOADS + i] == (uint64_t)(uintptr_t)payload)
            return UINT64_C(1) << i;
    machine_fail("something was got that was not put");
}

static bool is_held(uint64_t bit)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (machine.ghosts[HELD + i] & bit)
            return true;
    return false;
}

/* 0 and the message, or what get answers. */
static int get(unsigned self, void **ret_payload, shoal_deadline deadline)
{
    int code = shoal_queue_get(queue(), ret_payload, deadline);
    if (code < 0)
        return code;
    uint64_t bit = bit_of(*ret_payload);
    if (is_held(bit))
        machine_fail("a message that two have");
    if (machine.ghosts[FINISHED] & bit)
        machine_fail("a message that is finished was got");
    if (machine.ghosts[OVER])
        machine_fail("a message was got after all was over");
    machine.ghosts[HELD + self] |= bit;
    return 0;
}

static void finish(unsigned self, void *payload)
{
    machine_pause();
    machine.ghosts[BEGUN] |= bit_of(payload);
    machine.ghosts[HELD + self] &= ~bit_of(payload);
    if (shoal_queue_task_done(queue(), payload) < 0)
        machine_fail("task_done failed");
    machine.ghosts[FINISHED] |= bit_of(payload);
}

static void get_and_finish(unsigned self, shoal_deadline deadline)
{
    void *payload;
    if (get(self, &payload, deadline) == 0)
        finish(self, payload);
}

static void all_is_over(void)
{
    uint64_t all = (UINT64_C(1) << messages_count) - 1;
    machine.ghosts[OVER] = 1;
    if (machine.ghosts[BEGUN] != all)
        machine_fail("all is over before every message was finished");
}

static void join(void)
{
    if (shoal_queue_join(queue(), SHOAL_FOREVER) < 0)
        machine_fail("join failed");
    all_is_over();
}

static void killed(unsigned victim)
{
    machine.ghosts[DIED_WITH] |= victim == VICTIM ? machine.ghosts[HELD + victim] : 0;
    machine.ghosts[HELD + victim] = 0;
}

/* --- one message ------------------------------------------------------------------------------ */

static void two_get_and_one_joins(unsigned self)
{
    if (self == 2)
        join();
    else
        get_and_finish(self, SHOAL_FOREVER);
}

/* Who gets sleeps only if nothing is left; who joins, never: there is always one who gets. */
static const char *judge(void)
{
    if (is_asleep(2))
        return "join sleeps for ever";
    return is_asleep(1) && machine.ghosts[BEGUN] == 0 ? "a getter sleeps though a message is left"
                                                      : NULL;
}

/* The joiner may sleep until a tick if it has not seen a lease before its holder died. */
static void one_gets_and_one_joins(unsigned self)
{
    if (self == 0)
        join();
    else
        get_and_finish(self, SHOAL_FOREVER);
}

static const char *judge_joiner_at(unsigned joiner)
{
    struct shl_object_walk walk = { 0 };
    uint64_t word;
    bool is_out = shl_ring_count(&shm->ring) > 0 ||
                  shl_lease_next(shl_segment_family(), &walk, queue().ref, &word);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        is_out |= shl_journal_taker(shl_segment_family(), i, queue().ref) != 0;
    return is_asleep(joiner) && !is_out ? "join sleeps though all is finished" : NULL;
}

static const char *judge_joiner(void)
{
    return judge_joiner_at(0);
}

static const char *judge_last_joins(void)
{
    return judge_joiner_at(2);
}

/* --- what has come back ----------------------------------------------------------------------- */

static bool victim_has_ended(void)
{
    return machine.threads[VICTIM].phase == DONE || machine.threads[VICTIM].phase == DEAD;
}

static void settle(void)
{
    machine_await(victim_has_ended);
    shl_peer_recover_all(shl_segment_family());
}

/* Killed as well, as the one whose lease he ends. */
static void one_settles_and_one_joins(unsigned self)
{
    if (self == VICTIM)
        get_and_finish(self, SHOAL_NOW);
    else if (self == 1)
        settle();
    else
        join();
}

/* The victim has two messages at once; what comes back is got in their order, before the third. */
static void two_settle_and_get(unsigned self)
{
    void *payloads[2], *payload;
    uint64_t last = 0;
    if (self == VICTIM) {
        if (get(self, &payloads[0], SHOAL_NOW) < 0 || get(self, &payloads[1], SHOAL_NOW) < 0)
            machine_fail("get failed");
        finish(self, payloads[1]);
        finish(self, payloads[0]);
        return;
    }
    settle();
    while (get(self, &payload, SHOAL_NOW) == 0) {
        if (bit_of(payload) < last)
            machine_fail("not in the order in which they were put");
        last = bit_of(payload);
        finish(self, payload);
    }
}

static bool something_came_back(void)
{
    return shm->joinable.returned > 0 || machine.threads[1].phase == DONE;
}

/* While the second one comes back another has found the first one, and looks for more. */
static void one_settles_and_one_looks(unsigned self)
{
    void *payload;
    if (self == VICTIM)
        two_settle_and_get(self);
    else if (self == 1)
        settle();
    else
        machine_await(something_came_back);
    while (self == 2 && get(self, &payload, SHOAL_NOW) == 0)
        finish(self, payload);
}

static void two_look(unsigned self)
{
    if (self == 2)
        one_settles_and_one_looks(self);
    else
        two_settle_and_get(self);
}

static const char *judge_hint(void)
{
    struct shl_object_walk walk = { 0 };
    uint64_t word;
    while (shl_lease_next(shl_segment_family(), &walk, queue().ref, &word))
        if (lease_word_state(word) == LEASE_RETURNED && shm->joinable.returned == 0)
            return "a message that came back will not be found";
    return NULL;
}

static const char *judge_all_finished(void)
{
    return machine.ghosts[BEGUN] == (UINT64_C(1) << messages_count) - 1 ? NULL
                                                                        : "a message is lost";
}

/* --- handed on -------------------------------------------------------------------------------- */

/* Whoever has the message puts it into the other queue. */
static void all_hand_on(unsigned self)
{
    void *payload;
    if (self != VICTIM)
        settle();
    if (get(self, &payload, SHOAL_NOW) < 0)
        return;
    if (shoal_queue_put((shoal_queue){ machine.ghosts[OTHER] }, payload, SHOAL_NOW) < 0)
        machine_fail("handed on twice");
    machine.ghosts[HELD + self] = 0;
}

static bool second_has_ended(void)
{
    return machine.threads[1].phase == DONE || machine.threads[1].phase == DEAD;
}

/* Who gets it again has no right to it; nor has who comes behind him, if he dies too. */
static void all_give_up(unsigned self)
{
    void *payload;
    if (self == 2)
        machine_await(second_has_ended);
    if (self != VICTIM)
        settle();
    int code = get(self, &payload, SHOAL_NOW);
    if (code == 0 && machine.ghosts[DIED_WITH])
        machine_fail("delivered too often");
    if (code == 0)
        finish(self, payload);
}

static uint64_t count_other(void)
{
    return shoal_queue_qsize((shoal_queue){ machine.ghosts[OTHER] });
}

static const char *judge_handed_on(void)
{
    return count_other() == 1 && shl_ring_count(&shm->ring) == 0 ? NULL : "a message is lost";
}

static const char *judge_given_up(void)
{
    return count_other() + (machine.ghosts[BEGUN] & 1) >= 1 ? NULL : "a message is lost";
}

/* --- the end ---------------------------------------------------------------------------------- */

/* A queue that is shut down ends for a getter when all is finished. */
static void two_get_and_one_shuts_down(unsigned self)
{
    void *payload;
    int code;
    if (self == 2) {
        if (shoal_queue_shutdown(queue()) < 0)
            machine_fail("shutdown failed");
        return;
    }
    while ((code = get(self, &payload, SHOAL_FOREVER)) == 0)
        finish(self, payload);
    if (code != -EPIPE)
        machine_fail("get failed");
    all_is_over();
}

static void check_what_comes_back(struct scenario one)
{
    struct scenario back = one;
    back.name = "lease, 2 come back to 2 who settle, 1 kill";
    back.begin = begin_three;
    back.thread = two_settle_and_get;
    back.judge = judge_all_finished;
    back.may_sleep = false;
    holds(&back);
    fails(&back, "lease.order");
    fails(&back, "lease.taken");
    struct scenario look = back;
    look.name = "lease, 2 come back to 1 who settles, 1 looks, 1 kill";
    look.preemptions = 2;
    look.thread = one_settles_and_one_looks;
    look.judge = judge_hint;
    fails(&look, "joinable.lowered");
    look.thread = two_look;
    fails(&look, "lease.again");
    struct scenario on = back;
    on.name = "lease, handed on, 2 settle, 1 kill";
    on.begin = begin_two_queues;
    on.thread = all_hand_on;
    on.judge = judge_handed_on;
    holds(&on);
    fails(&on, "lease.put");
    struct scenario up = on;
    up.name = "lease, given up, 2 settle in turn, 2 kills";
    up.kills = 2;
    up.victims = 1 << VICTIM | 1 << 1;
    up.begin = begin_dead_letters;
    up.thread = all_give_up;
    up.judge = judge_given_up;
    holds(&up);
    fails(&up, "joinable.deliver");
}

void check_joinable(void)
{
    struct scenario one = { .name = "lease, 2 get and finish, 1 joins, 1 kill",
                            .threads = 3,
                            .kills = 1,
                            .victims = 1 << VICTIM,
                            .preemptions = 0,
                            .preemptions_full = 1,
                            .begin = begin_one,
                            .thread = two_get_and_one_joins,
                            .killed = killed,
                            .judge = judge,
                            .may_sleep = true };
    holds(&one);
    fails(&one, "joinable.takers");
    fails(&one, "joinable.returned");
    struct scenario alive = one;
    alive.name = "lease, 2 get and finish, 1 joins";
    alive.kills = 0;
    alive.preemptions = 1;
    alive.preemptions_full = 2;
    holds(&alive);
    struct scenario joiner = one;
    joiner.name = "lease, 1 gets and finishes, 1 joins, 1 kill";
    joiner.threads = 2;
    joiner.victims = 1 << 1;
    joiner.preemptions = 2;
    joiner.preemptions_full = 3;
    joiner.thread = one_gets_and_one_joins;
    joiner.judge = judge_joiner;
    holds(&joiner);
    fails(&joiner, "joinable.pending");
    fails(&joiner, "joinable.order");
    fails(&joiner, "joinable.watch");
    struct scenario settled = joiner;
    settled.name = "lease, 1 gets and finishes, 1 settles, 1 joins, 2 kills";
    settled.threads = 3;
    settled.kills = 2;
    settled.victims = 1 << VICTIM | 1 << 1;
    settled.preemptions = 0;
    settled.preemptions_full = 1;
    settled.thread = one_settles_and_one_joins;
    settled.judge = judge_last_joins;
    holds(&settled);
    settled.preemptions = 1; /* the joiner looks in the middle of the settling */
    fails(&settled, "lease.ended");
    check_what_comes_back(one);
    struct scenario end = one;
    end.name = "lease, 2 get until the end, 1 shuts down, 1 kill";
    end.thread = two_get_and_one_shuts_down;
    end.judge = NULL;
    end.may_sleep = false;
    holds(&end);
    fails(&end, "joinable.end");
}
