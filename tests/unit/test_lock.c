/* Locks, by threads of one process: who holds, who may release, and what a dead holder leaves. */
#include "sync.h"

#include <sys/prctl.h>

TestSuite(lock, .timeout = 120);

/* --- taking and releasing ------------------------------------------------------------------- */

struct call {
    shoal_lock lock;
    shoal_deadline deadline;
    int code;
    pid_t tid;
};

static void *acquires(void *argument)
{
    struct call *call = argument;
    call->tid = (pid_t)syscall(SYS_gettid);
    call->code = shoal_lock_acquire(call->lock, call->deadline);
    return NULL;
}

static void *releases(void *argument)
{
    struct call *call = argument;
    call->code = shoal_lock_release(call->lock);
    return NULL;
}

static int acquire_elsewhere(shoal_lock lock, shoal_deadline deadline)
{
    struct call call = { .lock = lock, .deadline = deadline };
    in_thread(acquires, &call);
    return call.code;
}

static int release_elsewhere(shoal_lock lock)
{
    struct call call = { .lock = lock };
    in_thread(releases, &call);
    return call.code;
}

Test(lock, held_by_the_same_thread_it_is_not_to_be_had_1_12_2, .timeout = 60)
{
    const shoal_lock lock = lock_new(false);
    assert_code(shoal_lock_acquire(lock, SHOAL_FOREVER), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), -ETIMEDOUT);
    const uint64_t begin = harness_now_ns();
    assert_code(shoal_lock_acquire(lock, shoal_after_ms(30)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns() - begin, 30000000);
    cr_assert_str_eq(shoal_error_message(), "the calling thread itself holds the lock");
    assert_code(shoal_lock_acquire(lock, shoal_after_ms(-1)), -ETIMEDOUT);
    assert_code(acquire_elsewhere(lock, SHOAL_NOW), -ETIMEDOUT);
    assert_code(acquire_elsewhere(lock, shoal_after_ms(5)), -ETIMEDOUT);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

Test(lock, release_of_a_free_one_is_an_error_1_12_3, .timeout = 60)
{
    const shoal_lock lock = lock_new(false);
    for (int i = 0; i < 3; i++) {
        assert_code(shoal_lock_release(lock), -EOVERFLOW);
        cr_assert(strstr(shoal_error_message(), "semaphore or lock released too many times"));
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), -ETIMEDOUT);
        assert_code(shoal_lock_release(lock), 0);
    }
    assert_code(shoal_lock_destroy(lock), 0);
}

Test(lock, any_thread_may_release_it_1_12_3, .timeout = 60)
{
    const shoal_lock lock = lock_new(false);
    for (int i = 0; i < 10; i++) {
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        assert_code(release_elsewhere(lock), 0);
        assert_code(release_elsewhere(lock), -EOVERFLOW);
    }
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

/* Released by another while a third one sleeps. */
Test(lock, release_by_another_wakes_who_waits_1_12_3, .timeout = 60)
{
    waits_make();
    struct waiter waiter = { .kind = WAIT_LOCK, .deadline = SHOAL_FOREVER };
    waiter_start(&waiter);
    waiter_sleeps(&waiter);
    assert_code(release_elsewhere(waits.lock), 0);
    assert_code(waiter_ends(&waiter), 0);
    waits_end();
}

/* 2.18 */
Test(lock, recursive_one_counts_2_18, .timeout = 60)
{
    shoal_lock lock;
    assert_code(shoal_rlock_create(&lock), 0);
    for (int i = 0; i < 3; i++)
        assert_code(shoal_lock_acquire(lock, i % 2 ? SHOAL_NOW : SHOAL_FOREVER), 0);
    for (int i = 0; i < 3; i++) {
        assert_code(acquire_elsewhere(lock, SHOAL_NOW), -ETIMEDOUT);
        assert_code(shoal_lock_release(lock), 0);
    }
    const int code = shoal_lock_release(lock);
    cr_assert(code == -EPERM || code == -EOVERFLOW, "%s", shoal_strerror(code));
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

/* 1.12.3 2.18 */
Test(lock, recursive_one_is_released_by_its_owner_only_2_18, .timeout = 60)
{
    const shoal_lock lock = lock_new(true);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    struct call call = { .lock = lock };
    in_thread(releases, &call);
    assert_code(call.code, -EPERM);
    assert_code(acquire_elsewhere(lock, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(acquire_elsewhere(lock, SHOAL_NOW), -ETIMEDOUT); /* still held once */
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

static void *errors_of_a_free_recursive_one(void *argument)
{
    const shoal_lock *lock = argument;
    const int code = shoal_lock_release(*lock);
    return strstr(shoal_error_message(), "attempt to release recursive lock not owned by thread") ||
                   code == -EOVERFLOW
               ? NULL
               : argument;
}

/* 1.12.3: the text of the spec. */
Test(lock, error_of_a_foreign_recursive_release_says_so_1_12_3, .timeout = 60)
{
    shoal_lock lock = lock_new(true);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    void *failed = NULL;
    cr_assert_eq(pthread_join(thread_start(errors_of_a_free_recursive_one, &lock), &failed), 0);
    cr_assert_null(failed);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

/* --- exclusion ------------------------------------------------------------------------------ */

struct counted {
    shoal_lock lock;
    unsigned count; /* not atomic: ThreadSanitizer looks at it */
    int rounds;
    _Atomic int failures;
};

static void *increments(void *argument)
{
    struct counted *counted = argument;
    for (int i = 0; i < counted->rounds; i++) {
        counted->failures += shoal_lock_acquire(counted->lock, SHOAL_FOREVER) != 0;
        counted->count++;
        counted->failures += shoal_lock_release(counted->lock) != 0;
    }
    return NULL;
}

static void *increments_with_deadlines(void *argument)
{
    struct counted *counted = argument;
    for (int i = 0; i < counted->rounds;) {
        const int code = shoal_lock_acquire(counted->lock, shoal_after_us(i % 7 * 20));
        counted->failures += code != 0 && code != -ETIMEDOUT;
        if (code != 0)
            continue;
        i++;
        counted->count++;
        counted->failures += shoal_lock_release(counted->lock) != 0;
    }
    return NULL;
}

static void *increments_in_scopes(void *argument)
{
    struct counted *counted = argument;
    for (int i = 0; i < counted->rounds; i++)
        SHOAL_WITH(counted->lock)
    SHOAL_WITH(counted->lock)
    counted->count++;
    return NULL;
}

static void counts_right(bool recursive, void *(*function)(void *), int rounds)
{
    enum { THREADS = 4 };
    struct counted counted = { .lock = lock_new(recursive), .rounds = rounds };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(function, &counted);
    for (int i = 0; i < THREADS; i++)
        thread_ends(threads[i]);
    cr_assert_eq(counted.failures, 0);
    cr_assert_eq(counted.count, (unsigned)(THREADS * rounds));
    assert_code(shoal_lock_destroy(counted.lock), 0);
}

/* 1.12.4 with threads; with processes it is in proc/test_sync.c. */
Test(lock, lets_one_in_at_a_time_1_12_4, .timeout = 120)
{
    counts_right(false, increments, HARNESS_SANITIZED ? 20000 : 100000);
}

Test(lock, lets_one_in_at_a_time_among_those_who_give_up, .timeout = 120)
{
    counts_right(false, increments_with_deadlines, HARNESS_SANITIZED ? 3000 : 20000);
}

Test(lock, recursive_one_lets_one_in_at_a_time_2_18, .timeout = 120)
{
    counts_right(true, increments_in_scopes, HARNESS_SANITIZED ? 10000 : 50000);
}

/* --- holders that end ----------------------------------------------------------------------- */

struct holder {
    shoal_lock lock;
    int depth;
    pid_t tid;
    int code;
    _Atomic bool holds, may_end;
};

static void *ends_holding(void *argument)
{
    struct holder *holder = argument;
    prctl(PR_SET_NAME, "the holder");
    holder->tid = (pid_t)syscall(SYS_gettid);
    for (int i = 0; i < holder->depth; i++)
        holder->code |= shoal_lock_acquire(holder->lock, SHOAL_NOW);
    holder->holds = true;
    while (!holder->may_end)
        usleep(100); /* not synchronisation: a pause between rounds */
    return NULL;
}

static struct holder held_by_a_dead_thread(shoal_lock lock, int depth)
{
    struct holder holder = { .lock = lock, .depth = depth, .may_end = true };
    in_thread(ends_holding, &holder);
    cr_assert_eq(holder.code, 0);
    return holder;
}

static void owner_is(shoal_lock lock, pid_t tid)
{
    shoal_owner owner;
    assert_code(shoal_lock_owner(lock, &owner), 0);
    cr_assert_eq(owner.pid, getpid());
    cr_assert_eq(owner.tid, tid);
    cr_assert(memchr(owner.process_name, 0, sizeof owner.process_name));
    cr_assert_neq(owner.process_name[0], 0, "the name is empty");
}

/* 1.12.5: by a thread that ends. */
Test(lock, thread_that_ends_holding_it_is_told_1_12_5, .timeout = 60)
{
    const shoal_lock lock = lock_new(false);
    const struct holder holder = held_by_a_dead_thread(lock, 1);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), SHOAL_OWNER_DIED);
    cr_assert(shoal_lock_owner_died(lock));
    owner_is(lock, holder.tid);
    shoal_owner owner;
    assert_code(shoal_lock_owner(lock, &owner), 0);
    cr_assert(SHOAL_IS_NONE(owner.process), "the dead thread's process lives, but it is dead");
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), -ETIMEDOUT); /* it is held all right */
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), SHOAL_OWNER_DIED); /* nobody has cleared it */
    assert_code(shoal_lock_release(lock), 0);
    assert_code(acquire_elsewhere(lock, SHOAL_NOW), SHOAL_OWNER_DIED); /* and ends holding it */
    assert_code(shoal_lock_clear_owner_died(lock), -EPERM);
    cr_assert(shoal_lock_owner_died(lock));
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), SHOAL_OWNER_DIED);
    assert_code(shoal_lock_clear_owner_died(lock), 0);
    assert_code(shoal_lock_clear_owner_died(lock), 0);
    cr_assert_not(shoal_lock_owner_died(lock));
    owner_is(lock, (pid_t)syscall(SYS_gettid));
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_owner(lock, &owner), -ESRCH);
    assert_code(shoal_lock_destroy(lock), 0);
}

/* 1.12.5 2.18: however deep it was held, the next one holds it once. */
Test(lock, recursive_one_of_a_thread_that_ended_is_held_once_1_12_5, .timeout = 60)
{
    const shoal_lock lock = lock_new(true);
    held_by_a_dead_thread(lock, 3);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), SHOAL_OWNER_DIED);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), SHOAL_OWNER_DIED);
    assert_code(shoal_lock_clear_owner_died(lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    for (int i = 0; i < 3; i++) {
        assert_code(acquire_elsewhere(lock, SHOAL_NOW), -ETIMEDOUT);
        assert_code(shoal_lock_release(lock), 0);
    }
    assert_code(acquire_elsewhere(lock, SHOAL_NOW), 0); /* who ends holding it */
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), SHOAL_OWNER_DIED);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

/* 1.12.5: those who sleep learn of it, one after the other. */
Test(lock, thread_that_ends_holding_it_wakes_those_who_wait_1_12_5, .timeout = 60)
{
    enum { WAITERS = 3 };
    for (int round = 0; round < 20; round++) {
        waits_make();
        assert_code(shoal_lock_release(waits.lock), 0);
        struct holder holder = { .lock = waits.lock, .depth = 1 };
        struct waiter waiters[WAITERS];
        const pthread_t thread = thread_start(ends_holding, &holder);
        cr_assert(harness_until(holder.holds));
        for (int i = 0; i < WAITERS; i++) {
            waiters[i] = (struct waiter){ .kind = WAIT_LOCK, .deadline = SHOAL_FOREVER };
            waiter_start(&waiters[i]);
            waiter_sleeps(&waiters[i]);
        }
        holder.may_end = true;
        thread_ends(thread);
        for (int i = 0; i < WAITERS; i++)
            assert_code(waiter_ends(&waiters[i]), 0); /* wait_lock() releases it again */
        cr_assert(shoal_lock_owner_died(waits.lock));
        waits_end();
    }
}

/* The kernel's list of a thread ends after 2048 entries; ours does not. */
struct many {
    shoal_lock *locks;
    int count, code;
};

static void *takes_many(void *argument)
{
    struct many *many = argument;
    for (int i = 0; i < many->count; i++)
        many->code |= shoal_lock_acquire(many->locks[i], SHOAL_NOW);
    return NULL;
}

Test(lock, thousands_held_by_a_thread_that_ends_are_all_told_1_12_5, .timeout = 120)
{
    enum { LOCKS = 3000 };
    static shoal_lock locks[LOCKS];
    for (int i = 0; i < LOCKS; i++)
        locks[i] = lock_new(i % 2);
    struct many many = { locks, LOCKS, 0 };
    in_thread(takes_many, &many);
    assert_code(many.code, 0);
    for (int i = 0; i < LOCKS; i++) {
        assert_code(shoal_lock_acquire(locks[i], SHOAL_NOW), SHOAL_OWNER_DIED);
        assert_code(shoal_lock_clear_owner_died(locks[i]), 0);
        assert_code(shoal_lock_release(locks[i]), 0);
        assert_code(shoal_lock_destroy(locks[i]), 0);
    }
}

/* --- who holds it --------------------------------------------------------------------------- */

Test(lock, owner_is_readable, .timeout = 60)
{
    for (int recursive = 0; recursive < 2; recursive++) {
        const shoal_lock lock = lock_new(recursive);
        shoal_owner owner;
        memset(&owner, 0x5a, sizeof owner);
        const shoal_owner before = owner;
        assert_code(shoal_lock_owner(lock, &owner), -ESRCH);
        cr_assert_eq(memcmp(&owner, &before, sizeof owner), 0, "a failure wrote its output");
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        owner_is(lock, (pid_t)syscall(SYS_gettid));
        assert_code(shoal_lock_owner(lock, NULL), -EINVAL);
        assert_code(shoal_lock_release(lock), 0);
        struct holder holder = { .lock = lock, .depth = 1 };
        const pthread_t thread = thread_start(ends_holding, &holder);
        cr_assert(harness_until(holder.holds));
        owner_is(lock, holder.tid);
        assert_code(shoal_lock_clear_owner_died(lock), -EPERM);
        holder.may_end = true;
        thread_ends(thread);
        assert_code(shoal_lock_destroy(lock), 0);
    }
}

/* --- its end -------------------------------------------------------------------------------- */

Test(lock, destroyed_it_is_stale_held_or_not, .timeout = 60)
{
    for (int held = 0; held < 2; held++) {
        const shoal_lock lock = lock_new(false);
        shoal_owner owner;
        if (held)
            assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        assert_code(shoal_lock_destroy(lock), 0);
        assert_code(shoal_lock_destroy(lock), 0);
        assert_code(shoal_lock_acquire(lock, SHOAL_FOREVER), -ESTALE);
        assert_code(shoal_lock_release(lock), -ESTALE);
        assert_code(shoal_lock_clear_owner_died(lock), -ESTALE);
        assert_code(shoal_lock_owner(lock, &owner), -ESTALE);
        cr_assert_not(shoal_lock_owner_died(lock));
        const shoal_lock next = lock_new(false); /* perhaps in the same place: open, all the same */
        assert_code(shoal_lock_acquire(next, SHOAL_NOW), 0);
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), -ESTALE);
        assert_code(shoal_lock_release(lock), -ESTALE);
        assert_code(shoal_lock_acquire(next, SHOAL_NOW), -ETIMEDOUT);
        assert_code(shoal_lock_release(next), 0);
        assert_code(shoal_lock_destroy(next), 0);
    }
    assert_code(shoal_lock_destroy((shoal_lock){ 0 }), 0);
}

/* --- scopes --------------------------------------------------------------------------------- */

static bool is_free(shoal_lock lock)
{
    return acquire_elsewhere(lock, SHOAL_NOW) == 0;
}

static int leaves_by_return(shoal_lock lock)
{
    SHOAL_WITH(lock)
    {
        cr_assert(acquire_elsewhere(lock, SHOAL_NOW) == -ETIMEDOUT);
        return 7;
    }
    return 8;
}

static int leaves_by_goto(shoal_lock lock)
{
    int inside = 0;
    SHOAL_WITH(lock)
    {
        inside = 1;
        goto out;
    }
    inside = 2;
out:
    return inside;
}

/* A dead thread's mark is no failure here: is_free() leaves one each time. */
Test(lock, scope_is_left_on_every_way_1_12_1, .timeout = 60)
{
    for (int recursive = 0; recursive < 2; recursive++) {
        const shoal_lock lock = lock_new(recursive);
        int inside = 0, loops = 0;
        SHOAL_WITH(lock)
        {
            inside++;
            cr_assert_eq(acquire_elsewhere(lock, SHOAL_NOW), -ETIMEDOUT);
        }
        else cr_assert_fail("not held");
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        assert_code(shoal_lock_release(lock), 0);
        SHOAL_WITH(lock)
        {
            inside++;
            if (inside)
                break;
            inside = 100;
        }
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        assert_code(shoal_lock_release(lock), 0);
        for (; loops < 3; loops++)
            SHOAL_WITH(lock)
            {
                inside++;
                if (inside)
                    continue;
                inside = 100;
            }
        cr_assert_eq(inside, 5);
        cr_assert_eq(loops, 3, "break and continue end the block, not the loop around it");
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        assert_code(shoal_lock_release(lock), 0);
        cr_assert_eq(leaves_by_return(lock), 7);
        assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        assert_code(shoal_lock_release(lock), 0);
        cr_assert_eq(leaves_by_goto(lock), 1);
        cr_assert(is_free(lock));
        assert_code(shoal_lock_destroy(lock), 0);
    }
}

Test(lock, scope_of_what_cannot_be_held_runs_the_other_block, .timeout = 60)
{
    const shoal_lock lock = lock_new(false);
    int inside = 0, elsewhere = 0;
    assert_code(shoal_lock_destroy(lock), 0);
    SHOAL_WITH(lock)
    inside++;
    else elsewhere++;
    SHOAL_WITH(lock)
    inside++;
    cr_assert(inside == 0 && elsewhere == 1);
    cr_assert(shoal_error_message()[0]);
}

Test(lock, scope_tells_of_a_dead_holder, .timeout = 60)
{
    const shoal_lock lock = lock_new(false);
    held_by_a_dead_thread(lock, 1);
    int inside = 0;
    SHOAL_WITH(lock)
    {
        inside = 1;
        cr_assert(shoal_lock_owner_died(lock));
        assert_code(shoal_lock_clear_owner_died(lock), 0);
    }
    else cr_assert_fail("not held");
    cr_assert(inside);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

/* --- create --------------------------------------------------------------------------------- */

Test(lock, create_refuses_bad_options, .timeout = 60)
{
    shoal_lock lock = { 77 };
    assert_code(shoal_lock_create(NULL, NULL), -EINVAL);
    assert_code(shoal_rlock_create(NULL), -EINVAL);
    for (int i = 0; i < 4; i++) {
        shoal_lock_options options = { .recursive = true };
        options.reserved[i] = 1;
        assert_code(shoal_lock_create(&options, &lock), -EINVAL);
    }
    cr_assert_eq(lock.ref, 77);
}

Test(lock, thousands_come_and_go, .timeout = 120)
{
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .size_max = 8 << 20 }), 0);
    for (int i = 0; i < 200000; i++) {
        const shoal_lock lock = lock_new(i % 2);
        if (i % 3 == 0)
            assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
        assert_code(shoal_lock_destroy(lock), 0);
    }
}
