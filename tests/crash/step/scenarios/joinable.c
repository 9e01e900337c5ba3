/* Joinable queues: a message is finished once, or comes back; and join ends. */
#include <errno.h>
#include <string.h>

#include "../scenarios.h"

enum { SIZE = 16 };

/* words[]: how often the message's end has returned, and how often it came to the other queue. */
enum { ENDED, CAME };

static shoal_queue queue, next;

static void set_up(void)
{
    shoal_queue_options options = { .capacity_count = 2, .joinable = true, .deliveries_max = 9 };
    char message[SIZE] = "message";
    STEP_CHECK(shoal_queue_create(&options, &queue) == 0);
    options = (shoal_queue_options){ .capacity_count = 2 };
    STEP_CHECK(shoal_queue_create(&options, &next) == 0);
    STEP_CHECK(shoal_queue_put_bytes(queue, message, SIZE, SHOAL_NOW) == 0);
}

static int get_and_finish(void)
{
    void *payload;
    int code = shoal_queue_get(queue, &payload, SHOAL_NOW);
    if (code < 0)
        return code;
    STEP_CHECK(strcmp(payload, "message") == 0);
    code = shoal_queue_task_done(queue, payload);
    board->words[ENDED] += code == 0;
    return code;
}

static int get_and_hand_on(void)
{
    void *payload;
    int code = shoal_queue_get(queue, &payload, SHOAL_NOW);
    if (code < 0)
        return code;
    code = shoal_queue_put(next, payload, SHOAL_NOW);
    board->words[ENDED] += code == 0;
    return code;
}

/* Who comes second finds nothing. */
static int finish_if_any(void)
{
    const int code = get_and_finish();
    return code == -ETIMEDOUT ? 0 : code;
}

static int hand_on_if_any(void)
{
    const int code = get_and_hand_on();
    return code == -ETIMEDOUT ? 0 : code;
}

/* What has come back, once the death is known. */
static int finish_rest(void)
{
    const int code = step_bury();
    return code == 0 ? finish_if_any() : code;
}

static int hand_on_rest(void)
{
    const int code = step_bury();
    return code == 0 ? hand_on_if_any() : code;
}

static int join(void)
{
    return shoal_queue_join(queue, step_deadline());
}

static int get_next(void)
{
    void *payload;
    const int code = shoal_queue_get(next, &payload, step_deadline());
    board->words[CAME] += code == 0;
    if (code == 0)
        shoal_free(payload);
    return code;
}

static void check(void)
{
    while (get_and_finish() == 0) {}
    STEP_CHECK(shoal_queue_join(queue, SHOAL_NOW) == 0);
    STEP_CHECK(board->words[ENDED] <= 1);
}

static void check_next(void)
{
    void *payload;
    while (get_and_hand_on() == 0) {}
    while (shoal_queue_get(next, &payload, SHOAL_NOW) == 0) {
        board->words[CAME]++;
        shoal_free(payload);
    }
    STEP_CHECK(shoal_queue_join(queue, SHOAL_NOW) == 0);
    STEP_CHECK(board->words[ENDED] <= 1);
    STEP_CHECK(board->words[CAME] == 1);
}

const struct scenario joinable_scenarios[] = {
    { .name = "joinable task done with a joiner",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, finish_if_any },
                  [ROLE_SURVIVOR] = { step_attach, join, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, finish_rest },
                  [ROLE_SURVIVOR_3] = { step_attach, finish_rest } }, /* should that one die */
      .check = check,
      .object_bytes = 128,
      .takes_long = true },
    { .name = "joinable put with a sleeper",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, hand_on_if_any },
                  [ROLE_SURVIVOR] = { step_attach, get_next, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, hand_on_rest },
                  [ROLE_SURVIVOR_3] = { step_attach, hand_on_rest } }, /* should that one die */
      .check = check_next,
      .object_bytes = 128,
      .takes_long = true },
    { 0 },
};
