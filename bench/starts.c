#include "starts.h"

#include "measure.h"

#include <errno.h>
#include <pthread.h>
#include <shoal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

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

int starts_by_default(void)
{
    return shoal_once(SHOAL_START_DEFAULT);
}

int starts_by_fork(void)
{
    return shoal_once(SHOAL_START_FORK);
}

int starts_by_spawn(void)
{
    return shoal_once(SHOAL_START_SPAWN);
}

static int wait_for(pid_t pid)
{
    return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -EIO;
}

int starts_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return wait_for(pid);
}

int starts_vfork(void)
{
    /* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): a rival */
    pid_t pid = vfork();

    if (pid == 0)
        _exit(0);
    return wait_for(pid);
}

int starts_posix_spawn(void)
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

int starts_thread(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, thread_nothing, NULL) == 0 &&
                   pthread_join(thread, NULL) == 0
               ? 0
               : -EIO;
}

int starts_sample(int (*once)(void), size_t count, double *ret_us)
{
    double times_us[STARTS_SAMPLES_MAX];

    for (size_t i = 0; i < count; i++) {
        uint64_t began = clock_wall_ns();
        int code = once();

        if (code < 0) {
            fprintf(stderr, "shoal-bench: a start failed: %s\n", shoal_strerror(code));
            return code;
        }
        times_us[i] = (double)(clock_wall_ns() - began) / 1000;
    }
    *ret_us = median_of(times_us, count);
    return 0;
}
