/*
 * A child is killed at each step of its end, or stopped there and killed, or stopped and let go; or
 * its creator is, with the status of an ended child in his hands. Who waits is told at once, and
 * nothing of the child is left: no process, descriptor, memory or slot, and no lock held.
 */
#include "proc/children.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "mem/peer.h"
#include "mem/segment.h"
#include "os/chaos.h"

TestSuite(exit_kill, .timeout = 120);

enum fate { KILLED, STOPPED_AND_KILLED, STOPPED_AND_LET_GO, FATES };

/* All that it has at its end. */
struct last {
    char point[24];
    enum fate fate;
    shoal_lock lock;
    shoal_queue queue;
    _Atomic pid_t *grandchild; /* in the family's memory */
};

static void comes_to(const char *point, enum fate fate)
{
    const enum shl_chaos_action action = fate == KILLED ? SHL_CHAOS_KILL : SHL_CHAOS_STOP;
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = point, .action = action });
}

static void has_it_all_and_ends(void *argument)
{
    const struct last *last = argument;
    shoal_process grandchild;
    void *message;
    const shoal_process_options options = { .target = target_pauses,
                                            .daemon = true,
                                            .start_method = SHOAL_START_FORK };
    CHILD_CHECK(shoal_process_start_new(&options, &grandchild) == 0);
    *last->grandchild = shoal_process_pid(grandchild);
    CHILD_CHECK(shoal_lock_acquire(last->lock, harness_deadline()) == 0);
    CHILD_CHECK(shoal_queue_get(last->queue, &message, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_alloc(100) != NULL);
    comes_to(last->point, last->fate);
}

/* --- what is left ---------------------------------------------------------------------------- */

struct left {
    uint64_t bytes;
    unsigned slots, fds;
};

static unsigned slots_taken(const struct shl_segment *segment)
{
    const struct peer_shm *peers = shl_at(segment, SEGMENT_PEERS_AT);
    unsigned count = 0;
    for (uint32_t i = 0; i < 2 * PEERS_MAX; i++) /* of threads and of processes */
        count += (uint16_t)atom_load_relaxed(&peers[i].word) != PEER_FREE;
    return count;
}

static struct left what_is_left(void)
{
    shl_peer_recover_all(shl_segment_family());
    return (struct left){ memory_used(), slots_taken(shl_segment_family()), harness_fds_count() };
}

static void nothing_more_is_left(const struct left *before, const char *point)
{
    const struct left after = what_is_left();
    cr_assert_eq(after.bytes, before->bytes, "%s", point);
    cr_assert_eq(after.slots, before->slots, "%s: %u slots, not %u", point, after.slots,
                 before->slots);
    cr_assert_eq(after.fds, before->fds, "%s", point);
}

/* Reaped by whomever it was left to. */
static bool is_gone(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG | __WALL) < 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

/* --- the child ------------------------------------------------------------------------------- */

static void stays_stopped_until(shoal_process process, int signal_number)
{
    const pid_t pid = shoal_process_pid(process);
    cr_assert(harness_until(harness_state(pid) == 'T'));
    cr_assert(shoal_process_is_alive(process));
    assert_code(shoal_process_join(process, SHOAL_NOW), -ETIMEDOUT);
    cr_assert_eq(kill(pid, signal_number), 0);
}

static void ends_at(struct last *last, enum shoal_start_method method)
{
    shoal_process process;
    const shoal_process_options options = { .target = has_it_all_and_ends,
                                            .argument = last,
                                            .argument_size = sizeof *last,
                                            .start_method = method };
    assert_code(shoal_queue_put_bytes(last->queue, "message", 8, SHOAL_NOW), 0);
    assert_code(shoal_process_start_new(&options, &process), 0);
    if (last->fate != KILLED)
        stays_stopped_until(process, last->fate == STOPPED_AND_KILLED ? SIGKILL : SIGCONT);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    cr_assert_eq(shoal_process_exitcode(process), last->fate == STOPPED_AND_LET_GO ? 0 : -SIGKILL,
                 "%s by method %d: %d", last->point, method, shoal_process_exitcode(process));
    assert_code(shoal_lock_acquire(last->lock, harness_deadline()), SHOAL_OWNER_DIED);
    assert_code(shoal_lock_clear_owner_died(last->lock), 0);
    assert_code(shoal_lock_release(last->lock), 0);
    assert_code(shoal_process_close(process), 0);
    cr_assert(harness_until(is_gone(*last->grandchild)));
}

/* 1.4.7, 1.6.4 */
Test(exit_kill, child_is_killed_or_stopped_at_any_step_of_its_end_1_6_4, .timeout = 120)
{
    static const char *const points[] = { "exit.begins", "exit.childless", "exit.left" };
    assert_code(harness_init(&(shoal_init_options){ .no_ready_child = true }), 0);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans come to us */
    struct last last = { .queue = queue_of(1),
                         .grandchild = shoal_calloc(1, sizeof *last.grandchild) };
    assert_code(shoal_lock_create(NULL, &last.lock), 0);
    for (int method = SHOAL_START_FORK; method <= SHOAL_START_FORKSERVER; method++) {
        child_ends(child_start(target_nothing, NULL, 0), 0); /* the server is there */
        const struct left before = what_is_left();
        for (size_t i = 0; i < FATES * COUNT_OF(points); i++) {
            snprintf(last.point, sizeof last.point, "%s", points[i / FATES]);
            last.fate = (enum fate)(i % FATES);
            ends_at(&last, (enum shoal_start_method)method);
            nothing_more_is_left(&before, last.point);
        }
    }
    assert_code(shoal_lock_destroy(last.lock), 0);
    assert_code(shoal_queue_destroy(last.queue), 0);
    shoal_free((void *)last.grandchild);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* --- its creator ----------------------------------------------------------------------------- */

static void reaps_a_child(void *argument)
{
    shoal_process child;
    const shoal_process_options options = { .target = target_nothing };
    CHILD_CHECK(shoal_process_start_new(&options, &child) == 0);
    comes_to("process.reaped", *(const enum fate *)argument);
    CHILD_CHECK(shoal_process_join(child, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(child) == 0);
}

/* 1.7.3 */
Test(exit_kill, creator_is_killed_or_stopped_with_the_status_in_his_hands_1_7_3, .timeout = 120)
{
    assert_code(harness_init(&(shoal_init_options){ .start_method = SHOAL_START_FORK }), 0);
    child_ends(child_start(target_nothing, NULL, 0), 0);
    const struct left before = what_is_left();
    for (enum fate fate = 0; fate < FATES; fate++) {
        const shoal_process creator = CHILD_START(reaps_a_child, fate);
        if (fate != KILLED)
            stays_stopped_until(creator, fate == STOPPED_AND_KILLED ? SIGKILL : SIGCONT);
        child_ends(creator, fate == STOPPED_AND_LET_GO ? 0 : -SIGKILL);
        nothing_more_is_left(&before, "process.reaped");
    }
}
