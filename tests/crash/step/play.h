/* Plays of a scenario: all states of one level. */
#ifndef STEP_PLAY_H
#define STEP_PLAY_H

#include "step.h"

enum level {
    LEVEL_KILL,      /* the victim is killed at each state */
    LEVEL_RECOVERER, /* and then the first who comes after it, at each of its states */
    LEVEL_STOP,      /* the victim is stopped while the others act, and goes on */
    LEVELS_COUNT
};

struct tally {
    uint64_t steps;  /* instructions of the victim's operation */
    unsigned states; /* of the victim, of the recoverer, or where the victim was stopped */
    unsigned kills, recoverer_kills, stops;
    unsigned hangs, late, invariant_failures, leaks;
    unsigned missed;    /* states of the victim that did not come again */
    unsigned otherwise; /* other places that were met in another state: those whom the process had
                           woken ran in another order, or its clock's page was just being written */
    char first_failure[400];
};

struct extent {
    unsigned levels;        /* a bit for each */
    bool every_instruction; /* is stopped at, not only those before and after a change */
    bool first_only;        /* a level ends at its first failure */
};

/* Once, in a process of its own, which makes the segment. */
void play_scenario(const struct scenario *scenario, const struct extent *extent,
                   struct tally *ret_tallies);

/* Nothing failed that is not a known gap. */
bool tally_is_good(const struct scenario *scenario, const struct tally *tally);

#endif
