/*
 * A lock lets one thread of all processes in at a time. A recursive one belongs to the thread that
 * has it: that one may take it again, and nobody else may release it. One that is not recursive
 * may be released by any thread of any process; who has it and takes it again waits like others.
 *
 * If the holder dies, the next one gets the lock, and is told by SHOAL_OWNER_DIED that what the
 * lock guards may be half changed. So is everybody after that until one who holds the lock has put
 * things right and said so by shoal_lock_clear_owner_died(). Nothing else changes: who ignores it
 * goes on as if nothing had happened. A thread that ends counts as dead, too.
 *
 * Who runs gets the lock first: there is no queue of waiters.
 *
 * docs/examples/lock.c is a complete program.
 */
#ifndef SHOAL_LOCK_H
#define SHOAL_LOCK_H

#include <shoal/base.h>
#include <sys/types.h>

SHOAL_BEGIN_DECLS

/* The one positive code: you have the lock, and what it guards may be half changed. */
enum { SHOAL_OWNER_DIED = 1 };

typedef struct {
    shoal_segment segment;  /* none: the family's */
    bool ends_with_creator; /* as his process does: waits answer -ESTALE at once, others soon */
    bool recursive;
    uint64_t reserved[4]; /* zero */
} shoal_lock_options;

/* A thread, as others see it. */
typedef struct {
    shoal_process process; /* none if shoal does not know it */
    pid_t pid;
    pid_t tid;
    char process_name[64]; /* up to a zero */
    uint64_t reserved[4];
} shoal_owner;

/*
 * shoal_lock_create - a lock that nobody holds.
 * @options: NULL for the defaults: not recursive.
 * @ret_lock: the handle, good in every process that has the segment.
 * Owns:    nobody: it lives until shoal_lock_destroy() or the end of its segment.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no lock; its memory goes with the segment.
 * Returns: 0; -EINVAL; -ENOMEM; -ESTALE the segment is not attached.
 * Python:  multiprocessing.Lock().
 */
SHOAL_MUST int shoal_lock_create(const shoal_lock_options *options, shoal_lock *ret_lock);

/*
 * shoal_rlock_create - a recursive lock in the family's segment.
 * @ret_lock: the handle, good in every process of the family.
 * Owns:    as shoal_lock_create().
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_lock_create().
 * Returns: as shoal_lock_create().
 * Python:  multiprocessing.RLock().
 */
SHOAL_MUST int shoal_rlock_create(shoal_lock *ret_lock);

/*
 * shoal_lock_acquire - take the lock.
 * @lock: from shoal_lock_create(), in any attached process.
 * @deadline: when to give up.
 * Owns:    the calling thread holds it, also if the result is SHOAL_OWNER_DIED.
 * Blocks:  while another holds it, until @deadline; if it is not recursive, also while the caller
 *          itself holds it. A recursive one that the caller holds is taken once more at once.
 * Safe:    threads yes; after fork yes, and a child holds none of its parent's; signal handler no.
 * Death:   killed inside: taken by nobody, or by the dead, and then the next one is told.
 * Returns: 0; SHOAL_OWNER_DIED, which is positive: you have it, a holder died and nobody has
 *          cleared that; what fails is negative:
 *          -ETIMEDOUT held at the deadline; -ECANCELED held when the cancel event was set;
 *          -EOVERFLOW taken too often by its holder; -EINVAL; -ESTALE the lock is gone, or the
 *          cancel event.
 * Python:  Lock.acquire(block, timeout), RLock.acquire(); a dead holder's lock is never acquired.
 */
SHOAL_MUST int shoal_lock_acquire(shoal_lock lock, shoal_deadline deadline);

/*
 * shoal_lock_release - let the lock go.
 * @lock: as in shoal_lock_acquire(); held, and if it is recursive, by the calling thread.
 * Owns:    nobody holds it; a recursive one when it has been released as often as acquired.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes, but the parent's recursive locks are not the child's;
 *          signal handler no.
 * Death:   killed inside: free, or still the holder's; who waits for it gets it either way.
 * Returns: 0; -EOVERFLOW "semaphore or lock released too many times": nobody holds it; -EPERM
 *          "attempt to release recursive lock not owned by thread"; -EINVAL; -ESTALE.
 * Python:  Lock.release(), RLock.release().
 */
SHOAL_API int shoal_lock_release(shoal_lock lock);

/*
 * shoal_lock_owner_died - did a holder die, and nobody has cleared that?
 * @lock: as in shoal_lock_acquire().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   a dead holder is noticed by the next acquire, not by this.
 * Returns: true from the first SHOAL_OWNER_DIED until shoal_lock_clear_owner_died(); false for a
 *          stale handle.
 * Python:  none.
 */
SHOAL_API bool shoal_lock_owner_died(shoal_lock lock);

/*
 * shoal_lock_clear_owner_died - what the lock guards is right again.
 * @lock: held by the calling thread.
 * Owns:    unchanged.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: cleared or not, and then the caller is the dead holder.
 * Returns: 0, also if there was nothing to clear; the next acquire answers 0 again. -EPERM the
 *          caller does not hold it; -EINVAL; -ESTALE.
 * Python:  none.
 */
SHOAL_API int shoal_lock_clear_owner_died(shoal_lock lock);

/*
 * shoal_lock_owner - who holds it, or who died holding it.
 * @lock: as in shoal_lock_acquire().
 * @ret_owner: while shoal_lock_owner_died() is true, the holder who died; else the holder.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0, and what it says was true at some instant of the call; -ESRCH nobody holds it;
 *          -EINVAL; -ESTALE.
 * Python:  what repr(lock) shows.
 */
SHOAL_API int shoal_lock_owner(shoal_lock lock, shoal_owner *ret_owner);

/*
 * shoal_lock_open - the lock of that name.
 * @segment: where it lies; none for the family's.
 * @name: given to it by shoal_publish().
 * @ret_lock: its handle, as from shoal_lock_create().
 * Owns:    nothing: there is nothing to close.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -ENOENT no such name, or its object is gone; -EINVAL the object is of another type;
 *          -EMSGSIZE the name is too long; -ESTALE the segment is not attached; -EUCLEAN.
 * Python:  none.
 */
SHOAL_MUST int shoal_lock_open(shoal_segment segment, const char *name, shoal_lock *ret_lock);

/*
 * shoal_lock_destroy - end a lock, held or not.
 * @lock: none and an ended one are fine.
 * Owns:    nobody; the handle is stale everywhere afterwards.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no. Who waits for it gets -ESTALE.
 * Death:   killed inside: the lock is whole, or ended and its memory goes with the segment.
 * Returns: 0; -EINVAL a handle of something else.
 * Python:  the last reference to the Lock goes.
 */
SHOAL_API int shoal_lock_destroy(shoal_lock lock);

/*
 * SHOAL_WITH(lock) { held } else { not held: shoal_error_message() says why }
 *
 * Waits for the lock as long as it takes. It is released on every way out of the first block: its
 * end, break and continue (both end the block), return and goto, but not longjmp() or exit(). The
 * second block may be left out. shoal_lock_owner_died() tells whether a holder died.
 */
#define SHOAL_WITH(lock) SHOAL_WITH_AT_(lock, __LINE__)
#define SHOAL_WITH_AT_(lock, line) SHOAL_WITH_LINE_(lock, line)
#define SHOAL_WITH_LINE_(lock, line) SHOAL_WITH_NAME_(lock, shoal_scope_##line)
/* NOLINTBEGIN(bugprone-macro-parentheses): a declared name cannot stand in parentheses */
#define SHOAL_WITH_NAME_(lock, scope)                                         \
    for (shoal_lock_scope scope                                               \
         __attribute__((cleanup(shoal_lock_leave))) = shoal_lock_enter(lock); \
         scope.pending; scope.pending = false)                                \
        if (scope.code >= 0)
/* NOLINTEND(bugprone-macro-parentheses): as above */

typedef struct {
    shoal_lock lock;
    int code;     /* what shoal_lock_acquire() answered */
    bool pending; /* the block has not been run yet */
} shoal_lock_scope;

/*
 * shoal_lock_enter - what SHOAL_WITH() begins with.
 * @lock: as in shoal_lock_acquire().
 * Owns:    as shoal_lock_acquire().
 * Blocks:  while another holds it.
 * Safe:    as shoal_lock_acquire().
 * Death:   as shoal_lock_acquire().
 * Returns: the scope; its code is what shoal_lock_acquire() answered.
 * Python:  Lock.__enter__().
 */
SHOAL_API shoal_lock_scope shoal_lock_enter(shoal_lock lock);

/*
 * shoal_lock_leave - what SHOAL_WITH() ends with.
 * @scope: from shoal_lock_enter().
 * Owns:    nobody holds the lock, if the scope held it.
 * Blocks:  no.
 * Safe:    as shoal_lock_release().
 * Death:   as shoal_lock_release().
 * Returns: nothing.
 * Python:  Lock.__exit__().
 */
SHOAL_API void shoal_lock_leave(shoal_lock_scope *scope);

SHOAL_END_DECLS
#endif
