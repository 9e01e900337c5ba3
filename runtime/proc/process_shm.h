/* A process's place: what everybody may know of it. */
#ifndef SHL_PROC_PROCESS_SHM_H
#define SHL_PROC_PROCESS_SHM_H

#include "mem/object_shm.h"

/*
 * state: CREATED -> STARTING  by the one thread that starts it
 *        STARTING -> TIED     by the child, when it is certain to die with its creator and has
 *                             its target
 *        STARTING -> FAILED   by the child, when it cannot have what it was to have: the exit code
 *                             is the error, `refused` says of what, and the creator ends it; or, if
 *                             he is gone, it ends itself
 *        TIED -> RUNNING      by the creator, when it has a descriptor for the child; the child
 *                             waits for it, so that it cannot end and be reaped before
 *        STARTING -> RUNNING  by the creator, before a child of the fork server that is tied and
 *                             certain to have the target is told which process it is
 *        any of them -> CREATED  the start failed
 *        RUNNING -> ENDED     by the creator, when it has the exit code
 */
enum {
    PROCESS_CREATED = 0,
    PROCESS_STARTING,
    PROCESS_TIED,
    PROCESS_FAILED,
    PROCESS_RUNNING,
    PROCESS_ENDED
};

/* flags: written by the creator, before it is started. */
#define PROCESS_DAEMON 1u
#define PROCESS_TYPED 4u     /* its target is the run() of a type */
#define PROCESS_CHILDLESS 2u /* of its line no daemon may start others */
#define PROCESS_OUTLIVES 8u  /* is not ended with its creator */

#define PROCESS_TYPE_MAX 31

struct process_shm {
    struct object_shm object;
    atom32 state;
    atom32 pid;
    atom32 exitcode; /* written before ENDED; before FAILED the error, below 0 */
    uint32_t creator_pid;
    atom64 owners;     /* {heir:32, owner:32}, slots of processes, short: with the owner's death the
                        * object is the heir's, or goes. The owner is its creator, or of one that
                        * nobody has started itself; the heir is a child that may outlive him */
    atom64 start_time; /* with the pid it names the process for ever; 0: not known, or it has
                        * not attached */
    atom32 refused;    /* with FAILED: which part of its setup it could not have; 0: none of it */
    atom32 attached;   /* it may have slots: set by itself before it takes the first one */
    uint32_t flags;
    uint32_t number;   /* which one of its creator's; 0: of nobody's */
    uint64_t parent;   /* its creator; 0: likewise */
    uint64_t argument; /* its block's payload, as an offset; 0: none */
    uint64_t setup;    /* likewise: setup_shm.h */
    char type[PROCESS_TYPE_MAX + 1];
    char name[64];
};

static_assert(sizeof(struct process_shm) <= OBJECT_BIG_SIZE, "a process fits a place");

#endif
