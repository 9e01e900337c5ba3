#include "rows_start.h"

#include "rows.h"
#include "starts.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define SAMPLES STARTS_SAMPLES_MAX
#define SAMPLES_QUICK 40
#define ROUNDS_BETWEEN 3 /* of the parents that only show the growth */
#define SAMPLES_SLOW 3   /* of what copies a gigabyte's page tables */
#define GIBIBYTE (UINT64_C(1) << 30)

struct starter {
    int (*once)(void);
    const char *script; /* or: prints its own median, told size and samples */
    const char *alone;  /* or: its name to start_alone, a small program that prints it, too */
    bool copies;        /* what it costs grows with the parent */
};

/* ---- measuring */

/* What a command prints, on the processors of this process. */
static int run_command(const char *command, double *ret_us)
{
    char line[64];
    FILE *output;
    bool read;

    /* NOLINTNEXTLINE(cert-env33-c): the command is ours */
    output = popen(command, "r");
    if (output == NULL)
        return -ENOMEM;
    read = fgets(line, sizeof(line), output) != NULL;
    pclose(output);
    *ret_us = read ? strtod(line, NULL) : 0;
    return *ret_us > 0 ? 0 : -ENOENT;
}

static int run_other(const struct starter *starter, uint64_t size, size_t count, double *ret_us)
{
    char command[1024];

    if (starter->alone)
        snprintf(command, sizeof(command), START_ALONE " %s %zu", starter->alone, count);
    else /* the python3 that is found */
        snprintf(command, sizeof(command), "python3 -c '%s' %llu %zu 2>/dev/null", starter->script,
                 (unsigned long long)size, count);
    return run_command(command, ret_us);
}

static bool has_room(uint64_t size)
{
    struct sysinfo info;

    return sysinfo(&info) == 0 && (info.freeram + info.bufferram) * info.mem_unit > 2 * size;
}

/* The parent has row->more bytes of memory more, private and touched. */
static int measure_start(const struct row *row, const void *what, bool quick,
                         struct row_value *ret_value)
{
    const uint64_t size = *(const uint64_t *)row->more;
    const struct starter *starter = what;
    size_t count = quick ? SAMPLES_QUICK : SAMPLES;
    void *memory = NULL;
    int status;

    if (size > 0 && starter->copies)
        count = SAMPLES_SLOW;
    if (size > 0 && !has_room(size))
        return -ENOMEM;
    if (!starter->once)
        return run_other(starter, size, count, &ret_value->value);
    if (size > 0) {
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return -ENOMEM;
        (void)madvise(memory, size, MADV_NOHUGEPAGE);
        memset(memory, 1, size);
    }
    status = starts_sample(starter->once, count, &ret_value->value);
    if (memory)
        munmap(memory, size);
    return status;
}

/* ---- the rows */

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct starter by_default = { .once = starts_by_default };
static const struct starter by_fork = { .once = starts_by_fork, .copies = true };
static const struct starter by_spawn = { .once = starts_by_spawn };
static const struct starter forks = { .once = starts_fork, .copies = true };
static const struct starter vforks = { .once = starts_vfork };
static const struct starter spawns = { .once = starts_posix_spawn };
static const struct starter threads = { .once = starts_thread };
static const struct starter cpython = {
    .copies = true,
    .script = "import multiprocessing as m,sys,time,statistics as s\n"
              "b=bytearray(b\"1\")*int(sys.argv[1])\n"
              "def f():pass\n"
              "def g():\n"
              " t=time.perf_counter();p=m.Process(target=f);p.start();p.join()\n"
              " return (time.perf_counter()-t)*1e6\n"
              "m.set_start_method(\"fork\")\n"
              "print(s.median(g() for i in range(int(sys.argv[2]))))",
};

static const struct starter alone_by_default = { .alone = "shoal" };
static const struct starter alone_forks = { .alone = "fork" };
static const struct starter alone_vforks = { .alone = "vfork" };
static const struct starter alone_spawns = { .alone = "posix_spawn" };

/*
 * A fork copies the page tables of the program that forks, and this one has what the rows before
 * have touched. So the first row also asks a program that has nothing else. That is the last
 * contenders, which the rows of larger parents leave out.
 */
static const struct contender starters[] = {
    { "shoal", OURS, &by_default },
    { "fork+waitpid", RIVAL, &forks },
    { "vfork+waitpid", RIVAL, &vforks },
    { "posix_spawn /bin/true", RIVAL, &spawns },
    { "pthread_create+join", RIVAL, &threads },
    { "CPython Process, fork", RIVAL, &cpython },
    { "shoal by fork", OURS, &by_fork },
    { "shoal by spawn", OURS, &by_spawn },
    { "fork+waitpid, small program", RIVAL, &alone_forks },
    { "vfork+waitpid, small program", RIVAL, &alone_vforks },
    { "posix_spawn /bin/true, small program", RIVAL, &alone_spawns },
    { "shoal, small program", OURS, &alone_by_default },
};
#define ALONE_COUNT 4

/* In full, all that lies between shows whether the cost grows with the parent. */
static const struct {
    const char *name;
    uint64_t more; /* bytes of the parent */
    bool quick;
} parents[] = {
    { "start+join (us)", 0, true },
    { "start+join, parent with 16 MiB (us)", GIBIBYTE / 64, false },
    { "start+join, parent with 64 MiB (us)", GIBIBYTE / 16, false },
    { "start+join, parent with 256 MiB (us)", GIBIBYTE / 4, false },
    { "start+join, parent with 1 GiB (us)", GIBIBYTE, true },
};

int rows_start_run(bool quick, bool rows)
{
    int status = 0;

    for (size_t i = 0; i < COUNT(parents) && status == 0; i++) {
        const struct row row = { .name = parents[i].name,
                                 .unit = "us",
                                 .less_is_better = true,
                                 .rounds = parents[i].quick ? 0 : ROUNDS_BETWEEN,
                                 .contenders = starters,
                                 .count = COUNT(starters) - (parents[i].more ? ALONE_COUNT : 0),
                                 .quick_count = parents[i].quick ? 3 : 0,
                                 .measure = measure_start,
                                 .more = &parents[i].more };

        status = row_run(&row, quick, rows);
    }
    return status;
}
