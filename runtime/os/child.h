/* Child processes: the only fork and exec, the pidfd, the kernel's word on who lives, and the
 * lifeline that ends a child with its creator. */
#ifndef SHL_OS_CHILD_H
#define SHL_OS_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atom.h"

/* What stdout and stderr hold back goes out, so that the child does not print it again. May wait
 * for another thread's lock: not to be called with one of ours. */
void shl_child_flush(void);

/* fork(2). Answers the pid in the parent, 0 in the child, or -errno. */
pid_t shl_child_fork(void);

/*
 * This program, exec'd anew, or another, in a process group of its own. All its descriptors but the
 * standard ones are closed, except for `fd`, which becomes SHL_EXEC_FD. It is killed if the calling
 * thread ends before it has called shl_exec_is_tied(). Answers the pid or -errno.
 */
enum { SHL_EXEC_FD = 3 };
#define SHL_EXEC_SELF "/proc/self/exe" /* stays the same file even if it was replaced */
struct shl_exec {
    const char *path;
    char *const *argv;
    char *const *envp;
    char *pid_text; /* in one of envp's strings: becomes its pid, in SHL_EXEC_PID_SIZE digits */
    int fd;
};
enum { SHL_EXEC_PID_SIZE = 10 };
pid_t shl_child_exec(const struct shl_exec *exec, int *ret_pidfd);
void shl_exec_is_tied(void);

/* Forks a child of the calling process's parent, for processes of one thread alone. Answers as
 * fork(2), or -errno; -ENOTSUP if the kernel does not tell what that needs. */
pid_t shl_child_fork_sibling(void);

/* Has a child in this process group ended, or been stopped, or is none there any more? */
bool shl_child_group_halts(pid_t group);

/* Ends a child that leads a process group, all others there, and its descriptor. */
void shl_child_end_group(pid_t leader, int pidfd);

/* Ends a child that waits for us, and its descriptor unless that is negative. */
void shl_child_discard(pid_t pid, int pidfd);

/* A descriptor for a child that cannot have been reaped yet; or -errno. */
int shl_child_pidfd(pid_t pid);

/* 0, also for a process that ended; or -errno. */
int shl_child_signal(int pidfd, int signal_number);

/* 0 when it ended, -ETIMEDOUT; signals do not end the wait. */
int shl_child_wait(int pidfd, uint64_t deadline_ns);

/* A millisecond, for what nobody can tell us of. */
void shl_child_pause(void);

/* Reaps it if it ended: true, with its exit code, or SHOAL_EXITCODE_UNKNOWN if another did. */
bool shl_child_reap(int pidfd, int *ret_exitcode);

/*
 * The lifeline: a pipe whose writing end only the creator holds. The kernel kills each child that
 * has tied itself to it when that end closes, which is when the creator's last thread is gone.
 */
struct shl_lifeline {
    int fd_read, fd_write; /* 0: none; descriptors are never 0 here */
};
int shl_lifeline_open(struct shl_lifeline *lifeline);
void shl_lifeline_close(struct shl_lifeline *lifeline);

/* Its reading end anew, for one process to hang on. Answers a descriptor or -errno. */
int shl_lifeline_reopen(const struct shl_lifeline *lifeline);

/* SIGKILL to this process once the creator is gone, also if it is already, as long as it has that
 * descriptor open. 0 or -errno. */
int shl_lifeline_hang(int fd);

/* This process hangs on nothing any more. */
void shl_lifeline_leave(void);

/* Both, in the child and for good, with all that is left of the lifeline itself closed. */
int shl_lifeline_tie(struct shl_lifeline *lifeline);

/* In the child: stdin becomes /dev/null; failing to do so leaves it as it was. */
void shl_child_null_stdin(void);

/* What /proc says of a process: false if it says nothing. */
struct shl_process_state {
    char state;
    pid_t parent;
    uint64_t threads, start_time;
};
bool shl_process_state(pid_t pid, struct shl_process_state *ret_state);

/* When this process began, in clock ticks since boot: with its pid it names a process for ever.
 * 0 if /proc does not say. */
uint64_t shl_process_start_time(void);

/* Is the process that began then gone for certain? A zombie is; a stopped one is not. */
bool shl_process_is_gone(pid_t pid, uint64_t start_time);

/* Processors this process may run on, and that the machine has; at least 1. */
unsigned shl_cpu_count(void);
unsigned shl_cpu_online(void);

#endif
