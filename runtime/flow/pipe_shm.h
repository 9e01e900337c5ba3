/* An end of a pipe: see pipe.c. */
#ifndef SHL_FLOW_PIPE_SHM_H
#define SHL_FLOW_PIPE_SHM_H

#include "flow/queue_shm.h"

/*
 * holder: whose end it is
 *   {zero:48, owner:16}                           a process's slot, short
 *   {given:1, zero:15, generation:12, place:36}   the process with this handle, which has not used
 *                                                 it yet; at its first use it becomes the former
 * Written by: the holder, by compare-and-set.
 */
#define HOLDER_GIVEN (UINT64_C(1) << 63)

enum { CONNECTION_RECEIVES = 1, CONNECTION_SENDS = 2 };

struct connection_shm {
    struct queue_shm queue; /* what comes in here */
    atom64 holder;
    uint64_t peer; /* the other end's reference. Written once, as is the next one */
    uint32_t ways; /* CONNECTION_… */
    uint32_t zero;
};

static_assert(sizeof(struct connection_shm) <= OBJECT_BIG_SIZE, "an end fits a place");

#endif
