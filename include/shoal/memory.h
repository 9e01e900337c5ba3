/*
 * Payloads: memory in a segment, in which messages are built and read in place.
 *
 * A payload belongs to one process or to one queue. shoal_alloc() makes it the caller's,
 * shoal_queue_put() the queue's, shoal_queue_get() the getter's, shoal_free() ends it. What is
 * allocated under it goes wherever it goes. After shoal_share() several processes and queues may
 * hold it, and the last one ends it. In one family an ordinary pointer inside a payload is valid
 * everywhere.
 *
 * docs/examples/fan_out.c is a complete program.
 */
#ifndef SHOAL_MEMORY_H
#define SHOAL_MEMORY_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/*
 * shoal_alloc - memory for a message, in the family's segment.
 * @size: bytes; 0 is valid.
 * Owns:    the calling process, until it is put, freed, or the process ends.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the block is free or its process's, and given back with all the dead had.
 * Returns: 16-byte aligned, uninitialised; NULL out of memory (shoal_error_message() says which
 *          limit).
 * Python:  none; multiprocessing.heap.BufferWrapper.
 */
SHOAL_MUST void *shoal_alloc(size_t size);

/*
 * shoal_calloc - zeroed memory for @count things of @size bytes.
 * @count: things.
 * @size: bytes of each.
 * Owns:    as shoal_alloc().
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_alloc().
 * Returns: as shoal_alloc(); NULL also if the product overflows.
 * Python:  none.
 */
SHOAL_MUST void *shoal_calloc(size_t count, size_t size);

/*
 * shoal_alloc_in - memory in a certain segment.
 * @segment: an attached one; none for the family's.
 * @size: bytes; 0 is valid.
 * Owns:    as shoal_alloc().
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_alloc().
 * Returns: as shoal_alloc(); NULL also if @segment is not an attached one.
 * Python:  none.
 */
SHOAL_MUST void *shoal_alloc_in(shoal_segment segment, size_t size);

/*
 * shoal_alloc_aligned - memory whose address is a multiple of a power of two.
 * @alignment: 1, 2, 4, 8, 16, 32 or 64; up to 16 is what every payload has.
 * @size: bytes; 0 is valid.
 * Owns:    as shoal_alloc().
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_alloc().
 * Returns: as shoal_alloc(); NULL also if @alignment is none of these.
 * Python:  none.
 */
SHOAL_MUST void *shoal_alloc_aligned(size_t alignment, size_t size);

/*
 * shoal_strdup - a text as a payload.
 * @text: ends with a zero byte, which is copied too.
 * Owns:    as shoal_alloc().
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_alloc().
 * Returns: the copy; NULL as shoal_alloc(), or if @text is NULL.
 * Python:  none.
 */
SHOAL_MUST char *shoal_strdup(const char *text);

/*
 * shoal_alloc_under - memory that goes with another payload.
 * @parent: the caller's; or a payload under it, which then stands for it.
 * @size: bytes; 0 is valid.
 * Owns:    whoever owns @parent, for as long: put, got, shared, freed and lost with it. The owner
 *          of @parent may free it before.
 * Blocks:  no.
 * Safe:    threads yes, but of those under one parent one at a time; after fork yes; signal handler
 *          no.
 * Death:   as shoal_alloc().
 * Returns: as shoal_alloc(), in the segment of @parent; NULL also if that is not the caller's own.
 * Python:  an object inside another.
 */
SHOAL_MUST void *shoal_alloc_under(void *parent, size_t size);

/*
 * shoal_share - hold a payload together with others, or once more.
 * @payload: the caller's own; or one that is shared already, while somebody holds it.
 * Owns:    every call is one hold of the calling process, which it gives up by shoal_unshare() or
 *          moves by shoal_queue_put() to the queue, and so to the getter: who wants three queues to
 *          have it shares it three times and puts it into each. The last hold ends the payload.
 *          They must agree on who writes it.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes, a child holds it by a call of its own; signal handler no.
 * Death:   the process holds it or not; who dies, holds nothing.
 * Returns: 0; -EINVAL NULL; -EFAULT not a payload, or freed before; -EPERM another process's, in a
 *          queue, leased, or under another payload; -EUSERS held 256 times, or no slot for the
 *          thread; -ENOMEM; -EAGAIN another thread changed the payload meanwhile.
 * Python:  none; a SharedMemory that is opened again.
 */
SHOAL_MUST int shoal_share(void *payload);

/*
 * shoal_unshare - hold a shared payload once less.
 * @payload: one that the caller's process holds by shoal_share(), or as it got it from a queue;
 *           shoal_free() does the same.
 * Owns:    those that still hold it; if nobody does, it is freed with all that is under it.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   the process holds it or not; who dies, holds nothing.
 * Returns: 0; -EINVAL NULL; -EFAULT not a payload, or freed before; -EPERM not shared, or not held;
 *          -EUSERS no slot for the thread, -ENOMEM no memory for it.
 * Python:  none; SharedMemory.close().
 */
SHOAL_API int shoal_unshare(void *payload);

/*
 * shoal_free - give a payload back.
 * @payload: the caller's; or shared, then as shoal_unshare(); NULL is nothing.
 * Owns:    nobody, afterwards; all that is under it neither.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the block is free or its process's, and given back with all the dead had.
 * Returns: nothing; misuse (no payload, freed before, queued, another process's) changes nothing
 *          and is told by shoal_error_message().
 * Python:  the last reference goes.
 */
SHOAL_API void shoal_free(void *payload);

/*
 * shoal_size - what was asked for.
 * @payload: a payload.
 * Owns:    unchanged.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: bytes; 0 also if @payload is none (shoal_error_message() says so).
 * Python:  len(buffer).
 */
SHOAL_API size_t shoal_size(const void *payload);

/*
 * shoal_ref_of - a payload's position, valid wherever a process maps the segment.
 * @payload: a payload.
 * Owns:    unchanged; the reference owns nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: the reference; none if @payload is none.
 * Python:  none.
 */
SHOAL_API shoal_ref shoal_ref_of(const void *payload);

/*
 * shoal_deref - the payload at a position.
 * @ref: from shoal_ref_of(), in any attached process.
 * Owns:    unchanged.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: the payload here; NULL for none, freed since, or a segment that is not attached.
 * Python:  none.
 */
SHOAL_API void *shoal_deref(shoal_ref ref);

#define SHOAL_NEW(type) ((type *)shoal_calloc(1, sizeof(type)))

SHOAL_END_DECLS
#endif
