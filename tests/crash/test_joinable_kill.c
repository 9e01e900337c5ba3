/*
 * Consumers of a joinable queue killed at every step and at any instant: every message is finished
 * once, by somebody, or comes back, and join ends. Spec 1.10.13.
 */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "mem/peer.h"
#include "os/chaos.h"

TestSuite(joinable_kill, .timeout = 180);

enum { CONSUMERS = 3, KILLS = 100, ROUND = 5000, MESSAGES = (KILLS + 1) * ROUND };

/* What the processes tell each other outside the library. */
struct board {
    _Atomic uint32_t kills, put;     /* so many; of messages, by calls that returned */
    _Atomic uint8_t began[MESSAGES]; /* how often its end was begun */
    _Atomic uint8_t ended[MESSAGES]; /* how often a call ended it and returned */
    _Atomic int failed_at, stop;     /* a line */
    const char *point;               /* where the victim dies */
    unsigned passes;
    _Atomic int finished; /* the victim's call returned */
};

static struct board *board;
static shoal_queue queue, next;

#define HOLDS(condition) ((condition) ? (void)0 : (void)(board->failed_at = __LINE__))

static void settle(void)
{
    shl_peer_recover_all(&shl_segments[SHL_FAMILY]);
}

static void begin(const shoal_queue_options *options)
{
    board = harness_shared(sizeof *board);
    assert_code(shoal_queue_create(options, &queue), 0);
    /* Nobody takes from it before the end: who waited there would never finish his lease. */
    assert_code(shoal_queue_create(&(shoal_queue_options){ .capacity_count = MESSAGES }, &next), 0);
}

static void assert_nothing_left(void)
{
    shoal_audit audit;
    settle();
    assert_code(shoal_segment_audit((shoal_segment){ 0 }, &audit), 0);
    cr_assert_eq(audit.lost + audit.damaged, 0, "%s, %u", board->point, board->passes);
    cr_assert_eq(audit.payloads_count, 0, "%s, %u", board->point, board->passes);
}

/* --- at every step ---------------------------------------------------------------------------- */

enum way { BY_TASK_DONE, BY_FREE, BY_PUT, WAYS };

static enum way way;

static int end_one(void *payload)
{
    if (way == BY_PUT)
        return shoal_queue_put(next, payload, SHOAL_NOW);
    if (way == BY_TASK_DONE)
        return shoal_queue_task_done(queue, payload);
    shoal_free(payload);
    return 0;
}

static void plan_kill(void)
{
    shl_chaos_plan(&(struct shl_chaos_plan){
        .point = board->point, .action = SHL_CHAOS_KILL, .passes = board->passes });
}

static int gets_and_ends(void *argument)
{
    void *payload;
    (void)argument;
    plan_kill();
    CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0);
    CHILD_CHECK(end_one(payload) == 0);
    board->finished = 1;
    return 0;
}

static int settles(void *argument)
{
    (void)argument;
    shoal_free(shoal_alloc(1)); /* it settles from a slot of its own */
    plan_kill();
    settle();
    return 0;
}

/* True while the point is passed so often. */
static bool dies(int (*function)(void *))
{
    const int code = harness_wait(harness_child(function, NULL));
    cr_assert(code == 0 || code == -SIGKILL, "%s, %u: %d", board->point, board->passes, code);
    return code == -SIGKILL;
}

/* What the dead one had is ended by another one; then nothing is missing, and nothing is twice. */
static void assert_once(bool comes_back)
{
    void *payload;
    unsigned again = 0, came = 0;
    settle();
    for (; shoal_queue_get(queue, &payload, SHOAL_NOW) == 0; again++) {
        cr_assert_str_eq(payload, "message");
        assert_code(end_one(payload), 0);
    }
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    for (; shoal_queue_get(next, &payload, SHOAL_NOW) == 0; came++)
        shoal_free(payload);
    cr_assert_leq(again, board->finished ? 0u : 1u, "%s, %u", board->point, board->passes);
    cr_assert(again == 1 || !comes_back, "%s, %u", board->point, board->passes);
    cr_assert_eq(came, way == BY_PUT ? 1u : 0u, "%s, %u", board->point, board->passes);
    assert_nothing_left();
}

struct step {
    const char *point;
    bool comes_back; /* killed there, nothing has ended yet */
};

/* 1.10.13 */
Test(joinable_kill, at_every_step_a_message_ends_once_1_10_13, .timeout = 120)
{
    static const struct step steps[] = {
        { "lease.prepared", true }, { "ring.P5", false },         { "ring.P6", false },
        { "joinable.taken", true }, { "lease.named", true },      { "lease.held", true },
        { "queue.journal", true },  { "queue.sending", true },    { "queue.put", false },
        { "lease.F1", false },      { "lease.F2", false },        { "joinable.over", false },
        { "lease.over", false },    { "object.published", true }, { "object.ended", false },
    };
    unsigned kills = 0;
    begin(&(shoal_queue_options){ .joinable = true });
    for (size_t i = 0; i < WAYS * COUNT_OF(steps); i++) {
        way = (enum way)(i % WAYS);
        board->point = steps[i / WAYS].point;
        for (board->passes = 0;; board->passes++, kills++) {
            board->finished = 0;
            assert_code(shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW), 0);
            const bool dead = dies(gets_and_ends);
            assert_once(dead && steps[i / WAYS].comes_back);
            if (!dead)
                break;
        }
    }
    cr_assert_gt(kills, 30);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(next), 0);
}

/* Dead with a message at some step, and whoever settles it dies too. */
static void settler_dies_at(const char *victims, const char *settlers)
{
    board->point = victims;
    board->passes = 0;
    board->finished = 0;
    assert_code(shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW), 0);
    cr_assert(dies(gets_and_ends), "%s", victims);
    board->point = settlers;
    cr_assert(dies(settles), "%s was not reached", settlers);
    assert_once(true);
}

/* 1.10.13 */
Test(joinable_kill, settlers_at_every_step_1_10_13, .timeout = 120)
{
    static const char *const settling[] = { "peer.R2", "lease.returned", "joinable.returned",
                                            "peer.R3" };
    begin(&(shoal_queue_options){ .joinable = true });
    for (way = 0; way < WAYS; way++) {
        for (size_t i = 0; i < COUNT_OF(settling); i++)
            settler_dies_at("lease.held", settling[i]);
        settler_dies_at("joinable.taken", "journal.kept");
    }
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(next), 0);
}

/* Who gets it the second time dies there. */
Test(joinable_kill, getting_again_1_10_13, .timeout = 60)
{
    begin(&(shoal_queue_options){ .joinable = true, .deliveries_max = 3 });
    board->point = "lease.held";
    assert_code(shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW), 0);
    cr_assert(dies(gets_and_ends));
    settle();
    board->point = "lease.again";
    cr_assert(dies(gets_and_ends));
    assert_once(true);
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(next), 0);
}

/* A get that does not wait settles a death before it answers that there is nothing: also if the
 * dead one is not reaped yet. */
Test(joinable_kill, get_without_waiting_finds_what_the_dead_had, .timeout = 60)
{
    static const char *const points[] = { "joinable.taken", "lease.named", "lease.held" };
    begin(&(shoal_queue_options){ .joinable = true });
    for (unsigned i = 0; i < 2 * COUNT_OF(points); i++) {
        void *payload = NULL;
        board->point = points[i / 2];
        assert_code(shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW), 0);
        const pid_t pid = harness_child(gets_and_ends, NULL);
        if (i % 2)
            cr_assert_eq(harness_wait(pid), -SIGKILL);
        else
            cr_assert(harness_until(harness_state(pid) == 'Z'));
        assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
        cr_assert_eq(shoal_queue_deliveries(payload), 2, "%s", points[i / 2]);
        assert_code(shoal_queue_task_done(queue, payload), 0);
        assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
        if (i % 2 == 0)
            cr_assert_eq(harness_wait(pid), -SIGKILL);
    }
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(next), 0);
}

/* --- with two leases of one message ---------------------------------------------------------- */

static shoal_queue last;

/* What the two threads of the victim tell each other. */
struct pair {
    atom32 stalled, released;
};

/* Puts what it got, and is stalled behind the commit: the lease is not over yet. */
static void *forwards_and_stalls(void *argument)
{
    struct pair *pair = argument;
    void *payload;
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = "queue.put",
                                             .action = SHL_CHAOS_STALL,
                                             .stalled = &pair->stalled,
                                             .released = &pair->released });
    CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_queue_put(next, payload, SHOAL_NOW) == 0);
    return NULL;
}

/* The other thread gets it from there, and is killed when it puts it into a third queue. */
static int forwards_twice(void *argument)
{
    struct pair pair = { .stalled = 0 };
    pthread_t thread;
    void *payload;
    (void)argument;
    CHILD_CHECK(pthread_create(&thread, NULL, forwards_and_stalls, &pair) == 0);
    CHILD_CHECK(harness_until(atom_load_relaxed(&pair.stalled)));
    CHILD_CHECK(shoal_queue_get(next, &payload, SHOAL_NOW) == 0);
    plan_kill();
    CHILD_CHECK(shoal_queue_put(last, payload, SHOAL_NOW) == 0);
    return 0;
}

/* It comes back to the queue from which it was got last, and only there. */
static void assert_in_next(void)
{
    void *payload;
    settle();
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_join(queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_join(next, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_queue_get(next, &payload, SHOAL_NOW), 0);
    assert_code(shoal_queue_deliveries(payload), 2);
    shoal_free(payload);
    assert_code(shoal_queue_join(next, SHOAL_NOW), 0);
    assert_nothing_left();
}

/* 1.10.13 */
Test(joinable_kill, a_message_comes_back_where_it_was_got_last_1_10_13, .timeout = 60)
{
    static const char *const points[] = { "queue.journal", "queue.sending" };
    const shoal_queue_options options = { .joinable = true };
    begin(&options);
    assert_code(shoal_queue_destroy(next), 0);
    assert_code(shoal_queue_create(&options, &next), 0);
    assert_code(shoal_queue_create(NULL, &last), 0);
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        board->point = points[i];
        assert_code(shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW), 0);
        cr_assert(dies(forwards_twice));
        assert_in_next();
    }
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(next), 0);
    assert_code(shoal_queue_destroy(last), 0);
}

/* --- at random -------------------------------------------------------------------------------- */

/* As many for each kill as keep the consumers at work until the next one. */
static int puts_until_all_are_killed(void *argument)
{
    (void)argument;
    while (board->kills < KILLS) {
        const uint32_t i = board->put;
        if (i == (board->kills + 1) * ROUND) {
            sched_yield();
            continue;
        }
        HOLDS(shoal_queue_put_bytes(queue, &i, sizeof i, harness_deadline()) == 0);
        board->put++;
    }
    return 0;
}

/* Its end, in one of three ways. */
static void finish(void *payload)
{
    const uint32_t number = *(uint32_t *)payload;
    HOLDS(shoal_queue_deliveries(payload) >= 1);
    board->began[number]++;
    if (number % 32 == 0)
        sched_yield(); /* work, in which others come and kills strike */
    if (number % 3 == 0)
        HOLDS(shoal_queue_task_done(queue, payload) == 0);
    else if (number % 3 == 1)
        shoal_free(payload);
    else
        HOLDS(shoal_queue_put(next, payload, SHOAL_FOREVER) == 0);
    board->ended[number]++;
}

static int consumes(void *argument)
{
    (void)argument;
    while (!board->stop) {
        void *payload;
        const int code = shoal_queue_get(queue, &payload, shoal_after_ms(5));
        HOLDS(code == 0 || code == -ETIMEDOUT);
        if (code == 0)
            finish(payload);
    }
    return 0;
}

/* How often each message came through to the other queue. */
static void count_next(uint8_t *came)
{
    void *payload;
    while (shoal_queue_get(next, &payload, SHOAL_NOW) == 0) {
        came[*(uint32_t *)payload]++;
        shoal_free(payload);
    }
}

/* Each was ended, and no more often than somebody has begun to. */
static void check_messages(void)
{
    static uint8_t came[MESSAGES];
    unsigned again = 0;
    count_next(came);
    for (uint32_t i = 0; i < board->put; i++) {
        cr_assert_geq(board->began[i], 1, "message %u was never got", i);
        cr_assert_leq(board->ended[i], 1, "message %u ended twice", i);
        if (i % 3 == 2)
            cr_assert_eq(came[i], 1, "message %u came through %u times", i, came[i]);
        again += board->began[i] - 1;
    }
    fprintf(stderr, "joinable_kill: %u messages, %u of them twice\n", board->put, again);
    cr_assert_leq(again, KILLS);
    cr_assert_gt(again, KILLS / 20, "hardly anybody was killed with a message");
}

/* 1.10.13 */
Test(joinable_kill, consumers_at_random_instants_lose_nothing_1_10_13, .timeout = 120)
{
    uint64_t state = harness_seed("joinable_kill");
    pid_t pids[CONSUMERS];
    begin(&(shoal_queue_options){
        .capacity_count = 64, .joinable = true, .deliveries_max = 1000000 });
    for (unsigned i = 0; i < CONSUMERS; i++)
        pids[i] = harness_child(consumes, NULL);
    const pid_t putter = harness_child(puts_until_all_are_killed, NULL);
    for (; board->kills < KILLS; board->kills++) {
        const unsigned place = (unsigned)(harness_random(&state) % CONSUMERS);
        harness_wait_at_random(&state, 1000000);
        cr_assert_eq(kill(pids[place], SIGKILL), 0);
        cr_assert_eq(harness_wait(pids[place]), -SIGKILL);
        pids[place] = harness_child(consumes, NULL);
    }
    cr_assert_eq(harness_wait(putter), 0);
    assert_code(shoal_queue_join(queue, harness_deadline()), 0);
    board->stop = 1;
    for (unsigned i = 0; i < CONSUMERS; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    cr_assert_eq(board->failed_at, 0, "line %d", board->failed_at);
    check_messages();
    assert_nothing_left();
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_destroy(next), 0);
}
