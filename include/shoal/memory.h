/*
 * Payloads: memory in a segment, in which messages are built and read in place.
 *
 * A payload belongs to one process or to one queue. shoal_alloc() makes it the caller's,
 * shoal_queue_put() the queue's, shoal_queue_get() the getter's, shoal_free() ends it. In one
 * family an ordinary pointer inside a payload is valid in every process.
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
 * Death:   killed inside: the block is free or its process's, for the sweep to find.
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
 * @alignment: 1, 2, 4 … 64; up to 16 is what every payload has.
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
 * shoal_free - give a payload back.
 * @payload: the caller's; NULL is nothing.
 * Owns:    nobody, afterwards.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the block is free or its process's, for the sweep to find.
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
