/* The audit tells what each process holds, and what those held that were killed. */
#include "memory.h"

#include <signal.h>

TestSuite(audit, .timeout = 60);

static shoal_segment segment;
static atom32 *holding;

static int holds(void *size)
{
    for (int i = 0; i < 3; i++)
        CHILD_CHECK(shoal_alloc_in(segment, *(size_t *)size));
    atom_store_release(holding, 1); /* release -> holder() */
    return harness_pauses(NULL);
}

static pid_t holder(size_t size)
{
    atom_store_relaxed(holding, 0);
    const pid_t pid = harness_child(holds, &size);
    cr_assert(harness_until(atom_load_acquire(holding))); /* acquire <- holds() */
    return pid;
}

Test(audit, what_the_dead_held_is_lost_until_it_is_settled, .timeout = 60)
{
    segment = memory_segment(64 << 20);
    holding = harness_shared(sizeof *holding);
    const shoal_audit before = memory_audit(segment);
    const pid_t pid = holder(5000);
    cr_assert_eq(memory_audit(segment).owned, 3 * memory_stride(5000));
    kill(pid, SIGKILL);
    cr_assert_eq(harness_wait(pid), -SIGKILL);
    const shoal_audit dead = memory_audit(segment);
    cr_assert(dead.owned == 0 && dead.lost >= 3 * memory_stride(5000));
    shl_peer_recover_all(shl_segment_of_handle(segment));
    const shoal_audit after = memory_audit(segment);
    cr_assert_eq(after.owned + after.lost, 0);
    cr_assert_eq(after.kept, before.kept);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(audit, holders_are_told_the_largest_first, .timeout = 60)
{
    static const size_t sizes[] = { 5000, 200000, 100 };
    pid_t pids[3];
    shoal_holder holders[8];
    segment = memory_segment(64 << 20);
    holding = harness_shared(sizeof *holding);
    cr_assert_eq(shoal_segment_holders(segment, holders, COUNT_OF(holders)), 0);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        pids[i] = holder(sizes[i]);
    cr_assert_eq(shoal_segment_holders(segment, holders, COUNT_OF(holders)), 3);
    static const size_t order[] = { 1, 0, 2 };
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        cr_assert_eq(holders[i].pid, pids[order[i]]);
        cr_assert_eq(holders[i].owned, 3 * memory_stride(sizes[order[i]]));
        cr_assert_eq(holders[i].payloads_count, 3);
    }
    cr_assert_eq(shoal_segment_holders(segment, holders, 1), 1);
    cr_assert_eq(holders[0].pid, pids[1]);
    cr_assert_eq(shoal_segment_holders(segment, NULL, 0), 0);
    for (size_t i = 0; i < COUNT_OF(pids); i++) {
        kill(pids[i], SIGKILL);
        cr_assert_eq(harness_wait(pids[i]), -SIGKILL);
    }
    cr_assert_eq(shoal_segment_holders(segment, holders, COUNT_OF(holders)), 0);
    assert_code(shoal_segment_detach(segment), 0);
}
