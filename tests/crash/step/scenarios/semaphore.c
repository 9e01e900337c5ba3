/* Semaphores: a permit is either free or somebody's; plain ones die with who took them, owned ones
 * come back. */
#include <errno.h>

#include "../scenarios.h"

enum { PERMITS = 3 };

/* words[]: permits that survivors have taken and keep, and that they have added. */
enum { TAKEN, ADDED };

static shoal_semaphore semaphore;

static void set_up(void)
{
    STEP_CHECK(shoal_semaphore_create(0, NULL, &semaphore) == 0);
}

static void set_up_bounded(void)
{
    const shoal_semaphore_options options = { .bounded = true };
    STEP_CHECK(shoal_semaphore_create(PERMITS, &options, &semaphore) == 0);
}

static void set_up_owned(void)
{
    const shoal_semaphore_options options = { .owned = true };
    STEP_CHECK(shoal_semaphore_create(1, &options, &semaphore) == 0);
}

static int acquire(void)
{
    return shoal_semaphore_acquire(semaphore, step_deadline());
}

static int release(void)
{
    return shoal_semaphore_release(semaphore);
}

static int use(void)
{
    const int code = acquire();
    return code < 0 ? code : release();
}

static int take(void)
{
    const int code = acquire();
    board->words[TAKEN] += code == 0;
    return code;
}

/* Only if the victim has not: else its permit must have reached the sleeper already. */
static int add_if_missing(void)
{
    if (shoal_semaphore_value(semaphore) + board->words[TAKEN] > 0)
        return 0;
    board->words[ADDED]++;
    return release();
}

/* The victim's permit, and those added by survivors, are there, or were taken. */
static void check_release(void)
{
    const unsigned there = shoal_semaphore_value(semaphore) + (unsigned)board->words[TAKEN];
    const unsigned added = (unsigned)board->words[ADDED];
    STEP_CHECK(there <= added + 1);
    STEP_CHECK(there + (board->deaths > 1) >= added + !board->killed[ROLE_VICTIM]);
}

static int use_if_there(void)
{
    const int code = shoal_semaphore_acquire(semaphore, SHOAL_NOW);
    return code == 0 ? release() : code == -ETIMEDOUT ? 0 : code;
}

static void check_wait(void)
{
    const unsigned value = shoal_semaphore_value(semaphore);
    STEP_CHECK(value == 1 || (value == 0 && board->deaths > 0));
}

static void check_bounded(void)
{
    const unsigned value = shoal_semaphore_value(semaphore);
    STEP_CHECK(value <= PERMITS && value + (unsigned)board->deaths >= PERMITS);
    for (unsigned i = value; i < PERMITS; i++)
        STEP_CHECK(release() == 0);
    STEP_CHECK(release() == -EOVERFLOW);
}

static void check_owned(void)
{
    STEP_CHECK(shoal_semaphore_value(semaphore) == 1);
    STEP_CHECK(use() == 0);
    STEP_CHECK(release() == -EOVERFLOW);
}

const struct scenario semaphore_scenarios[] = {
    { .name = "semaphore",
      .set_up = set_up_bounded,
      .actors = { [ROLE_VICTIM] = { step_attach, use },
                  [ROLE_SURVIVOR] = { step_attach, use },
                  [ROLE_SURVIVOR_2] = { step_attach, use } },
      .check = check_bounded },
    { .name = "semaphore release with a sleeper",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, release },
                  [ROLE_SURVIVOR] = { step_attach, take, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, add_if_missing },
                  [ROLE_SURVIVOR_3] = { step_attach, add_if_missing } },
      .check = check_release },
    { .name = "semaphore wait",
      .set_up = set_up,
      .actors = { [ROLE_WAKER] = { step_attach, release },
                  [ROLE_VICTIM] = { step_attach, use },
                  [ROLE_SURVIVOR] = { step_attach, use_if_there } },
      .check = check_wait },
    { .name = "owned semaphore",
      .set_up = set_up_owned,
      .actors = { [ROLE_VICTIM] = { step_attach, use },
                  [ROLE_SURVIVOR] = { step_attach, use },
                  [ROLE_SURVIVOR_2] = { step_attach, use } },
      .check = check_owned },
    { .name = "owned semaphore release with a sleeper",
      .set_up = set_up_owned,
      .actors = { [ROLE_VICTIM] = { acquire, release },
                  [ROLE_SURVIVOR] = { step_attach, use, TURN_BEFORE },
                  [ROLE_SURVIVOR_2] = { step_attach, use } },
      .check = check_owned },
    { .name = "owned semaphore wait",
      .set_up = set_up_owned,
      .actors = { [ROLE_WAKER] = { acquire, release },
                  [ROLE_VICTIM] = { step_attach, use },
                  [ROLE_SURVIVOR] = { step_attach, step_bury },
                  [ROLE_SURVIVOR_2] = { step_attach, use } },
      .check = check_owned },
    { 0 },
};
