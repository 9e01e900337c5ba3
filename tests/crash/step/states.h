/* The distinct states that an operation goes through, and the way back to each. */
#ifndef STEP_STATES_H
#define STEP_STATES_H

#include "trace.h"

enum { STATES_MAX = 1 << 14 };

struct state {
    uint64_t key;         /* tells it from other states */
    uint64_t content;     /* the same without the number of system calls */
    uint64_t instruction; /* before which the process stands, or in which it sleeps, */
    unsigned arrival;     /* for this time */
    bool asleep;
    bool fresh; /* no earlier one has this key */
};

/* Who is killed leaves its state and nothing else. Who is stopped and goes on remembers what it has
 * read: then it matters also where in a state it was. */
enum detail {
    DETAIL_STATES,      /* where each state begins */
    DETAIL_CHANGES,     /* and where it ends */
    DETAIL_INSTRUCTIONS /* every instruction */
};

struct states {
    enum detail detail;
    unsigned count;
    struct state list[STATES_MAX];
};

/* A survey begins. */
void states_begin(void);

/* The state a process is in, if the detail asks for it. States of earlier surveys are known. */
void states_add(struct states *states, const struct trace *trace, bool asleep);

/* Is this the state the process is in? */
bool state_is(const struct state *state, const struct trace *trace);

#endif
