/*
 * Who reads the table of segments, so that a detach knows when nobody looks at a place any more:
 * liburcu, within this process. A thread that has a slot in a segment needs none of this: its slot
 * keeps the mapping. Inside nothing sleeps and no lock is taken. Signal handlers may read.
 */
#ifndef SHL_MEM_READERS_H
#define SHL_MEM_READERS_H

#include <stdbool.h>

void shl_readers_enter(void);
void shl_readers_leave(void);

/* Until all who are inside now have left. Not from inside. */
void shl_readers_wait(void);

/* Around a fork of ours: the child forgets the readers that it did not inherit. */
bool shl_readers_before_fork(void);
void shl_readers_after_fork(bool before, bool child);

/* Instead of both in a child of the fork server: it had one thread, which the registry names as it
 * would the child's, and which held none of liburcu's locks. */
void shl_readers_stay(void);

#endif
