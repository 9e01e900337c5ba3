/* Latency: a message goes to another process and comes back. */
#ifndef BENCH_RTT_H
#define BENCH_RTT_H

#include "rows.h"

enum rtt_way {
    RTT_BUSY,     /* both spin, on two processors */
    RTT_BLOCKING, /* both wait as the transport does by itself, on two processors */
    RTT_ONE_CORE, /* likewise, on one */
    RTT_ASLEEP,   /* likewise, on two, and so long after the last message that both sleep */
};

/*
 * For a row whose contenders are transports and whose `more` is a way: the median, in nanoseconds.
 * Of those asleep the time between a message's arrival and its answer does not count.
 */
int rtt_measure(const struct row *row, const void *what, bool quick, struct row_value *ret_value);

#endif
