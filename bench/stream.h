/*
 * Streams of messages from some processes to as many others on two processors, or between two
 * threads, of which the first pair looks before and after whether these are near: see near.h.
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "rows.h"
#include "transport.h"

#define STREAM_PAIRS_MAX 16
#define STREAM_BULK_MAX 32

struct stream_message {
    size_t size;     /* bytes copied in and out */
    size_t room;     /* of the block in which they travel */
    unsigned pairs;  /* so many processes send, and as many receive; 0: 1 */
    unsigned bulk;   /* messages of a call; 0: 1 */
    size_t capacity; /* of the queue, in messages; 0: as is best for each */
};

/*
 * For a row whose contenders are transports and whose `more` is a message: messages a second,
 * while the processors are near, if they come near within a few tries. It fails, too, when a
 * message was lost, doubled, damaged or overtaken.
 */
int stream_measure(const struct row *row, const void *what, bool quick,
                   struct row_value *ret_value);

#endif
