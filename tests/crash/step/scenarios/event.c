/* Events: a set reaches all who wait, also if the setter or the first one woken is killed. */
#include <errno.h>

#include "../scenarios.h"

static shoal_event event, cancel;

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

static void set_up_cancel(void)
{
    set_up();
    STEP_CHECK(shoal_event_create(NULL, &cancel) == 0);
}

static int set_cancel(void)
{
    return shoal_event_set(cancel);
}

/* Of an event that nobody sets. */
static int wait_for_cancel(void)
{
    const int code = shoal_event_wait(event, shoal_until(step_deadline(), cancel));
    STEP_CHECK(code < 0);
    return code == -ECANCELED ? 0 : code;
}

static void check_cancel(void)
{
    STEP_CHECK(shoal_event_is_set(cancel) && !shoal_event_is_set(event));
    STEP_CHECK(wait_for_cancel() == 0);
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
    { .name = "cancel event set with sleepers",
      .set_up = set_up_cancel,
      .actors = { [ROLE_VICTIM] = { step_attach, set_cancel },
                  [ROLE_SURVIVOR] = { step_attach, wait_for_cancel, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, wait_for_cancel, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_3] = { step_attach, set_cancel },
                  [ROLE_SURVIVOR_4] = { step_attach, set_cancel } },
      .check = check_cancel },
    { .name = "cancelled wait",
      .set_up = set_up_cancel,
      .actors = { [ROLE_WAKER] = { step_attach, set_cancel },
                  [ROLE_VICTIM] = { step_attach, wait_for_cancel },
                  [ROLE_SURVIVOR] = { step_attach, wait_for_cancel, TURN_BEFORE },
                  [ROLE_SURVIVOR_2] = { step_attach, wait_for_cancel } },
      .check = check_cancel },
    { 0 },
};
