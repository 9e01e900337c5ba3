/* The ways in which a child begins, and what they have in common. */
#ifndef SHL_PROC_START_H
#define SHL_PROC_START_H

#include <string.h>

#include "base/clock.h"
#include "proc/process.h"
#include "proc/target.h"

/* After so long one looks by oneself: the kernel may have had no memory to wake, or a kill has come
 * in between. */
#define SHL_START_TICK_NS (10 * SHL_NS_PER_MS)

/* --- the creator, with the table of children locked ------------------------------------------ */

struct shl_start {
    struct shl_children *children;
    struct shl_child *child;
    const struct shl_segment *segment;
    struct process_shm *process; /* STARTING */
};

/* For children whose options name none. */
extern SHL_HIDDEN enum shoal_start_method shl_start_method;

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

/* Why a child could not begin, as it or the server has told: 0 if neither has. */
int shl_start_failure(struct process_shm *process);

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
    uint64_t ref;
    uint64_t argument;
    struct shl_target target; /* ends where its path does */
};

static inline size_t shl_request_size(const struct shl_request *request)
{
    return offsetof(struct shl_request, target.path) + strlen(request->target.path) + 1;
}

/* --- the child ------------------------------------------------------------------------------- */

/* In a process that another one has exec'd as its child: does not return. 0 in any other; an error
 * if the code before shoal_init() of such a process has started it. */
int shl_enter(void);

/* Is this such a process, still on its way to shoal_init()? */
bool shl_enter_pending(void);

/* Forks a child for each request that comes, until the creator is gone. */
_Noreturn void shl_serve(int channel, struct shl_lifeline *lifeline);

void shl_start_set_state(struct process_shm *process, uint32_t state);

/* Sleeps until the state is another one, or until `deadline_ns`: true if it is. */
bool shl_start_wait_while(struct process_shm *process, uint32_t state, uint64_t deadline_ns);

/* With a lifeline, which is closed. Tells the creator that it is tied to him, or may outlive him,
 * and waits for his word; if it cannot run (`code`), waits to be ended. */
void shl_start_tie(struct process_shm *process, struct shl_lifeline *lifeline, int code);

/* What shoal_process_fd() answers. */
void shl_start_give(const int *fds, size_t count);

/* Becomes what the request says. `ends_by_exit`: the exit handlers are the child's own. */
_Noreturn void shl_start_run_request(const struct shl_request *request,
                                     struct shl_lifeline *lifeline, bool ends_by_exit);

/* Tied: runs the target and ends. */
_Noreturn void shl_start_run(const struct shl_child *child, const struct shl_segment *segment);

#endif
