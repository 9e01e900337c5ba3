/* The ways in which a child begins, and what they have in common. */
#ifndef SHL_PROC_START_H
#define SHL_PROC_START_H

#include <string.h>

#include "base/clock.h"
#include "proc/log.h"
#include "proc/process.h"
#include "proc/target.h"

/* After so long one looks by oneself: the kernel may have had no memory to wake, or a kill has come
 * in between. */
#define SHL_START_TICK_NS (10 * SHL_NS_PER_MS)

/* --- the creator, with starts locked --------------------------------------------------------- */

struct shl_start {
    struct shl_children *children;
    struct shl_child *child; /* a copy of what stands in the table */
    const struct shl_segment *segment;
    struct process_shm *process; /* STARTING */
};

/* For children whose options name none. */
extern SHL_HIDDEN enum shoal_start_method shl_start_method;

/* A child is ready in the fork server before it is wanted. */
extern SHL_HIDDEN bool shl_server_keeps_ready;

/* What the program was called with, for those it starts by exec; NULL: it has not said. */
extern SHL_HIDDEN char *const *shl_start_argv;

/* 0; -EINVAL no such method; -ENOTSUP not without the program's arguments. */
int shl_start_check(enum shoal_start_method method, char *const *argv);

/* Starts it: 0, or an error, and nothing is left but a process that can be started again. */
int shl_start(const struct shl_start *start);

/* The same by one method each; a forked child does not return. */
int shl_start_fork(const struct shl_start *start);
int shl_start_spawn(const struct shl_start *start);
int shl_start_server(const struct shl_start *start);

/* By exec, with the other end of `ret_channel`: the program that the child's setup names, or this
 * one; for the fork server, of no child (NULL), this one. Answers the pid or an error. */
pid_t shl_start_exec(const struct shl_start *start, int *ret_channel, int *ret_pidfd);

/* Why a child could not begin, by the code that it or the server tells: an error. */
int shl_start_failure(int code);

/* Waits until the new process is tied, and lets it run: 0. Else it is ended, and an error. Its
 * descriptor may be an error, which is answered then. */
int shl_start_adopt(const struct shl_start *start, pid_t pid, int pidfd);

/* Ends the fork server; it is started again when it is needed. */
void shl_server_stop(struct shl_server *server);

/* Lets go of a parent's. */
void shl_server_forget(struct shl_server *server);

/* --- what an exec'd process is told ---------------------------------------------------------- */

enum shl_order { SHL_ORDER_RUN, SHL_ORDER_SERVE };

/* The descriptors that come with it: segment and lifeline to an exec'd process, or the standard
 * streams that `streams` names to a child of the server's; then those that the target is given. */
struct shl_request {
    uint32_t order;
    uint32_t streams; /* bit 1: stdout; bit 2: stderr */
    uint32_t flags;   /* the process's, process_shm.h */
    uint32_t runs;    /* it is RUNNING: no other word is needed, nor a look at its object */
    uint64_t ref;
    uint64_t argument;
    struct shl_log_settings log;
    char name[SHOAL_PROCESS_NAME_MAX + 1]; /* as it is now: the creator may change his */
    struct shl_target target;              /* ends where its path does */
};

static inline size_t shl_request_size(const struct shl_request *request)
{
    return offsetof(struct shl_request, target.path) + strlen(request->target.path) + 1;
}

/* What it is to run, with none of the descriptors. 0 or an error. */
int shl_start_describe(const struct shl_start *start, struct shl_request *ret_request);

/* --- the child ------------------------------------------------------------------------------- */

/* In a process that another one has exec'd as its child: does not return. 0 in any other; an error
 * if the code before shoal_init() of such a process has started it. */
int shl_enter(void);

/* Is this such a process, still on its way to shoal_init()? */
bool shl_enter_pending(void);

/* Forks a child whenever one is asked for, until the creator is gone. */
_Noreturn void shl_serve(int channel, struct shl_lifeline *lifeline);

void shl_start_set_state(struct process_shm *process, uint32_t state);

/* Waits for the creator to be gone at the latest: with a lifeline, which is closed. 0 or -EIO. */
int shl_start_tie(struct shl_lifeline *lifeline);

/* Becomes the process, as which it is tied or about to fail. */
void shl_start_become(uint64_t ref, uint32_t flags, const char *name);

/* Lets go of the lifeline if it may outlive its creator, and waits for his word unless that was
 * given before; if it cannot run (`code`), tells him and waits to be ended. */
void shl_start_prepare(struct process_shm *process, int code);

/* What shoal_process_fd() answers. */
void shl_start_give(const int *fds, size_t count);

/* Becomes what the request says. Not tied yet if there is a lifeline: an exec'd process, whose exit
 * handlers are its own. */
_Noreturn void shl_start_run_request(const struct shl_request *request,
                                     struct shl_lifeline *lifeline);

/* Runs the target and ends. */
_Noreturn void shl_start_run(const struct shl_child *child, uint32_t flags);

#endif
