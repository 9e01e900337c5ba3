/* The rows: locks and events, shoal's and their rivals. */
#ifndef BENCH_ROWS_SYNC_H
#define BENCH_ROWS_SYNC_H

#include <stdbool.h>

/* @rows: print lines for programs. Returns 0, or -1 when a measurement failed (said on stderr). */
int rows_sync_run(bool quick, bool rows);

#endif
