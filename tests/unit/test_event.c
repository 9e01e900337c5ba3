/* Events, by threads of one process, and set in a signal handler. */
#include "mem/self.h"
#include "sync.h"

#include <sys/time.h>

TestSuite(event, .timeout = 120);

static void *waits_for(void *argument)
{
    const shoal_event *event = argument;
    return shoal_event_wait(*event, harness_deadline()) == 0 ? NULL : argument;
}

/* 1.11.1: the block-waiter and the one with a deadline, as in the tutorial, but without seconds. */
Test(event, wait_tells_whether_it_is_set_1_11_1, .timeout = 60)
{
    shoal_event event = event_new();
    const pthread_t blocked = thread_start(waits_for, &event);
    cr_assert_not(shoal_event_is_set(event));
    assert_code(shoal_event_wait(event, shoal_after_ms(20)), -ETIMEDOUT);
    cr_assert_not(shoal_event_is_set(event));
    assert_code(shoal_event_set(event), 0);
    void *failed = NULL;
    cr_assert_eq(pthread_join(blocked, &failed), 0);
    cr_assert_null(failed);
    cr_assert(shoal_event_is_set(event));
    assert_code(shoal_event_destroy(event), 0);
}

Test(event, is_set_and_cleared_any_number_of_times_1_11_2, .timeout = 60)
{
    const shoal_event event = event_new();
    assert_code(shoal_event_wait(event, SHOAL_NOW), -ETIMEDOUT);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) {
            assert_code(shoal_event_set(event), 0);
            cr_assert(shoal_event_is_set(event));
            assert_code(shoal_event_wait(event, SHOAL_NOW), 0);
            assert_code(shoal_event_wait(event, shoal_after_ms(-3)), 0);
            assert_code(shoal_event_wait(event, SHOAL_FOREVER), 0);
        }
        for (int i = 0; i < 2; i++) {
            assert_code(shoal_event_clear(event), 0);
            cr_assert_not(shoal_event_is_set(event));
            assert_code(shoal_event_wait(event, SHOAL_NOW), -ETIMEDOUT);
        }
    }
    assert_code(shoal_event_destroy(event), 0);
}

enum { WAITERS = 8 };

static void waiters_sleep(struct waiter *waiters)
{
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){ .kind = WAIT_EVENT, .deadline = SHOAL_FOREVER };
        waiter_start(&waiters[i]);
    }
    for (int i = 0; i < WAITERS; i++)
        waiter_sleeps(&waiters[i]);
}

static void waiters_end(struct waiter *waiters)
{
    for (int i = 0; i < WAITERS; i++)
        assert_code(waiter_ends(&waiters[i]), 0);
}

Test(event, set_wakes_all_who_wait_1_11_2, .timeout = 120)
{
    struct waiter waiters[WAITERS];
    waits_make();
    for (int round = 0; round < 50; round++) {
        waiters_sleep(waiters);
        assert_code(shoal_event_set(waits.event), 0);
        waiters_end(waiters);
        assert_code(wait_event(SHOAL_FOREVER), 0); /* who comes later does not wait */
        assert_code(shoal_event_clear(waits.event), 0);
    }
    waits_end();
}

/* CPython may look again and find it clear. */
Test(event, set_and_clear_release_all_who_waited_1_11_3, .timeout = 120)
{
    struct waiter waiters[WAITERS];
    waits_make();
    for (int round = 0; round < 100; round++) {
        waiters_sleep(waiters);
        assert_code(shoal_event_set(waits.event), 0);
        assert_code(shoal_event_clear(waits.event), 0);
        waiters_end(waiters);
        assert_code(shoal_event_wait(waits.event, SHOAL_NOW), -ETIMEDOUT);
    }
    waits_end();
}

/* The same with a deadline and a cancel event beside it. */
Test(event, set_and_clear_release_also_those_with_a_cancel_event_1_11_3, .timeout = 120)
{
    const shoal_event cancel = event_new();
    waits_make();
    for (int round = 0; round < 50; round++) {
        struct waiter waiters[WAITERS];
        for (int i = 0; i < WAITERS; i++) {
            waiters[i] = (struct waiter){ .kind = WAIT_EVENT,
                                          .deadline = shoal_until(harness_deadline(), cancel) };
            waiter_start(&waiters[i]);
        }
        for (int i = 0; i < WAITERS; i++)
            waiter_sleeps(&waiters[i]);
        assert_code(shoal_event_set(waits.event), 0);
        assert_code(shoal_event_clear(waits.event), 0);
        waiters_end(waiters);
    }
    assert_code(shoal_event_destroy(cancel), 0);
    waits_end();
}

/* --- one after the other -------------------------------------------------------------------- */

struct pair {
    shoal_event ping, pong;
    unsigned word; /* not atomic: the events order it */
    int rounds, failures;
};

static void *answers(void *argument)
{
    struct pair *pair = argument;
    for (int i = 0; i < pair->rounds; i++) {
        pair->failures += shoal_event_wait(pair->ping, harness_deadline()) != 0;
        pair->failures += shoal_event_clear(pair->ping) != 0;
        pair->failures += pair->word != (unsigned)(2 * i + 1);
        pair->word++;
        pair->failures += shoal_event_set(pair->pong) != 0;
    }
    return NULL;
}

Test(event, what_was_done_before_set_is_seen_after_wait, .timeout = 120)
{
    struct pair pair = { .ping = event_new(),
                         .pong = event_new(),
                         .rounds = HARNESS_SANITIZED ? 5000 : 50000 };
    const pthread_t thread = thread_start(answers, &pair);
    for (int i = 0; i < pair.rounds; i++) {
        pair.word++;
        assert_code(shoal_event_set(pair.ping), 0);
        assert_code(shoal_event_wait(pair.pong, harness_deadline()), 0);
        assert_code(shoal_event_clear(pair.pong), 0);
        cr_assert_eq(pair.word, (unsigned)(2 * i + 2));
    }
    thread_ends(thread);
    cr_assert_eq(pair.failures, 0);
    assert_code(shoal_event_destroy(pair.ping), 0);
    assert_code(shoal_event_destroy(pair.pong), 0);
}

/* --- in a signal handler -------------------------------------------------------------------- */

static shoal_event handler_event;
static _Atomic int handler_code, handler_calls;

static void sets_the_event(int number)
{
    (void)number;
    const int code = shoal_event_set(handler_event);
    if (code != 0)
        handler_code = code;
    handler_calls++;
}

static void handle(int number, void (*handler)(int))
{
    const struct sigaction action = { .sa_handler = handler };
    cr_assert_eq(sigaction(number, &action, NULL), 0);
}

/* The handler runs inside the very wait that it ends, or cancels. */
Test(event, set_in_a_handler_ends_the_wait_it_interrupts, .timeout = 120)
{
    handle(SIGUSR1, sets_the_event);
    waits_make();
    for (int round = 0; round < 20; round++) {
        struct waiter waiter = { .kind = WAIT_EVENT, .deadline = SHOAL_FOREVER };
        handler_event = waits.event;
        waiter_start(&waiter);
        waiter_sleeps(&waiter);
        pthread_kill(waiter.thread, SIGUSR1);
        assert_code(waiter_ends(&waiter), 0);
        assert_code(shoal_event_clear(waits.event), 0);
    }
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        handler_event = event_new();
        struct waiter waiter = { .kind = kind,
                                 .deadline = shoal_until(SHOAL_FOREVER, handler_event) };
        waiter_start(&waiter);
        waiter_sleeps(&waiter);
        pthread_kill(waiter.thread, SIGUSR1);
        assert_code(waiter_ends(&waiter), -ECANCELED);
        if (kind == WAIT_BARRIER)
            assert_code(shoal_barrier_reset(waits.barrier), 0);
        assert_code(shoal_event_destroy(handler_event), 0);
    }
    cr_assert_eq(handler_code, 0, "%s", shoal_strerror(handler_code));
    waits_end();
}

/*
 * The handler interrupts any instruction of any call. What it looks up in the thread's table of
 * found objects lies in the same place as what the interrupted call has just looked up.
 */
Test(event, set_in_a_handler_disturbs_no_call_it_interrupts, .timeout = 120)
{
    enum { EVENTS = 300 };
    const shoal_semaphore semaphore = semaphore_new(0);
    shoal_event events[EVENTS];
    bool found = false;
    for (int i = 0; i < EVENTS; i++) {
        events[i] = event_new();
        if (shl_found_place(events[i].ref) == shl_found_place(semaphore.ref)) {
            handler_event = events[i];
            found = true;
        }
    }
    cr_assert(found);
    handle(SIGALRM, sets_the_event);
    const struct itimerval often = { .it_interval = { .tv_usec = 20 },
                                     .it_value = { .tv_usec = 20 } };
    const uint64_t end_ns = harness_now_ns() + UINT64_C(4000000000);
    setitimer(ITIMER_REAL, &often, NULL);
    int64_t failures = 0, rounds = 0;
    for (; harness_now_ns() < end_ns; rounds++) {
        for (int i = 0; i < 200; i++) {
            failures += shoal_semaphore_release(semaphore) != 0;
            failures += shoal_semaphore_acquire(semaphore, SHOAL_NOW) != 0;
            failures += shoal_event_clear(handler_event) != 0;
        }
    }
    setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
    cr_assert_eq(handler_code, 0, "%s", shoal_strerror(handler_code));
    cr_assert_gt(handler_calls, 0);
    cr_assert_eq(failures, 0, "%lld failures in %lld rounds, %d signals", (long long)failures,
                 (long long)rounds, handler_calls);
    cr_assert_eq(shoal_semaphore_value(semaphore), 0);
    for (int i = 0; i < EVENTS; i++)
        assert_code(shoal_event_destroy(events[i]), 0);
    assert_code(shoal_semaphore_destroy(semaphore), 0);
}

/* --- create and destroy --------------------------------------------------------------------- */

Test(event, create_refuses_bad_options, .timeout = 60)
{
    shoal_event event = { 77 };
    assert_code(shoal_event_create(NULL, NULL), -EINVAL);
    for (int i = 0; i < 4; i++) {
        shoal_event_options options = { .reserved = { 0 } };
        options.reserved[i] = 1;
        assert_code(shoal_event_create(&options, &event), -EINVAL);
    }
    cr_assert_eq(event.ref, 77);
}

/* A place that had an event which was set begins clear. */
Test(event, new_one_is_clear, .timeout = 60)
{
    for (int i = 0; i < 20000; i++) {
        const shoal_event event = event_new();
        cr_assert_not(shoal_event_is_set(event));
        assert_code(shoal_event_wait(event, SHOAL_NOW), -ETIMEDOUT);
        assert_code(shoal_event_set(event), 0);
        assert_code(shoal_event_wait(event, SHOAL_NOW), 0);
        assert_code(shoal_event_destroy(event), 0);
        assert_code(shoal_event_destroy(event), 0);
        assert_code(shoal_event_wait(event, SHOAL_FOREVER), -ESTALE);
        assert_code(shoal_event_set(event), -ESTALE);
        assert_code(shoal_event_clear(event), -ESTALE);
        cr_assert_not(shoal_event_is_set(event));
    }
}
