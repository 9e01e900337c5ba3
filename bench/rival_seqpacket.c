/* AF_UNIX sockets that keep the bounds of messages; smaller buffers were not faster. */
#include "transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE (4 << 20)

/* A larger buffer than the usual 208 KiB, by privilege if there is one, else as far as allowed. */
static void enlarge(int fd)
{
    const int size = BUFFER_SIZE;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int open_pair(struct channel *channel)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel->fds) < 0)
        return -errno;
    enlarge(channel->fds[1]);
    return 0;
}

static int send_message(struct channel *channel, const void *message)
{
    ssize_t done;

    do {
        done = send(channel->fds[1], message, channel->size, MSG_NOSIGNAL);
    } while (done < 0 && errno == EINTR);
    if (done < 0)
        return -errno;
    return (size_t)done == channel->size ? 0 : -EMSGSIZE;
}

static int receive_message(struct channel *channel, void *message)
{
    ssize_t got;

    do {
        got = recv(channel->fds[0], message, channel->size, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    return (size_t)got == channel->size ? 0 : -EPIPE;
}

static void close_pair(struct channel *channel)
{
    close(channel->fds[0]);
    close(channel->fds[1]);
}

const struct transport transport_seqpacket = { .name = "AF_UNIX seqpacket",
                                               .open = open_pair,
                                               .send = send_message,
                                               .recv = receive_message,
                                               .close = close_pair };
