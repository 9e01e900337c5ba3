/*
 * Every kill point of the runtime, one after the other: a process is killed exactly there, or
 * stopped and killed, or stopped and let go, while others use or wait for the object. Those end in
 * time, the next one gets the right answer, and the object is as good as before.
 *
 * A lint (tests/lint/source.py) wants a row for every SHL_CHAOS() of the runtime. The last tests
 * make mistakes in the runtime and show that a row fails with each of them.
 */
#include "rows.h"

TestSuite(points, .timeout = 300);

/* 1.12.5 */
Test(points, of_locks_1_12_5, .timeout = 120)
{
    play_all(lock_rows, COUNT_OF(lock_rows));
}

/* 1.13.6 */
Test(points, of_conditions_1_13_6, .timeout = 120)
{
    play_all(condition_rows, COUNT_OF(condition_rows));
}

Test(points, of_events, .timeout = 120)
{
    play_all(event_rows, COUNT_OF(event_rows));
}

/* 1.14.3 */
Test(points, of_semaphores_1_14_3, .timeout = 120)
{
    play_all(semaphore_rows, COUNT_OF(semaphore_rows));
}

/* 2.20 */
Test(points, of_barriers_2_20, .timeout = 120)
{
    play_all(barrier_rows, COUNT_OF(barrier_rows));
}

/* 1.6.4 */
Test(points, of_queues_1_6_4, .timeout = 120)
{
    play_ring();
}

Test(points, of_queues_of_words, .timeout = 120)
{
    play_all(cells_rows, COUNT_OF(cells_rows));
}

Test(points, of_queues_of_payloads_in_cells, .timeout = 120)
{
    words_are_payloads = true;
    play_all(cells_rows, COUNT_OF(cells_rows));
}

Test(points, of_chains_of_rings, .timeout = 120)
{
    play_all(chain_rows, COUNT_OF(chain_rows));
}

Test(points, of_stores_that_move, .timeout = 120)
{
    play_all(store_rows, COUNT_OF(store_rows));
    play_all(small_store_rows, COUNT_OF(small_store_rows));
}

Test(points, of_every_wait, .timeout = 300)
{
    play_waits();
}

Test(points, of_settling_what_the_dead_left, .timeout = 120)
{
    play_all(peer_rows, COUNT_OF(peer_rows));
}

/* --- mistakes ------------------------------------------------------------------------------- */

Test(points, mistake_of_not_telling_that_the_owner_died_is_noticed, .timeout = 60)
{
    is_noticed("lock.untold", lock_rows, "takes a free lock", KILLED);
}

Test(points, mistake_of_dropping_a_dead_one_s_grant_is_noticed, .timeout = 60)
{
    is_noticed("condition.drop_grant", condition_rows, "was notified", KILLED);
}

Test(points, mistake_of_waiting_for_a_dead_party_is_noticed, .timeout = 60)
{
    is_noticed("barrier.wait_for_dead", barrier_rows, "has arrived", KILLED);
}

Test(points, mistake_of_waiting_for_a_dead_side_is_noticed, .timeout = 60)
{
    waits_dense = true;
    is_noticed("ring.wait_for_dead", ring_rows, "has entered the tail", KILLED);
}

Test(points, mistake_of_freeing_a_slot_before_it_is_settled_is_noticed, .timeout = 60)
{
    is_noticed("peer.free_first", peer_rows, "is elected", KILLED);
}

Test(points, mistake_of_taking_the_stopped_for_dead_is_noticed, .timeout = 60)
{
    is_noticed("peer.impatient", lock_rows, "takes a free lock", STOPPED_AND_LET_GO);
}

Test(points, mistake_of_not_naming_the_bell_that_is_to_be_rung_is_noticed, .timeout = 60)
{
    is_noticed("robust.no_bell", semaphore_rows, "releases a permit", KILLED);
}
