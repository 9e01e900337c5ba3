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

#define HOLDER_NOBODY HOLDER_GIVEN /* it is being closed */

/*
 * door: where descriptors for it are handed in (os/door.h)
 *   {owner:16, zero:27, open:1, number:20}        the number of the one that he has opened
 *   0, or another owner than the holder           there is none yet
 * Written by: the holder, who has it there still: with the doors of his process locked.
 */
#define DOOR_OPEN (UINT64_C(1) << 20)
#define DOOR_NUMBER(door) ((uint32_t)(door)&0xfffff)
#define DOOR_OWNER(door) ((uint32_t)((door) >> 48))

enum { CONNECTION_RECEIVES = 1, CONNECTION_SENDS = 2 };

struct connection_shm {
    struct queue_shm queue; /* what comes in here */
    atom64 holder;
    uint64_t peer; /* the other end's reference. Written once, as is the next one */
    uint32_t ways; /* CONNECTION_… */
    atom32 wanted; /* 1: somebody has a descriptor to send here, and there is no door */

    /* of descriptors, which come in beside the messages */
    atom64 door;
    atom64 secret; /* of the door; written before it */
    atom32 handed; /* so many were handed in; written by: senders */
    atom32 taken;  /* and so many of them taken; written by: receivers */
    struct bell_shm has_come, has_room;
};

static_assert(sizeof(struct connection_shm) <= OBJECT_BIG_SIZE, "an end fits a place");

#endif
