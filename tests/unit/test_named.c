/* Segments with a name. What it is to an unrelated program is in proc/test_attach_other.c. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name of this process, and the file behind it, which goes with the test however it ends. */
static char name[SHOAL_NAME_MAX + 1], path[100];

static void remove_file(void)
{
    unlink(path);
}

static void choose_name(void)
{
    snprintf(name, sizeof name, "harness-%d", (int)getpid());
    snprintf(path, sizeof path, "/dev/shm/shoal.%s", name);
}

TestSuite(named, .timeout = 60, .init = choose_name, .fini = remove_file);

static int create(shoal_segment *ret_segment)
{
    const shoal_segment_options options = { .name = name, .size_max = 8 << 20 };
    return shoal_segment_create(&options, ret_segment);
}

/* 2.25 */
Test(named, exists_until_it_is_unlinked_and_no_longer, .timeout = 60)
{
    shoal_segment segment, again = { 0 };
    shoal_queue queue;
    void *payload = NULL;
    assert_code(shoal_segment_attach(name, &segment), -ENOENT);
    assert_code(create(&segment), 0);
    assert_code(create(&again), -EEXIST);
    assert_code(shoal_segment_attach(name, &again), 0);
    cr_assert(SHOAL_SAME(segment, again), "attached twice is one");
    cr_assert_eq(harness_segments_count(), 1);
    assert_code(shoal_queue_create(&(shoal_queue_options){ .segment = segment }, &queue), 0);
    assert_code(shoal_queue_put_bytes(queue, "kept", 5, SHOAL_NOW), 0);
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_segment_detach(segment), -ESTALE);
    assert_code(shoal_segment_attach(name, &again), 0);
    assert_code(shoal_segment_unlink(name), 0);
    assert_code(shoal_segment_unlink(name), -ENOENT);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "kept", "data stays for who is attached");
    assert_code(shoal_segment_detach(again), 0);
    assert_code(shoal_segment_attach(name, &again), -ENOENT);
}

/* 2.25 */
Test(named, file_is_this_user_s_alone, .timeout = 60)
{
    shoal_segment segment;
    struct stat status;
    const mode_t mask = umask(0777);
    assert_code(create(&segment), 0);
    umask(mask);
    cr_assert_eq(lstat(path, &status), 0);
    cr_assert(S_ISREG(status.st_mode) && (status.st_mode & 07777) == 0600);
    cr_assert_eq(status.st_uid, geteuid());
    cr_assert_eq(status.st_size, 8 << 20);
    cr_assert_eq(fcntl(shoal_segment_fd(segment), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_code(shoal_segment_unlink(name), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* 2.25 */
Test(named, names_are_checked, .timeout = 60)
{
    static const char *const bad[] = { NULL, "", "/", "a/b", "../x" };
    shoal_segment segment = { 77 };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const shoal_segment_options options = { .name = bad[i] };
        if (bad[i]) /* none is nameless */
            assert_code(shoal_segment_create(&options, &segment), -EINVAL);
        assert_code(shoal_segment_attach(bad[i], &segment), -EINVAL);
        assert_code(shoal_segment_unlink(bad[i]), -EINVAL);
    }
    char longest[SHOAL_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[SHOAL_NAME_MAX + 1] = '\0';
    assert_code(shoal_segment_attach(longest, &segment), -EMSGSIZE);
    assert_code(shoal_segment_create(&(shoal_segment_options){ .name = longest }, &segment),
                -EMSGSIZE);
    assert_code(shoal_segment_unlink(longest), -EMSGSIZE);
    longest[SHOAL_NAME_MAX] = '\0';
    assert_code(shoal_segment_attach(longest, &segment), -ENOENT);
    assert_code(shoal_segment_attach(name, NULL), -EINVAL);
    cr_assert_eq(segment.ref, 77, "a failure wrote its output");
}

static void refused(int code, const char *what)
{
    shoal_segment segment = { 77 };
    const unsigned fds = harness_fds_count();
    const int got = shoal_segment_attach(name, &segment);
    cr_assert_eq(got, code, "%s: %s, %s", what, shoal_strerror(got), shoal_error_message());
    cr_assert_eq(harness_fds_count(), fds);
    assert_code(create(&segment), -EEXIST);
    cr_assert_eq(segment.ref, 77);
}

static void made_by_hand(mode_t mode)
{
    const int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && fchmod(fd, mode) == 0 && ftruncate(fd, 8 << 20) == 0);
    close(fd);
}

Test(named, what_others_may_have_planted_is_refused, .timeout = 60)
{
    cr_assert_eq(symlink("/dev/shm/shoal.elsewhere", path), 0);
    refused(-EPERM, "a link");
    assert_code(shoal_segment_unlink(name), -EPERM);
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    refused(-EPERM, "a fifo");
    unlink(path);
    made_by_hand(0644);
    refused(-EPERM, "readable by others");
    unlink(path);
    made_by_hand(0600);
    refused(-EPROTO, "not a segment");
    unlink(path);
    if (geteuid() == 0) {
        made_by_hand(0600);
        cr_assert_eq(chown(path, 12345, 0), 0);
        refused(-EPERM, "another user's");
        assert_code(shoal_segment_unlink(name), -EPERM);
        unlink(path);
    }
}

Test(named, file_of_another_size_is_refused, .timeout = 60)
{
    shoal_segment segment;
    assert_code(create(&segment), 0);
    assert_code(shoal_segment_detach(segment), 0);
    cr_assert_eq(truncate(path, 6 << 20), 0);
    refused(-EPROTO, "shortened");
    cr_assert_eq(truncate(path, 100), 0);
    refused(-EPROTO, "shorter than a header");
    assert_code(shoal_segment_unlink(name), 0);
}

/* Its descriptor is not sealed, which attach_fd asks for. */
Test(named, is_joined_by_its_name_alone, .timeout = 60)
{
    shoal_segment segment, again = { 77 };
    assert_code(create(&segment), 0);
    const int fd = dup(shoal_segment_fd(segment));
    assert_code(shoal_segment_attach_fd(fd, &again), 0); /* attached already */
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_segment_attach_fd(fd, &again), -EPROTO);
    close(fd);
    assert_code(shoal_segment_unlink(name), 0);
}

Test(named, limit_of_file_sizes_is_an_error_and_leaves_no_name, .timeout = 60)
{
    shoal_segment segment = { 77 };
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 1 << 20, limit.rlim_max });
    const int code = create(&segment);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_code(code, -ENOMEM);
    assert_code(shoal_segment_attach(name, &segment), -ENOENT);
}

/* Ends without a word as soon as the segment is made. */
static int creates_and_is_killed(void *reached)
{
    shoal_segment segment;
    CHILD_CHECK(create(&segment) == 0);
    *(int *)reached = 1;
    raise(SIGKILL);
    return 0;
}

/* 2.25 */
Test(named, name_of_a_killed_creator_stays, .timeout = 60)
{
    shoal_segment segment;
    int *reached = harness_shared(sizeof *reached);
    cr_assert_eq(harness_wait(harness_child(creates_and_is_killed, reached)), -SIGKILL);
    cr_assert_eq(*reached, 1);
    assert_code(shoal_segment_attach(name, &segment), 0);
    cr_assert_not_null(shoal_alloc_in(segment, 1000));
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_segment_unlink(name), 0);
}
