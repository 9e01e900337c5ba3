/* Semaphores, by threads of one process: plain, bounded, and with owned permits. */
#include "sync.h"

TestSuite(semaphore, .timeout = 120);

static shoal_semaphore bounded_new(unsigned value)
{
    shoal_semaphore semaphore = { 0 };
    const shoal_semaphore_options options = { .bounded = true };
    assert_code(shoal_semaphore_create(value, &options, &semaphore), 0);
    return semaphore;
}

/* --- values --------------------------------------------------------------------------------- */

Test(semaphore, value_counts_down_and_up_1_14_2, .timeout = 60)
{
    const shoal_semaphore semaphores[] = { semaphore_new(3), bounded_new(3), owned_new(3) };
    for (size_t kind = 0; kind < COUNT_OF(semaphores); kind++) {
        const shoal_semaphore semaphore = semaphores[kind];
        for (unsigned value = 3; value > 0; value--) {
            cr_assert_eq(shoal_semaphore_value(semaphore), value);
            assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), 0);
        }
        cr_assert_eq(shoal_semaphore_value(semaphore), 0);
        assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), -ETIMEDOUT);
        const uint64_t begin = harness_now_ns();
        assert_code(shoal_semaphore_acquire(semaphore, shoal_after_ms(20)), -ETIMEDOUT);
        cr_assert_geq(harness_now_ns() - begin, 20000000);
        for (unsigned value = 1; value <= 3; value++) {
            assert_code(shoal_semaphore_release(semaphore), 0);
            cr_assert_eq(shoal_semaphore_value(semaphore), value);
        }
        assert_code(shoal_semaphore_destroy(semaphore), 0);
    }
}

Test(semaphore, plain_one_rises_above_its_initial_value_1_14_2, .timeout = 60)
{
    const shoal_semaphore semaphore = semaphore_new(2);
    for (unsigned value = 3; value <= 1000; value++) {
        assert_code(shoal_semaphore_release(semaphore), 0);
        cr_assert_eq(shoal_semaphore_value(semaphore), value);
    }
    for (int i = 0; i < 1000; i++)
        assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), 0);
    assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_semaphore_destroy(semaphore), 0);
}

/* 1.14.2 2.19 */
Test(semaphore, bounded_one_does_not_1_14_2_2_19, .timeout = 60)
{
    for (unsigned value = 0; value < 4; value++) {
        const shoal_semaphore semaphore = bounded_new(value);
        for (int i = 0; i < 3; i++) {
            assert_code(shoal_semaphore_release(semaphore), -EOVERFLOW);
            cr_assert(strstr(shoal_error_message(), "semaphore or lock released too many times"));
            cr_assert_eq(shoal_semaphore_value(semaphore), value);
        }
        for (unsigned i = 0; i < value; i++)
            assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), 0);
        assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), -ETIMEDOUT);
        for (unsigned i = 0; i < value; i++)
            assert_code(shoal_semaphore_release(semaphore), 0);
        assert_code(shoal_semaphore_release(semaphore), -EOVERFLOW);
        assert_code(shoal_semaphore_destroy(semaphore), 0);
    }
}

Test(semaphore, value_ends_at_its_limit, .timeout = 60)
{
    const shoal_semaphore semaphores[] = { semaphore_new(SHOAL_SEMAPHORE_VALUE_MAX),
                                           bounded_new(SHOAL_SEMAPHORE_VALUE_MAX) };
    for (size_t i = 0; i < COUNT_OF(semaphores); i++) {
        assert_code(shoal_semaphore_release(semaphores[i]), -EOVERFLOW);
        cr_assert_eq(shoal_semaphore_value(semaphores[i]), SHOAL_SEMAPHORE_VALUE_MAX);
        assert_code(shoal_semaphore_acquire(semaphores[i], SHOAL_NOW), 0);
        cr_assert_eq(shoal_semaphore_value(semaphores[i]), SHOAL_SEMAPHORE_VALUE_MAX - 1);
        assert_code(shoal_semaphore_release(semaphores[i]), 0);
        assert_code(shoal_semaphore_release(semaphores[i]), -EOVERFLOW);
        assert_code(shoal_semaphore_destroy(semaphores[i]), 0);
    }
}

Test(semaphore, create_refuses_what_is_out_of_range_1_14_2, .timeout = 60)
{
    shoal_semaphore semaphore = { 77 };
    const shoal_semaphore_options owned = { .owned = true };
    assert_code(shoal_semaphore_create((unsigned)-1, NULL, &semaphore), -EINVAL);
    assert_code(shoal_semaphore_create(SHOAL_SEMAPHORE_VALUE_MAX + 1, NULL, &semaphore), -EINVAL);
    assert_code(shoal_semaphore_create(SHOAL_SEMAPHORE_OWNED_MAX + 1, &owned, &semaphore), -EINVAL);
    assert_code(shoal_semaphore_create(UINT32_MAX, &owned, &semaphore), -EINVAL);
    assert_code(shoal_semaphore_create(1, NULL, NULL), -EINVAL);
    for (int i = 0; i < 4; i++) {
        shoal_semaphore_options options = { .bounded = true };
        options.reserved[i] = 1;
        assert_code(shoal_semaphore_create(1, &options, &semaphore), -EINVAL);
    }
    cr_assert_eq(semaphore.ref, 77);
}

/* As many as one can have, and one that has never had any. */
Test(semaphore, owned_one_has_all_its_permits, .timeout = 60)
{
    const unsigned values[] = { 0, 1, 15, 239, 240, 241, SHOAL_SEMAPHORE_OWNED_MAX };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        shoal_semaphore others[8]; /* places beside it */
        for (size_t k = 0; k < COUNT_OF(others); k++)
            others[k] = owned_new(3);
        assert_code(shoal_semaphore_destroy(others[4]), 0);
        const shoal_semaphore semaphore = others[4] = owned_new(values[i]);
        for (int round = 0; round < 3; round++) {
            assert_code(shoal_semaphore_release(semaphore), -EOVERFLOW);
            for (unsigned k = 0; k < values[i]; k++)
                assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), 0);
            assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), -ETIMEDOUT);
            cr_assert_eq(shoal_semaphore_value(semaphore), 0);
            for (size_t k = 0; k < COUNT_OF(others); k++)
                cr_assert(k == 4 || shoal_semaphore_value(others[k]) == 3,
                          "with %u permits it writes over its neighbour", values[i]);
            for (unsigned k = 0; k < values[i]; k++)
                assert_code(shoal_semaphore_release(semaphore), 0);
            cr_assert_eq(shoal_semaphore_value(semaphore), values[i]);
        }
        for (size_t k = 0; k < COUNT_OF(others); k++) {
            cr_assert_eq(shoal_semaphore_value(others[k]), k == 4 ? values[i] : 3,
                         "with %u permits it wrote over its neighbour", values[i]);
            assert_code(shoal_semaphore_destroy(others[k]), 0);
        }
    }
}

/* --- who holds a permit --------------------------------------------------------------------- */

struct call {
    shoal_semaphore semaphore;
    int code;
};

static void *acquires(void *argument)
{
    struct call *call = argument;
    call->code = shoal_semaphore_acquire(call->semaphore, SHOAL_NOW);
    return NULL;
}

static void *releases(void *argument)
{
    struct call *call = argument;
    call->code = shoal_semaphore_release(call->semaphore);
    return NULL;
}

/* A permit is the process's: the thread that acquired it may end. */
Test(semaphore, owned_permit_outlives_its_thread, .timeout = 60)
{
    struct call call = { .semaphore = owned_new(1) };
    in_thread(acquires, &call);
    assert_code(call.code, 0);
    cr_assert_eq(shoal_semaphore_value(call.semaphore), 0);
    assert_code(shoal_semaphore_acquire(call.semaphore, shoal_after_ms(5)), -ETIMEDOUT);
    in_thread(releases, &call);
    assert_code(call.code, 0);
    in_thread(releases, &call);
    assert_code(call.code, -EOVERFLOW);
    cr_assert_eq(shoal_semaphore_value(call.semaphore), 1);
    assert_code(shoal_semaphore_destroy(call.semaphore), 0);
}

/* --- many ----------------------------------------------------------------------------------- */

struct crowd {
    shoal_semaphore semaphore;
    _Atomic int inside, most, failures;
    int rounds;
};

static void *enters(void *argument)
{
    struct crowd *crowd = argument;
    for (int i = 0; i < crowd->rounds; i++) {
        crowd->failures += shoal_semaphore_acquire(crowd->semaphore, SHOAL_FOREVER) != 0;
        const int inside = ++crowd->inside;
        int most = crowd->most;
        while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside)) {}
        if (i % 50 == 0)
            sched_yield();
        crowd->inside--;
        crowd->failures += shoal_semaphore_release(crowd->semaphore) != 0;
    }
    return NULL;
}

/* 1.14.1 with threads; with processes it is in proc/test_sync.c. */
Test(semaphore, lets_no_more_in_than_it_has_permits_1_14_1, .timeout = 120)
{
    enum { THREADS = 5 };
    const shoal_semaphore semaphores[] = { semaphore_new(2), bounded_new(2), owned_new(2) };
    for (size_t kind = 0; kind < COUNT_OF(semaphores); kind++) {
        struct crowd crowd = { .semaphore = semaphores[kind],
                               .rounds = HARNESS_SANITIZED ? 3000 : 20000 };
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            threads[i] = thread_start(enters, &crowd);
        for (int i = 0; i < THREADS; i++)
            thread_ends(threads[i]);
        cr_assert(crowd.most <= 2 && crowd.most > 0 && crowd.failures == 0);
        cr_assert_eq(shoal_semaphore_value(semaphores[kind]), 2);
        assert_code(shoal_semaphore_destroy(semaphores[kind]), 0);
    }
}

static int done_count(const struct waiter *waiters, int count)
{
    int done = 0;
    for (int i = 0; i < count; i++)
        done += waiters[i].done;
    return done;
}

/* As many sleepers wake as permits come, whoever is chosen. */
Test(semaphore, each_release_lets_one_sleeper_on, .timeout = 120)
{
    enum { WAITERS = 6 };
    for (int round = 0; round < 20; round++) {
        struct waiter waiters[WAITERS];
        waits_make();
        for (int i = 0; i < WAITERS; i++) {
            waiters[i] = (struct waiter){ .kind = WAIT_SEMAPHORE, .deadline = SHOAL_FOREVER };
            waiter_start(&waiters[i]);
        }
        for (int i = 0; i < WAITERS; i++)
            waiter_sleeps(&waiters[i]);
        for (int released = 1; released <= WAITERS; released++) {
            assert_code(shoal_semaphore_release(waits.semaphore), 0);
            cr_assert(harness_until(done_count(waiters, WAITERS) == released));
            cr_assert_eq(shoal_semaphore_value(waits.semaphore), 0);
        }
        for (int i = 0; i < WAITERS; i++)
            assert_code(waiter_ends(&waiters[i]), 0);
        waits_end();
    }
}

/* All permits at once, while all sleep: nobody stays asleep beside a free one. */
Test(semaphore, no_sleeper_is_forgotten_when_permits_come_at_once, .timeout = 120)
{
    enum { WAITERS = 8 };
    for (int round = 0; round < 100; round++) {
        struct waiter waiters[WAITERS];
        waits_make();
        for (int i = 0; i < WAITERS; i++) {
            waiters[i] = (struct waiter){ .kind = WAIT_SEMAPHORE, .deadline = SHOAL_FOREVER };
            waiter_start(&waiters[i]);
        }
        if (round % 2)
            for (int i = 0; i < WAITERS; i++)
                waiter_sleeps(&waiters[i]);
        for (int i = 0; i < WAITERS; i++)
            assert_code(shoal_semaphore_release(waits.semaphore), 0);
        for (int i = 0; i < WAITERS; i++)
            assert_code(waiter_ends(&waiters[i]), 0);
        cr_assert_eq(shoal_semaphore_value(waits.semaphore), 0);
        waits_end();
    }
}

Test(semaphore, destroyed_it_is_stale, .timeout = 60)
{
    const shoal_semaphore semaphores[] = { semaphore_new(3), bounded_new(3), owned_new(3) };
    for (size_t kind = 0; kind < COUNT_OF(semaphores); kind++) {
        assert_code(shoal_semaphore_acquire(semaphores[kind], SHOAL_NOW), 0);
        assert_code(shoal_semaphore_destroy(semaphores[kind]), 0);
        assert_code(shoal_semaphore_destroy(semaphores[kind]), 0);
        assert_code(shoal_semaphore_acquire(semaphores[kind], SHOAL_FOREVER), -ESTALE);
        assert_code(shoal_semaphore_release(semaphores[kind]), -ESTALE);
        cr_assert_eq(shoal_semaphore_value(semaphores[kind]), 0);
    }
    assert_code(shoal_semaphore_destroy((shoal_semaphore){ 0 }), 0);
}
