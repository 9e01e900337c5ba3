/* Monotonic time, and deadlines in it. */
#ifndef SHL_BASE_CLOCK_H
#define SHL_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <shoal/base.h>

#define SHL_NS_PER_US UINT64_C(1000)
#define SHL_NS_PER_MS UINT64_C(1000000)
#define SHL_NS_PER_S UINT64_C(1000000000)

uint64_t shl_clock_ns(void);
struct timespec shl_clock_timespec(uint64_t ns);

static inline bool shl_deadline_is_now(shoal_deadline deadline)
{
    return deadline.ns == 0;
}

static inline bool shl_deadline_is_forever(shoal_deadline deadline)
{
    return deadline.ns == UINT64_MAX;
}

/* SHOAL_NOW has passed without a look at the clock. */
bool shl_deadline_passed(shoal_deadline deadline);

#endif
