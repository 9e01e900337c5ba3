/*
 * An event is set or clear; any number of threads of any process wait until it is set.
 *
 * Setting it releases all who wait at that moment, also if it is cleared at once: each set is
 * counted, so that nobody who waited overlooks it. In a deadline an event ends other calls: see
 * shoal_until().
 *
 * docs/examples/event.c is a complete program.
 */
#ifndef SHOAL_EVENT_H
#define SHOAL_EVENT_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

typedef struct {
    shoal_segment segment;  /* none: the family's */
    bool ends_with_creator; /* as his process does: waits answer -ESTALE at once, others soon */
    uint64_t reserved[4];   /* zero */
} shoal_event_options;

/*
 * shoal_event_create - an event that is clear.
 * @options: NULL for the defaults.
 * @ret_event: the handle, good in every process that has the segment.
 * Owns:    nobody: it lives until shoal_event_destroy() or the end of its segment.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no event; its memory goes with the segment.
 * Returns: 0; -EINVAL; -ENOMEM; -ESTALE the segment is not attached.
 * Python:  multiprocessing.Event().
 */
SHOAL_MUST int shoal_event_create(const shoal_event_options *options, shoal_event *ret_event);

/*
 * shoal_event_set - set it and release all who wait.
 * @event: from shoal_event_create(), in any attached process.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes, so that Ctrl-C can end a wait, as
 *          signals by themselves do not.
 * Death:   killed inside: not set, or set and all are released; nobody waits for a dead waiter.
 * Returns: 0, also if it is set already; -EINVAL; -ESTALE.
 * Python:  Event.set().
 */
SHOAL_API int shoal_event_set(shoal_event event);

/*
 * shoal_event_clear - clear it: who comes from now on waits.
 * @event: as in shoal_event_set().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: cleared or not.
 * Returns: 0, also if it is clear already; -EINVAL; -ESTALE.
 * Python:  Event.clear().
 */
SHOAL_API int shoal_event_clear(shoal_event event);

/*
 * shoal_event_is_set - is it set?
 * @event: as in shoal_event_set().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: whether it was at some instant of the call; false for a stale handle.
 * Python:  Event.is_set().
 */
SHOAL_API bool shoal_event_is_set(shoal_event event);

/*
 * shoal_event_wait - wait until it is set.
 * @event: as in shoal_event_set().
 * @deadline: when to give up.
 * Owns:    nothing.
 * Blocks:  until the event is set, or was set at any time since the call began; until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: nobody misses the dead.
 * Returns: 0 it is or was set; -ETIMEDOUT; -ECANCELED the cancel event was set; -EINVAL; -ESTALE
 *          the event is gone, or the cancel event.
 * Python:  Event.wait(timeout); there, a set and a clear in a row can be overlooked.
 */
SHOAL_MUST int shoal_event_wait(shoal_event event, shoal_deadline deadline);

/*
 * shoal_event_open - the event of that name.
 * @segment: where it lies; none for the family's.
 * @name: given to it by shoal_publish().
 * @ret_event: its handle, as from shoal_event_create().
 * Owns:    nothing: there is nothing to close.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -ENOENT no such name, or its object is gone; -EINVAL the object is of another type;
 *          -EMSGSIZE the name is too long; -ESTALE the segment is not attached; -EUCLEAN.
 * Python:  none.
 */
SHOAL_MUST int shoal_event_open(shoal_segment segment, const char *name, shoal_event *ret_event);

/*
 * shoal_event_destroy - end an event, set or not.
 * @event: none and an ended one are fine.
 * Owns:    nobody; the handle is stale everywhere afterwards.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no. Who waits for it, or with it as the
 *          cancel event, gets -ESTALE.
 * Death:   killed inside: the event is whole, or ended and its memory goes with the segment.
 * Returns: 0; -EINVAL a handle of something else.
 * Python:  the last reference to the Event goes.
 */
SHOAL_API int shoal_event_destroy(shoal_event event);

SHOAL_END_DECLS
#endif
