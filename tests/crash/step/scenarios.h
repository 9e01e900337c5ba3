/* The scenarios, by the file that has them; each list ends with one that has no name. */
#ifndef STEP_SCENARIOS_H
#define STEP_SCENARIOS_H

#include "step.h"

extern const struct scenario peer_scenarios[];
extern const struct scenario lock_scenarios[];
extern const struct scenario semaphore_scenarios[];
extern const struct scenario event_scenarios[];
extern const struct scenario condition_scenarios[];
extern const struct scenario barrier_scenarios[];
extern const struct scenario memory_scenarios[];
extern const struct scenario queue_scenarios[];
extern const struct scenario chain_scenarios[];
extern const struct scenario store_scenarios[];
extern const struct scenario name_scenarios[];
extern const struct scenario share_scenarios[];
extern const struct scenario joinable_scenarios[];
extern const struct scenario pipe_scenarios[];
extern const struct scenario creator_scenarios[];

/* A seeded mistake, and where it must be caught. */
struct mistake {
    const char *name; /* as in SHL_MISTAKE() */
    const char *scenario;
    unsigned level;
};
extern const struct mistake mistakes[];

#endif
