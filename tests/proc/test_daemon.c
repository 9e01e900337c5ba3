/* Daemons, and the order in which a program ends: spec 1.4, beyond rows 20 and 21. */
#include "proc/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

TestSuite(daemon, .timeout = 90);

static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                   SHOAL_START_FORKSERVER };

/* --- the flag ------------------------------------------------------------------------------- */

static void starts_a_grandchild(void *argument)
{
    const shoal_process_options options = { .target = target_nothing };
    shoal_process process = { 0 };
    const bool daemon = *(bool *)argument;
    CHILD_CHECK(shoal_process_is_daemon(shoal_current_process()) == daemon);
    CHILD_CHECK(shoal_process_create(&options, &process) == 0);
    CHILD_CHECK(shoal_process_is_daemon(process) == daemon);
    CHILD_CHECK(shoal_process_set_daemon(process, false) == 0);
    CHILD_CHECK(!shoal_process_is_daemon(process));
    CHILD_CHECK(shoal_process_start(process) == 0);
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(process) == 0);
}

/* 2.6 */
Test(daemon, flag_is_inherited_and_frozen_by_the_start_1_4_1, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    cr_assert_not(shoal_process_is_daemon(shoal_current_process()));
    for (size_t i = 0; i < COUNT_OF(methods) * 2; i++) {
        const bool daemon = i % 2;
        shoal_process process;
        const shoal_process_options options = { .target = starts_a_grandchild,
                                                .start_method = methods[i / 2],
                                                .daemon = daemon,
                                                SHOAL_COPY_OF(daemon) };
        assert_code(shoal_process_start_new(&options, &process), 0);
        cr_assert_eq(shoal_process_is_daemon(process), daemon);
        assert_code(shoal_process_set_daemon(process, !daemon), -EALREADY);
        cr_assert_str_eq(shoal_error_message(), "process has already started");
        child_ends(process, 0);
        assert_code(shoal_process_set_daemon(process, true), -ESTALE);
    }
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

static void may_start_nobody(void *argument)
{
    (void)argument;
    const shoal_process_options options = { .target = target_nothing };
    shoal_process process;
    CHILD_CHECK(shoal_process_create(&options, &process) == 0);
    CHILD_CHECK(shoal_process_start(process) == -EPERM);
    CHILD_CHECK(strstr(shoal_error_message(), "daemonic processes are not allowed") != NULL);
    CHILD_CHECK(shoal_active_children(NULL, 0) == 0);
}

Test(daemon, daemons_may_have_no_children_where_that_is_the_rule_1_4_5, .timeout = 90)
{
    assert_code(harness_init(&(shoal_init_options){ .daemons_without_children = true }), 0);
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        shoal_process process;
        const shoal_process_options options = { .target = may_start_nobody,
                                                .daemon = true,
                                                .start_method = methods[i] };
        assert_code(shoal_process_start_new(&options, &process), 0);
        child_ends(process, 0);
    }
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* --- the end of a program ------------------------------------------------------------------- */

struct program {
    int file; /* its stdout and stderr */
    enum shoal_start_method method;
    _Atomic pid_t *daemon;
};

struct seed {
    shoal_event begun;
};

static void says(const char *what)
{
    printf("%s %s\n", what, shoal_process_name(shoal_current_process()));
    fflush(stdout);
}

static void says_that_it_exits(void)
{
    says("Exiting :");
}

static void lives_for_ever(void *argument)
{
    const struct seed *seed = argument;
    says("Starting:");
    atexit(says_that_it_exits); /* 1.4.6: does not run */
    printf("held back");        /* nor does this go out */
    CHILD_CHECK(shoal_event_set(seed->begun) == 0);
    target_pauses(NULL);
}

static void says_that_it_starts_and_exits(void *argument)
{
    (void)argument;
    says("Starting:");
    says_that_it_exits();
}

static int is_the_seed(void *argument)
{
    const struct program *program = argument;
    CHILD_CHECK(dup2(program->file, STDOUT_FILENO) >= 0);
    CHILD_CHECK(dup2(program->file, STDERR_FILENO) >= 0);
    CHILD_CHECK(harness_init(&(shoal_init_options){ .start_method = program->method }) == 0);
    struct seed seed;
    shoal_process daemon = { 0 };
    CHILD_CHECK(shoal_event_create(NULL, &seed.begun) == 0);
    shoal_process_options options = {
        .target = lives_for_ever, .name = "daemon", .daemon = true, SHOAL_COPY_OF(seed)
    };
    CHILD_CHECK(shoal_process_start_new(&options, &daemon) == 0);
    *program->daemon = shoal_process_pid(daemon);
    CHILD_CHECK(shoal_event_wait(seed.begun, harness_deadline()) == 0);
    CHILD_CHECK(shoal_log_to_stderr(SHOAL_LOG_INFO) == 0); /* of what follows alone */
    CHILD_CHECK(shoal_log_set_level(SHOAL_LOG_WARNING) == 0);
    options = (shoal_process_options){ .target = says_that_it_starts_and_exits,
                                       .name = "non-daemon" };
    shoal_process other = { 0 };
    CHILD_CHECK(shoal_process_start_new(&options, &other) == 0);
    CHILD_CHECK(shoal_process_join(other, harness_deadline()) == 0);
    CHILD_CHECK(shoal_log_set_level(SHOAL_LOG_INFO) == 0);
    exit(5);
}

/* 1.4.2, 1.4.6, 1.8.5 */
Test(daemon, seed_program_ends_its_daemon_1_4_2_1_8_5, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        char text[1024] = "";
        struct program program = { memfd_create("output", MFD_CLOEXEC), methods[i],
                                   harness_shared(4096) };
        cr_assert_eq(fcntl(program.file, F_SETFL, O_APPEND), 0);
        cr_assert_eq(harness_wait(harness_child(is_the_seed, &program)), 5);
        cr_assert_gt(pread(program.file, text, sizeof text - 1, 0), 0);
        harness_drop_remarks(text);
        static const char said[] = "Starting: daemon\n"
                                   "Starting: non-daemon\n"
                                   "Exiting : non-daemon\n"
                                   "[INFO/MainProcess] process shutting down\n"
                                   "[INFO/MainProcess] calling terminate() for daemon daemon\n";
        cr_assert(strncmp(text, said, sizeof said - 1) == 0, "%s", text);
        /* It may have ended by then. */
        const char *rest = text + sizeof said - 1;
        cr_assert(!*rest ||
                      strcmp(rest, "[INFO/MainProcess] calling join() for process daemon\n") == 0,
                  "%s", rest);
        cr_assert_eq(kill(*program.daemon, 0), -1);
        close(program.file);
    }
}

static void waits_for(void *argument)
{
    CHILD_CHECK(shoal_event_wait(*(shoal_event *)argument, harness_deadline()) == 0);
}

static void sets_when_it_is_joined(const shoal_log_record *record, void *context)
{
    if (strcmp(record->text, "calling join() for process the waiter") == 0)
        CHILD_CHECK(shoal_event_set(*(shoal_event *)context) == 0);
}

/* The child ends when that is told. */
Test(daemon, exit_tells_whom_it_joins_1_8_5, .timeout = 90)
{
    shoal_event event;
    shoal_process waiter;
    assert_code(shoal_event_create(NULL, &event), 0);
    const shoal_process_options options = { .target = waits_for,
                                            .name = "the waiter",
                                            SHOAL_COPY_OF(event) };
    assert_code(shoal_process_start_new(&options, &waiter), 0);
    assert_code(shoal_log_set_handler(sets_when_it_is_joined, &event), 0);
    assert_code(shoal_log_set_level(SHOAL_LOG_INFO), 0);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    assert_code(shoal_log_set_handler(NULL, NULL), 0);
    child_ends(waiter, 0);
    assert_code(shoal_event_destroy(event), 0);
}

static void sets_when_gone(void *argument)
{
    const struct {
        shoal_event event;
        pid_t pid;
    } *watch = argument;
    CHILD_CHECK(harness_gone(watch->pid));
    CHILD_CHECK(shoal_event_set(watch->event) == 0);
}

/* 1.4.3: the daemon is ended at once, while others are still waited for: they wait for its end. */
Test(daemon, daemons_end_before_the_others_are_joined_1_4_3, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    struct {
        shoal_event event;
        pid_t pid;
    } watch;
    assert_code(shoal_event_create(NULL, &watch.event), 0);
    shoal_process daemon, watcher, waiter;
    assert_code(shoal_process_start_new(
                    &(shoal_process_options){ .target = target_pauses, .daemon = true }, &daemon),
                0);
    watch.pid = shoal_process_pid(daemon);
    watcher = CHILD_START(sets_when_gone, watch);
    waiter = CHILD_START(waits_for, watch.event);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    child_ends(daemon, -SIGTERM);
    child_ends(watcher, 0);
    child_ends(waiter, 0);
    assert_code(shoal_event_destroy(watch.event), 0);
}

static void ignores_sigterm(void *argument)
{
    signal(SIGTERM, SIG_IGN);
    CHILD_CHECK(shoal_event_set(*(shoal_event *)argument) == 0);
    target_pauses(NULL);
}

/* One deadline over all of it: who does not listen is killed, and holds up nobody's exit. */
Test(daemon, stubborn_daemon_is_killed_at_the_end, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        shoal_event deaf;
        shoal_process daemon;
        assert_code(shoal_event_create(NULL, &deaf), 0);
        const shoal_process_options options = { .target = ignores_sigterm,
                                                .daemon = true,
                                                .start_method = methods[i],
                                                SHOAL_COPY_OF(deaf) };
        assert_code(shoal_process_start_new(&options, &daemon), 0);
        assert_code(shoal_event_wait(deaf, harness_deadline()), 0);
        if (i > 0) {
            const int code = shoal_shutdown(SHOAL_NOW);
            cr_assert(code == 0 || code == -ETIMEDOUT, "%d", code);
        }
        assert_code(shoal_shutdown(SHOAL_FOREVER), 0);
        child_ends(daemon, -SIGKILL);
        assert_code(shoal_event_destroy(deaf), 0);
    }
}

/* --- signals -------------------------------------------------------------------------------- */

Test(daemon, any_signal_can_be_sent, .timeout = 90)
{
    const shoal_process process = child_start(target_pauses, NULL, 0);
    assert_code(shoal_process_signal(process, 0), 0);
    assert_code(shoal_process_signal(process, -1), -EINVAL);
    assert_code(shoal_process_signal(process, 1000), -EINVAL);
    cr_assert(shoal_process_is_alive(process));
    assert_code(shoal_process_signal(process, SIGINT), 0);
    child_ends(process, -SIGINT);
}

static volatile sig_atomic_t interrupts;

static void counts(int number)
{
    (void)number;
    interrupts++;
}

static int is_interrupted(void *argument)
{
    const enum shoal_start_method method = *(enum shoal_start_method *)argument;
    CHILD_CHECK(setsid() == getpid());
    CHILD_CHECK(harness_init(&(shoal_init_options){ .start_method = method }) == 0);
    shoal_process child = { 0 };
    const shoal_process_options options = { .target = target_pauses };
    CHILD_CHECK(shoal_process_start_new(&options, &child) == 0);
    signal(SIGINT, counts);
    CHILD_CHECK(kill(0, SIGINT) == 0); /* as the terminal does */
    CHILD_CHECK(interrupts == 1);
    CHILD_CHECK(shoal_process_terminate(child) == 0);
    CHILD_CHECK(shoal_process_join(child, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(child) == -SIGTERM); /* SIGINT would have come first */
    exit(0);
}

Test(daemon, interrupt_of_the_terminal_is_the_creator_s, .timeout = 90)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        cr_assert_eq(harness_wait(harness_child(is_interrupted, (void *)(uintptr_t)&methods[i])),
                     0);
}
