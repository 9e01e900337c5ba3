/* The standard streams of parent and child: spec 1.1.7 and 1.1.8. */
#include "proc/children.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

TestSuite(stdio, .timeout = 90);

enum { CHILDREN = 5 };

static unsigned occurrences(const char *text, const char *wanted)
{
    unsigned count = 0;
    for (const char *at = strstr(text, wanted); at; at = strstr(at + 1, wanted))
        count++;
    return count;
}

/* Runs the scenario with its stdout and stderr in a file, and answers what stands there. */
static const char *output_of(int (*scenario)(void *argument), int expected_code)
{
    static char text[65536];
    int file = memfd_create("output", 0);
    cr_assert(file >= 0);
    const pid_t pid = harness_child(scenario, &file);
    const int code = harness_wait(pid);
    const ssize_t size = pread(file, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = 0;
    close(file);
    cr_assert_eq(code, expected_code, "exit code %d; output: %s", code, text);
    return text;
}

/* As a program whose output is redirected into a file: both streams fully buffered. */
static void redirect(const int *file)
{
    CHILD_CHECK(dup2(*file, STDOUT_FILENO) >= 0 && dup2(*file, STDERR_FILENO) >= 0);
    CHILD_CHECK(fcntl(STDOUT_FILENO, F_SETFL, O_APPEND) == 0);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    setvbuf(stderr, NULL, _IOFBF, 4096);
}

static shoal_process started(void (*target)(void *), const void *argument, size_t size)
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target,
                                            .argument = argument,
                                            .argument_size = size };
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    return process;
}

static void joined(shoal_process process, int code)
{
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(process) == code);
    CHILD_CHECK(shoal_process_close(process) == 0);
}

static void prints(void *argument)
{
    fprintf(stdout, "<out of child %d>", *(int *)argument);
    fprintf(stderr, "<err of child %d>", *(int *)argument);
}

static int prints_before_and_starts(void *file)
{
    shoal_process processes[CHILDREN];
    redirect(file);
    printf("<out of parent>");
    fprintf(stderr, "<err of parent>");
    for (int i = 0; i < CHILDREN; i++)
        processes[i] = started(prints, &i, sizeof i);
    for (int i = 0; i < CHILDREN; i++)
        joined(processes[i], 0);
    return 0;
}

Test(stdio, buffered_bytes_appear_once_and_a_child_s_are_flushed_1_1_7, .timeout = 90)
{
    const char *text = output_of(prints_before_and_starts, 0);
    cr_assert_eq(occurrences(text, "<out of parent>"), 1, "%s", text);
    cr_assert_eq(occurrences(text, "<err of parent>"), 1, "%s", text);
    for (int i = 0; i < CHILDREN; i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "<out of child %d>", i);
        cr_assert_eq(occurrences(text, wanted), 1, "%s in %s", wanted, text);
        snprintf(wanted, sizeof wanted, "<err of child %d>", i);
        cr_assert_eq(occurrences(text, wanted), 1, "%s in %s", wanted, text);
    }
}

static void prints_and_exits(void *argument)
{
    printf("<exits with %d>", *(int *)argument);
    exit(*(int *)argument);
}

static int starts_one_that_exits(void *file)
{
    int code = 3;
    redirect(file);
    joined(started(prints_and_exits, &code, sizeof code), 3);
    return 0;
}

Test(stdio, child_that_calls_exit_is_flushed_too_1_1_7, .timeout = 90)
{
    const char *text = output_of(starts_one_that_exits, 0);
    cr_assert_eq(occurrences(text, "<exits with 3>"), 1, "%s", text);
}

static int starts_with(int stdout_fd)
{
    int number = 1;
    signal(SIGPIPE, SIG_IGN); /* the host's decision: the library changes no signal */
    if (stdout_fd < 0)
        close(STDOUT_FILENO);
    else
        dup2(stdout_fd, STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    printf("goes nowhere");
    joined(started(prints, &number, sizeof number), 0);
    return 0;
}

static int starts_with_closed_stdout(void *argument)
{
    (void)argument;
    fclose(stderr);
    return starts_with(-1);
}

static int starts_with_full_stdout(void *argument)
{
    (void)argument;
    return starts_with(open("/dev/full", O_WRONLY));
}

static int starts_with_broken_stdout(void *argument)
{
    int ends[2];
    (void)argument;
    CHILD_CHECK(pipe(ends) == 0);
    close(ends[0]);
    return starts_with(ends[1]);
}

Test(stdio, broken_streams_fail_neither_start_nor_exit_1_1_7, .timeout = 90)
{
    cr_assert_eq(harness_wait(harness_child(starts_with_closed_stdout, NULL)), 0);
    cr_assert_eq(harness_wait(harness_child(starts_with_full_stdout, NULL)), 0);
    cr_assert_eq(harness_wait(harness_child(starts_with_broken_stdout, NULL)), 0);
}

static void stdin_is_empty(void *argument)
{
    char byte;
    (void)argument;
    CHILD_CHECK(read(STDIN_FILENO, &byte, 1) == 0);
    CHILD_CHECK(getchar() == EOF);
    CHILD_CHECK(close(STDIN_FILENO) == 0);
}

static int stdin_survives(void *argument)
{
    int ends[2];
    char text[8] = "";
    (void)argument;
    CHILD_CHECK(pipe(ends) == 0 && write(ends[1], "mine", 5) == 5);
    CHILD_CHECK(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    for (int i = 0; i < CHILDREN; i++)
        joined(started(stdin_is_empty, NULL, 0), 0);
    CHILD_CHECK(read(STDIN_FILENO, text, sizeof text) == 5 && strcmp(text, "mine") == 0);
    return 0;
}

Test(stdio, child_reads_from_dev_null_and_leaves_the_parent_s_stdin_1_1_8, .timeout = 90)
{
    cr_assert_eq(harness_wait(harness_child(stdin_survives, NULL)), 0);
}

/* What the parent has read ahead, but not used, is not the child's to read again. */
static void reads_nothing_ahead(void *argument)
{
    (void)argument;
    CHILD_CHECK(getchar() == EOF);
}

static int stdin_read_ahead(void *argument)
{
    int ends[2];
    (void)argument;
    CHILD_CHECK(pipe(ends) == 0 && write(ends[1], "abc", 3) == 3);
    CHILD_CHECK(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    close(ends[1]);
    clearerr(stdin);
    CHILD_CHECK(getchar() == 'a');
    joined(started(reads_nothing_ahead, NULL, 0), 0);
    CHILD_CHECK(getchar() == 'b' && getchar() == 'c' && getchar() == EOF);
    return 0;
}

Test(stdio, child_does_not_get_what_the_parent_read_ahead_1_1_8, .timeout = 90)
{
    cr_assert_eq(harness_wait(harness_child(stdin_read_ahead, NULL)), 0);
}

static int stdin_closed(void *argument)
{
    (void)argument;
    close(STDIN_FILENO);
    joined(started(target_nothing, NULL, 0), 0);
    CHILD_CHECK(fcntl(STDIN_FILENO, F_GETFD) < 0 && errno == EBADF);
    shoal_free(shoal_alloc(10));
    CHILD_CHECK(shoal_segment_fd(shoal_segment_family()) > STDERR_FILENO);
    return 0;
}

static int stdin_closed_first(void *argument)
{
    close(STDIN_FILENO);
    CHILD_CHECK(shoal_segment_fd(shoal_segment_family()) > STDERR_FILENO);
    return stdin_closed(argument);
}

/* No descriptor of the library ends up where programs expect their standard streams. */
Test(stdio, closed_stdin_stays_closed_1_1_8, .timeout = 90)
{
    cr_assert_eq(harness_wait(harness_child(stdin_closed, NULL)), 0);
    cr_assert_eq(harness_wait(harness_child(stdin_closed_first, NULL)), 0);
}
