/*
 * A condition: who has its lock waits for others to change what the lock guards, and lets the lock
 * go while waiting.
 *
 *     waiter                                          notifier
 *     SHOAL_WITH(shoal_condition_lock(condition)) {   SHOAL_WITH(shoal_condition_lock(condition)) {
 *         while (code >= 0 && !ready)                     ready = true;
 *             code = shoal_condition_wait(...);           shoal_condition_notify_all(condition);
 *     }                                               }
 *
 * Who is notified was waiting when it happened: a notification that nobody waits for is lost, so
 * look first, as above, or use shoal_condition_wait_for(). A waiter that dies is skipped; what it
 * was given goes on to the next one.
 *
 * docs/examples/condition.c is a complete program.
 */
#ifndef SHOAL_CONDITION_H
#define SHOAL_CONDITION_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

#define SHOAL_CONDITION_WAITERS_MAX 1024u

typedef struct {
    shoal_segment segment;  /* none: the family's */
    shoal_lock lock;        /* of the same segment; several conditions may share one. None: its own,
                              which is recursive */
    bool ends_with_creator; /* as his process does: waits answer -ESTALE at once, others soon */
    uint64_t reserved[4];   /* zero */
} shoal_condition_options;

/*
 * shoal_condition_create - a condition.
 * @options: NULL for the defaults: with a recursive lock of its own.
 * @ret_condition: the handle, good in every process that has the segment.
 * Owns:    nobody: it lives until shoal_condition_destroy() or the end of its segment. A lock of
 *          its own goes with it, another stays its owner's and must live as long.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no condition; its memory goes with the segment.
 * Returns: 0; -EINVAL also a lock that is none; -EXDEV a lock of another segment; -ENOMEM; -ESTALE
 *          the segment is not attached, or the lock is gone.
 * Python:  multiprocessing.Condition(lock).
 */
SHOAL_MUST int shoal_condition_create(const shoal_condition_options *options,
                                      shoal_condition *ret_condition);

/*
 * shoal_condition_lock - its lock, for SHOAL_WITH() and all that locks have.
 * @condition: from shoal_condition_create(), in any attached process.
 * Owns:    lent.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: the handle; none for a stale condition (shoal_error_message() says so).
 * Python:  with condition.
 */
SHOAL_API shoal_lock shoal_condition_lock(shoal_condition condition);

/*
 * shoal_condition_acquire - take its lock.
 * @condition: as in shoal_condition_lock().
 * @deadline: when to give up.
 * Owns:    as shoal_lock_acquire().
 * Blocks:  as shoal_lock_acquire().
 * Safe:    as shoal_lock_acquire().
 * Death:   as shoal_lock_acquire().
 * Returns: as shoal_lock_acquire().
 * Python:  Condition.acquire().
 */
SHOAL_MUST int shoal_condition_acquire(shoal_condition condition, shoal_deadline deadline);

/*
 * shoal_condition_release - let its lock go.
 * @condition: as in shoal_condition_lock().
 * Owns:    as shoal_lock_release().
 * Blocks:  no.
 * Safe:    as shoal_lock_release().
 * Death:   as shoal_lock_release().
 * Returns: as shoal_lock_release().
 * Python:  Condition.release().
 */
SHOAL_API int shoal_condition_release(shoal_condition condition);

/*
 * shoal_condition_wait - let the lock go, wait to be notified, and take the lock again.
 * @condition: its lock is held by the calling thread.
 * @deadline: when to give up waiting to be notified.
 * Owns:    the lock is the caller's again when it returns, as many times as before, whatever it
 *          returns; only a lock that is gone itself is not.
 * Blocks:  until it is notified, or @deadline, and then for the lock as long as that takes.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: nobody waits for the dead; a notification it had been given goes to
 *          another waiter, and a lock it had taken again is a dead holder's.
 * Returns: 0 notified; SHOAL_OWNER_DIED notified, and a holder of the lock died; -ETIMEDOUT;
 *          -ECANCELED the cancel event was set; -EPERM "must acquire() condition before using
 *          wait()"; -EUSERS SHOAL_CONDITION_WAITERS_MAX wait already; -EINVAL; -ESTALE the
 *          condition, its lock or the cancel event is gone.
 * Python:  Condition.wait(timeout).
 */
SHOAL_MUST int shoal_condition_wait(shoal_condition condition, shoal_deadline deadline);

/*
 * shoal_condition_wait_for - wait until something is true.
 * @condition: its lock is held by the calling thread.
 * @predicate: called with the lock held: first of all, and after each wait.
 * @context: handed to it.
 * @deadline: when to give up.
 * Owns:    as shoal_condition_wait().
 * Blocks:  until @predicate answers true, or @deadline; not at all if it does so at once.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_condition_wait().
 * Returns: 0 or SHOAL_OWNER_DIED the predicate is true; -ETIMEDOUT it was not at the deadline; else
 *          as shoal_condition_wait().
 * Python:  Condition.wait_for(predicate, timeout).
 */
SHOAL_MUST int shoal_condition_wait_for(shoal_condition condition, bool (*predicate)(void *context),
                                        void *context, shoal_deadline deadline);

/*
 * shoal_condition_notify - let some of those who wait go on.
 * @condition: its lock is held by the calling thread.
 * @count: so many, or all if fewer wait; at least 1.
 * Owns:    unchanged: they go on when the lock is released.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: some of them may have been notified; the dead are skipped.
 * Returns: 0, also if nobody waits; -EINVAL also a count of 0; -EPERM "cannot notify on un-acquired
 *          condition"; -ESTALE.
 * Python:  Condition.notify(n).
 */
SHOAL_API int shoal_condition_notify(shoal_condition condition, unsigned count);

/*
 * shoal_condition_notify_all - let all who wait go on.
 * @condition: its lock is held by the calling thread.
 * Owns:    as shoal_condition_notify().
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_condition_notify().
 * Returns: as shoal_condition_notify().
 * Python:  Condition.notify_all().
 */
SHOAL_API int shoal_condition_notify_all(shoal_condition condition);

/*
 * shoal_condition_open - the condition of that name.
 * @segment: where it lies; none for the family's.
 * @name: given to it by shoal_publish().
 * @ret_condition: its handle, as from shoal_condition_create().
 * Owns:    nothing: there is nothing to close.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -ENOENT no such name, or its object is gone; -EINVAL the object is of another type;
 *          -EMSGSIZE the name is too long; -ESTALE the segment is not attached; -EUCLEAN.
 * Python:  none.
 */
SHOAL_MUST int shoal_condition_open(shoal_segment segment, const char *name,
                                    shoal_condition *ret_condition);

/*
 * shoal_condition_destroy - end a condition, and its lock if that is its own.
 * @condition: none and an ended one are fine.
 * Owns:    nobody; the handle is stale everywhere afterwards, and that of its own lock.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no. Who waits gets -ESTALE.
 * Death:   killed inside: the condition is whole, or ended and its memory goes with the segment.
 * Returns: 0; -EINVAL a handle of something else.
 * Python:  the last reference to the Condition goes.
 */
SHOAL_API int shoal_condition_destroy(shoal_condition condition);

SHOAL_END_DECLS
#endif
