/* Locks: whoever is killed with one, the next one gets it, and is told. */
#include "../scenarios.h"

/* words[]: what the lock guards, both the same unless a holder died. */
enum { LEFT, RIGHT };

static shoal_lock lock;
static bool is_held; /* by this process */

static void set_up(void)
{
    STEP_CHECK(shoal_lock_create(NULL, &lock) == 0);
}

static void set_up_recursive(void)
{
    STEP_CHECK(shoal_rlock_create(&lock) == 0);
}

static int acquire(void)
{
    const int code = shoal_lock_acquire(lock, step_deadline());
    if (code < 0)
        return code;
    is_held = true;
    STEP_CHECK(code == 0 || board->deaths > 0);
    STEP_CHECK(code == SHOAL_OWNER_DIED || board->words[LEFT] == board->words[RIGHT]);
    if (code == SHOAL_OWNER_DIED) {
        board->words[RIGHT] = board->words[LEFT];
        STEP_CHECK(shoal_lock_clear_owner_died(lock) == 0);
    }
    board->words[LEFT]++;
    return 0;
}

static int release(void)
{
    if (!is_held)
        return 0;
    is_held = false;
    board->words[RIGHT]++;
    return shoal_lock_release(lock);
}

static int use(void)
{
    const int code = acquire();
    return code < 0 ? code : release();
}

static int use_twice_deep(void)
{
    int code = acquire();
    if (code < 0)
        return code;
    STEP_CHECK(shoal_lock_acquire(lock, SHOAL_NOW) == 0);
    STEP_CHECK(shoal_lock_release(lock) == 0);
    return release();
}

static void check(void)
{
    STEP_CHECK(use() == 0);
    STEP_CHECK(shoal_lock_release(lock) < 0);
}

const struct scenario lock_scenarios[] = {
    { .name = "lock",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use },
                  [ROLE_SURVIVOR] = { step_attach, use },
                  [ROLE_SURVIVOR_2] = { step_attach, use } },
      .check = check },
    { .name = "lock release with a sleeper",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { acquire, release },
                  [ROLE_SURVIVOR] = { step_attach, use, .turn = TURN_BEFORE },
                  [ROLE_SURVIVOR_2] = { step_attach, use } },
      .check = check },
    { .name = "lock wait",
      .set_up = set_up,
      .actors = { [ROLE_WAKER] = { acquire, release },
                  [ROLE_VICTIM] = { step_attach, use },
                  [ROLE_SURVIVOR] = { step_attach, use } },
      .check = check },
    { .name = "rlock",
      .set_up = set_up_recursive,
      .actors = { [ROLE_VICTIM] = { step_attach, use_twice_deep },
                  [ROLE_SURVIVOR] = { step_attach, use_twice_deep } },
      .check = check },
    { 0 },
};
