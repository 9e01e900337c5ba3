/* What all ways to begin a child have in common. */
#include "proc/start.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mem/self.h"
#include "os/chaos.h"
#include "os/futex.h"
#include "proc/setup.h"
#include "proc/setup_shm.h"

enum shoal_start_method shl_start_method = SHOAL_START_FORK;
char *const *shl_start_argv;

void shl_start_set_state(struct process_shm *process, uint32_t state)
{
    /* [process.state] release -> has_left(), and everybody who asks for the pid. */
    atom_store_release(&process->state, state);
    shl_futex_wake(&process->state, 1);
}

/* Waits for a tick at most: true if the state is another one. */
static bool has_left(struct process_shm *process, uint32_t state)
{
    struct shl_futex_watch watch = { &process->state, state };
    uint64_t deadline_ns = shl_clock_ns() + SHL_START_TICK_NS;
    /* [process.state] acquire <- shl_start_set_state(). */
    while (atom_load_acquire(&process->state) == state)
        if (shl_futex_wait(&watch, 1, deadline_ns) == -ETIMEDOUT)
            return false;
    return true;
}

int shl_start_check(enum shoal_start_method method, char *const *argv)
{
    REQUIRE((unsigned)method <= SHOAL_START_FORKSERVER, -EINVAL, "no such start method");
    REQUIRE(method <= SHOAL_START_FORK || argv, -ENOTSUP,
            "shoal_init() was not given main's arguments: the program cannot be started anew");
    return 0;
}

/* --- the creator ---------------------------------------------------------------------------- */

int shl_start(const struct shl_start *start)
{
    static int (*const methods[])(const struct shl_start *) = {
        [SHOAL_START_FORK] = shl_start_fork,
        [SHOAL_START_SPAWN] = shl_start_spawn,
        [SHOAL_START_FORKSERVER] = shl_start_server,
    };
    enum shoal_start_method asked = start->child->method;
    enum shoal_start_method method = asked ? asked : shl_start_method;
    atom_store_relaxed(&start->process->refused, 0);
    atom_store_relaxed(&start->process->attached, false);
    atom_store_relaxed(&start->process->start_time, 0);
    int code = shl_children_open_lifeline(start->children);
    if (code == 0)
        code = methods[method](start);
    if (code == -ENOTSUP && !asked && method == SHOAL_START_FORKSERVER) {
        atom_store_relaxed(&start->process->state, PROCESS_STARTING);
        code = shl_start_spawn(start);
    }
    return code;
}

int shl_start_failure(int code)
{
    switch (code) {
    case -ENOENT:
        return shl_error(code, "the new process does not know the target: its library cannot be "
                               "loaded there, or its name was not registered before shoal_init()");
    case -EPROTO:
        return shl_error(code, "the target's library is another one in the new process");
    case -EUSERS:
        return shl_error(code, "the fork server: no more processes");
    case -ENOMEM:
        return shl_error(code, "no memory in the new process, or in the fork server");
    case -EMFILE:
        return shl_error(code, "no descriptor in the fork server, or in its child");
    case -ENOTSUP:
        return shl_error(code, "the kernel does not tell what the fork server needs");
    default:
        return shl_error(-EIO, "the new process could not be tied to its creator: /proc is not "
                               "readable there, or the system refused");
    }
}

static int failure_of(struct process_shm *process)
{
    int code = (int)atom_load_relaxed(&process->exitcode);
    code = code < 0 ? code : -EUCLEAN;
    uint32_t refused = atom_load_relaxed(&process->refused);
    return refused ? shl_errorf(code, "the new process cannot have what its setup says: %s",
                                shl_setup_word(refused))
                   : shl_start_failure(code);
}

int shl_start_describe(const struct shl_start *start, struct shl_request *ret_request)
{
    *ret_request = (struct shl_request){ .order = SHL_ORDER_RUN,
                                         .flags = start->process->flags,
                                         .ref = start->child->ref,
                                         .argument = start->child->argument };
    memcpy(ret_request->name, start->process->name, sizeof ret_request->name);
    uint64_t setup = start->child->setup;
    bool other = setup && shl_setup_text(start->segment, setup, SETUP_EXECUTABLE);
    shl_log_describe(!other, &ret_request->log);
    return shl_target_describe(start->child->target, &ret_request->target);
}

int shl_start_adopt(const struct shl_start *start, pid_t pid, int pidfd)
{
    struct process_shm *process = start->process;
    int code = pidfd < 0 ? pidfd : 0;
    while (code == 0 && !has_left(process, PROCESS_STARTING))
        if (shl_child_wait(pidfd, 0) == 0)
            code = shl_error(-EIO, "the new process ended before its target began");
    if (code == 0 && atom_load_relaxed(&process->state) == PROCESS_FAILED)
        code = failure_of(process);
    if (code < 0) {
        shl_child_discard(pid, pidfd);
        if (atom_load_relaxed(&process->attached))
            shl_self_bury(pid);
        return code;
    }
    SHL_CHAOS("start.adopt");
    start->child->pid = pid;
    start->child->pidfd = pidfd;
    atom_store_relaxed(&process->pid, (uint32_t)pid);
    shl_start_set_state(process, PROCESS_RUNNING);
    return 0;
}

/* --- the child ------------------------------------------------------------------------------ */

/* Tells why it cannot run. Then the creator kills us; or it is dead, and nobody else would. */
static _Noreturn void fail(struct process_shm *process, int code)
{
    atom_store_relaxed(&process->exitcode, (uint32_t)code);
    shl_start_set_state(process, PROCESS_FAILED);
    while (getppid() == (pid_t)process->creator_pid)
        has_left(process, PROCESS_FAILED);
    _exit(EXIT_FAILURE);
}

void shl_start_become(uint64_t ref, uint32_t flags, const char *name)
{
    struct shl_shared *shared = shl_shared();
    prctl(PR_SET_NAME, name);
    atom_store_relaxed(&shared->process_ref, ref);
    memcpy(shared->process_name, name, SHOAL_PROCESS_NAME_MAX);
    shl_daemons_childless = (flags & PROCESS_CHILDLESS) != 0;
    shl_process_begins = shl_process_attaches;
    setpgid(0, 0); /* the terminal's interrupt is the creator's: he decides */
}

/* For the creator's word. Who does not hang on the lifeline looks himself whether there is still
 * somebody to say it. */
static void wait_for_word(struct process_shm *process)
{
    while (!has_left(process, PROCESS_TIED)) {
        SHL_CHAOS("start.unheard");
        if (getppid() != (pid_t)process->creator_pid &&
            /* [process.state] acquire <- shl_start_set_state(): what he said last. */
            atom_load_acquire(&process->state) == PROCESS_TIED)
            _exit(EXIT_FAILURE);
    }
}

int shl_start_tie(struct shl_lifeline *lifeline)
{
    int code = shl_lifeline_tie(lifeline) < 0 ? -EIO : 0;
    shl_exec_is_tied();
    SHL_CHAOS("start.tied");
    return code;
}

void shl_start_prepare(struct process_shm *process, int code)
{
    if (code == 0 && process->flags & PROCESS_OUTLIVES) {
        /* As its heir first: until then the line makes sure that the process is its creator's. */
        code = shl_process_inherit(shl_segment_family(), process);
        if (code == 0)
            shl_lifeline_leave();
    }
    if (code == 0)
        code = shl_setup_apply(shl_segment_family(), process);
    if (code < 0)
        fail(process, code);
    /* [process.state] acquire <- shl_start_set_state(). */
    if (atom_load_acquire(&process->state) == PROCESS_STARTING) {
        shl_start_set_state(process, PROCESS_TIED);
        wait_for_word(process);
    }
}

static struct {
    size_t count;
    int list[SHOAL_PROCESS_FDS_MAX];
} given;

void shl_start_give(const int *fds, size_t count)
{
    given.count = count < SHOAL_PROCESS_FDS_MAX ? count : SHOAL_PROCESS_FDS_MAX;
    memcpy(given.list, fds, given.count * sizeof *fds);
}

int shoal_process_fd(size_t index)
{
    REQUIRE(index < given.count, -ERANGE, "so many descriptors were not passed on");
    return given.list[index];
}

void shl_start_run(const struct shl_child *child, uint32_t flags)
{
    SHL_CHAOS("start.runs");
    shl_hooks_run();
    SHOAL_LOG(SHOAL_LOG_INFO, "child process calling self.run()");
    shl_process_call(shoal_current_process(), flags, child->target,
                     child->argument ? shl_at(shl_segment_family(), child->argument) : NULL);
    exit(EXIT_SUCCESS); /* NOLINT(concurrency-mt-unsafe): as when main returns */
}
