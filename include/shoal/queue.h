/*
 * A queue hands payloads from process to process: nothing is copied, a message is read where it
 * was built. Any number of processes put and get at once. What one producer puts arrives in its
 * order; with several, each message arrives once, in the order in which the puts took effect.
 *
 * A process that is killed inside a call takes nothing along: its message is wholly in the queue
 * or was never put, and the next caller takes the side of the ring over from it. A process that is
 * stopped (SIGSTOP) inside a call holds up its side of the queue until it goes on.
 *
 * docs/examples/face.c is a complete program.
 */
#ifndef SHOAL_QUEUE_H
#define SHOAL_QUEUE_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/* How many messages a queue holds whose options name no capacity, and the most that any holds. */
#define SHOAL_QUEUE_CAPACITY_DEFAULT 65536
#define SHOAL_QUEUE_CAPACITY_MAX (1u << 30)

typedef struct {
    shoal_segment segment; /* none: the family's */
    size_t capacity_count; /* messages; 0: SHOAL_QUEUE_CAPACITY_DEFAULT */
    uint64_t reserved[8];  /* zero */
} shoal_queue_options;

/*
 * shoal_queue_create - a queue of payloads.
 * @options: NULL for the defaults.
 * @ret_queue: the handle, good in every process that has the segment.
 * Owns:    nobody: it lives until shoal_queue_destroy() or the end of its segment.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no queue; its memory goes with the segment.
 * Returns: 0; -EINVAL; -ENOMEM; -ESTALE the segment is not attached.
 * Python:  multiprocessing.Queue(maxsize); bounded also by default.
 */
SHOAL_MUST int shoal_queue_create(const shoal_queue_options *options, shoal_queue *ret_queue);

/*
 * shoal_queue_put - hand one message over.
 * @queue: from shoal_queue_create(), in any attached process.
 * @payload: the caller's, from shoal_alloc(); not NULL.
 * @deadline: when to give up.
 * Owns:    on success the queue owns @payload; on failure it is still the caller's.
 * Blocks:  while the queue is full, until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the message is wholly in the queue or was never put; nobody waits for
 *          the dead.
 * Returns: 0; -ETIMEDOUT full at the deadline; -ECANCELED full when the cancel event was set;
 *          -EPIPE shut down; -EFAULT not a payload; -EPERM not the caller's; -EXDEV of another
 *          segment; -EINVAL; -ESTALE the queue is gone, or the cancel event.
 * Python:  Queue.put(obj, block, timeout); no feeder thread, so it is visible at return.
 */
SHOAL_MUST int shoal_queue_put(shoal_queue queue, void *payload, shoal_deadline deadline);

/*
 * shoal_queue_put_bytes - hand a copy of some bytes over.
 * @queue: as in shoal_queue_put().
 * @data: copied; may be NULL if @size is 0.
 * @size: bytes.
 * @deadline: when to give up.
 * Owns:    the queue owns the copy, the caller keeps @data.
 * Blocks:  while the queue is full, until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_queue_put().
 * Returns: as shoal_queue_put(); -ENOMEM no memory for the copy.
 * Python:  Queue.put(bytes).
 */
SHOAL_MUST int shoal_queue_put_bytes(shoal_queue queue, const void *data, size_t size,
                                     shoal_deadline deadline);

/*
 * shoal_queue_get - take the oldest message.
 * @queue: as in shoal_queue_put().
 * @ret_payload: the message, where its sender built it.
 * @deadline: when to give up.
 * Owns:    the calling process owns the message: free it or put it into a queue.
 * Blocks:  while the queue is empty, until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the message is still queued, or it was the dead process's.
 * Returns: 0; -ETIMEDOUT empty at the deadline; -ECANCELED empty when the cancel event was set;
 *          -EPIPE shut down and empty; -EINVAL; -ESTALE the queue is gone, or the cancel event;
 *          -EUCLEAN what is queued is no payload.
 * Python:  Queue.get(block, timeout); -EPIPE where 3.13 raises ShutDown.
 */
SHOAL_MUST int shoal_queue_get(shoal_queue queue, void **ret_payload, shoal_deadline deadline);

/*
 * shoal_queue_shutdown - no more messages: puts fail, gets drain the queue and then answer -EPIPE.
 * @queue: as in shoal_queue_put().
 * Owns:    what is queued stays queued.
 * Blocks:  no longer than a put that finds space.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: shut down wholly or not at all.
 * Returns: 0, also the second time; -EINVAL; -ESTALE.
 * Python:  queue.Queue.shutdown() of 3.13.
 */
SHOAL_API int shoal_queue_shutdown(shoal_queue queue);

/*
 * shoal_queue_qsize - messages in the queue.
 * @queue: as in shoal_queue_put().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: exact while nobody puts or gets, else a count that was true at some instant of the call
 *          or is off by those under way; 0 for a stale handle (shoal_error_message() says so).
 * Python:  Queue.qsize().
 */
SHOAL_API size_t shoal_queue_qsize(shoal_queue queue);

/*
 * shoal_queue_empty - is nothing queued?
 * @queue: as in shoal_queue_put().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: as exact as shoal_queue_qsize(); true for a stale handle.
 * Python:  Queue.empty().
 */
SHOAL_API bool shoal_queue_empty(shoal_queue queue);

/*
 * shoal_queue_full - would a put wait?
 * @queue: as in shoal_queue_put().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: as exact as shoal_queue_qsize(); false for a stale handle.
 * Python:  Queue.full().
 */
SHOAL_API bool shoal_queue_full(shoal_queue queue);

/*
 * shoal_queue_open - the queue of that name.
 * @segment: where it lies; none for the family's.
 * @name: given to it by shoal_publish().
 * @ret_queue: its handle, as from shoal_queue_create().
 * Owns:    nothing: there is nothing to close.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -ENOENT no such name, or its object is gone; -EINVAL the object is of another type;
 *          -EMSGSIZE the name is too long; -ESTALE the segment is not attached; -EUCLEAN.
 * Python:  none.
 */
SHOAL_MUST int shoal_queue_open(shoal_segment segment, const char *name, shoal_queue *ret_queue);

/*
 * shoal_queue_destroy - end a queue and free what is in it.
 * @queue: none and an ended one are fine.
 * Owns:    nobody; the handle is stale everywhere afterwards.
 * Blocks:  no longer than a put and a get.
 * Safe:    threads yes; after fork yes; signal handler no. Calls under way in other threads and
 *          processes end with -ESTALE.
 * Death:   killed inside: the queue is whole, or ended and its memory goes with the segment.
 * Returns: 0; -EINVAL a handle of something else.
 * Python:  the last reference to the Queue goes.
 */
SHOAL_API int shoal_queue_destroy(shoal_queue queue);

SHOAL_END_DECLS
#endif
