/* Descriptors through a pipe, between processes. Spec 2.14. */
#include "children.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

TestSuite(handover, .timeout = 120);

struct ends {
    shoal_connection first, second;
};

static struct ends pipe_create(void)
{
    struct ends ends;
    assert_code(shoal_pipe_create(NULL, &ends.first, &ends.second), 0);
    return ends;
}

/* A running child that holds the second end. */
static shoal_process holder_start(enum shoal_start_method method, void (*target)(void *),
                                  struct ends ends)
{
    shoal_process child;
    const shoal_process_options options = { .target = target,
                                            .argument = &ends.second,
                                            .argument_size = sizeof ends.second,
                                            .start_method = method };
    assert_code(shoal_process_create(&options, &child), 0);
    assert_code(shoal_connection_give(ends.second, child), 0);
    assert_code(shoal_process_start(child), 0);
    return child;
}

/* What is written into what it gets comes out of what it was made with. */
static void writes_into_it(void *argument)
{
    const shoal_connection end = *(shoal_connection *)argument;
    int fd = -1, code;
    while ((code = shoal_connection_recv_fd(end, &fd, harness_deadline())) == 0) {
        CHILD_CHECK(write(fd, "usable", 6) == 6);
        CHILD_CHECK(shoal_connection_send_fd(end, fd, harness_deadline()) == 0);
        close(fd);
    }
    CHILD_CHECK(code == -EPIPE);
}

/* 2.14: before the child has begun, and later; there and back; more than any table's size. */
Test(handover, works_by_every_way_to_start_2_14, .timeout = 120)
{
    assert_code(harness_init(NULL), 0);
    const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                SHOAL_START_FORKSERVER };
    for (unsigned i = 0; i < COUNT_OF(methods); i++) {
        const struct ends ends = pipe_create();
        const shoal_process child = holder_start(methods[i], writes_into_it, ends);
        for (int k = 0; k < 300; k++) {
            int sides[2], fd;
            char text[7] = "";
            cr_assert_eq(pipe(sides), 0);
            assert_code(shoal_connection_send_fd(ends.first, sides[1], harness_deadline()), 0);
            close(sides[1]);
            assert_code(shoal_connection_recv_fd(ends.first, &fd, harness_deadline()), 0);
            close(fd);
            cr_assert_eq(read(sides[0], text, sizeof text), 6);
            cr_assert_eq(read(sides[0], text, sizeof text), 0, "somebody still has it");
            cr_assert_str_eq(text, "usable");
            close(sides[0]);
        }
        assert_code(shoal_connection_close(ends.first), 0);
        child_ends(child, 0);
    }
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* It has not come to ask for a descriptor yet, and waits for a message. */
static void hears_of_it_first(void *argument)
{
    const shoal_connection end = *(shoal_connection *)argument;
    size_t size;
    int fd;
    CHILD_CHECK(shoal_connection_poll(end, harness_deadline()) == 0);
    CHILD_CHECK(shoal_connection_recv_bytes(end, NULL, 0, &size, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_connection_recv_fd(end, &fd, SHOAL_NOW) == 0);
    CHILD_CHECK(write(fd, "x", 1) == 1);
}

Test(handover, receiver_of_messages_lets_descriptors_come, .timeout = 60)
{
    for (int i = 0; i < 5; i++) {
        const struct ends ends = pipe_create();
        const shoal_process child = holder_start(SHOAL_START_FORK, hears_of_it_first, ends);
        int sides[2];
        char byte;
        cr_assert_eq(pipe(sides), 0);
        assert_code(shoal_connection_send_fd(ends.first, sides[1], harness_deadline()), 0);
        assert_code(shoal_connection_send_bytes(ends.first, NULL, 0, SHOAL_NOW), 0);
        cr_assert_eq(read(sides[0], &byte, 1), 1);
        child_ends(child, 0);
        close(sides[0]);
        close(sides[1]);
        assert_code(shoal_connection_close(ends.first), 0);
    }
}

static void never_uses_it(void *argument)
{
    (void)argument;
    (void)!raise(SIGKILL);
}

/* Nobody waits for a dead one, though he has never opened his end. */
Test(handover, holder_who_dies_before_its_use_is_noticed, .timeout = 60)
{
    const struct ends ends = pipe_create();
    const shoal_process child = holder_start(SHOAL_START_FORK, never_uses_it, ends);
    assert_code(shoal_connection_send_fd(ends.first, 0, harness_deadline()), -EPIPE);
    child_ends(child, -SIGKILL);
    assert_code(shoal_connection_close(ends.first), 0);
}

static void sends_and_dies(void *argument)
{
    const shoal_connection end = *(shoal_connection *)argument;
    for (int i = 0; i < 3; i++) {
        int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        CHILD_CHECK(shoal_connection_send_fd(end, fd, harness_deadline()) == 0);
    }
    (void)!raise(SIGKILL);
}

/* What the dead one had sent is received, and is good. */
Test(handover, sender_s_death_loses_nothing_2_14, .timeout = 60)
{
    const struct ends ends = pipe_create();
    int fd = -1;
    assert_code(shoal_connection_recv_fd(ends.first, &fd, SHOAL_NOW), -ETIMEDOUT);
    const shoal_process child = holder_start(SHOAL_START_FORK, sends_and_dies, ends);
    child_ends(child, -SIGKILL);
    for (int i = 0; i < 3; i++) {
        char byte = 1;
        assert_code(shoal_connection_recv_fd(ends.first, &fd, harness_deadline()), 0);
        cr_assert(read(fd, &byte, 1) == 1 && byte == 0);
        close(fd);
    }
    assert_code(shoal_connection_recv_fd(ends.first, &fd, harness_deadline()), -EPIPE);
    assert_code(shoal_connection_close(ends.first), 0);
}

static void opens_and_pauses(void *argument)
{
    int fd;
    CHILD_CHECK(shoal_connection_recv_fd(*(shoal_connection *)argument, &fd, SHOAL_NOW) ==
                -ETIMEDOUT);
    target_pauses(NULL);
}

/* What is on its way to who is killed is closed, also if others were forked meanwhile. */
Test(handover, receiver_s_death_closes_what_was_on_its_way, .timeout = 60)
{
    const struct ends ends = pipe_create();
    const shoal_process child = holder_start(SHOAL_START_FORK, opens_and_pauses, ends);
    const shoal_process other = CHILD_START(target_pauses, ends);
    int sides[2];
    char byte;
    cr_assert_eq(pipe2(sides, O_CLOEXEC), 0);
    assert_code(shoal_connection_send_fd(ends.first, sides[1], harness_deadline()), 0);
    close(sides[1]);
    assert_code(shoal_process_kill(child), 0);
    cr_assert_eq(read(sides[0], &byte, 1), 0);
    child_ends(child, -SIGKILL);
    assert_code(shoal_connection_send_fd(ends.first, sides[0], harness_deadline()), -EPIPE);
    assert_code(shoal_process_kill(other), 0);
    child_ends(other, -SIGKILL);
    close(sides[0]);
    assert_code(shoal_connection_close(ends.first), 0);
}

/* A child that is forked holds no door of its parent's: the parent's close is the end. */
Test(handover, forked_child_keeps_nothing_open, .timeout = 60)
{
    const struct ends ends = pipe_create();
    int fd, sides[2];
    char byte;
    assert_code(shoal_connection_recv_fd(ends.first, &fd, SHOAL_NOW), -ETIMEDOUT);
    const shoal_process child = CHILD_START(target_pauses, ends);
    cr_assert_eq(pipe2(sides, O_CLOEXEC), 0);
    assert_code(shoal_connection_send_fd(ends.second, sides[1], harness_deadline()), 0);
    close(sides[1]);
    assert_code(shoal_connection_close(ends.first), 0);
    cr_assert_eq(read(sides[0], &byte, 1), 0);
    close(sides[0]);
    assert_code(shoal_process_kill(child), 0);
    child_ends(child, -SIGKILL);
    assert_code(shoal_connection_close(ends.second), 0);
}

static atomic_bool is_over;

static void *hands_over_and_over(void *argument)
{
    const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    intptr_t failed = file < 0;
    (void)argument;
    while (!is_over && !failed) {
        struct ends ends;
        int fd;
        failed = shoal_pipe_create(NULL, &ends.first, &ends.second) < 0;
        for (int i = 0; i < 4 && !failed; i++) {
            failed = shoal_connection_send_fd(ends.first, file, harness_deadline()) < 0 ||
                     shoal_connection_recv_fd(ends.second, &fd, harness_deadline()) < 0;
            if (!failed)
                close(fd);
        }
        failed = failed || shoal_connection_close(ends.first) < 0 ||
                 shoal_connection_close(ends.second) < 0;
    }
    close(file);
    return (void *)failed;
}

static void counts_sockets(void *argument)
{
    int count = 0;
    (void)argument;
    for (int fd = 0; fd < 1024; fd++) {
        struct stat stat;
        count += fstat(fd, &stat) == 0 && S_ISSOCK(stat.st_mode);
    }
    _exit(count);
}

/* Whatever another thread is doing at a door: the fork is before or behind it. */
Test(handover, forked_child_has_no_socket_of_another_thread_s, .timeout = 60)
{
    enum { CHILDREN = 100 };
    const shoal_process_options options = { .target = counts_sockets,
                                            .start_method = SHOAL_START_FORK };
    int before = -1;
    pthread_t thread;
    void *failed;
    for (int i = 0; i <= CHILDREN; i++) {
        shoal_process child;
        if (i == 1)
            cr_assert_eq(pthread_create(&thread, NULL, hands_over_and_over, NULL), 0);
        assert_code(shoal_process_start_new(&options, &child), 0);
        assert_code(shoal_process_join(child, harness_deadline()), 0);
        const int count = shoal_process_exitcode(child);
        before = i == 0 ? count : before;
        cr_assert(count >= 0 && count == before, "%d sockets, %d before", count, before);
        assert_code(shoal_process_close(child), 0);
    }
    is_over = true;
    pthread_join(thread, &failed);
    cr_assert_null(failed);
}

static int has_no_part_in_it(void *argument)
{
    const struct ends *ends = argument;
    int fd;
    CHILD_CHECK(shoal_connection_send_fd(ends->first, 0, SHOAL_NOW) == -EPERM);
    CHILD_CHECK(shoal_connection_recv_fd(ends->second, &fd, SHOAL_NOW) == -EPERM);
    return 0;
}

Test(handover, forked_process_holds_neither_end, .timeout = 60)
{
    struct ends ends = pipe_create();
    int fd;
    assert_code(shoal_connection_send_fd(ends.first, 0, harness_deadline()), 0);
    cr_assert_eq(harness_wait(harness_child(has_no_part_in_it, &ends)), 0);
    assert_code(shoal_connection_recv_fd(ends.second, &fd, SHOAL_NOW), 0);
    close(fd);
    assert_code(shoal_connection_close(ends.first), 0);
    assert_code(shoal_connection_close(ends.second), 0);
}
