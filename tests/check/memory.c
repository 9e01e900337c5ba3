/* mem/runs.c, mem/pages.c: whose a block is at every instant, and nobody writes where another's
 * memory is, whatever has become of the chunk that he looks at. */
#include <shoal/memory.h>
#include <shoal/queue.h>
#include <shoal/stats.h>

#include "flow/queue_shm.h"
#include "flow/store.h"
#include "mem/alloc.h"
#include "mem/runs.h"
#include "search.h"

enum { HELD, TAKEN }; /* ghosts: blocks that somebody alive has, as bits; the victim's */
enum { VICTIM = 0, COLLECTOR = 1, SETTLER = 2 };
enum {
    CLASS = 50 /* 224 KiB: eight fill a chunk */,
    LARGE_SIZE = 0x1d0000 + PAGE_RUN /* its header looks alike too */
};

/* What a user may have in his memory: it looks like a run's page word, with free blocks. */
static const uint64_t lookalike = PAGE_RUN | RUN_SOME | RUN_WHOLE | (uint64_t)CLASS << 48;

static struct shl_run run;

static const struct shl_segment *segment(void)
{
    return shl_segment_family();
}

static uint32_t owner(void)
{
    return current->self->attachments[SHL_FAMILY].owner;
}

/* A run that is free and fills its chunk, so that none can be elsewhere. */
static void begin(void)
{
    struct block_shm *block;
    machine_settles_memory = true;
    if (shl_runs_take(segment(), owner(), CLASS, &block, 1) != 1 ||
        !shl_run_find(segment(), shl_offset(segment(), block) / PAGE_SIZE_SHM, &run) ||
        shl_sizes[CLASS].pages != PAGES_PER_CHUNK - 1)
        machine_bail_out("no run");
    shl_runs_give(segment(), owner(), CLASS, &block, 1);
    uint64_t chunk = run.number / PAGES_PER_CHUNK;
    machine_add_region(&segment()->shm->classes[CLASS], 3 * sizeof(atom64));
    machine_add_region(&segment()->shm->classes[0], 3 * sizeof(atom64)); /* of what looks alike */
    machine_add_region(shl_page_words(segment(), chunk), PAGES_PER_CHUNK * sizeof(atom64));
    machine_add_region(run.bits, sizeof(atom64));
    machine_add_region(&segment()->shm->pages_given, sizeof(atom64));
    for (uint32_t i = 0; i < shl_sizes[CLASS].blocks; i++)
        machine_add_region(shl_run_block(&run, i), sizeof(struct block_shm));
}

static uint64_t bit_of(const struct block_shm *block)
{
    uint64_t inside = (uint64_t)((const char *)block - run.blocks);
    return UINT64_C(1) << inside / shl_sizes[CLASS].stride;
}

/* As alloc and free do it with a thread's hands. */
static void take_and_give(unsigned self)
{
    struct block_shm *block;
    if (shl_runs_take(segment(), owner(), CLASS, &block, 1) != 1)
        return; /* the chunk is a large block's */
    if (machine.ghosts[HELD] & bit_of(block))
        machine_fail("a block that two have");
    machine.ghosts[HELD] |= bit_of(block);
    machine.ghosts[TAKEN] = self == VICTIM ? bit_of(block) : machine.ghosts[TAKEN];
    machine_pause();
    machine.ghosts[HELD] &= ~bit_of(block);
    machine.ghosts[TAKEN] = self == VICTIM ? 0 : machine.ghosts[TAKEN];
    shl_runs_give(segment(), owner(), CLASS, &block, 1);
}

/* It is in its user's hands for a while. */
static void use_large(void)
{
    uint64_t *payload = shl_alloc(segment(), LARGE_SIZE);
    if (!payload)
        return;
    struct shl_place place;
    /* Not the payload's, but so would be the words of runs that begin at page 8 and later. */
    atom64 *word = &shl_page_words(segment(), run.number / PAGES_PER_CHUNK)[1];
    *word = lookalike;
    uint64_t meta = shl_block(payload)->meta;
    for (unsigned i = 0; i + PAYLOAD_LINE / 8 < PAGES_PER_CHUNK; i++)
        payload[i] = lookalike;
    *run.bits = 0;
    machine_pause();
    for (unsigned i = 0; i + PAYLOAD_LINE / 8 < PAGES_PER_CHUNK; i++)
        if (payload[i] != lookalike || *run.bits != 0)
            machine_fail("somebody wrote into a payload");
    if (*word != lookalike || shl_block(payload)->meta != meta || !shl_place_find(payload, &place))
        machine_fail("somebody wrote into a payload's header");
    shl_free(&place);
}

static bool victim_has_ended(void)
{
    return machine.threads[VICTIM].phase == DONE || machine.threads[VICTIM].phase == DEAD;
}

static void settle_the_victim(void)
{
    machine_await(victim_has_ended);
    shl_peer_recover_all(segment());
}

static void one_settles(unsigned self)
{
    if (self == SETTLER)
        settle_the_victim();
    else
        take_and_give(self);
}

static void one_collects_and_one_settles(unsigned self)
{
    one_settles(self);
    if (self == COLLECTOR)
        shl_runs_collect(segment(), owner(), true);
}

/* The chunk becomes a large block while another one is about to give to it. */
static void one_uses_the_chunk(unsigned self)
{
    take_and_give(self);
    if (self == COLLECTOR && shl_runs_collect(segment(), owner(), true))
        use_large();
}

/* Likewise, while another one settles: nobody, for he is slow. */
static void one_walks_the_chunk(unsigned self)
{
    if (self == COLLECTOR)
        one_uses_the_chunk(self);
    else
        shl_alloc_settle(segment(), &(struct shl_dead){ .left = true });
}

static void killed(unsigned victim)
{
    if (victim == VICTIM)
        machine.ghosts[HELD] &= ~machine.ghosts[TAKEN];
}

/* Every byte is where somebody can get it, and will look for it. */
static const char *judge(void)
{
    shoal_audit audit;
    const struct class_shm *class = &segment()->shm->classes[CLASS];
    uint64_t word = shl_page_word(segment(), run.number * PAGE_SIZE_SHM);
    if (threads_count > SETTLER && (is_dead(COLLECTOR) || is_dead(SETTLER)))
        return NULL; /* nobody was left to settle it */
    if (shoal_segment_audit((shoal_segment){ 0 }, &audit) < 0 || audit.damaged > 0)
        return "the tables are damaged";
    if (audit.lost > 0)
        return "memory is lost";
    if (page_word_kind(word) == PAGE_RUN && (word & RUN_SOME) && class->gives == class->in_vain)
        return "nobody looks for free blocks";
    return audit.kept + audit.owned > 0 ? "memory is somebody's who has none" : NULL;
}

/* --- how many free pages lie in a row --------------------------------------------------------- */

enum { PAGE = 0 /* ghost: the one that is held */, PAGES_MOST = PAGES_PER_CHUNK - 1 };

static uint64_t take_pages(uint32_t count)
{
    uint64_t number;
    bool zero;
    return shl_pages_take(segment(), owner(), count, PAGES_ANY, &number, &zero) ? number : 0;
}

/* A chunk of free pages. */
static void begin_pages(void)
{
    begin();
    if (!shl_runs_collect(segment(), owner(), false))
        machine_bail_out("no free pages");
}

static void begin_pages_but_one(void)
{
    begin_pages();
    machine.ghosts[PAGE] = take_pages(1);
}

/* One looks for all pages of the chunk, of which the other gives the last one meanwhile. */
static void one_gives_a_page(unsigned self)
{
    if (self == VICTIM)
        shl_pages_give(segment(), machine.ghosts[PAGE], 1);
    else if (self == SETTLER)
        settle_the_victim();
    else
        take_pages(PAGES_MOST);
}

/* One begins to take all, and lets them go when he meets a page that another one has taken. */
static void one_gives_the_chunk(unsigned self)
{
    if (self == VICTIM)
        shl_pages_give_chunk(segment(), owner(), run.number / PAGES_PER_CHUNK);
    else
        take_pages(self == 1 ? 1 : PAGES_MOST - 1);
}

enum { LOOKS = 1 /* ghost */ };

static void nobody_looks(void)
{
    if (machine.ghosts[LOOKS])
        machine_fail("memory goes to the system while somebody looks at it");
}

static void begin_looking(void)
{
    begin();
    machine_decommits = nobody_looks;
}

/* At a block of a run whose pages become free, and go to the system. */
static void one_looks_at_a_block(unsigned self)
{
    struct shl_place place;
    uint64_t payload = shl_offset(segment(), shl_run_block(&run, 0) + 1);
    if (self != 0) {
        shl_runs_collect(segment(), owner(), false);
        shl_pages_purge(segment(), owner(), run.number / PAGES_PER_CHUNK);
    } else if (shl_place_look(segment(), owner(), payload, &place)) {
        machine.ghosts[LOOKS] = 1;
        machine_pause();
        machine.ghosts[LOOKS] = 0;
        shl_place_look_away(segment(), owner());
    }
}

static void begin_pages_looking(void)
{
    begin_pages();
    machine_decommits = nobody_looks;
}

/* One searches it in vain while another one gives it back; whoever enters it then, does not. */
static void one_enters_a_chunk_that_is_given(unsigned self)
{
    uint64_t chunk = run.number / PAGES_PER_CHUNK;
    if (self == 0)
        shl_pages_give_chunk(segment(), owner(), chunk);
    else if (self == 1)
        take_pages(PAGES_MOST);
    else if (shl_pages_enter(segment(), owner(), shl_page_number(chunk, 0))) {
        machine.ghosts[LOOKS] = 1;
        machine_pause();
        machine.ghosts[LOOKS] = 0;
        shl_pages_leave(segment(), owner());
    }
}

/* One gives them all to the system, a few at a time: there are always others. */
static void one_purges_the_chunk(unsigned self)
{
    if (self == VICTIM)
        shl_pages_purge(segment(), owner(), run.number / PAGES_PER_CHUNK);
    else if (self == SETTLER)
        settle_the_victim();
    else if (!take_pages(1))
        machine_fail("a page is not found though many are free");
}

static const char *judge_pages(void)
{
    uint64_t chunk = run.number / PAGES_PER_CHUNK, row = 0, most = 0;
    for (uint64_t page = 1; page < PAGES_PER_CHUNK; page++) {
        row = page_word_kind(shl_page_words(segment(), chunk)[page]) == PAGE_FREE ? row + 1 : 0;
        most = row > most ? row : most;
    }
    uint64_t word = shl_chunk_word(segment(), chunk * CHUNK_SIZE);
    bool overlooked = chunk_word_kind(word) == CHUNK_PAGES && most > chunk_word_row(word);
    return overlooked ? "free pages are overlooked" : NULL;
}

static void check_pages(struct scenario like)
{
    like.threads = 2;
    like.kills = like.victims = 0;
    like.preemptions = UNBOUNDED;
    like.judge = judge_pages;
    like.name = "memory, 1 looks at a block, 1 gives its pages to the system";
    like.begin = begin_looking;
    like.thread = one_looks_at_a_block;
    holds(&like);
    fails(&like, "pages.named");
    like.name = "memory, 1 looks for pages, 1 gives one";
    like.begin = begin_pages_but_one;
    like.thread = one_gives_a_page;
    holds(&like);
    fails(&like, "pages.told");
    fails(&like, "pages.counted");
    like.name = "memory, 1 looks for pages, 1 gives one, 1 settles, 1 kill";
    like.threads = 3;
    like.kills = 1;
    like.victims = 1 << VICTIM;
    like.preemptions = 2;
    like.preemptions_full = 3;
    holds(&like);
    fails(&like, "pages.raised");
    like.name = "memory, 1 looks for pages, 1 takes one, 1 gives the chunk";
    like.kills = like.victims = 0;
    like.preemptions = 1;
    like.preemptions_full = 2;
    like.begin = begin_pages;
    like.thread = one_gives_the_chunk;
    holds(&like);
    fails(&like, "pages.undone");
    like.name = "memory, 1 looks for a page, 1 gives free ones to the system";
    like.threads = 2;
    like.thread = one_purges_the_chunk;
    holds(&like);
    fails(&like, "pages.hidden");
    like.name = "memory, 1 looks for a page, 1 gives free ones to the system, 1 settles, 1 kill";
    like.threads = 3;
    like.kills = 1;
    like.victims = 1 << VICTIM;
    holds(&like);
    like.kills = like.victims = 0;
    like.name = "memory, 1 looks for pages, 1 gives the chunk, 1 enters it";
    like.preemptions = like.preemptions_full = 5;
    like.judge = NULL;
    like.begin = begin_pages_looking;
    like.thread = one_enters_a_chunk_that_is_given;
    holds(&like);
    fails(&like, "pages.leaving");
}

/* --- a message on its way --------------------------------------------------------------------- */

enum { PUTTER = 0, GETTER = 1, QUEUE = 0, PAYLOAD = 1 }; /* threads; ghosts */
enum { MESSAGE_SIZE = 7000 };

/* A block, and what is to be known of its class. */
static void add_block(void *block)
{
    machine_add_region(block, sizeof(struct block_shm));
    machine_add_block(block);
}

/* A queue over one ring or the other, and a payload with nothing in anybody's hands. */
static void begin_queue(bool bulk)
{
    shoal_queue queue;
    machine_settles_memory = true;
    shoal_queue_options options = { .capacity_count = 1, .bulk = bulk };
    if (shoal_queue_create(&options, &queue) < 0)
        machine_bail_out("no queue");
    machine.ghosts[QUEUE] = queue.ref;
    struct queue_shm *shm = machine_add_object(queue.ref, KIND_QUEUE, sizeof *shm);
    void *cells = shl_at(segment(),
                         bulk ? store_offset(shl_store_of(&shm->ring)) : shm->cells.cells);
    machine_add_region(cells, bulk ? sizeof(uint64_t) : sizeof(struct cell_shm));
    void *payload = shl_alloc(segment(), MESSAGE_SIZE);
    machine.ghosts[PAYLOAD] = (uint64_t)(uintptr_t)payload;
    shl_alloc_flush(segment(), &current->self->attachments[SHL_FAMILY]);
    add_block(shl_block(payload));
    add_block((char *)shm - offsetof(struct queue_shm, object));
    add_block(shl_block(cells));
    for (unsigned i = 0; i < threads_count; i++)
        machine_add_region(&machine.threads[i].self->found[shl_found_place(queue.ref)],
                           sizeof(struct shl_found));
}

static void begin_message(void)
{
    begin_queue(false);
}

static void begin_message_dense(void)
{
    begin_queue(true);
}

static bool one_is_dead_or_all_have_ended(void)
{
    enum phase putter = machine.threads[PUTTER].phase, getter = machine.threads[GETTER].phase;
    return putter == DEAD || getter == DEAD || (putter == DONE && getter == DONE);
}

static void put_and_get(unsigned self)
{
    shoal_queue queue = { machine.ghosts[QUEUE] };
    void *payload = (void *)(uintptr_t)machine.ghosts[PAYLOAD], *got = NULL;
    if (self == PUTTER) {
        if (shoal_queue_put(queue, payload, SHOAL_FOREVER) < 0)
            machine_fail("put failed");
    } else if (self == GETTER) {
        if (shoal_queue_get(queue, &got, SHOAL_FOREVER) < 0 || got != payload)
            machine_fail("get failed");
        shoal_free(got);
    } else {
        machine_await(one_is_dead_or_all_have_ended);
        shl_peer_recover_all(segment());
    }
}

static bool putter_is_out(void)
{
    return machine.threads[PUTTER].phase == DEAD ||
           (machine.threads[PUTTER].phase == DONE && one_is_dead_or_all_have_ended());
}

/* The queue ends meanwhile, and what was put goes with it. */
static void put_and_destroy(unsigned self)
{
    shoal_queue queue = { machine.ghosts[QUEUE] };
    void *payload = (void *)(uintptr_t)machine.ghosts[PAYLOAD];
    if (self == PUTTER && shoal_queue_put(queue, payload, SHOAL_FOREVER) < 0)
        shoal_free(payload);
    if (self == GETTER && shoal_queue_destroy(queue) < 0)
        machine_fail("destroy failed");
    if (self == SETTLER) { /* who is inside of a queue that ended would put it off */
        machine_await(putter_is_out);
        shl_peer_recover_all(segment());
    }
}

static const char *judge_end(void)
{
    shoal_audit audit;
    if (shoal_segment_audit((shoal_segment){ 0 }, &audit) < 0 || audit.damaged > 0)
        return "the tables are damaged";
    if (audit.lost + audit.owned > 0)
        return "memory is lost";
    struct object_shm *queue = shl_at(segment(), shl_ref_offset(machine.ghosts[QUEUE]));
    if (queue->self != machine.ghosts[QUEUE] && audit.queued + audit.objects > 0)
        return "a queue was destroyed, and is there";
    return NULL;
}

/* The message lies in the queue, or its memory is free; in no other case does the getter sleep. */
static const char *judge_message(void)
{
    shoal_audit audit;
    if (shoal_segment_audit((shoal_segment){ 0 }, &audit) < 0 || audit.damaged > 0)
        return "the tables are damaged";
    if (audit.lost + audit.owned > 0)
        return "the message is lost";
    if (!is_dead(GETTER) && audit.payloads_count > 0)
        return "a message that nobody gets";
    if (is_asleep(GETTER) && !is_dead(PUTTER))
        return "a getter sleeps though a message was put";
    return NULL;
}

/* --- a message that two take ----------------------------------------------------------------- */

enum { GETTERS = 2, WHOSE = 2 /* ghosts */ };

static void put_message(void)
{
    if (shoal_queue_put((shoal_queue){ machine.ghosts[QUEUE] },
                        (void *)(uintptr_t)machine.ghosts[PAYLOAD], SHOAL_NOW) < 0)
        machine_bail_out("no room");
}

static void begin_queued(void)
{
    begin_message();
    put_message();
}

static void begin_queued_dense(void)
{
    begin_message_dense();
    put_message();
}

static bool all_are_out(void)
{
    for (unsigned i = 0; i + 1 < threads_count; i++)
        if (machine.threads[i].phase != DEAD && machine.threads[i].phase != DONE)
            return false;
    return true;
}

static bool one_is_out(void)
{
    for (unsigned i = 0; i + 1 < threads_count; i++)
        if (machine.threads[i].phase == DEAD)
            return true;
    return all_are_out();
}

static void get_once(shoal_queue queue)
{
    void *payload = (void *)(uintptr_t)machine.ghosts[PAYLOAD], *got = NULL;
    int code = shoal_queue_get(queue, &got, SHOAL_NOW);
    if (code == -ETIMEDOUT || (code == -ESTALE && threads_count > 3))
        return;
    if (code < 0 || got != payload || machine.ghosts[WHOSE]++)
        machine_fail("get failed, or two got it");
    shoal_free(got);
}

/* One of them gets it; whoever settles is there as soon as one is dead, and once all are out. */
static void get_and_settle(unsigned self)
{
    shoal_queue queue = { machine.ghosts[QUEUE] };
    if (self < GETTERS) {
        get_once(queue);
    } else if (self + 1 < threads_count) {
        if (shoal_queue_destroy(queue) < 0)
            machine_fail("destroy failed");
    } else {
        machine_await(one_is_out);
        shl_peer_recover_all(segment());
        machine_await(all_are_out);
        shl_peer_recover_all(segment());
    }
}

static const char *judge_queued(void)
{
    shoal_audit audit;
    if (is_dead(threads_count - 1))
        return NULL; /* nobody was left to settle it */
    if (shoal_segment_audit((shoal_segment){ 0 }, &audit) < 0 || audit.damaged > 0)
        return "the tables are damaged";
    if (audit.lost + audit.owned > 0)
        return "the message is lost";
    if (audit.payloads_count > 0 && machine.kills == 0)
        return "nobody got it";
    return NULL;
}

static void check_two_getters(struct scenario like)
{
    like.name = "message, 2 get, 1 settles, 1 kill";
    like.begin = begin_queued;
    like.thread = get_and_settle;
    like.judge = judge_queued;
    like.victims = 1 << 0 | 1 << 1;
    like.preemptions = UNBOUNDED;
    like.may_sleep = false;
    holds(&like);
    fails(&like, "journal.lost");
    fails(&like, "journal.asked");
    fails(&like, "journal.settling");
    struct scenario dense = like;
    dense.name = "message on a dense ring, 2 get, 1 settles, 1 kill";
    dense.begin = begin_queued_dense;
    holds(&dense);
    fails(&dense, "ring.void");
    like.name = "message, 2 get, 1 settles, 2 kills";
    like.kills = 2;
    holds(&like);
    like.name = "message, 2 get, 1 destroys, 1 settles, 1 kill";
    like.threads = 4;
    like.kills = 1;
    like.victims = 1 << 0 | 1 << 2;
    like.preemptions = 0;
    like.preemptions_full = 2;
    holds(&like);
    like.preemptions = 1;
    fails(&like, "cells.visit");
    fails(&like, "object.before");
    fails(&like, "journal.inside");
}

static void check_message(void)
{
    struct scenario message = { .name = "message, 1 puts, 1 gets, 1 settles, 1 kill",
                                .threads = 3,
                                .kills = 1,
                                .victims = 1 << PUTTER | 1 << GETTER,
                                .preemptions = 3,
                                .preemptions_full = UNBOUNDED,
                                .begin = begin_message,
                                .thread = put_and_get,
                                .judge = judge_message,
                                .may_sleep = true };
    holds(&message);
    fails(&message, "journal.settled");
    fails(&message, "journal.written");
    struct scenario end = message;
    end.name = "message, 1 puts, 1 destroys, 1 settles, 1 kill";
    end.preemptions = 1;
    end.preemptions_full = 3;
    end.thread = put_and_destroy;
    end.judge = judge_end;
    end.may_sleep = false;
    holds(&end);
    fails(&end, "object.settled");
    check_two_getters(message);
    message.name = "message on a dense ring, 1 puts, 1 gets, 1 settles, 1 kill";
    message.begin = begin_message_dense;
    holds(&message);
}

void check_memory(void)
{
    struct scenario settle = { .name = "memory, 2 take and give, 1 settles, 1 kill",
                               .threads = 3,
                               .kills = 1,
                               .victims = 1 << VICTIM,
                               .preemptions = 1,
                               .preemptions_full = 2,
                               .begin = begin,
                               .thread = one_settles,
                               .killed = killed,
                               .judge = judge };
    holds(&settle);
    fails(&settle, "runs.again");
    fails(&settle, "runs.back");
    fails(&settle, "runs.counted");
    struct scenario collect = settle;
    collect.name = "memory, 2 take and give, 1 collects, 1 settles, 1 kill";
    collect.preemptions_full = 1;
    collect.thread = one_collects_and_one_settles;
    holds(&collect);
    struct scenario give = settle;
    give.name = "memory, 1 gives to a chunk that becomes a large block";
    give.threads = 2;
    give.kills = give.victims = 0;
    give.preemptions = 2;
    give.preemptions_full = 3;
    give.thread = one_uses_the_chunk;
    holds(&give);
    fails(&give, "pages.named");
    struct scenario walk = give;
    walk.name = "memory, 1 walks a chunk that becomes a large block";
    walk.thread = one_walks_the_chunk;
    holds(&walk);
    fails(&walk, "pages.named");
    check_pages(settle);
    check_message();
}
