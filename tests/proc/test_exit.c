/* How processes end: spec 1.6 and 1.7. */
#include "proc/children.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

TestSuite(ending, .timeout = 90);

/* --- the table of 1.7 ----------------------------------------------------------------------- */

enum how { RETURNS, EXITS, FAILS, RAISES };

struct end {
    enum how how;
    int with, code;
};

static void ends_so(void *argument)
{
    const struct end *end = argument;
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    if (end->how == EXITS)
        exit(end->with);
    if (end->how == FAILS) {
        close(STDERR_FILENO);
        shoal_fail("error %d", end->with);
    }
    if (end->how == RAISES) {
        signal(end->with, SIG_DFL); /* a sanitizer handles some */
        raise(end->with);
    }
}

/* 1.7.1 */
Test(ending, exit_codes_are_those_of_the_table_1_7_1, .timeout = 90)
{
    static const struct end ends[] = {
        { RETURNS, 0, 0 },
        { EXITS, 0, 0 },
        { EXITS, 1, 1 },
        { EXITS, 255, 255 },
        { EXITS, 256, 0 },
        { EXITS, 257, 1 },
        { EXITS, -1, 255 },
        { FAILS, 0, 1 },
        { RAISES, SIGTERM, -SIGTERM },
        { RAISES, SIGKILL, -9 },
        { RAISES, SIGABRT, -6 },
        { RAISES, SIGSEGV, -11 },
        { RAISES, SIGUSR1, -SIGUSR1 },
    };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        const shoal_process process = CHILD_START(ends_so, ends[i]);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        /* 1.7.3: the code stays, however often it is asked for. */
        for (int again = 0; again < 3; again++)
            cr_assert_eq(shoal_process_exitcode(process), ends[i].code, "row %zu: %d", i,
                         shoal_process_exitcode(process));
        cr_assert_not(shoal_process_is_alive(process));
        assert_code(shoal_process_close(process), 0);
    }
}

/* --- shoal_fail ----------------------------------------------------------------------------- */

static void fails_with_words(void *argument)
{
    const int *file = argument;
    dup2(*file, STDERR_FILENO);
    printf("said before");
    shoal_fail("no %s at %d%%", "luck", 100);
}

/* 1.7.2 */
Test(ending, fail_tells_the_name_and_the_text_1_7_2, .timeout = 90)
{
    char text[512];
    const int file = memfd_create("stderr", 0);
    shoal_process process;
    const shoal_process_options options = { .target = fails_with_words,
                                            .name = "the worker",
                                            SHOAL_COPY_OF(file) };
    assert_code(shoal_process_start_new(&options, &process), 0);
    child_ends(process, 1);
    const ssize_t size = pread(file, text, sizeof text - 1, 0);
    cr_assert_geq(size, 0);
    text[size] = 0;
    cr_assert(strncmp(text, "Process the worker:", 19) == 0, "%s", text);
    cr_assert_not_null(strstr(text, "no luck at 100%"), "%s", text);
    cr_assert_eq(text[size - 1], '\n');
    close(file);
}

static int fails_in_main(void *argument)
{
    fails_with_words(argument);
    return 0;
}

Test(ending, fail_works_in_the_main_process_too_1_7_2, .timeout = 90)
{
    char text[512];
    int file = memfd_create("stderr", 0);
    cr_assert_eq(harness_wait(harness_child(fails_in_main, &file)), 1);
    const ssize_t size = pread(file, text, sizeof text - 1, 0);
    cr_assert_gt(size, 0);
    text[size] = 0;
    cr_assert(strncmp(text, "Process MainProcess:", 20) == 0, "%s", text);
    close(file);
}

/* --- terminate and kill --------------------------------------------------------------------- */

/* 1.6.1: before, during, right after, joined. */
Test(ending, terminate_goes_through_its_states_1_6_1, .timeout = 90)
{
    shoal_process process;
    const shoal_process_options options = { .target = target_pauses };
    assert_code(shoal_process_create(&options, &process), 0);
    cr_assert_not(shoal_process_is_alive(process));
    assert_code(shoal_process_start(process), 0);
    cr_assert(shoal_process_is_alive(process));
    assert_code(shoal_process_terminate(process), 0);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    cr_assert_not(shoal_process_is_alive(process));
    child_ends(process, -SIGTERM);
}

/* 1.6.2: an ended process is no error, keeps its code, and nobody else is hit. */
Test(ending, signals_to_an_ended_process_hit_nobody_1_6_2, .timeout = 90)
{
    const shoal_process process = child_start(target_nothing, NULL, 0);
    struct end end = { EXITS, 9, 9 };
    const shoal_process unreaped = CHILD_START(ends_so, end);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    cr_assert(harness_gone(shoal_process_pid(unreaped)));
    for (int i = 0; i < 3; i++) {
        assert_code(shoal_process_terminate(process), 0);
        assert_code(shoal_process_kill(process), 0);
        assert_code(shoal_process_terminate(unreaped), 0);
        assert_code(shoal_process_kill(unreaped), 0);
    }
    child_ends(process, 0);
    child_ends(unreaped, 9);
}

/* 1.6.3, 2.2 */
Test(ending, kill_is_reported_1_6_3, .timeout = 90)
{
    const shoal_process process = child_start(target_pauses, NULL, 0);
    assert_code(shoal_process_kill(process), 0);
    child_ends(process, -SIGKILL);
}

Test(ending, hundred_children_terminated_at_once_1_6_3, .timeout = 90)
{
    shoal_process processes[100];
    for (size_t i = 0; i < COUNT_OF(processes); i++) {
        processes[i] = child_start(target_pauses, NULL, 0);
        assert_code(shoal_process_terminate(processes[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(processes); i++)
        child_ends(processes[i], -SIGTERM);
}

/* Is_alive and exitcode find out by themselves, without join. */
Test(ending, end_is_noticed_without_join, .timeout = 90)
{
    struct end end = { EXITS, 5, 5 };
    const shoal_process process = CHILD_START(ends_so, end);
    cr_assert(harness_until(!shoal_process_is_alive(process)));
    cr_assert_eq(shoal_process_exitcode(process), 5);
    assert_code(shoal_process_close(process), 0);
}

Test(ending, exitcode_alone_notices_the_end, .timeout = 90)
{
    struct end end = { EXITS, 6, 6 };
    const shoal_process process = CHILD_START(ends_so, end);
    cr_assert(harness_until(shoal_process_exitcode(process) != SHOAL_EXITCODE_NONE));
    cr_assert_eq(shoal_process_exitcode(process), 6);
    assert_code(shoal_process_close(process), 0);
}

/* --- exit handlers -------------------------------------------------------------------------- */

static _Atomic int *parents_handlers;

static void in_parent(void)
{
    ++*parents_handlers;
}

/* 1.1.9: handlers that the parent registered are the parent's. */
Test(ending, exit_handlers_of_the_parent_do_not_run_in_the_child_1_1_9, .timeout = 90)
{
    parents_handlers = harness_shared(4096);
    atexit(in_parent);
    struct end end = { EXITS, 7, 7 };
    child_ends(child_start(target_nothing, NULL, 0), 0);
    child_ends(CHILD_START(ends_so, end), 7);
    const int after = *parents_handlers;
    *parents_handlers = -1000; /* this worker's own exit counts too */
    cr_assert_eq(after, 0);
}

struct registers {
    char *order; /* in the family's memory */
    enum how how;
};

static char *order;

static void tells_a(void)
{
    strcat(order, "a");
}

static void tells_b(void)
{
    strcat(order, "b");
}

static void registers_handlers(void *argument)
{
    const struct registers *registers = argument;
    order = registers->order;
    CHILD_CHECK(atexit(tells_a) == 0 && atexit(tells_b) == 0);
    ends_so(&(struct end){ registers->how, 1, 1 });
}

/* 1.1.9: its own run, last come first, however it ends and by whatever method it began. */
Test(ending, exit_handlers_of_the_child_run_in_the_child_1_1_9, .timeout = 90)
{
    static const enum how hows[] = { RETURNS, EXITS, FAILS };
    assert_code(harness_init(NULL), 0);
    for (int method = SHOAL_START_FORK; method <= SHOAL_START_FORKSERVER; method++)
        for (size_t i = 0; i < COUNT_OF(hows); i++) {
            struct registers registers = { shoal_calloc(1, 16), hows[i] };
            shoal_process process;
            const shoal_process_options options = { .target = registers_handlers,
                                                    .start_method = (enum shoal_start_method)method,
                                                    SHOAL_COPY_OF(registers) };
            assert_code(shoal_process_start_new(&options, &process), 0);
            child_ends(process, hows[i] == RETURNS ? 0 : 1);
            cr_assert_str_eq(registers.order, "ba", "method %d, row %zu", method, i);
            shoal_free(registers.order);
        }
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* --- shutdown ------------------------------------------------------------------------------- */

Test(ending, shutdown_joins_all_children, .timeout = 90)
{
    struct end end = { EXITS, 3, 3 };
    shoal_process processes[4];
    for (int i = 0; i < 4; i++)
        processes[i] = CHILD_START(ends_so, end);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    for (int i = 0; i < 4; i++) {
        cr_assert_not(shoal_process_is_alive(processes[i]));
        cr_assert_eq(shoal_process_exitcode(processes[i]), 3);
        assert_code(shoal_process_close(processes[i]), 0);
    }
}

Test(ending, shutdown_gives_up_at_its_deadline, .timeout = 90)
{
    const shoal_process process = child_start(target_pauses, NULL, 0);
    assert_code(shoal_shutdown(SHOAL_NOW), -ETIMEDOUT);
    const uint64_t end_ns = harness_now_ns() + 50000000;
    assert_code(shoal_shutdown(shoal_at_ns(end_ns)), -ETIMEDOUT);
    cr_assert_geq(harness_now_ns(), end_ns);
    cr_assert(shoal_process_is_alive(process));
    assert_code(shoal_process_kill(process), 0);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    assert_code(shoal_process_close(process), 0);
}
