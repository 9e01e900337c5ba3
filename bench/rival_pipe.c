/* pipe(2), as large as an unprivileged process may make it; 64 and 256 KiB were not faster. */
#include "transport.h"

#include <fcntl.h>
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

static void close_pipe(struct channel *channel)
{
    close(channel->fds[0]);
    close(channel->fds[1]);
}

const struct transport transport_pipe = { .name = "pipe",
                                          .open = open_pipe,
                                          .send = send_message,
                                          .recv = receive_message,
                                          .close = close_pipe };
