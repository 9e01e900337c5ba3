/* Objects that end with their creator: whoever waits there is told, and nothing of them is left. */
#include <errno.h>

#include "../scenarios.h"

/* words[]: the creator's object. */
enum { EVENT };

static void set_up(void)
{
}

static int create_event(void)
{
    const shoal_event_options options = { .ends_with_creator = true };
    shoal_event event;
    const int code = shoal_event_create(&options, &event);
    board->words[EVENT] = code == 0 ? event.ref : 0;
    return code;
}

static shoal_event its_event(void)
{
    return (shoal_event){ board->words[EVENT] };
}

static int destroy(void)
{
    return shoal_event_destroy(its_event());
}

/* Nobody sets it. */
static int wait_for_its_end(void)
{
    const int code = shoal_event_wait(its_event(), step_deadline());
    STEP_CHECK(code < 0);
    return code == -ESTALE ? 0 : code;
}

static void check_event(void)
{
    STEP_CHECK(wait_for_its_end() == 0);
}

/* Neither the object is left when he has ended, nor what is in it. */
static int create_and_put(void)
{
    const shoal_queue_options options = { .capacity_count = 1, .ends_with_creator = true };
    shoal_queue queue;
    const int code = shoal_queue_create(&options, &queue);
    return code < 0 ? code : shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW);
}

const struct scenario creator_scenarios[] = {
    { .name = "creator destroys with sleepers",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { create_event, destroy },
                  [ROLE_SURVIVOR] = { step_attach, wait_for_its_end, TURN_BEFORE },
                  [ROLE_SURVIVOR_2] = { step_attach, wait_for_its_end, TURN_BEFORE },
                  [ROLE_SURVIVOR_3] = { step_attach, step_bury } },
      .check = check_event },
    { .name = "creator puts into his queue",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, create_and_put },
                  [ROLE_SURVIVOR] = { step_attach, step_bury } },
      .takes_long = true },
    { 0 },
};
