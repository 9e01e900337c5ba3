/*
 * Start by the fork server: this program, exec'd once, with one thread and none of the host's
 * memory, so that a fork costs the same however large the host is and whatever its threads do.
 *
 *   P1 the creator sends a request
 *   P2 the server forks a sibling of its own, which is the creator's child: the kernel writes its
 *      pid into the process's object before it runs
 *   P3 the child finds its target and ties itself to the creator's lifeline
 *   P4 the creator opens a descriptor for it and lets it run
 *
 * So the server has nothing to remember, and its death after P2 changes nothing. Before P2 there is
 * no pid, nor will there be one once it is dead: the creator starts another server and sends again.
 * If the creator dies, so does the server, on the same lifeline, and a child at P3.
 */
#include "proc/start.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "mem/readers.h"
#include "os/channel.h"
#include "os/chaos.h"

/* --- the creator ---------------------------------------------------------------------------- */

enum { SERVERS_TRIED = 3 };

void shl_server_forget(struct shl_server *server)
{
    if (server->pid != 0) {
        close(server->channel);
        close(server->pidfd);
    }
    server->pid = 0;
}

void shl_server_stop(struct shl_server *server)
{
    if (server->pid == 0)
        return;
    close(server->channel);
    shl_child_discard(server->pid, server->pidfd);
    server->pid = 0;
}

/* Without waiting for it: requests wait in the channel. */
static int begin(struct shl_server *server, const struct shl_start *start)
{
    struct shl_server fresh = { .uid = geteuid(), .gid = getegid() };
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

/* Until there is a pid, or will not be. 0; -EPIPE: the server is dead and has not forked. */
static int wait_for_pid(const struct shl_server *server, struct process_shm *process)
{
    while (!shl_start_wait_while(process, PROCESS_STARTING, shl_clock_ns() + SHL_START_TICK_NS)) {
        bool dead = shl_child_wait(server->pidfd, 0) == 0;
        if (atom_load_relaxed(&process->pid) != 0)
            return 0;
        if (dead)
            return -EPIPE;
    }
    return 0;
}

static int send_request(const struct shl_server *server, const struct shl_child *child,
                        struct shl_request *request)
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
    return shl_channel_send(server->channel, request, shl_request_size(request), fds, fds_count);
}

int shl_start_server(const struct shl_start *start)
{
    struct shl_server *server = &start->children->server;
    struct shl_request request = { .ref = start->child->ref, .argument = start->child->argument };
    int code = shl_target_describe(start->child->target, &request.target);
    for (int i = 0; code == 0 && i < SERVERS_TRIED; i++) {
        code = have_server(server, start);
        if (code < 0)
            return code;
        atom_store_relaxed(&start->process->pid, 0);
        code = send_request(server, start->child, &request);
        SHL_CHAOS("server.P1");
        if (code == 0)
            code = wait_for_pid(server, start->process);
        pid_t pid = (pid_t)atom_load_relaxed(&start->process->pid);
        if (code == 0 && pid == 0)
            return shl_start_failure(start->process);
        if (code == 0)
            return shl_start_adopt(start, pid, shl_child_pidfd(pid));
        if (code != -EPIPE)
            return code;
        shl_server_stop(server);
        code = 0;
    }
    return code < 0 ? code : shl_error(-EIO, "the fork server ends before it can fork");
}

/* --- the server ----------------------------------------------------------------------------- */

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

static pid_t fork_for(const struct shl_request *request)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find((shoal_process){ request->ref }, &segment);
    if (!process)
        return -ESTALE;
    SHL_CHAOS("server.P2");
    bool readers = shl_readers_before_fork();
    pid_t pid = shl_child_fork_sibling(&process->pid);
    shl_readers_after_fork(readers, pid == 0);
    if (pid == 0)
        return 0;
    SHL_CHAOS("server.forked");
    if (pid < 0) {
        atom_store_relaxed(&process->exitcode, (uint32_t)pid);
        shl_start_set_state(process, PROCESS_FAILED);
    }
    return pid;
}

/* The terminal's interrupt is for the program, not for its server. */
static struct sigaction ignore_interrupt(void)
{
    struct sigaction before;
    sigaction(SIGINT, &(struct sigaction){ .sa_handler = SIG_IGN }, &before);
    return before;
}

void shl_serve(int channel, struct shl_lifeline *lifeline)
{
    const struct sigaction interrupt = ignore_interrupt();
    int tied = shl_lifeline_hang(lifeline);
    if (tied < 0)
        _exit(EXIT_FAILURE);
    shl_exec_is_tied();
    for (;;) {
        struct shl_request request;
        int fds[SHL_CHANNEL_FDS_MAX];
        size_t fds_count;
        if (shl_channel_receive(channel, &request, sizeof request, fds, &fds_count) == 0)
            _exit(EXIT_SUCCESS);
        if (fork_for(&request) == 0) {
            close(channel);
            close(tied);
            sigaction(SIGINT, &interrupt, NULL);
            size_t streams_count = take_streams(request.streams, fds);
            shl_start_give(fds + streams_count, fds_count - streams_count);
            shl_start_run_request(&request, lifeline, false);
        }
        for (size_t i = 0; i < fds_count; i++)
            close(fds[i]);
    }
}
