/* Barriers: all pass, or all are told that one is missing; nobody waits for the dead. */
#include <errno.h>

#include "../scenarios.h"

/* words[]: how often a wait has passed, has been told that the barrier is broken, and the barrier's
 * action was run. */
enum { PASSED, BROKEN, ACTED };

static shoal_barrier barrier;

static void set_up_two(void)
{
    STEP_CHECK(shoal_barrier_create(2, NULL, &barrier) == 0);
}

static void set_up_three(void)
{
    STEP_CHECK(shoal_barrier_create(3, NULL, &barrier) == 0);
}

static void act(void *context)
{
    (void)context;
    STEP_CHECK(board->words[PASSED] == 0);
    board->words[ACTED]++;
}

static void set_up_action(void)
{
    STEP_CHECK(shoal_barrier_create(3, &(shoal_barrier_options){ .action = act }, &barrier) == 0);
}

static int wait(void)
{
    unsigned index;
    const int code = shoal_barrier_wait(barrier, &index, step_deadline());
    board->words[PASSED] += code == 0;
    board->words[BROKEN] += code == -ECONNABORTED || (code == -ETIMEDOUT && board->stopped);
    return code == -ECONNABORTED && board->words[BROKEN] + (unsigned)board->deaths > 1 ? 0 : code;
}

/* The other party, unless there is nobody to meet. Who gives up has broken it: not twice. */
static int meet(void)
{
    const int code = board->killed[ROLE_VICTIM] ? 0 : wait();
    return code == -ETIMEDOUT ? 0 : code;
}

/* In the place of the victim that was killed before it came. */
static int stand_in(void)
{
    return board->killed[ROLE_VICTIM] && shoal_barrier_waiting(barrier) == 2 ? wait() : 0;
}

static void check(void)
{
    STEP_CHECK(shoal_barrier_reset(barrier) == 0);
    STEP_CHECK(!shoal_barrier_is_broken(barrier));
    STEP_CHECK(shoal_barrier_waiting(barrier) == 0);
}

static void check_action(void)
{
    STEP_CHECK(board->words[ACTED] <= 1);
    STEP_CHECK(board->words[PASSED] == 0 || board->words[ACTED] == 1);
    check();
}

const struct scenario barrier_scenarios[] = {
    { .name = "barrier wait of the last one",
      .set_up = set_up_three,
      .actors = { [ROLE_VICTIM] = { step_attach, wait },
                  [ROLE_SURVIVOR] = { step_attach, wait, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, wait, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_3] = { step_attach, stand_in },
                  [ROLE_SURVIVOR_4] = { step_attach, stand_in } },
      .check = check },
    { .name = "barrier with an action",
      .set_up = set_up_action,
      .actors = { [ROLE_VICTIM] = { step_attach, wait },
                  [ROLE_SURVIVOR] = { step_attach, wait, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, wait, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_3] = { step_attach, stand_in },
                  [ROLE_SURVIVOR_4] = { step_attach, stand_in } },
      .check = check_action },
    { .name = "barrier wait",
      .set_up = set_up_two,
      .actors = { [ROLE_WAKER] = { step_attach, meet },
                  [ROLE_VICTIM] = { step_attach, wait },
                  [ROLE_SURVIVOR] = { step_attach, step_bury } },
      .check = check },
    { 0 },
};
