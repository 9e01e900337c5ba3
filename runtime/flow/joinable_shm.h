/* What a joinable queue has besides its ring. */
#ifndef SHL_FLOW_JOINABLE_SHM_H
#define SHL_FLOW_JOINABLE_SHM_H

#include "sync/park_shm.h"

struct joinable_shm {
    uint32_t deliveries_max; /* 0: the queue is not joinable. Written once, as the next one */
    atom32 returned;         /* 0: certainly no lease was returned; else how often, or more */
    uint64_t dead_letters;   /* a queue's reference, or 0 */
    struct bell_shm done; /* of those who wait until nothing is out: joins, and gets at the end */
    atom64 dropped;       /* messages that were given up, and for which there was no queue */
};

static_assert(sizeof(struct joinable_shm) == 32, "it shares the line of what is written once");

#endif
