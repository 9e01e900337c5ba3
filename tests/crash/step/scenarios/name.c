/* Names: an object is found by its name or not, and no name outlives those who use it. */
#include <errno.h>

#include "../scenarios.h"

static shoal_event first, second;

static void set_up(void)
{
    STEP_CHECK(shoal_event_create(NULL, &first) == 0);
    STEP_CHECK(shoal_event_create(NULL, &second) == 0);
}

/* Another one's object may have the name; and another one who lives may take it away. */
static int use_name(shoal_event mine)
{
    shoal_event found;
    const int published = shoal_publish(SHOAL_ANY(mine), "name");
    STEP_CHECK(published == 0 || published == -EEXIST);
    int code = shoal_event_open((shoal_segment){ 0 }, "name", &found);
    STEP_CHECK(code == -ENOENT || found.ref == first.ref || found.ref == second.ref);
    STEP_CHECK(code == 0 || (code == -ENOENT && !board->killed[ROLE_VICTIM]));
    code = shoal_unpublish((shoal_segment){ 0 }, "name");
    return code == -ENOENT ? 0 : code;
}

static int use_first(void)
{
    return use_name(first);
}

static int use_second(void)
{
    return use_name(second);
}

static void check(void)
{
    shoal_event found;
    STEP_CHECK(use_second() == 0);
    STEP_CHECK(shoal_event_open((shoal_segment){ 0 }, "name", &found) == -ENOENT);
}

const struct scenario name_scenarios[] = {
    { .name = "publish and open",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_first },
                  [ROLE_SURVIVOR] = { step_attach, use_second } },
      .object_bytes = 128,
      .check = check },
    { 0 },
};
