#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
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

/* Not if there is nothing: fflush(3) changes the stream all the same, hence its page, of which a
 * child would have to have a copy. */
static void flush(FILE *stream)
{
    if (__fpending(stream) > 0)
        fflush(stream);
}

void shl_child_flush(void)
{
    flush(stdout);
    flush(stderr);
}

static int no_process(const char *call, int number)
{
    bool full = number == EAGAIN;
    return shl_errorf(full ? -EUSERS : shl_error_of_errno(number), "%s: %s", call,
                      full ? "no more processes" : "no memory or no descriptor");
}

pid_t shl_child_fork(void)
{
    pid_t pid = fork();
    return pid < 0 ? no_process("fork", errno) : pid;
}

struct exec_call {
    const struct shl_exec *exec;
    sigset_t mask;
    pid_t creator;
    int error;
};

/* In memory that is the creator's: its handlers must not run here. */
static void reset_handlers(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) < 0 || action.sa_handler == SIG_IGN ||
            action.sa_handler == SIG_DFL)
            continue;
        action.sa_handler = SIG_DFL;
        action.sa_flags = 0;
        sigaction(number, &action, NULL);
    }
}

/* Leaves the standard streams and SHL_EXEC_FD open. */
static int keep_alone(int fd)
{
    if (fd == SHL_EXEC_FD ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, SHL_EXEC_FD) < 0)
        return -1;
    if (close_range(SHL_EXEC_FD + 1, UINT_MAX, 0) == 0)
        return 0;
    long end = sysconf(_SC_OPEN_MAX); /* before Linux 5.9 */
    for (int other = SHL_EXEC_FD + 1; other < end; other++)
        close(other);
    return 0;
}

static void write_pid(char *text)
{
    unsigned pid = (unsigned)getpid();
    for (int i = SHL_EXEC_PID_SIZE; i-- > 0; pid /= 10)
        text[i] = (char)('0' + pid % 10);
}

/* In the creator's memory, while the creator's thread waits. It does not return, so that nothing
 * would take back what AddressSanitizer marks around the variables of a frame. */
__attribute__((no_sanitize_address)) static int exec_self(void *argument)
{
    struct exec_call *call = argument;
    const struct shl_exec *exec = call->exec;
    reset_handlers();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != call->creator)
        _exit(EXIT_FAILURE);
    setpgid(0, 0);
    SHL_CHAOS("start.vforked");
    write_pid(exec->pid_text);
    if (keep_alone(exec->fd) == 0 && pthread_sigmask(SIG_SETMASK, &call->mask, NULL) == 0)
        execve(exec->path, exec->argv, exec->envp);
    call->error = errno;
    _exit(EXIT_FAILURE);
}

pid_t shl_child_exec(const struct shl_exec *exec, int *ret_pidfd)
{
    alignas(16) char stack[16384];
    struct exec_call call = { .exec = exec, .creator = getpid() };
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &call.mask);
    pid_t pid = clone(exec_self, stack + sizeof stack,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &call, ret_pidfd);
    int number = errno;
    pthread_sigmask(SIG_SETMASK, &call.mask, NULL);
    if (pid < 0)
        return no_process("clone", number);
    if (call.error == 0)
        *ret_pidfd = shl_fd_above_stdio(*ret_pidfd);
    if (call.error == 0 && *ret_pidfd >= 0)
        return pid;
    int code = call.error ? shl_errorf(shl_error_of_errno(call.error), "%s: %s", exec->path,
                                       strerrordesc_np(call.error))
                          : shl_error(-EMFILE, "no descriptor for the new process");
    shl_child_discard(pid, *ret_pidfd);
    return code;
}

void shl_exec_is_tied(void)
{
    prctl(PR_SET_PDEATHSIG, 0);
}

/*
 * fork(2) cannot make a sibling, so this is the bare system call. What it leaves out of the C
 * library's fork is done here: the thread's number, where the library keeps it (the address that
 * the kernel clears at the thread's end), and the list of robust mutexes. Locks need no care: there
 * is one thread.
 */
pid_t shl_child_fork_sibling(void)
{
    static int *tid; /* asked for once: of the one thread there is */
    static struct robust_list_head *head;
    static size_t size;
    if (!head && (prctl(PR_GET_TID_ADDRESS, &tid) < 0 || !tid || *tid != getpid() ||
                  syscall(SYS_get_robust_list, 0, &head, &size) < 0))
        return shl_error(-ENOTSUP, "the kernel does not tell what the fork server needs");
    /* On some processors the fourth argument is the child's word, on others the fifth; the other
     * one does not count. The signal at its end is that of the server's own end: SIGCHLD. */
    long pid = syscall(SYS_clone, CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, NULL,
                       NULL, tid, tid);
    if (pid == 0)
        syscall(SYS_set_robust_list, head, size);
    return pid < 0 ? no_process("clone", errno) : (pid_t)pid;
}

int shl_child_pidfd(pid_t pid)
{
    int fd = shl_fd_above_stdio((int)syscall(SYS_pidfd_open, pid, 0));
    return fd < 0 ? shl_error(shl_error_of_errno(errno), "pidfd_open failed") : fd;
}

/* By descriptor, if there is one: a number may be another's if the host has reaped it. */
void shl_child_discard(pid_t pid, int pidfd)
{
    if (pidfd >= 0)
        shl_child_signal(pidfd, SIGKILL);
    else
        kill(pid, SIGKILL);
    while (!SHL_MISTAKE("child.zombie") &&
           waitid(pidfd >= 0 ? P_PIDFD : P_PID, (id_t)(pidfd >= 0 ? pidfd : pid), NULL,
                  WEXITED | __WALL) < 0 &&
           errno == EINTR) {}
    if (pidfd >= 0)
        close(pidfd);
}

bool shl_child_group_halts(pid_t group)
{
    siginfo_t info = { .si_pid = 0 };
    int result = waitid(P_PGID, (id_t)group, &info,
                        WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);
    return info.si_pid != 0 || (result < 0 && errno == ECHILD);
}

void shl_child_end_group(pid_t leader, int pidfd)
{
    /* Once the host has reaped it, its number may be another's, and the host reaps the others. */
    if (waitid(P_PIDFD, (id_t)pidfd, NULL, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0) {
        kill(-leader, SIGKILL);
        while (waitid(P_PGID, (id_t)leader, NULL, WEXITED | __WALL) == 0 || errno == EINTR) {}
    }
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

#ifndef PIDFD_GET_INFO
#define PIDFD_GET_INFO _IOWR(0xff, 11, struct pidfd_info)
#define PIDFD_INFO_EXIT (UINT64_C(1) << 3)
struct pidfd_info {
    uint64_t mask;
    /* cppcheck-suppress unusedStructMember ; the kernel's: a cgroup and eleven numbers of ids */
    uint32_t others[13];
    int32_t exit_code; /* as wait(2) tells it */
};
#endif

/* What the kernel still knows of a process that somebody else has reaped: since Linux 6.15. */
static int exitcode_of_reaped(int pidfd)
{
    struct pidfd_info info = { .mask = PIDFD_INFO_EXIT };
    if (ioctl(pidfd, PIDFD_GET_INFO, &info) < 0 || !(info.mask & PIDFD_INFO_EXIT))
        return SHOAL_EXITCODE_UNKNOWN;
    return WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code) : -WTERMSIG(info.exit_code);
}

bool shl_child_reap(int pidfd, int *ret_exitcode)
{
    siginfo_t info = { .si_pid = 0 };
    int result;
    do
        result = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | __WALL);
    while (result < 0 && errno == EINTR);
    if (result < 0) { /* ECHILD: the host reaped it, or ignores SIGCHLD */
        if (shl_child_wait(pidfd, 0) < 0)
            return false;
        *ret_exitcode = exitcode_of_reaped(pidfd);
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
int shl_lifeline_reopen(const struct shl_lifeline *lifeline)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", lifeline->fd_read);
    int fd = shl_fd_above_stdio(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    return fd < 0 ? -errno : fd;
}

static int hangs_on = -1; /* what this process hangs on */

int shl_lifeline_hang(int fd)
{
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
    hangs_on = fd;
    return hung_up < 0 ? -errno : 0;
}

void shl_lifeline_leave(void)
{
    if (hangs_on >= 0) {
        fcntl(hangs_on, F_SETFL, O_NONBLOCK); /* the fork server may have it open still */
        close(hangs_on);
    }
    hangs_on = -1;
}

int shl_lifeline_tie(struct shl_lifeline *lifeline)
{
    if (lifeline->fd_write)
        close(lifeline->fd_write);
    lifeline->fd_write = 0;
    int fd = shl_lifeline_reopen(lifeline);
    shl_lifeline_close(lifeline);
    return fd < 0 ? fd : shl_lifeline_hang(fd);
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

bool shl_process_state(pid_t pid, struct shl_process_state *ret_state)
{
    enum { FIELD_STATE = 3, FIELD_PARENT = 4, FIELD_THREADS = 20, FIELD_START = 22 };
    char buffer[1024];
    const char *text = read_stat(pid, buffer, sizeof buffer);
    for (int field = FIELD_STATE; text && field <= FIELD_START; field++) {
        text = strchr(text, ' ');
        if (!text)
            return false;
        text++;
        if (field == FIELD_STATE)
            ret_state->state = *text;
        else if (field == FIELD_PARENT)
            ret_state->parent = (pid_t)strtoull(text, NULL, 10);
        else if (field == FIELD_THREADS)
            ret_state->threads = strtoull(text, NULL, 10);
        else if (field == FIELD_START)
            ret_state->start_time = strtoull(text, NULL, 10);
    }
    return text != NULL;
}

uint64_t shl_process_start_time(void)
{
    struct shl_process_state state;
    return shl_process_state(getpid(), &state) ? state.start_time : 0;
}

bool shl_process_is_gone(pid_t pid, uint64_t start_time)
{
    if (kill(pid, 0) < 0 && errno == ESRCH)
        return true;
    struct shl_process_state state;
    if (!shl_process_state(pid, &state))
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
