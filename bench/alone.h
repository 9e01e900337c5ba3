/* What is measured in one process of its own, pinned to the first processor. */
#ifndef BENCH_ALONE_H
#define BENCH_ALONE_H

#include <stdbool.h>
#include <stdint.h>

struct alone {
    bool by_shoal; /* the process is started by shoal, not by fork(2) */
    double (*measure)(void *what);
    void *what;
};

/* Returns 0; -ENOMEM; -EIO when the process failed (said on stderr). */
int alone_run(const struct alone *alone, double *ret_value);

/* For measure(): nanoseconds of one repetition. */
double alone_ns(void (*repeat)(void *what, uint64_t count), void *what);

#endif
