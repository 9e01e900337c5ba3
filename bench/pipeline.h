/*
 * The second job: records of 64 bytes to 64 KiB pass four stages, each a process (or a thread).
 *
 *     make --- translate (every letter's case) --- add a sum (Adler-32) --- check it
 *
 * What hands them on is a carrier: shoal, pipe(2), a mutex queue between threads; and the whole
 * also runs in one process, and by CPython's multiprocessing (cpython.py).
 */
#ifndef BENCH_PIPELINE_H
#define BENCH_PIPELINE_H

#include "mutex_queue.h"

#include <shoal.h>
#include <stdbool.h>
#include <stdint.h>

#define RECORD_SIZE_MAX 65600 /* of the bytes, with their sum */

struct record {
    uint32_t size; /* of the bytes; 0: the last one */
    uint32_t unused;
    unsigned char bytes[];
};

/* Between two stages. */
struct link {
    shoal_queue queue;
    int fds[2];
    struct mutex_queue items;
    struct record *buffer; /* of the process that uses it */
};

/* Functions that fail end the process. */
struct carrier {
    const char *name;
    bool by_shoal;                  /* its processes are started by shoal, not by fork(2) */
    bool has_threads;               /* its stages are threads of one process */
    int (*open)(struct link *link); /* 0 or -errno */
    void (*close)(struct link *link);
    struct record *(*alloc)(struct link *link, size_t size); /* to be put into it */
    void (*put)(struct link *link, struct record *record);   /* it is the link's then */
    struct record *(*get)(struct link *link);
    void (*release)(struct record *record);
};

extern const struct carrier carrier_shoal;
extern const struct carrier carrier_pipe;
extern const struct carrier carrier_thread;

/* @rows: print lines for programs. Returns 0, or -1 when a measurement failed (said on stderr). */
int pipeline_run(bool quick, bool rows);

#endif
