/*
 * After a fork by other means than ours liburcu's registry may name threads that are not there, and
 * its locks may be held by one of them: it must not be touched. Such a child does without. Its
 * look-ups stay safe, as the table itself never goes and a slot is only taken after a second look
 * under the table's lock; what it gives up is a signal handler's set, in a thread that has never
 * used the segment, at the same time as another thread's detach.
 */
#include "mem/readers.h"

#include <urcu/urcu-bp.h>

#include "mem/self.h"

/* In pages that fork wipes: true in the process that made them, and in children forked by us. */
static bool are_known(void)
{
    const struct shl_shared *shared = shl_shared();
    return shared && shared->readers_known;
}

void shl_readers_enter(void)
{
    if (are_known())
        urcu_bp_read_lock();
}

void shl_readers_leave(void)
{
    if (are_known())
        urcu_bp_read_unlock();
}

void shl_readers_wait(void)
{
    if (are_known())
        urcu_bp_synchronize_rcu();
}

bool shl_readers_before_fork(void)
{
    if (!are_known())
        return false;
    urcu_bp_before_fork();
    return true;
}

void shl_readers_after_fork(bool before, bool child)
{
    if (!before)
        return;
    if (!child) {
        urcu_bp_after_fork_parent();
        return;
    }
    urcu_bp_after_fork_child();
    shl_readers_stay();
}

void shl_readers_stay(void)
{
    shl_shared()->readers_known = true;
}
