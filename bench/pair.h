/*
 * One measurement of a stream between two processes on two processors.
 *
 * The processors of a virtual machine drift between near (a cache line's round trip takes about
 * 100 ns) and far (several times that), which matters more to what is measured than most code. So
 * the two processes play ping-pong on a cache line before and after; a measurement counts as near
 * when both took less than PAIR_NEAR_NS.
 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include "transport.h"

#include <stdint.h>

#define PAIR_NEAR_NS 160

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
