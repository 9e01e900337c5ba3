/*
 * An order between a thread's store and its next load of another word, for which another thread
 * pays. The one does it often, in the middle of a call; the other seldom, at an end:
 *
 *   store mine; a compiler's barrier; load yours  |  store yours; shl_membarrier(); load mine
 *
 * One of the two sees what the other one has stored, as if both had a full barrier in between: the
 * kernel makes each processor that runs such a thread go through one.
 */
#ifndef SHL_OS_MEMBARRIER_H
#define SHL_OS_MEMBARRIER_H

#include <stdbool.h>

/* For the whole process, from here on: false if the kernel, or a filter, refuses it; then its
 * threads have to pay themselves. */
bool shl_membarrier_register(void);

/* Of the threads of all processes that have registered. A system call, and an interrupt for each
 * other processor that runs such a thread. False if it is refused. */
bool shl_membarrier(void);

#endif
