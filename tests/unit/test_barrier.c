/* Barriers, by threads of one process. */
#include "sync.h"

TestSuite(barrier, .timeout = 30);

enum { PARTIES = 5, ROUNDS = 300 };

static shoal_barrier barrier;
static _Atomic int failures;

/* --- rounds --------------------------------------------------------------------------------- */

static int acted; /* not atomic: the barrier orders it */
static _Atomic unsigned indices[ROUNDS];
static _Atomic int arrived[ROUNDS];

static void acts(void *context)
{
    failures += context != &acted;
    failures += acted >= ROUNDS || arrived[acted] != PARTIES; /* all are here, nobody has gone on */
    acted++;
}

static void *passes_all_rounds(void *argument)
{
    const bool acting = argument;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned index = 77;
        arrived[round]++;
        failures += shoal_barrier_wait(barrier, &index, harness_deadline()) != 0;
        failures += index >= PARTIES || (indices[round] & 1u << index);
        indices[round] |= 1u << (index % 32);
        failures += arrived[round] != PARTIES;
        failures += acting && acted != round + 1;
    }
    return NULL;
}

static void all_pass_all_rounds(bool acting)
{
    pthread_t threads[PARTIES];
    for (int i = 0; i < PARTIES; i++)
        threads[i] = thread_start(passes_all_rounds, acting ? &failures : NULL);
    for (int i = 0; i < PARTIES; i++)
        thread_ends(threads[i]);
    cr_assert_eq(failures, 0, "%d failures", failures);
    for (int round = 0; round < ROUNDS; round++)
        cr_assert_eq(indices[round], (1u << PARTIES) - 1, "round %d: %#x", round, indices[round]);
    cr_assert_not(shoal_barrier_is_broken(barrier));
    cr_assert_eq(shoal_barrier_waiting(barrier), 0);
    assert_code(shoal_barrier_destroy(barrier), 0);
}

Test(barrier, each_round_has_each_index_once_2_20, .timeout = 30)
{
    barrier = barrier_new(PARTIES);
    all_pass_all_rounds(false);
}

Test(barrier, action_is_run_once_before_anybody_goes_on_2_20, .timeout = 30)
{
    const shoal_barrier_options options = { .action = acts, .context = &acted };
    assert_code(shoal_barrier_create(PARTIES, &options, &barrier), 0);
    all_pass_all_rounds(true);
    cr_assert_eq(acted, ROUNDS);
}

static void counts(void *context)
{
    ++*(int *)context;
}

Test(barrier, one_party_never_waits_2_20, .timeout = 30)
{
    int count = 0;
    const shoal_barrier_options options = { .action = counts, .context = &count };
    assert_code(shoal_barrier_create(1, &options, &barrier), 0);
    for (int i = 0; i < 1000; i++) {
        unsigned index = 77;
        assert_code(shoal_barrier_wait(barrier, &index, i % 2 ? SHOAL_NOW : SHOAL_FOREVER), 0);
        cr_assert_eq(index, 0);
        cr_assert_eq(count, i + 1);
        assert_code(shoal_barrier_wait(barrier, NULL, SHOAL_NOW), 0);
        count--;
    }
    assert_code(shoal_barrier_destroy(barrier), 0);
}

/* --- broken --------------------------------------------------------------------------------- */

static struct waiter waiters[PARTIES];

static void some_wait(int count)
{
    for (int i = 0; i < count; i++) {
        waiters[i] = (struct waiter){ .kind = WAIT_BARRIER, .deadline = SHOAL_FOREVER };
        waiter_start(&waiters[i]);
    }
    cr_assert(harness_until(shoal_barrier_waiting(waits.barrier) == (unsigned)count));
    for (int i = 0; i < count; i++)
        waiter_sleeps(&waiters[i]);
}

static void they_get(int count, int code)
{
    for (int i = 0; i < count; i++)
        assert_code(waiter_ends(&waiters[i]), code);
}

static void is_broken(void)
{
    unsigned index = 77;
    cr_assert(shoal_barrier_is_broken(waits.barrier));
    cr_assert_eq(shoal_barrier_waiting(waits.barrier), 0);
    assert_code(shoal_barrier_wait(waits.barrier, &index, SHOAL_FOREVER), -ECONNABORTED);
    assert_code(shoal_barrier_wait(waits.barrier, &index, SHOAL_NOW), -ECONNABORTED);
    cr_assert_eq(index, 77);
}

/* With the threads that have come: the parties that went are no longer counted. */
static void is_whole(void)
{
    cr_assert_not(shoal_barrier_is_broken(waits.barrier));
    cr_assert_eq(shoal_barrier_waiting(waits.barrier), 0);
    for (int round = 0; round < 3; round++) {
        some_wait(PARTIES - 1);
        assert_code(shoal_barrier_wait(waits.barrier, NULL, harness_deadline()), 0);
        they_get(PARTIES - 1, 0);
    }
}

static void is_repaired_by_reset(void)
{
    is_broken();
    assert_code(shoal_barrier_reset(waits.barrier), 0);
    is_whole();
}

Test(barrier, timeout_breaks_it_for_all_2_20, .timeout = 30)
{
    waits.barrier = barrier_new(PARTIES);
    for (int round = 0; round < 10; round++) {
        unsigned index = 77;
        some_wait(PARTIES - 2);
        const uint64_t begin = harness_now_ns();
        assert_code(shoal_barrier_wait(waits.barrier, &index, shoal_after_ms(10)), -ETIMEDOUT);
        cr_assert_geq(harness_now_ns() - begin, 10000000);
        cr_assert_eq(index, 77);
        they_get(PARTIES - 2, -ECONNABORTED);
        is_repaired_by_reset();
    }
    some_wait(1);
    assert_code(shoal_barrier_wait(waits.barrier, NULL, SHOAL_NOW), -ETIMEDOUT);
    they_get(1, -ECONNABORTED);
    is_repaired_by_reset();
    assert_code(shoal_barrier_destroy(waits.barrier), 0);
}

Test(barrier, cancelled_wait_breaks_it_for_all_2_20, .timeout = 30)
{
    const shoal_event cancel = event_new();
    waits.barrier = barrier_new(PARTIES);
    for (int round = 0; round < 10; round++) {
        some_wait(PARTIES - 2);
        struct waiter last = { .kind = WAIT_BARRIER,
                               .deadline = shoal_until(SHOAL_FOREVER, cancel) };
        waiter_start(&last);
        waiter_sleeps(&last);
        assert_code(shoal_event_set(cancel), 0);
        assert_code(waiter_ends(&last), -ECANCELED);
        they_get(PARTIES - 2, -ECONNABORTED);
        assert_code(shoal_event_clear(cancel), 0);
        is_repaired_by_reset();
    }
    assert_code(shoal_barrier_destroy(waits.barrier), 0);
    assert_code(shoal_event_destroy(cancel), 0);
}

Test(barrier, abort_breaks_it_2_20, .timeout = 30)
{
    waits.barrier = barrier_new(PARTIES);
    for (int round = 0; round < 10; round++) {
        some_wait(round % PARTIES);
        assert_code(shoal_barrier_abort(waits.barrier), 0);
        they_get(round % PARTIES, -ECONNABORTED);
        assert_code(shoal_barrier_abort(waits.barrier), 0);
        is_repaired_by_reset();
    }
    assert_code(shoal_barrier_destroy(waits.barrier), 0);
}

Test(barrier, reset_frees_those_who_wait_2_20, .timeout = 30)
{
    waits.barrier = barrier_new(PARTIES);
    for (int round = 0; round < 10; round++) {
        some_wait(round % PARTIES);
        assert_code(shoal_barrier_reset(waits.barrier), 0);
        they_get(round % PARTIES, -ECONNABORTED);
        is_whole();
    }
    assert_code(shoal_barrier_destroy(waits.barrier), 0);
}

Test(barrier, abort_and_reset_at_once_2_20, .timeout = 30)
{
    waits.barrier = barrier_new(PARTIES);
    for (int round = 0; round < 10; round++) {
        some_wait(PARTIES - 1);
        assert_code(shoal_barrier_abort(waits.barrier), 0);
        assert_code(shoal_barrier_reset(waits.barrier), 0);
        they_get(PARTIES - 1, -ECONNABORTED);
        is_whole();
    }
    assert_code(shoal_barrier_destroy(waits.barrier), 0);
}

/* --- who is a party ------------------------------------------------------------------------- */

/* Threads that waited once and ended make room for others. */
Test(barrier, party_that_ends_in_peace_breaks_nothing_2_20, .timeout = 30)
{
    waits.barrier = barrier_new(2);
    for (int round = 0; round < 50; round++) {
        some_wait(1);
        assert_code(shoal_barrier_wait(waits.barrier, NULL, harness_deadline()), 0);
        they_get(1, 0);
        cr_assert_not(shoal_barrier_is_broken(waits.barrier));
    }
    for (int round = 0; round < 20; round++) { /* and none that has come before */
        some_wait(1);
        struct waiter second = { .kind = WAIT_BARRIER, .deadline = SHOAL_FOREVER };
        waiter_start(&second);
        assert_code(waiter_ends(&second), 0);
        they_get(1, 0);
    }
    assert_code(shoal_barrier_destroy(waits.barrier), 0);
}

static _Atomic int turns; /* that are left to take */

static void *takes_turns(void *argument)
{
    while (turns-- > 0)
        if (shoal_barrier_wait(barrier, NULL, harness_deadline()) != 0)
            failures++;
    return argument;
}

/* More threads than parties: any two make a round, and the others wait for the next. */
Test(barrier, more_threads_than_parties_take_turns_2_20, .timeout = 30)
{
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    barrier = barrier_new(2);
    turns = 1000; /* even: nobody is left alone */
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(takes_turns, NULL);
    for (int i = 0; i < THREADS; i++)
        thread_ends(threads[i]);
    cr_assert_eq(failures, 0);
    assert_code(shoal_barrier_destroy(barrier), 0);
}

Test(barrier, tells_parties_and_who_waits_2_20, .timeout = 30)
{
    waits.barrier = barrier_new(PARTIES);
    cr_assert_eq(shoal_barrier_parties(waits.barrier), PARTIES);
    for (unsigned i = 0; i < PARTIES; i++) {
        some_wait((int)i);
        cr_assert_eq(shoal_barrier_waiting(waits.barrier), i);
        assert_code(shoal_barrier_reset(waits.barrier), 0);
        they_get((int)i, -ECONNABORTED);
        cr_assert_eq(shoal_barrier_waiting(waits.barrier), 0);
    }
    assert_code(shoal_barrier_destroy(waits.barrier), 0);
}

/* --- create and destroy --------------------------------------------------------------------- */

/* CPython accepts 0 parties. */
Test(barrier, create_refuses_what_is_out_of_range_2_20, .timeout = 30)
{
    barrier.ref = 77;
    assert_code(shoal_barrier_create(0, NULL, &barrier), -EINVAL);
    assert_code(shoal_barrier_create(SHOAL_BARRIER_PARTIES_MAX + 1, NULL, &barrier), -EINVAL);
    assert_code(shoal_barrier_create(UINT32_MAX, NULL, &barrier), -EINVAL);
    assert_code(shoal_barrier_create(1, NULL, NULL), -EINVAL);
    for (int i = 0; i < 4; i++) {
        shoal_barrier_options options = { .reserved = { 0 } };
        options.reserved[i] = 1;
        assert_code(shoal_barrier_create(1, &options, &barrier), -EINVAL);
    }
    cr_assert_eq(barrier.ref, 77);
    barrier = barrier_new(SHOAL_BARRIER_PARTIES_MAX);
    cr_assert_eq(shoal_barrier_parties(barrier), SHOAL_BARRIER_PARTIES_MAX);
    assert_code(shoal_barrier_wait(barrier, NULL, SHOAL_NOW), -ETIMEDOUT);
    cr_assert(shoal_barrier_is_broken(barrier));
    assert_code(shoal_barrier_destroy(barrier), 0);
}

static void is_refused(shoal_barrier handle, int code)
{
    unsigned index = 77;
    assert_code(shoal_barrier_wait(handle, &index, SHOAL_FOREVER), code);
    cr_assert_eq(index, 77);
    assert_code(shoal_barrier_abort(handle), code);
    assert_code(shoal_barrier_reset(handle), code);
    cr_assert_not(shoal_barrier_is_broken(handle));
    cr_assert_eq(shoal_barrier_parties(handle), 0);
    cr_assert_eq(shoal_barrier_waiting(handle), 0);
}

Test(barrier, stale_and_wrong_handles_are_refused, .timeout = 30)
{
    const shoal_event event = event_new();
    barrier = barrier_new(2);
    is_refused((shoal_barrier){ event.ref }, -EINVAL);
    assert_code(shoal_barrier_destroy((shoal_barrier){ event.ref }), -EINVAL);
    assert_code(shoal_barrier_destroy((shoal_barrier){ 0 }), 0);
    assert_code(shoal_barrier_destroy(barrier), 0);
    assert_code(shoal_barrier_destroy(barrier), 0);
    is_refused(barrier, -ESTALE);
    assert_code(shoal_event_destroy(event), 0);
}

Test(barrier, destroy_ends_all_waits, .timeout = 30)
{
    for (int round = 0; round < 20; round++) {
        waits.barrier = barrier_new(PARTIES);
        some_wait(PARTIES - 1);
        assert_code(shoal_barrier_destroy(waits.barrier), 0);
        they_get(PARTIES - 1, -ESTALE);
    }
}

/* A place that had a broken one, with an action. */
Test(barrier, new_one_is_whole, .timeout = 30)
{
    int count = 0;
    for (int i = 0; i < 3000; i++) {
        const shoal_barrier_options options = { .action = i % 2 ? counts : NULL,
                                                .context = &count };
        assert_code(shoal_barrier_create(1 + (unsigned)i % 2, &options, &barrier), 0);
        cr_assert_not(shoal_barrier_is_broken(barrier));
        cr_assert_eq(shoal_barrier_parties(barrier), 1 + (unsigned)i % 2);
        cr_assert_eq(shoal_barrier_waiting(barrier), 0);
        assert_code(shoal_barrier_wait(barrier, NULL, SHOAL_NOW), i % 2 ? -ETIMEDOUT : 0);
        assert_code(shoal_barrier_abort(barrier), 0);
        assert_code(shoal_barrier_destroy(barrier), 0);
    }
    cr_assert_eq(count, 0);
}
