/* pipe(2), as large as an unprivileged process may make it; 64 and 256 KiB were not faster. */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)

static int open_pipe(struct channel *channel)
{
    if (pipe2(channel->fds, O_CLOEXEC) < 0)
        return -errno;
    (void)fcntl(channel->fds[1], F_SETPIPE_SZ, PIPE_SIZE); /* else it keeps its 64 KiB */
    return 0;
}

static int send_message(struct channel *channel, const void *message)
{
    const char *at = message;
    size_t left = channel->size;

    while (left > 0) {
        ssize_t done = write(channel->fds[1], at, left);

        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            at += done;
            left -= (size_t)done;
        }
    }
    return 0;
}

static int receive_message(struct channel *channel, void *message)
{
    char *at = message;
    size_t left = channel->size;

    while (left > 0) {
        ssize_t got = read(channel->fds[0], at, left);

        if (got == 0)
            return -EPIPE;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            at += got;
            left -= (size_t)got;
        }
    }
    return 0;
}

/* Of a few bytes, which come in one piece. */
static int poll_message(struct channel *channel, void *message)
{
    struct iovec piece = { message, channel->size };
    ssize_t got = preadv2(channel->fds[0], &piece, 1, -1, RWF_NOWAIT);

    if (got < 0 && errno == EAGAIN)
        return 0;
    return got < 0 ? -errno : (size_t)got == channel->size ? 1 : -EPIPE;
}

/* 32 messages by one call: less than PIPE_BUF, so that they stay together. */
static int send_messages(struct channel *channel, const uint64_t *messages, unsigned count)
{
    ssize_t done;

    do {
        done = write(channel->fds[1], messages, count * sizeof(messages[0]));
    } while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : (size_t)done == count * sizeof(messages[0]) ? 0 : -EMSGSIZE;
}

static int receive_messages(struct channel *channel, uint64_t *messages, unsigned count)
{
    ssize_t got;

    do {
        got = read(channel->fds[0], messages, count * sizeof(messages[0]));
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got < 0 ? -errno : -EPIPE;
    return got % (ssize_t)sizeof(messages[0]) == 0 ? (int)(got / (ssize_t)sizeof(messages[0]))
                                                   : -EMSGSIZE;
}

static void close_pipe(struct channel *channel)
{
    close(channel->fds[0]);
    close(channel->fds[1]);
}

const struct transport transport_pipe = { .name = "pipe",
                                          .open = open_pipe,
                                          .send = send_message,
                                          .recv = receive_message,
                                          .close = close_pipe,
                                          .send_many = send_messages,
                                          .recv_many = receive_messages,
                                          .poll = poll_message };
