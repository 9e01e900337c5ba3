/* Conditions, by threads of one process. */
#include "sync.h"

TestSuite(condition, .timeout = 30);

enum { WAITERS = 8 };

/* A condition and who waits at it. Guarded by its lock, except the failures. */
static struct {
    shoal_condition condition;
    int waiting; /* are in wait(), or about to be before they let the lock go */
    int arrived;
    int woken, late, other;
    bool ready;
    _Atomic int failures;
} at;

struct party {
    pthread_t thread;
    shoal_deadline deadline;
    int depth, code;
};

/* With the lock held: whoever takes it afterwards finds a waiter. */
static int wait_once(shoal_deadline deadline)
{
    at.waiting++;
    at.arrived++;
    const int code = shoal_condition_wait(at.condition, deadline);
    at.waiting--;
    return code;
}

static void *party_waits(void *argument)
{
    struct party *party = argument;
    for (int i = 0; i < party->depth; i++)
        at.failures += shoal_condition_acquire(at.condition, harness_deadline()) != 0;
    party->code = wait_once(party->deadline);
    at.woken += party->code == 0;
    at.late += party->code == -ETIMEDOUT;
    at.other += party->code != 0 && party->code != -ETIMEDOUT;
    for (int i = 0; i < party->depth; i++)
        at.failures += shoal_condition_release(at.condition) != 0;
    at.failures += shoal_condition_release(at.condition) != -EPERM; /* not once more */
    return NULL;
}

static void take(void)
{
    assert_code(shoal_condition_acquire(at.condition, harness_deadline()), 0);
}

static void give(void)
{
    assert_code(shoal_condition_release(at.condition), 0);
}

static bool are_waiting(int count)
{
    take();
    const bool answer = at.waiting == count;
    give();
    return answer;
}

static bool have_arrived(int count)
{
    take();
    const bool answer = at.arrived == count;
    give();
    return answer;
}

static bool have_woken(int count)
{
    take();
    const bool answer = at.woken == count;
    give();
    return answer;
}

static void parties_wait(struct party *parties, int count, shoal_deadline deadline)
{
    take();
    const int before = at.arrived;
    give();
    for (int i = 0; i < count; i++) {
        parties[i] = (struct party){ .deadline = deadline, .depth = 1 + i % 3 };
        parties[i].thread = thread_start(party_waits, &parties[i]);
    }
    cr_assert(harness_until(have_arrived(before + count)));
}

static void parties_end(struct party *parties, int count)
{
    for (int i = 0; i < count; i++)
        thread_ends(parties[i].thread);
    cr_assert_eq(at.failures, 0);
    cr_assert_eq(at.other, 0);
}

static void notify(unsigned count)
{
    take();
    assert_code(shoal_condition_notify(at.condition, count), 0);
    give();
}

/* As many have woken, and no other one does. */
static void so_many_wake(int count)
{
    cr_assert(harness_until(have_woken(count)), "%d woke, not %d", at.woken, count);
    /* not synchronisation: time in which one too many would show itself */
    nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    cr_assert(have_woken(count), "%d woke, not %d", at.woken, count);
}

/* --- the lock ------------------------------------------------------------------------------- */

static bool fails_if_called(void *context)
{
    (void)context;
    at.failures++;
    return true;
}

Test(condition, wait_and_notify_need_the_lock_1_13_2, .timeout = 20)
{
    static const char wait_text[] = "must acquire() condition before using wait()";
    static const char notify_text[] = "cannot notify on un-acquired condition";
    at.condition = condition_new();
    assert_code(shoal_condition_wait(at.condition, SHOAL_FOREVER), -EPERM);
    cr_assert_str_eq(shoal_error_message(), wait_text);
    assert_code(shoal_condition_wait(at.condition, SHOAL_NOW), -EPERM);
    assert_code(shoal_condition_wait_for(at.condition, fails_if_called, NULL, SHOAL_FOREVER),
                -EPERM);
    cr_assert_str_eq(shoal_error_message(), wait_text);
    cr_assert_eq(at.failures, 0);
    assert_code(shoal_condition_notify(at.condition, 1), -EPERM);
    cr_assert_str_eq(shoal_error_message(), notify_text);
    assert_code(shoal_condition_notify_all(at.condition), -EPERM);
    cr_assert_str_eq(shoal_error_message(), notify_text);
    assert_code(shoal_condition_release(at.condition), -EPERM);
    take();
    assert_code(shoal_condition_notify(at.condition, 1), 0);
    give();
    assert_code(shoal_condition_notify(at.condition, 1), -EPERM);
    assert_code(shoal_condition_destroy(at.condition), 0);
}

static void *others_may_not(void *argument)
{
    int *codes = argument;
    codes[0] = shoal_condition_wait(at.condition, SHOAL_NOW);
    codes[1] = shoal_condition_notify_all(at.condition);
    codes[2] = shoal_condition_release(at.condition);
    return NULL;
}

/* The lock is a thread's: another one's does not count, also with a lock that is not recursive. */
Test(condition, lock_of_another_thread_does_not_do_1_13_2, .timeout = 20)
{
    for (int recursive = 0; recursive < 2; recursive++) {
        int codes[3] = { 0 };
        const shoal_condition_options options = { .lock = lock_new(recursive) };
        assert_code(shoal_condition_create(&options, &at.condition), 0);
        take();
        in_thread(others_may_not, codes);
        cr_assert_eq(codes[0], -EPERM);
        cr_assert_eq(codes[1], -EPERM);
        if (recursive) { /* anybody may release the other kind */
            cr_assert_eq(codes[2], -EPERM);
            give();
        }
        assert_code(shoal_condition_destroy(at.condition), 0);
        assert_code(shoal_lock_destroy(options.lock), 0);
    }
}

static void *takes_the_lock(void *argument)
{
    *(int *)argument = shoal_condition_acquire(at.condition, shoal_after_ms(10));
    if (*(int *)argument == 0)
        at.failures += shoal_condition_release(at.condition) != 0;
    return NULL;
}

Test(condition, wait_lets_the_lock_go_and_takes_it_as_often_1_13_3, .timeout = 20)
{
    int code = 0;
    at.condition = condition_new();
    for (int depth = 1; depth <= 5; depth++) {
        struct party party = { .deadline = SHOAL_FOREVER, .depth = depth };
        party.thread = thread_start(party_waits, &party);
        cr_assert(harness_until(are_waiting(1))); /* who looks has the lock meanwhile */
        notify(1);
        thread_ends(party.thread);
        cr_assert_eq(party.code, 0);
        cr_assert_eq(at.failures, 0, "depth %d", depth);
    }
    for (int depth = 1; depth <= 5; depth++) {
        for (int i = 0; i < depth; i++)
            take();
        assert_code(shoal_condition_wait(at.condition, SHOAL_NOW), -ETIMEDOUT);
        assert_code(shoal_condition_wait(at.condition, shoal_after_ms(5)), -ETIMEDOUT);
        for (int i = 0; i < depth; i++) {
            in_thread(takes_the_lock, &code);
            cr_assert_eq(code, -ETIMEDOUT, "depth %d: free after %d", depth, i);
            give();
        }
        in_thread(takes_the_lock, &code);
        cr_assert_eq(code, 0);
    }
    assert_code(shoal_condition_destroy(at.condition), 0);
}

Test(condition, wait_tells_whether_it_was_notified_1_13_3, .timeout = 20)
{
    struct party party;
    at.condition = condition_new();
    take();
    assert_code(shoal_condition_wait(at.condition, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_condition_wait(at.condition, shoal_after_ms(-5)), -ETIMEDOUT);
    const uint64_t begin = harness_now_ns();
    assert_code(shoal_condition_wait(at.condition, shoal_after_ms(30)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns() - begin, 30000000);
    give();
    parties_wait(&party, 1, harness_deadline());
    notify(1);
    parties_end(&party, 1);
    cr_assert_eq(party.code, 0);
    assert_code(shoal_condition_destroy(at.condition), 0);
}

/* --- predicates ----------------------------------------------------------------------------- */

struct predicate {
    _Atomic int calls, true_at; /* the call from which on it is true */
};

static bool counts_calls(void *context)
{
    struct predicate *predicate = context;
    at.failures += shoal_condition_release(at.condition) != 0; /* the lock is held */
    at.failures += shoal_condition_acquire(at.condition, SHOAL_NOW) < 0;
    return ++predicate->calls >= predicate->true_at;
}

static bool is_ready(void *context)
{
    (void)context;
    return at.ready;
}

Test(condition, notification_without_waiter_is_lost_1_13_4, .timeout = 20)
{
    at.condition = condition_new();
    notify(3);
    take();
    at.ready = true;
    assert_code(shoal_condition_notify_all(at.condition), 0);
    assert_code(shoal_condition_wait(at.condition, shoal_after_ms(20)), -ETIMEDOUT);
    assert_code(shoal_condition_wait_for(at.condition, is_ready, NULL, SHOAL_FOREVER), 0);
    give();
    assert_code(shoal_condition_destroy(at.condition), 0);
}

/* 1.13.4 2.21 */
Test(condition, wait_for_looks_first_and_after_each_wait_1_13_4_2_21, .timeout = 20)
{
    at.condition = condition_new();
    take();
    struct predicate once = { .true_at = 1 }, twice = { .true_at = 2 }, never = { .true_at = 99 };
    assert_code(shoal_condition_wait_for(at.condition, counts_calls, &once, SHOAL_NOW), 0);
    cr_assert_eq(once.calls, 1);
    assert_code(shoal_condition_wait_for(at.condition, counts_calls, &once, SHOAL_FOREVER), 0);
    cr_assert_eq(once.calls, 2);
    /* what it says after the deadline counts */
    assert_code(shoal_condition_wait_for(at.condition, counts_calls, &twice, shoal_after_ms(10)),
                0);
    cr_assert_eq(twice.calls, 2);
    assert_code(shoal_condition_wait_for(at.condition, counts_calls, &never, shoal_after_ms(10)),
                -ETIMEDOUT);
    cr_assert_eq(never.calls, 2);
    assert_code(shoal_condition_wait_for(at.condition, counts_calls, &never, SHOAL_NOW),
                -ETIMEDOUT);
    cr_assert_eq(never.calls, 4);
    assert_code(shoal_condition_wait_for(at.condition, NULL, NULL, SHOAL_NOW), -EINVAL);
    cr_assert_eq(at.failures, 0);
    give();
    assert_code(shoal_condition_destroy(at.condition), 0);
}

static void *waits_for_a_number(void *argument)
{
    struct predicate *predicate = argument;
    at.failures += shoal_condition_acquire(at.condition, harness_deadline()) != 0;
    at.waiting++;
    at.failures += shoal_condition_wait_for(at.condition, counts_calls, predicate,
                                            harness_deadline()) != 0;
    at.waiting--;
    at.failures += shoal_condition_release(at.condition) != 0;
    return NULL;
}

/* 1.13.4 2.21 */
Test(condition, wait_for_goes_on_waiting_while_it_is_false_1_13_4_2_21, .timeout = 20)
{
    struct predicate predicate = { .true_at = 6 };
    at.condition = condition_new();
    const pthread_t thread = thread_start(waits_for_a_number, &predicate);
    cr_assert(harness_until(predicate.calls == 1));
    for (int i = 1; i < 6; i++) {
        notify(1);
        cr_assert(harness_until(predicate.calls == i + 1));
    }
    thread_ends(thread);
    cr_assert_eq(predicate.calls, 6);
    cr_assert_eq(at.failures, 0);
    assert_code(shoal_condition_destroy(at.condition), 0);
}

/* --- how many ------------------------------------------------------------------------------- */

Test(condition, notify_wakes_exactly_as_many_1_13_5, .timeout = 30)
{
    struct party parties[WAITERS];
    at.condition = condition_new();
    for (int round = 0; round < 10; round++) {
        at.woken = 0;
        parties_wait(parties, WAITERS, SHOAL_FOREVER);
        notify(1);
        so_many_wake(1);
        notify(3);
        so_many_wake(4);
        take();
        assert_code(shoal_condition_notify(at.condition, 1), 0);
        assert_code(shoal_condition_notify(at.condition, 1), 0);
        give();
        so_many_wake(6);
        notify(99); /* as many as there are */
        parties_end(parties, WAITERS);
        cr_assert_eq(at.woken, WAITERS);
    }
    assert_code(shoal_condition_destroy(at.condition), 0);
}

Test(condition, notify_all_wakes_all_1_13_5, .timeout = 30)
{
    struct party parties[WAITERS];
    at.condition = condition_new();
    for (int round = 0; round < 50; round++) {
        at.woken = 0;
        parties_wait(parties, WAITERS, SHOAL_FOREVER);
        take();
        assert_code(shoal_condition_notify_all(at.condition), 0);
        cr_assert_eq(at.waiting, WAITERS); /* they go on when the lock is released */
        give();
        parties_end(parties, WAITERS);
        cr_assert_eq(at.woken, WAITERS);
    }
    assert_code(shoal_condition_destroy(at.condition), 0);
}

/* 1.13.5: who was notified waits no more, and who comes after it gets nothing of it. */
Test(condition, notification_is_for_who_was_waiting_1_13_5, .timeout = 30)
{
    struct party parties[WAITERS], late[WAITERS];
    at.condition = condition_new();
    for (int round = 0; round < 10; round++) {
        at.woken = 0;
        parties_wait(parties, WAITERS, SHOAL_FOREVER);
        notify(WAITERS);
        parties_wait(late, 2, SHOAL_FOREVER);
        parties_end(parties, WAITERS);
        so_many_wake(WAITERS);
        notify(2);
        parties_end(late, 2);
    }
    assert_code(shoal_condition_destroy(at.condition), 0);
}

Test(condition, timed_out_waiters_take_no_notification_1_13_5, .timeout = 30)
{
    struct party short_ones[WAITERS], long_ones[WAITERS];
    at.condition = condition_new();
    for (int round = 0; round < 5; round++) {
        at.woken = at.late = 0;
        for (int i = 0; i < WAITERS; i++) {
            short_ones[i] = (struct party){ .deadline = shoal_after_ms(20), .depth = 1 };
            short_ones[i].thread = thread_start(party_waits, &short_ones[i]);
        }
        parties_end(short_ones, WAITERS);
        cr_assert_eq(at.late, WAITERS);
        parties_wait(long_ones, WAITERS, SHOAL_FOREVER);
        notify(3);
        so_many_wake(3);
        notify(WAITERS - 3);
        parties_end(long_ones, WAITERS);
        cr_assert_eq(at.woken, WAITERS);
    }
    assert_code(shoal_condition_destroy(at.condition), 0);
}

/* Deadlines that end while they are notified: each waiter tells one or the other, none both. */
Test(condition, notification_at_the_deadline_is_not_lost_1_13_5, .timeout = 30)
{
    struct party parties[WAITERS], last;
    uint64_t state = harness_seed("notification_at_the_deadline_is_not_lost");
    at.condition = condition_new();
    for (int round = 0; round < 40; round++) {
        at.woken = at.late = 0;
        for (int i = 0; i < WAITERS; i++) {
            const int64_t us = (int64_t)(harness_random(&state) % 2000);
            parties[i] = (struct party){ .deadline = shoal_after_us(us), .depth = 1 };
            parties[i].thread = thread_start(party_waits, &parties[i]);
        }
        int left = WAITERS;
        while (left > 0) {
            take();
            left = WAITERS - at.woken - at.late;
            assert_code(shoal_condition_notify(at.condition, 1), 0);
            give();
        }
        parties_end(parties, WAITERS);
        cr_assert_eq(at.woken + at.late, WAITERS);
        parties_wait(&last, 1, SHOAL_FOREVER); /* and nothing of it is left */
        notify(1);
        parties_end(&last, 1);
    }
    assert_code(shoal_condition_destroy(at.condition), 0);
}

/* --- ping pong ------------------------------------------------------------------------------ */

static void *answers(void *argument)
{
    const int rounds = *(int *)argument;
    at.failures += shoal_condition_acquire(at.condition, harness_deadline()) != 0;
    for (int i = 0; i < rounds; i++) {
        while (!at.ready)
            at.failures += shoal_condition_wait(at.condition, harness_deadline()) != 0;
        at.ready = false;
        at.failures += shoal_condition_notify(at.condition, 1) != 0;
    }
    at.failures += shoal_condition_release(at.condition) != 0;
    return NULL;
}

Test(condition, two_hand_over_to_each_other_many_times, .timeout = 30)
{
    int rounds = HARNESS_SANITIZED ? 2000 : 20000;
    at.condition = condition_new();
    const pthread_t thread = thread_start(answers, &rounds);
    take();
    for (int i = 0; i < rounds; i++) {
        at.ready = true;
        assert_code(shoal_condition_notify(at.condition, 1), 0);
        while (at.ready)
            assert_code(shoal_condition_wait(at.condition, harness_deadline()), 0);
    }
    give();
    thread_ends(thread);
    cr_assert_eq(at.failures, 0);
    assert_code(shoal_condition_destroy(at.condition), 0);
}

/* --- a lock that is given ------------------------------------------------------------------- */

Test(condition, given_lock_is_its_lock_1_13_3, .timeout = 20)
{
    for (int recursive = 0; recursive < 2; recursive++) {
        struct party party;
        const shoal_condition_options options = { .lock = lock_new(recursive) };
        assert_code(shoal_condition_create(&options, &at.condition), 0);
        cr_assert(SHOAL_SAME(shoal_condition_lock(at.condition), options.lock));
        assert_code(shoal_lock_acquire(options.lock, SHOAL_NOW), 0);
        assert_code(shoal_condition_notify(at.condition, 1), 0);
        assert_code(shoal_condition_wait(at.condition, shoal_after_ms(5)), -ETIMEDOUT);
        assert_code(shoal_condition_release(at.condition), 0);
        cr_assert(shoal_lock_release(options.lock) < 0);
        if (recursive) {
            parties_wait(&party, 1, SHOAL_FOREVER);
            notify(1);
            parties_end(&party, 1);
        }
        assert_code(shoal_condition_destroy(at.condition), 0);
        assert_code(shoal_lock_acquire(options.lock, SHOAL_NOW), 0); /* stays its owner's */
        assert_code(shoal_lock_release(options.lock), 0);
        assert_code(shoal_lock_destroy(options.lock), 0);
    }
}

Test(condition, two_may_share_one_lock, .timeout = 20)
{
    struct party party;
    shoal_condition second;
    const shoal_condition_options options = { .lock = lock_new(true) };
    assert_code(shoal_condition_create(&options, &at.condition), 0);
    assert_code(shoal_condition_create(&options, &second), 0);
    parties_wait(&party, 1, SHOAL_FOREVER);
    assert_code(shoal_condition_acquire(second, harness_deadline()), 0);
    assert_code(shoal_condition_notify_all(second), 0);
    assert_code(shoal_condition_release(second), 0);
    so_many_wake(0);
    notify(1);
    parties_end(&party, 1);
    cr_assert_eq(at.woken, 1);
    assert_code(shoal_condition_destroy(second), 0);
    notify(1);
    assert_code(shoal_condition_destroy(at.condition), 0);
    assert_code(shoal_lock_destroy(options.lock), 0);
}

/* --- misuse, create and destroy ------------------------------------------------------------- */

Test(condition, create_refuses_bad_options, .timeout = 20)
{
    shoal_condition condition = { 77 };
    const shoal_event event = event_new();
    shoal_lock gone = lock_new(false);
    assert_code(shoal_condition_create(NULL, NULL), -EINVAL);
    for (int i = 0; i < 4; i++) {
        shoal_condition_options options = { .reserved = { 0 } };
        options.reserved[i] = 1;
        assert_code(shoal_condition_create(&options, &condition), -EINVAL);
    }
    shoal_condition_options options = { .lock = { event.ref } };
    assert_code(shoal_condition_create(&options, &condition), -EINVAL);
    assert_code(shoal_lock_destroy(gone), 0);
    options.lock = gone;
    assert_code(shoal_condition_create(&options, &condition), -ESTALE);
    cr_assert_eq(condition.ref, 77);
    assert_code(shoal_event_destroy(event), 0);
}

Test(condition, notify_of_nobody_is_refused, .timeout = 20)
{
    at.condition = condition_new();
    take();
    assert_code(shoal_condition_notify(at.condition, 0), -EINVAL);
    assert_code(shoal_condition_notify(at.condition, UINT32_MAX), 0);
    give();
    assert_code(shoal_condition_destroy(at.condition), 0);
}

static void is_stale(shoal_condition condition, int code)
{
    cr_assert(SHOAL_IS_NONE(shoal_condition_lock(condition)));
    assert_code(shoal_condition_acquire(condition, SHOAL_NOW), code);
    assert_code(shoal_condition_release(condition), code);
    assert_code(shoal_condition_wait(condition, SHOAL_FOREVER), code);
    assert_code(shoal_condition_wait_for(condition, fails_if_called, NULL, SHOAL_FOREVER), code);
    assert_code(shoal_condition_notify(condition, 1), code);
    assert_code(shoal_condition_notify_all(condition), code);
    cr_assert_eq(at.failures, 0);
}

Test(condition, stale_and_wrong_handles_are_refused, .timeout = 20)
{
    const shoal_event event = event_new();
    const shoal_condition condition = condition_new();
    const shoal_lock lock = shoal_condition_lock(condition);
    is_stale((shoal_condition){ event.ref }, -EINVAL);
    assert_code(shoal_condition_destroy((shoal_condition){ event.ref }), -EINVAL);
    assert_code(shoal_condition_destroy((shoal_condition){ 0 }), 0);
    assert_code(shoal_condition_destroy(condition), 0);
    assert_code(shoal_condition_destroy(condition), 0);
    is_stale(condition, -ESTALE);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), -ESTALE); /* its own goes with it */
    assert_code(shoal_event_destroy(event), 0);
}

Test(condition, lock_that_is_gone_is_told, .timeout = 20)
{
    const shoal_condition_options options = { .lock = lock_new(true) };
    assert_code(shoal_condition_create(&options, &at.condition), 0);
    take();
    assert_code(shoal_lock_destroy(options.lock), 0);
    assert_code(shoal_condition_wait(at.condition, SHOAL_FOREVER), -ESTALE);
    assert_code(shoal_condition_notify(at.condition, 1), -ESTALE);
    assert_code(shoal_condition_acquire(at.condition, SHOAL_FOREVER), -ESTALE);
    assert_code(shoal_condition_destroy(at.condition), 0);
}

static void *is_told_of_the_end(void *argument)
{
    const shoal_lock lock = *(shoal_lock *)argument;
    at.failures += shoal_lock_acquire(lock, harness_deadline()) != 0;
    at.waiting++;
    at.failures += shoal_condition_wait(at.condition, SHOAL_FOREVER) != -ESTALE;
    at.waiting--;
    at.failures += shoal_lock_release(lock) != 0; /* the lock is there, and ours again */
    return NULL;
}

Test(condition, destroy_ends_all_waits, .timeout = 30)
{
    for (int round = 0; round < 20; round++) {
        pthread_t threads[WAITERS];
        shoal_condition_options options = { .lock = lock_new(round % 2) };
        assert_code(shoal_condition_create(&options, &at.condition), 0);
        for (int i = 0; i < WAITERS; i++)
            threads[i] = thread_start(is_told_of_the_end, &options.lock);
        cr_assert(harness_until(are_waiting(WAITERS)));
        assert_code(shoal_condition_destroy(at.condition), 0);
        for (int i = 0; i < WAITERS; i++)
            thread_ends(threads[i]);
        cr_assert_eq(at.failures, 0);
        assert_code(shoal_lock_destroy(options.lock), 0);
    }
}

/* With its own lock gone too, there is nothing that could be held afterwards. */
Test(condition, destroy_ends_waits_that_have_its_own_lock, .timeout = 30)
{
    struct waiter waiters[WAITERS];
    for (int round = 0; round < 20; round++) {
        waits.condition = condition_new();
        for (int i = 0; i < WAITERS; i++) {
            waiters[i] = (struct waiter){ .kind = WAIT_CONDITION, .deadline = SHOAL_FOREVER };
            waiter_start(&waiters[i]);
        }
        for (int i = 0; i < WAITERS; i++)
            waiter_sleeps(&waiters[i]);
        assert_code(shoal_condition_destroy(waits.condition), 0);
        for (int i = 0; i < WAITERS; i++)
            assert_code(waiter_ends(&waiters[i]), -ESTALE);
    }
}

Test(condition, new_one_has_no_waiters_and_a_free_lock, .timeout = 30)
{
    for (int i = 0; i < 3000; i++) {
        at.condition = condition_new();
        take();
        assert_code(shoal_condition_wait(at.condition, SHOAL_NOW), -ETIMEDOUT);
        if (i % 2)
            give();
        assert_code(shoal_condition_destroy(at.condition), 0);
    }
}
