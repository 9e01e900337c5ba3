/* A process is ended with all that descends from it, however that was started: spec 1.6.5. */
#include "proc/children.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

TestSuite(tree, .timeout = 90);

enum { MEMBERS_MAX = 64 };

/* In the family's memory, which lies at one address. */
struct tree {
    enum shoal_start_method method;
    _Atomic int count;
    _Atomic pid_t pids[MEMBERS_MAX];
    _Atomic int told;
};

static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                   SHOAL_START_FORKSERVER };

static bool joins(struct tree *tree)
{
    const int place = tree->count++;
    if (place < MEMBERS_MAX)
        tree->pids[place] = getpid();
    return place < MEMBERS_MAX;
}

/* Two generations by plain fork, the first in a session of its own. */
static void forks_two(struct tree *tree)
{
    if (fork() != 0)
        return;
    setsid();
    fork();
    joins(tree);
    target_pauses(NULL);
}

static void forks_and_stays(void *argument)
{
    struct tree *tree = *(struct tree **)argument;
    forks_two(tree);
    joins(tree);
    target_pauses(NULL);
}

enum { GROWN = 6 };

static void has_all_kinds(void *argument)
{
    struct tree *tree = *(struct tree **)argument;
    const shoal_process_options options = { .target = forks_and_stays,
                                            .start_method = tree->method,
                                            SHOAL_COPY_OF(tree),
                                            .auto_close = true };
    CHILD_CHECK(shoal_process_start_new(&options, NULL) == 0);
    forks_and_stays(argument);
}

static shoal_process start(struct tree *tree, void (*target)(void *))
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target,
                                            .start_method = tree->method,
                                            SHOAL_COPY_OF(tree) };
    assert_code(shoal_process_start_new(&options, &process), 0);
    return process;
}

/* Who was orphaned by it is this process's to reap. */
static void all_end_with(const struct tree *tree, shoal_process process, int code)
{
    const pid_t root = shoal_process_pid(process);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    cr_assert_eq(shoal_process_exitcode(process), code);
    const int count = tree->count < MEMBERS_MAX ? tree->count : MEMBERS_MAX;
    for (int i = 0; i < count; i++)
        cr_assert(tree->pids[i] == root || harness_gone(tree->pids[i]),
                  "process %d of the tree is left", i);
    for (int i = 0; i < count; i++) /* now that their parents are gone too */
        if (tree->pids[i] != root)
            waitpid(tree->pids[i], NULL, 0);
    assert_code(shoal_process_close(process), 0);
}

/* 1.6.5, by each method */
Test(tree, everybody_is_killed_1_6_5, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    struct tree *tree = shoal_calloc(1, sizeof *tree);
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        *tree = (struct tree){ .method = methods[i] };
        const shoal_process process = start(tree, has_all_kinds);
        cr_assert(harness_until(tree->count == GROWN));
        assert_code(shoal_process_kill_tree(process), 0);
        all_end_with(tree, process, -SIGKILL);
    }
    shoal_free(tree);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    while (waitpid(-1, NULL, 0) > 0) {} /* the servers of those that are dead */
}

/* Each has children all the time, while it is killed. */
static void grows(void *argument)
{
    struct tree *tree = *(struct tree **)argument;
    while (joins(tree))
        fork();
    target_pauses(NULL);
}

Test(tree, nobody_escapes_who_is_being_born_1_6_5, .timeout = 90)
{
    uint64_t state = harness_seed("nobody_escapes_who_is_being_born");
    struct tree *tree = harness_shared(sizeof *tree);
    for (int i = 0; i < 10; i++) {
        *tree = (struct tree){ .method = SHOAL_START_FORK };
        const shoal_process process = start(tree, grows);
        const int grown = 1 + (int)(harness_random(&state) % (MEMBERS_MAX - 1));
        cr_assert(harness_until(tree->count >= grown));
        assert_code(shoal_process_kill_tree(process), 0);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        assert_code(shoal_process_close(process), 0);
        /* As a subreaper this process inherits every process that is left, known or not. */
        cr_assert(harness_until(waitpid(-1, NULL, WNOHANG) < 0), "round %d", i);
    }
}

static struct tree *of_this_one;

static void is_told(int number)
{
    (void)number;
    of_this_one->told++;
    _exit(3);
}

static void ends_when_told(void *argument)
{
    of_this_one = *(struct tree **)argument;
    signal(SIGTERM, is_told);
    forks_and_stays(argument);
}

/* SIGTERM is theirs to handle: they are stopped no more when it comes. */
Test(tree, everybody_is_told_to_terminate_1_6_5, .timeout = 90)
{
    struct tree *tree = harness_shared(sizeof *tree);
    tree->method = SHOAL_START_FORK;
    const shoal_process process = start(tree, ends_when_told);
    cr_assert(harness_until(tree->count == GROWN / 2));
    assert_code(shoal_process_terminate_tree(process), 0);
    all_end_with(tree, process, 3);
    cr_assert_eq(tree->told, GROWN / 2);
}

/* Without a descriptor to look by, or for all that there are: nobody is signalled, and everybody
 * goes on. */
Test(tree, failure_changes_nothing, .timeout = 90)
{
    struct tree *tree = harness_shared(sizeof *tree);
    tree->method = SHOAL_START_FORK;
    const shoal_process process = start(tree, ends_when_told);
    cr_assert(harness_until(tree->count == GROWN / 2));
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const int next = dup(STDERR_FILENO); /* the lowest that is free */
    close(next);
    for (int i = 0; i < 3; i++) { /* none; one for the folder; one more for its entries */
        const struct rlimit few = { (rlim_t)(next + i), limit.rlim_max };
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
        const int code = shoal_process_terminate_tree(process);
        cr_assert(i == 1 || code == -EMFILE, "with %d: %d", i, code);
    }
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_code(shoal_process_terminate_tree(process), 0);
    all_end_with(tree, process, 3);
    cr_assert_eq(tree->told, GROWN / 2);
}

Test(tree, tree_of_who_is_not_a_running_child, .timeout = 90)
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target_nothing };
    assert_code(shoal_process_create(&options, &process), 0);
    assert_code(shoal_process_kill_tree(process), -ESRCH);
    assert_code(shoal_process_start(process), 0);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    assert_code(shoal_process_kill_tree(process), 0);
    assert_code(shoal_process_terminate_tree(process), 0);
    child_ends(process, 0);
    assert_code(shoal_process_kill_tree(process), -ESTALE);
    assert_code(shoal_process_kill_tree((shoal_process){ 0 }), -EINVAL);
}
