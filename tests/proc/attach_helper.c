/*
 * An unrelated program: it gets a segment's descriptor over a socket (its standard input), with the
 * handles of two queues in it; or it is told a segment's name, and finds the queues by theirs. It
 * answers each message until there are no more.
 */
#include <errno.h>
#include <shoal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct handles {
    uint64_t segment, there, back;
};

static int receive(struct handles *ret_handles)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec data = { ret_handles, sizeof *ret_handles };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    if (recvmsg(STDIN_FILENO, &message, 0) != (ssize_t)sizeof *ret_handles)
        exit(20);
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        exit(21);
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

static void join_received(struct handles *ret_handles, shoal_segment *ret_segment)
{
    const int fd = receive(ret_handles);
    if (shoal_segment_attach_fd(fd, ret_segment) < 0 || ret_segment->ref != ret_handles->segment)
        exit(23);
    close(fd);
}

static void join_named(const char *name, struct handles *ret_handles, shoal_segment *ret_segment)
{
    shoal_queue there, back;
    if (shoal_segment_attach(name, ret_segment) < 0 ||
        shoal_queue_open(*ret_segment, "there", &there) < 0 ||
        shoal_queue_open(*ret_segment, "back", &back) < 0)
        exit(29);
    ret_handles->there = there.ref;
    ret_handles->back = back.ref;
}

int main(int argc, char **argv)
{
    struct handles handles;
    shoal_segment segment = { 0 };
    shoal_deadline deadline = shoal_after_s(30);
    prctl(PR_SET_PDEATHSIG, 9); /* not left behind if the test is killed */
    /* A program that has a family already, and one that has none. */
    if (argc > 1 && strcmp(argv[1], "with-family") == 0 && !shoal_alloc(100))
        return 22;
    if (argc > 1 && strncmp(argv[1], "name:", 5) == 0)
        join_named(argv[1] + 5, &handles, &segment);
    else
        join_received(&handles, &segment);
    const shoal_queue there = { handles.there }, back = { handles.back };
    void *payload = NULL;
    int code;
    while ((code = shoal_queue_get(there, &payload, deadline)) == 0) {
        unsigned char *bytes = payload;
        for (size_t i = 0; i < shoal_size(payload); i++)
            bytes[i] ^= 0xff;
        if (shoal_queue_put(back, payload, deadline) < 0)
            return 24;
    }
    if (code != -EPIPE)
        return 25;
    void *own = shoal_alloc_in(segment, 5);
    if (!own)
        return 26;
    memcpy(own, "done", 5);
    if (shoal_queue_put(back, own, deadline) < 0)
        return 27;
    return shoal_segment_detach(segment) == 0 ? 0 : 28;
}
