/* Conditions among processes, of which some are killed while they wait, or hold the lock. */
#include "../sync.h"

#include <sys/wait.h>

TestSuite(condition_death, .timeout = 60);

enum { WAITERS = 4 };

/* What parent and children tell each other outside the library. */
static struct board {
    _Atomic int arrived, woken, told, died, go;
} * board;

static shoal_condition condition;

static void begin(void)
{
    board = harness_shared(sizeof *board);
    cr_assert_not_null(board);
    condition = condition_new();
}

static void round_begins(void)
{
    board->arrived = board->woken = board->told = board->died = board->go = 0;
}

/* From now on whoever takes the lock finds it waiting. Answers as wait() does, and has the lock. */
static int wait_once(void)
{
    CHILD_CHECK(shoal_condition_acquire(condition, harness_deadline()) >= 0);
    board->arrived++;
    const int code = shoal_condition_wait(condition, SHOAL_FOREVER);
    CHILD_CHECK(code >= 0);
    board->woken++;
    board->told += code == SHOAL_OWNER_DIED;
    return code;
}

static int waits_once(void *argument)
{
    (void)argument;
    wait_once();
    CHILD_CHECK(shoal_condition_release(condition) == 0);
    return 0;
}

static void *thread_waits_once(void *argument)
{
    waits_once(NULL);
    return argument;
}

static int wakes_and_keeps_the_lock(void *argument)
{
    (void)argument;
    wait_once();
    return harness_pauses(NULL);
}

static void take_as_it_is(void)
{
    cr_assert_geq(shoal_condition_acquire(condition, harness_deadline()), 0);
}

static void give(void)
{
    assert_code(shoal_condition_release(condition), 0);
}

/* Every one is a waiter before the next one begins: they are served in this order. */
static void waiters_start(pid_t *pids, int count, int (*function)(void *))
{
    for (int i = 0; i < count; i++) {
        const int before = board->arrived;
        pids[i] = harness_child(function, NULL);
        cr_assert(harness_until(board->arrived == before + 1));
        take_as_it_is(); /* and it has let the lock go */
        cr_assert_eq(board->woken, 0, "it was not notified, and does not wait");
        give();
    }
}

static void take(int expected)
{
    assert_code(shoal_condition_acquire(condition, harness_deadline()), expected);
}

static void notify(unsigned count)
{
    take(0);
    const uint64_t begin_ns = harness_now_ns();
    assert_code(shoal_condition_notify(condition, count), 0);
    cr_assert_lt(harness_now_ns() - begin_ns, 2000000000, "notify waited for somebody");
    give();
}

static void so_many_wake(int count)
{
    cr_assert(harness_until(board->woken >= count), "%d woke, not %d", board->woken, count);
    /* not synchronisation: time in which one too many would show itself */
    nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    cr_assert_eq(board->woken, count);
}

/* 1.13.5: threads of this process among them. */
Test(condition_death, notify_wakes_exactly_as_many_in_threads_and_processes_1_13_5, .timeout = 60)
{
    begin();
    for (int round = 0; round < 10; round++) {
        pid_t pids[WAITERS];
        pthread_t threads[WAITERS];
        round_begins();
        waiters_start(pids, WAITERS, waits_once);
        for (int i = 0; i < WAITERS; i++)
            threads[i] = thread_start(thread_waits_once, NULL);
        cr_assert(harness_until(board->arrived == 2 * WAITERS));
        notify(1);
        so_many_wake(1);
        notify(5);
        so_many_wake(6);
        take(0);
        assert_code(shoal_condition_notify_all(condition), 0);
        give();
        for (int i = 0; i < WAITERS; i++) {
            cr_assert_eq(harness_wait(pids[i]), 0);
            thread_ends(threads[i]);
        }
    }
    assert_code(shoal_condition_destroy(condition), 0);
}

/* CPython: the next notify() hangs for ever, with the lock. 1.13.6 */
Test(condition_death, killed_waiter_is_skipped_1_13_6, .timeout = 60)
{
    for (int round = 0; round < 20; round++) {
        pid_t pids[WAITERS];
        const int dead = round % WAITERS, reaped = round % 3;
        begin();
        waiters_start(pids, WAITERS, waits_once);
        kill(pids[dead], SIGKILL);
        if (reaped) /* else notify() may come before the kernel is done with it */
            cr_assert_eq(harness_wait(pids[dead]), -SIGKILL);
        notify(1);
        if (reaped)
            so_many_wake(1);
        notify(WAITERS);
        for (int i = 0; i < WAITERS; i++)
            if (i != dead)
                cr_assert_eq(harness_wait(pids[i]), 0);
        if (!reaped)
            harness_wait(pids[dead]);
    }
}

Test(condition_death, all_waiters_killed_are_nobody_1_13_6, .timeout = 60)
{
    begin();
    for (int round = 0; round < 5; round++) {
        pid_t pids[WAITERS];
        round_begins();
        waiters_start(pids, WAITERS, waits_once);
        for (int i = 0; i < WAITERS; i++)
            kill(pids[i], SIGKILL);
        for (int i = 0; i < WAITERS; i++)
            cr_assert_eq(harness_wait(pids[i]), -SIGKILL);
        notify(WAITERS);
        waiters_start(pids, 1, waits_once);
        notify(1);
        cr_assert_eq(harness_wait(pids[0]), 0);
    }
    assert_code(shoal_condition_destroy(condition), 0);
}

/* Killed with a notification in its hands, before it could take the lock: it goes to the next. */
Test(condition_death, notification_of_a_killed_waiter_goes_on_1_13_6, .timeout = 60)
{
    begin();
    for (int round = 0; round < 6; round++) {
        pid_t pids[2];
        round_begins();
        waiters_start(pids, 2, waits_once);
        take(0);
        assert_code(shoal_condition_notify(condition, 1), 0);
        kill(pids[0], SIGKILL);
        if (round % 2)
            cr_assert_eq(harness_wait(pids[0]), -SIGKILL);
        give();
        cr_assert_eq(harness_wait_ms(pids[1], 10000), 0, "round %d", round);
        if (round % 2 == 0)
            harness_wait(pids[0]);
    }
    assert_code(shoal_condition_destroy(condition), 0);
}

static int notifies_and_keeps_the_lock(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_condition_acquire(condition, harness_deadline()) >= 0);
    CHILD_CHECK(shoal_condition_notify_all(condition) == 0);
    board->go = 1;
    return harness_pauses(NULL);
}

static void lock_is_cleared(void)
{
    take(SHOAL_OWNER_DIED);
    assert_code(shoal_lock_clear_owner_died(shoal_condition_lock(condition)), 0);
    give();
}

/* CPython: the lock is lost. */
Test(condition_death, notifier_killed_with_the_lock_is_told_to_those_it_notified_1_13_6,
     .timeout = 60)
{
    begin();
    for (int round = 0; round < 10; round++) {
        pid_t pids[WAITERS];
        round_begins();
        waiters_start(pids, WAITERS, waits_once);
        const pid_t notifier = harness_child(notifies_and_keeps_the_lock, NULL);
        cr_assert(harness_until(board->go));
        cr_assert_eq(board->woken, 0);
        kill(notifier, SIGKILL);
        for (int i = 0; i < WAITERS; i++)
            cr_assert_eq(harness_wait(pids[i]), 0);
        cr_assert_eq(board->told, WAITERS, "%d of %d were told", board->told, WAITERS);
        cr_assert_eq(harness_wait(notifier), -SIGKILL);
        lock_is_cleared();
    }
    assert_code(shoal_condition_destroy(condition), 0);
}

/* Killed when it has the lock again: the one notified with it is told. */
Test(condition_death, waiter_killed_with_the_lock_is_told_to_the_next_1_13_6, .timeout = 60)
{
    for (int round = 0; round < 10; round++) {
        pid_t pids[2];
        begin();
        waiters_start(pids, 2, wakes_and_keeps_the_lock);
        notify(2);
        cr_assert(harness_until(board->woken == 1));
        kill(pids[0], SIGKILL); /* one of them has it and the other one waits for it */
        kill(pids[1], SIGKILL);
        cr_assert_eq(harness_wait(pids[0]), -SIGKILL);
        cr_assert_eq(harness_wait(pids[1]), -SIGKILL);
        lock_is_cleared();
    }
}

/* What the dead one was given goes on to who was waiting then, and else to nobody. 1.13.4 */
Test(condition_death, notification_of_the_dead_is_not_for_who_comes_later_1_13_6, .timeout = 60)
{
    pid_t pid;
    begin();
    for (int round = 0; round < 3; round++) {
        round_begins();
        waiters_start(&pid, 1, waits_once);
        take(0);
        assert_code(shoal_condition_notify(condition, 1), 0);
        kill(pid, SIGKILL);
        cr_assert_eq(harness_wait(pid), -SIGKILL);
        assert_code(shoal_condition_wait(condition, shoal_after_ms(50)), -ETIMEDOUT);
        give();
    }
    assert_code(shoal_condition_destroy(condition), 0);
}

static int notifies_for_ever(void *argument)
{
    for (;;) {
        CHILD_CHECK(shoal_condition_acquire(condition, harness_deadline()) >= 0);
        CHILD_CHECK(shoal_condition_notify(condition, 1) == 0);
        CHILD_CHECK(shoal_condition_release(condition) == 0);
    }
    return argument != NULL;
}

static int waits_until_told(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_condition_acquire(condition, harness_deadline()) >= 0);
    while (!board->go) {
        CHILD_CHECK(shoal_condition_wait(condition, harness_deadline()) >= 0);
        board->woken++;
    }
    CHILD_CHECK(shoal_condition_release(condition) == 0);
    return 0;
}

/* A notifier killed at any instant: those who wait go on with the next one. */
Test(condition_death, notifier_killed_anywhere_leaves_nobody_behind_1_13_6, .timeout = 60)
{
    uint64_t state = harness_seed("notifier_killed_anywhere_leaves_nobody_behind");
    pid_t pids[3];
    begin();
    for (int i = 0; i < 3; i++)
        pids[i] = harness_child(waits_until_told, NULL);
    for (int round = 0; round < 200; round++) {
        const pid_t notifier = harness_child(notifies_for_ever, NULL);
        const int before = board->woken;
        cr_assert(harness_until(board->woken > before + 3), "round %d", round);
        const uint64_t end_ns = harness_now_ns() + harness_random(&state) % 1000000;
        while (harness_now_ns() < end_ns) {}
        kill(notifier, SIGKILL);
        cr_assert_eq(harness_wait(notifier), -SIGKILL);
    }
    board->go = 1;
    cr_assert_geq(shoal_condition_acquire(condition, harness_deadline()), 0);
    assert_code(shoal_condition_notify_all(condition), 0);
    give();
    for (int i = 0; i < 3; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    assert_code(shoal_condition_destroy(condition), 0);
}

/* Nor is it for a condition that gets the place of a destroyed one. */
Test(condition_death, new_one_has_no_notifications_of_the_dead_1_13_6, .timeout = 60)
{
    pid_t pid;
    for (int round = 0; round < 3; round++) {
        begin();
        waiters_start(&pid, 1, waits_once);
        take(0);
        assert_code(shoal_condition_notify(condition, 1), 0);
        kill(pid, SIGKILL);
        cr_assert_eq(harness_wait(pid), -SIGKILL);
        give();
        assert_code(shoal_condition_destroy(condition), 0);
        condition = condition_new();
        take(0);
        assert_code(shoal_condition_wait(condition, shoal_after_ms(50)), -ETIMEDOUT);
        give();
        assert_code(shoal_condition_destroy(condition), 0);
    }
}
