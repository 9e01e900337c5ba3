/*
 * Start by the fork server: this program, exec'd once, with one thread and none of the host's
 * memory, so that a fork costs the same however large the host is and whatever its threads do. It
 * forks siblings of its own, which are the creator's children. A child is asked for before anybody
 * knows what it shall run, so that one is ready when a process is started.
 *
 *   P1 the creator makes a channel and sends one of its ends to the server
 *   P2 the server forks a child, which has that end now, and soon alone
 *   P3 the child ties itself to the creator's lifeline, and says that it is ready
 *   P4 the creator has a descriptor for it, which came with that word, and takes it out of the
 *      server's process group
 *   P5 the creator sends it the request: it is the process now, and the server told to go on at P1
 *
 * Invariants.
 *   I1 in the server's group are the server, and children whose pids nobody has yet: who ends the
 *      server kills and reaps them all by their group.
 *   I2 when the channel ends before P3, then there is no child, and will be none.
 *   I3 the creator signals and reaps all others by descriptor alone, and says the group's number
 *      only while the server is not reaped: it is no other group's then.
 *
 * Deaths. The server's, or the child's before P5: the creator finds the channel at its end, makes
 * another server, and asks for another child. The server's after P2 changes nothing for a child
 * that has a request; one that has none ends, once it is certain that it will get none. The child's
 * after P5 is its process's. The creator's: the server and all children hang on the same lifeline.
 * One that is stopped before P3, the server or the child, counts as dead: nobody has asked for it.
 *
 * Limits. A stop is noticed by waitid(2), hence neither if the host waits for stops of all its
 * children, nor under a debugger, nor in a frozen control group: then the start waits.
 */
#include "proc/start.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "mem/readers.h"
#include "os/channel.h"
#include "os/chaos.h"

bool shl_server_keeps_ready;

/* What comes through the channel at P3, with a descriptor for the child. */
struct ready {
    int32_t code; /* below 0: it cannot run, or could not be forked */
    pid_t pid;
};

/* --- the creator ---------------------------------------------------------------------------- */

enum { SERVERS_TRIED = 3 };

/* A child as its creator has it. */
struct met {
    struct ready ready;
    int pidfd, channel;
};

void shl_server_forget(struct shl_server *server)
{
    if (server->pid != 0) {
        close(server->channel);
        close(server->pidfd);
    }
    if (server->next != 0)
        close(server->next);
    *server = (struct shl_server){ .pid = 0 };
}

static int open_channel_to(struct shl_server *server)
{
    int ends[2];
    int code = shl_channel_open(ends);
    if (code < 0)
        return code;
    code = shl_channel_send(server->channel, "", 1, &ends[1], 1);
    close(ends[1]);
    if (code < 0)
        close(ends[0]);
    else
        server->next = ends[0];
    return code;
}

/* P1 */
static int ask(struct shl_server *server)
{
    int code = server->next != 0 ? 0 : open_channel_to(server);
    SHL_CHAOS("server.P1");
    return code;
}

/* P4, of the child that was asked for. 0; -EPIPE: there is none; or an error. */
static int meet(struct shl_server *server, struct met *ret_met)
{
    int fds[SHL_CHANNEL_FDS_MAX];
    size_t fds_count;
    long size = 0;
    bool ended = false;
    *ret_met = (struct met){ .pidfd = -1, .channel = server->next };
    server->next = 0;
    /* I2 takes longer if another thread of ours has forked in P1. */
    while (!ended &&
           shl_child_wait(ret_met->channel, shl_clock_ns() + SHL_START_TICK_NS) == -ETIMEDOUT)
        ended = shl_child_wait(server->pidfd, 0) == 0 || shl_child_group_halts(server->pid);
    if (!ended)
        size = shl_channel_receive(ret_met->channel, &ret_met->ready, sizeof ret_met->ready, fds,
                                   &fds_count);
    if (size <= 0) {
        close(ret_met->channel);
        return size == 0 ? -EPIPE : shl_error((int)size, "the new process cannot be had");
    }
    if (fds_count > 0) {
        ret_met->pidfd = fds[0];
        setpgid(ret_met->ready.pid, ret_met->ready.pid);
    }
    SHL_CHAOS("server.P4");
    return 0;
}

/* One without a descriptor ends by itself. */
static void part(const struct met *met)
{
    close(met->channel);
    if (met->pidfd >= 0)
        shl_child_discard(met->ready.pid, met->pidfd);
}

/* Killed before it can end by itself, as it does with its channel: a host that then reaped it would
 * leave nobody to wait for the child that is ready. */
void shl_server_stop(struct shl_server *server)
{
    if (server->pid == 0)
        return;
    shl_child_end_group(server->pid, server->pidfd);
    close(server->channel);
    if (server->next != 0)
        close(server->next);
    server->next = 0;
    server->pid = 0;
}

/* Without waiting for it: what it is asked for waits in the channel. */
static int begin(struct shl_server *server, const struct shl_start *start)
{
    struct shl_server fresh = { .used = server->used, .uid = geteuid(), .gid = getegid() };
    fresh.pid = shl_start_exec(NULL, &fresh.channel, &fresh.pidfd);
    if (fresh.pid < 0)
        return fresh.pid;
    SHL_CHAOS("server.exec");
    *server = fresh;
    const struct shl_request request = { .order = SHL_ORDER_SERVE };
    const int fds[] = { start->segment->fd, start->children->lifeline.fd_read };
    int code = shl_channel_send(server->channel, &request, shl_request_size(&request), fds, 2);
    if (code < 0 && code != -EPIPE)
        shl_server_stop(server);
    return code == -EPIPE ? 0 : code; /* it has ended: told by the next packet */
}

/* One that has the rights of the caller. */
static int have_server(struct shl_server *server, const struct shl_start *start)
{
    if (server->pid != 0 && (server->uid != geteuid() || server->gid != getegid()))
        shl_server_stop(server);
    return server->pid != 0 ? 0 : begin(server, start);
}

static int send_request(int channel, const struct shl_child *child, struct shl_request *request)
{
    int fds[2 + SHOAL_PROCESS_FDS_MAX];
    size_t fds_count = 0;
    request->streams = 0;
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            fds[fds_count++] = fd;
            request->streams |= 1u << fd;
        }
    memcpy(fds + fds_count, child->fds, child->fds_count * sizeof *fds);
    fds_count += child->fds_count;
    int code = shl_channel_send(channel, request, shl_request_size(request), fds, fds_count);
    SHL_CHAOS("server.P5");
    return code;
}

/* P5. It runs without another word if it is certain to find its target, and nothing can be refused
 * to it. */
static int give(const struct shl_start *start, struct shl_request *request, const struct met *met)
{
    struct process_shm *process = start->process;
    bool certain = shl_target_is_certain(&request->target) && process->setup == 0 &&
                   !(process->flags & PROCESS_OUTLIVES);
    request->runs = certain;
    atom_store_relaxed(&process->pid, (uint32_t)met->ready.pid);
    /* [process.state] release -> become() and everybody who asks for the pid. */
    atom_store_release(&process->state, certain ? PROCESS_RUNNING : PROCESS_STARTING);
    /* Looked at first, as the server may have the channel's end for some time after P2. */
    bool ended = shl_child_wait(met->pidfd, 0) == 0;
    int code = ended ? -EPIPE : send_request(met->channel, start->child, request);
    if (code < 0) {
        part(met);
        /* [process.state] release: as before. */
        atom_store_release(&process->state, PROCESS_STARTING);
        return code;
    }
    close(met->channel);
    if (!certain)
        return shl_start_adopt(start, met->ready.pid, met->pidfd);
    start->child->pid = met->ready.pid;
    start->child->pidfd = met->pidfd;
    return 0;
}

static int start_once(const struct shl_start *start, struct shl_request *request)
{
    struct shl_server *server = &start->children->server;
    struct met met = { .pidfd = -1 };
    int code = have_server(server, start);
    if (code == 0)
        code = ask(server);
    if (code == 0)
        code = meet(server, &met);
    if (code < 0)
        return code;
    if (met.ready.code == 0)
        return give(start, request, &met);
    part(&met);
    return shl_start_failure(met.ready.code);
}

int shl_start_server(const struct shl_start *start)
{
    struct shl_server *server = &start->children->server;
    struct shl_request request;
    int code = shl_start_describe(start, &request);
    if (code < 0)
        return code;
    code = -EPIPE;
    for (int i = 0; code == -EPIPE && i < SERVERS_TRIED; i++) {
        code = start_once(start, &request);
        if (code == -EPIPE)
            shl_server_stop(server);
    }
    if (code == -EPIPE)
        return shl_error(-EIO, "the fork server ends, or is stopped, before its child is ready");
    if (code == 0 && server->used && shl_server_keeps_ready)
        ask(server); /* if it cannot be had now, the next start asks */
    server->used = true;
    return code;
}

/* --- the child ------------------------------------------------------------------------------ */

/* Answers how many there were. */
static size_t take_streams(uint32_t streams, const int *fds)
{
    const int *first = fds;
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (streams & 1u << fd) {
            dup2(*fds, fd);
            close(*fds++);
        } else
            close(fd);
    }
    return (size_t)(fds - first);
}

/* P3 */
static void get_ready(int channel, int hanging)
{
    struct ready ready = { .code = shl_lifeline_hang(hanging) < 0 ? -EIO : 0, .pid = getpid() };
    SHL_CHAOS("server.tied");
    if (ready.code == 0)
        ready.code = shl_exit_hook_child(true);
    int pidfd = shl_child_pidfd(ready.pid);
    if (pidfd < 0)
        ready.code = pidfd;
    if (shl_channel_send(channel, &ready, sizeof ready, &pidfd, pidfd >= 0) < 0 || ready.code < 0)
        _exit(EXIT_FAILURE);
    close(pidfd);
    SHL_CHAOS("server.P3");
}

/* What the child has from the server. */
struct birth {
    int channel; /* of its own */
    int hanging; /* what it hangs on */
    int line;    /* ends with the server */
};

/* The request is not on the stack: it would lie between the frames before and those behind, and the
 * child have copies of more pages. Nor is this part of the server's frame, for the same reason. */
static _Noreturn __attribute__((noinline)) void be_child(const struct birth *birth)
{
    static struct shl_request request;
    int fds[SHL_CHANNEL_FDS_MAX];
    size_t fds_count;
    get_ready(birth->channel, birth->hanging);
    shl_channel_wait(birth->channel, birth->line);
    if (shl_channel_receive(birth->channel, &request, sizeof request, fds, &fds_count) <= 0)
        _exit(EXIT_SUCCESS);
    close(birth->line);
    close(birth->channel);
    size_t streams_count = take_streams(request.streams, fds);
    shl_start_give(fds + streams_count, fds_count - streams_count);
    shl_start_run_request(&request, NULL);
}

/* --- the server ----------------------------------------------------------------------------- */

static pid_t fork_sibling(void)
{
    pid_t pid = shl_child_fork_sibling();
    if (pid == 0)
        shl_readers_stay();
    return pid;
}

/* For want of descriptors, or of /proc. */
static int cannot_hang(int code)
{
    return shl_error_of_errno(-code) == -EMFILE ? -EMFILE : -EIO;
}

/* P2. Answers 0 in the child. */
static pid_t fork_for(const struct birth *birth)
{
    SHL_CHAOS("server.P2");
    const pid_t pid = birth->hanging < 0 ? cannot_hang(birth->hanging) : fork_sibling();
    if (pid == 0)
        return 0;
    SHL_CHAOS("server.forked");
    const struct ready none = { .code = pid };
    if (pid < 0)
        shl_channel_send(birth->channel, &none, sizeof none, NULL, 0);
    return pid;
}

static int hang(const struct shl_lifeline *lifeline)
{
    int fd = shl_lifeline_reopen(lifeline);
    return fd < 0 || shl_lifeline_hang(fd) < 0 ? -1 : fd;
}

void shl_serve(int channel, struct shl_lifeline *lifeline)
{
    struct shl_lifeline own;
    int tied = hang(lifeline);
    if (tied < 0 || shl_lifeline_open(&own) < 0)
        _exit(EXIT_FAILURE);
    shl_exec_is_tied();
    shl_target_find_program();
    for (;;) {
        char asked;
        int fds[SHL_CHANNEL_FDS_MAX];
        size_t fds_count;
        if (shl_channel_receive(channel, &asked, 1, fds, &fds_count) <= 0 || fds_count != 1)
            _exit(EXIT_SUCCESS);
        struct birth birth = { fds[0], shl_lifeline_reopen(lifeline), own.fd_read };
        if (fork_for(&birth) == 0) {
            close(channel);
            close(tied);
            close(own.fd_write);
            shl_lifeline_close(lifeline);
            be_child(&birth);
        }
        close(birth.channel);
        close(birth.hanging);
    }
}
