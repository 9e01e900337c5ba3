#include "measure.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

double clock_family_cpu_s(void)
{
    struct rusage self;
    struct rusage children;

    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return seconds_of(self.ru_utime) + seconds_of(self.ru_stime) + seconds_of(children.ru_utime) +
           seconds_of(children.ru_stime);
}

static int compare_values(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

double median_of(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(values[0]), compare_values);
    if (count % 2 != 0)
        return values[count / 2];
    return (values[count / 2 - 1] + values[count / 2]) / 2;
}

bool cpu_pick_two(int cpus[2])
{
    cpu_set_t allowed;
    int found = 0;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return false;
    for (size_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            cpus[found++] = (int)cpu;
    return found == 2;
}

int cpu_pin(int cpu)
{
    cpu_set_t only;

    CPU_ZERO(&only);
    CPU_SET((size_t)cpu, &only);
    return sched_setaffinity(0, sizeof(only), &only) == 0 ? 0 : -errno;
}

#define WORK_TURNS 200000
#define WORK_ROUNDS 51

uint64_t work_turns_per_us(void)
{
    double per_us[WORK_ROUNDS];

    for (size_t i = 0; i < WORK_ROUNDS; i++) {
        uint64_t began = clock_wall_ns();

        work(WORK_TURNS);
        per_us[i] = WORK_TURNS * 1e3 / (double)(clock_wall_ns() - began);
    }
    return (uint64_t)median_of(per_us, WORK_ROUNDS);
}

#define CALIBRATIONS 501

static uint64_t clock_cost_ns; /* of begin and end with nothing between them */

void hand_calibrate(void)
{
    double costs[CALIBRATIONS];

    for (size_t i = 0; i < CALIBRATIONS; i++) {
        struct hand_timer timer = { 0 };

        hand_begin(&timer);
        hand_end(&timer);
        costs[i] = (double)timer.spent_ns;
    }
    clock_cost_ns = (uint64_t)median_of(costs, CALIBRATIONS);
}

uint64_t hand_total_ns(const struct hand_timer *timer)
{
    uint64_t cost = timer->times * clock_cost_ns;

    return timer->spent_ns > cost ? timer->spent_ns - cost : 0;
}
