/*
 * Joinable queues: what is got is leased. A lease ends exactly once: by shoal_queue_task_done(),
 * which frees the message; by shoal_free(), which does the same; or by shoal_queue_put(), which
 * hands it on to any queue. shoal_queue_join() waits until all that was put has ended.
 *
 * A process that dies, or leaves the segment, gives its leases back: the messages are got again,
 * the oldest one first and before all that is queued. One that was given out as often as the
 * option `deliveries_max` says, and came back, goes to the queue `dead_letters`; if that is none,
 * full or gone it is dropped and counted (shoal_queue_stats). Either way it has ended.
 *
 * A get of a joinable queue that was shut down answers -EPIPE once nothing is queued and no lease
 * is out: until then a message may come back. So who has a message ends it before the next get.
 * An end (shoal_queue_put_end) counts as done when it is taken.
 *
 * A leased message is its holder's to read and write, but cannot be shared, nor anything be
 * allocated under it. What is shared already cannot be put into a joinable queue, and queues of
 * values cannot be joinable. A get that finds a message queued does not look for deaths first: what
 * the dead had leased comes before the rest as soon as somebody has noticed.
 *
 * docs/examples/joinable_queue.c is a complete program.
 */
#ifndef SHOAL_JOINABLE_H
#define SHOAL_JOINABLE_H

#include <shoal/queue.h>

SHOAL_BEGIN_DECLS

/*
 * shoal_queue_task_done - end the lease of a message, and free it.
 * @queue: the joinable queue from which it was got.
 * @payload: the message, leased to the calling process.
 * Owns:    nobody, afterwards.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes, but what was leased is the parent's; signal handler no.
 * Death:   killed inside: it is done, or is delivered again.
 * Returns: 0; -EOVERFLOW "task_done() called too many times": the payload is not leased; -EPERM it
 *          is leased to another process; -EFAULT not a payload; -EINVAL leased from another queue,
 *          NULL, or the queue is not joinable; -ESTALE the queue is gone: use shoal_free().
 * Python:  JoinableQueue.task_done(), which does not say which one.
 */
SHOAL_API int shoal_queue_task_done(shoal_queue queue, void *payload);

/*
 * shoal_queue_join - wait until all that was put is done.
 * @queue: a joinable one.
 * @deadline: when to give up.
 * Owns:    nothing.
 * Blocks:  until nothing is queued and no lease is out, or @deadline. All who wait are woken.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave. The death of others ends no wait and strands none: what they had
 *          leased is delivered again or given up.
 * Returns: 0; -ETIMEDOUT; -ECANCELED; -EINVAL the queue is not joinable; -ESTALE the queue is gone,
 *          or the cancel event.
 * Python:  JoinableQueue.join(), which has no timeout.
 */
SHOAL_MUST int shoal_queue_join(shoal_queue queue, shoal_deadline deadline);

/*
 * shoal_queue_deliveries - how often a leased message was given out.
 * @payload: leased to the calling process.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes, but what was leased is the parent's; signal handler no.
 * Death:   nothing to leave.
 * Returns: 1 for the first time, or more; else as shoal_queue_task_done().
 * Python:  none.
 */
SHOAL_API int shoal_queue_deliveries(const void *payload);

SHOAL_END_DECLS
#endif
