/*
 * A queue hands payloads from process to process: nothing is copied, a message is read where it
 * was built. One with a value_size copies small values in and out instead: <shoal/values.h>. Any
 * number of processes put and get at once. What one producer puts arrives in its order; with
 * several, each message arrives once, in the order in which the puts took effect.
 *
 * A process that is killed inside a call takes nothing along: its message is wholly in the queue
 * or was never put. One that is stopped (SIGSTOP) inside a call holds nobody up: no call waits for
 * another's step. Not so of a queue whose options say bulk, joinable or capacity_size, or values of
 * other than 8 bytes: there who is stopped holds up its side of the queue until it goes on; and one
 * that is stopped taking, a put that has to enlarge a queue without a capacity. Such a wait ends as
 * any does, at the deadline or by its cancel event.
 *
 * A queue with single_producer or single_consumer belongs on that side to one thread: the first
 * that puts (an end, too), or gets, until it ends or dies; then to the next one. Others are refused
 * with -EPERM. Put is faster so; get is not. One that is stopped keeps its side. Shutting down is
 * anybody's.
 *
 * Those who want to know when all that was put is done, and to lose no message with its consumer,
 * make it joinable: <shoal/joinable.h>.
 *
 * docs/examples/face.c is a complete program.
 */
#ifndef SHOAL_QUEUE_H
#define SHOAL_QUEUE_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/* The most that a capacity can be. A queue without one is unbounded, as in Python: it holds what
 * there is memory for, a put into it does not wait for space, and its memory goes back as it is
 * drained. */
#define SHOAL_QUEUE_CAPACITY_MAX (1u << 30)
#define SHOAL_QUEUE_VALUE_SIZE_MAX 4096

typedef struct {
    shoal_segment segment;    /* none: the family's */
    size_t capacity_count;    /* messages; 0: any number, see above */
    size_t capacity_size;     /* bytes of messages together, or one larger one; 0: any */
    size_t value_size;        /* 0: of payloads; else of values of so many bytes */
    bool bulk;                /* for values of which one call moves many; see above */
    bool joinable;            /* what is got is leased: <shoal/joinable.h>. Not of values */
    bool single_producer;     /* one thread alone puts: see above */
    bool single_consumer;     /* likewise gets */
    unsigned deliveries_max;  /* of a joinable one: how often a message is given out; 0: 3 */
    shoal_queue dead_letters; /* what was given out as often goes here; none: it is dropped */
    bool ends_with_creator;   /* as his process does: waits answer -ESTALE at once, others soon */
    uint64_t reserved[8];     /* zero */
} shoal_queue_options;

/*
 * shoal_queue_create - a queue of payloads, or of values.
 * @options: NULL for the defaults.
 * @ret_queue: the handle, good in every process that has the segment.
 * Owns:    nobody: it lives until shoal_queue_destroy() or the end of its segment.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no queue; its memory is free again when the death is settled.
 * Returns: 0; -EINVAL also dead_letters with a single producer; -ENOMEM; -ENOTSUP values, and
 *          joinable; -ESTALE the segment is not attached, or dead_letters is gone; -EXDEV
 *          dead_letters lies in another segment; -EPIPE it is closed in this process.
 * Python:  multiprocessing.Queue(maxsize).
 */
SHOAL_MUST int shoal_queue_create(const shoal_queue_options *options, shoal_queue *ret_queue);

/*
 * shoal_queue_put - hand one message over.
 * @queue: from shoal_queue_create(), in any attached process.
 * @payload: the caller's, from shoal_alloc(), or shared and held by him; not NULL.
 * @deadline: when to give up.
 * Owns:    on success the queue owns @payload; on failure it is still the caller's. Of a shared one
 *          one hold moves to the queue.
 * Blocks:  while the queue is full, until @deadline. One without a capacity never is.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the message is wholly in the queue or was never put; nobody waits for
 *          the dead.
 * Returns: 0; -ETIMEDOUT full at the deadline; -ECANCELED full when the cancel event was set;
 *          -EPIPE shut down, or closed in this process; -EFAULT not a payload; -EPERM not the
 *          caller's, or not held by him, or the queue has another producer who alone may; -ENOMEM
 *          shared or unbounded, and no memory; -ENOTSUP shared, and the queue is joinable;
 *          -EXDEV of another segment; -EINVAL; -ESTALE the queue is gone, or the cancel event;
 *          -EUCLEAN a process damaged the queue.
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
 * shoal_queue_put_many - hand several messages over, in their order.
 * @queue: as in shoal_queue_put().
 * @payloads: as in shoal_queue_put(), each.
 * @count: how many.
 * @ret_count: how many of them, the first ones, were put.
 * @deadline: when to give up.
 * Owns:    the queue owns the first @ret_count; the others are still the caller's.
 * Blocks:  while the queue is full, until all of them are put or @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: each message is wholly in the queue or was never put, the first ones
 *          first.
 * Returns: 0 if any was put, or @count is 0; else why the first one was not: as shoal_queue_put().
 * Python:  none; Queue.put() in a loop.
 */
SHOAL_MUST int shoal_queue_put_many(shoal_queue queue, void *const *payloads, size_t count,
                                    size_t *ret_count, shoal_deadline deadline);

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
 *          -EPIPE shut down and empty, or an end, or closed in this process; -EPERM the queue has
 *          another consumer who alone may; -EINVAL; -ENOMEM joinable, and no memory for the lease;
 *          -ESTALE the queue is gone, or the cancel event; -EUCLEAN what is queued is no payload,
 *          or a process damaged the queue.
 * Python:  Queue.get(block, timeout); -EPIPE where 3.13 raises ShutDown.
 */
SHOAL_MUST int shoal_queue_get(shoal_queue queue, void **ret_payload, shoal_deadline deadline);

/*
 * shoal_queue_get_many - take the oldest messages, as many as there are.
 * @queue: as in shoal_queue_put().
 * @ret_payloads: room for them.
 * @count_max: of how many.
 * @ret_count: how many were taken.
 * @deadline: when to give up.
 * Owns:    as shoal_queue_get(), each.
 * Blocks:  while the queue is empty, until @deadline; not for more than one message.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: each message is still queued, or it was the dead process's.
 * Returns: 0 if any was taken, or @count_max is 0; else as shoal_queue_get(). It stops before an
 *          end, which the next call takes.
 * Python:  none; Queue.get() in a loop.
 */
SHOAL_MUST int shoal_queue_get_many(shoal_queue queue, void **ret_payloads, size_t count_max,
                                    size_t *ret_count, shoal_deadline deadline);

/*
 * shoal_queue_put_end - tell one consumer that there is no more for it.
 * @queue: as in shoal_queue_put(), of payloads or of values.
 * @deadline: when to give up.
 * Owns:    nothing. An end is queued as a message is, behind what was put before it, and counts as
 *          one; a get takes it and answers -EPIPE, once for each end.
 * Blocks:  while the queue is full, until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_queue_put().
 * Returns: 0; else as shoal_queue_put().
 * Python:  Queue.put(None), the poison pill.
 */
SHOAL_MUST int shoal_queue_put_end(shoal_queue queue, shoal_deadline deadline);

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
 * shoal_queue_shutdown_now - likewise, and drop what is queued.
 * @queue: as in shoal_queue_put().
 * Owns:    the messages are freed, but for those that others get meanwhile.
 * Blocks:  no longer than it takes to get them.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: shut down or not, and some of the messages may still be queued.
 * Returns: 0, also the second time; -ETIMEDOUT another process is stopped inside a call, and what
 *          is queued stays; -EINVAL; -ESTALE; -EUCLEAN what is queued is no payload.
 * Python:  queue.Queue.shutdown(immediate=True) of 3.13.
 */
SHOAL_API int shoal_queue_shutdown_now(shoal_queue queue);

/*
 * shoal_queue_close - this process puts and gets no more: its calls answer -EPIPE.
 * @queue: none, a closed and an ended one are fine.
 * Owns:    what is queued stays queued, for others.
 * Blocks:  no; a call that is under way in another thread ends as it would have.
 * Safe:    threads yes; after fork yes: a child has closed nothing; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -EINVAL a handle of something else; -ENOMEM. Closed here it may still be asked for
 *          its stats, shut down and destroyed; qsize answers 0, empty true, full false.
 * Python:  Queue.close().
 */
SHOAL_API int shoal_queue_close(shoal_queue queue);

/*
 * shoal_queue_join_thread - what this process has put before it closed the queue can be got.
 * @queue: closed in this process.
 * Owns:    nothing.
 * Blocks:  no: it could be got when the put returned.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -EBUSY not closed here; -EINVAL; -ESTALE.
 * Python:  Queue.join_thread(). There is no thread, and nothing for cancel_join_thread() to cancel.
 */
SHOAL_API int shoal_queue_join_thread(shoal_queue queue);

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
 * Blocks:  up to a second for one who is stopped inside a call; of a dense ring (bulk, joinable, a
 *          capacity_size, values of other than 8 bytes) for as long as he is.
 * Safe:    threads yes; after fork yes; signal handler no. Calls under way in other threads and
 *          processes end with -ESTALE.
 * Death:   killed inside: the queue is whole, or ended, and freed when the death is settled.
 * Returns: 0; -EINVAL a handle of something else.
 * Python:  the last reference to the Queue goes.
 */
SHOAL_API int shoal_queue_destroy(shoal_queue queue);

SHOAL_END_DECLS
#endif
