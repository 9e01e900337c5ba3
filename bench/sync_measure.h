/* The measurements of locks and events; each in processes of its own. */
#ifndef BENCH_SYNC_MEASURE_H
#define BENCH_SYNC_MEASURE_H

#include "sync_kind.h"

/* They return 0; -errno when the kind cannot be opened; -EIO when one failed (said on stderr). */

/* Nanoseconds for one lock and unlock, or set, wait and clear, in a process that is alone. */
int sync_measure_alone(const struct sync_kind *kind, double *ret_ns);

struct sync_contested {
    double rate;         /* how often the lock was held a second */
    double least_served; /* the process that held it least, in percent of the mean */
};

/* @count processes, by turns on the two processors, want a lock. @work_ns: with it and without. */
int sync_measure_contest(const struct sync_kind *kind, unsigned count, uint64_t work_ns,
                         uint64_t window_ns, struct sync_contested *ret);

/* The median of the times from an event's setting to the return of a wait that was asleep. */
int sync_measure_wake(const struct sync_kind *kind, unsigned samples, double *ret_ns);

#define SYNC_PROCESSES_MAX 4
#define SYNC_SAMPLES_MAX 400

#endif
