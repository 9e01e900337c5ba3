#include "os/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "os/chaos.h"
#include "os/fd.h"

int shl_channel_open(int ret_ends[2])
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return shl_error(shl_error_of_errno(errno), "no channel to the new process");
    ends[0] = shl_fd_above_stdio(ends[0]);
    ends[1] = shl_fd_above_stdio(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0) {
        memcpy(ret_ends, ends, sizeof ends);
        return 0;
    }
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return shl_error(-EMFILE, "no descriptor for the channel to the new process");
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(SHL_CHANNEL_FDS_MAX * sizeof(int))];
};

int shl_channel_send(int end, const void *data, size_t size, const int *fds, size_t fds_count)
{
    union control control;
    struct iovec part = { (void *)data, size };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fds_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
        struct cmsghdr *header = &control.header;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, fds_count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(end, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    if (errno == EPIPE || errno == ECONNRESET)
        return -EPIPE;
    return shl_error(shl_error_of_errno(errno), "a packet could not be sent to another process");
}

static size_t take_fds(struct msghdr *message, int *ret_fds)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(ret_fds, CMSG_DATA(header), count * sizeof(int));
    for (size_t i = 0; i < count; i++)
        ret_fds[i] = shl_fd_above_stdio(ret_fds[i]);
    return count;
}

static ssize_t receive_once(int end, struct msghdr *message, int flags)
{
    ssize_t got;
    do
        got = recvmsg(end, message, flags);
    while (got < 0 && errno == EINTR);
    return got;
}

/* The kernel looks for a packet, and finds none; then for the end of the other side, and finds it:
 * but a packet may have come in between. Behind the end none comes any more. */
ssize_t shl_channel_recvmsg(int end, struct msghdr *message, int flags)
{
    const struct msghdr asked = *message;
    ssize_t got = receive_once(end, message, flags);
    if (got != 0 || SHL_MISTAKE("channel.end"))
        return got;
    *message = asked;
    return receive_once(end, message, flags);
}

long shl_channel_receive(int end, void *ret_data, size_t size, int *ret_fds, size_t *ret_fds_count)
{
    union control control;
    struct iovec part = { ret_data, size };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof control };
    ssize_t got = shl_channel_recvmsg(end, &message, MSG_CMSG_CLOEXEC);
    *ret_fds_count = 0;
    if (got <= 0)
        return got < 0 && errno != ECONNRESET ? shl_error_of_errno(errno) : 0;
    size_t count = take_fds(&message, ret_fds);
    bool no_room = message.msg_flags & MSG_CTRUNC;
    for (size_t i = 0; i < count; i++)
        no_room = no_room || ret_fds[i] < 0;
    *ret_fds_count = count;
    if (!no_room && !(message.msg_flags & MSG_TRUNC))
        return got;
    for (size_t i = 0; i < count; i++)
        if (ret_fds[i] >= 0)
            close(ret_fds[i]);
    *ret_fds_count = 0;
    return no_room ? -EMFILE : -EIO;
}

void shl_channel_wait(int end, int line)
{
    struct pollfd ends[] = { { .fd = end, .events = POLLIN }, { .fd = line } };
    while (poll(ends, 2, -1) < 0 && errno == EINTR) {}
    if (ends[1].revents)
        shutdown(end, SHUT_RD);
}
