/*
 * What is called when a process ends, or begins: finalizers at exit, hooks in forked children.
 */
#ifndef SHOAL_HOOKS_H
#define SHOAL_HOOKS_H

#include <limits.h>
#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/* Of the process that created it alone; elsewhere, and once it has run, it names nothing. */
typedef struct {
    uint64_t ref;
} shoal_finalizer;

#define SHOAL_FINALIZE_NEVER INT_MIN /* not at exit, only by shoal_finalizer_run() */

/*
 * shoal_finalizer_create - have something done once: when asked for, or at the latest at exit.
 * @run: what is called.
 * @argument: what it gets; not copied.
 * @exit_priority: shoal_shutdown(), and so exit(), runs those of 0 and above before it ends the
 *                 children, the others after it; the higher first, of equal ones the latest.
 * @ret_finalizer: the handle; may be NULL.
 * Owns:    the library, until it has run or is cancelled. Who frees an object runs its finalizer:
 *          nothing is collected.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes, where those of the parent are not: they are ignored; signal
 *          handler no.
 * Death:   a process that is killed runs none.
 * Returns: 0; -EINVAL no function; -ENOMEM.
 * Python:  multiprocessing.util.Finalize(obj, callback, args, exitpriority=exit_priority).
 */
SHOAL_MUST int shoal_finalizer_create(void (*run)(void *argument), void *argument,
                                      int exit_priority, shoal_finalizer *ret_finalizer);

/*
 * shoal_finalizer_run - run it now, if it has not run.
 * @finalizer: of this process.
 * Owns:    nothing; the handle is good no more.
 * Blocks:  as its function does.
 * Safe:    threads yes, one of them runs it; after fork yes; signal handler no.
 * Death:   killed in its function: nobody runs it.
 * Returns: whether it ran now.
 * Python:  calling the Finalize object.
 */
SHOAL_API bool shoal_finalizer_run(shoal_finalizer finalizer);

/*
 * shoal_finalizer_cancel - never run it.
 * @finalizer: of this process.
 * Owns:    nothing; the handle is good no more.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: whether it could still be cancelled.
 * Python:  Finalize.cancel().
 */
SHOAL_API bool shoal_finalizer_cancel(shoal_finalizer finalizer);

/*
 * shoal_after_fork - have something called in every child of this process.
 * @run: called in a child before its target, in the order in which they were given.
 * @argument: what it gets; not copied.
 * Owns:    the library, for ever; a child has those of its creator, and its children have them from
 *          it. With SPAWN and FORKSERVER these are the ones that were given before shoal_init().
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0, also if it is known already, with the same argument; -EINVAL no function; -ENOMEM.
 * Python:  multiprocessing.util.register_after_fork(obj, func).
 */
SHOAL_MUST int shoal_after_fork(void (*run)(void *argument), void *argument);

SHOAL_END_DECLS
#endif
