/* A process's setup, as its creator describes it for the child: records one behind the other, each
 * followed by so many bytes and what is missing to a multiple of 8. Written before it is visible.
 */
#ifndef SHL_PROC_SETUP_SHM_H
#define SHL_PROC_SETUP_SHM_H

#include <assert.h>
#include <stdint.h>

/* In this order they are applied. */
enum {
    SETUP_CGROUP = 1,  /* a path, with its zero */
    SETUP_NICENESS,    /* int32 */
    SETUP_PROCESSORS,  /* uint32 each */
    SETUP_LIMIT,       /* struct setup_limit_shm */
    SETUP_DIRECTORY,   /* a path, with its zero */
    SETUP_ENVIRONMENT, /* strings, each with its zero */
    SETUP_EXECUTABLE,  /* a path: read by the creator */
    SETUP_ARGV,        /* strings: likewise */
    SETUP_KINDS
};

struct setup_shm {
    uint32_t kind; /* 0: the end */
    uint32_t size;
};

struct setup_limit_shm {
    uint64_t soft, hard;
    uint32_t resource, zero;
};

static_assert(sizeof(struct setup_shm) == 8, "what follows is aligned");
static_assert(sizeof(struct setup_limit_shm) == 24, "no padding");

#endif
