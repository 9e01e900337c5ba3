/*
 * Kill points: each step of a protocol has a name, at which a test can kill or stall the caller.
 * Mistakes: a step that a test can have left out or done wrong, to prove that the checkers notice.
 * Chances: what may happen at every point by the environment variable SHOAL_CHAOS (docs/chaos.md),
 * for those who test their own program.
 * Only in a build with -Dchaos=true; elsewhere none of them is anything at all.
 */
#ifndef SHL_OS_CHAOS_H
#define SHL_OS_CHAOS_H

#include "base/atom.h"
#include "base/attr.h"

enum shl_chaos_action { SHL_CHAOS_NOTHING = 0, SHL_CHAOS_KILL, SHL_CHAOS_STOP, SHL_CHAOS_STALL };

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

/* Can SHOAL_CHAOS be read? 0, or -EINVAL and the text says what cannot. */
int shl_chaos_check(void);
/* The calling thread's chances from now on: in the slot it has taken, and whether shoal has started
 * its process. */
void shl_chaos_begin(uint32_t slot, bool started);

/* The mistake that is made, in this process and those it forks; NULL: none. */
extern const char *shl_mistake;
bool shl_mistake_is(const char *name);
#define SHL_MISTAKE(name) (unlikely(shl_mistake) && shl_mistake_is(name))
#else
#define SHL_CHAOS(point) ((void)0)
#define SHL_MISTAKE(name) false
static inline int shl_chaos_check(void)
{
    return 0;
}
static inline void shl_chaos_begin(uint32_t slot, bool started)
{
    (void)slot;
    (void)started;
}
#endif

#endif
