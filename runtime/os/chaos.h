/*
 * Kill points: each step of a protocol has a name, at which a test can kill or stall the caller.
 * Only in a build with -Dchaos=true; elsewhere a point is nothing at all.
 */
#ifndef SHL_OS_CHAOS_H
#define SHL_OS_CHAOS_H

#include "base/atom.h"

enum shl_chaos_action { SHL_CHAOS_NOTHING = 0, SHL_CHAOS_KILL, SHL_CHAOS_STALL };

/* What shall happen in this thread when it comes to a point, and to no other. */
struct shl_chaos_plan {
    const char *point;
    enum shl_chaos_action action;
    unsigned passes;  /* how often it may pass before */
    atom32 *stalled;  /* STALL: set to 1 there, in memory that the test shares, and */
    atom32 *released; /* waited for until it is 1 */
};

#ifdef SHL_CHAOS_BUILD
void shl_chaos_plan(const struct shl_chaos_plan *plan);
void shl_chaos_reach(const char *point);
#define SHL_CHAOS(point) shl_chaos_reach(point)
#else
#define SHL_CHAOS(point) ((void)0)
#endif

#endif
