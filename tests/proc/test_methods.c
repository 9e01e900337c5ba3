/* The ways to start a child: spec 1.2, 2.7 to 2.9. Each test is run for each of them. */
#include "proc/children.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "asleep.h"

#ifndef SYS_poll
#define SYS_poll SYS_ppoll /* newer kinds of processors have it alone */
#endif

TestSuite(methods, .timeout = 90);

static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                   SHOAL_START_FORKSERVER };
/* The two that exec: without the host's memory, signals and descriptors. */
static const enum shoal_start_method *const execs = methods + 1;
enum { METHODS = 3, EXECS = 2 };

static shoal_process start_by(enum shoal_start_method method, void (*target)(void *argument),
                              const void *argument, size_t argument_size)
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target,
                                            .argument = argument,
                                            .argument_size = argument_size,
                                            .start_method = method };
    assert_code(shoal_process_start_new(&options, &process), 0);
    return process;
}

static void init(void)
{
    assert_code(harness_init(NULL), 0);
}

/* With nothing left that the test did not ask for. */
static void shut_down(void)
{
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* --- what every method does ------------------------------------------------------------------ */

struct report {
    pid_t pid, parent;
    shoal_process me;
    char name[64];
};

struct task {
    struct report *report; /* in the family's memory, which lies at one address */
    int code;
};

static void reports(void *argument)
{
    const struct task *task = argument;
    *task->report =
        (struct report){ .pid = getpid(), .parent = getppid(), .me = shoal_current_process() };
    snprintf(task->report->name, sizeof task->report->name, "%s",
             shoal_process_name(task->report->me));
    exit(task->code);
}

/* 1.1.1, 1.3.3, 1.7, 2.7 */
Test(methods, child_is_what_its_creator_sees_2_7, .timeout = 90)
{
    init();
    for (int i = 0; i < METHODS * 3; i++) {
        const struct task task = { shoal_alloc(sizeof(struct report)), i };
        const shoal_process process = start_by(methods[i % METHODS], reports, &task, sizeof task);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        cr_assert_eq(task.report->pid, shoal_process_pid(process));
        cr_assert_eq(task.report->parent, getpid());
        cr_assert(SHOAL_SAME(task.report->me, process));
        cr_assert_str_eq(task.report->name, shoal_process_name(process));
        child_ends(process, i);
        shoal_free(task.report);
    }
    shut_down();
}

static void gives_back(void *argument)
{
    const shoal_queue *queues = argument;
    void *payload;
    CHILD_CHECK(shoal_queue_get(queues[0], &payload, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_queue_put(queues[1], payload, SHOAL_NOW) == 0);
}

/* 2.8: objects pass between children of all methods. */
Test(methods, payloads_pass_between_all_methods_2_8, .timeout = 90)
{
    init();
    const shoal_queue queues[] = { queue_of(8), queue_of(8) };
    for (int i = 0; i < METHODS; i++) {
        int *number = shoal_alloc(sizeof *number);
        *number = i;
        assert_code(shoal_queue_put(queues[0], number, SHOAL_NOW), 0);
        child_ends(start_by(methods[i], gives_back, queues, sizeof queues), 0);
        void *back;
        assert_code(shoal_queue_get(queues[1], &back, SHOAL_NOW), 0);
        cr_assert(back == number && *number == i);
        shoal_free(back);
    }
    shut_down();
}

static void starts_one_by(void *argument)
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target_nothing,
                                            .start_method = *(enum shoal_start_method *)argument };
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(process) == 0);
    CHILD_CHECK(shoal_process_close(process) == 0);
}

/* 2.8 */
Test(methods, children_of_every_method_start_children_by_every_method_2_8, .timeout = 90)
{
    init();
    for (int i = 0; i < METHODS; i++)
        for (int k = 0; k < METHODS; k++)
            child_ends(start_by(methods[i], starts_one_by, &methods[k], sizeof methods[k]), 0);
    shut_down();
}

static void pauses(void *argument)
{
    target_pauses(argument);
}

/* 1.6.3, 2.2: the same by each method. */
Test(methods, killed_at_once_is_reported_as_killed_1_6_3, .timeout = 90)
{
    init();
    for (int i = 0; i < METHODS * 10; i++) {
        const shoal_process process = start_by(methods[i % METHODS], pauses, NULL, 0);
        assert_code(i % 2 ? shoal_process_kill(process) : shoal_process_terminate(process), 0);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        child_ends(process, i % 2 ? -SIGKILL : -SIGTERM);
    }
    shut_down();
}

/* 1.1.6: each goes on when all are there, so all of them run at once. */
static void meets(void *argument)
{
    CHILD_CHECK(shoal_barrier_wait(*(shoal_barrier *)argument, NULL, harness_deadline()) == 0);
}

Test(methods, five_children_run_at_once_1_1_6, .timeout = 90)
{
    init();
    shoal_barrier barrier;
    shoal_process children[5];
    assert_code(shoal_barrier_create(COUNT_OF(children), NULL, &barrier), 0);
    for (int i = 0; i < METHODS; i++) {
        for (size_t k = 0; k < COUNT_OF(children); k++)
            children[k] = start_by(methods[i], meets, &barrier, sizeof barrier);
        for (size_t k = 0; k < COUNT_OF(children); k++)
            child_ends(children[k], 0);
    }
    assert_code(shoal_barrier_destroy(barrier), 0);
    shut_down();
}

static void *thread_pauses(void *unused)
{
    target_pauses(unused);
    return NULL;
}

/* Beside one that would never end. */
static void returns_beside_a_thread(void *argument)
{
    pthread_t thread;
    (void)argument;
    CHILD_CHECK(pthread_create(&thread, NULL, thread_pauses, NULL) == 0);
}

/* 1.7.4: the return of a target is exit(), which ends the threads that still run. */
Test(methods, return_of_the_target_ends_its_threads_1_7_4, .timeout = 90)
{
    init();
    for (int i = 0; i < METHODS; i++)
        child_ends(start_by(methods[i], returns_beside_a_thread, NULL, 0), 0);
    shut_down();
}

/* --- in somebody else's program -------------------------------------------------------------- */

/* 1.7.3: SIGCHLD is ignored, or its handler reaps all that it finds: never for ever. */
static void reaps_everything(int number)
{
    const int error = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    errno = error;
    (void)number;
}

Test(methods, host_that_reaps_or_ignores_is_survived_1_7_3, .timeout = 90)
{
    init();
    struct report *report = shoal_alloc(sizeof *report);
    for (int i = 0; i < METHODS * 10; i++) {
        signal(SIGCHLD, i % 2 ? SIG_IGN : reaps_everything);
        const struct task task = { report, 7 };
        const shoal_process process = start_by(methods[i % METHODS], reports, &task, sizeof task);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        const int code = shoal_process_exitcode(process);
        cr_assert(code == 7 || code == SHOAL_EXITCODE_UNKNOWN, "exit code %d", code);
        assert_code(shoal_process_close(process), 0);
    }
    shoal_free(report);
    shut_down();
}

struct seen {
    int fds, ignored, blocked;
};

static void looks_around(void *argument)
{
    struct seen *seen = *(struct seen **)argument;
    DIR *directory = opendir("/proc/self/fd");
    CHILD_CHECK(directory != NULL);
    while (readdir(directory))
        seen->fds++;
    CHILD_CHECK(closedir(directory) == 0);
    struct sigaction action;
    sigset_t mask;
    CHILD_CHECK(sigaction(SIGINT, NULL, &action) == 0 && sigprocmask(0, NULL, &mask) == 0);
    seen->ignored = action.sa_handler == SIG_IGN;
    seen->blocked = sigismember(&mask, SIGUSR1);
}

/* 2.9: none of the host's descriptors nor a sibling's, and the same number for each child. */
Test(methods, exec_d_children_have_no_descriptors_of_others_2_9, .timeout = 90)
{
    init();
    struct seen *seen = shoal_calloc(1, sizeof *seen);
    shoal_process siblings[5];
    for (int i = 0; i < 5; i++)
        siblings[i] = start_by(execs[i % EXECS], pauses, NULL, 0);
    int pipes[20][2];
    for (int i = 0; i < 20; i++)
        cr_assert_eq(pipe(pipes[i]), 0);
    for (int i = 0; i < EXECS * 2; i++) {
        *seen = (struct seen){ 0 };
        child_ends(start_by(execs[i % EXECS], looks_around, &seen, sizeof seen), 0);
        /* . and .., the directory; standard streams; the segment, what it hangs on */
        cr_assert_eq(seen->fds, 2 + 1 + 3 + 2, "%d descriptors", seen->fds);
        cr_assert(!seen->ignored && !seen->blocked);
    }
    for (int i = 0; i < 20; i++)
        close(pipes[i][0]), close(pipes[i][1]);
    for (int i = 0; i < 5; i++) {
        assert_code(shoal_process_kill(siblings[i]), 0);
        child_ends(siblings[i], -SIGKILL);
    }
    shoal_free(seen);
    shut_down();
}

static void says(void *argument)
{
    (void)argument;
    printf("said");
}

/* 1.1.7: also if stdout became another file since the server began; also if it is closed. */
Test(methods, children_write_where_their_creator_does_1_1_7, .timeout = 90)
{
    init();
    int before = dup(STDOUT_FILENO);
    for (int i = 0; i < METHODS * 2; i++) {
        char text[16] = "";
        FILE *file = tmpfile();
        cr_assert(file && dup2(fileno(file), STDOUT_FILENO) == STDOUT_FILENO);
        child_ends(start_by(methods[i % METHODS], says, NULL, 0), 0);
        close(STDOUT_FILENO);
        child_ends(start_by(methods[i % METHODS], says, NULL, 0), 0);
        cr_assert_eq(pread(fileno(file), text, sizeof text, 0), 4);
        cr_assert_str_eq(text, "said");
        cr_assert_eq(fclose(file), 0);
        cr_assert_eq(dup2(before, STDOUT_FILENO), STDOUT_FILENO);
    }
    close(before);
    shut_down();
}

static void writes_to_second(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_process_fd(2) == -ERANGE && strstr(shoal_error_message(), "descriptors"));
    CHILD_CHECK(write(shoal_process_fd(1), "second", 7) == 7);
    CHILD_CHECK(close(shoal_process_fd(0)) == 0);
}

/* 2.14, 2.9: what a child is given it has, by whatever number; nothing is left open anywhere. */
Test(methods, children_are_given_descriptors_2_14, .timeout = 90)
{
    init();
    for (int i = 0; i < 2; i++) /* from the second one on another child is ready */
        child_ends(start_by(SHOAL_START_FORKSERVER, target_nothing, NULL, 0), 0);
    const unsigned fds_before = harness_fds_count();
    for (int i = 0; i < METHODS * 2; i++) {
        int ends[2];
        char text[8] = "";
        cr_assert_eq(pipe(ends), 0);
        shoal_process process;
        const shoal_process_options options = { .target = writes_to_second,
                                                .start_method = methods[i % METHODS],
                                                .fds = (const int[]){ STDERR_FILENO, ends[1] },
                                                .fds_count = 2 };
        assert_code(shoal_process_start_new(&options, &process), 0);
        close(ends[1]);
        child_ends(process, 0);
        cr_assert_eq(read(ends[0], text, sizeof text), 7);
        cr_assert_str_eq(text, "second");
        cr_assert_eq(read(ends[0], text, sizeof text), 0); /* nobody has it any more */
        close(ends[0]);
        assert_code(shoal_process_start_new(&options, &process), -EINVAL);
    }
    cr_assert_eq(harness_fds_count(), fds_before);
    shut_down();
}

struct starter {
    shoal_process processes[METHODS];
    int failures;
};

static void *starts_and_ends(void *argument)
{
    struct starter *starter = argument;
    for (int i = 0; i < METHODS; i++) {
        const shoal_process_options options = { .target = pauses, .start_method = methods[i] };
        starter->failures += shoal_process_start_new(&options, &starter->processes[i]) != 0;
    }
    return NULL;
}

/* 1.4.7: they die with the process, not with the thread that has started them, or the server. */
Test(methods, thread_that_starts_may_end_1_4_7, .timeout = 90)
{
    init();
    struct starter starter = { .failures = 0 };
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, starts_and_ends, &starter), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(starter.failures, 0);
    child_ends(start_by(SHOAL_START_FORKSERVER, target_nothing, NULL, 0), 0);
    for (int i = 0; i < METHODS; i++) {
        cr_assert(shoal_process_is_alive(starter.processes[i]));
        assert_code(shoal_process_kill(starter.processes[i]), 0);
        child_ends(starter.processes[i], -SIGKILL);
    }
    shut_down();
}

/* --- the server is killed -------------------------------------------------------------------- */

/* The children of this process that are not in the list: the server. */
static pid_t server_of(const shoal_process *known, size_t count)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "re");
    cr_assert(file && fgets(text, sizeof text, file));
    fclose(file);
    for (char *at = text, *end; *at && *at != '\n'; at = end + 1) {
        const pid_t pid = (pid_t)strtol(at, &end, 10);
        bool is_known = false;
        for (size_t i = 0; i < count; i++)
            is_known |= shoal_process_pid(known[i]) == pid;
        if (!is_known)
            return pid;
    }
    return 0;
}

static void exits_when_told(void *argument)
{
    const shoal_event *event = argument;
    CHILD_CHECK(shoal_event_wait(*event, harness_deadline()) == 0);
    exit(33);
}

/* 2.9: it is started again, and its children neither die nor lose their exit code. */
Test(methods, killed_server_is_replaced_and_not_missed_2_9, .timeout = 90)
{
    init();
    shoal_event event;
    assert_code(shoal_event_create(NULL, &event), 0);
    shoal_process running[4] = { { 0 } };
    const int kills[] = { SIGKILL, SIGTERM, SIGHUP };
    for (int i = 0; i < 4; i++) {
        running[i] = start_by(SHOAL_START_FORKSERVER, exits_when_told, &event, sizeof event);
        const pid_t server = server_of(running, (size_t)i + 1);
        cr_assert_gt(server, 0);
        if (i < 3)
            kill(server, kills[i]);
    }
    kill(server_of(running, 4), SIGINT); /* the terminal's: it stays */
    child_ends(start_by(SHOAL_START_FORKSERVER, target_nothing, NULL, 0), 0);
    assert_code(shoal_event_set(event), 0);
    for (int i = 0; i < 4; i++)
        child_ends(running[i], 33);
    assert_code(shoal_event_destroy(event), 0);
    shut_down();
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

/* --- a child is ready before it is wanted ---------------------------------------------------- */

enum { CHILDREN_MAX = 8 };

/* As the kernel sees them, the oldest first: the server, and who is ready. */
static int kernel_s_children(pid_t *ret_pids)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "re");
    cr_assert(file);
    char *at = fgets(text, sizeof text, file), *end = at;
    fclose(file);
    int count = 0;
    for (; at && count < CHILDREN_MAX; at = end, count++) {
        ret_pids[count] = (pid_t)strtol(at, &end, 10);
        if (end == at)
            break;
    }
    return count;
}

static void have_server_and_ready(pid_t *ret_pids)
{
    for (int i = 0; i < 2; i++)
        child_ends(start_by(SHOAL_START_FORKSERVER, target_nothing, NULL, 0), 0);
    cr_assert(harness_until(kernel_s_children(ret_pids) == 2));
}

/* 2.9: it is nobody's process yet; killed, another one comes. */
Test(methods, ready_child_is_no_process_and_not_missed_2_9, .timeout = 90)
{
    pid_t pids[CHILDREN_MAX];
    init();
    have_server_and_ready(pids);
    cr_assert_eq(shoal_active_children(NULL, 0), 0);
    for (int i = 0; i < 5; i++) {
        if (i > 0)
            cr_assert(kill(pids[1], i % 2 ? SIGKILL : SIGTERM) == 0 && harness_gone(pids[1]));
        const shoal_process process = start_by(SHOAL_START_FORKSERVER, pauses, NULL, 0);
        cr_assert_eq(shoal_active_children(NULL, 0), 1);
        assert_code(shoal_process_kill(process), 0);
        child_ends(process, -SIGKILL);
        cr_assert(harness_until(kernel_s_children(pids) == 2));
    }
    shut_down();
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

/* It ends with the server, also at once; but never with a request: that child runs. */
Test(methods, ready_child_ends_with_the_server_2_9, .timeout = 90)
{
    pid_t pids[CHILDREN_MAX];
    init();
    have_server_and_ready(pids);
    cr_assert_eq(kill(pids[0], SIGKILL), 0);
    cr_assert(harness_gone(pids[1]));
    for (int i = 0; i < 20; i++) {
        have_server_and_ready(pids);
        cr_assert_eq(kill(pids[0], SIGKILL), 0);
        child_ends(start_by(SHOAL_START_FORKSERVER, target_nothing, NULL, 0), 0);
    }
    shut_down();
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

/* It is killed by its descriptor. */
Test(methods, stopped_ready_child_holds_up_no_shutdown, .timeout = 90)
{
    pid_t pids[CHILDREN_MAX];
    init();
    have_server_and_ready(pids);
    cr_assert(harness_until(is_asleep_in(pids[1], SYS_poll, SYS_ppoll)));
    cr_assert_eq(kill(pids[1], SIGSTOP), 0);
    shut_down();
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

/* So does a child whom nobody can ask for any more; the next start takes another server. */
Test(methods, stopped_server_is_replaced_2_9, .timeout = 90)
{
    pid_t pids[CHILDREN_MAX], fresh[CHILDREN_MAX];
    init();
    have_server_and_ready(pids);
    cr_assert_eq(kill(pids[0], SIGSTOP), 0);
    have_server_and_ready(fresh);
    cr_assert_neq(fresh[0], pids[0]);
    cr_assert(harness_gone(pids[0]) && harness_gone(pids[1]));
    cr_assert_eq(kill(fresh[0], SIGSTOP), 0);
    shut_down();
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

Test(methods, without_ready_child_there_is_the_server_alone, .timeout = 90)
{
    pid_t pids[CHILDREN_MAX];
    assert_code(harness_init(&(shoal_init_options){ .no_ready_child = true }), 0);
    for (int i = 0; i < 3; i++)
        child_ends(start_by(SHOAL_START_FORKSERVER, target_nothing, NULL, 0), 0);
    cr_assert_eq(kernel_s_children(pids), 1);
    shut_down();
}

/* --- targets --------------------------------------------------------------------------------- */

static void in_private_memory(void *argument)
{
    (void)argument;
}

/* 1.1.4, 1.2.4: the start fails, in the parent, and can be tried again. */
Test(methods, what_is_no_function_of_the_program_is_refused_1_1_4, .timeout = 90)
{
    init();
    static char no_code[16];
    for (int i = 0; i < EXECS; i++) {
        shoal_process process;
        const shoal_process_options options = { .target = (void (*)(void *))(uintptr_t)no_code,
                                                .start_method = execs[i] };
        assert_code(shoal_process_start_new(&options, &process), -EINVAL);
    }
    /* Registered too late for those who are to know it. */
    assert_code(shoal_register("a late one", in_private_memory), 0);
    assert_code(shoal_register("a late one", target_nothing), -EEXIST);
    for (int i = 0; i < EXECS; i++) {
        shoal_process process;
        const shoal_process_options options = { .target = in_private_memory,
                                                .start_method = execs[i] };
        assert_code(shoal_process_create(&options, &process), 0);
        for (int k = 0; k < 3; k++)
            assert_code(shoal_process_start(process), -ENOENT);
        cr_assert_eq(shoal_process_pid(process), 0);
        assert_code(shoal_process_close(process), 0);
    }
    shut_down();
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

/* Whose main() does not say what it was called with cannot be exec'd: nothing runs twice. */
Test(methods, without_main_s_arguments_there_is_only_fork, .timeout = 90)
{
    assert_code(shoal_init(NULL, NULL, NULL), 0);
    for (int i = 0; i < EXECS; i++) {
        shoal_process process;
        const shoal_process_options options = { .target = target_nothing,
                                                .start_method = execs[i] };
        assert_code(shoal_process_start_new(&options, &process), -ENOTSUP);
    }
    child_ends(start_by(SHOAL_START_DEFAULT, target_nothing, NULL, 0), 0);
}
