/*
 * The main job, counting words, in ways that share all code but the handing over.
 *
 *     reader --- text chunks ---> N counting processes --- tables of counts ---> reducer
 */
#ifndef BENCH_JOB_H
#define BENCH_JOB_H

#include "corpus.h"
#include "words.h"

#include <stdbool.h>

#define WORKERS_MAX 256
#define TABLE_SIZE_FIRST ((size_t)96 * 1024) /* holds nearly every chunk's table; it can grow */
#define TOTAL_SIZE_FIRST ((size_t)16 << 20)  /* of the table that holds all */

struct job_input {
    const struct corpus *corpus;
    unsigned workers;
    bool kill_worker; /* kill a counting process in the middle */
};

/* What the reducer has when all is done. */
struct job_output {
    struct table total;
    uint64_t hand_ns; /* processor time of all processes for handing over */
};

struct job {
    const char *name;
    int (*run)(const struct job_input *input, struct job_output *output); /* 0, or -1: said why */
};

extern const struct job job_sequential;
extern const struct job job_pipe;
extern const struct job job_thread;
extern const struct job job_shoal;

/* Add one table to the total, and show the progress. Returns 0, or -1 (said on stderr). */
int job_reduce(struct job_output *output, const struct counts *counts, size_t size);

/* A member's last message: no words, only what it spent handing over. */
void job_fill_last(struct counts *counts, uint64_t hand_ns);

/* The name of counting process @index. */
void job_worker_name(char *name, size_t size, unsigned index);

#endif
