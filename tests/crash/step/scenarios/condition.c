/* Conditions: a grant that its waiter cannot use any more goes to the next one. */
#include "../scenarios.h"

/* words[]: tokens to be had, changed with the lock; and who has got one, by role. */
enum { TOKENS, GOT = 1 };

static shoal_condition condition;

static void set_up(void)
{
    STEP_CHECK(shoal_condition_create(NULL, &condition) == 0);
}

static int get_as(enum role role)
{
    int code = shoal_condition_acquire(condition, SHOAL_FOREVER);
    while (code >= 0 && board->words[TOKENS] == 0)
        code = shoal_condition_wait(condition, SHOAL_FOREVER);
    if (code < 0)
        return code;
    board->words[TOKENS]--;
    board->words[GOT + role] = 1;
    return shoal_condition_release(condition);
}

static int get_as_victim(void)
{
    return get_as(ROLE_VICTIM);
}

static int get_as_survivor(void)
{
    return get_as(ROLE_SURVIVOR);
}

static int get_as_survivor_2(void)
{
    return get_as(ROLE_SURVIVOR_2);
}

/* With the lock held. */
static int add(uint64_t tokens)
{
    board->words[TOKENS] += tokens;
    const int code = tokens ? shoal_condition_notify(condition, (unsigned)tokens) : 0;
    const int released = shoal_condition_release(condition);
    return code < 0 ? code : released;
}

static int add_one(void)
{
    const int code = shoal_condition_acquire(condition, step_deadline());
    return code < 0 ? code : add(1);
}

/* A token for each of `roles` who is not dead, but for those that are there: their owners must have
 * been woken by those who added them. Only who died with the lock may have left that out. */
static int add_missing(const enum role roles[2])
{
    const int code = shoal_condition_acquire(condition, step_deadline());
    if (code < 0)
        return code;
    uint64_t wanted = 0, there = board->words[TOKENS];
    for (unsigned i = 0; i < 2; i++) {
        wanted += !board->killed[roles[i]];
        there += !board->killed[roles[i]] && board->words[GOT + roles[i]];
    }
    if (code == SHOAL_OWNER_DIED)
        STEP_CHECK(shoal_condition_notify_all(condition) == 0);
    return add(there < wanted ? wanted - there : 0);
}

static int add_missing_for_victim(void)
{
    return add_missing((enum role[]){ ROLE_VICTIM, ROLE_SURVIVOR });
}

static int add_missing_for_survivors(void)
{
    return add_missing((enum role[]){ ROLE_SURVIVOR, ROLE_SURVIVOR_2 });
}

static void check(void)
{
    const int code = shoal_condition_acquire(condition, SHOAL_NOW);
    STEP_CHECK(code >= 0);
    STEP_CHECK(shoal_condition_notify_all(condition) == 0);
    STEP_CHECK(shoal_condition_release(condition) == 0);
}

const struct scenario condition_scenarios[] = {
    { .name = "condition notify with sleepers",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, add_one },
                  [ROLE_SURVIVOR] = { step_attach, get_as_survivor, TURN_BEFORE, true },
                  [ROLE_SURVIVOR_2] = { step_attach, get_as_survivor_2, TURN_BEFORE, true },
                  [ROLE_SURVIVOR_3] = { step_attach, add_missing_for_survivors },
                  [ROLE_SURVIVOR_4] = { step_attach, add_missing_for_survivors } },
      .check = check },
    { .name = "condition wait",
      .set_up = set_up,
      .actors = { [ROLE_WAKER] = { step_attach, add_one },
                  [ROLE_VICTIM] = { step_attach, get_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, get_as_survivor, TURN_BESIDE, true },
                  [ROLE_SURVIVOR_2] = { step_attach, add_missing_for_victim },
                  [ROLE_SURVIVOR_3] = { step_attach, add_missing_for_victim } },
      .check = check,
      .late_known = "a notified waiter was killed while it waited for the lock" },
    { 0 },
};
