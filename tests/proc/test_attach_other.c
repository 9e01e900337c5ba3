/* A segment in programs that are not of one family: passed by SCM_RIGHTS to an exec'd program, or
 * found by its name. */
#include "proc/children.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>

TestSuite(attach_other, .timeout = 90);

struct handles {
    uint64_t segment, there, back;
};

static void send_handles(int socket, int fd, struct handles handles)
{
    char control[CMSG_SPACE(sizeof(int))];
    memset(control, 0, sizeof control);
    struct iovec data = { &handles, sizeof handles };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS,
                                .cmsg_len = CMSG_LEN(sizeof fd) };
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    cr_assert_eq(sendmsg(socket, &message, 0), (ssize_t)sizeof handles);
}

static pid_t program_start(int socket, const char *argument)
{
    const char *program = harness_program("attach_helper");
    const pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    dup2(socket, STDIN_FILENO);
    execl(program, program, argument, (char *)NULL);
    _exit(127);
}

static void exchange(shoal_segment segment, const char *argument)
{
    struct handles handles = { .segment = segment.ref };
    shoal_queue there, back;
    int sockets[2];
    const shoal_queue_options options = { .segment = segment, .capacity_count = 4 };
    assert_code(shoal_queue_create(&options, &there), 0);
    assert_code(shoal_queue_create(&options, &back), 0);
    handles.there = there.ref;
    handles.back = back.ref;
    assert_code(shoal_publish(SHOAL_ANY(there), "there"), 0);
    assert_code(shoal_publish(SHOAL_ANY(back), "back"), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    const pid_t pid = program_start(sockets[1], argument);
    close(sockets[1]);
    if (strncmp(argument, "name:", 5) != 0)
        send_handles(sockets[0], shoal_segment_fd(segment), handles);
    for (int i = 0; i < 200; i++) {
        unsigned char *sent = shoal_alloc_in(segment, (size_t)i * 100 + 1);
        void *payload = NULL;
        cr_assert_not_null(sent);
        memset(sent, i, (size_t)i * 100 + 1);
        assert_code(shoal_queue_put(there, sent, harness_deadline()), 0);
        const int code = shoal_queue_get(back, &payload, harness_deadline());
        cr_assert_eq(code, 0, "message %d: %s; the program: %d", i, shoal_strerror(code),
                     harness_wait_ms(pid, 1));
        cr_assert_eq(payload, (void *)sent);
        cr_assert(sent[0] == (unsigned char)~i && sent[i * 100] == (unsigned char)~i);
        shoal_free(payload);
    }
    assert_code(shoal_queue_shutdown(there), 0);
    cr_assert_eq(harness_wait(pid), 0);
    void *payload = NULL;
    assert_code(shoal_queue_get(back, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "done");
    shoal_free(payload);
    assert_code(shoal_queue_destroy(there), 0);
    assert_code(shoal_queue_destroy(back), 0);
    close(sockets[0]);
}

Test(attach_other, program_without_family_joins_a_segment, .timeout = 90)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(NULL, &segment), 0);
    exchange(segment, "without-family");
    assert_code(shoal_segment_detach(segment), 0);
}

/* 2.25 */
Test(attach_other, program_joins_by_name_and_opens_by_name, .timeout = 90)
{
    shoal_segment segment;
    char argument[100];
    snprintf(argument, sizeof argument, "name:harness-%d", (int)getpid());
    assert_code(shoal_segment_create(&(shoal_segment_options){ .name = argument + 5 }, &segment),
                0);
    exchange(segment, argument);
    assert_code(shoal_segment_unlink(argument + 5), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(attach_other, program_with_family_joins_a_segment, .timeout = 90)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(NULL, &segment), 0);
    exchange(segment, "with-family");
    assert_code(shoal_segment_detach(segment), 0);
}

Test(attach_other, program_joins_another_s_family, .timeout = 90)
{
    exchange(shoal_segment_family(), "without-family");
}

/* Children made by fork inherit what is attached, and leaving it is each one's own affair. */
static void leaves_it(void *argument)
{
    const struct handles *handles = argument;
    const shoal_segment segment = { handles->segment };
    const shoal_queue queue = { handles->there };
    CHILD_CHECK(shoal_queue_put_bytes(queue, "from a child", 13, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_segment_detach(segment) == 0);
    CHILD_CHECK(shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW) == -ESTALE);
}

Test(attach_other, children_inherit_the_attachment, .timeout = 90)
{
    shoal_segment segment;
    shoal_queue queue;
    void *payload = NULL;
    assert_code(shoal_segment_create(NULL, &segment), 0);
    assert_code(shoal_queue_create(&(shoal_queue_options){ .segment = segment }, &queue), 0);
    const struct handles handles = { .segment = segment.ref, .there = queue.ref };
    child_ends(CHILD_START(leaves_it, handles), 0);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "from a child");
    shoal_free(payload);
    assert_code(shoal_segment_detach(segment), 0);
}
