/* Events: a set reaches all who wait, also if the setter or the first one woken is killed. */
#include "../scenarios.h"

static shoal_event event;

static void set_up(void)
{
    STEP_CHECK(shoal_event_create(NULL, &event) == 0);
}

static int set(void)
{
    return shoal_event_set(event);
}

static int wait(void)
{
    return shoal_event_wait(event, step_deadline());
}

static void check(void)
{
    STEP_CHECK(shoal_event_is_set(event));
    STEP_CHECK(shoal_event_clear(event) == 0);
    STEP_CHECK(!shoal_event_is_set(event));
}

const struct scenario event_scenarios[] = {
    { .name = "event set with sleepers",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, set },
                  [ROLE_SURVIVOR] = { step_attach, wait, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, wait, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_3] = { step_attach, set },
                  [ROLE_SURVIVOR_4] = { step_attach, set } },
      .check = check },
    { .name = "event wait",
      .set_up = set_up,
      .actors = { [ROLE_WAKER] = { step_attach, set },
                  [ROLE_VICTIM] = { step_attach, wait },
                  [ROLE_SURVIVOR] = { step_attach, wait, TURN_BEFORE },
                  [ROLE_SURVIVOR_2] = { step_attach, wait } },
      .check = check },
    { 0 },
};
