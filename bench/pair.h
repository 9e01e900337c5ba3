/*
 * One measurement of a stream between two processes on two processors, which look before and after
 * whether these are near: see near.h.
 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include "transport.h"

#include <stdint.h>

struct pair_plan {
    const struct transport *transport;
    size_t size;        /* of a message */
    unsigned check;     /* messages between two looks at the clock */
    uint64_t warm_ns;   /* the stream runs so long before it is measured */
    uint64_t window_ns; /* and so long while it is */
    bool only_near;     /* give up at once when the processors are far */
};

struct pair_result {
    double rate; /* messages a second */
    double
        near_ns;   /* round trip of a cache line, the worse of before and after; 0: one processor */
    bool measured; /* false: they were far and only_near was asked for */
};

/*
 * Measure once. Returns 0; -errno when the transport cannot be opened; -EIO when a process failed
 * or a message was lost, doubled or damaged (said on stderr).
 */
int pair_run(const struct pair_plan *plan, struct pair_result *result);

#endif
