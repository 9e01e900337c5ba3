/* Clocks, medians and processors. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Monotonic time, and the processor time that this process used, in nanoseconds. */
uint64_t clock_wall_ns(void);
uint64_t clock_cpu_ns(void);

/* Processor time of this process and of its children that ended, in seconds. */
double clock_family_cpu_s(void);

/* The median of @count values; sorts them, so that the least is first and the most is last. */
double median_of(double *values, size_t count);

/* The first two processors this process may run on; false if there is only one. */
bool cpu_pick_two(int cpus[2]);

/* Keep this process on one processor. */
int cpu_pin(int cpu);

/* For loops that wait for another processor. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Keeps the processor busy: work_turns_per_us() turns of it take a microsecond. */
static inline void work(uint64_t turns)
{
    while (turns-- > 0)
        __asm__ volatile("" : "+r"(turns));
}

/* How many turns of work take a microsecond here. */
uint64_t work_turns_per_us(void);

/*
 * Handing over is measured in processor time: what is spent between begin and end is added to the
 * total. Sleeping for want of work does not count, spinning for want of work does. What looking at
 * the clock itself adds is taken off again: it is as long as handing a chunk over.
 */
struct hand_timer {
    uint64_t spent_ns;
    uint64_t began_ns;
    uint64_t times;
};

static inline void hand_begin(struct hand_timer *timer)
{
    timer->began_ns = clock_cpu_ns();
}

static inline void hand_end(struct hand_timer *timer)
{
    timer->spent_ns += clock_cpu_ns() - timer->began_ns;
    timer->times++;
}

/* Learn what the clock costs, once; children made later know it, too. */
void hand_calibrate(void);

uint64_t hand_total_ns(const struct hand_timer *timer);

#endif
