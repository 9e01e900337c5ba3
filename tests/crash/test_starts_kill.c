/*
 * The creator, the child or the fork server is killed at each step of a start, by each method: no
 * process of theirs is left, the start fails or succeeds but does not hang, and the next one does
 * what it shall. Or the child or the server is stopped there: no other call of the creator hangs.
 */
#include "proc/children.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "mem/peer.h"
#include "mem/segment.h"
#include "os/chaos.h"
#include "os/futex.h"

TestSuite(starts_kill, .timeout = 120);

#define KILL_POINT "STARTS_KILL_POINT"
#define STOP_POINT "STARTS_STOP_POINT"

static void be_killed_at(const char *point)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = point, .action = SHL_CHAOS_KILL });
}

static void be_stopped_at(const char *point)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = point, .action = SHL_CHAOS_STOP });
}

/* In those that are exec'd, before they come to shoal_init(). */
__attribute__((constructor(200))) static void plan(void)
{
    if (getenv(KILL_POINT))
        be_killed_at(getenv(KILL_POINT));
    if (getenv(STOP_POINT))
        be_stopped_at(getenv(STOP_POINT));
}

/* 0, or -EIO if each one that was tried was killed too early. */
enum { IN_TIME_OR_NOT = 1 };

struct step {
    const char *point;
    enum shoal_start_method method;
    bool creator; /* is killed there, instead of the process that he starts */
    int code;     /* of the start */
    int exitcode; /* of the child, if it is started */
};

static const struct step steps[] = {
    { "start.tied", SHOAL_START_FORK, false, -EIO, 0 },
    { "start.runs", SHOAL_START_FORK, false, 0, -SIGKILL },
    { "start.adopt", SHOAL_START_FORK, true, 0, 0 },

    { "start.vforked", SHOAL_START_SPAWN, false, -EIO, 0 },
    { "start.exec", SHOAL_START_SPAWN, true, 0, 0 },
    { "start.told", SHOAL_START_SPAWN, true, 0, 0 },
    { "start.adopt", SHOAL_START_SPAWN, true, 0, 0 },
    { "start.begins", SHOAL_START_SPAWN, false, -EIO, 0 },
    { "start.tied", SHOAL_START_SPAWN, false, -EIO, 0 },
    { "start.runs", SHOAL_START_SPAWN, false, 0, -SIGKILL },

    { "server.exec", SHOAL_START_FORKSERVER, true, 0, 0 },
    { "server.P1", SHOAL_START_FORKSERVER, true, 0, 0 },
    { "server.P4", SHOAL_START_FORKSERVER, true, 0, 0 },
    { "server.P5", SHOAL_START_FORKSERVER, true, 0, 0 },
    { "server.P2", SHOAL_START_FORKSERVER, false, -EIO, 0 }, /* each server in turn */
    { "server.forked", SHOAL_START_FORKSERVER, false, IN_TIME_OR_NOT, 0 },
    { "server.tied", SHOAL_START_FORKSERVER, false, -EIO, 0 },
    { "server.P3", SHOAL_START_FORKSERVER, false, IN_TIME_OR_NOT, -SIGKILL },
    { "start.begins", SHOAL_START_FORKSERVER, false, IN_TIME_OR_NOT, -SIGKILL },
    { "start.runs", SHOAL_START_FORKSERVER, false, 0, -SIGKILL },
};

static bool outlives; /* who is started may outlive the creator: once it is */

static void starts_and_joins(enum shoal_start_method method, const struct step *step)
{
    shoal_process process;
    const char argument[5000] = "";
    const shoal_process_options options = { .target = target_nothing,
                                            SHOAL_COPY_OF(argument),
                                            .outlives_parent = outlives,
                                            .start_method = method };
    CHILD_CHECK(shoal_process_create(&options, &process) == 0);
    const int code = shoal_process_start(process);
    CHILD_CHECK(code == step->code ||
                (step->code == IN_TIME_OR_NOT && (code == 0 || code == -EIO)));
    if (code == 0) {
        CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
        CHILD_CHECK(shoal_process_exitcode(process) == step->exitcode);
    }
    CHILD_CHECK(shoal_process_close(process) == 0);
}

static void creator(void *argument)
{
    const struct step *step = *(const struct step **)argument;
    CHILD_CHECK(step->creator || setenv(KILL_POINT, step->point, 1) == 0);
    be_killed_at(step->point);
    starts_and_joins(step->method, step);
    CHILD_CHECK(unsetenv(KILL_POINT) == 0 && !step->creator);
    be_killed_at("");
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0); /* the server, with its plan */
    starts_and_joins(step->method, &(struct step){ .code = 0 });
}

static bool all_are_gone(void)
{
    while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) {}
    return waitpid(-1, NULL, WNOHANG | __WALL) < 0;
}

Test(starts_kill, nobody_is_left_whoever_is_killed_at_any_step_1_4_7, .timeout = 120)
{
    assert_code(harness_init(NULL), 0);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);     /* orphans come to us */
    cr_assert_not(SHOAL_IS_NONE(shoal_current_process())); /* whose object stays */
    const uint64_t before = memory_used();
    for (size_t i = 0; i < 2 * COUNT_OF(steps); i++) {
        const struct step *step = &steps[i / 2];
        outlives = i % 2;
        shoal_process process;
        const shoal_process_options options = { .target = creator,
                                                SHOAL_COPY_OF(step),
                                                .start_method = SHOAL_START_FORK };
        assert_code(shoal_process_start_new(&options, &process), 0);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        cr_assert_eq(shoal_process_exitcode(process), step->creator ? -SIGKILL : 0,
                     "%s by method %d: %d", step->point, step->method,
                     shoal_process_exitcode(process));
        assert_code(shoal_process_close(process), 0);
        cr_assert(harness_until(all_are_gone()), "%s by method %d", step->point, step->method);
        shl_peer_recover_all(shl_segment_family());
        cr_assert_eq(memory_used(), before, "%s by method %d", step->point, step->method);
    }
}

/* --- stopped --------------------------------------------------------------------------------- */

struct stop {
    const char *point;
    enum shoal_start_method method;
    int code; /* of the start */
};

/* The child, whom the start waits for. */
static const struct stop half_started[] = {
    { "start.tied", SHOAL_START_FORK, 0 },         { "start.vforked", SHOAL_START_SPAWN, 0 },
    { "start.begins", SHOAL_START_SPAWN, 0 },      { "start.tied", SHOAL_START_SPAWN, 0 },
    { "start.begins", SHOAL_START_FORKSERVER, 0 },
};

struct starting {
    const struct stop *stop;
    shoal_process process;
    int code;
};

static void *starts(void *argument)
{
    struct starting *starting = argument;
    be_stopped_at(starting->stop->point);
    starting->code = shoal_process_start(starting->process);
    return NULL;
}

static pid_t stopped_child(void)
{
    siginfo_t info = { .si_pid = 0 };
    cr_assert(harness_until(waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 &&
                            info.si_pid != 0));
    return info.si_pid;
}

static void all_calls_go_on(shoal_process other, shoal_process starting)
{
    shoal_process fresh, running[2];
    cr_assert(shoal_process_is_alive(other) && !shoal_process_is_alive(starting));
    assert_code(shoal_process_join(other, SHOAL_NOW), -ETIMEDOUT);
    assert_code(shoal_process_start(other), -EALREADY);
    assert_code(shoal_process_start(starting), -EALREADY);
    assert_code(shoal_process_join(starting, harness_deadline()), -ESRCH);
    assert_code(shoal_process_kill(starting), -ESRCH);
    assert_code(shoal_process_close(starting), -EBUSY);
    cr_assert_eq(shoal_active_children(running, 2), 1);
    assert_code(shoal_process_create(&(shoal_process_options){ .target = target_nothing }, &fresh),
                0);
    assert_code(shoal_process_close(fresh), 0);
    assert_code(shoal_process_terminate(other), 0);
    child_ends(other, -SIGTERM);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

static void is_stopped_and(const struct stop *stop, int signal_number)
{
    pthread_t thread;
    struct starting starting = { .stop = stop };
    const shoal_process_setup setup = { .niceness = 1 }; /* waited for by the server's, too */
    const shoal_process_options options = { .target = target_nothing,
                                            .setup = &setup,
                                            .start_method = stop->method };
    const shoal_process other = child_start(target_pauses, NULL, 0);
    assert_code(shoal_process_create(&options, &starting.process), 0);
    cr_assert_eq(setenv(STOP_POINT, stop->point, 1), 0);
    cr_assert_eq(pthread_create(&thread, NULL, starts, &starting), 0);
    const pid_t stopped = stopped_child();
    cr_assert_eq(unsetenv(STOP_POINT), 0);
    all_calls_go_on(other, starting.process);
    cr_assert_eq(kill(stopped, signal_number), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    assert_code(starting.code, signal_number == SIGKILL ? -EIO : 0);
    if (starting.code == 0)
        child_ends(starting.process, 0);
    assert_code(shoal_process_close(starting.process), 0);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    cr_assert(waitpid(-1, NULL, WNOHANG | __WALL) < 0, "%s by method %d", stop->point,
              stop->method);
}

/* 1.5.7 */
Test(starts_kill, half_started_child_is_stopped_and_holds_up_no_other_call_1_5_7, .timeout = 120)
{
    assert_code(harness_init(&(shoal_init_options){ .start_method = SHOAL_START_FORK }), 0);
    is_stopped_and(&half_started[0], SIGCONT);
    const uint64_t before = memory_used();
    const unsigned fds_before = harness_fds_count();
    for (size_t i = 0; i < 2 * COUNT_OF(half_started); i++) {
        is_stopped_and(&half_started[i / 2], i % 2 ? SIGKILL : SIGCONT);
        shl_peer_recover_all(shl_segment_family());
        cr_assert_eq(memory_used(), before, "%s", half_started[i / 2].point);
        cr_assert_eq(harness_fds_count(), fds_before, "%s", half_started[i / 2].point);
    }
}

/* The server, and its child while it has no pid yet: both are replaced, as if they were dead. */
static const struct stop served[] = {
    { "server.P2", SHOAL_START_FORKSERVER, -EIO },
    { "server.forked", SHOAL_START_FORKSERVER, IN_TIME_OR_NOT },
    { "server.tied", SHOAL_START_FORKSERVER, -EIO },
    { "server.P3", SHOAL_START_FORKSERVER, IN_TIME_OR_NOT },
};

Test(starts_kill, stopped_server_and_its_stopped_child_are_replaced_2_9, .timeout = 120)
{
    assert_code(harness_init(NULL), 0);
    for (size_t i = 0; i < COUNT_OF(served); i++) {
        shoal_process process;
        const shoal_process_options options = { .target = target_nothing };
        cr_assert_eq(setenv(STOP_POINT, served[i].point, 1), 0);
        assert_code(shoal_process_create(&options, &process), 0);
        const int code = shoal_process_start(process);
        cr_assert(code == served[i].code || (served[i].code == IN_TIME_OR_NOT && code == 0),
                  "%s: %d", served[i].point, code);
        if (code == 0)
            assert_code(shoal_process_kill(process), 0);
        if (code == 0)
            assert_code(shoal_process_join(process, harness_deadline()), 0);
        assert_code(shoal_process_close(process), 0);
        cr_assert_eq(unsetenv(STOP_POINT), 0);
        assert_code(shoal_shutdown(harness_deadline()), 0);
        cr_assert(waitpid(-1, NULL, WNOHANG | __WALL) < 0, "%s", served[i].point);
    }
}

/* --- the creator says his word and goes ------------------------------------------------------ */

struct hurried {
    atom32 stalled, released;
    int pipe[2];
};

static void says_that_it_runs(void *argument)
{
    (void)argument;
    CHILD_CHECK(write(shoal_process_fd(0), "r", 1) == 1);
}

static int says_his_word_and_goes(void *argument)
{
    struct hurried *hurried = argument;
    const shoal_process_options options = { .target = says_that_it_runs,
                                            .outlives_parent = true,
                                            .start_method = SHOAL_START_SPAWN,
                                            .fds = &hurried->pipe[1],
                                            .fds_count = 1,
                                            .auto_close = true };
    CHILD_CHECK(harness_init(NULL) == 0);
    CHILD_CHECK(setenv(STOP_POINT, "start.unheard", 1) == 0);
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = "start.adopt",
                                             .action = SHL_CHAOS_STALL,
                                             .stalled = &hurried->stalled,
                                             .released = &hurried->released });
    CHILD_CHECK(shoal_process_start_new(&options, NULL) == 0);
    _exit(0);
}

static pid_t only_child_of(pid_t pid)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    FILE *file = fopen(path, "re");
    cr_assert(file && fscanf(file, "%d", &child) == 1);
    fclose(file);
    return child;
}

/* It has waited in vain, and looks who its parent is when he has said it after all, and gone. */
Test(starts_kill, survivor_runs_though_its_creator_is_gone_with_his_word, .timeout = 120)
{
    char byte;
    struct hurried *hurried = harness_shared(sizeof *hurried);
    cr_assert_eq(pipe(hurried->pipe), 0);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans come to us */
    const pid_t creator = harness_child(says_his_word_and_goes, hurried);
    cr_assert(harness_until(atom_load_relaxed(&hurried->stalled)));
    const pid_t child = only_child_of(creator);
    cr_assert(harness_until(harness_state(child) == 'T'));
    atom_store_relaxed(&hurried->released, 1);
    shl_futex_wake(&hurried->released, 1);
    cr_assert_eq(harness_wait(creator), 0);
    cr_assert_eq(kill(child, SIGCONT), 0);
    close(hurried->pipe[1]);
    cr_assert_eq(read(hurried->pipe[0], &byte, 1), 1, "it has ended");
    cr_assert_eq(harness_wait(child), 0);
    close(hurried->pipe[0]);
}

/* --- trees ----------------------------------------------------------------------------------- */

static void kills_a_tree(void *argument)
{
    shoal_process process;
    const shoal_process_options options = { .target = target_pauses };
    (void)argument;
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    be_killed_at("tree.stopped");
    CHILD_CHECK(shoal_process_kill_tree(process) == 0);
}

/* 1.6.5: killed while he has them stopped, he takes his children with him. */
Test(starts_kill, killer_of_a_tree_is_killed_1_6_5, .timeout = 120)
{
    const shoal_process process = child_start(kills_a_tree, NULL, 0);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans come to us */
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    cr_assert_eq(shoal_process_exitcode(process), -SIGKILL);
    cr_assert(harness_until(all_are_gone()));
    assert_code(shoal_process_close(process), 0);
}
