/*
 * Processes killed at each step of sharing payloads and of allocating under them: nothing is lost,
 * nothing of the living is touched, every byte is accounted for.
 */
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <shoal/stats.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem/alloc.h"
#include "mem/object.h"
#include "mem/peer.h"
#include "mem/share.h"
#include "mem/share_shm.h"
#include "os/chaos.h"
#include "os/futex.h"

TestSuite(share_kill, .timeout = 300);

enum { CHILDREN = 30, CELLS = 6, PLACES = 6 };

struct parent {
    uint64_t salt;
    uint64_t *children[CHILDREN];
};

static struct {
    struct parent *_Atomic payload;
    _Atomic int step, stop;
    const char *point;
    unsigned passes;
    struct parent *_Atomic cells[CELLS];
    _Atomic uint64_t joins;
} * board;

static shoal_queue queue, shut;

static const char *const points[] = {
    "queue.journal", "queue.sending",   "queue.put",        "queue.taken",   "queue.owned",
    "alloc.owned",   "alloc.kept",      "under.under",      "under.table",   "under.named",
    "under.freed",   "share.published", "share.shared",     "share.joining", "share.entered",
    "share.joined",  "share.wrapped",   "share.unwrapped",  "share.left",    "share.closed",
    "share.ended",   "share.freed",     "object.published", "object.ended",  "runs.owner",
    "runs.taken",    "runs.given",
};
static const char *const settling[] = { "peer.R2",     "share.settling",   "share.unheld",
                                        "share.given", "object.abandoned", "peer.R3",
                                        "peer.R4" };

static void settle(void)
{
    shl_peer_recover_all(&shl_segments[SHL_FAMILY]);
}

static void begin(void)
{
    board = harness_shared(sizeof *board);
    shoal_free(shoal_alloc(1));
    assert_code(shoal_queue_create(NULL, &queue), 0);
}

static struct parent *parent_new(uint64_t salt)
{
    struct parent *parent = shoal_calloc(1, sizeof *parent);
    if (parent)
        parent->salt = salt;
    for (unsigned i = 0; parent && i < CHILDREN; i++) {
        parent->children[i] = shoal_alloc_under(parent, sizeof(uint64_t) + (salt + i) % 200);
        if (!parent->children[i]) {
            shoal_free(parent);
            return NULL;
        }
        *parent->children[i] = salt + i;
    }
    return parent;
}

static bool parent_holds(const struct parent *parent)
{
    for (unsigned i = 0; i < CHILDREN; i++)
        if (*parent->children[i] != parent->salt + i ||
            shoal_size(parent->children[i]) != sizeof(uint64_t) + (parent->salt + i) % 200)
            return false;
    return true;
}

/* What the dead had put is there with all that is under it. */
static void drain(void)
{
    void *message;
    while (shoal_queue_get(queue, &message, SHOAL_NOW) == 0) {
        cr_assert(parent_holds(message));
        shoal_free(message);
    }
}

/* After every death was settled: nothing is left but what was there. */
static void assert_settled(const shoal_audit *before, const char *point, unsigned passes)
{
    settle();
    drain();
    const shoal_audit now = memory_audit((shoal_segment){ 0 });
    cr_assert_eq(now.queued, 0, "%s, %u", point, passes);
    cr_assert_eq(now.lost, 0, "%s, %u: %llu", point, passes, (unsigned long long)now.lost);
    cr_assert_eq(now.payloads_count, before->payloads_count, "%s, %u", point, passes);
    cr_assert_eq(now.owned, before->owned, "%s, %u", point, passes);
    cr_assert_eq(now.shared, before->shared, "%s, %u", point, passes);
    cr_assert_eq(now.objects, before->objects, "%s, %u", point, passes);
}

static void plan_kill(void)
{
    shl_chaos_plan(&(struct shl_chaos_plan){
        .point = board->point, .action = SHL_CHAOS_KILL, .passes = board->passes });
}

/* --- alone ---------------------------------------------------------------------------------- */

static int lives_alone(void *argument)
{
    (void)argument;
    plan_kill();
    struct parent *parent = parent_new(7), *shared = parent_new(8);
    CHILD_CHECK(parent && shared && parent_holds(parent));
    shoal_free(parent->children[5]);
    CHILD_CHECK(shoal_share(shared) == 0);
    CHILD_CHECK(shoal_share(shared) == 0);
    shoal_free(parent);
    void *message;
    CHILD_CHECK(shoal_queue_put(queue, shared, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_queue_put(queue, shared, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_queue_get(queue, &message, SHOAL_NOW) == 0 && message == shared);
    CHILD_CHECK(shoal_unshare(shared) == 0);
    CHILD_CHECK(shoal_queue_get(queue, &message, SHOAL_NOW) == 0 && message == shared);
    message = parent_new(6);
    CHILD_CHECK(shoal_queue_put(queue, message, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_queue_get(queue, &message, SHOAL_NOW) == 0);
    CHILD_CHECK(parent_holds(message));
    shoal_free(message);
    CHILD_CHECK(parent_holds(shared));
    CHILD_CHECK(shoal_unshare(shared) == 0);
    return 0;
}

/* True while the point is passed so often. */
static bool dies(int (*function)(void *))
{
    const int code = harness_wait(harness_child(function, NULL));
    cr_assert(code == 0 || code == -SIGKILL, "%s, %u: %d", board->point, board->passes, code);
    return code == -SIGKILL;
}

Test(share_kill, alone_at_every_step, .timeout = 300)
{
    begin();
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    unsigned kills = 0;
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        board->point = points[i];
        for (board->passes = 0; board->passes < 80 && dies(lives_alone); board->passes++) {
            assert_settled(&before, board->point, board->passes);
            kills++;
        }
        assert_settled(&before, board->point, board->passes);
    }
    cr_assert_gt(kills, 200);
}

/* --- with a living holder ------------------------------------------------------------------- */

static int shares_then_leaves(void *argument)
{
    (void)argument;
    board->payload = parent_new(9);
    CHILD_CHECK(board->payload && shoal_share(board->payload) == 0);
    board->step = 1;
    CHILD_CHECK(harness_until(board->step == 2));
    plan_kill();
    CHILD_CHECK(shoal_share(board->payload) == 0);
    CHILD_CHECK(shoal_unshare(board->payload) == 0);
    return 0;
}

static void hold_while_other_dies(const shoal_audit *before)
{
    board->step = 0;
    const pid_t pid = harness_child(shares_then_leaves, NULL);
    cr_assert(harness_until(board->step == 1));
    assert_code(shoal_share(board->payload), 0);
    board->step = 2;
    const int code = harness_wait(pid);
    cr_assert(code == 0 || code == -SIGKILL);
    settle();
    cr_assert(parent_holds(board->payload), "%s", board->point);
    cr_assert_gt(memory_audit((shoal_segment){ 0 }).shared, before->shared);
    cr_assert_eq(memory_audit((shoal_segment){ 0 }).lost, 0);
    assert_code(shoal_unshare(board->payload), 0);
    assert_settled(before, board->point, board->passes);
}

static int joins_and_leaves(void *argument)
{
    (void)argument;
    plan_kill();
    CHILD_CHECK(shoal_share(board->payload) == 0);
    CHILD_CHECK(parent_holds(board->payload));
    CHILD_CHECK(shoal_unshare(board->payload) == 0);
    return 0;
}

Test(share_kill, what_another_holds_stays, .timeout = 300)
{
    begin();
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        board->point = points[i];
        board->passes = 0;
        hold_while_other_dies(&before);
        board->payload = parent_new(10);
        assert_code(shoal_share(board->payload), 0);
        dies(joins_and_leaves);
        settle();
        cr_assert(parent_holds(board->payload), "%s", board->point);
        cr_assert_eq(memory_audit((shoal_segment){ 0 }).lost, 0);
        assert_code(shoal_unshare(board->payload), 0);
        assert_settled(&before, board->point, board->passes);
    }
}

/* --- in queues ------------------------------------------------------------------------------ */

static int puts_gets_and_leaves(void *argument)
{
    void *message;
    (void)argument;
    plan_kill();
    CHILD_CHECK(shoal_share(board->payload) == 0);
    CHILD_CHECK(shoal_queue_put(queue, board->payload, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_queue_get(queue, &message, SHOAL_NOW) == 0);
    CHILD_CHECK(message == board->payload && parent_holds(message));
    CHILD_CHECK(shoal_queue_put(shut, message, SHOAL_NOW) == -EPIPE);
    CHILD_CHECK(shoal_unshare(message) == 0);
    return 0;
}

/* A payload with one hold in the queue, and another one of its own. */
static void put_one(uint64_t salt)
{
    board->payload = parent_new(salt);
    for (int i = 0; i < 2; i++)
        assert_code(shoal_share(board->payload), 0);
    assert_code(shoal_queue_put(queue, board->payload, SHOAL_NOW), 0);
}

Test(share_kill, what_another_holds_or_a_queue_stays, .timeout = 300)
{
    begin();
    assert_code(shoal_queue_create(NULL, &shut), 0);
    assert_code(shoal_queue_shutdown(shut), 0);
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    unsigned kills = 0;
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        board->point = points[i];
        board->passes = 0;
        for (bool died = true; died; board->passes++) {
            put_one(20 + board->passes);
            died = dies(puts_gets_and_leaves);
            kills += died;
            settle();
            cr_assert(parent_holds(board->payload), "%s", board->point);
            cr_assert_eq(memory_audit((shoal_segment){ 0 }).lost, 0, "%s, %u", board->point,
                         board->passes);
            assert_code(shoal_unshare(board->payload), 0);
            assert_settled(&before, board->point, board->passes);
        }
    }
    cr_assert_gt(kills, 20);
}

static int destroys(void *argument)
{
    (void)argument;
    plan_kill();
    CHILD_CHECK(shoal_queue_destroy(queue) == 0);
    return 0;
}

/* Killed while he destroys the queue: what only that held is freed, by him or by who settles. */
Test(share_kill, destroyers_of_a_queue, .timeout = 300)
{
    begin();
    unsigned kills = 0;
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        board->point = points[i];
        board->passes = 0;
        for (bool died = true; died; board->passes++) {
            assert_code(shoal_queue_destroy(queue), 0);
            const shoal_audit before = memory_audit((shoal_segment){ 0 });
            assert_code(shoal_queue_create(NULL, &queue), 0);
            for (uint64_t k = 0; k < 2; k++) {
                put_one(30 + k);
                assert_code(shoal_unshare(board->payload), 0);
            }
            died = dies(destroys);
            kills += died;
            settle();
            assert_code(shoal_queue_destroy(queue), 0);
            const shoal_audit now = memory_audit((shoal_segment){ 0 });
            cr_assert_eq(now.shared + now.queued + now.lost, 0, "%s, %u", board->point,
                         board->passes);
            cr_assert_eq(now.payloads_count, before.payloads_count);
            cr_assert_eq(now.objects, before.objects, "%s, %u", board->point, board->passes);
        }
    }
    cr_assert_gt(kills, 5);
}

/* --- while settling ------------------------------------------------------------------------- */

static int shares_and_waits(void *argument)
{
    struct parent *parent = parent_new(11), *wrapped = parent_new(13);
    CHILD_CHECK(parent && parent_new(12) && shoal_share(parent) == 0 && shoal_share(wrapped) == 0);
    struct shl_place place;
    const uint64_t own = atom_load_relaxed(&shl_block(wrapped)->own);
    CHILD_CHECK(shl_place_find(wrapped, &place));
    CHILD_CHECK(shl_share_wrap(place.segment, own, shl_self(place.segment)));
    board->payload = parent;
    board->step = 1;
    return harness_pauses(argument);
}

static int settles(void *argument)
{
    (void)argument;
    shoal_free(shoal_alloc(1));
    plan_kill();
    settle();
    return 0;
}

/* A dead process whose settler dies too, at each step: somebody else does it again. */
Test(share_kill, settlers_at_every_step, .timeout = 300)
{
    begin();
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    for (size_t i = 0; i < COUNT_OF(settling); i++) {
        board->point = settling[i];
        board->passes = 0;
        board->step = 0;
        const pid_t pid = harness_child(shares_and_waits, NULL);
        cr_assert(harness_until(board->step == 1));
        kill(pid, SIGKILL);
        cr_assert_eq(harness_wait(pid), -SIGKILL);
        const uint64_t lost = memory_audit((shoal_segment){ 0 }).lost;
        cr_assert_gt(lost, 2 * sizeof(struct parent), "%llu", (unsigned long long)lost);
        cr_assert(dies(settles), "%s was not reached", board->point);
        assert_settled(&before, board->point, 0);
    }
}

static struct {
    struct shl_dead dead;
    atom32 stalled, released;
} slow;

static void *settles_slowly(void *argument)
{
    shoal_free(shoal_alloc(1)); /* it settles from a slot of its own */
    shl_chaos_plan(&(struct shl_chaos_plan){ "share.unheld", SHL_CHAOS_STALL, 0, &slow.stalled,
                                             &slow.released });
    shl_objects_settle(&shl_segments[SHL_FAMILY], &slow.dead);
    return argument;
}

static uint64_t place_of(const void *payload)
{
    return shl_ref_offset(atom_load_relaxed(&shl_block(payload)->own));
}

/* One settler stops in the middle, another one ends the same payload, whose list's place is used
 * again: true if the first one leaves that alone. */
static bool successor_lives(void)
{
    pthread_t thread;
    void *shared[64];
    int count = 0;
    board->step = 0;
    const pid_t pid = harness_child(shares_and_waits, NULL);
    cr_assert(harness_until(board->step == 1));
    const uint64_t place = place_of(board->payload);
    kill(pid, SIGKILL);
    cr_assert_eq(harness_wait(pid), -SIGKILL);
    atom_store_relaxed(&slow.stalled, 0);
    atom_store_relaxed(&slow.released, 0);
    shl_peer_find_dead(&shl_segments[SHL_FAMILY], &slow.dead);
    cr_assert_eq(pthread_create(&thread, NULL, settles_slowly, NULL), 0);
    /* acquire <- the stopped thread */
    cr_assert(harness_until(atom_load_acquire(&slow.stalled)));
    settle();
    do {
        cr_assert(count < 64 && (shared[count] = shoal_alloc(100)));
        assert_code(shoal_share(shared[count]), 0);
    } while (place_of(shared[count++]) != place);
    /* release -> the stopped thread */
    atom_store_release(&slow.released, 1);
    shl_futex_wake(&slow.released, 1);
    pthread_join(thread, NULL);
    const bool lives = shoal_size(shared[count - 1]) == 100;
    for (int i = 0; i < count; i++)
        shoal_free(shared[i]);
    return lives;
}

Test(share_kill, a_late_settler_leaves_the_place_s_next_object_alone, .timeout = 120)
{
    begin();
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    cr_assert(successor_lives());
    assert_settled(&before, "late", 0);
    shl_mistake = "share.generation";
    cr_assert_not(successor_lives());
    shl_mistake = NULL;
}

/* --- who comes too late ---------------------------------------------------------------------- */

static void *joins_late(void *payload)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ "share.joining", SHL_CHAOS_STALL, 0, &slow.stalled,
                                             &slow.released });
    return (void *)(intptr_t)shoal_share(payload);
}

/* The last holder leaves while another one is about to enter: of whom nothing is left there. */
Test(share_kill, who_joins_too_late_leaves_no_hold_behind, .timeout = 120)
{
    pthread_t thread;
    void *payload = shoal_alloc(100), *code;
    assert_code(shoal_share(payload), 0);
    const struct share_shm *share = shl_at(shl_segment_family(), place_of(payload));
    slow.stalled = slow.released = 0;
    cr_assert_eq(pthread_create(&thread, NULL, joins_late, payload), 0);
    /* acquire <- the stopped thread */
    cr_assert(harness_until(atom_load_acquire(&slow.stalled)));
    assert_code(shoal_unshare(payload), 0);
    /* release -> the stopped thread */
    atom_store_release(&slow.released, 1);
    shl_futex_wake(&slow.released, 1);
    pthread_join(thread, &code);
    cr_assert_eq((int)(intptr_t)code, -EFAULT);
    for (size_t i = 0; i < HOLDERS_MAX; i++)
        cr_assert_eq(share->holders[i], 0, "hold %zu", i);
}

/* --- mistakes are noticed ------------------------------------------------------------------- */

/* A living holder and a dead one, settled with a mistake: true if all is as it ought to be. */
static bool is_settled_well(const char *mistake)
{
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    board->step = 0;
    const pid_t pid = harness_child(shares_and_waits, NULL);
    cr_assert(harness_until(board->step == 1));
    assert_code(shoal_share(board->payload), 0);
    kill(pid, SIGKILL);
    cr_assert_eq(harness_wait(pid), -SIGKILL);
    shl_mistake = mistake;
    settle();
    const bool lives = shoal_size(board->payload) == sizeof(struct parent);
    if (lives)
        assert_code(shoal_unshare(board->payload), 0);
    shl_mistake = NULL;
    const shoal_audit now = memory_audit((shoal_segment){ 0 });
    return lives && now.lost == 0 && now.owned == before.owned && now.shared == before.shared;
}

Test(share_kill, mistakes_are_noticed, .timeout = 120)
{
    static const char *const mistakes[] = { "under.sweep", "share.dead", "share.held",
                                            "share.envelope" };
    begin();
    cr_assert(is_settled_well(NULL));
    for (size_t i = 0; i < COUNT_OF(mistakes); i++)
        cr_assert_not(is_settled_well(mistakes[i]), "%s", mistakes[i]);
}

/* --- at random ------------------------------------------------------------------------------ */

struct life {
    uint64_t seed;
};

/* In place of what the process has offered before. */
static void offer(uint64_t *state, struct parent **offered)
{
    struct parent *parent = parent_new(harness_random(state) % 1000000);
    if (!parent)
        return;
    CHILD_CHECK(shoal_share(parent) == 0);
    board->cells[harness_random(state) % CELLS] = parent;
    CHILD_CHECK(!*offered || shoal_unshare(*offered) == 0);
    *offered = parent;
}

/* What lies there may be gone, or be another's by now; but what could be shared is whole. */
static void join_one(uint64_t *state, struct parent **held)
{
    struct parent *parent = board->cells[harness_random(state) % CELLS];
    if (!parent || shoal_share(parent) != 0)
        return;
    CHILD_CHECK(parent_holds(parent));
    board->joins++;
    *held = parent;
}

/* The hold passes through the queue, as far as there is room. */
static void put_or_leave(uint64_t *state, struct parent *held)
{
    if (harness_random(state) % 2 || shoal_queue_put(queue, held, SHOAL_NOW) != 0)
        CHILD_CHECK(shoal_unshare(held) == 0);
}

static void get_one(void)
{
    void *message;
    if (shoal_queue_get(queue, &message, SHOAL_NOW) != 0)
        return;
    CHILD_CHECK(parent_holds(message));
    shoal_free(message);
}

static int works(void *argument)
{
    uint64_t state = ((const struct life *)argument)->seed;
    struct parent *offered = NULL;
    while (!board->stop) {
        struct parent *held = NULL;
        if (harness_random(&state) % 4 == 0)
            offer(&state, &offered);
        join_one(&state, &held);
        if (held)
            put_or_leave(&state, held);
        get_one();
    }
    return 0;
}

static pid_t start(struct life *life, uint64_t *state)
{
    life->seed = harness_random(state);
    return harness_child(works, life);
}

Test(share_kill, at_random_instants, .timeout = 300)
{
    const char *given = getenv("SHOAL_TEST_SECONDS");
    const uint64_t ns = (given ? strtoull(given, NULL, 10) : 3) * 1000000000u;
    uint64_t state = harness_seed("at_random_instants");
    struct life lives[PLACES];
    pid_t pids[PLACES];
    begin();
    const shoal_audit before = memory_audit((shoal_segment){ 0 });
    unsigned kills = 0;
    for (int i = 0; i < PLACES; i++)
        pids[i] = start(&lives[i], &state);
    for (const uint64_t end_ns = harness_now_ns() + ns; harness_now_ns() < end_ns; kills++) {
        const int place = (int)(harness_random(&state) % PLACES);
        const uint64_t wait_ns = harness_now_ns() + harness_random(&state) % 3000000;
        while (harness_now_ns() < wait_ns)
            sched_yield();
        kill(pids[place], SIGKILL);
        cr_assert_eq(harness_wait(pids[place]), -SIGKILL);
        if (kills % 4 == 0)
            settle();
        pids[place] = start(&lives[place], &state);
    }
    board->stop = 1;
    for (int i = 0; i < PLACES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    assert_settled(&before, "at random", kills);
    fprintf(stderr, "at_random_instants: %u kills, %llu joins\n", kills,
            (unsigned long long)board->joins);
    cr_assert_gt(board->joins, 10);
}
