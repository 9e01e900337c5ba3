/*
 * A number is a name in the abstract namespace that the kernel has chosen (autobind): five hex
 * digits. Anybody on the machine can connect to such a name, so each side makes sure of the other:
 * who hands in looks whose door it is, before he sends, and who takes wants to be told the secret.
 *
 * Each descriptor comes by a connection of its own, which is accepted in the order of connecting.
 * It is looked at (MSG_PEEK) and not read: if this process has no room for it, it stays.
 *
 * Limits. Other users can fill the queue of a door, which the one at it empties when he takes: so
 * many at once as the queue is long, that they cannot keep him there.
 */
#include "os/door.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "os/channel.h"
#include "os/fd.h"

#define NAME_SIZE (offsetof(struct sockaddr_un, sun_path) + 6) /* a zero, and the digits */

static int system_error(void)
{
    return shl_error(shl_error_of_errno(errno), "a descriptor could not be handed over");
}

static int make_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    fd = shl_fd_above_stdio(fd);
    return fd < 0 ? system_error() : fd;
}

static int make_secret(uint64_t *ret_secret)
{
    ssize_t size;
    do
        size = getrandom(ret_secret, sizeof *ret_secret, 0);
    while (size < 0 && errno == EINTR);
    return size < 0 ? system_error() : 0;
}

/* A name that the kernel chooses, and its number. */
static int bind_any(int fd, uint32_t *ret_number)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char digits[6] = "";
    socklen_t size = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
        listen(fd, SHL_DOOR_GUESTS_MAX) < 0)
        return system_error();
    memcpy(digits, address.sun_path + 1, sizeof digits - 1);
    *ret_number = (uint32_t)strtoul(digits, NULL, 16);
    return 0;
}

int shl_door_open(struct shl_door *ret_door)
{
    struct shl_door door = { .fd = make_socket(), .guest = -1 };
    if (door.fd < 0)
        return door.fd;
    int code = make_secret(&door.secret);
    if (code == 0)
        code = bind_any(door.fd, &door.number);
    if (code == 0)
        *ret_door = door;
    else
        close(door.fd);
    return code;
}

void shl_door_close(const struct shl_door *door)
{
    if (door->guest >= 0)
        close(door->guest);
    close(door->fd);
}

static pid_t whose(int fd)
{
    struct ucred peer = { .pid = 0 };
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? 0 : peer.pid;
}

static int come_in(int guest, uint32_t number, pid_t pid)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%05x", number);
    if (connect(guest, (struct sockaddr *)&address, NAME_SIZE) == 0)
        return whose(guest) == pid ? 0 : -ENOENT;
    return errno == EAGAIN ? -EAGAIN : errno == ECONNREFUSED ? -ENOENT : system_error();
}

int shl_door_hand(uint32_t number, pid_t pid, uint64_t secret, int fd)
{
    int guest = make_socket();
    if (guest < 0)
        return guest;
    int code = come_in(guest, number, pid);
    if (code == 0)
        code = shl_channel_send(guest, &secret, sizeof secret, &fd, 1);
    close(guest);
    return code == -EPIPE ? -EAGAIN : code;
}

/* Leaves the packet where it is. */
static ssize_t peek(int guest, struct msghdr *message)
{
    return shl_channel_recvmsg(guest, message, MSG_PEEK | MSG_CMSG_CLOEXEC);
}

/* What a guest who knows the secret hands in; -1 if that is nothing. */
static int look_at_fd(const struct shl_door *door, int *ret_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    uint64_t secret;
    struct iovec part = { &secret, sizeof secret };
    /* Not CMSG_SPACE: behind the padding the kernel would find room for a second one. */
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = CMSG_LEN(sizeof(int)) };
    if (peek(door->guest, &message) < 0)
        return system_error();
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(header), sizeof *ret_fd);
    else if (message.msg_flags & MSG_CTRUNC)
        return shl_error(-EMFILE, "no descriptor is left for the one that has come");
    return 0;
}

/* What the guest hands in: 0, and -1 if he is none of ours, or went without a word. Of a stranger
 * no descriptor is let in. */
static int look(const struct shl_door *door, pid_t from, int *ret_fd)
{
    uint64_t secret = 0;
    struct iovec part = { &secret, sizeof secret };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t got = peek(door->guest, &message);
    *ret_fd = -1;
    if (got < 0 && errno != EAGAIN && errno != ECONNRESET)
        return system_error();
    if (got < 0 && errno == EAGAIN && from != 0 && whose(door->guest) == from)
        return -EAGAIN;
    return got == sizeof secret && secret == door->secret ? look_at_fd(door, ret_fd) : 0;
}

/* 0, and somebody is there. */
static int let_in(struct shl_door *door)
{
    if (door->guest >= 0)
        return 0;
    /* Not moved above the standard streams: what he hands in were lost if that failed. */
    door->guest = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (door->guest >= 0)
        return 0;
    return errno == EAGAIN ? -EAGAIN : system_error();
}

int shl_door_take(struct shl_door *door, pid_t from, unsigned *ret_gone, int *ret_fd)
{
    *ret_fd = -1;
    for (*ret_gone = 0; *ret_fd < 0; ++*ret_gone) {
        int code = *ret_gone < SHL_DOOR_GUESTS_MAX ? let_in(door) : -EAGAIN;
        if (code == 0)
            code = look(door, from, ret_fd);
        if (code < 0)
            return code;
        int guest = door->guest;
        door->guest = -1;
        close(guest);
    }
    return 0;
}
