/*
 * Objects that end with their creator (ends_with_creator): he is killed, or ends, while others
 * sleep there in every way. They are told long before the tick, and nothing of the objects is left.
 */
#include "../sync.h"

#include "../chain.h"
#include "../store.h"
#include "os/chaos.h"

TestSuite(creator_kill, .timeout = 120);

/* A tick is a second: who is told by it is told too late. */
enum { LATE_MS = 700 };

static struct board {
    __typeof__(waits) waits;
    _Atomic bool ready, go;
} * board;

/* The creator's: in the family's segment, and as every wait wants to find them. */
static void creates_all(void)
{
    __typeof__(waits) *made = &board->waits;
    const shoal_queue_options queues = { .capacity_count = 1,
                                         .bulk = waits_dense,
                                         .ends_with_creator = true };
    const shoal_lock_options recursive = { .recursive = true, .ends_with_creator = true };
    const shoal_semaphore_options owned = { .owned = true, .ends_with_creator = true };
    CHILD_CHECK(
        shoal_lock_create(&(shoal_lock_options){ .ends_with_creator = true }, &made->lock) == 0);
    CHILD_CHECK(shoal_lock_create(&recursive, &made->rlock) == 0);
    CHILD_CHECK(shoal_semaphore_create(0, &(shoal_semaphore_options){ .ends_with_creator = true },
                                       &made->semaphore) == 0);
    CHILD_CHECK(shoal_semaphore_create(1, &owned, &made->owned) == 0);
    CHILD_CHECK(
        shoal_event_create(&(shoal_event_options){ .ends_with_creator = true }, &made->event) == 0);
    CHILD_CHECK(shoal_condition_create(&(shoal_condition_options){ .ends_with_creator = true },
                                       &made->condition) == 0);
    CHILD_CHECK(shoal_barrier_create(2, &(shoal_barrier_options){ .ends_with_creator = true },
                                     &made->barrier) == 0);
    CHILD_CHECK(shoal_queue_create(&queues, &made->empty) == 0);
    CHILD_CHECK(shoal_queue_create(&queues, &made->full) == 0);
    CHILD_CHECK(shoal_queue_put_bytes(made->full, "x", 1, SHOAL_NOW) == 0);
}

static int creates_and_waits(void *argument)
{
    creates_all();
    board->ready = true;
    if (argument)
        return harness_pauses(NULL);
    CHILD_CHECK(harness_until(board->go));
    return 0;
}

struct sleeper {
    enum wait_kind kind;
    int code;
    uint64_t told_ns;
    _Atomic pid_t tid;
    pthread_t thread;
};

static void *sleeps(void *argument)
{
    struct sleeper *sleeper = argument;
    sleeper->tid = gettid();
    sleeper->code = wait_kinds[sleeper->kind].wait(harness_deadline());
    sleeper->told_ns = harness_now_ns();
    return NULL;
}

static void sleep_everywhere(struct sleeper *sleepers)
{
    for (int i = 0; i < 2 * WAITS_COUNT; i++) {
        sleepers[i] = (struct sleeper){ .kind = (enum wait_kind)(i / 2) };
        if (sleepers[i].kind == WAIT_BARRIER && i % 2) /* of two: the second would complete it */
            continue;
        sleepers[i].thread = thread_start(sleeps, &sleepers[i]);
        cr_assert(harness_until(sleepers[i].tid != 0 && is_asleep(sleepers[i].tid)));
    }
}

static void all_are_told(struct sleeper *sleepers, uint64_t since)
{
    for (int i = 0; i < 2 * WAITS_COUNT; i++) {
        if (sleepers[i].tid == 0)
            continue;
        thread_ends(sleepers[i].thread);
        cr_expect_eq(sleepers[i].code, -ESTALE, "%s: %d", wait_kinds[sleepers[i].kind].name,
                     sleepers[i].code);
        cr_expect_lt(sleepers[i].told_ns - since, LATE_MS * 1000000ull, "%s: late",
                     wait_kinds[sleepers[i].kind].name);
    }
}

static void play(bool killed)
{
    struct sleeper sleepers[2 * WAITS_COUNT];
    board = harness_shared(sizeof *board);
    shoal_free(shoal_alloc(1)); /* the family's segment, before it forks */
    const pid_t creator = harness_child(creates_and_waits, killed ? board : NULL);
    cr_assert(harness_until(board->ready));
    waits = board->waits;
    assert_code(shoal_lock_acquire(waits.lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_acquire(waits.rlock, SHOAL_NOW), 0);
    assert_code(shoal_semaphore_acquire(waits.owned, SHOAL_NOW), 0);
    sleep_everywhere(sleepers);
    const uint64_t since = harness_now_ns();
    if (killed)
        kill(creator, SIGKILL);
    else
        board->go = true;
    cr_assert_eq(harness_wait(creator), killed ? -SIGKILL : 0);
    all_are_told(sleepers, since);
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++)
        assert_code(wait_kinds[kind].wait(SHOAL_NOW), -ESTALE);
}

static void play_rounds(bool killed)
{
    shoal_audit before, after;
    for (int i = 0; i < 6; i++) {
        waits_dense = i % 2;
        play(killed);
        shoal_audit *audit = i == 1 ? &before : &after;
        assert_code(shoal_segment_audit((shoal_segment){ 0 }, audit), 0);
    }
    cr_assert_eq(after.objects, before.objects, "something of the dead one's is left");
    cr_assert_eq(after.queued + after.lost, 0);
}

Test(creator_kill, sleepers_of_every_kind_are_told, .timeout = 120)
{
    play_rounds(true);
}

Test(creator_kill, end_of_the_creator_is_his_death, .timeout = 120)
{
    play_rounds(false);
}

static int creates_joinable(void *argument)
{
    const shoal_queue_options options = { .joinable = true, .ends_with_creator = true };
    CHILD_CHECK(shoal_queue_create(&options, &board->waits.empty) == 0);
    CHILD_CHECK(shoal_queue_put_bytes(board->waits.empty, "x", 1, SHOAL_NOW) == 0);
    board->ready = true;
    return harness_pauses(argument);
}

static void *joins(void *argument)
{
    struct sleeper *sleeper = argument;
    sleeper->tid = gettid();
    sleeper->code = shoal_queue_join(waits.empty, harness_deadline());
    sleeper->told_ns = harness_now_ns();
    return NULL;
}

/* Of a joinable queue: who gets, and who joins; what is leased stays its holder's. */
Test(creator_kill, joinable_queue_ends_too, .timeout = 60)
{
    struct sleeper sleepers[] = { { .kind = WAIT_GET }, { .kind = WAIT_GET } };
    void *payload;
    board = harness_shared(sizeof *board);
    shoal_free(shoal_alloc(1));
    const pid_t creator = harness_child(creates_joinable, NULL);
    cr_assert(harness_until(board->ready));
    waits = board->waits;
    assert_code(shoal_queue_get(waits.empty, &payload, SHOAL_NOW), 0);
    for (int i = 0; i < 2; i++) {
        sleepers[i].thread = thread_start(i ? joins : sleeps, &sleepers[i]);
        cr_assert(harness_until(sleepers[i].tid != 0 && is_asleep(sleepers[i].tid)));
    }
    const uint64_t since = harness_now_ns();
    kill(creator, SIGKILL);
    for (int i = 0; i < 2; i++) {
        thread_ends(sleepers[i].thread);
        assert_code(sleepers[i].code, -ESTALE);
        cr_expect_lt(sleepers[i].told_ns - since, LATE_MS * 1000000ull, "late: %d", i);
    }
    cr_assert_eq(harness_wait(creator), -SIGKILL);
    shoal_free(payload);
}

/* It has grown, to another ring or another store. */
static int creates_growing(void *argument)
{
    const shoal_queue_options options = { .bulk = waits_dense, .ends_with_creator = true };
    CHILD_CHECK(shoal_queue_create(&options, &board->waits.empty) == 0);
    const uint64_t ref = board->waits.empty.ref;
    CHILD_CHECK(waits_dense ? store_shrink(ref) != NULL : chain_shrink(ref) != NULL);
    for (int i = 0; i < 5; i++)
        CHILD_CHECK(shoal_queue_put_bytes(board->waits.empty, "x", 1, SHOAL_NOW) == 0);
    board->ready = true;
    return harness_pauses(argument);
}

/* Who sleeps where the queue has grown to is told as well, and nothing is left of either place. */
static void play_growing(void)
{
    struct sleeper sleeper = { .kind = WAIT_GET };
    void *payload;
    board = harness_shared(sizeof *board);
    const pid_t creator = harness_child(creates_growing, NULL);
    cr_assert(harness_until(board->ready));
    waits = board->waits;
    for (int i = 0; i < 4; i++) {
        assert_code(shoal_queue_get(waits.empty, &payload, SHOAL_NOW), 0);
        shoal_free(payload);
    }
    assert_code(shoal_queue_get(waits.empty, &payload, SHOAL_NOW), 0);
    sleeper.thread = thread_start(sleeps, &sleeper);
    cr_assert(harness_until(sleeper.tid != 0 && is_asleep(sleeper.tid)));
    const uint64_t since = harness_now_ns();
    kill(creator, SIGKILL);
    thread_ends(sleeper.thread);
    assert_code(sleeper.code, -ESTALE);
    cr_expect_lt(sleeper.told_ns - since, LATE_MS * 1000000ull, "late");
    cr_assert_eq(harness_wait(creator), -SIGKILL);
    assert_code(shoal_queue_put(waits.empty, payload, SHOAL_NOW), -ESTALE);
    shoal_free(payload);
}

Test(creator_kill, queues_that_have_grown_end_too, .timeout = 60)
{
    shoal_audit before, after;
    shoal_free(shoal_alloc(1));
    for (int i = 0; i < 6; i++) {
        waits_dense = i % 2;
        play_growing();
        assert_code(shoal_segment_audit((shoal_segment){ 0 }, i == 1 ? &before : &after), 0);
    }
    cr_assert_eq(after.objects, before.objects, "something of the dead one's is left");
    cr_assert_eq(after.queued + after.lost, 0);
}

static int creates_event_of_its_own(void *argument)
{
    const shoal_event_options options = { .ends_with_creator = true };
    CHILD_CHECK(shoal_event_create(&options, &board->waits.event) == 0);
    board->ready = true;
    return harness_pauses(argument);
}

/* Without the look at the creator's life nobody is told. */
Test(creator_kill, mistake_of_not_looking_at_the_creator_is_noticed, .timeout = 60)
{
    board = harness_shared(sizeof *board);
    shoal_free(shoal_alloc(1));
    const pid_t creator = harness_child(creates_event_of_its_own, NULL);
    cr_assert(harness_until(board->ready));
    kill(creator, SIGKILL);
    cr_assert_eq(harness_wait(creator), -SIGKILL);
    shl_mistake = "park.creator";
    assert_code(shoal_event_wait(board->waits.event, shoal_after_ms(50)), -ETIMEDOUT);
    shl_mistake = NULL;
    assert_code(shoal_event_wait(board->waits.event, harness_deadline()), -ESTALE);
}

/* Others live on. */
static int creates_event(void *argument)
{
    return shoal_event_create(NULL, argument);
}

Test(creator_kill, other_objects_live_on, .timeout = 60)
{
    shoal_event *event = harness_shared(sizeof *event);
    assert_code(shoal_event_create(NULL, &waits.event), 0);
    cr_assert_eq(harness_wait(harness_child(creates_event, event)), 0);
    assert_code(shoal_event_set(*event), 0);
    assert_code(shoal_event_destroy(*event), 0);
    assert_code(shoal_event_destroy(waits.event), 0);
}
