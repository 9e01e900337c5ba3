/* sync/lock.c: mutual exclusion, nobody sleeps for ever, and who is told that an owner died. */
#include <shoal/sync.h>

#include "search.h"
#include "sync/lock_shm.h"

enum { LOCK, EVENT, HOLDER, DIED }; /* ghosts */

static struct lock_shm *lock_shm; /* its place, the same in every state */

static void make_lock(bool recursive)
{
    shoal_lock lock;
    if (shoal_lock_create(&(shoal_lock_options){ .recursive = recursive }, &lock) < 0)
        machine_bail_out("no lock");
    machine.ghosts[LOCK] = lock.ref;
    lock_shm = machine_add_object(lock.ref, KIND_LOCK, sizeof(struct lock_shm));
}

static void begin(void)
{
    make_lock(false);
}

static void begin_recursive(void)
{
    make_lock(true);
}

static void begin_with_event(void)
{
    make_lock(false);
    struct event_shm *shm;
    machine.ghosts[EVENT] = machine_make_event(&shm).ref;
}

static shoal_lock lock(void)
{
    return (shoal_lock){ machine.ghosts[LOCK] };
}

static void must(bool so)
{
    if (!so)
        machine_fail("a call failed");
}

/* Inside; whoever was there before has left or is dead. Who is told of a death says that all is
 * well. */
static void be_inside(unsigned self, int code)
{
    must(code >= 0);
    if (machine.ghosts[HOLDER])
        machine_fail("two are inside");
    if ((code == SHOAL_OWNER_DIED) != (machine.ghosts[DIED] != 0))
        machine_fail(code ? "a death was told that was none" : "a death was not told");
    machine.ghosts[HOLDER] = self + 1;
    if (code == SHOAL_OWNER_DIED) {
        must(shoal_lock_clear_owner_died(lock()) == 0);
        machine.ghosts[DIED] = 0;
    }
    machine_pause();
    machine.ghosts[HOLDER] = 0;
}

static void acquire_release(unsigned self)
{
    be_inside(self, shoal_lock_acquire(lock(), SHOAL_FOREVER));
    must(shoal_lock_release(lock()) == 0);
}

static void acquire_twice(unsigned self)
{
    int code = shoal_lock_acquire(lock(), SHOAL_FOREVER);
    must(code >= 0);
    must(shoal_lock_acquire(lock(), SHOAL_FOREVER) == code);
    be_inside(self, code);
    must(shoal_lock_release(lock()) == 0);
    if (machine.ghosts[HOLDER])
        machine_fail("the lock is open before it was released as often as it was acquired");
    must(shoal_lock_release(lock()) == 0);
}

/* The first one may give up. */
static void acquire_soon(unsigned self)
{
    int code = shoal_lock_acquire(lock(), self == 0 ? SOON : SHOAL_FOREVER);
    if (self == 0 && code == -ETIMEDOUT)
        return;
    be_inside(self, code);
    must(shoal_lock_release(lock()) == 0);
}

static void acquire_unless_canceled(unsigned self)
{
    shoal_event event = { machine.ghosts[EVENT] };
    if (self == 2) {
        must(shoal_event_set(event) == 0);
        return;
    }
    int code = shoal_lock_acquire(lock(), shoal_until(SHOAL_FOREVER, event));
    if (code == -ECANCELED)
        return;
    be_inside(self, code);
    must(shoal_lock_release(lock()) == 0);
}

/* Who held the lock at that instant died with it. */
static void killed(unsigned victim)
{
    if (LOCK_OWNER(lock_shm->word) == machine_owner_long(victim))
        machine.ghosts[DIED] = 1;
    if (machine.ghosts[HOLDER] == victim + 1)
        machine.ghosts[HOLDER] = 0;
}

void check_lock(void)
{
    struct scenario two = { .name = "lock, 2 threads, 2 kills",
                            .threads = 2,
                            .kills = 2,
                            .preemptions = UNBOUNDED,
                            .begin = begin,
                            .thread = acquire_release,
                            .killed = killed };
    holds(&two);
    fails(&two, "lock.untold");
    fails(&two, "lock.life");
    fails(&two, "lock.P6");
    struct scenario buffered = two;
    buffered.name = "lock, 2 threads, store buffers, 1 kill";
    buffered.kills = 1;
    buffered.store_buffers = true;
    holds(&buffered);
    struct scenario three = two;
    three.name = "lock, 3 threads, 1 kill";
    three.threads = 3;
    three.kills = 1;
    holds(&three);
    fails(&three, "lock.P2");
    fails(&three, "park.W0");
    struct scenario recursive = two;
    recursive.name = "recursive lock, 2 threads, 1 kill";
    recursive.kills = 1;
    recursive.begin = begin_recursive;
    recursive.thread = acquire_twice;
    holds(&recursive);
    struct scenario impatient = three;
    impatient.name = "lock, 3 threads of which one may time out, 1 kill";
    impatient.thread = acquire_soon;
    impatient.preemptions = 2;
    impatient.preemptions_full = UNBOUNDED;
    holds(&impatient);
    struct scenario canceled = impatient;
    canceled.name = "lock, 2 threads that an event cancels, 1 kill";
    canceled.preemptions = UNBOUNDED;
    canceled.begin = begin_with_event;
    canceled.thread = acquire_unless_canceled;
    holds(&canceled);
}
