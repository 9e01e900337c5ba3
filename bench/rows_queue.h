/* The rows: messages a second between two processes, over shoal and over its rivals. */
#ifndef BENCH_ROWS_QUEUE_H
#define BENCH_ROWS_QUEUE_H

#include <stdbool.h>

/* @rows: print lines for programs. Returns 0, or -1 when a measurement failed (said on stderr). */
int rows_queue_run(bool quick, bool rows);

#endif
