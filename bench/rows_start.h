/* The rows: starting a process and waiting for its end. */
#ifndef BENCH_ROWS_START_H
#define BENCH_ROWS_START_H

#include <stdbool.h>

/* @rows: print lines for programs. Returns 0, or -1 when a measurement failed (said on stderr). */
int rows_start_run(bool quick, bool rows);

#endif
