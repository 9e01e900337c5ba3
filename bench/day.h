/*
 * Fragmentation: how much memory an allocator takes for what is alive in it, on a day on which both
 * the load and the sizes change every few hours.
 */
#ifndef BENCH_DAY_H
#define BENCH_DAY_H

#include "heap.h"

#include <stdint.h>

/* *ret_ratio: the most memory at any time over the most that was alive at any time. Returns 0;
 * -errno when the allocator is not to be had; -EIO when its process failed (said on stderr). */
int day_run(const struct heap_kind *kind, uint64_t operations, double *ret_ratio);

#endif
