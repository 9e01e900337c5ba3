/*
 * What the system can refuse. The functions that the library calls and that can fail are wrapped by
 * the linker (tests/meson.build names them): each use is counted, and one of them fails on demand.
 * So do the library's own sources of memory and slots, as when a segment is used up.
 */
#ifndef SHOAL_TESTS_REFUSALS_H
#define SHOAL_TESTS_REFUSALS_H

#include <stdbool.h>

/* One way in which a function fails, and what a call of the library then answers: 0 where the
 * failure must not be seen. */
struct refusal {
    const char *function;
    int error;
    int code;
    int other_code; /* another answer that is right; 0: none */
};

enum { REFUSALS_MAX = 160 };
extern const struct refusal refusals[REFUSALS_MAX]; /* up to one without a function */

/* Who is refused: the calling process, or the children that it starts. */
enum refused_place { IN_CALLER, IN_CHILD, PLACES_COUNT };

struct refusal_plan {
    const struct refusal *refusal; /* NULL: nothing is refused, uses are only counted */
    enum refused_place place;
    unsigned at; /* the first use is 1 */
};

/* From here on, in this process and those it forks. Before: nothing is refused or counted. */
void refusals_begin(const struct refusal_plan *plan);
/* In this process; a child that runs goes on. */
void refusals_end(void);

/* Forgets the uses; what is counted after it is seen by the process that called it. */
void refusals_reset(void);
unsigned refusal_uses(const struct refusal *refusal, enum refused_place place);

/* Mapped and not unmapped by this process since it began; likewise allocated and not freed. */
int mappings_balance(void);
int heap_balance(void);

#endif
