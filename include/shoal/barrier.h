/*
 * A barrier lets nobody on before a certain number of threads, its parties, have come. Then all go
 * on, and it can be used again.
 *
 * It breaks when one who waits gives up, by its deadline or cancel event, when somebody aborts it,
 * and when one dies that has waited at it once: it might be the one all others would wait for in
 * vain. Then everybody who waits, and everybody who comes, gets -ECONNABORTED until it is reset.
 * A thread that returns, and a process that calls exit(), leave in peace and are parties no more;
 * one that is killed, or calls _exit(), dies. Who dies before the first wait is not known to the
 * barrier, and is waited for.
 */
#ifndef SHOAL_BARRIER_H
#define SHOAL_BARRIER_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

#define SHOAL_BARRIER_PARTIES_MAX 1024u

typedef struct {
    shoal_segment segment;         /* none: the family's */
    void (*action)(void *context); /* run by one party when all have come, before any goes on: a
                                      function that is there in every process that waits */
    void *context;                 /* handed to it: valid in every process that waits */
    bool ends_with_creator; /* as his process does: waits answer -ESTALE at once, others soon */
    uint64_t reserved[4];   /* zero */
} shoal_barrier_options;

/*
 * shoal_barrier_create - a barrier.
 * @parties: how many must come, 1 to SHOAL_BARRIER_PARTIES_MAX.
 * @options: NULL for the defaults: no action.
 * @ret_barrier: the handle, good in every process that has the segment.
 * Owns:    nobody: it lives until shoal_barrier_destroy() or the end of its segment.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no barrier; its memory goes with the segment.
 * Returns: 0; -EINVAL also a number of parties that is out of range; -ENOMEM; -ESTALE the segment
 *          is not attached.
 * Python:  multiprocessing.Barrier(parties, action); a timeout is given to each wait.
 */
SHOAL_MUST int shoal_barrier_create(unsigned parties, const shoal_barrier_options *options,
                                    shoal_barrier *ret_barrier);

/*
 * shoal_barrier_wait - wait until all have come.
 * @barrier: from shoal_barrier_create(), in any attached process.
 * @ret_index: a number from 0 to parties - 1, another one for each of those who go on together;
 *          may be NULL.
 * @deadline: when to give up, which breaks the barrier for all.
 * Owns:    the calling thread is one of the parties from its first wait on, until it ends or the
 *          barrier is reset.
 * Blocks:  until all have come and the action has been run, or @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside, or at any time after it: the barrier is broken.
 * Returns: 0; -ECONNABORTED broken before or meanwhile, or reset meanwhile; -ETIMEDOUT, which has
 *          broken it; -ECANCELED the cancel event was set, which has broken it; -EINVAL; -ESTALE
 *          the barrier is gone, or the cancel event.
 * Python:  Barrier.wait(timeout); BrokenBarrierError also for who timed out.
 */
SHOAL_MUST int shoal_barrier_wait(shoal_barrier barrier, unsigned *ret_index,
                                  shoal_deadline deadline);

/*
 * shoal_barrier_abort - break it.
 * @barrier: as in shoal_barrier_wait().
 * Owns:    unchanged.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: broken or not.
 * Returns: 0, also if it is broken already; -EINVAL; -ESTALE.
 * Python:  Barrier.abort().
 */
SHOAL_API int shoal_barrier_abort(shoal_barrier barrier);

/*
 * shoal_barrier_reset - whole and empty again.
 * @barrier: as in shoal_barrier_wait(); broken or not.
 * Owns:    nobody is a party before the next wait.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no. Who waits gets -ECONNABORTED.
 * Death:   killed inside: reset, or broken.
 * Returns: 0; -EINVAL; -ESTALE.
 * Python:  Barrier.reset().
 */
SHOAL_API int shoal_barrier_reset(shoal_barrier barrier);

/*
 * shoal_barrier_is_broken - must it be reset?
 * @barrier: as in shoal_barrier_wait().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   a death that nobody has noticed yet may not count.
 * Returns: what was true at some instant of the call; false for a stale handle.
 * Python:  Barrier.broken.
 */
SHOAL_API bool shoal_barrier_is_broken(shoal_barrier barrier);

/*
 * shoal_barrier_parties - how many must come.
 * @barrier: as in shoal_barrier_wait().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: what it was created with; 0 for a stale handle.
 * Python:  Barrier.parties.
 */
SHOAL_API unsigned shoal_barrier_parties(shoal_barrier barrier);

/*
 * shoal_barrier_waiting - how many have come and wait.
 * @barrier: as in shoal_barrier_wait().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: exact while nobody comes or goes, else off by those under way; 0 if it is broken, or
 *          for a stale handle.
 * Python:  Barrier.n_waiting.
 */
SHOAL_API unsigned shoal_barrier_waiting(shoal_barrier barrier);

/*
 * shoal_barrier_open - the barrier of that name.
 * @segment: where it lies; none for the family's.
 * @name: given to it by shoal_publish().
 * @ret_barrier: its handle, as from shoal_barrier_create().
 * Owns:    nothing: there is nothing to close.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -ENOENT no such name, or its object is gone; -EINVAL the object is of another type;
 *          -EMSGSIZE the name is too long; -ESTALE the segment is not attached; -EUCLEAN.
 * Python:  none.
 */
SHOAL_MUST int shoal_barrier_open(shoal_segment segment, const char *name,
                                  shoal_barrier *ret_barrier);

/*
 * shoal_barrier_destroy - end a barrier.
 * @barrier: none and an ended one are fine.
 * Owns:    nobody; the handle is stale everywhere afterwards.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no. Who waits gets -ESTALE.
 * Death:   killed inside: the barrier is whole, or ended and its memory goes with the segment.
 * Returns: 0; -EINVAL a handle of something else.
 * Python:  the last reference to the Barrier goes.
 */
SHOAL_API int shoal_barrier_destroy(shoal_barrier barrier);

SHOAL_END_DECLS
#endif
