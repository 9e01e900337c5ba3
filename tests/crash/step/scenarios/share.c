/* A shared payload: while a bystander holds it others pass it through a queue. */
#include <errno.h>
#include <string.h>

#include "../scenarios.h"

enum { SIZE = 100 };

static shoal_queue queue;
static char *payload;

static void set_up(void)
{
    STEP_CHECK(shoal_queue_create(&(shoal_queue_options){ .capacity_count = 8 }, &queue) == 0);
    payload = shoal_alloc(SIZE);
    STEP_CHECK(payload && shoal_share(payload) == 0);
    memset(payload, 's', SIZE);
}

static int take_one(void)
{
    void *message;
    const int code = shoal_queue_get(queue, &message, SHOAL_NOW);
    if (code < 0)
        return code;
    STEP_CHECK(message == payload && shoal_size(payload) == SIZE);
    STEP_CHECK(payload[0] == 's' && payload[SIZE - 1] == 's');
    return shoal_unshare(message);
}

static int take_what_there_is(void)
{
    const int code = take_one();
    return code == -ETIMEDOUT ? 0 : code;
}

static int pass_and_take(void)
{
    int code = shoal_share(payload);
    if (code == 0)
        code = shoal_queue_put(queue, payload, SHOAL_NOW);
    return code == 0 ? take_what_there_is() : code;
}

static void drain(void)
{
    while (!shoal_queue_empty(queue))
        STEP_CHECK(take_one() == 0);
}

/* The bystander holds it. */
static void check_held(void)
{
    drain();
    STEP_CHECK(shoal_size(payload) == SIZE && payload[0] == 's');
    STEP_CHECK(pass_and_take() == 0);
}

const struct scenario share_scenarios[] = {
    { .name = "shared payload through a queue",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, pass_and_take },
                  [ROLE_SURVIVOR] = { step_attach, pass_and_take } },
      .check = check_held,
      .takes_long = true },
    { 0 },
};
