/*
 * SHOAL_CHAOS, which kills and stalls a user's processes at kill points: docs/chaos.md. That what
 * it says is kept, that the same seed does the same, and that it says so when it cannot be read.
 */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(chances, .timeout = 120);

/* --- reading it ----------------------------------------------------------------------------- */

static const char *const good[] = {
    "",
    "seed=0",
    "seed=18446744073709551615",
    "kill=0/1",
    "kill=1/1000000000",
    "points=*",
    "points=lock.*",
    "points=ring.P5",
    "stall=1/2,stall_ms=0",
    "who=all",
    "seed=42,kill=1/1000,stall=1/100,stall_ms=5,points=lock.*,who=started",
};

/* And where the text begins that cannot be read. */
static const struct {
    const char *value, *told;
} bad[] = {
    { "x", "\"x\"" },
    { ",", "\"\"" },
    { "seed=1,", "\"\"" },
    { ",seed=1", "\"\"" },
    { "seed", "\"seed\"" },
    { "seed=", "\"seed=\"" },
    { "seed=-1", "\"seed=-1\"" },
    { "seed=1 ", "\"seed=1 \"" },
    { "seed=0x10", "\"seed=0x10\"" },
    { "seed=18446744073709551616", "\"seed=18446744073709551616\"" },
    { "Seed=1", "\"Seed=1\"" },
    { "kill=1", "\"kill=1\"" },
    { "kill=1/", "\"kill=1/\"" },
    { "kill=/1", "\"kill=/1\"" },
    { "kill=1/0", "\"kill=1/0\"" },
    { "kill=2/1", "\"kill=2/1\"" },
    { "kill=1/1000000001", "\"kill=1/1000000001\"" },
    { "kill=0.5", "\"kill=0.5\"" },
    { "seed=1,stall=1/x,kill=1/2", "\"stall=1/x\"" },
    { "stall_ms=60001", "\"stall_ms=60001\"" },
    { "points=", "\"points=\"" },
    { "points=lock.*x", "\"points=lock.*x\"" },
    { "points=*.P1", "\"points=*.P1\"" },
    { "points=a_name_of_thirty_two_characters_", "\"points=a_name" },
    { "who=me", "\"who=me\"" },
    { "seed=1;kill=1/2", "\"seed=1;kill=1/2\"" },
};

static int begins(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_init(NULL, NULL, NULL) == 0);
    CHILD_CHECK(shoal_alloc(1));
    return 0;
}

Test(chances, good_values_are_read, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        setenv("SHOAL_CHAOS", good[i], 1);
        cr_assert_eq(harness_wait(harness_child(begins, NULL)), 0, "%s", good[i]);
    }
}

static int is_refused(void *argument)
{
    const char *told = argument;
    CHILD_CHECK(shoal_init(NULL, NULL, NULL) == -EINVAL);
    CHILD_CHECK(strstr(shoal_error_message(), "SHOAL_CHAOS: cannot read "));
    CHILD_CHECK(strstr(shoal_error_message(), told));
    CHILD_CHECK(!shoal_alloc(1)); /* nor without shoal_init() */
    CHILD_CHECK(strstr(shoal_error_message(), told));
    unsetenv("SHOAL_CHAOS");
    shoal_queue queue;
    CHILD_CHECK(shoal_queue_create(NULL, &queue) == 0);
    return 0;
}

Test(chances, bad_values_are_refused_by_the_first_call, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        setenv("SHOAL_CHAOS", bad[i].value, 1);
        cr_assert_eq(harness_wait(harness_child(is_refused, (void *)bad[i].told)), 0, "%s",
                     bad[i].value);
    }
}

/* --- what it does --------------------------------------------------------------------------- */

enum { PROCESSES = 3, ROUNDS_MAX = 5000 };

static struct board {
    _Atomic unsigned rounds[PROCESSES]; /* that each of them ended */
    int exitcodes[PROCESSES];
    uint64_t ns[PROCESSES]; /* that each of them took */
} * board;

struct arguments {
    shoal_lock lock;
    shoal_event event;
    int number, rounds;
};

static void uses_lock(void *argument)
{
    const struct arguments *arguments = argument;
    const uint64_t begin_ns = harness_now_ns();
    for (int i = 0; i < arguments->rounds; i++) {
        const int code = shoal_lock_acquire(arguments->lock, SHOAL_FOREVER);
        if (code < 0 || shoal_lock_release(arguments->lock) < 0)
            shoal_fail("lock: %s", shoal_error_message());
        board->rounds[arguments->number]++;
    }
    board->ns[arguments->number] = harness_now_ns() - begin_ns;
    shoal_event_set(arguments->event);
}

/* Processes one after the other, so that they come to the segment in one order. */
static int runs(void *argument)
{
    struct arguments arguments = { .rounds = *(int *)argument };
    CHILD_CHECK(shoal_lock_create(NULL, &arguments.lock) == 0);
    CHILD_CHECK(shoal_event_create(NULL, &arguments.event) == 0);
    for (int i = 0; i < PROCESSES; i++) {
        shoal_process process;
        arguments.number = i;
        const shoal_process_options options = { .target = uses_lock, SHOAL_COPY_OF(arguments) };
        CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
        CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
        board->exitcodes[i] = shoal_process_exitcode(process);
        CHILD_CHECK(shoal_process_close(process) == 0);
    }
    return 0;
}

static struct board run_with(const char *value, int rounds)
{
    board = harness_shared(sizeof *board);
    cr_assert_not_null(board);
    setenv("SHOAL_CHAOS", value, 1);
    cr_assert_eq(harness_wait(harness_child(runs, &rounds)), 0, "%s", value);
    const struct board result = *board;
    munmap(board, sizeof *board);
    return result;
}

static bool same_rounds(const struct board *a, const struct board *b)
{
    for (int i = 0; i < PROCESSES; i++)
        if (a->rounds[i] != b->rounds[i] || a->exitcodes[i] != b->exitcodes[i])
            return false;
    return true;
}

Test(chances, same_seed_does_the_same_and_another_one_does_not, .timeout = 120)
{
    int same = 0, alike = 0;
    struct board before = { 0 };
    for (int seed = 1; seed <= 6; seed++) {
        char value[64];
        snprintf(value, sizeof value, "seed=%d,kill=1/200,points=lock.P1", seed);
        const struct board once = run_with(value, ROUNDS_MAX), again = run_with(value, ROUNDS_MAX);
        cr_assert(same_rounds(&once, &again), "%s", value);
        same += same_rounds(&once, &before);
        alike += once.rounds[0] == once.rounds[1];
        before = once;
    }
    cr_assert_eq(same, 0);
    cr_assert_lt(alike, 3, "every process has chances of its own");
}

Test(chances, kills_as_often_as_it_says, .timeout = 120)
{
    unsigned rounds = 0, kills = 0;
    for (int seed = 1; seed <= 10; seed++) {
        char value[64];
        snprintf(value, sizeof value, "seed=%d,kill=1/100,points=lock.P1", seed);
        const struct board result = run_with(value, ROUNDS_MAX);
        for (int i = 0; i < PROCESSES; i++) {
            rounds += result.rounds[i];
            kills += result.exitcodes[i] == -SIGKILL;
        }
    }
    /* the seeds are fixed: so is the sum, and this is how far it may be from 100 a kill */
    cr_assert_eq(kills, 10 * PROCESSES);
    cr_assert(rounds / kills > 60 && rounds / kills < 160, "%u rounds a kill", rounds / kills);
}

static void all_ended(const struct board *result, int rounds, int exitcode)
{
    for (int i = 0; i < PROCESSES; i++) {
        cr_assert_eq(result->exitcodes[i], exitcode, "%d", result->exitcodes[i]);
        cr_assert_eq(result->rounds[i], (unsigned)rounds, "%u", result->rounds[i]);
    }
}

Test(chances, only_the_points_that_are_meant_are_struck, .timeout = 60)
{
    struct board result = run_with("kill=1/1,points=event.*", 50);
    cr_assert_eq(result.rounds[0], 50);
    cr_assert_eq(result.exitcodes[0], -SIGKILL);
    result = run_with("kill=1/1,points=lock.P", 50);
    all_ended(&result, 50, 0);
    result = run_with("kill=1/1,points=lock.P1", 50);
    all_ended(&result, 1, -SIGKILL); /* the first time a lock is found in another way */
    result = run_with("kill=0/1", 50);
    all_ended(&result, 50, 0);
    result = run_with("", 50);
    all_ended(&result, 50, 0);
}

Test(chances, stalls_as_long_as_it_says, .timeout = 60)
{
    const struct board result = run_with("stall=1/1,stall_ms=20,points=lock.P1", 4);
    all_ended(&result, 4, 0);
    for (int i = 0; i < PROCESSES; i++)
        cr_assert_geq(result.ns[i], 3 * 20 * 1000000);
}

static int locks_itself(void *argument)
{
    struct arguments arguments = { .rounds = *(int *)argument };
    CHILD_CHECK(shoal_lock_create(NULL, &arguments.lock) == 0);
    CHILD_CHECK(shoal_event_create(NULL, &arguments.event) == 0);
    uses_lock(&arguments);
    return 0;
}

Test(chances, process_that_shoal_did_not_start_is_spared_unless_all_are_meant, .timeout = 60)
{
    int rounds = 3;
    board = harness_shared(sizeof *board);
    setenv("SHOAL_CHAOS", "kill=1/1", 1);
    cr_assert_eq(harness_wait(harness_child(locks_itself, &rounds)), 0);
    setenv("SHOAL_CHAOS", "kill=1/1,who=started", 1);
    cr_assert_eq(harness_wait(harness_child(locks_itself, &rounds)), 0);
    setenv("SHOAL_CHAOS", "kill=1/1,who=all", 1);
    cr_assert_eq(harness_wait(harness_child(locks_itself, &rounds)), -SIGKILL);
}

/* --- a program that recovers ---------------------------------------------------------------- */

static int executes_recovery(void *argument)
{
    const char *program = harness_program("recovery_chaos");
    dup2(fileno(argument), STDOUT_FILENO);
    execl(program, program, (char *)NULL);
    return HARNESS_CHILD_FAILED;
}

/* docs/examples/recovery.c: the books balance, and workers were killed. Answers how many. */
static int killed_workers(int seed)
{
    char value[64];
    snprintf(value, sizeof value, "seed=%d,kill=1/200,stall=1/50", seed);
    setenv("SHOAL_CHAOS", value, 1);
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    const int status = harness_wait(harness_child(executes_recovery, file));
    rewind(file);
    int from = 0, to = 0, killed = 0;
    const int found = fscanf(file, "%d and %d %d killed", &from, &to, &killed);
    fclose(file);
    cr_assert(status == 0 && found == 3 && from == -1000 && to == 1000, "%s: %d, %d, %d and %d",
              value, status, found, from, to);
    return killed;
}

Test(chances, example_recovers_from_every_seed, .timeout = 120)
{
    int killed = 0;
    for (int seed = 1; seed <= 10; seed++)
        killed += killed_workers(seed);
    cr_assert_gt(killed, 50);
}
