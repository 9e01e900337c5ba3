/* Starting processes: spec 1.1, and 1.3 as far as names go. */
#include "proc/children.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(start, .timeout = 90);

enum { CHILDREN = 5 };

struct report {
    _Atomic int runs, argument, pid, parent;
};

struct numbered {
    struct report *reports;
    int number;
};

static void reports_itself(void *argument)
{
    const struct numbered *numbered = argument;
    struct report *report = &numbered->reports[numbered->number];
    report->argument = numbered->number;
    report->pid = getpid();
    report->parent = getppid();
    report->runs++;
}

/* 1.1.1: five distinct pids, none the parent's. 1.1.3: child i gets i, as it was at create. */
Test(start, five_children_run_once_with_their_arguments_1_1_1_1_1_3, .timeout = 90)
{
    struct report *reports = harness_shared(4096);
    shoal_process processes[CHILDREN];
    struct numbered argument = { .reports = reports };
    for (int i = 0; i < CHILDREN; i++) {
        argument.number = i;
        const shoal_process_options options = { .target = reports_itself, SHOAL_COPY_OF(argument) };
        assert_code(shoal_process_create(&options, &processes[i]), 0);
        cr_assert_eq(shoal_process_pid(processes[i]), 0);
        cr_assert_not(shoal_process_is_alive(processes[i]));
    }
    argument.number = 77; /* changed after create and before start */
    for (int i = 0; i < CHILDREN; i++)
        assert_code(shoal_process_start(processes[i]), 0);
    assert_code(shoal_process_join_all(processes, CHILDREN, harness_deadline()), 0);
    for (int i = 0; i < CHILDREN; i++) {
        cr_assert_eq(reports[i].runs, 1);
        cr_assert_eq(reports[i].argument, i);
        cr_assert_eq(reports[i].parent, getpid());
        cr_assert_eq(reports[i].pid, shoal_process_pid(processes[i]));
        cr_assert_neq(reports[i].pid, getpid());
        for (int k = 0; k < i; k++)
            cr_assert_neq(reports[i].pid, reports[k].pid);
        child_ends(processes[i], 0);
    }
}

static int exits_without_join(void *reports)
{
    CHILD_CHECK(shoal_init(NULL, NULL, NULL) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        const struct numbered argument = { reports, i };
        const shoal_process_options options = { .target = reports_itself,
                                                SHOAL_COPY_OF(argument),
                                                .auto_close = true };
        CHILD_CHECK(shoal_process_start_new(&options, NULL) == 0);
    }
    exit(7);
}

/* 1.1.2, 1.4.4: the exit hook joins; the parent's own exit code stays. */
Test(start, exit_joins_the_children_1_1_2, .timeout = 90)
{
    struct report *reports = harness_shared(4096);
    for (int round = 0; round < 10; round++) {
        memset((void *)reports, 0, 4096);
        cr_assert_eq(harness_wait(harness_child(exits_without_join, reports)), 7);
        for (int i = 0; i < CHILDREN; i++)
            cr_assert_eq(reports[i].runs, 1, "child %d of round %d", i, round);
    }
}

/* 1.1.3: a large argument is there whole, and it is the child's and the parent's same block. */
struct large {
    unsigned char bytes[SHOAL_PROCESS_ARGUMENT_MAX];
};

static void checks_large(void *argument)
{
    const struct large *large = argument;
    for (size_t i = 0; i < sizeof large->bytes; i++)
        CHILD_CHECK(large->bytes[i] == (unsigned char)(i * 7));
}

Test(start, largest_argument_arrives_whole_1_1_3, .timeout = 90)
{
    static struct large large;
    for (size_t i = 0; i < sizeof large.bytes; i++)
        large.bytes[i] = (unsigned char)(i * 7);
    const shoal_process process = CHILD_START(checks_large, large);
    memset(&large, 0, sizeof large);
    child_ends(process, 0);
}

static void has_no_argument(void *argument)
{
    CHILD_CHECK(argument == NULL);
}

Test(start, without_argument_the_target_gets_null, .timeout = 90)
{
    child_ends(child_start(has_no_argument, NULL, 0), 0);
}

Test(start, second_start_is_refused, .timeout = 90)
{
    const shoal_process process = child_start(target_pauses, NULL, 0);
    const pid_t pid = shoal_process_pid(process);
    assert_code(shoal_process_start(process), -EALREADY);
    cr_assert_eq(shoal_process_pid(process), pid);
    assert_code(shoal_process_close(process), -EBUSY);
    assert_code(shoal_process_kill(process), 0);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    assert_code(shoal_process_start(process), -EALREADY);
    child_ends(process, -SIGKILL);
    assert_code(shoal_process_start(process), -ESTALE);
    assert_code(shoal_process_close(process), 0);
}

/* 1.3.6, 2.1 */
Test(start, unstarted_process_is_nothing_yet_1_3_6, .timeout = 90)
{
    shoal_process process;
    const shoal_process_options options = { .target = target_nothing };
    assert_code(shoal_process_create(&options, &process), 0);
    cr_assert_eq(shoal_process_pid(process), 0);
    cr_assert_eq(shoal_process_exitcode(process), SHOAL_EXITCODE_NONE);
    cr_assert_not(shoal_process_is_alive(process));
    assert_code(shoal_process_join(process, SHOAL_FOREVER), -ESRCH);
    assert_code(shoal_process_terminate(process), -ESRCH);
    assert_code(shoal_process_kill(process), -ESRCH);
    assert_code(shoal_process_sentinel(process), -ESRCH);
    assert_code(shoal_process_close(process), 0);
    cr_assert_str_eq(shoal_process_name(process), "?");
}

/* 1.3.1, 1.3.2: the number counts constructions; names may repeat and hold spaces. */
Test(start, names_count_constructions_1_3_1_1_3_2, .timeout = 90)
{
    shoal_process processes[4];
    static const char *const given[] = { "worker 1", "worker 1", NULL, "" };
    static const char *const expected[] = { "worker 1", "worker 1", "Process-3", "" };
    for (size_t i = 0; i < COUNT_OF(processes); i++) {
        const shoal_process_options options = { .target = target_nothing, .name = given[i] };
        assert_code(shoal_process_create(&options, &processes[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(processes); i++)
        cr_assert(strcmp(shoal_process_name(processes[i]), expected[i]) == 0 || !expected[i][0],
                  "%s", shoal_process_name(processes[i]));
    for (size_t i = COUNT_OF(processes); i-- > 0;) {
        assert_code(shoal_process_start(processes[i]), 0);
        child_ends(processes[i], 0);
    }
}

static void knows_itself(void *argument)
{
    const shoal_process me = shoal_current_process();
    CHILD_CHECK(strcmp(shoal_process_name(me), argument) == 0);
    CHILD_CHECK(shoal_process_pid(me) == getpid());
    CHILD_CHECK(shoal_process_is_alive(me));
    CHILD_CHECK(shoal_process_exitcode(me) == SHOAL_EXITCODE_NONE);
    CHILD_CHECK(SHOAL_SAME(me, shoal_current_process()));
}

/* 1.3.3 */
Test(start, current_process_is_known_everywhere_1_3_3, .timeout = 90)
{
    const shoal_process root = shoal_current_process();
    cr_assert_str_eq(shoal_process_name(root), "MainProcess");
    cr_assert_eq(shoal_process_pid(root), getpid());
    cr_assert(shoal_process_is_alive(root));
    cr_assert_eq(shoal_process_exitcode(root), SHOAL_EXITCODE_NONE);
    char name[] = "a child";
    shoal_process process;
    const shoal_process_options options = { .target = knows_itself,
                                            .name = name,
                                            SHOAL_COPY_OF(name) };
    assert_code(shoal_process_start_new(&options, &process), 0);
    child_ends(process, 0);
}

static void counts_up(void *argument)
{
    (*(_Atomic int **)argument)[0]++;
}

static void starts_one_more(void *argument)
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = counts_up,
                                            .argument = argument,
                                            .argument_size = sizeof(void *) };
    counts_up(argument);
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(process) == 0);
    CHILD_CHECK(shoal_process_close(process) == 0);
}

Test(start, children_start_children, .timeout = 90)
{
    _Atomic int *count = harness_shared(4096);
    for (int i = 0; i < 5; i++)
        child_ends(CHILD_START(starts_one_more, count), 0);
    cr_assert_eq(*count, 10);
}

/* 1.1.5: nothing is kept of children that ended. */
Test(start, three_hundred_starts_leave_nothing_1_1_5, .timeout = 90)
{
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .size_max = 6 << 20 }), 0);
    static struct large large;
    child_ends(CHILD_START(target_nothing, large), 0);
    const unsigned fds = harness_fds_count();
    for (int i = 0; i < 300; i++)
        child_ends(CHILD_START(target_nothing, large), 0);
    cr_assert_eq(harness_fds_count(), fds);
}

/* --- threads -------------------------------------------------------------------------------- */

struct starter {
    pthread_t thread;
    _Atomic int *count;
    int failures;
};

static void *starts_ten(void *argument)
{
    struct starter *starter = argument;
    for (int i = 0; i < 10; i++) {
        shoal_process process = { 0 };
        const shoal_process_options options = { .target = counts_up,
                                                SHOAL_COPY_OF(starter->count) };
        starter->failures += shoal_process_start_new(&options, &process) != 0;
        starter->failures += shoal_process_join(process, harness_deadline()) != 0;
        starter->failures += shoal_process_exitcode(process) != 0;
        starter->failures += shoal_process_close(process) != 0;
    }
    return NULL;
}

Test(start, threads_start_and_join_at_once, .timeout = 90)
{
    _Atomic int *count = harness_shared(4096);
    struct starter starters[4];
    for (size_t i = 0; i < COUNT_OF(starters); i++) {
        starters[i] = (struct starter){ .count = count };
        cr_assert_eq(pthread_create(&starters[i].thread, NULL, starts_ten, &starters[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(starters); i++) {
        pthread_join(starters[i].thread, NULL);
        cr_assert_eq(starters[i].failures, 0);
    }
    cr_assert_eq(*count, 40);
}

/* --- not for others than the creator -------------------------------------------------------- */

static int is_no_creator(void *argument)
{
    const shoal_process process = *(shoal_process *)argument;
    CHILD_CHECK(shoal_process_start(process) == -ECHILD);
    return 0;
}

/* 2.6 */
Test(start, only_the_creator_starts_2_6, .timeout = 90)
{
    shoal_process process;
    const shoal_process_options options = { .target = target_nothing };
    assert_code(shoal_process_create(&options, &process), 0);
    cr_assert_eq(harness_wait(harness_child(is_no_creator, &process)), 0);
    cr_assert_eq(shoal_process_pid(process), 0);
    assert_code(shoal_process_start(process), 0);
    child_ends(process, 0);
}
