/*
 * A program that uses every part of the library once, for test_confined.c, which lets it do so only
 * by the system calls that docs/embedding.md lists. Status 0: all of it worked.
 *
 * usage: confined_helper METHODS      so many ways to start a process, the fork server last
 */
#include <errno.h>
#include <pthread.h>
#include <shoal.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

static void fail(int line, const char *condition)
{
    fprintf(stderr, "%d: %s: %s\n", line, condition, shoal_error_message());
    exit(99); /* NOLINT(concurrency-mt-unsafe): its children have to be ended */
}

static shoal_deadline limit(void)
{
    return shoal_after_s(30);
}

/* --- memory and messages --------------------------------------------------------------------- */

enum { LARGE = 9 << 20 }; /* bytes: the segment grows, and gives it back */

static void passes_messages(void)
{
    shoal_queue queue;
    shoal_connection here, there;
    void *payload;
    char text[5];
    size_t size_got;
    int fd;
    CHECK(shoal_queue_create(&(shoal_queue_options){ .joinable = true }, &queue) == 0);
    for (size_t size = 10; size <= LARGE; size += LARGE - 10) {
        CHECK((payload = shoal_alloc(size)) != NULL);
        memset(payload, 1, size);
        CHECK(shoal_queue_put(queue, payload, limit()) == 0);
        CHECK(shoal_queue_get(queue, &payload, limit()) == 0);
        CHECK(shoal_queue_task_done(queue, payload) == 0);
    }
    CHECK(shoal_queue_get(queue, &payload, shoal_after_ms(1)) == -ETIMEDOUT);
    CHECK(shoal_queue_join(queue, limit()) == 0 && shoal_queue_destroy(queue) == 0);

    CHECK(shoal_pipe_create(NULL, &here, &there) == 0);
    CHECK(shoal_connection_send_bytes(here, "text", 5, limit()) == 0);
    CHECK(shoal_connection_recv_bytes(there, text, sizeof text, &size_got, limit()) == 0);
    CHECK(shoal_connection_send_fd(here, STDERR_FILENO, limit()) == 0);
    CHECK(shoal_connection_recv_fd(there, &fd, limit()) == 0 && close(fd) == 0);
    CHECK(shoal_connection_close(here) == 0 && shoal_connection_close(there) == 0);
}

static void *has_a_slot(void *lock)
{
    CHECK(shoal_lock_acquire(*(shoal_lock *)lock, limit()) == 0);
    CHECK(shoal_lock_release(*(shoal_lock *)lock) == 0);
    return NULL;
}

static void uses_threads(void)
{
    pthread_t thread;
    shoal_lock lock;
    CHECK(shoal_lock_create(NULL, &lock) == 0 && shoal_lock_acquire(lock, limit()) == 0);
    CHECK(pthread_create(&thread, NULL, has_a_slot, &lock) == 0);
    CHECK(shoal_lock_release(lock) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(shoal_lock_destroy(lock) == 0);
}

/* --- waiting with another process ------------------------------------------------------------ */

struct objects {
    shoal_lock lock;
    shoal_semaphore semaphore;
    shoal_event ready, never;
    shoal_condition condition;
    shoal_barrier barrier;
};

static void makes(struct objects *objects)
{
    CHECK(shoal_lock_create(NULL, &objects->lock) == 0);
    CHECK(shoal_semaphore_create(1, &(shoal_semaphore_options){ .owned = true },
                                 &objects->semaphore) == 0);
    CHECK(shoal_event_create(NULL, &objects->ready) == 0);
    CHECK(shoal_event_create(NULL, &objects->never) == 0);
    CHECK(shoal_condition_create(&(shoal_condition_options){ .lock = objects->lock },
                                 &objects->condition) == 0);
    CHECK(shoal_barrier_create(2, NULL, &objects->barrier) == 0);
}

/* Dies with the lock and the permit. */
static void holds(void *argument)
{
    const struct objects *objects = argument;
    CHECK(shoal_barrier_wait(objects->barrier, NULL, limit()) >= 0);
    CHECK(shoal_semaphore_acquire(objects->semaphore, limit()) >= 0);
    CHECK(shoal_lock_acquire(objects->lock, limit()) >= 0);
    CHECK(shoal_condition_notify_all(objects->condition) >= 0);
    CHECK(shoal_event_set(objects->ready) == 0);
    CHECK(shoal_event_wait(objects->never, limit()) == 0);
}

static void outlives_the_holder(const struct objects *objects, enum shoal_start_method method)
{
    shoal_process process;
    const shoal_process_options options = { .target = holds,
                                            .argument = objects,
                                            .argument_size = sizeof *objects,
                                            .start_method = method };
    CHECK(shoal_process_start_new(&options, &process) == 0);
    CHECK(shoal_barrier_wait(objects->barrier, NULL, limit()) >= 0);
    CHECK(shoal_event_wait(objects->ready, limit()) == 0);
    CHECK(shoal_lock_acquire(objects->lock, shoal_until(shoal_after_ms(5), objects->never)) ==
          -ETIMEDOUT);
    CHECK(shoal_process_kill(process) == 0);
    CHECK(shoal_lock_acquire(objects->lock, limit()) >= 0);
    CHECK(shoal_semaphore_acquire(objects->semaphore, limit()) >= 0);
    CHECK(shoal_semaphore_release(objects->semaphore) == 0);
    CHECK(shoal_lock_release(objects->lock) == 0);
    CHECK(shoal_event_clear(objects->ready) == 0);
    CHECK(shoal_process_join(process, limit()) == 0);
    CHECK(shoal_process_exitcode(process) == -SIGKILL && shoal_process_close(process) == 0);
    CHECK(shoal_barrier_reset(objects->barrier) == 0);
}

/* --- processes ------------------------------------------------------------------------------- */

static void is_set_up(void *unused)
{
    (void)unused;
    char byte = 0;
    CHECK(strcmp(environ[0], "ONLY=1") == 0 && write(shoal_process_fd(0), &byte, 1) == 1);
    CHECK(shoal_log_to_stderr(SHOAL_LOG_WARNING) == 0);
    shoal_log_write(SHOAL_LOG_INFO, __FILE__, __LINE__, "not told");
}

static void sets_up(enum shoal_start_method method)
{
    int ends[2];
    char byte;
    shoal_process process;
    const unsigned processors[] = { 0 };
    const shoal_process_limit limits[] = { { RLIMIT_CORE, 0, 0 } };
    const shoal_process_setup setup = { .environment = (const char *const[]){ "ONLY=1", NULL },
                                        .directory = "/",
                                        .processors = processors,
                                        .processors_count = 1,
                                        .limits = limits,
                                        .limits_count = 1,
                                        .niceness = 1 };
    CHECK(pipe(ends) == 0);
    const shoal_process_options options = { .target = is_set_up,
                                            .fds = &ends[1],
                                            .fds_count = 1,
                                            .setup = &setup,
                                            .start_method = method };
    CHECK(shoal_process_start_new(&options, &process) == 0);
    CHECK(shoal_process_join(process, limit()) == 0 && shoal_process_exitcode(process) == 0);
    CHECK(read(ends[0], &byte, 1) == 1 && shoal_process_close(process) == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void waits(void *never)
{
    CHECK(shoal_event_wait(*(shoal_event *)never, limit()) == 0);
}

static void ends_a_tree(shoal_event never, enum shoal_start_method method)
{
    shoal_process process;
    const shoal_process_options options = { .target = waits,
                                            SHOAL_COPY_OF(never),
                                            .start_method = method };
    CHECK(shoal_process_start_new(&options, &process) == 0);
    CHECK(shoal_process_kill_tree(process) == 0);
    CHECK(shoal_process_join(process, limit()) == 0 && shoal_process_close(process) == 0);
}

static void uses_processes(int methods_count)
{
    struct objects objects;
    makes(&objects);
    for (int method = SHOAL_START_FORK; method < SHOAL_START_FORK + methods_count; method++) {
        outlives_the_holder(&objects, (enum shoal_start_method)method);
        sets_up((enum shoal_start_method)method);
        ends_a_tree(objects.never, (enum shoal_start_method)method);
    }
    const shoal_process_options daemon = { .target = waits,
                                           SHOAL_COPY_OF(objects.never),
                                           .daemon = true,
                                           .start_method = SHOAL_START_SPAWN,
                                           .auto_close = true };
    CHECK(shoal_process_start_new(&daemon, NULL) == 0); /* for the end of the program */
}

/* --- segments with a name -------------------------------------------------------------------- */

static void names_a_segment(void)
{
    char name[SHOAL_NAME_MAX + 1];
    shoal_segment segment, again;
    shoal_queue queue;
    snprintf(name, sizeof name, "harness-%d", (int)getpid());
    CHECK(shoal_segment_create(&(shoal_segment_options){ .name = name }, &segment) == 0);
    CHECK(shoal_queue_create(&(shoal_queue_options){ .segment = segment }, &queue) == 0);
    CHECK(shoal_publish(SHOAL_ANY(queue), "queue") == 0);
    CHECK(shoal_segment_attach(name, &again) == 0 && SHOAL_SAME(segment, again));
    CHECK(shoal_queue_open(again, "queue", &queue) == 0);
    CHECK(shoal_segment_unlink(name) == 0 && shoal_segment_detach(segment) == 0);
}

int main(int argc, char **argv)
{
    CHECK(shoal_init(&argc, &argv, NULL) == 0 && argc == 2);
    passes_messages();
    uses_threads();
    uses_processes(argv[1][0] - '0');
    names_a_segment();
    return 0;
}
