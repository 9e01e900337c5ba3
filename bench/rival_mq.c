/*
 * POSIX message queues, as deep as they may be.
 *
 * The kernel limits their depth and the size of a message (fs.mqueue.msg_max and msgsize_max, 10
 * and 8192 by default), and RLIMIT_MSGQUEUE the bytes in all of them. These limits belong to an
 * IPC namespace: a privileged process moves into one of its own, where it may raise them without
 * changing anything for others, and where a queue's name dies with the process.
 */
#include "transport.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define BYTES_IN_FLIGHT ((size_t)4 << 20)
#define DEPTH_MAX 256 /* 64 and 1024 were not faster */
#define LIMIT_WANTED ((rlim_t)64 << 20)

static void write_setting(const char *path, const char *value, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!write(fd, value, size); /* else the limit stays, and the depth is what it allows */
    close(fd);
}

/* Once: later calls find the limits raised. */
static void raise_limits(void)
{
    static bool tried;
    const struct rlimit wanted = { LIMIT_WANTED, LIMIT_WANTED };

    if (tried)
        return;
    tried = true;
    (void)setrlimit(RLIMIT_MSGQUEUE, &wanted);
    if (unshare(CLONE_NEWIPC) < 0)
        return;
    write_setting("/proc/sys/fs/mqueue/msg_max", "256", 3);
    write_setting("/proc/sys/fs/mqueue/msgsize_max", "1048576", 7);
}

/* A queue that has no name any more when this returns. */
static int open_nameless(size_t size, size_t depth)
{
    struct mq_attr attributes = { .mq_maxmsg = (long)depth, .mq_msgsize = (long)size };
    char name[64];
    mqd_t queue;

    snprintf(name, sizeof(name), "/shoal-bench-%d", (int)getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
    if (queue < 0)
        return -errno;
    mq_unlink(name);
    return queue;
}

static int open_queue(struct channel *channel)
{
    size_t depth = BYTES_IN_FLIGHT / channel->size;
    int queue;

    raise_limits();
    depth = depth < DEPTH_MAX ? depth : DEPTH_MAX;
    do {
        queue = open_nameless(channel->size, depth);
        depth = depth * 3 / 4;
    } while (queue < 0 && depth > 0);
    channel->fds[0] = queue;
    return queue < 0 ? queue : 0;
}

static int send_message(struct channel *channel, const void *message)
{
    int status;

    do {
        status = mq_send(channel->fds[0], message, channel->size, 0);
    } while (status < 0 && errno == EINTR);
    return status < 0 ? -errno : 0;
}

static int receive_message(struct channel *channel, void *message)
{
    ssize_t got;

    do {
        got = mq_receive(channel->fds[0], message, channel->size, NULL);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    return (size_t)got == channel->size ? 0 : -EMSGSIZE;
}

static void close_queue(struct channel *channel)
{
    mq_close(channel->fds[0]);
}

const struct transport transport_mq = { .name = "POSIX mq",
                                        .open = open_queue,
                                        .send = send_message,
                                        .recv = receive_message,
                                        .close = close_queue };
