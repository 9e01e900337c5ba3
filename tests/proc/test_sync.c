/* Locks between processes: holders that die, stop, or leave; and those who wait for them. */
#include "holders.h"

TestSuite(sync, .timeout = 120);

static void is_mine_from(shoal_lock lock, pid_t pid, const char *how)
{
    shoal_owner owner;
    assert_code(shoal_lock_acquire(lock, harness_deadline()), SHOAL_OWNER_DIED);
    cr_assert(shoal_lock_owner_died(lock), "%s", how);
    assert_code(shoal_lock_owner(lock, &owner), 0);
    cr_assert_eq(owner.pid, pid, "%s: pid %d, not %d", how, owner.pid, pid);
    cr_assert_eq(owner.tid, board->tid, "%s", how);
    cr_assert(memchr(owner.process_name, 0, sizeof owner.process_name));
    cr_assert_neq(owner.process_name[0], 0, "%s: the name is empty", how);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), SHOAL_OWNER_DIED);
    assert_code(shoal_lock_clear_owner_died(lock), 0);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_release(lock), 0);
}

/* CPython: never acquirable again. */
Test(sync, holder_of_a_lock_that_leaves_in_any_way_is_told_1_12_5, .timeout = 120)
{
    board_make();
    waits_make();
    assert_code(shoal_lock_release(waits.lock), 0);
    assert_code(shoal_lock_release(waits.rlock), 0);
    for (enum leaving leaving = 0; leaving < LEAVINGS; leaving++)
        for (int recursive = 0; recursive < 2; recursive++) {
            struct holding holding = { recursive ? take_rlock_thrice : take_lock, leaving };
            const pid_t pid = holder_start(&holding);
            const shoal_lock lock = recursive ? waits.rlock : waits.lock;
            shoal_owner owner;
            assert_code(shoal_lock_owner(lock, &owner), 0);
            cr_assert(owner.pid == pid && owner.tid == board->tid);
            assert_code(shoal_lock_acquire(lock, shoal_after_ms(5)), -ETIMEDOUT);
            holder_leaves(pid, leaving);
            is_mine_from(lock, pid, leaving_names[leaving]);
            holder_ends(pid);
        }
    waits_end();
}

static void shoal_child_holds(void *argument)
{
    (void)argument;
    CHILD_CHECK(take_lock() == 0);
    board->tid = (pid_t)syscall(SYS_gettid);
    board->arrived = 1;
    harness_pauses(NULL);
}

/* A process of the library's own is known by its name and handle. 1.12.5 */
Test(sync, dead_holder_has_the_name_of_its_process_1_12_5, .timeout = 60)
{
    shoal_owner owner;
    shoal_process process;
    const shoal_process_options options = { .target = shoal_child_holds, .name = "worker 1" };
    board_make();
    waits_make();
    assert_code(shoal_lock_release(waits.lock), 0);
    assert_code(shoal_process_start_new(&options, &process), 0);
    cr_assert(harness_until(board->arrived));
    assert_code(shoal_lock_owner(waits.lock, &owner), 0);
    cr_assert_str_eq(owner.process_name, "worker 1");
    cr_assert(SHOAL_SAME(owner.process, process), "the living holder's handle is not told");
    assert_code(shoal_process_kill(process), 0);
    assert_code(shoal_lock_acquire(waits.lock, harness_deadline()), SHOAL_OWNER_DIED);
    assert_code(shoal_lock_owner(waits.lock, &owner), 0);
    cr_assert_str_eq(owner.process_name, "worker 1");
    cr_assert_eq(owner.pid, shoal_process_pid(process));
    cr_assert(SHOAL_SAME(owner.process, process), "the dead holder's handle is not told");
    child_ends(process, -SIGKILL);
    waits_end();
}

/* --- those who wait for it ------------------------------------------------------------------ */

Test(sync, holder_killed_while_processes_wait_for_its_lock_1_12_5, .timeout = 120)
{
    enum { WAITERS = 4 };
    board_make();
    for (int round = 0; round < 30; round++) {
        pid_t pids[WAITERS];
        waits_make();
        const bool recursive = round % 2;
        const shoal_lock lock = recursive ? waits.rlock : waits.lock;
        assert_code(shoal_lock_release(lock), 0);
        struct holding holding = { recursive ? take_rlock_thrice : take_lock, BY_SIGKILL };
        const pid_t pid = holder_start(&holding);
        children_sleep(pids, WAITERS, recursive ? WAIT_RLOCK : WAIT_LOCK);
        kill(pid, SIGKILL);
        for (int i = 0; i < WAITERS; i++)
            cr_assert_eq(harness_wait(pids[i]), 0);
        holder_ends(pid);
        cr_assert(shoal_lock_owner_died(lock));
        waits_end();
    }
}

/* A waiter that is killed takes nobody's turn; the holder and a waiter killed in one go neither. */
Test(sync, waiters_of_a_lock_killed_hold_up_nobody_1_12_5, .timeout = 120)
{
    enum { WAITERS = 4 };
    board_make();
    for (int round = 0; round < 40; round++) {
        pid_t pids[WAITERS];
        waits_make();
        assert_code(shoal_lock_release(waits.lock), 0);
        struct holding holding = { take_lock, BY_SIGKILL };
        const pid_t pid = holder_start(&holding);
        children_sleep(pids, WAITERS, WAIT_LOCK);
        if (round % 2)
            kill(pids[round % WAITERS], SIGKILL);
        kill(pid, SIGKILL);
        kill(pids[round % WAITERS], SIGKILL);
        for (int i = 0; i < WAITERS; i++) {
            const int status = harness_wait(pids[i]);
            cr_assert(status == 0 || (i == round % WAITERS && status == -SIGKILL), "%d", status);
        }
        holder_ends(pid);
        assert_code(shoal_lock_acquire(waits.lock, harness_deadline()), SHOAL_OWNER_DIED);
        assert_code(shoal_lock_release(waits.lock), 0);
        waits_end();
    }
}

static int waits_for_the_lock(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_FOREVER) >= 0);
    board->ns = harness_now_ns() - board->ns;
    board->most = 1;
    return 0;
}

/* What the holder has done since it began to wait for its lock, and got it. */
enum history { WAITED, WAITED_FOR_ANOTHER_TOO, SLEPT_IN_A_CONDITION };

static int holds_with_a_history(void *argument)
{
    const enum history history = *(enum history *)argument;
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_FOREVER) >= 0);
    board->arrived = 1;
    if (history == WAITED_FOR_ANOTHER_TOO) {
        CHILD_CHECK(shoal_lock_acquire(waits.rlock, SHOAL_FOREVER) >= 0);
        CHILD_CHECK(shoal_lock_release(waits.rlock) == 0);
    }
    board->arrived = 2;
    return harness_pauses(NULL);
}

static int sleeps_in_a_condition(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_condition_acquire(waits.condition, SHOAL_FOREVER) == 0);
    board->arrived = 1;
    CHILD_CHECK(shoal_condition_wait(waits.condition, SHOAL_FOREVER) >= 0);
    board->arrived = 2;
    return harness_pauses(NULL);
}

/* The time from a holder's death to the wake of who sleeps for its lock; UINT64_MAX: once more. */
static uint64_t delay_of_a_death(enum history history)
{
    board->arrived = 0;
    board->most = 0;
    const bool condition = history == SLEPT_IN_A_CONDITION;
    if (condition) /* the lock is the condition's, and given back by a notifier */
        waits.lock = shoal_condition_lock(waits.condition);
    const pid_t holder = harness_child(condition ? sleeps_in_a_condition : holds_with_a_history,
                                       &history);
    if (condition)
        cr_assert(harness_until(board->arrived == 1));
    cr_assert(harness_until(is_asleep(holder)));
    if (condition) {
        assert_code(shoal_condition_acquire(waits.condition, harness_deadline()), 0);
        assert_code(shoal_condition_notify(waits.condition, 1), 0);
        cr_assert(harness_until(is_asleep(holder)));
        /* not synchronisation: it is on its way to the lock, and may come late */
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
        cr_assert(harness_until(is_asleep(holder)));
    }
    const pid_t waiter = harness_child(waits_for_the_lock, NULL);
    cr_assert(harness_until(is_asleep(waiter)));
    assert_code(shoal_lock_release(waits.lock), 0);
    cr_assert(harness_until(board->arrived >= 1 + condition || board->most));
    if (history == WAITED_FOR_ANOTHER_TOO && !board->most) {
        cr_assert(harness_until(is_asleep(holder)));
        assert_code(shoal_lock_release(waits.rlock), 0);
    }
    if (!board->most)
        cr_assert(harness_until((board->arrived == 2 && is_asleep(waiter)) || board->most));
    const bool again = board->most; /* the other one was first */
    board->ns = harness_now_ns();
    kill(holder, SIGKILL);
    cr_assert_eq(harness_wait(waiter), 0);
    cr_assert_eq(harness_wait(holder), -SIGKILL);
    return again ? UINT64_MAX : board->ns;
}

/*
 * The death of a holder is noticed when it happens, and not at the next look a second later. The
 * median of some rounds, and a bound that is far above what it takes, are for a busy machine.
 */
static void death_is_noticed_at_once(enum history history)
{
    enum { ROUNDS = 7 };
    uint64_t delays[ROUNDS];
    board_make();
    for (int round = 0, tries = 0; round < ROUNDS && tries < 100; tries++) {
        waits_make();
        const shoal_lock own = waits.lock;
        if (history == SLEPT_IN_A_CONDITION)
            assert_code(shoal_lock_release(own), 0);
        delays[round] = delay_of_a_death(history);
        round += delays[round] != UINT64_MAX;
        if (history == SLEPT_IN_A_CONDITION)
            waits.lock = own;
        waits_end();
    }
    qsort(delays, ROUNDS, sizeof *delays, compare);
    cr_assert_lt(delays[ROUNDS / 2], 400000000, "median %llu ms",
                 (unsigned long long)delays[ROUNDS / 2] / 1000000);
}

Test(sync, death_of_a_holder_that_had_waited_is_noticed_at_once_1_12_5, .timeout = 120)
{
    death_is_noticed_at_once(WAITED);
}

Test(sync, death_of_a_holder_that_had_waited_twice_is_noticed_at_once_1_12_5, .timeout = 120)
{
    death_is_noticed_at_once(WAITED_FOR_ANOTHER_TOO);
}

Test(sync, death_of_a_holder_that_was_notified_is_noticed_at_once_1_12_5, .timeout = 120)
{
    death_is_noticed_at_once(SLEPT_IN_A_CONDITION);
}

/* --- stopped, not dead ---------------------------------------------------------------------- */

static int holds_and_releases(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_semaphore_acquire(waits.owned, SHOAL_NOW) == 0);
    board->arrived = 1;
    board_wait(&board->go, 1);
    CHILD_CHECK(shoal_lock_release(waits.lock) == 0);
    CHILD_CHECK(shoal_semaphore_release(waits.owned) == 0);
    return 0;
}

/* 1.5.7 for locks and permits. */
Test(sync, stopped_holder_is_alive_1_5_7, .timeout = 60)
{
    board_make();
    waits_make();
    assert_code(shoal_lock_release(waits.lock), 0);
    assert_code(shoal_semaphore_release(waits.owned), 0);
    const pid_t pid = harness_child(holds_and_releases, NULL);
    cr_assert(harness_until(board->arrived));
    kill(pid, SIGSTOP);
    cr_assert(harness_until(harness_state(pid) == 'T'));
    assert_code(shoal_lock_acquire(waits.lock, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_lock_acquire(waits.lock, shoal_after_ms(1500)), -ETIMEDOUT); /* past a tick */
    assert_code(shoal_semaphore_acquire(waits.owned, shoal_after_ms(200)), -ETIMEDOUT);
    cr_assert_eq(shoal_semaphore_value(waits.owned), 0);
    cr_assert_not(shoal_lock_owner_died(waits.lock));
    board->go = 1;
    kill(pid, SIGCONT);
    assert_code(shoal_lock_acquire(waits.lock, harness_deadline()), 0);
    assert_code(shoal_semaphore_acquire(waits.owned, harness_deadline()), 0);
    cr_assert_eq(harness_wait(pid), 0);
    assert_code(shoal_lock_release(waits.lock), 0);
    waits_end();
}

/* Stopped and killed: dead. */
Test(sync, stopped_holder_that_is_killed_is_dead_1_12_5, .timeout = 60)
{
    board_make();
    waits_make();
    assert_code(shoal_lock_release(waits.lock), 0);
    assert_code(shoal_semaphore_release(waits.owned), 0);
    const pid_t pid = harness_child(holds_and_releases, NULL);
    cr_assert(harness_until(board->arrived));
    kill(pid, SIGSTOP);
    kill(pid, SIGKILL);
    assert_code(shoal_lock_acquire(waits.lock, harness_deadline()), SHOAL_OWNER_DIED);
    assert_code(shoal_semaphore_acquire(waits.owned, harness_deadline()), 0);
    cr_assert_eq(harness_wait(pid), -SIGKILL);
    waits_end();
}

/* --- among the living ----------------------------------------------------------------------- */

static int increments(void *argument)
{
    const int rounds = *(int *)argument;
    for (int i = 0; i < rounds; i++) {
        CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_FOREVER) == 0);
        board->counter++;
        CHILD_CHECK(shoal_lock_release(waits.lock) == 0);
    }
    return 0;
}

Test(sync, eight_processes_increment_a_counter_1_12_4, .timeout = 120)
{
    enum { PROCESSES = 8, ROUNDS = 100000 };
    pid_t pids[PROCESSES];
    int rounds = ROUNDS;
    board_make();
    waits_make();
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = harness_child(increments, &rounds);
    assert_code(shoal_lock_release(waits.lock), 0);
    for (int i = 0; i < PROCESSES; i++)
        cr_assert_eq(harness_wait_ms(pids[i], 100000), 0);
    cr_assert_eq(board->counter, (unsigned long)PROCESSES * ROUNDS);
    cr_assert_not(shoal_lock_owner_died(waits.lock));
    waits_end();
}

static int releases_the_parents(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(shoal_lock_acquire(waits.rlock, SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(shoal_lock_release(waits.rlock) == -EPERM);
    CHILD_CHECK(
        strstr(shoal_error_message(), "attempt to release recursive lock not owned by thread"));
    CHILD_CHECK(shoal_lock_release(waits.lock) == 0);
    CHILD_CHECK(shoal_lock_release(waits.lock) == -EOVERFLOW);
    CHILD_CHECK(shoal_semaphore_release(waits.owned) == -EPERM);
    CHILD_CHECK(shoal_semaphore_value(waits.owned) == 0);
    CHILD_CHECK(shoal_semaphore_release(waits.semaphore) == 0);
    return 0;
}

/* 1.12.3 2.18: a child holds none of its parent's, and may release what anybody may. */
Test(sync, release_by_another_process_1_12_3, .timeout = 60)
{
    waits_make();
    cr_assert_eq(harness_wait(harness_child(releases_the_parents, NULL)), 0);
    assert_code(shoal_lock_acquire(waits.lock, SHOAL_NOW), 0); /* nobody died with it */
    assert_code(shoal_lock_acquire(waits.rlock, SHOAL_NOW), 0);
    assert_code(shoal_lock_release(waits.rlock), 0);
    assert_code(shoal_semaphore_acquire(waits.semaphore, SHOAL_NOW), 0);
    assert_code(shoal_semaphore_release(waits.owned), 0);
    waits_end();
}

static int all_wait_kinds_time_out(void *argument)
{
    (void)argument;
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        CHILD_CHECK(wait_kinds[kind].wait(shoal_after_ms(10)) == -ETIMEDOUT);
        if (kind == WAIT_BARRIER)
            CHILD_CHECK(shoal_barrier_reset(waits.barrier) == 0);
    }
    return 0;
}

/* A child forked by other means is itself: the same by _Fork(), which runs no handlers. */
Test(sync, forked_child_holds_nothing_of_its_parent, .timeout = 60)
{
    waits_make();
    for (int round = 0; round < 2; round++) {
        const pid_t pid = round ? _Fork() : fork();
        if (pid == 0)
            _exit(all_wait_kinds_time_out(NULL));
        cr_assert_eq(harness_wait(pid), 0);
    }
    assert_code(shoal_lock_release(waits.rlock), 0); /* still the parent's */
    assert_code(shoal_semaphore_release(waits.owned), 0);
    waits_end();
}

static int is_cancelled(void *argument)
{
    const enum wait_kind kind = *(enum wait_kind *)argument;
    CHILD_CHECK(wait_kinds[kind].wait(shoal_until(SHOAL_FOREVER, waits.event)) == -ECANCELED);
    return 0;
}

/* The event is set by another process; a waiter beside them is killed. */
Test(sync, waits_of_other_processes_are_cancelled, .timeout = 120)
{
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        if (kind == WAIT_EVENT)
            continue;
        const int count = kind == WAIT_BARRIER ? 1 : 3;
        pid_t pids[3];
        for (int i = 0; i < count; i++)
            pids[i] = harness_child(is_cancelled, &kind);
        for (int i = 0; i < count; i++)
            cr_assert(harness_until(is_asleep(pids[i])));
        if (count == 3)
            kill(pids[1], SIGKILL);
        assert_code(shoal_event_set(waits.event), 0);
        for (int i = 0; i < count; i++) {
            const int status = harness_wait(pids[i]);
            cr_assert(status == 0 || (i == 1 && status == -SIGKILL), "%s: %d",
                      wait_kinds[kind].name, status);
        }
        assert_code(shoal_event_clear(waits.event), 0);
        if (kind == WAIT_BARRIER)
            assert_code(shoal_barrier_reset(waits.barrier), 0);
    }
    waits_end();
}

static int is_told_of_the_end(void *argument)
{
    const enum wait_kind kind = *(enum wait_kind *)argument;
    CHILD_CHECK(wait_kinds[kind].wait(SHOAL_FOREVER) == -ESTALE);
    return 0;
}

Test(sync, waiters_of_other_processes_are_told_of_the_end, .timeout = 120)
{
    enum { EACH = 3 };
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        pid_t pids[EACH];
        const int count = kind == WAIT_BARRIER ? 1 : EACH;
        for (int i = 0; i < count; i++)
            pids[i] = harness_child(is_told_of_the_end, &kind);
        for (int i = 0; i < count; i++)
            cr_assert(harness_until(is_asleep(pids[i])));
        assert_code(wait_kinds[kind].destroy(), 0);
        for (int i = 0; i < count; i++)
            cr_assert_eq(harness_wait(pids[i]), 0, "%s", wait_kinds[kind].name);
    }
}

/* --- the tutorial's lock -------------------------------------------------------------------- */

static int file_fd;

static int appends_a_line(void *argument)
{
    const int number = *(int *)argument;
    char line[64];
    const int size = snprintf(line, sizeof line, "Lock acquired by worker %d\n", number);
    if (number == 1) {
        SHOAL_WITH(waits.lock)
        for (int i = 0; i < size; i++)
            CHILD_CHECK(write(file_fd, line + i, 1) == 1);
        return 0;
    }
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_FOREVER) == 0);
    for (int i = 0; i < size; i++)
        CHILD_CHECK(write(file_fd, line + i, 1) == 1);
    CHILD_CHECK(shoal_lock_release(waits.lock) == 0);
    return 0;
}

Test(sync, two_workers_append_intact_lines_1_12_1, .timeout = 60)
{
    char text[256] = "";
    waits_make();
    assert_code(shoal_lock_release(waits.lock), 0);
    file_fd = memfd_create("lines", MFD_CLOEXEC);
    pid_t pids[2];
    for (int i = 0; i < 2; i++) {
        int number = i + 1;
        pids[i] = harness_child(appends_a_line, &number);
    }
    for (int i = 0; i < 2; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    cr_assert_gt(pread(file_fd, text, sizeof text - 1, 0), 0);
    const char *const one = "Lock acquired by worker 1\n";
    const char *const two = "Lock acquired by worker 2\n";
    cr_assert(strstr(text, one) && strstr(text, two));
    cr_assert_eq(strlen(text), strlen(one) + strlen(two));
    close(file_fd);
    waits_end();
}
