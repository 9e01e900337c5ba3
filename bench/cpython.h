/* The same work by CPython's multiprocessing: cpython.py, by the python3 that is found. */
#ifndef BENCH_CPYTHON_H
#define BENCH_CPYTHON_H

#include "corpus.h"

#include <stdint.h>

/*
 * Run it: it measures itself, so that its own start does not count. @check: what it found, to be
 * compared. Returns 0, or -ENOENT when there is no python3 that can (said on stderr).
 */
int cpython_words(const struct corpus *corpus, unsigned workers, double *ret_seconds,
                  uint64_t *ret_words);
int cpython_pipeline(const char *link, uint64_t records, double *ret_seconds, uint64_t *ret_digest);

#endif
