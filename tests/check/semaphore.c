/* sync/semaphore.c: nobody sleeps while there is a permit, and none comes or goes. */
#include <shoal/sync.h>

#include "search.h"
#include "sync/event_shm.h"
#include "sync/semaphore_shm.h"

enum { SEMAPHORE, EVENT, ACQUIRED, RELEASED, INSIDE }; /* ghosts */

static struct owned_semaphore_shm *shm;
static struct event_shm *event_shm;

static void make(unsigned value, bool bounded, bool owned)
{
    shoal_semaphore semaphore;
    shoal_semaphore_options options = { .bounded = bounded, .owned = owned };
    if (shoal_semaphore_create(value, &options, &semaphore) < 0)
        machine_bail_out("no semaphore");
    machine.ghosts[SEMAPHORE] = semaphore.ref;
    size_t size = sizeof shm->semaphore + (owned ? 2 * sizeof(atom64) : 0);
    shm = machine_add_object(semaphore.ref, KIND_SEMAPHORE, size);
}

static void begin_empty(void)
{
    make(0, false, false);
}

static void begin_bounded(void)
{
    make(1, true, false);
}

static void begin_owned(void)
{
    make(1, false, true);
}

static void begin_with_event(void)
{
    make(0, false, false);
    machine.ghosts[EVENT] = machine_make_event(&event_shm).ref;
}

static shoal_semaphore semaphore(void)
{
    return (shoal_semaphore){ machine.ghosts[SEMAPHORE] };
}

static void acquire(shoal_deadline deadline)
{
    int code = shoal_semaphore_acquire(semaphore(), deadline);
    if (code == 0)
        machine.ghosts[ACQUIRED]++;
    else if (code != -ETIMEDOUT && code != -ECANCELED)
        machine_fail("acquire failed");
}

static void release(void)
{
    if (shoal_semaphore_release(semaphore()) < 0)
        machine_fail("release failed");
    machine.ghosts[RELEASED]++;
}

static void two_and_two(unsigned self)
{
    if (self < 2)
        acquire(SHOAL_FOREVER);
    else
        release();
}

static void one_and_one(unsigned self)
{
    if (self == 0)
        acquire(SHOAL_FOREVER);
    else
        release();
}

/* A permit that is taken at once by another: the count is as it was. */
static void one_takes_both(unsigned self)
{
    if (self == 0)
        acquire(SHOAL_FOREVER);
    else if (self == 1) {
        acquire(SHOAL_FOREVER);
        release();
    } else
        release();
}

static void impatient(unsigned self)
{
    if (self < 2)
        acquire(self == 0 ? SOON : SHOAL_FOREVER);
    else
        release();
}

static void canceled(unsigned self)
{
    shoal_event event = { machine.ghosts[EVENT] };
    if (self < 2)
        acquire(shoal_until(SHOAL_FOREVER, event));
    else if (shoal_event_set(event) < 0)
        machine_fail("set failed");
}

static void bounded(unsigned self)
{
    if (self < 2)
        acquire(SHOAL_FOREVER);
    int code = shoal_semaphore_release(semaphore());
    if (code == 0)
        machine.ghosts[RELEASED]++;
    else if (code != -EOVERFLOW)
        machine_fail("release failed");
    if (shm->semaphore.count > 1)
        machine_fail("more permits than the limit");
}

static void owned(unsigned self)
{
    (void)self;
    acquire(SHOAL_FOREVER);
    if (machine.ghosts[INSIDE])
        machine_fail("one permit for two");
    machine.ghosts[INSIDE] = self + 1;
    machine_pause();
    machine.ghosts[INSIDE] = 0;
    release();
}

static void killed(unsigned victim)
{
    if (machine.ghosts[INSIDE] == victim + 1)
        machine.ghosts[INSIDE] = 0;
}

/* A call that was killed may have had its effect. */
static const char *judge_count(void)
{
    int64_t count = shm->semaphore.count;
    int64_t expected = (int64_t)(machine.ghosts[RELEASED] - machine.ghosts[ACQUIRED]);
    if (count < expected - machine.kills || count > expected + machine.kills)
        return "permits came or went";
    for (unsigned i = 0; i < threads_count; i++)
        if (is_asleep(i) && count > 0)
            return "a sleeper while there is a permit";
    return NULL;
}

static const char *judge_bounded(void)
{
    machine.ghosts[RELEASED]++; /* the initial one */
    const char *failure = judge_count();
    machine.ghosts[RELEASED]--;
    return failure;
}

/* The event is set, unless its setter was killed before. */
static const char *judge_canceled(void)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (is_asleep(i) && (event_shm->word & EVENT_SET))
            return "a sleeper whose event is set";
    return NULL;
}

void check_semaphore(void)
{
    struct scenario plain = { .name = "semaphore, 2 waiters, 2 notifiers, 2 kills",
                              .threads = 4,
                              .kills = 2,
                              .preemptions = 2,
                              .preemptions_full = 3,
                              .begin = begin_empty,
                              .thread = two_and_two,
                              .judge = judge_count,
                              .may_sleep = true };
    holds(&plain);
    fails(&plain, "park.W0");
    fails(&plain, "park.W4");
    struct scenario passing = plain;
    passing.name = "semaphore, a permit that passes by, 1 kill";
    passing.threads = 3;
    passing.kills = 1;
    passing.preemptions = UNBOUNDED;
    passing.thread = one_takes_both;
    holds(&passing);
    fails(&passing, "park.watch");
    struct scenario buffered = plain;
    buffered.name = "semaphore, 1 waiter, 1 notifier, store buffers, 1 kill";
    buffered.threads = 2;
    buffered.kills = 1;
    buffered.preemptions = UNBOUNDED;
    buffered.store_buffers = true;
    buffered.thread = one_and_one;
    holds(&buffered);
    struct scenario hasty = passing;
    hasty.name = "semaphore, a waiter that may time out and one that does not, 1 kill";
    hasty.thread = impatient;
    holds(&hasty);
    struct scenario cancel = passing;
    cancel.name = "semaphore, 2 waiters that an event cancels, 1 kill";
    cancel.begin = begin_with_event;
    cancel.thread = canceled;
    cancel.judge = judge_canceled;
    holds(&cancel);
    fails(&cancel, "park.tell");
    fails(&cancel, "event.S3");
    struct scenario limited = passing;
    limited.name = "bounded semaphore, 3 threads, 1 kill";
    limited.begin = begin_bounded;
    limited.thread = bounded;
    limited.judge = judge_bounded;
    holds(&limited);
    struct scenario own = passing;
    own.name = "owned semaphore, 3 threads, 1 kill";
    own.preemptions = 2;
    own.preemptions_full = UNBOUNDED;
    own.begin = begin_owned;
    own.thread = owned;
    own.killed = killed;
    own.judge = NULL;
    own.may_sleep = false;
    holds(&own);
    fails(&own, "semaphore.all");
    fails(&own, "semaphore.life");
    fails(&own, "semaphore.free");
}
