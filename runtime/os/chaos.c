#include "os/chaos.h"

#ifdef SHL_CHAOS_BUILD

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "os/futex.h"

const char *shl_mistake;

bool shl_mistake_is(const char *name)
{
    return strcmp(name, shl_mistake) == 0;
}

static _Thread_local struct shl_chaos_plan plan;

void shl_chaos_plan(const struct shl_chaos_plan *chosen)
{
    plan = *chosen;
}

static void stall(void)
{
    struct shl_futex_watch watch = { plan.released, 0 };
    /* [chaos.stall] release -> the test: everything before the point. */
    atom_store_release(plan.stalled, 1);
    shl_futex_wake(plan.stalled, 1);
    /* [chaos.stall] acquire <- the test. */
    while (atom_load_acquire(plan.released) == 0)
        shl_futex_wait(&watch, 1, UINT64_MAX);
}

void shl_chaos_reach(const char *point)
{
    if (plan.action == SHL_CHAOS_NOTHING || strcmp(point, plan.point) != 0)
        return;
    if (plan.passes > 0) {
        plan.passes--;
        return;
    }
    enum shl_chaos_action action = plan.action;
    plan.action = SHL_CHAOS_NOTHING;
    if (action == SHL_CHAOS_KILL)
        kill(getpid(), SIGKILL);
    else
        stall();
}

#endif
