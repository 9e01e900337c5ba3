#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "os/chaos.h"
#include "os/fd.h"

#include <shoal/process.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

void shl_child_flush(void)
{
    fflush(stdout);
    fflush(stderr);
}

pid_t shl_child_fork(void)
{
    pid_t pid = fork();
    if (pid < 0)
        return shl_errorf(errno == EAGAIN ? -EUSERS : shl_error_of_errno(errno), "fork: %s",
                          errno == EAGAIN ? "no more processes" : "no memory");
    return pid;
}

int shl_child_pidfd(pid_t pid)
{
    int fd = shl_fd_above_stdio((int)syscall(SYS_pidfd_open, pid, 0));
    return fd < 0 ? shl_error(shl_error_of_errno(errno), "pidfd_open failed") : fd;
}

void shl_child_discard(pid_t pid, int pidfd)
{
    kill(pid, SIGKILL);
    while (!SHL_MISTAKE("child.zombie") && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (pidfd >= 0)
        close(pidfd);
}

int shl_child_signal(int pidfd, int signal_number)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) == 0 || errno == ESRCH)
        return 0;
    return shl_error(shl_error_of_errno(errno), "the signal could not be sent");
}

int shl_child_wait(int pidfd, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = deadline_ns == UINT64_MAX || deadline_ns == 0 ? 0 : shl_clock_ns();
        struct timespec left = shl_clock_timespec(deadline_ns > now ? deadline_ns - now : 0);
        struct pollfd end = { .fd = pidfd, .events = POLLIN };
        int ready = ppoll(&end, 1, deadline_ns == UINT64_MAX ? NULL : &left, NULL);
        if (ready > 0)
            return 0;
        if (ready == 0)
            return -ETIMEDOUT;
        if (errno != EINTR && errno != ENOMEM)
            return shl_error(shl_error_of_errno(errno), "waiting for a process failed");
    }
}

void shl_child_pause(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = (long)SHL_NS_PER_MS }, NULL);
}

bool shl_child_reap(int pidfd, int *ret_exitcode)
{
    siginfo_t info = { .si_pid = 0 };
    int result;
    do
        result = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    while (result < 0 && errno == EINTR);
    if (result < 0) { /* ECHILD: the host reaped it, or ignores SIGCHLD */
        if (shl_child_wait(pidfd, 0) < 0)
            return false;
        *ret_exitcode = SHOAL_EXITCODE_UNKNOWN;
        return true;
    }
    if (info.si_pid == 0)
        return false;
    *ret_exitcode = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return true;
}

int shl_lifeline_open(struct shl_lifeline *lifeline)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return shl_error(shl_error_of_errno(errno), "no pipe for the lifeline of the children");
    ends[0] = shl_fd_above_stdio(ends[0]);
    ends[1] = shl_fd_above_stdio(ends[1]);
    *lifeline = (struct shl_lifeline){ .fd_read = ends[0] < 0 ? 0 : ends[0],
                                       .fd_write = ends[1] < 0 ? 0 : ends[1] };
    bool have_both = ends[0] >= 0 && ends[1] >= 0;
    /* Children open it by name, perhaps as another user than who made it. */
    if (have_both && fchmod(ends[0], 0666) == 0)
        return 0;
    shl_lifeline_close(lifeline);
    return have_both ? shl_error(-EIO, "the lifeline could not be opened to the children")
                     : shl_error(-EMFILE, "no descriptor for the lifeline of the children");
}

void shl_lifeline_close(struct shl_lifeline *lifeline)
{
    if (lifeline->fd_read)
        close(lifeline->fd_read);
    if (lifeline->fd_write)
        close(lifeline->fd_write);
    *lifeline = (struct shl_lifeline){ 0 };
}

/*
 * A pipe can send a signal to the owner of an open file when its last writer goes, and that signal
 * may be SIGKILL. Unlike PR_SET_PDEATHSIG this follows the creator's process, not the thread that
 * forked. The reading end is opened anew, because siblings share the inherited one and its owner.
 */
static int kill_at_hangup(int fd_inherited)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd_inherited);
    int fd = shl_fd_above_stdio(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETSIG, SIGKILL) < 0 ||
        fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
        return -errno;
    struct pollfd end = { .fd = fd, .events = 0 };
    int hung_up;
    do
        hung_up = poll(&end, 1, 0);
    while (hung_up < 0 && errno == EINTR);
    if (hung_up > 0) /* before the signal was armed */
        raise(SIGKILL);
    return hung_up < 0 ? -errno : 0;
}

int shl_lifeline_tie(struct shl_lifeline *lifeline)
{
    if (lifeline->fd_write)
        close(lifeline->fd_write);
    lifeline->fd_write = 0;
    int code = kill_at_hangup(lifeline->fd_read);
    shl_lifeline_close(lifeline);
    return code;
}

void shl_child_null_stdin(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    __fpurge(stdin); /* what the parent has read ahead is the parent's */
    if (fd < 0)
        return;
    if (fd == STDIN_FILENO) { /* it was closed: stay there, for exec too */
        fcntl(fd, F_SETFD, 0);
        return;
    }
    dup2(fd, STDIN_FILENO);
    close(fd);
}

struct process_state {
    char state;
    uint64_t threads, start_time;
};

/* The text of /proc/PID/stat behind the command's name, which may itself contain anything. */
static const char *read_stat(pid_t pid, char *buffer, size_t size)
{
    snprintf(buffer, size, "/proc/%d/stat", (int)pid);
    int fd = open(buffer, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    ssize_t length = read(fd, buffer, size - 1);
    close(fd);
    if (length <= 0)
        return NULL;
    buffer[length] = '\0';
    char *name_end = strrchr(buffer, ')');
    return name_end ? name_end + 1 : NULL;
}

static bool process_state(pid_t pid, struct process_state *ret_state)
{
    enum { FIELD_STATE = 3, FIELD_THREADS = 20, FIELD_START = 22 };
    char buffer[1024];
    const char *text = read_stat(pid, buffer, sizeof buffer);
    for (int field = FIELD_STATE; text && field <= FIELD_START; field++) {
        text = strchr(text, ' ');
        if (!text)
            return false;
        text++;
        if (field == FIELD_STATE)
            ret_state->state = *text;
        else if (field == FIELD_THREADS)
            ret_state->threads = strtoull(text, NULL, 10);
        else if (field == FIELD_START)
            ret_state->start_time = strtoull(text, NULL, 10);
    }
    return text != NULL;
}

uint64_t shl_process_start_time(void)
{
    struct process_state state;
    return process_state(getpid(), &state) ? state.start_time : 0;
}

bool shl_process_is_gone(pid_t pid, uint64_t start_time)
{
    if (kill(pid, 0) < 0 && errno == ESRCH)
        return true;
    struct process_state state;
    if (!process_state(pid, &state))
        return false; /* not a proof: /proc may be hidden, or descriptors used up */
    /* A first thread that ended is a zombie too, while the others run on. */
    if ((state.state == 'Z' || state.state == 'X') && state.threads <= 1)
        return true;
    return start_time != 0 && state.start_time != start_time;
}

unsigned shl_cpu_online(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

unsigned shl_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    return shl_cpu_online(); /* more than 1024 processors */
}
