/* The rows: allocators, on one processor, across two, and over a day. */
#ifndef BENCH_ROWS_ALLOC_H
#define BENCH_ROWS_ALLOC_H

#include <stdbool.h>

/* @rows: print lines for programs. Returns 0, or -1 when a measurement failed (said on stderr). */
int rows_alloc_run(bool quick, bool rows);

#endif
