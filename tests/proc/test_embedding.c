/* Where the library has to live: in a container as its first process, with a root that cannot be
 * written and neither /dev/shm nor /tmp. */
#include "proc/children.h"

#include <errno.h>
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
    CHILD_CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    CHILD_CHECK(fopen("/tmp/file", "w") == NULL && fopen("/dev/shm/file", "w") == NULL);
    CHILD_CHECK(fopen("/file", "w") == NULL && errno == EROFS);
    return lives(unused);
}

static int lives_in_a_container(void *unused)
{
    (void)unused;
    if (!enters_container())
        return NO_CONTAINER;
    const pid_t first = fork(); /* whose parent has no number there: the harness's looks for it */
    if (first == 0)
        _exit(lives_as_the_first(NULL));
    return harness_wait(first);
}

Test(embedding, first_process_of_a_container_without_a_place_to_write, .timeout = 90)
{
    const int code = harness_wait(harness_child(lives_in_a_container, NULL));
    if (code == NO_CONTAINER)
        cr_skip_test("namespaces of mounts and processes are not to be had here");
    cr_assert_eq(code, 0);
}
