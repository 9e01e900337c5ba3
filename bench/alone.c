#include "alone.h"

#include "crew.h"
#include "measure.h"

#include <errno.h>
#include <sys/mman.h>

#define LIMIT_MS 60000 /* a measurement that takes longer hangs */
#define WINDOW_NS 1000000
#define WINDOWS 15

static double repeat_ns(void (*repeat)(void *what, uint64_t count), void *what, uint64_t count)
{
    uint64_t began = clock_wall_ns();

    repeat(what, count);
    return (double)(clock_wall_ns() - began);
}

/* The median of short windows: few of them are interrupted. */
double alone_ns(void (*repeat)(void *what, uint64_t count), void *what)
{
    double windows[WINDOWS];
    uint64_t count = 512;

    while (repeat_ns(repeat, what, count) < WINDOW_NS)
        count *= 2;
    for (size_t i = 0; i < WINDOWS; i++)
        windows[i] = repeat_ns(repeat, what, count);
    return median_of(windows, WINDOWS) / (double)count;
}

struct part {
    struct alone alone;
    double *value; /* shared with the parent */
};

static void run_alone(void *argument)
{
    const struct part *part = argument;
    int cpus[2];

    if (cpu_pick_two(cpus))
        (void)cpu_pin(cpus[0]);
    *part->value = part->alone.measure(part->alone.what);
}

int alone_run(const struct alone *alone, double *ret_value)
{
    static struct crew crew;
    struct part part = { .alone = *alone };
    int status;

    part.value = mmap(NULL, sizeof(*part.value), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0);
    if (part.value == MAP_FAILED)
        return -ENOMEM;
    crew_open(&crew, alone->by_shoal);
    status = crew_start(&crew, "one process", run_alone, &part, sizeof(part));
    if (status == 0)
        status = crew_join(&crew, LIMIT_MS);
    crew_close(&crew);
    *ret_value = *part.value;
    munmap(part.value, sizeof(*part.value));
    return status == 0 ? 0 : -EIO;
}
