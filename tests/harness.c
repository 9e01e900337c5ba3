/* The children, waiting and random numbers of the tests; the judge is in judge.c. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asleep.h"

/*
 * Before main(), in the runner and in each worker, which is this program again: when the parent
 * is killed nothing of the test program lives on.
 */
__attribute__((constructor)) static void die_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int argument_count;
static char **arguments;

int harness_init(const shoal_init_options *options)
{
    return shoal_init(&argument_count, &arguments, options);
}

/* Before main() as well: a child that shoal has exec'd runs its target in here, and ends. */
__attribute__((constructor)) static void enter(int count, char **vector)
{
    argument_count = count;
    arguments = vector;
    if (getenv("SHOAL_CHILD") && harness_init(NULL) < 0)
        _exit(HARNESS_CHILD_FAILED);
}

pid_t harness_child(int (*function)(void *argument), void *argument)
{
    if (HARNESS_EMULATED)
        _exit(HARNESS_SKIPPED);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(HARNESS_CHILD_FAILED);
    _exit(function(argument));
}

int harness_pauses(void *argument)
{
    (void)argument;
    while (pause() < 0) {}
    return 0;
}

void harness_child_failed(const char *file, int line, const char *condition)
{
    char text[512];
    const int size = snprintf(text, sizeof text, "child %d: %s:%d: %s does not hold; %s\n",
                              getpid(), file, line, condition, shoal_error_message());
    if (size > 0 && write(STDERR_FILENO, text, (size_t)size) < 0)
        _exit(HARNESS_CHILD_FAILED);
    _exit(HARNESS_CHILD_FAILED);
}

static int status_of(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED ? info->si_status : -info->si_status;
}

int harness_wait_ms(pid_t pid, int limit_ms)
{
    const uint64_t end_ns = harness_now_ns() + (uint64_t)limit_ms * 1000000u;
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return HARNESS_LOST;
    bool ended = false;
    for (uint64_t now = harness_now_ns(); !ended && now < end_ns; now = harness_now_ns()) {
        struct pollfd poll_pidfd = { .fd = pidfd, .events = POLLIN };
        ended = poll(&poll_pidfd, 1, (int)((end_ns - now) / 1000000u) + 1) > 0;
    }
    close(pidfd);
    if (!ended)
        kill(pid, SIGKILL);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
        if (errno != EINTR)
            return HARNESS_LOST;
    return ended ? status_of(&info) : HARNESS_HUNG;
}

int harness_wait(pid_t pid)
{
    return harness_wait_ms(pid, HARNESS_LIMIT_MS);
}

char harness_state(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    const char *read = fgets(line, sizeof line, file);
    fclose(file);
    const char *end = read ? strrchr(line, ')') : NULL;
    return end ? end[2] : 0;
}

bool harness_gone(pid_t pid)
{
    char state = 0;
    return harness_until((state = harness_state(pid)) == 0 || state == 'Z' || state == 'X');
}

const char *harness_program(const char *name)
{
    static char path[4096];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    path[size > 0 ? size : 0] = 0;
    char *slash = strrchr(path, '/');
    const size_t used = slash ? (size_t)(slash - path) + 1 : 0;
    snprintf(path + used, sizeof path - used, "%s", name);
    return path;
}

void *harness_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

uint64_t harness_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

shoal_deadline harness_deadline(void)
{
    return shoal_at_ns(harness_now_ns() + HARNESS_LIMIT_MS * UINT64_C(1000000));
}

bool harness_poll_again(struct harness_poll *poll)
{
    const uint64_t now = harness_now_ns();
    if (poll->end_ns == 0)
        poll->end_ns = now + poll->limit_ms * UINT64_C(1000000);
    if (now >= poll->end_ns)
        return false;
    if (++poll->rounds < 200) {
        sched_yield();
        return true;
    }
    /* not synchronisation: leaves the processor to those that make the polled condition true */
    nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
    return true;
}

void harness_wait_at_random(uint64_t *state, uint64_t ns_max)
{
    struct harness_poll poll = { .end_ns = harness_now_ns() + harness_random(state) % ns_max };
    while (harness_poll_again(&poll)) {}
}

uint64_t harness_seed(const char *test)
{
    const char *given = getenv("SHOAL_TEST_SEED");
    const uint64_t seed = given && *given ? strtoull(given, NULL, 0)
                                          : harness_now_ns() * 2654435761u + (uint64_t)getpid();
    fprintf(stderr, "%s: SHOAL_TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

/* splitmix64: any seed is good, zero too. */
uint64_t harness_random(uint64_t *state)
{
    uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

double harness_seconds(double otherwise)
{
    const char *given = getenv("SHOAL_TEST_SECONDS");
    return given && atof(given) > 0 ? atof(given) : otherwise;
}

void harness_drop_remarks(char *text)
{
    char *to = text;
    for (char *line = text, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next == '\n';
        const size_t size = (size_t)(next - line);
        const bool remark = strncmp(line, "==", 2) == 0 &&
                            memmem(line, size, "was not suspended", strlen("was not suspended"));
        if (!remark)
            memmove(to, line, size);
        to += remark ? 0 : size;
    }
    *to = '\0';
}
