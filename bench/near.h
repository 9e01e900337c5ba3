/*
 * Are the two processors near each other?
 *
 * Those of a virtual machine drift between near (a cache line's round trip takes about 100 ns) and
 * far (several times that), which matters more to what is measured across them than most code. So
 * two processes play ping-pong on a cache line before and after a measurement, which counts as near
 * when both took less than NEAR_NS.
 */
#ifndef BENCH_NEAR_H
#define BENCH_NEAR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NEAR_NS 160
#define NEAR_LINE 128 /* two cache lines: processors fetch them in pairs */

/* Two processes call it at once, @second or not. Returns nanoseconds for a trip to and fro. */
double near_play(_Atomic uint32_t *ball, bool second);

/*
 * Starts two processes for it. *ret_ns is 0 where there is only one processor.
 * Returns 0, or -1 when one of them failed (said on stderr).
 */
int near_probe(double *ret_ns);

/* The tries of one value, zero at first. */
struct near_tries {
    bool last;         /* measure now, near or not */
    unsigned count;    /* so far */
    unsigned measured; /* of them; counted by the caller */
    uint64_t began_ns;
};

/*
 * Shall there be a try, or another one? Ask before each, and no more after one that was near. A
 * whole run spends no more than a minute on tries that were not.
 */
bool near_try(struct near_tries *tries, bool quick);

#endif
