/*
 * A bell: where those sleep who wait for one thing.
 *   flag  1: perhaps somebody sleeps or is about to
 *   bell  always 0: only an address to sleep at, so that the kernel itself can ring it
 * Written only when somebody sleeps.
 */
#ifndef SHL_SYNC_PARK_SHM_H
#define SHL_SYNC_PARK_SHM_H

#include "base/atom.h"
#include "base/attr.h"

struct bell_shm {
    atom32 flag;
    atom32 bell;
};

_Static_assert(sizeof(struct bell_shm) == 8, "a bell fits beside the word it is for");

#endif
