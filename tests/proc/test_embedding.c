/* Where the library has to live: in a container as its first process, with a root that cannot be
 * written and neither /dev/shm nor /tmp. */
#include "proc/children.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>

TestSuite(embedding, .timeout = 90);

/* --- what is done there ---------------------------------------------------------------------- */

struct objects {
    shoal_queue queue;
    shoal_lock lock;
};

static void puts_under_lock(void *argument)
{
    const struct objects *objects = argument;
    CHILD_CHECK(shoal_lock_acquire(objects->lock, harness_deadline()) == 0);
    CHILD_CHECK(shoal_queue_put_bytes(objects->queue, "text", 5, harness_deadline()) == 0);
    CHILD_CHECK(shoal_lock_release(objects->lock) == 0);
}

static void by_method(struct objects *objects, enum shoal_start_method method,
                      void (*target)(void *), int exitcode)
{
    shoal_process process;
    const shoal_process_options options = { .target = target,
                                            .argument = objects,
                                            .argument_size = sizeof *objects,
                                            .start_method = method };
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    if (exitcode < 0)
        CHILD_CHECK(shoal_process_kill_tree(process) == 0);
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(process) == exitcode);
    CHILD_CHECK(shoal_process_close(process) == 0);
}

/* A bit of everything, by every method. */
static int lives(void *unused)
{
    (void)unused;
    struct objects objects;
    CHILD_CHECK(harness_init(NULL) == 0);
    CHILD_CHECK(shoal_queue_create(NULL, &objects.queue) == 0);
    CHILD_CHECK(shoal_lock_create(NULL, &objects.lock) == 0);
    for (int method = SHOAL_START_FORK; method <= SHOAL_START_FORKSERVER; method++) {
        void *payload;
        by_method(&objects, (enum shoal_start_method)method, puts_under_lock, 0);
        CHILD_CHECK(shoal_queue_get(objects.queue, &payload, harness_deadline()) == 0);
        CHILD_CHECK(strcmp(payload, "text") == 0);
        shoal_free(payload);
        by_method(&objects, (enum shoal_start_method)method, target_pauses, -SIGKILL);
    }
    CHILD_CHECK(shoal_queue_get(objects.queue, &(void *){ NULL }, shoal_after_ms(1)) == -ETIMEDOUT);
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0);
    return 0;
}

/* --- a container ----------------------------------------------------------------------------- */

enum { NO_CONTAINER = 77 };

static bool writes(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return is_written;
}

/* As anybody may: who has made a namespace of users is root in it, and nowhere else. */
static bool becomes_root(void)
{
    char users[32], groups[32];
    snprintf(users, sizeof users, "0 %d 1", (int)geteuid());
    snprintf(groups, sizeof groups, "0 %d 1", (int)getegid());
    return unshare(CLONE_NEWUSER) == 0 && writes("/proc/self/setgroups", "deny") &&
           writes("/proc/self/uid_map", users) && writes("/proc/self/gid_map", groups);
}

static bool enters_container(void)
{
    return unshare(CLONE_NEWNS | CLONE_NEWPID) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/dev/shm", "tmpfs", MS_RDONLY, "mode=000") == 0 &&
           mount("none", "/tmp", "tmpfs", MS_RDONLY, "mode=000") == 0 &&
           mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0;
}

static int lives_as_the_first(void *unused)
{
    CHILD_CHECK(getpid() == 1);
    if (mount("proc", "/proc", "proc", 0, NULL) < 0) /* where another container hides parts of it */
        return NO_CONTAINER;
    CHILD_CHECK(fopen("/tmp/file", "w") == NULL && fopen("/dev/shm/file", "w") == NULL);
    CHILD_CHECK(fopen("/file", "w") == NULL && errno == EROFS);
    return lives(unused);
}

static int lives_in_a_container(void *is_rootless)
{
    if ((*(bool *)is_rootless && !becomes_root()) || !enters_container())
        return NO_CONTAINER;
    const pid_t first = fork(); /* whose parent has no number there: the harness's looks for it */
    if (first == 0)
        _exit(lives_as_the_first(NULL));
    return harness_wait(first);
}

static void is_lived_in(bool is_rootless)
{
    const int code = harness_wait(harness_child(lives_in_a_container, &is_rootless));
    if (code == NO_CONTAINER)
        cr_skip_test("namespaces of mounts and processes are not to be had here");
    cr_assert_eq(code, 0);
}

Test(embedding, first_process_of_a_container_without_a_place_to_write, .timeout = 90)
{
    is_lived_in(false);
}

Test(embedding, first_process_of_a_container_that_a_user_has_made, .timeout = 90)
{
    is_lived_in(true);
}
