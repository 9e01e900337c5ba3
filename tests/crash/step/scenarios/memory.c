/* Blocks and places for objects: given to one, and to nobody twice. */
#include <string.h>

#include "../scenarios.h"

enum { SIZE = 100 };

static shoal_event event; /* so that there is a page of events */

static void set_up(void)
{
    STEP_CHECK(shoal_event_create(NULL, &event) == 0);
    shoal_free(shoal_alloc(SIZE));
}

/* Nobody else writes to it meanwhile. */
static int use_block(char letter)
{
    char *block = shoal_alloc(SIZE);
    STEP_CHECK(block);
    if (!block)
        return -1;
    memset(block, letter, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        STEP_CHECK(block[i] == letter);
    shoal_free(block);
    return 0;
}

static int use_block_as_victim(void)
{
    return use_block('v');
}

static int use_block_as_survivor(void)
{
    return use_block('s');
}

static int use_place(void)
{
    shoal_event mine;
    int code = shoal_event_create(NULL, &mine);
    if (code < 0)
        return code;
    STEP_CHECK(mine.ref != event.ref);
    STEP_CHECK(shoal_event_set(mine) == 0);
    return shoal_event_destroy(mine);
}

static void check(void)
{
    char *one = shoal_alloc(SIZE), *other = shoal_alloc(SIZE);
    STEP_CHECK(one && other && one != other);
    shoal_free(one);
    shoal_free(other);
    STEP_CHECK(use_place() == 0);
}

const struct scenario memory_scenarios[] = {
    { .name = "alloc and free",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_block_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, use_block_as_survivor } },
      .check = check },
    { .name = "create and destroy",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_place },
                  [ROLE_SURVIVOR] = { step_attach, use_place } },
      .object_bytes = 128,
      .check = check },
    { 0 },
};
