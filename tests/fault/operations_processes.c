/* Operations of other threads and processes. */
#include "operations.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- threads -------------------------------------------------------------------------------- */

static struct answer answer;

static void *uses_it(void *unused)
{
    void *payload = shoal_alloc(100);
    answer_give(&answer, code_of(payload));
    shoal_free(payload);
    return unused;
}

static int thread_uses(void)
{
    pthread_t thread;
    CHILD_CHECK(pthread_create(&thread, NULL, uses_it, NULL) == 0);
    CHILD_CHECK(pthread_join(thread, NULL) == 0);
    return answer_take(&answer);
}

/* --- processes ------------------------------------------------------------------------------ */

static shoal_process process;
static struct answer *child_answer;
static char cgroup[32];

static void ends(void *argument)
{
    (void)argument;
}

static void stays(void *argument)
{
    harness_pauses(argument);
}

static void has_ended(shoal_process ended)
{
    CHILD_CHECK(shoal_process_join(ended, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(ended) == 0);
    CHILD_CHECK(shoal_process_close(ended) == 0);
}

static int create(void)
{
    static const char argument[60000];
    const shoal_process_options options = { .target = ends, SHOAL_COPY_OF(argument) };
    return shoal_process_create(&options, &output.process);
}

static void close_the_process(void)
{
    CHILD_CHECK(shoal_process_close(output.process) == 0);
}

static int start_new(void)
{
    return shoal_process_start_new(&(shoal_process_options){ .target = ends }, &output.process);
}

static int fd_stdout;

static void mute_stdout(void)
{
    prepare_thread();
    const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fd_stdout = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 400);
    CHILD_CHECK(fd_stdout >= 400 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
    close(fd);
}

static void restore_stdout(void)
{
    __fpurge(stdout);
    CHILD_CHECK(dup2(fd_stdout, STDOUT_FILENO) == STDOUT_FILENO);
    close(fd_stdout);
}

static int start_with_output(void)
{
    CHILD_CHECK(puts("what the child must not write again") >= 0);
    return start_new();
}

static int start_spawned(void)
{
    const shoal_process_options options = { .target = ends, .start_method = SHOAL_START_SPAWN };
    return shoal_process_start_new(&options, &output.process);
}

static int start_by_server(void)
{
    const shoal_process_options options = { .target = ends,
                                            .start_method = SHOAL_START_FORKSERVER };
    return shoal_process_start_new(&options, &output.process);
}

/* As it is anyway; and what is written into the cgroup's file is lost. */
static int start_set_up(void)
{
    static const char *environment[] = { "A=B", NULL };
    static const unsigned processor[] = { 0 };
    static const shoal_process_limit limit = { RLIMIT_CORE, 0, 0 };
    const shoal_process_setup setup = { .environment = environment,
                                        .directory = "/",
                                        .cgroup = cgroup,
                                        .processors = processor,
                                        .processors_count = 1,
                                        .limits = &limit,
                                        .limits_count = 1,
                                        .niceness = 1 };
    const shoal_process_options options = { .target = ends, .setup = &setup };
    return shoal_process_start_new(&options, &output.process);
}

static void prepare_cgroup(void)
{
    char path[64];
    prepare_thread();
    snprintf(cgroup, sizeof cgroup, "/tmp/shoal-cgroup-XXXXXX");
    CHILD_CHECK(mkdtemp(cgroup) != NULL);
    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    CHILD_CHECK(mknod(path, S_IFREG | 0600, 0) == 0);
}

static void remove_cgroup(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    CHILD_CHECK(unlink(path) == 0 && rmdir(cgroup) == 0);
}

static void prepare_program(void)
{
    CHILD_CHECK(harness_init(NULL) == 0);
    prepare_thread();
}

static void join_and_close(void)
{
    has_ended(output.process);
}

static void join_and_shut_down(void)
{
    join_and_close();
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0);
}

static int start_auto_close(void)
{
    const shoal_process_options options = { .target = ends, .auto_close = true };
    return shoal_process_start_new(&options, NULL);
}

static void shut_down(void)
{
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0);
}

/* A handle of which a start has failed can be started. */
static void describe(void)
{
    CHILD_CHECK(shoal_process_create(&(shoal_process_options){ .target = ends }, &process) == 0);
}

static int start(void)
{
    return shoal_process_start(process);
}

static void end_and_describe(void)
{
    has_ended(process);
    describe();
}

static void close_described(void)
{
    CHILD_CHECK(shoal_process_close(process) == 0);
}

static void start_ending(void)
{
    describe();
    CHILD_CHECK(shoal_process_start(process) == 0);
}

/* A process that has a lifeline and a table of children. */
static void have_children(void)
{
    start_ending();
    has_ended(process);
    describe();
}

/* With a child that cannot be watched: it is ended and reaped at once. */
static struct rlimit descriptors;

static void use_up_descriptors(void)
{
    have_children();
    CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &descriptors) == 0);
    const int first_free = dup(STDIN_FILENO);
    CHILD_CHECK(first_free >= 0 && close(first_free) == 0);
    const struct rlimit none = { (rlim_t)first_free, descriptors.rlim_max };
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
}

static void restore_descriptors(void)
{
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &descriptors) == 0);
    close_described();
}

static int join(void)
{
    return shoal_process_join(process, harness_deadline());
}

static int join_all(void)
{
    return shoal_process_join_all(&process, 1, harness_deadline());
}

static int shutdown_waits(void)
{
    return shoal_shutdown(harness_deadline());
}

/* Its status is taken by the host. */
static void start_stolen(void)
{
    start_ending();
    CHILD_CHECK(waitpid(shoal_process_pid(process), NULL, 0) > 0);
}

static void close_and_start_stolen(void)
{
    close_described();
    start_stolen();
}

static void end_and_start(void)
{
    has_ended(process);
    start_ending();
}

static void end(void)
{
    has_ended(process);
}

static void start_staying(void)
{
    const shoal_process_options options = { .target = stays };
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
}

static int look(void)
{
    const bool alive = shoal_process_is_alive(process) && shoal_process_sentinel(process) >= 0 &&
                       shoal_process_exitcode(process) == SHOAL_EXITCODE_NONE;
    CHILD_CHECK(alive);
    return shoal_process_join(process, shoal_after_ms(1)) == -ETIMEDOUT ? 0 : -EIO;
}

static int kill_it(void)
{
    return shoal_process_kill(process);
}

static int terminate_it(void)
{
    return shoal_process_terminate(process);
}

static void kill_and_close(void)
{
    CHILD_CHECK(shoal_process_kill(process) == 0);
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_close(process) == 0);
}

static void kill_and_start(void)
{
    kill_and_close();
    start_staying();
}

static void start_ended(void)
{
    start_ending();
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
}

static int close_it(void)
{
    return shoal_process_close(process);
}

static int current(void)
{
    return code_of(!SHOAL_IS_NONE(shoal_current_process()));
}

static void never_run(void *argument)
{
    (void)argument;
}

static int create_finalizer(void)
{
    return shoal_finalizer_create(never_run, NULL, 0, &output.finalizer);
}

static void cancel_finalizer(void)
{
    CHILD_CHECK(shoal_finalizer_cancel(output.finalizer));
}

static int count_processors(void)
{
    return shoal_cpu_count() >= 1 ? 0 : -EIO;
}

/* In a child, which tells how it went. */
static void child_puts(void *argument)
{
    (void)argument;
    int code = code_of(!SHOAL_IS_NONE(shoal_current_process()));
    if (code == 0)
        code = shoal_queue_put_bytes(queue, "text", 5, SHOAL_NOW);
    answer_give(child_answer, code);
}

static void prepare_answer(void)
{
    prepare_queue();
    child_answer = harness_shared(sizeof *child_answer);
}

static int child_uses(void)
{
    shoal_process child;
    const int code = shoal_process_start_new(&(shoal_process_options){ .target = child_puts },
                                             &child);
    if (code < 0)
        return code;
    has_ended(child);
    return answer_take(child_answer);
}

static void finish_answer(void)
{
    finish_queue();
    munmap(child_answer, sizeof *child_answer);
}

static const struct operation processes[] = {
    { .name = "a thread's first use", .prepare = prepare_family, .run = thread_uses },
    { .name = "process_create",
      .prepare = prepare_thread,
      .run = create,
      .undo = close_the_process },
    { .name = "process_start_new",
      .prepare = prepare_thread,
      .run = start_new,
      .undo = join_and_close },
    { .name = "process_start_new with output",
      .prepare = mute_stdout,
      .run = start_with_output,
      .undo = join_and_close,
      .finish = restore_stdout },
    { .name = "process_start_new with a setup",
      .prepare = prepare_cgroup,
      .run = start_set_up,
      .undo = join_and_close,
      .finish = remove_cgroup },
    { .name = "process_start_new by spawn",
      .prepare = prepare_program,
      .run = start_spawned,
      .undo = join_and_close },
    { .name = "process_start_new by the fork server",
      .prepare = prepare_program,
      .run = start_by_server,
      .undo = join_and_shut_down },
    { .name = "process_start_new in a fork",
      .inherited = have_children,
      .run = start_new,
      .undo = join_and_close },
    { .name = "process_start_new without stdin",
      .prepare = close_stdin,
      .run = start_new,
      .undo = join_and_close,
      .finish = restore_stdin },
    { .name = "process_start_new with auto_close",
      .prepare = prepare_thread,
      .run = start_auto_close,
      .undo = shut_down },
    { .name = "process_start",
      .prepare = describe,
      .run = start,
      .undo = end_and_describe,
      .finish = close_described },
    { .name = "process_start without descriptors",
      .prepare = use_up_descriptors,
      .run = start,
      .code = -EMFILE,
      .finish = restore_descriptors },
    { .name = "a child's first use",
      .prepare = prepare_answer,
      .run = child_uses,
      .undo = get_one,
      .finish = finish_answer },
    { .name = "process_join",
      .prepare = start_ending,
      .run = join,
      .undo = end_and_start,
      .finish = end },
    { .name = "process_join after another's wait",
      .prepare = start_stolen,
      .run = join,
      .undo = close_and_start_stolen,
      .finish = close_described },
    { .name = "process_join_all",
      .prepare = start_ending,
      .run = join_all,
      .undo = end_and_start,
      .finish = end },
    { .name = "shutdown",
      .prepare = start_ending,
      .run = shutdown_waits,
      .undo = end_and_start,
      .finish = end },
    { .name = "a look at a process",
      .prepare = start_staying,
      .run = look,
      .finish = kill_and_close },
    { .name = "process_kill",
      .prepare = start_staying,
      .run = kill_it,
      .undo = kill_and_start,
      .finish = kill_and_close },
    { .name = "process_terminate",
      .prepare = start_staying,
      .run = terminate_it,
      .undo = kill_and_start,
      .finish = kill_and_close },
    { .name = "process_close",
      .prepare = start_ended,
      .run = close_it,
      .undo = start_ended,
      .finish = close_described },
    { .name = "finalizer_create",
      .prepare = prepare_thread,
      .run = create_finalizer,
      .undo = cancel_finalizer },
    { .name = "current_process", .prepare = prepare_thread, .run = current },
    { .name = "cpu_count", .run = count_processors },
};

const struct table processes_table = { processes, COUNT_OF(processes) };
