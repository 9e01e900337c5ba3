#include "base/clock.h"

#include "base/check.h"

uint64_t shl_clock_ns(void)
{
    struct timespec now;
    /* CLOCK_MONOTONIC always exists on Linux; the call cannot fail. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SHL_NS_PER_S + (uint64_t)now.tv_nsec;
}

struct timespec shl_clock_timespec(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / SHL_NS_PER_S),
                              .tv_nsec = (long)(ns % SHL_NS_PER_S) };
}

bool shl_deadline_passed(shoal_deadline deadline)
{
    if (shl_deadline_is_now(deadline))
        return true;
    return !shl_deadline_is_forever(deadline) && shl_clock_ns() >= deadline.ns;
}

/* Saturates: an amount that does not fit is for ever. */
static shoal_deadline after(int64_t amount, uint64_t unit_ns)
{
    if (amount <= 0)
        return SHOAL_NOW;
    uint64_t ns;
    if (__builtin_mul_overflow((uint64_t)amount, unit_ns, &ns) ||
        __builtin_add_overflow(ns, shl_clock_ns(), &ns))
        return SHOAL_FOREVER;
    return shoal_at_ns(ns);
}

shoal_deadline shoal_after_us(int64_t microseconds)
{
    return after(microseconds, SHL_NS_PER_US);
}

shoal_deadline shoal_after_ms(int64_t milliseconds)
{
    return after(milliseconds, SHL_NS_PER_MS);
}

shoal_deadline shoal_after_s(int64_t seconds)
{
    return after(seconds, SHL_NS_PER_S);
}

shoal_deadline shoal_until(shoal_deadline deadline, shoal_event cancel)
{
    deadline.cancel = cancel;
    return deadline;
}

int shoal_remaining_ms(shoal_deadline deadline)
{
    if (shl_deadline_is_forever(deadline))
        return -1;
    if (shl_deadline_is_now(deadline))
        return 0;
    uint64_t now = shl_clock_ns();
    if (deadline.ns <= now)
        return 0;
    uint64_t ms = (deadline.ns - now - 1) / SHL_NS_PER_MS + 1;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}
