/*
 * Start by exec of the program itself. The new process comes to shoal_init() as its creator did,
 * knows by a mark in its environment what it is, and is told by a packet on SHL_EXEC_FD what to do:
 * to run a target, or to fork others that do. The mark has the process's pid: whatever the code
 * before shoal_init() starts, by fork or by exec, is told from the child itself and may not use
 * the library, so that a program that does not get to shoal_init() cannot multiply.
 */
#include "proc/start.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/heap.h"
#include "mem/self.h"
#include "os/channel.h"
#include "os/chaos.h"
#include "proc/setup.h"
#include "proc/setup_shm.h"

/* --- the creator ---------------------------------------------------------------------------- */

#define MARK "SHOAL_CHILD"

static size_t strings_count(char *const *strings)
{
    size_t count = 0;
    while (strings && strings[count])
        count++;
    return count;
}

/* With this environment and the mark. `exec` says the rest. */
static pid_t exec_marked(const struct shl_exec *exec, char *const *environment, int *ret_pidfd)
{
    struct shl_exec marked = *exec;
    char mark[] = MARK "=0000000000";
    size_t count = strings_count(environment);
    char **envp = shl_heap_resize(NULL, (count + 2) * sizeof *envp);
    REQUIRE(envp, -ENOMEM, "no memory for the environment of a new process");
    for (size_t i = 0; i < count; i++)
        envp[i] = environment[i];
    envp[count] = mark;
    envp[count + 1] = NULL;
    marked.envp = envp;
    marked.pid_text = mark + sizeof MARK;
    pid_t pid = shl_child_exec(&marked, ret_pidfd);
    shl_heap_free(envp);
    return pid;
}

/* As the setup says, or as this program is. */
static pid_t exec_set_up(const struct shl_start *start, int fd, int *ret_pidfd)
{
    uint64_t setup = start ? start->child->setup : 0;
    char **argv = NULL, **environment = NULL;
    int code = setup ? shl_setup_strings(start->segment, setup, SETUP_ARGV, &argv) : 0;
    if (code == 0 && setup)
        code = shl_setup_strings(start->segment, setup, SETUP_ENVIRONMENT, &environment);
    const char *path = setup ? shl_setup_text(start->segment, setup, SETUP_EXECUTABLE) : NULL;
    const struct shl_exec exec = { .path = path ? path : SHL_EXEC_SELF,
                                   .argv = argv ? argv : shl_start_argv,
                                   .fd = fd };
    pid_t pid = code < 0 ? code
                         : exec_marked(&exec, environment ? environment : environ, ret_pidfd);
    shl_heap_free(argv);
    shl_heap_free(environment);
    return pid;
}

pid_t shl_start_exec(const struct shl_start *start, int *ret_channel, int *ret_pidfd)
{
    int ends[2];
    int code = shl_channel_open(ends);
    if (code < 0)
        return code;
    pid_t pid = exec_set_up(start, ends[1], ret_pidfd);
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *ret_channel = ends[0];
    return pid;
}

static int tell(const struct shl_start *start, const struct shl_request *request, int channel)
{
    const struct shl_child *child = start->child;
    int fds[2 + SHOAL_PROCESS_FDS_MAX] = { start->segment->fd, start->children->lifeline.fd_read };
    memcpy(fds + 2, child->fds, child->fds_count * sizeof *fds);
    int code = shl_channel_send(channel, request, shl_request_size(request), fds,
                                2 + child->fds_count);
    return code == -EPIPE ? 0 : code; /* it has ended: found out when it is waited for */
}

int shl_start_spawn(const struct shl_start *start)
{
    struct shl_request request;
    int code = shl_start_describe(start, &request);
    if (code < 0)
        return code;
    int channel, pidfd;
    pid_t pid = shl_start_exec(start, &channel, &pidfd);
    if (pid < 0)
        return pid;
    SHL_CHAOS("start.exec");
    code = tell(start, &request, channel);
    close(channel);
    SHL_CHAOS("start.told");
    if (code == 0)
        return shl_start_adopt(start, pid, pidfd);
    shl_child_discard(pid, pidfd);
    return code;
}

/* --- the child ------------------------------------------------------------------------------ */

/* With a look at the process's object, which a child that runs already does without: it would have
 * to have pages of the segment that its target may not need. */
static void prepare(uint64_t ref, int code)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find((shoal_process){ ref }, &segment);
    if (!process)
        _exit(EXIT_FAILURE);
    shl_start_prepare(process, code);
}

void shl_start_run_request(const struct shl_request *request, struct shl_lifeline *lifeline)
{
    SHL_CHAOS("start.begins");
    shl_log_adopt(&request->log);
    struct shl_child child = { .argument = request->argument };
    int code = shl_target_find(&request->target, &child.target);
    int tied = lifeline ? shl_start_tie(lifeline) : 0;
    if (lifeline && code == 0)
        code = tied < 0 ? tied : shl_exit_hook_child(false);
    shl_start_become(request->ref, request->flags, request->name);
    if (!request->runs || code < 0)
        prepare(request->ref, code);
    shl_start_run(&child, request->flags);
}

/* What cannot be told to the creator shows him by the end of this process. */
static _Noreturn void enter(void)
{
    struct shl_request request;
    int fds[SHL_CHANNEL_FDS_MAX];
    size_t fds_count;
    if (shl_channel_receive(SHL_EXEC_FD, &request, sizeof request, fds, &fds_count) <= 0 ||
        fds_count < 2 || !shl_shared() || shl_segment_family_adopt(fds[0]) < 0)
        _exit(EXIT_FAILURE);
    struct shl_lifeline lifeline = { .fd_read = fds[1] };
    shl_child_null_stdin();
    if (request.order == SHL_ORDER_SERVE)
        shl_serve(SHL_EXEC_FD, &lifeline);
    close(SHL_EXEC_FD);
    shl_start_give(fds + 2, fds_count - 2);
    shl_start_run_request(&request, &lifeline);
}

/* NOLINTBEGIN(concurrency-mt-unsafe): the program has not begun */
bool shl_enter_pending(void)
{
    return secure_getenv(MARK) != NULL;
}

int shl_enter(void)
{
    const char *pid = secure_getenv(MARK);
    REQUIRE(pid && strtoul(pid, NULL, 10) == (unsigned long)getpid(), -ECHILD,
            "this was started by a process that has not come to shoal_init() itself");
    unsetenv(MARK);
    enter();
}
/* NOLINTEND(concurrency-mt-unsafe): from here on it has */
