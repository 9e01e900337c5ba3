/* sync/condition.c: each notify releases one who waits, and is not lost with one who is killed. */
#include <shoal/sync.h>

#include "search.h"
#include "sync/condition_shm.h"
#include "sync/lock_shm.h"

enum { CONDITION, LOCK, NOTIFIED, WAITING, WOKEN, OPEN }; /* ghosts */

static struct condition_shm *shm;

static void begin(void)
{
    shoal_condition condition;
    if (shoal_condition_create(NULL, &condition) < 0)
        machine_bail_out("no condition");
    machine.ghosts[CONDITION] = condition.ref;
    shm = machine_add_object(condition.ref, KIND_CONDITION,
                             offsetof(struct condition_shm, entries) + 4 * sizeof(atom64));
    machine_add_object(shoal_condition_lock(condition).ref, KIND_LOCK, sizeof(struct lock_shm));
}

static shoal_condition condition(void)
{
    return (shoal_condition){ machine.ghosts[CONDITION] };
}

static void must(bool so)
{
    if (!so)
        machine_fail("a call failed");
}

/* As programs do it: what is waited for is looked at with the lock held. */
static void wait_until_open(void)
{
    must(shoal_condition_acquire(condition(), SHOAL_FOREVER) >= 0);
    while (!machine.ghosts[OPEN])
        must(shoal_condition_wait(condition(), SHOAL_FOREVER) >= 0);
    must(shoal_condition_release(condition()) == 0);
}

static void notify_all(unsigned self)
{
    if (self < threads_count - 1) {
        wait_until_open();
        return;
    }
    must(shoal_condition_acquire(condition(), SHOAL_FOREVER) >= 0);
    machine.ghosts[OPEN] = 1;
    must(shoal_condition_notify_all(condition()) == 0);
    machine.ghosts[NOTIFIED] = 1;
    must(shoal_condition_release(condition()) == 0);
}

static bool is_granted(unsigned thread)
{
    for (unsigned i = 0; i < shm->entries_used; i++)
        if (ENTRY_STATE(shm->entries[i]) == ENTRY_GRANTED &&
            ENTRY_OWNER(shm->entries[i]) == machine_owner_long(thread))
            return true;
    return false;
}

static const char *judge_all(void)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (is_asleep(i) && (machine.ghosts[NOTIFIED] || is_granted(i)))
            return "a sleeper that was notified";
    return NULL;
}

/* Each waits once; the last one notifies one of them, if one waits. */
static void wait_once(unsigned self)
{
    must(shoal_condition_acquire(condition(), SHOAL_FOREVER) >= 0);
    machine.ghosts[WAITING] |= 1u << self; /* no step of another comes between */
    must(shoal_condition_wait(condition(), SHOAL_FOREVER) >= 0);
    machine.ghosts[WOKEN]++;
    must(shoal_condition_release(condition()) == 0);
}

static void notify_one(unsigned self)
{
    if (self < threads_count - 1) {
        wait_once(self);
        return;
    }
    must(shoal_condition_acquire(condition(), SHOAL_FOREVER) >= 0);
    uint64_t waiting = machine.ghosts[WAITING];
    must(shoal_condition_notify(condition(), 1) == 0);
    machine.ghosts[NOTIFIED] = waiting;
    must(shoal_condition_release(condition()) == 0);
}

static void killed(unsigned victim)
{
    machine.ghosts[WAITING] &= ~(UINT64_C(1) << victim);
}

/* Of those who waited one was released; if it was killed, another one. */
static const char *judge_one(void)
{
    if (machine.ghosts[WOKEN] > (machine.ghosts[NOTIFIED] > 0) + machine.kills)
        return "one notify released two";
    for (unsigned i = 0; i < threads_count; i++)
        if (is_asleep(i) && is_granted(i))
            return "a sleeper that was notified";
        else if (is_asleep(i) && (machine.ghosts[NOTIFIED] >> i & 1) && machine.ghosts[WOKEN] == 0)
            return "a notify was lost";
    return NULL;
}

void check_condition(void)
{
    struct scenario all = { .name = "condition, 1 waiter, notify_all, 1 kill",
                            .threads = 2,
                            .kills = 1,
                            .preemptions = UNBOUNDED,
                            .begin = begin,
                            .thread = notify_all,
                            .judge = judge_all,
                            .may_sleep = true };
    holds(&all);
    struct scenario two = all;
    two.name = "condition, 2 waiters, notify_all, 1 kill";
    two.threads = 3;
    two.preemptions = 1;
    two.preemptions_full = 2;
    holds(&two);
    fails(&two, "condition.tidy");
    fails(&two, "condition.notifier");
    struct scenario one = two;
    one.name = "condition, 2 waiters, notify, 1 kill";
    one.thread = notify_one;
    one.killed = killed;
    one.judge = judge_one;
    one.ticks = 1; /* for the grant of one who is killed while it waits for the lock */
    holds(&one);
    fails(&one, "condition.drop_grant");
}
