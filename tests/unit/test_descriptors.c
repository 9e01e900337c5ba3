/* Descriptors through a pipe both ends of which are here, and the door they go through. 2.14. */
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "os/channel.h"
#include "os/chaos.h"
#include "os/door.h"

TestSuite(descriptors, .timeout = 120);

struct ends {
    shoal_connection first, second;
};

static struct ends pipe_of(const shoal_pipe_options *options)
{
    struct ends ends;
    assert_code(shoal_pipe_create(options, &ends.first, &ends.second), 0);
    return ends;
}

static void close_both(struct ends ends)
{
    assert_code(shoal_connection_close(ends.first), 0);
    assert_code(shoal_connection_close(ends.second), 0);
}

/* A file that holds this number. */
static int file_of(int number)
{
    const int fd = memfd_create("numbered", MFD_CLOEXEC);
    cr_assert(fd >= 0 && pwrite(fd, &number, sizeof number, 0) == sizeof number);
    return fd;
}

static int number_of(int fd)
{
    int number = -1;
    cr_assert_eq(pread(fd, &number, sizeof number, 0), (ssize_t)sizeof number);
    close(fd);
    return number;
}

static void sends_number(shoal_connection end, int number)
{
    const int fd = file_of(number);
    assert_code(shoal_connection_send_fd(end, fd, harness_deadline()), 0);
    close(fd);
}

static int receives_number(shoal_connection end)
{
    int fd = -1;
    assert_code(shoal_connection_recv_fd(end, &fd, harness_deadline()), 0);
    cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    return number_of(fd);
}

/* 2.14: the sender closes at once; both ways, beside the messages. */
Test(descriptors, arrive_in_their_order_2_14, .timeout = 60)
{
    const struct ends ends = pipe_of(NULL);
    size_t size;
    char text[4];
    int fd = -1;
    for (int i = 0; i < 5; i++)
        sends_number(ends.first, i);
    assert_code(shoal_connection_send_bytes(ends.first, "abc", 4, SHOAL_NOW), 0);
    sends_number(ends.second, 77);
    assert_code(shoal_connection_recv_bytes(ends.second, text, 4, &size, SHOAL_NOW), 0);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(receives_number(ends.second), i);
    cr_assert_eq(receives_number(ends.first), 77);
    assert_code(shoal_connection_recv_fd(ends.first, &fd, SHOAL_NOW), -ETIMEDOUT);
    cr_assert_str_eq(shoal_error_message(), "no descriptor has come");
    cr_assert_eq(fd, -1);
    close_both(ends);
}

/* 2.14: none, and ends that cannot. */
Test(descriptors, misuse_is_refused_2_14, .timeout = 60)
{
    const struct ends ends = pipe_of(&(shoal_pipe_options){ .one_way = true });
    int fd = -1;
    assert_code(shoal_connection_send_fd(ends.second, -1, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_send_fd(ends.second, 999, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_send_fd(ends.first, 0, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_recv_fd(ends.second, &fd, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_recv_fd(ends.first, NULL, SHOAL_NOW), -EINVAL);
    assert_code(shoal_connection_send_fd((shoal_connection){ 0 }, 0, SHOAL_NOW), -EINVAL);
    close_both(ends);
    assert_code(shoal_connection_send_fd(ends.second, 0, SHOAL_NOW), -ESTALE);
    assert_code(shoal_connection_recv_fd(ends.first, &fd, SHOAL_NOW), -ESTALE);
    shoal_segment segment;
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 8 << 20 }, &segment), 0);
    const struct ends elsewhere = pipe_of(&(shoal_pipe_options){ .segment = segment });
    assert_code(shoal_connection_send_fd(elsewhere.first, 0, SHOAL_NOW), -EXDEV);
    assert_code(shoal_connection_recv_fd(elsewhere.first, &fd, SHOAL_NOW), -EXDEV);
    close_both(elsewhere);
    assert_code(shoal_segment_detach(segment), 0);
    cr_assert_eq(fd, -1);
}

/* What was sent before a close is received; what was not received is closed. */
Test(descriptors, closed_end_is_the_end_of_the_other, .timeout = 60)
{
    const struct ends ends = pipe_of(NULL);
    int fd = -1, sides[2];
    char byte;
    cr_assert_eq(pipe(sides), 0);
    sends_number(ends.first, 5);
    assert_code(shoal_connection_send_fd(ends.second, sides[1], SHOAL_NOW), 0);
    close(sides[1]);
    assert_code(shoal_connection_close(ends.first), 0);
    cr_assert_eq(read(sides[0], &byte, 1), 0, "nobody has the other side any more");
    assert_code(shoal_connection_send_fd(ends.second, sides[0], SHOAL_NOW), -EPIPE);
    cr_assert_eq(receives_number(ends.second), 5);
    assert_code(shoal_connection_recv_fd(ends.second, &fd, harness_deadline()), -EPIPE);
    close(sides[0]);
    close_both(ends);
}

static int sends_one(struct call *call)
{
    return shoal_connection_send_fd(call->end, 0, harness_deadline());
}

static int receives_one(struct call *call)
{
    int fd = -1;
    const int code = shoal_connection_recv_fd(call->end, &fd, harness_deadline());
    if (code == 0)
        close(fd);
    return code;
}

Test(descriptors, full_end_lets_senders_wait, .timeout = 60)
{
    const struct ends ends = pipe_of(NULL);
    struct call call = { .function = sends_one, .end = ends.first };
    int count = 0, code;
    while ((code = shoal_connection_send_fd(ends.first, 0, SHOAL_NOW)) == 0)
        cr_assert_lt(count++, 1000);
    assert_code(code, -ETIMEDOUT);
    cr_assert_geq(count, 64);
    call_sleeps(&call);
    for (int i = 0; i <= count; i++) {
        int fd = -1;
        assert_code(shoal_connection_recv_fd(ends.second, &fd, harness_deadline()), 0);
        close(fd);
        if (i == 0)
            assert_code(call_ends(&call), 0);
    }
    close_both(ends);
}

Test(descriptors, sleepers_are_woken_by_either_close, .timeout = 60)
{
    for (int i = 0; i < 20; i++) {
        const struct ends ends = pipe_of(NULL);
        const bool receives = i % 2, own = i % 4 < 2;
        struct call calls[2];
        while (!receives && shoal_connection_send_fd(ends.first, 0, SHOAL_NOW) == 0) {}
        for (unsigned k = 0; k < COUNT_OF(calls); k++) {
            calls[k] = (struct call){ .function = receives ? receives_one : sends_one,
                                      .end = ends.first };
            call_sleeps(&calls[k]);
        }
        assert_code(shoal_connection_close(own ? ends.first : ends.second), 0);
        for (unsigned k = 0; k < COUNT_OF(calls); k++)
            assert_code(call_ends(&calls[k]), own ? -ESTALE : -EPIPE);
        close_both(ends);
    }
}

Test(descriptors, wait_for_one_can_be_cancelled, .timeout = 60)
{
    const struct ends ends = pipe_of(NULL);
    shoal_event event;
    int fd = -1;
    assert_code(shoal_event_create(NULL, &event), 0);
    assert_code(shoal_event_set(event), 0);
    assert_code(shoal_connection_recv_fd(ends.first, &fd, shoal_until(harness_deadline(), event)),
                -ECANCELED);
    assert_code(shoal_event_destroy(event), 0);
    close_both(ends);
}

/* Without a free descriptor nothing is lost. */
Test(descriptors, one_without_room_stays, .timeout = 60)
{
    const struct ends ends = pipe_of(NULL);
    struct rlimit limit;
    int fd = -1;
    sends_number(ends.first, 1);
    sends_number(ends.first, 2);
    cr_assert_eq(receives_number(ends.second), 1);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const int next = dup(0); /* the lowest that is free */
    close(next);
    for (int room = 0; room < 2; room++) { /* for nothing; for who hands it in */
        const struct rlimit low = { (rlim_t)(next + room), limit.rlim_max };
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_code(shoal_connection_recv_fd(ends.second, &fd, harness_deadline()), -EMFILE);
        assert_code(shoal_connection_send_fd(ends.first, 0, harness_deadline()), -EMFILE);
    }
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(receives_number(ends.second), 2);
    close_both(ends);
}

enum { THREADS = 3, EACH = 60 };

static int sends_many(struct call *call)
{
    int code = 0;
    for (int i = 0; i < EACH && code == 0; i++)
        code = sends_one(call);
    return code;
}

static int receives_many(struct call *call)
{
    int code = 0;
    for (int i = 0; i < EACH && code == 0; i++)
        code = receives_one(call);
    return code;
}

Test(descriptors, any_number_of_threads_send_and_receive, .timeout = 120)
{
    const struct ends ends = pipe_of(NULL);
    struct call calls[2 * THREADS];
    for (int i = 0; i < 2 * THREADS; i++) {
        calls[i] = (struct call){ .function = i % 2 ? receives_many : sends_many,
                                  .end = i % 2 ? ends.second : ends.first };
        call_start(&calls[i]);
    }
    for (int i = 0; i < 2 * THREADS; i++)
        assert_code(call_ends(&calls[i]), 0);
    close_both(ends);
}

/* --- doors ---------------------------------------------------------------------------------- */

static int stranger_at(uint32_t number)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%05x", number);
    cr_assert_eq(
        connect(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 6), 0);
    return fd;
}

/* Who does not know the secret, or comes and says nothing, or goes again. */
Test(descriptors, strangers_at_a_door_are_sent_away, .timeout = 60)
{
    struct shl_door door;
    unsigned gone;
    int fd = -1;
    assert_code(shl_door_open(&door), 0);
    const int silent = stranger_at(door.number), talks = stranger_at(door.number);
    cr_assert_eq(send(talks, "I do not know it", 8, 0), 8);
    close(stranger_at(door.number));
    assert_code(shl_door_hand(door.number, getpid(), door.secret + 1, 0), 0);
    assert_code(shl_door_hand(door.number, getpid(), door.secret, 0), 0);
    assert_code(shl_door_take(&door, getpid() + 1, &gone, &fd), 0);
    cr_assert(fd >= 0);
    close(fd);
    assert_code(shl_door_take(&door, getpid() + 1, &gone, &fd), -EAGAIN);
    close(silent);
    close(talks);
    shl_door_close(&door);
}

/* Nothing is handed into a door that is not the right process's. */
Test(descriptors, wrong_door_is_noticed_before, .timeout = 60)
{
    struct shl_door door;
    unsigned gone;
    int fd = -1;
    assert_code(shl_door_open(&door), 0);
    assert_code(shl_door_hand(door.number, getppid(), door.secret, 0), -ENOENT);
    assert_code(shl_door_take(&door, getpid(), &gone, &fd), -EAGAIN);
    shl_door_close(&door);
    assert_code(shl_door_hand(door.number, getpid(), door.secret, 0), -ENOENT);
}

/* Who is just handing in is waited for by who knows him. */
Test(descriptors, slow_guest_keeps_his_turn, .timeout = 60)
{
    struct shl_door door;
    unsigned gone;
    int fd = -1;
    assert_code(shl_door_open(&door), 0);
    const int slow = stranger_at(door.number);
    assert_code(shl_door_hand(door.number, getpid(), door.secret, 0), 0);
    assert_code(shl_door_take(&door, getpid(), &gone, &fd), -EAGAIN);
    close(slow);
    assert_code(shl_door_take(&door, getpid(), &gone, &fd), 0);
    close(fd);
    shl_door_close(&door);
}

static unsigned open_fds(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* However many he hands in. */
Test(descriptors, stranger_s_descriptors_are_not_let_in, .timeout = 60)
{
    struct shl_door door;
    unsigned gone;
    int fd = -1;
    const uint64_t guess = 0;
    assert_code(shl_door_open(&door), 0);
    const unsigned before = open_fds();
    for (unsigned count = 1; count <= 2; count++) {
        const int stranger = stranger_at(door.number);
        assert_code(shl_channel_send(stranger, &guess, sizeof guess, (int[]){ 0, 0 }, count), 0);
        close(stranger);
        assert_code(shl_door_take(&door, getpid(), &gone, &fd), -EAGAIN);
        cr_assert_eq(gone, 1);
        cr_assert_eq(open_fds(), before, "%u were sent", count);
    }
    shl_door_close(&door);
}

/* Who takes is not kept by those who come and go: he leaves when as many have gone as may wait. */
Test(descriptors, strangers_do_not_keep_who_takes, .timeout = 60)
{
    struct shl_door door;
    unsigned gone, waiting = 0;
    int fd = -1;
    assert_code(shl_door_open(&door), 0);
    while (shl_door_hand(door.number, getpid(), ~door.secret, 0) == 0)
        waiting++;
    cr_assert_geq(waiting, SHL_DOOR_GUESTS_MAX);
    assert_code(shl_door_take(&door, getpid(), &gone, &fd), -EAGAIN);
    cr_assert_eq(gone, SHL_DOOR_GUESTS_MAX);
    assert_code(shl_door_take(&door, getpid(), &gone, &fd), -EAGAIN);
    cr_assert_eq(gone, waiting - SHL_DOOR_GUESTS_MAX);
    shl_door_close(&door);
}

/* --- who sends, and goes at once ------------------------------------------------------------- */

enum { SENT = 5000 };

static struct {
    _Atomic int end; /* to send at and to close; -1: none */
    _Atomic bool stop;
    _Atomic unsigned failures;
} rush;

static void *sends_and_goes(void *unused)
{
    while (!rush.stop) {
        const int end = rush.end;
        if (end < 0) {
            sched_yield();
            continue;
        }
        rush.end = -1;
        rush.failures += send(end, "x", 1, 0) != 1;
        close(end);
    }
    return unused;
}

/* Is the packet found whose sender is gone by then? */
static bool comes_through(void)
{
    int ends[2];
    char byte;
    ssize_t got;
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    rush.end = ends[0];
    do
        got = shl_channel_recvmsg(ends[1], &message, MSG_PEEK);
    while (got < 0 && errno == EAGAIN);
    close(ends[1]);
    return got == 1;
}

static int count_through(int most)
{
    pthread_t thread;
    int count = 0;
    rush.stop = false;
    rush.end = -1;
    cr_assert_eq(pthread_create(&thread, NULL, sends_and_goes, NULL), 0);
    while (count < most && comes_through())
        count++;
    rush.stop = true;
    pthread_join(thread, NULL);
    cr_assert_eq(rush.failures, 0);
    return count;
}

/* 2.14: the kernel may answer that he has gone before it has seen what he left. */
Test(descriptors, none_is_lost_whose_sender_goes_at_once_2_14, .timeout = 120)
{
    cr_assert_eq(count_through(SENT), SENT);
    shl_mistake = "channel.end";
    cr_assert_lt(count_through(INT32_MAX), INT32_MAX);
}
