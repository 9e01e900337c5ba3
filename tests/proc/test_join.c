/* Waiting for processes: spec 1.5. */
#include "proc/children.h"

#include <errno.h>
#include <pthread.h>
#include <sys/time.h>

TestSuite(join, .timeout = 90);

struct gate {
    _Atomic int open, passed, signals;
};

static struct gate *gate;

/* Holds the child until the parent, or a signal handler, opens the gate. */
static void waits_at_gate(void *argument)
{
    (void)argument;
    CHILD_CHECK(harness_until(gate->open));
    gate->passed = 1;
}

static shoal_process gated(void)
{
    if (!gate)
        gate = harness_shared(4096);
    gate->open = gate->passed = gate->signals = 0;
    return child_start(waits_at_gate, NULL, 0);
}

static void *opens_gate(void *argument)
{
    (void)argument;
    gate->open = 1;
    return NULL;
}

/* 1.5.1 */
Test(join, returns_only_after_the_end_1_5_1, .timeout = 90)
{
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        const shoal_process process = gated();
        cr_assert_eq(gate->passed, 0);
        cr_assert_eq(pthread_create(&thread, NULL, opens_gate, NULL), 0);
        assert_code(shoal_process_join(process, SHOAL_FOREVER), 0);
        cr_assert_eq(gate->passed, 1);
        pthread_join(thread, NULL);
        child_ends(process, 0);
    }
}

/* 1.5.2, 1.5.8: not before the timeout, on the monotonic clock. */
Test(join, gives_up_at_its_deadline_1_5_2, .timeout = 90)
{
    const shoal_process process = gated();
    const uint64_t end_ns = harness_now_ns() + 100000000;
    assert_code(shoal_process_join(process, shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns);
    cr_assert(shoal_process_is_alive(process));
    cr_assert_eq(shoal_process_exitcode(process), SHOAL_EXITCODE_NONE);
    gate->open = 1;
    child_ends(process, 0);
}

/* 1.5.3 */
Test(join, zero_and_negative_do_not_block_1_5_3, .timeout = 90)
{
    const shoal_process process = gated();
    assert_code(shoal_process_join(process, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_process_join(process, shoal_after_ms(0)), -ETIMEDOUT);
    assert_code(shoal_process_join(process, shoal_after_s(-1)), -ETIMEDOUT);
    assert_code(shoal_process_join(process, shoal_at_ns(1)), -ETIMEDOUT);
    cr_assert(shoal_process_is_alive(process));
    gate->open = 1;
    child_ends(process, 0);
}

struct joiner {
    pthread_t thread;
    shoal_process process;
    int code, exitcode;
};

static void *joins(void *argument)
{
    struct joiner *joiner = argument;
    joiner->code = shoal_process_join(joiner->process, harness_deadline());
    joiner->exitcode = shoal_process_exitcode(joiner->process);
    return NULL;
}

/* 1.5.4 */
Test(join, again_and_by_many_threads_at_once_1_5_4, .timeout = 90)
{
    for (int round = 0; round < 10; round++) {
        struct joiner joiners[6];
        const shoal_process process = gated();
        for (size_t i = 0; i < COUNT_OF(joiners); i++) {
            joiners[i] = (struct joiner){ .process = process };
            cr_assert_eq(pthread_create(&joiners[i].thread, NULL, joins, &joiners[i]), 0);
        }
        gate->open = 1;
        for (size_t i = 0; i < COUNT_OF(joiners); i++) {
            pthread_join(joiners[i].thread, NULL);
            cr_assert_eq(joiners[i].code, 0);
            cr_assert_eq(joiners[i].exitcode, 0);
        }
        for (int i = 0; i < 5; i++)
            assert_code(shoal_process_join(process, SHOAL_NOW), 0);
        child_ends(process, 0);
    }
}

static void everything_is_refused(shoal_process process)
{
    CHILD_CHECK(shoal_process_join(process, SHOAL_FOREVER) == -ECHILD);
    CHILD_CHECK(shoal_process_join_all(&process, 1, SHOAL_FOREVER) == -ECHILD);
    CHILD_CHECK(shoal_process_kill(process) == -ECHILD);
    CHILD_CHECK(shoal_process_terminate(process) == -ECHILD);
    CHILD_CHECK(shoal_process_close(process) == -ECHILD);
    CHILD_CHECK(shoal_process_sentinel(process) == -ECHILD);
    CHILD_CHECK(shoal_process_pid(process) > 0);
    CHILD_CHECK(shoal_process_is_alive(process));
}

static void is_a_sibling(void *argument)
{
    everything_is_refused(*(shoal_process *)argument);
}

static int is_a_raw_fork(void *argument)
{
    everything_is_refused(*(shoal_process *)argument);
    return 0;
}

/* 1.5.5: join before start is in test_start.c; here a sibling and a child forked by hand. */
Test(join, only_the_creator_may_1_5_5, .timeout = 90)
{
    const shoal_process process = gated();
    child_ends(CHILD_START(is_a_sibling, process), 0);
    cr_assert_eq(harness_wait(harness_child(is_a_raw_fork, (void *)&process)), 0);
    cr_assert(shoal_process_is_alive(process));
    gate->open = 1;
    child_ends(process, 0);
}

Test(join, cancel_event_is_not_supported_yet, .timeout = 90)
{
    const shoal_process process = gated();
    shoal_deadline odd = SHOAL_FOREVER;
    odd.cancel.ref = 99;
    assert_code(shoal_process_join(process, odd), -ENOTSUP);
    assert_code(shoal_process_join_all(&process, 1, odd), -ENOTSUP);
    gate->open = 1;
    child_ends(process, 0);
}

/* 1.5.7 */
Test(join, stopped_child_is_alive_1_5_7, .timeout = 90)
{
    const shoal_process process = gated();
    kill(shoal_process_pid(process), SIGSTOP);
    gate->open = 1;
    assert_code(shoal_process_join(process, shoal_after_ms(100)), -ETIMEDOUT);
    cr_assert(shoal_process_is_alive(process));
    cr_assert_eq(shoal_process_exitcode(process), SHOAL_EXITCODE_NONE);
    kill(shoal_process_pid(process), SIGCONT);
    child_ends(process, 0);
}

/* 1.5.9 */
Test(join, hundred_short_children_1_5_9, .timeout = 90)
{
    shoal_process processes[100];
    for (size_t i = 0; i < COUNT_OF(processes); i++)
        processes[i] = child_start(target_nothing, NULL, 0);
    assert_code(shoal_process_join_all(processes, COUNT_OF(processes), harness_deadline()), 0);
    for (size_t i = 0; i < COUNT_OF(processes); i++)
        child_ends(processes[i], 0);
}

Test(join, all_has_one_deadline_and_the_first_failure, .timeout = 90)
{
    shoal_process processes[3] = { gated() };
    const shoal_process_options options = { .target = target_nothing };
    processes[1] = child_start(target_nothing, NULL, 0);
    assert_code(shoal_process_create(&options, &processes[2]), 0);
    assert_code(shoal_process_join(processes[1], harness_deadline()), 0);
    assert_code(shoal_process_join_all(processes + 1, 1, SHOAL_NOW), 0);
    assert_code(shoal_process_join_all(processes + 1, 2, SHOAL_NOW), -ESRCH);
    const uint64_t end_ns = harness_now_ns() + 50000000;
    assert_code(shoal_process_join_all(processes, 3, shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns);
    gate->open = 1;
    assert_code(shoal_process_join_all(processes, 2, harness_deadline()), 0);
    for (int i = 0; i < 3; i++)
        assert_code(shoal_process_close(processes[i]), 0);
}

/* --- signals -------------------------------------------------------------------------------- */

enum { SIGNALS = 20 };

/* The handler itself opens the gate, after so many interruptions of the call that waits. */
static void interrupts(int number)
{
    (void)number;
    if (++gate->signals == SIGNALS)
        gate->open = 1;
}

/* Interrupts the main thread again and again, without SA_RESTART. */
static void signals_start(void)
{
    const struct sigaction action = { .sa_handler = interrupts };
    const struct itimerval often = { .it_interval = { .tv_usec = 2000 },
                                     .it_value = { .tv_usec = 2000 } };
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
}

static void signals_stop(void)
{
    const struct itimerval never = { .it_value = { .tv_usec = 0 } };
    setitimer(ITIMER_REAL, &never, NULL);
    cr_assert_geq(gate->signals, SIGNALS);
}

/* 1.5.6 */
Test(join, signals_do_not_end_it_1_5_6, .timeout = 90)
{
    const shoal_process process = gated();
    signals_start();
    assert_code(shoal_process_join(process, SHOAL_FOREVER), 0);
    signals_stop();
    child_ends(process, 0);
}

struct exchange {
    shoal_queue queue;
    bool gets;
};

static void exchanges_behind_gate(void *argument)
{
    const struct exchange *exchange = argument;
    void *payload = NULL;
    CHILD_CHECK(harness_until(gate->open));
    if (!exchange->gets)
        CHILD_CHECK(shoal_queue_put_bytes(exchange->queue, "late", 5, SHOAL_NOW) == 0);
    else
        CHILD_CHECK(shoal_queue_get(exchange->queue, &payload, SHOAL_NOW) == 0);
}

/* 2.13: so do get and put. */
Test(join, signals_end_neither_get_nor_put_2_13, .timeout = 90)
{
    struct exchange exchange = { queue_of(1), false };
    void *payload = NULL;
    gate = harness_shared(4096);
    shoal_process process = CHILD_START(exchanges_behind_gate, exchange);
    signals_start();
    assert_code(shoal_queue_get(exchange.queue, &payload, SHOAL_FOREVER), 0);
    signals_stop();
    cr_assert_str_eq(payload, "late");
    child_ends(process, 0);
    gate->open = gate->signals = 0;
    exchange.gets = true;
    assert_code(shoal_queue_put(exchange.queue, payload, SHOAL_NOW), 0);
    process = CHILD_START(exchanges_behind_gate, exchange);
    signals_start();
    assert_code(shoal_queue_put_bytes(exchange.queue, "x", 2, SHOAL_FOREVER), 0);
    signals_stop();
    child_ends(process, 0);
    assert_code(shoal_queue_destroy(exchange.queue), 0);
}

/* Neither do they lengthen a wait. */
Test(join, signals_do_not_move_the_deadline, .timeout = 90)
{
    const shoal_queue queue = queue_of(1);
    const shoal_process process = gated();
    void *payload = NULL;
    gate->signals = SIGNALS + 1; /* the gate stays shut */
    signals_start();
    uint64_t end_ns = harness_now_ns() + 50000000;
    assert_code(shoal_process_join(process, shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns);
    end_ns = harness_now_ns() + 50000000;
    assert_code(shoal_queue_get(queue, &payload, shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns);
    signals_stop();
    gate->open = 1;
    child_ends(process, 0);
    assert_code(shoal_queue_destroy(queue), 0);
}
