#include "rows_start.h"

#include "measure.h"
#include "rows.h"

#include <errno.h>
#include <pthread.h>
#include <shoal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLES 200
#define SAMPLES_QUICK 40
#define ROUNDS_BETWEEN 3 /* of the parents that only show the growth */
#define SAMPLES_SLOW 3   /* of what copies a gigabyte's page tables */
#define GIBIBYTE (UINT64_C(1) << 30)

struct starter {
    int (*once)(void);  /* starts nothing and waits for its end: 0, or -errno */
    const char *script; /* or: prints its own median, told size and samples */
    bool copies;        /* what it costs grows with the parent */
};

static void nothing(void *unused)
{
    (void)unused;
}

static int shoal_once(enum shoal_start_method method)
{
    const shoal_process_options options = { .target = nothing, .start_method = method };
    shoal_process process;
    int code = shoal_process_start_new(&options, &process);

    if (code < 0)
        return code;
    code = shoal_process_join(process, SHOAL_FOREVER);
    shoal_process_close(process);
    return code;
}

static int once_by_default(void)
{
    return shoal_once(SHOAL_START_DEFAULT);
}

static int once_by_fork(void)
{
    return shoal_once(SHOAL_START_FORK);
}

static int once_by_spawn(void)
{
    return shoal_once(SHOAL_START_SPAWN);
}

static int wait_for(pid_t pid)
{
    return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -EIO;
}

static int fork_once(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return wait_for(pid);
}

static int vfork_once(void)
{
    /* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): a rival */
    pid_t pid = vfork();

    if (pid == 0)
        _exit(0);
    return wait_for(pid);
}

static int spawn_once(void)
{
    char *const arguments[] = { (char *)(uintptr_t) "true", NULL };
    pid_t pid;

    return posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0 ? wait_for(pid)
                                                                               : -ENOENT;
}

static void *thread_nothing(void *unused)
{
    return unused;
}

static int thread_once(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, thread_nothing, NULL) == 0 &&
                   pthread_join(thread, NULL) == 0
               ? 0
               : -EIO;
}

/* ---- measuring */

static int sample(const struct starter *starter, size_t count, double *ret_us)
{
    double times_us[SAMPLES];

    for (size_t i = 0; i < count; i++) {
        uint64_t began = clock_wall_ns();
        int code = starter->once();

        if (code < 0) {
            fprintf(stderr, "shoal-bench: a start failed: %s\n", shoal_strerror(code));
            return code;
        }
        times_us[i] = (double)(clock_wall_ns() - began) / 1000;
    }
    *ret_us = median_of(times_us, count);
    return 0;
}

/* The python3 that is found. */
static int run_script(const char *script, uint64_t size, size_t count, double *ret_us)
{
    char command[1024];
    char line[64];
    FILE *output;
    bool read;

    snprintf(command, sizeof(command), "python3 -c '%s' %llu %zu 2>/dev/null", script,
             (unsigned long long)size, count);
    /* NOLINTNEXTLINE(cert-env33-c): the command is ours */
    output = popen(command, "r");
    if (output == NULL)
        return -ENOMEM;
    read = fgets(line, sizeof(line), output) != NULL;
    pclose(output);
    *ret_us = read ? strtod(line, NULL) : 0;
    return *ret_us > 0 ? 0 : -ENOENT;
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
    if (starter->script)
        return run_script(starter->script, size, count, &ret_value->value);
    if (size > 0) {
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return -ENOMEM;
        (void)madvise(memory, size, MADV_NOHUGEPAGE);
        memset(memory, 1, size);
    }
    status = sample(starter, count, &ret_value->value);
    if (memory)
        munmap(memory, size);
    return status;
}

/* ---- the rows */

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct starter by_default = { .once = once_by_default };
static const struct starter by_fork = { .once = once_by_fork, .copies = true };
static const struct starter by_spawn = { .once = once_by_spawn };
static const struct starter forks = { .once = fork_once, .copies = true };
static const struct starter vforks = { .once = vfork_once };
static const struct starter spawns = { .once = spawn_once };
static const struct starter threads = { .once = thread_once };
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

static const struct contender starters[] = {
    { "shoal", OURS, &by_default },
    { "fork+waitpid", RIVAL, &forks },
    { "vfork+waitpid", RIVAL, &vforks },
    { "posix_spawn /bin/true", RIVAL, &spawns },
    { "pthread_create+join", RIVAL, &threads },
    { "CPython Process, fork", RIVAL, &cpython },
    { "shoal by fork", OURS, &by_fork },
    { "shoal by spawn", OURS, &by_spawn },
};

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
                                 .count = COUNT(starters),
                                 .quick_count = parents[i].quick ? 3 : 0,
                                 .measure = measure_start,
                                 .more = &parents[i].more };

        status = row_run(&row, quick, rows);
    }
    return status;
}
