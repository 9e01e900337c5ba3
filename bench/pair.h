/*
 * Streams between two processes on two processors, or two threads, which look before and after
 * whether these are near: see near.h.
 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include "rows.h"
#include "transport.h"

struct pair_message {
    size_t size;    /* bytes copied in and out */
    size_t room;    /* of the block in which they travel */
    unsigned check; /* messages between two looks at the clock */
};

/*
 * For a row whose contenders are transports and whose `more` is a message: messages a second,
 * while the processors are near, if they come near within a few tries. It fails, too, when a
 * message was lost, doubled or damaged.
 */
int pair_measure(const struct row *row, const void *what, bool quick, struct row_value *ret_value);

#endif
