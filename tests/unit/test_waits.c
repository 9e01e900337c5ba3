/*
 * What every wait promises, whatever it is for: by threads of one process, one table row for each
 * kind of wait.
 */
#include "sync.h"

TestSuite(waits, .timeout = 120);

static void whoever_sleeps_is_woken(void)
{
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        struct waiter waiter = { .kind = kind, .deadline = SHOAL_FOREVER };
        waiter_start(&waiter);
        waiter_sleeps(&waiter);
        assert_code(wait_kinds[kind].end(), 0);
        assert_code(waiter_ends(&waiter), 0);
    }
    waits_end();
}

Test(waits, whoever_sleeps_is_woken_by_what_it_waits_for, .timeout = 120)
{
    whoever_sleeps_is_woken();
}

/* 1.11.1 1.12.2 1.13.3 1.14.2 2.20: not before the deadline, and soon after it. */
Test(waits, all_end_at_their_deadline, .timeout = 120)
{
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        if (kind == WAIT_RLOCK)
            continue; /* the caller holds it, and may take it again */
        const uint64_t begin = harness_now_ns();
        assert_code(wait_kinds[kind].wait(shoal_after_ms(30)), -ETIMEDOUT);
        cr_assert_geq(harness_now_ns() - begin, 30000000, "%s", wait_kinds[kind].name);
        cr_assert(shoal_error_message()[0]);
        if (kind == WAIT_BARRIER)
            assert_code(shoal_barrier_reset(waits.barrier), 0);
    }
    waits_end();
}

/* 1.12.2: zero and negative ones poll. */
Test(waits, deadlines_that_have_passed_poll, .timeout = 120)
{
    const shoal_deadline past[] = { SHOAL_NOW, shoal_after_ms(-5), shoal_after_s(INT64_MIN),
                                    shoal_at_ns(1) };
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++)
        for (size_t i = 0; i < COUNT_OF(past); i++) {
            if (kind == WAIT_RLOCK)
                continue;
            assert_code(wait_kinds[kind].wait(past[i]), -ETIMEDOUT);
            if (kind == WAIT_BARRIER)
                assert_code(shoal_barrier_reset(waits.barrier), 0);
        }
    waits_end();
}

static void after_cancel(enum wait_kind kind)
{
    if (kind == WAIT_BARRIER) { /* who gives up breaks it */
        cr_assert(shoal_barrier_is_broken(waits.barrier));
        assert_code(shoal_barrier_reset(waits.barrier), 0);
    }
}

/* Sets the event while all of them sleep, with no other end of the wait in sight. */
Test(waits, all_are_cancelled_by_the_event_of_their_deadline, .timeout = 120)
{
    waits_make();
    for (int round = 0; round < 20; round++)
        for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
            const shoal_event cancel = event_new();
            const shoal_deadline deadline = round % 2 ? SHOAL_FOREVER
                                                      : shoal_at_ns(harness_now_ns() +
                                                                    UINT64_C(10000000000000));
            struct waiter waiter = { .kind = kind, .deadline = shoal_until(deadline, cancel) };
            waiter_start(&waiter);
            waiter_sleeps(&waiter);
            assert_code(shoal_event_set(cancel), 0);
            assert_code(waiter_ends(&waiter), -ECANCELED);
            after_cancel(kind);
            assert_code(shoal_event_destroy(cancel), 0);
        }
    waits_end();
}

/* One event ends all kinds of waits at once. */
Test(waits, one_event_cancels_all_who_wait_with_it, .timeout = 120)
{
    enum { EACH = 2 };
    struct waiter waiters[WAITS_COUNT][EACH];
    const shoal_event cancel = event_new();
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++)
        for (int i = 0; i < (kind == WAIT_BARRIER ? 1 : EACH); i++) {
            waiters[kind][i] = (struct waiter){ .kind = kind,
                                                .deadline = shoal_until(SHOAL_FOREVER, cancel) };
            waiter_start(&waiters[kind][i]);
            waiter_sleeps(&waiters[kind][i]);
        }
    assert_code(shoal_event_set(cancel), 0);
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++)
        for (int i = 0; i < (kind == WAIT_BARRIER ? 1 : EACH); i++)
            assert_code(waiter_ends(&waiters[kind][i]), -ECANCELED);
    assert_code(shoal_event_destroy(cancel), 0);
    waits_end();
}

Test(waits, cancel_that_is_set_already_ends_them_at_once, .timeout = 120)
{
    const shoal_event cancel = event_new();
    waits_make();
    assert_code(shoal_event_set(cancel), 0);
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        if (kind == WAIT_RLOCK)
            continue;
        assert_code(wait_kinds[kind].wait(shoal_until(SHOAL_FOREVER, cancel)), -ECANCELED);
        after_cancel(kind);
    }
    assert_code(shoal_event_destroy(cancel), 0);
    waits_end();
}

/* What can be had at once is had, whatever the event says. */
Test(waits, cancel_does_not_refuse_what_can_be_had, .timeout = 120)
{
    const shoal_event cancel = event_new();
    const shoal_deadline deadline = shoal_until(SHOAL_FOREVER, cancel);
    waits_make();
    assert_code(shoal_event_set(cancel), 0);
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        if (kind == WAIT_CONDITION || kind == WAIT_BARRIER)
            continue; /* never at once */
        assert_code(wait_kinds[kind].end(), 0);
        assert_code(wait_kinds[kind].wait(deadline), 0);
    }
    const shoal_barrier alone = barrier_new(1);
    assert_code(shoal_barrier_wait(alone, NULL, deadline), 0);
    assert_code(shoal_barrier_destroy(alone), 0);
    assert_code(shoal_event_destroy(cancel), 0);
    waits_end();
}

Test(waits, cancel_event_that_is_gone_is_told, .timeout = 120)
{
    const shoal_event gone = event_new();
    assert_code(shoal_event_destroy(gone), 0);
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        if (kind == WAIT_RLOCK)
            continue;
        assert_code(wait_kinds[kind].wait(shoal_until(SHOAL_FOREVER, gone)), -ESTALE);
        const shoal_event wrong = { waits.full.ref };
        if (kind == WAIT_BARRIER)
            assert_code(shoal_barrier_reset(waits.barrier), 0);
        assert_code(wait_kinds[kind].wait(shoal_until(SHOAL_FOREVER, wrong)), -EINVAL);
        if (kind == WAIT_BARRIER)
            assert_code(shoal_barrier_reset(waits.barrier), 0);
    }
    waits_end();
}

Test(waits, cancel_event_destroyed_meanwhile_is_told, .timeout = 120)
{
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        const shoal_event cancel = event_new();
        struct waiter waiter = { .kind = kind, .deadline = shoal_until(SHOAL_FOREVER, cancel) };
        waiter_start(&waiter);
        waiter_sleeps(&waiter);
        assert_code(shoal_event_destroy(cancel), 0);
        assert_code(waiter_ends(&waiter), -ESTALE);
        if (kind == WAIT_BARRIER)
            assert_code(shoal_barrier_reset(waits.barrier), 0);
    }
    waits_end();
}

/* Several waiters of each object: none is left behind. */
Test(waits, all_are_told_when_the_object_is_destroyed, .timeout = 120)
{
    enum { EACH = 3 };
    for (int round = 0; round < 5; round++) {
        waits_make();
        const shoal_barrier barrier = waits.barrier;
        waits.barrier = barrier_new(EACH + 1);
        assert_code(shoal_barrier_destroy(barrier), 0);
        for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
            struct waiter waiters[EACH];
            for (int i = 0; i < EACH; i++) {
                waiters[i] = (struct waiter){ .kind = kind, .deadline = SHOAL_FOREVER };
                waiter_start(&waiters[i]);
                waiter_sleeps(&waiters[i]);
            }
            assert_code(wait_kinds[kind].destroy(), 0);
            for (int i = 0; i < EACH; i++)
                assert_code(waiter_ends(&waiters[i]), -ESTALE);
            assert_code(wait_kinds[kind].destroy(), 0); /* once more is fine */
        }
    }
}

/* The objects of all kinds, used and destroyed so that the next ones get their places. */
static void places_used(unsigned parties)
{
    for (int i = 0; i < 3; i++) {
        const shoal_barrier barrier = barrier_new(parties);
        assert_code(shoal_barrier_wait(barrier, NULL, SHOAL_NOW), parties == 1 ? 0 : -ETIMEDOUT);
        assert_code(shoal_barrier_destroy(barrier), 0);
        const shoal_condition condition = condition_new();
        for (int k = 0; k < 5; k++) {
            assert_code(shoal_condition_acquire(condition, SHOAL_NOW), 0);
            assert_code(shoal_condition_wait(condition, SHOAL_NOW), -ETIMEDOUT);
            assert_code(shoal_condition_release(condition), 0);
        }
        assert_code(shoal_condition_destroy(condition), 0);
    }
}

static void *notified(void *argument)
{
    const shoal_condition condition = *(shoal_condition *)argument;
    int code = shoal_condition_acquire(condition, harness_deadline());
    if (code == 0)
        code = shoal_condition_wait(condition, harness_deadline());
    if (code == 0)
        code = shoal_condition_release(condition);
    return code == 0 ? NULL : argument;
}

/* A barrier made where a condition was, and the other way round: nothing of that is left. */
Test(waits, place_of_another_kind_is_as_good_as_a_fresh_one, .timeout = 120)
{
    enum { WAITERS = 4 };
    for (unsigned round = 1; round <= 20; round++) {
        pthread_t threads[WAITERS];
        places_used(round);
        const shoal_barrier barrier = barrier_new(2);
        cr_assert_not(shoal_barrier_is_broken(barrier));
        cr_assert_eq(shoal_barrier_waiting(barrier), 0);
        shoal_condition condition = condition_new();
        for (int i = 0; i < WAITERS; i++)
            threads[i] = thread_start(notified, &condition);
        void *failed = NULL;
        for (int i = 0; i < WAITERS; i++) /* one at a time, each to a live waiter */
            cr_assert(harness_until(shoal_condition_acquire(condition, SHOAL_FOREVER) == 0 &&
                                    shoal_condition_notify(condition, 1) == 0 &&
                                    shoal_condition_release(condition) == 0 && i >= 0));
        for (int i = 0; i < WAITERS; i++)
            cr_assert(harness_until(shoal_condition_acquire(condition, SHOAL_FOREVER) == 0 &&
                                    shoal_condition_notify_all(condition) == 0 &&
                                    shoal_condition_release(condition) == 0 &&
                                    pthread_tryjoin_np(threads[i], &failed) == 0));
        cr_assert_null(failed);
        assert_code(shoal_barrier_destroy(barrier), 0);
        assert_code(shoal_condition_destroy(condition), 0);
    }
}

/* Who waits on it sleeps, instead of going round and round. */
Test(waits, place_of_another_kind_lets_one_sleep, .timeout = 120)
{
    for (unsigned round = 1; round <= 20; round++) {
        places_used(round);
        whoever_sleeps_is_woken();
    }
}

static _Atomic unsigned signals_count;

static void on_signal(int number)
{
    (void)number;
    signals_count++;
}

/* 2.13: signals run their handler and the wait goes on, until it is fulfilled or times out. */
Test(waits, signals_end_none_2_13, .timeout = 120)
{
    struct sigaction action = { .sa_handler = on_signal }; /* without SA_RESTART */
    sigaction(SIGUSR1, &action, NULL);
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        struct waiter waiter = { .kind = kind, .deadline = SHOAL_FOREVER };
        waiter_start(&waiter);
        for (int i = 0; i < 50; i++) {
            waiter_sleeps(&waiter);
            const unsigned before = signals_count;
            cr_assert_eq(pthread_kill(waiter.thread, SIGUSR1), 0);
            cr_assert(harness_until(signals_count > before));
        }
        waiter_sleeps(&waiter);
        assert_code(wait_kinds[kind].end(), 0);
        assert_code(waiter_ends(&waiter), 0);
        const uint64_t begin = harness_now_ns();
        waiter.deadline = shoal_after_ms(60);
        if (kind == WAIT_EVENT)
            assert_code(shoal_event_clear(waits.event), 0);
        if (kind == WAIT_LOCK)
            assert_code(shoal_lock_acquire(waits.lock, SHOAL_NOW), 0);
        if (kind == WAIT_RLOCK)
            assert_code(shoal_lock_acquire(waits.rlock, SHOAL_NOW), 0);
        waiter_start(&waiter);
        cr_assert(harness_until(waiter.tid));
        while (!waiter.done && harness_now_ns() - begin < 40000000)
            pthread_kill(waiter.thread, SIGUSR1);
        assert_code(waiter_ends(&waiter), -ETIMEDOUT);
        cr_assert_geq(harness_now_ns() - begin, 60000000);
    }
    waits_end();
}

/* Many threads, all with one cancel event, while what they wait for comes and goes. */
struct mixed {
    shoal_event cancel;
    shoal_semaphore semaphore;
    _Atomic unsigned got, cancelled;
};

static void *takes_until_cancelled(void *argument)
{
    struct mixed *mixed = argument;
    for (;;) {
        const int code = shoal_semaphore_acquire(mixed->semaphore,
                                                 shoal_until(SHOAL_FOREVER, mixed->cancel));
        if (code == -ECANCELED) {
            mixed->cancelled++;
            return NULL;
        }
        if (code == 0)
            mixed->got++;
    }
}

Test(waits, no_permit_is_lost_between_two_bells, .timeout = 120)
{
    enum { THREADS = 4, ROUNDS = 60, PERMITS = 50 };
    for (int round = 0; round < ROUNDS; round++) {
        struct mixed mixed = { .cancel = event_new(), .semaphore = semaphore_new(0) };
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            threads[i] = thread_start(takes_until_cancelled, &mixed);
        for (int i = 0; i < PERMITS; i++)
            assert_code(shoal_semaphore_release(mixed.semaphore), 0);
        if (round % 2)
            cr_assert(harness_until(mixed.got == PERMITS));
        assert_code(shoal_event_set(mixed.cancel), 0);
        cr_assert(harness_until(mixed.cancelled == THREADS));
        for (int i = 0; i < THREADS; i++)
            thread_ends(threads[i]);
        cr_assert_eq(mixed.got + shoal_semaphore_value(mixed.semaphore), PERMITS);
        assert_code(shoal_semaphore_destroy(mixed.semaphore), 0);
        assert_code(shoal_event_destroy(mixed.cancel), 0);
    }
}

/* --- an idle waiter uses no processor ------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The bound is 50 ms for 16 waiters over 10 s; no speed is asserted here. */
Test(waits, sixteen_idle_waiters_use_no_processor, .timeout = 120)
{
    enum { WAITERS = 16 };
    struct waiter waiters[WAITERS];
    const shoal_event cancel = event_new();
    waits_make();
    for (int i = 0; i < WAITERS; i++) {
        const enum wait_kind kind = (enum wait_kind)(i % WAITS_COUNT);
        waiters[i] = (struct waiter){ .kind = kind == WAIT_BARRIER ? WAIT_EVENT : kind,
                                      .deadline = shoal_until(SHOAL_FOREVER, cancel) };
        waiter_start(&waiters[i]);
        waiter_sleeps(&waiters[i]);
    }
    const uint64_t before = cpu_ns();
    nanosleep(&(struct timespec){ .tv_sec = 3 }, NULL); /* not synchronisation: it is measured */
    const uint64_t used = cpu_ns() - before;
    assert_code(shoal_event_set(cancel), 0);
    for (int i = 0; i < WAITERS; i++)
        assert_code(waiter_ends(&waiters[i]), -ECANCELED);
    cr_assert(used < (HARNESS_SANITIZED ? 150u : 15u) * 1000000u, "%llu us",
              (unsigned long long)used / 1000);
    assert_code(shoal_event_destroy(cancel), 0);
    waits_end();
}
