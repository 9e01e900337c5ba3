/*
 * Eight processes hammer every kind of object while a killer ends them at random instants and
 * starts others in their places: what a lock guards is right or its next holder is told, nobody
 * hangs, and afterwards every object is as good as new. Spec 1.6.4.
 *
 * SHOAL_TEST_SECONDS makes it longer, SHOAL_TEST_SEED repeats a run's choices.
 */
#include "../sync.h"

#include <sys/wait.h>

TestSuite(sync_kill, .timeout = 600);

enum { PLACES = 8, PERMITS = 3, PARTIES = 3, CAPACITY = 4, SLOW_NS = 900000000, STUCK_S = 20 };

enum deed {
    LOCKS,
    RLOCKS,
    NESTS,
    TAKES_PERMITS,
    TAKES_OWNED,
    SETS,
    WAITS_FOR_EVENT,
    WAITS_IN_CONDITION,
    NOTIFIES,
    MEETS,
    PUTS,
    GETS,
    ALLOCATES,
    CREATES,
    CANCELS,
    DEEDS
};
static const char *const deed_names[DEEDS] = {
    "lock", "rlock",      "nested locks",   "semaphore", "owned semaphore",
    "set",  "event wait", "condition wait", "notify",    "barrier",
    "put",  "get",        "alloc",          "create",    "cancelled wait",
};

static struct board {
    _Atomic int stop, failures, line, code;
    _Atomic uint64_t done[DEEDS], died[2]; /* died: a lock's next holder was told */
    _Atomic uint64_t slow[DEEDS];
    _Atomic uint64_t beats[PLACES];
    _Atomic int doing[PLACES];
    /* guarded by the locks: both the same, unless a holder died */
    _Atomic uint64_t left[3], right[3];
    _Atomic pid_t holder[3];
} * board;

static shoal_lock lock, rlock;
static shoal_semaphore semaphore, owned;
static shoal_event event, cancel;
static shoal_condition condition;
static shoal_barrier barrier;
static shoal_queue queue;

static bool holds(bool condition_holds, int line, int code)
{
    int none = 0;
    if (condition_holds)
        return true;
    if (atomic_compare_exchange_strong(&board->line, &none, line))
        board->code = code;
    board->failures++;
    return false;
}
#define HOLDS(condition) holds(condition, __LINE__, 0)
#define HOLDS_CODE(code, condition) holds(condition, __LINE__, code)

/* --- what the processes do ------------------------------------------------------------------ */

struct life {
    uint64_t state;
    int place;
    char *held[8];
};

/* With lock `which` held, as its acquire has told. */
static void change_what_it_guards(int which, int code, shoal_lock guard)
{
    const pid_t me = getpid();
    if (code == SHOAL_OWNER_DIED) {
        board->died[which == 1]++;
        board->right[which] = board->left[which];
        board->holder[which] = me;
        HOLDS_CODE(code, shoal_lock_clear_owner_died(guard) == 0);
    } else {
        HOLDS_CODE(board->holder[which], board->holder[which] == 0);
        board->holder[which] = me;
        HOLDS(board->left[which] == board->right[which]);
    }
    board->left[which]++;
    HOLDS(board->holder[which] == me);
    board->right[which]++;
    HOLDS(board->holder[which] == me);
    board->holder[which] = 0;
}

static shoal_deadline some_deadline(struct life *life)
{
    switch (harness_random(&life->state) % 4) {
    case 0:
        return SHOAL_NOW;
    case 1:
        return SHOAL_FOREVER;
    default:
        return shoal_after_us((int64_t)(harness_random(&life->state) % 3000));
    }
}

static bool got_or_late(int code)
{
    return code >= 0 || code == -ETIMEDOUT;
}

static void locks(struct life *life)
{
    const int code = shoal_lock_acquire(lock, some_deadline(life));
    HOLDS_CODE(code, got_or_late(code));
    if (code < 0)
        return;
    change_what_it_guards(0, code, lock);
    HOLDS(shoal_lock_release(lock) == 0);
}

static void rlocks(struct life *life)
{
    const int depth = 1 + (int)(harness_random(&life->state) % 3);
    const int code = shoal_lock_acquire(rlock, some_deadline(life));
    HOLDS_CODE(code, got_or_late(code));
    if (code < 0)
        return;
    change_what_it_guards(1, code, rlock);
    for (int i = 1; i < depth; i++)
        HOLDS(shoal_lock_acquire(rlock, SHOAL_NOW) == 0);
    for (int i = 0; i < depth; i++)
        HOLDS(shoal_lock_release(rlock) == 0);
}

static void nests(struct life *life)
{
    const int code = shoal_lock_acquire(lock, SHOAL_FOREVER);
    if (!HOLDS_CODE(code, code >= 0))
        return;
    if (code == SHOAL_OWNER_DIED || board->holder[0] == 0)
        change_what_it_guards(0, code, lock);
    rlocks(life);
    HOLDS(shoal_lock_release(lock) == 0);
}

static void takes(struct life *life, shoal_semaphore which, bool forever)
{
    const shoal_deadline deadline = some_deadline(life);
    const int code = shoal_semaphore_acquire(which, forever ? deadline : shoal_after_us(300));
    HOLDS_CODE(code, code == 0 || code == -ETIMEDOUT);
    if (code == 0)
        HOLDS_CODE(code, shoal_semaphore_release(which) == 0);
}

static void waits_in_condition(struct life *life)
{
    const int code = shoal_condition_acquire(condition, SHOAL_FOREVER);
    if (!HOLDS_CODE(code, code >= 0))
        return;
    change_what_it_guards(2, code, shoal_condition_lock(condition));
    const int64_t us = (int64_t)(harness_random(&life->state) % 3000);
    const int result = shoal_condition_wait(condition, shoal_after_us(us));
    HOLDS_CODE(result, got_or_late(result));
    /* A holder that died meanwhile is told by this wait, or, if it timed out, by the mark. */
    const bool died = shoal_lock_owner_died(shoal_condition_lock(condition));
    change_what_it_guards(2, died ? SHOAL_OWNER_DIED : 0, shoal_condition_lock(condition));
    HOLDS(shoal_condition_release(condition) == 0);
}

static void notifies(struct life *life)
{
    const int code = shoal_condition_acquire(condition, SHOAL_FOREVER);
    if (!HOLDS_CODE(code, code >= 0))
        return;
    change_what_it_guards(2, code, shoal_condition_lock(condition));
    const unsigned count = (unsigned)(harness_random(&life->state) % 4);
    HOLDS((count ? shoal_condition_notify(condition, count)
                 : shoal_condition_notify_all(condition)) == 0);
    HOLDS(shoal_condition_release(condition) == 0);
}

static void meets(struct life *life)
{
    unsigned index = 77;
    const int64_t us = (int64_t)(harness_random(&life->state) % 5000);
    const int code = shoal_barrier_wait(barrier, &index, shoal_after_us(us));
    HOLDS_CODE(code, code == 0 || code == -ETIMEDOUT || code == -ECONNABORTED);
    HOLDS(code == 0 ? index < PARTIES : index == 77);
    if (code != 0)
        HOLDS(shoal_barrier_reset(barrier) == 0);
    if (harness_random(&life->state) % 16 == 0)
        HOLDS(shoal_barrier_abort(barrier) == 0);
}

static void puts_one(struct life *life)
{
    uint64_t message[8];
    for (size_t i = 0; i < COUNT_OF(message); i++)
        message[i] = life->state;
    const int code = shoal_queue_put_bytes(queue, message, sizeof message, shoal_after_us(500));
    HOLDS_CODE(code, code == 0 || code == -ETIMEDOUT);
}

static void gets_one(struct life *life)
{
    void *payload = NULL;
    (void)life;
    const int code = shoal_queue_get(queue, &payload, shoal_after_us(500));
    HOLDS_CODE(code, code == 0 || code == -ETIMEDOUT);
    const uint64_t *message = payload;
    for (size_t i = 0; code == 0 && i < 8; i++)
        HOLDS(message[i] == message[0]);
    shoal_free(payload);
}

static void allocates(struct life *life)
{
    const uint64_t random = harness_random(&life->state);
    char **const slot = &life->held[random % COUNT_OF(life->held)];
    const char mark = (char)getpid();
    HOLDS(!*slot || **slot == mark);
    shoal_free(*slot);
    *slot = shoal_alloc(1 + random / 8 % 3000);
    if (HOLDS(*slot))
        **slot = mark;
}

/* Objects of its own in places that others have had. */
static void creates(struct life *life)
{
    shoal_lock own;
    shoal_event own_event;
    shoal_semaphore own_semaphore;
    (void)life;
    if (HOLDS(shoal_lock_create(NULL, &own) == 0)) {
        HOLDS(shoal_lock_acquire(own, SHOAL_NOW) == 0);
        HOLDS(shoal_lock_release(own) == 0);
        HOLDS(shoal_lock_destroy(own) == 0);
    }
    if (HOLDS(shoal_event_create(NULL, &own_event) == 0)) {
        HOLDS(!shoal_event_is_set(own_event) && shoal_event_set(own_event) == 0);
        HOLDS(shoal_event_destroy(own_event) == 0);
    }
    if (HOLDS(shoal_semaphore_create(1, NULL, &own_semaphore) == 0)) {
        HOLDS(shoal_semaphore_acquire(own_semaphore, SHOAL_NOW) == 0);
        HOLDS(shoal_semaphore_acquire(own_semaphore, SHOAL_NOW) == -ETIMEDOUT);
        HOLDS(shoal_semaphore_destroy(own_semaphore) == 0);
    }
}

static void cancels(struct life *life)
{
    const uint64_t random = harness_random(&life->state);
    if (random % 2) {
        HOLDS(shoal_event_set(cancel) == 0);
        HOLDS(shoal_event_clear(cancel) == 0);
        return;
    }
    const int code = shoal_event_wait(event, shoal_until(shoal_after_us(3000), cancel));
    HOLDS_CODE(code, code == 0 || code == -ETIMEDOUT || code == -ECANCELED);
}

static void sets(struct life *life)
{
    HOLDS(shoal_event_set(event) == 0);
    if (harness_random(&life->state) % 4)
        HOLDS(shoal_event_clear(event) == 0);
}

static void waits_for_event(struct life *life)
{
    const int64_t us = (int64_t)(harness_random(&life->state) % 3000);
    const int code = shoal_event_wait(event, shoal_after_us(us));
    HOLDS_CODE(code, code == 0 || code == -ETIMEDOUT);
}

static void does(struct life *life, enum deed deed)
{
    switch (deed) {
    case LOCKS:
        locks(life);
        break;
    case RLOCKS:
        rlocks(life);
        break;
    case NESTS:
        nests(life);
        break;
    case TAKES_PERMITS:
        takes(life, semaphore, false);
        break;
    case TAKES_OWNED:
        takes(life, owned, true);
        break;
    case SETS:
        sets(life);
        break;
    case WAITS_FOR_EVENT:
        waits_for_event(life);
        break;
    case WAITS_IN_CONDITION:
        waits_in_condition(life);
        break;
    case NOTIFIES:
        notifies(life);
        break;
    case MEETS:
        meets(life);
        break;
    case PUTS:
        puts_one(life);
        break;
    case GETS:
        gets_one(life);
        break;
    case ALLOCATES:
        allocates(life);
        break;
    case CREATES:
        creates(life);
        break;
    case CANCELS:
        cancels(life);
        break;
    case DEEDS:
        break;
    }
}

static unsigned deeds_allowed; /* a bit for each */

static int hammers(void *argument)
{
    struct life *life = argument;
    while (!board->stop) {
        const enum deed deed = (enum deed)(harness_random(&life->state) % DEEDS);
        if (!(deeds_allowed & 1u << deed))
            continue;
        board->doing[life->place] = (int)deed;
        const uint64_t begin = harness_now_ns();
        does(life, deed);
        board->slow[deed] += harness_now_ns() - begin > SLOW_NS;
        board->done[deed]++;
        board->beats[life->place]++;
    }
    return 0;
}

/* --- the killer ----------------------------------------------------------------------------- */

static void objects_make(void)
{
    board = harness_shared(sizeof *board);
    cr_assert_not_null(board);
    lock = lock_new(false);
    rlock = lock_new(true);
    semaphore = semaphore_new(1000000);
    owned = owned_new(PERMITS);
    event = event_new();
    cancel = event_new();
    condition = condition_new();
    barrier = barrier_new(PARTIES);
    assert_code(shoal_queue_create(&(shoal_queue_options){ .capacity_count = CAPACITY }, &queue),
                0);
}

static void no_failures(unsigned kills)
{
    cr_assert_eq(board->failures, 0, "%d failures after %u kills, the first at line %d: code %d",
                 board->failures, kills, board->line, board->code);
}

static pid_t life_start(struct life *life, int place, uint64_t *state)
{
    memset(life, 0, sizeof *life);
    life->state = harness_random(state);
    life->place = place;
    return harness_child(hammers, life);
}

/* All that live have done something since. */
static void all_proceed(const uint64_t *before, const char *when)
{
    for (int i = 0; i < PLACES; i++) {
        const uint64_t end_ns = harness_now_ns() + STUCK_S * UINT64_C(1000000000);
        while (board->beats[i] == before[i] && harness_now_ns() < end_ns)
            /* not synchronisation: a pace */
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        cr_assert(board->beats[i] != before[i], "place %d hangs in %s, %s", i,
                  deed_names[board->doing[i]], when);
    }
}

static unsigned kill_for(uint64_t seconds, uint64_t *state)
{
    static struct life lives[PLACES];
    pid_t pids[PLACES];
    unsigned kills = 0;
    for (int i = 0; i < PLACES; i++)
        pids[i] = life_start(&lives[i], i, state);
    const uint64_t end_ns = harness_now_ns() + seconds * UINT64_C(1000000000);
    while (harness_now_ns() < end_ns) {
        const int first = (int)(harness_random(state) % PLACES);
        const int count = harness_random(state) % 8 ? 1 : 3; /* now and then several at once */
        const uint64_t wait_ns = harness_now_ns() + harness_random(state) % 4000000;
        while (harness_now_ns() < wait_ns)
            sched_yield();
        for (int i = 0; i < count; i++)
            kill(pids[(first + i) % PLACES], SIGKILL);
        for (int i = 0; i < count; i++) {
            const int place = (first + i) % PLACES;
            cr_assert_eq(harness_wait(pids[place]), -SIGKILL);
            pids[place] = life_start(&lives[place], place, state);
            kills++;
        }
        no_failures(kills);
        if (kills % 512 < (unsigned)count) {
            uint64_t before[PLACES];
            for (int i = 0; i < PLACES; i++)
                before[i] = board->beats[i];
            all_proceed(before, "with nobody killed meanwhile");
        }
    }
    board->stop = 1;
    for (int i = 0; i < PLACES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0, "place %d does not end: it is in %s", i,
                     deed_names[board->doing[i]]);
    return kills;
}

/* --- afterwards ----------------------------------------------------------------------------- */

static int passes_the_barrier(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_barrier_wait(barrier, NULL, harness_deadline()) == 0);
    return 0;
}

static int is_notified(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_condition_acquire(condition, harness_deadline()) >= 0);
    board->doing[0] = 1;
    CHILD_CHECK(shoal_condition_wait(condition, harness_deadline()) >= 0);
    CHILD_CHECK(shoal_condition_release(condition) == 0);
    return 0;
}

static int uses_what_one_can_use_alone(void *argument)
{
    void *payload = NULL;
    (void)argument;
    CHILD_CHECK(shoal_lock_acquire(lock, harness_deadline()) >= 0);
    CHILD_CHECK(shoal_lock_acquire(lock, SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(shoal_lock_clear_owner_died(lock) == 0);
    CHILD_CHECK(shoal_lock_release(lock) == 0);
    CHILD_CHECK(shoal_lock_release(lock) == -EOVERFLOW);
    for (int i = 0; i < 2; i++)
        CHILD_CHECK(shoal_lock_acquire(rlock, harness_deadline()) >= 0);
    for (int i = 0; i < 2; i++)
        CHILD_CHECK(shoal_lock_release(rlock) == 0);
    CHILD_CHECK(shoal_lock_release(rlock) < 0);
    CHILD_CHECK(shoal_semaphore_acquire(semaphore, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_semaphore_release(semaphore) == 0);
    for (int i = 0; i < PERMITS; i++)
        CHILD_CHECK(shoal_semaphore_acquire(owned, harness_deadline()) == 0);
    CHILD_CHECK(shoal_semaphore_acquire(owned, SHOAL_NOW) == -ETIMEDOUT);
    for (int i = 0; i < PERMITS; i++)
        CHILD_CHECK(shoal_semaphore_release(owned) == 0);
    CHILD_CHECK(shoal_semaphore_value(owned) == PERMITS);
    CHILD_CHECK(shoal_event_set(event) == 0 && shoal_event_wait(event, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_event_clear(event) == 0 && shoal_event_wait(event, SHOAL_NOW) == -ETIMEDOUT);
    while (shoal_queue_get(queue, &payload, SHOAL_NOW) == 0)
        shoal_free(payload);
    for (int lap = 0; lap < 3; lap++) {
        for (int i = 0; i < CAPACITY; i++)
            CHILD_CHECK(shoal_queue_put_bytes(queue, &i, sizeof i, SHOAL_NOW) == 0);
        CHILD_CHECK(shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW) == -ETIMEDOUT);
        for (int i = 0; i < CAPACITY; i++) {
            CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0);
            CHILD_CHECK(*(int *)payload == i);
            shoal_free(payload);
        }
    }
    return 0;
}

static void every_object_is_usable(void)
{
    pid_t pids[PARTIES];
    cr_assert_eq(harness_wait(harness_child(uses_what_one_can_use_alone, NULL)), 0);
    board->doing[0] = 0;
    const pid_t waiter = harness_child(is_notified, NULL);
    cr_assert(harness_until(board->doing[0]));
    const int code = shoal_condition_acquire(condition, harness_deadline());
    cr_assert_geq(code, 0, "%s", shoal_strerror(code));
    assert_code(shoal_condition_notify(condition, 1), 0);
    assert_code(shoal_condition_release(condition), 0);
    cr_assert_eq(harness_wait(waiter), 0);
    assert_code(shoal_barrier_reset(barrier), 0);
    for (int i = 0; i < PARTIES; i++)
        pids[i] = harness_child(passes_the_barrier, NULL);
    for (int i = 0; i < PARTIES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
}

static void objects_end(void)
{
    assert_code(shoal_lock_destroy(lock), 0);
    assert_code(shoal_lock_destroy(rlock), 0);
    assert_code(shoal_semaphore_destroy(semaphore), 0);
    assert_code(shoal_semaphore_destroy(owned), 0);
    assert_code(shoal_event_destroy(event), 0);
    assert_code(shoal_event_destroy(cancel), 0);
    assert_code(shoal_condition_destroy(condition), 0);
    assert_code(shoal_barrier_destroy(barrier), 0);
    assert_code(shoal_queue_destroy(queue), 0);
}

static void hammered(const char *name, unsigned deeds, uint64_t seconds)
{
    const char *given = getenv("SHOAL_TEST_SECONDS");
    uint64_t state = harness_seed(name);
    deeds_allowed = deeds;
    objects_make();
    const unsigned kills = kill_for(given ? strtoull(given, NULL, 10) : seconds, &state);
    no_failures(kills);
    fprintf(stderr, "%s: %u kills, %llu and %llu times the owner died;", name, kills,
            (unsigned long long)board->died[0], (unsigned long long)board->died[1]);
    uint64_t slow = 0, done = 0;
    for (int i = 0; i < DEEDS; i++) {
        fprintf(stderr, " %s %llu", deed_names[i], (unsigned long long)board->done[i]);
        if (board->slow[i])
            fprintf(stderr, " (%llu slow)", (unsigned long long)board->slow[i]);
        slow += board->slow[i];
        done += board->done[i];
    }
    fprintf(stderr, "\n");
    cr_assert_gt(kills, 5);
    every_object_is_usable();
    objects_end();
    /* Who slept until the next tick was woken by nobody: rare on a busy machine, else a mistake. */
    cr_assert_lt(slow, 10 + done / 10000, "%llu of %llu waits took a second",
                 (unsigned long long)slow, (unsigned long long)done);
}

/* 1.6.4 */
Test(sync_kill, all_objects_survive_random_kills_1_6_4, .timeout = 600)
{
    hammered("all_objects_survive_random_kills", (1u << DEEDS) - 1, 16);
}

/* Nothing but locks, so that most kills hit one. 1.12.5 */
Test(sync_kill, locks_survive_random_kills_1_12_5, .timeout = 600)
{
    hammered("locks_survive_random_kills", 1u << LOCKS | 1u << RLOCKS | 1u << NESTS, 5);
}

/* 1.14.3 */
Test(sync_kill, permits_survive_random_kills_1_14_3, .timeout = 600)
{
    hammered("permits_survive_random_kills", 1u << TAKES_OWNED, 5);
}

/* 1.13.6 2.20 */
Test(sync_kill, conditions_and_barriers_survive_random_kills_1_13_6, .timeout = 600)
{
    hammered("conditions_and_barriers_survive_random_kills",
             1u << WAITS_IN_CONDITION | 1u << NOTIFIES | 1u << MEETS, 6);
}
