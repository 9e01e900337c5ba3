/* The harness finds what it must find: each scenario is a test of its own that has to fail. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(harness, .timeout = 90);

/* --- the judge, asked directly -------------------------------------------------------------- */

/* The judge's answer about a scenario, found in a process of its own. */
static int judged(void *scenario)
{
    struct harness_baseline baseline;
    char text[1024];
    void (*function)(void);
    memcpy(&function, scenario, sizeof function);
    harness_baseline_take(&baseline);
    function();
    const unsigned leaks = harness_leaks(&baseline, text, sizeof text);
    CHILD_CHECK((leaks == 0) == (text[0] == 0));
    return (int)leaks;
}

static int judgement_of(void (*scenario)(void))
{
    return harness_wait(harness_child(judged, &scenario));
}

static void nothing(void)
{
}

static void tidy(void)
{
    shoal_segment segment;
    CHILD_CHECK(shoal_segment_create(NULL, &segment) == 0);
    CHILD_CHECK(shoal_segment_detach(segment) == 0);
    CHILD_CHECK(harness_wait_ms(harness_child(harness_pauses, NULL), 1) == HARNESS_HUNG);
    shoal_free(shoal_alloc(100));
}

static void child_left(void)
{
    harness_child(harness_pauses, NULL);
}

static int forks_and_ends(void *argument)
{
    (void)argument;
    if (fork() == 0)
        harness_pauses(NULL);
    return 0;
}

static void grandchild_left(void)
{
    CHILD_CHECK(harness_wait(harness_child(forks_and_ends, NULL)) == 0);
}

static int ends(void *argument)
{
    (void)argument;
    return 0;
}

static void zombie_left(void)
{
    siginfo_t info;
    const pid_t pid = harness_child(ends, NULL);
    CHILD_CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
}

static void fd_left(void)
{
    CHILD_CHECK(open("/dev/null", O_RDONLY) >= 0);
}

static void fd_closed(void)
{
    close(STDIN_FILENO);
}

static void fd_exchanged(void)
{
    const int fd = open("/proc/self/maps", O_RDONLY);
    CHILD_CHECK(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    close(fd);
}

static void segment_left(void)
{
    shoal_segment segment;
    CHILD_CHECK(!SHOAL_IS_NONE(shoal_segment_family()));
    CHILD_CHECK(shoal_segment_create(NULL, &segment) == 0);
}

static void mapping_left(void)
{
    for (int i = 0; i < 2; i++) {
        const int fd = memfd_create("shoal-left", MFD_CLOEXEC);
        CHILD_CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
        CHILD_CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
        close(fd);
    }
}

static void file_left(void)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/harness-%d", getpid());
    const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHILD_CHECK(fd >= 0);
    close(fd);
}

/* Removes what a scenario left in /dev/shm. */
static void files_remove(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/harness-%d", pid);
    unlink(path);
}

Test(harness, judge_accepts_a_tidy_scenario, .timeout = 90)
{
    cr_assert_eq(judgement_of(nothing), 0);
    cr_assert_eq(judgement_of(tidy), 0);
}

Test(harness, judge_finds_processes, .timeout = 90)
{
    cr_assert_eq(judgement_of(child_left), HARNESS_LEAK_PROCESS);
    cr_assert_eq(judgement_of(grandchild_left), HARNESS_LEAK_PROCESS);
    cr_assert_eq(judgement_of(zombie_left), HARNESS_LEAK_PROCESS);
}

Test(harness, judge_finds_descriptors, .timeout = 90)
{
    cr_assert_eq(judgement_of(fd_left), HARNESS_LEAK_FD);
    cr_assert_eq(judgement_of(fd_closed), HARNESS_LEAK_FD);
    cr_assert_eq(judgement_of(fd_exchanged), HARNESS_LEAK_FD);
}

Test(harness, judge_finds_mappings, .timeout = 90)
{
    cr_assert_eq(judgement_of(mapping_left), HARNESS_LEAK_MAPPING);
    cr_assert_eq(judgement_of(segment_left), HARNESS_LEAK_MAPPING | HARNESS_LEAK_FD);
}

Test(harness, judge_finds_files, .timeout = 90)
{
    void (*scenario)(void) = file_left;
    const pid_t pid = harness_child(judged, &scenario);
    const int leaks = harness_wait(pid);
    files_remove(pid);
    cr_assert_eq(leaks, HARNESS_LEAK_FILE);
}

/* --- children ------------------------------------------------------------------------------- */

static int returns_77(void *argument)
{
    (void)argument;
    return 77;
}

static int check_fails(void *argument)
{
    (void)argument;
    close(STDERR_FILENO);
    CHILD_CHECK(1 + 1 == 3);
    return 0;
}

static int dies(void *argument)
{
    (void)argument;
    raise(SIGKILL);
    return 0;
}

Test(harness, child_reports_code_signal_and_failed_check, .timeout = 90)
{
    cr_assert_eq(harness_wait(harness_child(returns_77, NULL)), 77);
    cr_assert_eq(harness_wait(harness_child(dies, NULL)), -SIGKILL);
    cr_assert_eq(harness_wait(harness_child(check_fails, NULL)), HARNESS_CHILD_FAILED);
}

Test(harness, child_that_hangs_is_killed, .timeout = 90)
{
    const pid_t pid = harness_child(harness_pauses, NULL);
    cr_assert_eq(harness_wait_ms(pid, 20), HARNESS_HUNG);
    cr_assert(kill(pid, 0) < 0 && errno == ESRCH);
    cr_assert_eq(harness_wait(pid), HARNESS_LOST);
}

static int has_child_and_pauses(void *argument)
{
    *(_Atomic pid_t *)argument = harness_child(harness_pauses, NULL);
    return harness_pauses(NULL);
}

/* By the signal, or at once if its parent was gone before it had asked for the signal. */
static bool ended_with_parent(pid_t pid)
{
    const int status = harness_wait(pid);
    return status == -SIGKILL || status == HARNESS_CHILD_FAILED;
}

Test(harness, child_dies_with_its_creator, .timeout = 90)
{
    _Atomic pid_t *grandchild = harness_shared(4096);
    const pid_t child = harness_child(has_child_and_pauses, (void *)grandchild);
    cr_assert(harness_until(*grandchild != 0));
    kill(child, SIGKILL);
    cr_assert_eq(harness_wait(child), -SIGKILL);
    cr_assert(harness_gone(*grandchild));
    cr_assert(ended_with_parent(*grandchild));
    munmap((void *)grandchild, 4096);
}

Test(harness, until_tells_the_condition, .timeout = 90)
{
    int rounds = 0;
    cr_assert(harness_until(++rounds > 300));
    cr_assert_eq(rounds, 301);
    cr_assert_not(harness_until_ms(false, 1));
    struct harness_poll late = { .end_ns = 1 };
    cr_assert_not(harness_poll_again(&late));
}

/* --- whole tests that must fail ------------------------------------------------------------- */

/* Runs one test of the failing program; its output goes into @fd. */
static pid_t failing_start(const char *test, int fd)
{
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    char filter[128];
    snprintf(filter, sizeof filter, "failing/%s", test);
    /* A program of Criterion finds its parent's sandbox in these and would not start. */
    unsetenv("BXFI_MAP");
    unsetenv("BXF_INIT_LOCK");
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    const char *program = harness_program("harness_failing");
    execl(program, program, "--filter", filter, (char *)NULL);
    _exit(127);
}

static int failing_code(const char *test)
{
    const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const int code = harness_wait(failing_start(test, fd));
    close(fd);
    return code;
}

Test(harness, leaking_and_hanging_tests_fail, .timeout = 90)
{
    cr_assert_eq(failing_code("passes"), 0);
    static const char *const tests[] = { "leaves_a_child", "leaves_a_descriptor",
                                         "leaves_a_segment", "leaves_a_file", "does_not_end" };
    for (size_t i = 0; i < COUNT_OF(tests); i++)
        cr_assert_eq(failing_code(tests[i]), 1, "%s", tests[i]);
}

Test(harness, nothing_survives_a_killed_runner, .timeout = 90)
{
    int ends_of[2];
    cr_assert_eq(pipe(ends_of), 0);
    const pid_t runner = failing_start("waits_to_be_killed", ends_of[1]);
    close(ends_of[1]);
    FILE *output = fdopen(ends_of[0], "r");
    char line[256];
    int worker = 0, child = 0;
    while (child == 0 && fgets(line, sizeof line, output))
        (void)sscanf(line, "pids %d %d", &worker, &child);
    fclose(output);
    cr_assert(worker > 0 && child > 0);
    kill(runner, SIGKILL);
    cr_assert_eq(harness_wait(runner), -SIGKILL);
    snprintf(line, sizeof line, "/tmp/criterion_%d.sock", runner);
    unlink(line); /* Criterion's; it had no time to do so */
    cr_assert(harness_gone(worker) && harness_gone(child));
    cr_assert_eq(harness_wait(worker), -SIGKILL);
    cr_assert(ended_with_parent(child));
    /* Whatever else the runner had forked comes to us, and dies by itself. */
    cr_assert(harness_until(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD));
}

/* --- random numbers ------------------------------------------------------------------------- */

Test(harness, random_numbers_repeat_from_their_seed, .timeout = 90)
{
    uint64_t one = 7, same = 7, other = 8;
    const uint64_t first = harness_random(&one);
    cr_assert_eq(first, harness_random(&same));
    cr_assert_neq(first, harness_random(&other));
    cr_assert_neq(first, harness_random(&one));
    setenv("SHOAL_TEST_SEED", "12345", 1);
    cr_assert_eq(harness_seed("repeat"), 12345);
}
