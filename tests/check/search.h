/*
 * The search: every schedule of a scenario, with kills between any two steps.
 *
 * Depth first, from snapshots of the whole state (the machine, the scenario's objects, the stacks);
 * states are told apart by a hash of 64 bits of all that. Without a bound on preemptions that is
 * exhaustive, but for two states in 10^19 that may have one hash. With a bound it is exhaustive
 * among the schedules in which at most so many times a thread that could have gone on did not;
 * kills, time-outs, drained stores and what the kernel does are not counted.
 */
#ifndef CHECK_SEARCH_H
#define CHECK_SEARCH_H

#include "machine.h"

enum { UNBOUNDED = 99 };

struct scenario {
    const char *name;
    unsigned threads, kills;
    unsigned victims;          /* who may be killed, a bit each; 0: all */
    unsigned preemptions;      /* UNBOUNDED, or at most so many */
    unsigned preemptions_full; /* with --full, if that is more */
    bool store_buffers;
    bool no_membarrier; /* the kernel refuses it */
    void (*begin)(void); /* makes the objects */
    void (*thread)(unsigned self);
    void (*killed)(unsigned victim); /* what that means to the ghosts; or NULL */
    const char *(*judge)(void); /* what is wrong with an end, in which nobody can go on; or NULL */
    bool may_sleep;             /* the judge decides who may sleep in an end; else nobody */
    /* So many ticks there are, each only once nobody can go on: for losses that are known, see
     * "Only one bell can be pending" in ARCHITECTURE.md. */
    unsigned ticks;
};

/* In an end. */
static inline bool is_asleep(unsigned thread)
{
    return machine.threads[thread].phase == ALIVE && machine.threads[thread].op == OP_ASLEEP;
}

static inline bool is_dead(unsigned thread)
{
    return machine.threads[thread].phase >= DYING;
}

/* Must hold in every schedule. */
void holds(const struct scenario *scenario);

/* Must fail in some schedule, with the mistake made. */
void fails(const struct scenario *scenario, const char *mistake);

/* What each file of scenarios runs. */
void check_lock(void);
void check_semaphore(void);
void check_event(void);
void check_condition(void);
void check_barrier(void);
void check_ring(void);
void check_cells(void);
void check_chain(void);
void check_stores(void);
void check_recovery(void);
void check_destroy(void);
void check_memory(void);
void check_joinable(void);

#endif
