/*
 * Queues of values: small ones of one size (value_size in the options of shoal_queue_create()),
 * which are copied into the queue and out of it. There is nothing to allocate or to free, and no
 * pointer to anybody's memory. A value that was put belongs to the queue, whoever dies; one that
 * was taken is its taker's, and is lost with him.
 *
 * Everything else about queues is in <shoal/queue.h>; the calls there that hand payloads over are
 * refused with -EINVAL by a queue of values, as these are by a queue of payloads.
 */
#ifndef SHOAL_VALUES_H
#define SHOAL_VALUES_H

#include <shoal/queue.h>

SHOAL_BEGIN_DECLS

/*
 * shoal_queue_put_value - copy a value into the queue.
 * @queue: one with a value_size, in any attached process.
 * @value: what is copied.
 * @size: its bytes: the queue's value_size.
 * @deadline: when to give up.
 * Owns:    the queue owns the copy.
 * Blocks:  while the queue is full, until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the value is wholly in the queue or was never put; nobody waits for the
 *          dead.
 * Returns: 0; -ETIMEDOUT full at the deadline; -ECANCELED full when the cancel event was set;
 *          -EPIPE shut down; -EPERM the queue has another producer who alone may; -EINVAL another
 *          size, or not a queue of values; -ENOMEM without a capacity, and no memory; -ESTALE the
 *          queue is gone, or the cancel event; -EUCLEAN a process damaged the queue.
 * Python:  Queue.put(obj, block, timeout) of a number or a small struct.
 */
SHOAL_MUST int shoal_queue_put_value(shoal_queue queue, const void *value, size_t size,
                                     shoal_deadline deadline);

/*
 * shoal_queue_put_values - copy several values, in their order.
 * @queue: as in shoal_queue_put_value().
 * @values: an array of values.
 * @size: bytes of each: the queue's value_size.
 * @count: how many.
 * @ret_count: how many of them, the first ones, were put.
 * @deadline: when to give up.
 * Owns:    the queue owns the copies.
 * Blocks:  while the queue is full, until all of them are put or @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: each value is wholly in the queue or was never put, the first ones first.
 * Returns: 0 if any was put, or @count is 0; else as shoal_queue_put_value().
 * Python:  none; Queue.put() in a loop.
 */
SHOAL_MUST int shoal_queue_put_values(shoal_queue queue, const void *values, size_t size,
                                      size_t count, size_t *ret_count, shoal_deadline deadline);

/*
 * shoal_queue_get_value - take the oldest value.
 * @queue: as in shoal_queue_put_value().
 * @ret_value: room for it.
 * @size: bytes of the room: the queue's value_size.
 * @deadline: when to give up.
 * Owns:    the value is the caller's.
 * Blocks:  while the queue is empty, until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the value is still queued, or is lost with the dead process.
 * Returns: 0; -ETIMEDOUT empty at the deadline; -ECANCELED empty when the cancel event was set;
 *          -EPIPE shut down and empty, or an end; -EPERM the queue has another consumer who alone
 *          may; -EINVAL; -ESTALE the queue is gone, or the cancel event; -EUCLEAN.
 * Python:  Queue.get(block, timeout).
 */
SHOAL_MUST int shoal_queue_get_value(shoal_queue queue, void *ret_value, size_t size,
                                     shoal_deadline deadline);

/*
 * shoal_queue_get_values - take the oldest values, as many as there are.
 * @queue: as in shoal_queue_put_value().
 * @ret_values: room for @count_max values.
 * @size: bytes of each: the queue's value_size.
 * @count_max: of how many.
 * @ret_count: how many were taken.
 * @deadline: when to give up.
 * Owns:    the values are the caller's.
 * Blocks:  while the queue is empty, until @deadline; not for more than one value.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: those of one step are still queued, or are lost with the dead process.
 * Returns: 0 if any was taken, or @count_max is 0; else as shoal_queue_get_value(). It stops before
 *          an end, which the next call takes.
 * Python:  none; Queue.get() in a loop.
 */
SHOAL_MUST int shoal_queue_get_values(shoal_queue queue, void *ret_values, size_t size,
                                      size_t count_max, size_t *ret_count, shoal_deadline deadline);

SHOAL_END_DECLS
#endif
