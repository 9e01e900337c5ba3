/* The rows: what an operation costs as the queue, the heap and the number of processes grow. */
#ifndef BENCH_ROWS_GROWTH_H
#define BENCH_ROWS_GROWTH_H

#include <stdbool.h>

/* @rows: print lines for programs. Returns 0, or -1 when a measurement failed (said on stderr). */
int rows_growth_run(bool quick, bool rows);

#endif
