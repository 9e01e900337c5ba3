/*
 * What the system refuses: each call that the library makes of it fails the first time, the second
 * time, and so on until nothing is left to fail. Each time the operation answers a code of the
 * closed list and leaves nothing, and the next try succeeds. The functions are wrapped by the
 * linker; see tests/meson.build.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(syscalls, .timeout = 180);

/* --- failing on demand ---------------------------------------------------------------------- */

static struct {
    const char *function; /* NULL: nothing fails */
    int error;
    unsigned at, calls;
    bool in_child; /* calls of a started child count, instead of this process's */
} plan;

static bool fails(const char *function)
{
    if (!plan.function || strcmp(plan.function, function) != 0 || ++plan.calls != plan.at)
        return false;
    errno = plan.error;
    return true;
}

#define WRAPPED(result, failure, name, parameters, arguments)      \
    result __real_##name parameters;                               \
    result __wrap_##name parameters;                               \
    result __wrap_##name parameters                                \
    {                                                              \
        return fails(#name) ? (failure) : __real_##name arguments; \
    }

WRAPPED(int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAPPED(int, -1, ftruncate64, (int fd, off_t size), (fd, size))
WRAPPED(int, -1, fallocate64, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
WRAPPED(void *, MAP_FAILED, mmap64,
        (void *at, size_t size, int protection, int flags, int fd, off_t offset),
        (at, size, protection, flags, fd, offset))
WRAPPED(int, -1, madvise, (void *at, size_t size, int advice), (at, size, advice))
WRAPPED(int, -1, dup2, (int from, int to), (from, to))
WRAPPED(int, -1, pipe2, (int *ends, int flags), (ends, flags))
WRAPPED(int, -1, poll, (struct pollfd * fds, nfds_t count, int timeout_ms),
        (fds, count, timeout_ms))
WRAPPED(int, -1, ppoll,
        (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
        (fds, count, timeout, mask))
WRAPPED(ssize_t, -1, pread64, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
WRAPPED(int, -1, fstat64, (int fd, struct stat *status), (fd, status))
WRAPPED(int, -1, waitid, (idtype_t type, id_t id, siginfo_t *info, int options),
        (type, id, info, options))
WRAPPED(void *, NULL, realloc, (void *memory, size_t size), (memory, size))
WRAPPED(ssize_t, -1, getrandom, (void *data, size_t size, unsigned flags), (data, size, flags))
WRAPPED(int, EAGAIN, pthread_key_create, (pthread_key_t * key, void (*end)(void *)), (key, end))

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    if (fails("fork"))
        return -1;
    const pid_t pid = __real_fork();
    if (pid == 0 && !plan.in_child)
        plan.function = NULL;
    if (pid != 0 && plan.in_child)
        plan.function = NULL;
    return pid;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails("open64") ? -1 : __real_open64(path, flags, mode);
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    const long argument = va_arg(arguments, long);
    va_end(arguments);
    return fails("fcntl64") ? -1 : __real_fcntl64(fd, command, argument);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    /* Waking never fails but for a wrong address; waiting has more to tell. */
    const bool wakes = number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE;
    const char *name = number == SYS_pidfd_open          ? "pidfd_open"
                       : number == SYS_pidfd_send_signal ? "pidfd_send_signal"
                       : wakes                           ? "futex wake"
                                                         : "futex wait";
    return fails(name) ? -1 : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- what may fail, and how ----------------------------------------------------------------- */

static const struct {
    const char *function;
    int errors[4];
} failures[] = {
    { "memfd_create", { EMFILE, ENFILE, ENOMEM } },
    { "ftruncate64", { ENOSPC, EFBIG, EIO } },
    { "fallocate64", { ENOSPC, EINTR, ENOMEM, EFBIG } },
    { "mmap64", { ENOMEM, EAGAIN, ENFILE } },
    { "madvise", { ENOMEM, EINVAL } },
    { "fcntl64", { EMFILE, EPERM, EINVAL } },
    { "open64", { EMFILE, ENOENT, EACCES } },
    { "dup2", { EMFILE, EBUSY } },
    { "pipe2", { EMFILE, ENFILE } },
    { "fork", { EAGAIN, ENOMEM } },
    { "pidfd_open", { EMFILE, ENFILE, ENOMEM } },
    { "pidfd_send_signal", { EINVAL, EPERM } },
    { "futex wait", { EINTR, EAGAIN } },
    { "poll", { EINTR, ENOMEM } },
    { "ppoll", { EINTR, ENOMEM } },
    { "pread64", { EIO, EINTR } },
    { "fstat64", { EIO, ENOMEM } },
    { "waitid", { EINTR } },
    { "realloc", { ENOMEM } },
    { "getrandom", { EINTR, EAGAIN, ENOSYS } },
    { "pthread_key_create", { EAGAIN } },
};

struct operation {
    int (*prepare)(void);
    int (*run)(void);
    void (*undo)(void); /* after run succeeded; NULL: it may run again as it is */
    bool in_child;
    void (*finish)(void);
};

struct attempt {
    const struct operation *operation;
    const char *function;
};

/* One operation with one failure, in a process of its own. Ends with 1 if the failure came. */
static int one_failure(void *argument)
{
    const struct attempt *attempt = argument;
    const struct operation *operation = attempt->operation;
    struct harness_baseline baseline;
    char text[1024];
    harness_baseline_take(&baseline);
    CHILD_CHECK(!operation->prepare || operation->prepare() == 0);
    plan.calls = 0;
    plan.in_child = operation->in_child;
    plan.function = attempt->function;
    const int code = operation->run();
    plan.function = NULL;
    const bool came = plan.calls >= plan.at;
    CHILD_CHECK(code <= 0 && harness_code_listed(code));
    CHILD_CHECK(code == 0 || shoal_error_message()[0]);
    if (code == 0 && operation->undo)
        operation->undo();
    /* Whatever it was, the next try is as good as a first one. */
    CHILD_CHECK(operation->run() == 0);
    if (operation->undo)
        operation->undo();
    if (operation->finish)
        operation->finish();
    if (harness_leaks(&baseline, text, sizeof text) != 0) {
        fprintf(stderr, "left behind:%s\n", text);
        return 2;
    }
    return came || operation->in_child;
}

/* Each function fails the N-th time for N = 1, 2, …, until it is not called as often. */
static void survives_every_failure(const struct operation *operation, unsigned at_max)
{
    for (size_t i = 0; i < COUNT_OF(failures); i++)
        for (size_t k = 0; k < 4 && failures[i].errors[k]; k++)
            for (unsigned at = 1; at <= at_max; at++) {
                struct attempt attempt = { operation, failures[i].function };
                plan.error = failures[i].errors[k];
                plan.at = at;
                const int status = harness_wait(harness_child(one_failure, &attempt));
                cr_assert(status == 0 || status == 1, "%s fails with %s at call %u: %d",
                          failures[i].function, strerror(failures[i].errors[k]), at, status);
                if (status == 0)
                    break;
            }
}

/* --- the operations ------------------------------------------------------------------------- */

static void *payload;

static int first_alloc(void)
{
    payload = shoal_alloc(100);
    return payload ? 0 : -ENOMEM;
}

static void alloc_undo(void)
{
    shoal_free(payload);
}

Test(syscalls, first_use_survives_every_failure, .timeout = 180)
{
    const struct operation operation = { .run = first_alloc, .undo = alloc_undo };
    survives_every_failure(&operation, 30);
}

static int prepare_family(void)
{
    return SHOAL_IS_NONE(shoal_segment_family()) ? -1 : 0;
}

static int large_alloc(void)
{
    payload = shoal_alloc(7 << 20);
    return payload ? 0 : -ENOMEM;
}

Test(syscalls, growth_survives_every_failure, .timeout = 180)
{
    const struct operation operation = { prepare_family, large_alloc, alloc_undo, false, NULL };
    survives_every_failure(&operation, 30);
}

static shoal_segment segment;

static int segment_create(void)
{
    return shoal_segment_create(NULL, &segment);
}

static void segment_detach(void)
{
    CHILD_CHECK(shoal_segment_detach(segment) == 0);
}

Test(syscalls, segment_create_survives_every_failure, .timeout = 180)
{
    const struct operation operation = { NULL, segment_create, segment_detach, false, NULL };
    survives_every_failure(&operation, 30);
}

static int attach_fd;

/* A copy of its file is kept open, at a number that is checked by the judge like any other. */
static int prepare_attach(void)
{
    const int code = shoal_segment_create(NULL, &segment);
    attach_fd = code < 0 ? -1 : dup2(shoal_segment_fd(segment), 600);
    return shoal_segment_detach(segment);
}

static int attach(void)
{
    return shoal_segment_attach_fd(attach_fd, &segment);
}

Test(syscalls, attach_survives_every_failure, .timeout = 180)
{
    const struct operation operation = { prepare_attach, attach, segment_detach, false, NULL };
    survives_every_failure(&operation, 30);
}

static shoal_queue queue;

static int queue_life(void)
{
    int code = shoal_queue_create(&(shoal_queue_options){ .capacity_count = 4 }, &queue);
    if (code < 0)
        return code;
    void *message = NULL;
    code = shoal_queue_put_bytes(queue, "text", 5, SHOAL_NOW);
    if (code == 0)
        code = shoal_queue_get(queue, &message, SHOAL_NOW);
    if (code == 0)
        shoal_free(message);
    if (code == 0)
        CHILD_CHECK(shoal_queue_get(queue, &message, shoal_after_ms(5)) == -ETIMEDOUT);
    CHILD_CHECK(shoal_queue_destroy(queue) == 0);
    return code;
}

Test(syscalls, queue_survives_every_failure, .timeout = 180)
{
    const struct operation operation = { .run = queue_life };
    survives_every_failure(&operation, 30);
}

/* --- processes ------------------------------------------------------------------------------ */

static void ends(void *argument)
{
    (void)argument;
}

static shoal_process process;

static int start(void)
{
    const shoal_process_options options = { .target = ends };
    return shoal_process_start_new(&options, &process);
}

static void join_and_close(void)
{
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(process) == 0);
    CHILD_CHECK(shoal_process_close(process) == 0);
}

Test(syscalls, start_survives_every_failure, .timeout = 180)
{
    const struct operation operation = { NULL, start, join_and_close, false, NULL };
    survives_every_failure(&operation, 30);
}

static int prepare_child(void)
{
    return start();
}

static int join_it(void)
{
    return shoal_process_join(process, harness_deadline());
}

Test(syscalls, join_survives_every_failure, .timeout = 180)
{
    const struct operation operation = { prepare_child, join_it, NULL, false, join_and_close };
    survives_every_failure(&operation, 30);
}

/* In the child: it runs its target tied to its creator, or it ends with an error; never else. */
static void join_any_code(void)
{
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    const int exitcode = shoal_process_exitcode(process);
    CHILD_CHECK(exitcode == 0 || exitcode == 1 || exitcode == -SIGKILL);
    CHILD_CHECK(shoal_process_close(process) == 0);
}

Test(syscalls, child_survives_every_failure, .timeout = 180)
{
    const struct operation operation = { NULL, start, join_any_code, true, NULL };
    survives_every_failure(&operation, 6);
}
