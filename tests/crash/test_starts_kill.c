/*
 * The creator, the child or the fork server is killed at each step of a start, by each method: no
 * process of theirs is left, the start fails or succeeds but does not hang, and the next one does
 * what it shall.
 */
#include "proc/children.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "mem/peer.h"
#include "mem/segment.h"
#include "os/chaos.h"

TestSuite(starts_kill, .timeout = 120);

#define POINT "STARTS_KILL_POINT"

static void be_killed_at(const char *point)
{
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = point, .action = SHL_CHAOS_KILL });
}

/* In those that are exec'd, before they come to shoal_init(). */
__attribute__((constructor(200))) static void plan(void)
{
    const char *point = getenv(POINT);
    if (point)
        be_killed_at(point);
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
    CHILD_CHECK(step->creator || setenv(POINT, step->point, 1) == 0);
    if (step->creator || step->method == SHOAL_START_FORK)
        be_killed_at(step->point);
    starts_and_joins(step->method, step);
    CHILD_CHECK(unsetenv(POINT) == 0 && !step->creator);
    be_killed_at("");
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0); /* the server, with its plan */
    starts_and_joins(step->method, &(struct step){ .code = 0 });
}

/* Of the family's memory, by objects and payloads. */
static uint64_t used(void)
{
    shoal_audit audit;
    cr_assert_eq(shoal_segment_audit((shoal_segment){ 0 }, &audit), 0);
    cr_assert_eq(audit.lost + audit.damaged, 0);
    return audit.owned + audit.objects;
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
    const uint64_t before = used();
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
        cr_assert_eq(used(), before, "%s by method %d", step->point, step->method);
    }
}

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
