/* Sleeping and waking in the kernel, between processes. Only sync/park.c sleeps with it, and the
 * start of a child, which waits for its parent's word. */
#ifndef SHL_OS_FUTEX_H
#define SHL_OS_FUTEX_H

#include <stdint.h>

#include "base/atom.h"

enum { SHL_FUTEX_WATCHES_MAX = 112 };

/* Sleep only while *word is `expected`; woken by shl_futex_wake() on any watched word. */
struct shl_futex_watch {
    atom32 *word;
    uint32_t expected;
};

/*
 * Sleeps until a watched word is woken or found changed, or until the absolute monotonic time.
 * Answers 0 (look again: also after a signal) or -ETIMEDOUT.
 */
int shl_futex_wait(const struct shl_futex_watch *watches, unsigned count, uint64_t deadline_ns);

/* Wakes at most `count` sleepers on the word. */
void shl_futex_wake(atom32 *word, int count);

#endif
