/* Slots: claimed at first use, given back by who leaves, settled for the dead by anybody. */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "../../../asleep.h"
#include "../scenarios.h"
#include "mem/self.h"

enum { BLOCK_SIZE = 100 };

static shoal_lock lock;
static shoal_semaphore owned;
static shoal_condition condition;

static void set_up_nothing(void)
{
}

static int attach_and_leave(void)
{
    const int code = step_attach();
    shl_self_leave();
    return code;
}

static void set_up_all(void)
{
    STEP_CHECK(shoal_lock_create(NULL, &lock) == 0);
    STEP_CHECK(shoal_semaphore_create(2, &(shoal_semaphore_options){ .owned = true }, &owned) == 0);
    STEP_CHECK(shoal_condition_create(NULL, &condition) == 0);
}

static int hold(void)
{
    int code = shoal_lock_acquire(lock, SHOAL_NOW);
    if (code >= 0)
        code = shoal_semaphore_acquire(owned, SHOAL_NOW);
    return code;
}

/* Until it is killed, so that everything there is names it. */
static int wait_in_condition(void)
{
    const int code = shoal_condition_acquire(condition, SHOAL_NOW);
    return code < 0 ? code : shoal_condition_wait(condition, SHOAL_FOREVER);
}

static int leave(void)
{
    shl_self_leave();
    return 0;
}

static int use(void)
{
    int code = shoal_lock_acquire(lock, step_deadline());
    if (code < 0)
        return code;
    shoal_lock_clear_owner_died(lock);
    STEP_CHECK(shoal_lock_release(lock) == 0);
    code = shoal_semaphore_acquire(owned, step_deadline());
    return code < 0 ? code : shoal_semaphore_release(owned);
}

/* The victim's other thread: has a lock and memory, and sleeps until both are killed. */
static void *accompany(void *unused)
{
    STEP_CHECK(shoal_lock_acquire(lock, SHOAL_NOW) == 0 && shoal_alloc(BLOCK_SIZE));
    board->companion = gettid();
    STEP_CHECK(wait_in_condition() < 0);
    return unused;
}

/* Only one of a process's threads is traced: the other one sleeps before the first step. */
static int begin_companion(void)
{
    pthread_t thread;
    const int code = step_attach();
    if (code < 0 || pthread_create(&thread, NULL, accompany, NULL) != 0)
        return code < 0 ? code : -1;
    while (!__atomic_load_n(&board->companion, __ATOMIC_ACQUIRE) || !is_asleep(board->companion))
        sched_yield();
    return 0;
}

static int use_own(void)
{
    void *block = shoal_alloc(BLOCK_SIZE);
    STEP_CHECK(block);
    const int code = shoal_semaphore_acquire(owned, step_deadline());
    shoal_free(block);
    return code < 0 ? code : shoal_semaphore_release(owned);
}

/* What the other thread had, once both are dead. */
static int use_all(void)
{
    const int code = board->killed[ROLE_VICTIM] ? use() : 0;
    return code < 0 ? code : use_own();
}

static void check(void)
{
    STEP_CHECK(use() == 0);
    STEP_CHECK(shoal_semaphore_value(owned) == 2);
    STEP_CHECK(shoal_condition_acquire(condition, SHOAL_NOW) >= 0);
    STEP_CHECK(shoal_condition_notify_all(condition) == 0);
    STEP_CHECK(shoal_condition_release(condition) == 0);
}

const struct scenario peer_scenarios[] = {
    { .name = "attach",
      .set_up = set_up_nothing,
      .actors = { [ROLE_VICTIM] = { .act = step_attach },
                  [ROLE_SURVIVOR] = { .act = attach_and_leave },
                  [ROLE_SURVIVOR_2] = { .act = step_attach } },
      .takes_long = true },
    { .name = "leave",
      .set_up = set_up_all,
      .actors = { [ROLE_VICTIM] = { hold, leave },
                  [ROLE_SURVIVOR] = { step_attach, use },
                  [ROLE_SURVIVOR_2] = { step_attach, step_bury } },
      .check = check,
      .takes_long = true },
    { .name = "recovery",
      .set_up = set_up_all,
      .actors = { [ROLE_DEAD] = { hold, wait_in_condition },
                  [ROLE_VICTIM] = { step_attach, step_bury },
                  [ROLE_SURVIVOR] = { step_attach, step_bury },
                  [ROLE_SURVIVOR_2] = { step_attach, use } },
      .check = check,
      .takes_long = true },
    { .name = "threads",
      .set_up = set_up_all,
      .actors = { [ROLE_VICTIM] = { begin_companion, use_own },
                  [ROLE_SURVIVOR] = { step_attach, use_all },
                  [ROLE_SURVIVOR_2] = { step_attach, use_all } },
      .check = check },
    { 0 },
};
