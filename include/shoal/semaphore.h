/*
 * A semaphore has a value: acquire waits until it is above zero and takes one off, release adds
 * one. Who releases need not be who acquired.
 *
 * A bounded one refuses to rise above its initial value. An owned one is bounded, and a permit
 * belongs to the process that acquired it: if that one ends without releasing it, however it ends,
 * the permit comes back by itself, and who waits for it gets it. Without `owned` it is gone with
 * its holder.
 *
 * docs/examples/semaphore.c is a complete program.
 */
#ifndef SHOAL_SEMAPHORE_H
#define SHOAL_SEMAPHORE_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

#define SHOAL_SEMAPHORE_VALUE_MAX 2147483647u
#define SHOAL_SEMAPHORE_OWNED_MAX 1024u /* the most permits of an owned one */

typedef struct {
    shoal_segment segment;  /* none: the family's */
    bool bounded;           /* the initial value is the most */
    bool ends_with_creator; /* as his process does: waits answer -ESTALE at once, others soon */
    bool owned;             /* permits come back when their holder dies; implies bounded */
    uint64_t reserved[4];   /* zero */
} shoal_semaphore_options;

/*
 * shoal_semaphore_create - a semaphore.
 * @value: the initial one, 0 to SHOAL_SEMAPHORE_VALUE_MAX; to SHOAL_SEMAPHORE_OWNED_MAX if owned.
 * @options: NULL for the defaults: neither bounded nor owned.
 * @ret_semaphore: the handle, good in every process that has the segment.
 * Owns:    nobody: it lives until shoal_semaphore_destroy() or the end of its segment.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no semaphore; its memory goes with the segment.
 * Returns: 0; -EINVAL also a value that is out of range; -ENOMEM; -ESTALE the segment is not
 *          attached.
 * Python:  multiprocessing.Semaphore(value), BoundedSemaphore(value).
 */
SHOAL_MUST int shoal_semaphore_create(unsigned value, const shoal_semaphore_options *options,
                                      shoal_semaphore *ret_semaphore);

/*
 * shoal_semaphore_acquire - take one permit.
 * @semaphore: from shoal_semaphore_create(), in any attached process.
 * @deadline: when to give up.
 * Owns:    the permit of an owned one is the calling process's, whichever thread of it acquires.
 * Blocks:  while the value is 0, until @deadline.
 * Safe:    threads yes; after fork yes, and a child has none of its parent's permits; signal
 *          handler no.
 * Death:   killed inside: not taken, or taken by the dead: of an owned one, whoever waits for a
 *          permit is woken and gets it.
 * Returns: 0; -ETIMEDOUT none at the deadline; -ECANCELED none when the cancel event was set;
 *          -EINVAL; -ESTALE the semaphore is gone, or the cancel event.
 * Python:  Semaphore.acquire(block, timeout); a killed holder's permit is lost there.
 */
SHOAL_MUST int shoal_semaphore_acquire(shoal_semaphore semaphore, shoal_deadline deadline);

/*
 * shoal_semaphore_release - give one permit back, or add one.
 * @semaphore: as in shoal_semaphore_acquire(); of an owned one, the calling process has a permit.
 * Owns:    nobody has the permit.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: given back or not; an owned one's permit comes back either way, once.
 * Returns: 0; -EOVERFLOW "semaphore or lock released too many times": the value of a bounded one
 *          is the initial one already, or that of another is SHOAL_SEMAPHORE_VALUE_MAX; -EPERM the
 *          calling process has no permit of an owned one; -EINVAL; -ESTALE.
 * Python:  Semaphore.release().
 */
SHOAL_API int shoal_semaphore_release(shoal_semaphore semaphore);

/*
 * shoal_semaphore_value - how many may acquire now.
 * @semaphore: as in shoal_semaphore_acquire().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   permits of an owned one whose holder died are counted as free.
 * Returns: what was true at some instant of the call, of an owned one but for permits that come and
 *          go meanwhile; 0 also for a stale handle (shoal_error_message() says so).
 * Python:  Semaphore.get_value().
 */
SHOAL_API unsigned shoal_semaphore_value(shoal_semaphore semaphore);

/*
 * shoal_semaphore_open - the semaphore of that name.
 * @segment: where it lies; none for the family's.
 * @name: given to it by shoal_publish().
 * @ret_semaphore: its handle, as from shoal_semaphore_create().
 * Owns:    nothing: there is nothing to close.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -ENOENT no such name, or its object is gone; -EINVAL the object is of another type;
 *          -EMSGSIZE the name is too long; -ESTALE the segment is not attached; -EUCLEAN.
 * Python:  none.
 */
SHOAL_MUST int shoal_semaphore_open(shoal_segment segment, const char *name,
                                    shoal_semaphore *ret_semaphore);

/*
 * shoal_semaphore_destroy - end a semaphore.
 * @semaphore: none and an ended one are fine.
 * Owns:    nobody; the handle is stale everywhere afterwards.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no. Who waits for it gets -ESTALE.
 * Death:   killed inside: the semaphore is whole, or ended and its memory goes with the segment.
 * Returns: 0; -EINVAL a handle of something else.
 * Python:  the last reference to the Semaphore goes.
 */
SHOAL_API int shoal_semaphore_destroy(shoal_semaphore semaphore);

SHOAL_END_DECLS
#endif
