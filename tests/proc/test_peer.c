/* Who is who among processes, however they begin and end. */
#include "../sync.h"

#include <sys/wait.h>

TestSuite(peer_death, .timeout = 60);

static shoal_lock mine, free_one;
static shoal_semaphore owned;

static int uses_and_dies(void *argument)
{
    void *payload = shoal_alloc(100);
    CHILD_CHECK(payload);
    CHILD_CHECK(shoal_lock_acquire(free_one, SHOAL_NOW) >= 0);
    CHILD_CHECK(shoal_lock_release(free_one) == 0);
    raise(SIGKILL);
    return argument != NULL;
}

/* More than there are slots. */
Test(peer_death, processes_killed_one_after_the_other_leave_their_slots, .timeout = 60)
{
    free_one = lock_new(false);
    for (int i = 0; i < 1500; i++) {
        const int status = harness_wait(harness_child(uses_and_dies, NULL));
        cr_assert_eq(status, -SIGKILL, "process %d: %d", i, status);
    }
    assert_code(shoal_lock_destroy(free_one), 0);
}

static int holds_and_dies(void *argument)
{
    CHILD_CHECK(shoal_lock_acquire(mine, SHOAL_FOREVER) >= 0);
    CHILD_CHECK(shoal_semaphore_acquire(owned, SHOAL_FOREVER) == 0);
    raise(SIGKILL);
    return argument != NULL;
}

/* 1.12.5 1.14.3 */
Test(peer_death, what_they_held_comes_back_each_time_1_12_5_1_14_3, .timeout = 60)
{
    mine = lock_new(true);
    owned = owned_new(1);
    for (int i = 0; i < 1200; i++) {
        const int status = harness_wait(harness_child(holds_and_dies, NULL));
        cr_assert_eq(status, -SIGKILL, "process %d: %d", i, status);
    }
    assert_code(shoal_lock_acquire(mine, SHOAL_NOW), SHOAL_OWNER_DIED);
    assert_code(shoal_semaphore_acquire(owned, harness_deadline()), 0);
    assert_code(shoal_lock_destroy(mine), 0);
    assert_code(shoal_semaphore_destroy(owned), 0);
}

static void child_of_any_fork(void)
{
    shoal_owner owner;
    const pid_t parent = getppid();
    CHILD_CHECK(shoal_lock_owner(mine, &owner) == 0);
    CHILD_CHECK(owner.pid == parent);
    CHILD_CHECK(shoal_lock_release(mine) == -EPERM);
    CHILD_CHECK(shoal_lock_acquire(mine, SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(shoal_semaphore_acquire(owned, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_semaphore_acquire(owned, SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(shoal_lock_acquire(free_one, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_lock_owner(free_one, &owner) == 0);
    CHILD_CHECK(owner.pid == getpid());
    CHILD_CHECK(owner.tid == (pid_t)syscall(SYS_gettid));
    void *payload = shoal_alloc(10);
    CHILD_CHECK(payload);
    raise(SIGKILL);
}

static pid_t fork_by_underscore(void)
{
    return _Fork();
}

static pid_t fork_by_syscall(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static void child_is_itself(pid_t (*by)(void))
{
    shoal_owner owner;
    const pid_t pid = by();
    if (pid == 0)
        child_of_any_fork();
    cr_assert_gt(pid, 0);
    cr_assert_eq(harness_wait_ms(pid, 10000), -SIGKILL);
    assert_code(shoal_lock_owner(mine, &owner), 0); /* its death is not its parent's */
    cr_assert_eq(owner.pid, getpid());
    cr_assert_not(shoal_lock_owner_died(mine));
    assert_code(shoal_lock_acquire(free_one, harness_deadline()), SHOAL_OWNER_DIED);
    assert_code(shoal_lock_owner(free_one, &owner), 0);
    cr_assert_eq(owner.pid, pid);
    assert_code(shoal_lock_clear_owner_died(free_one), 0);
    assert_code(shoal_lock_release(free_one), 0);
    assert_code(shoal_semaphore_acquire(owned, harness_deadline()), 0); /* the child's one */
    assert_code(shoal_semaphore_acquire(owned, SHOAL_NOW), -ETIMEDOUT); /* not the parent's */
    assert_code(shoal_semaphore_release(owned), 0);
}

Test(peer_death, child_of_any_fork_has_its_own_identity, .timeout = 60)
{
    mine = lock_new(true);
    free_one = lock_new(false);
    owned = owned_new(2);
    assert_code(shoal_lock_acquire(mine, SHOAL_NOW), 0);
    assert_code(shoal_semaphore_acquire(owned, SHOAL_NOW), 0);
    for (int round = 0; round < 5; round++) {
        child_is_itself(fork_by_underscore);
        child_is_itself(fork_by_syscall);
    }
    assert_code(shoal_semaphore_release(owned), 0);
    assert_code(shoal_lock_release(mine), 0);
    assert_code(shoal_lock_destroy(mine), 0);
    assert_code(shoal_lock_destroy(free_one), 0);
    assert_code(shoal_semaphore_destroy(owned), 0);
}
