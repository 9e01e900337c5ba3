/* The table of test_points.c: what is played at every kill point. */
#ifndef TESTS_CRASH_ROWS_H
#define TESTS_CRASH_ROWS_H

#include "players.h"

static const struct row lock_rows[] = {
    { "lock.P1", "takes a free lock", .act = uses_lock_twice, .other = uses_lock,
      .if_dead = SHOAL_OWNER_DIED, .before = lock_is_free, .meanwhile = lock_is_held,
      .after = lock_works },
    { "lock.P3", "takes a dead one's lock", .act = uses_lock, .other = uses_lock,
      .if_dead = SHOAL_OWNER_DIED, .before = first_one_dies, .after = lock_works },
    { "lock.P3", "takes a dead one's recursive lock", .act = uses_rlock, .other = uses_rlock,
      .if_dead = SHOAL_OWNER_DIED, .before = first_one_dies, .after = rlock_works },
    { "lock.P4", "is about to wait", .act = uses_lock, .other = uses_lock, .lure = ends_lock_wait,
      .after = lock_works },
    { "lock.P6", "releases a lock that others wait for", .act = releases_lock, .other = uses_lock,
      .survivors = 2, .before = lock_is_free, .lure = goes, .after = lock_works },
};

static const struct row condition_rows[] = {
    { "condition.C2", "has an entry, and the lock", .act = uses_condition, .other = uses_condition,
      .if_dead = SHOAL_OWNER_DIED, .meanwhile = condition_lock_is_held, .then = then_notifies,
      .after = condition_works },
    { "condition.C3", "has let the lock go", .act = uses_condition, .other = uses_condition,
      .then = then_notifies, .after = condition_works },
    { "condition.C4", "was notified", .act = uses_condition, .other = uses_condition,
      .lure = notifies_when_two_wait, .after = condition_works },
    { "condition.C5", "was notified, and has the lock", .act = uses_condition,
      .other = uses_condition, .if_dead = SHOAL_OWNER_DIED, .late = true,
      .lure = notifies_when_two_wait, .meanwhile = condition_lock_is_held,
      .after = condition_works },
    { "condition.grant", "notifies", .act = notifies, .other = uses_condition,
      .if_dead = SHOAL_OWNER_DIED, .lure = goes, .meanwhile = condition_lock_is_held,
      .after = condition_works },
};

static const struct row event_rows[] = {
    { "event.S3", "sets, and has woken nobody", .act = sets, .other = waits_for_event,
      .survivors = 2, .lure = goes, .after = event_works },
    { "event.S3", "sets what cancels", .act = sets, .other = waits_until_cancelled,
      .if_dead = -ECANCELED, .if_alive = -ECANCELED, .survivors = 2, .lure = goes,
      .after = event_works },
    { "event.S4", "sets, and has woken all", .act = sets, .other = waits_for_event, .survivors = 2,
      .lure = goes, .after = event_works },
};

static const struct row semaphore_rows[] = {
    { "semaphore.ring", "releases a permit", .act = releases_permit, .other = uses_semaphore,
      .survivors = 2, .lure = goes, .after = semaphore_has_one_permit },
    { "semaphore.ring", "releases an owned permit", .act = releases_owned, .other = uses_owned,
      .survivors = 2, .before = permit_is_free, .lure = goes, .after = owned_has_one_permit },
};

static const struct row barrier_rows[] = {
    { "barrier.B2", "has arrived", .act = meets, .other = meets, .if_dead = BROKEN,
      .before = of_three, .meanwhile = is_not_broken, .then = meets_the_living,
      .after = barrier_works },
    { "barrier.B2", "has come to one who sleeps", .act = comes_and_meets, .other = meets,
      .if_dead = BROKEN, .before = of_three, .lure = goes, .meanwhile = is_not_broken,
      .then = meets_the_living, .after = barrier_works },
    { "barrier.B3", "completes the round", .act = comes_and_meets, .other = meets, .survivors = 2,
      .before = of_three, .lure = goes, .after = barrier_works },
    { "barrier.B3", "breaks it", .act = comes_and_aborts, .other = meets, .if_dead = BROKEN,
      .if_alive = BROKEN, .survivors = 2, .before = of_three, .lure = goes,
      .after = barrier_works },
    { "barrier.acted", "has run the action", .act = comes_and_meets, .other = meets,
      .if_dead = BROKEN, .survivors = 2, .before = of_three_with_action, .lure = goes,
      .meanwhile = is_not_broken, .after = barrier_works },
    { "barrier.B5", "has left its place", .act = meets, .other = passes_or_is_told,
      .if_dead = PASSED_OR_BROKEN, .if_alive = PASSED_OR_BROKEN, .before = of_one_with_action,
      .lure = goes, .meanwhile = is_not_broken, .after = barrier_works },
};

static const struct row ring_rows[] = {
    { "ring.P2", "is about to enter the tail", .act = puts_v, .other = gets_any, .if_dead = 'd',
      .if_alive = 'v', .lure = goes, .then = puts_another, .after = empty_works },
    { "ring.P3", "has entered the tail", .act = puts_v, .other = gets_any, .if_dead = 'd',
      .if_alive = 'v', .lure = goes, .meanwhile = nobody_can_put, .then = puts_another,
      .after = empty_works },
    { "ring.P4", "is about to write the cell", .act = puts_v, .other = gets_any, .if_dead = 'd',
      .if_alive = 'v', .lure = goes, .meanwhile = nobody_can_put, .then = puts_another,
      .after = empty_works },
    { "ring.P5", "is about to commit its put", .act = puts_v, .other = gets_any, .if_dead = 'd',
      .if_alive = 'v', .lure = goes, .meanwhile = nobody_can_put, .then = puts_another,
      .after = empty_works },
    { "ring.P6", "has put, and woken nobody", .act = puts_v, .other = gets_any, .if_dead = 'v',
      .if_alive = 'v', .lure = goes, .after = empty_works },
    { "ring.P2", "is about to enter the head", .act = gets_x, .other = puts_s, .lure = goes,
      .then = takes_instead, .after = full_works },
    { "ring.P3", "has entered the head", .act = gets_x, .other = puts_s, .lure = goes,
      .meanwhile = nobody_can_get, .then = takes_instead, .after = full_works },
    { "ring.P4", "is about to read the cell", .act = gets_x, .other = puts_s, .lure = goes,
      .meanwhile = nobody_can_get, .then = takes_instead, .after = full_works },
    { "ring.P5", "is about to commit its get", .act = gets_x, .other = puts_s, .lure = goes,
      .meanwhile = nobody_can_get, .then = takes_instead, .after = full_works },
    { "ring.P6", "has got, and woken nobody", .act = gets_x, .other = puts_s, .lure = goes,
      .after = full_works },
    { "ring.P3", "shuts down", .act = comes_and_shuts_down, .other = gets_any, .if_dead = -EPIPE,
      .if_alive = -EPIPE, .survivors = 2, .lure = goes, .then = shuts_down_too },
    { "ring.P3", "destroys, with both sides", .passes = 1, .act = comes_and_destroys,
      .other = gets_any, .if_dead = -ESTALE, .if_alive = -ESTALE, .survivors = 2, .lure = goes,
      .then = destroys_too },
};

static const struct row cells_rows[] = {
    { "cells.P1", "is inside, to put", .act = puts_word_v, .other = gets_any_word, .if_dead = 'd',
      .if_alive = 'v', .before = words_are_made, .lure = goes, .then = puts_another_word,
      .after = words_work },
    { "cells.P4", "is about to fill a cell", .act = puts_word_v, .other = gets_any_word,
      .if_dead = 'd', .if_alive = 'v', .before = words_are_made, .lure = goes,
      .then = puts_another_word, .after = words_work },
    { "cells.P5", "has filled a cell, and woken nobody", .act = puts_word_v, .other = gets_any_word,
      .if_dead = 'v', .if_alive = 'v', .before = words_are_made, .lure = goes,
      .after = words_work },
    { "cells.P1", "is inside, to take", .act = gets_word_x, .other = puts_word_s,
      .before = words_are_full, .lure = goes, .then = takes_word_instead,
      .after = full_words_work },
    { "cells.P4", "is about to empty a cell", .act = gets_word_x, .other = puts_word_s,
      .before = words_are_full, .lure = goes, .then = takes_word_instead,
      .after = full_words_work },
    { "cells.P5", "has emptied a cell, and woken nobody", .act = gets_word_x, .other = puts_word_s,
      .before = words_are_full, .lure = goes, .after = full_words_work },
    { "cells.sealed", "shuts words down", .act = shuts_words_down, .other = gets_any_word,
      .if_dead = -EPIPE, .if_alive = -EPIPE, .survivors = 2, .before = words_are_made, .lure = goes,
      .then = shuts_words_down_too, .after = words_have_ended },
    { "cells.closes", "is about to close what was shut down", .act = shuts_words_down,
      .other = gets_any_word, .if_dead = -EPIPE, .if_alive = -EPIPE, .survivors = 2,
      .before = words_are_made, .lure = goes, .after = words_have_ended },
    { "cells.ended", "has ended words", .act = destroys_words, .other = gets_any_word,
      .if_dead = -ESTALE, .if_alive = -ESTALE, .survivors = 2, .before = words_are_made,
      .lure = goes, .then = destroys_words_too },
};

static const struct row chain_rows[] = {
    { "chain.C2", "has made a ring", .act = puts_word_c, .other = puts_word_s,
      .before = chain_is_full, .after = chain_works },
    { "chain.C3", "has put a ring behind another", .act = puts_word_c, .other = puts_word_s,
      .before = chain_is_full, .after = chain_works },
    { "chain.E1", "is about to pass a drained ring", .act = gets_two_words, .other = puts_word_s,
      .before = chain_has_rings, .after = chain_works },
    { "chain.E2", "has passed a drained ring", .act = gets_two_words, .other = puts_word_s,
      .before = chain_has_rings, .after = chain_works },
    { "chain.E3", "has ended a drained ring", .act = gets_two_words, .other = puts_word_s,
      .before = chain_has_rings, .after = chain_works },
    { "object.finishes", "has freed a drained ring", .act = gets_two_words, .other = puts_word_s,
      .before = chain_has_rings, .after = chain_works },
};

static const struct row store_rows[] = {
    { "store.M1", "has made a store", .act = puts_word_c, .other = puts_word_s,
      .before = store_is_full, .meanwhile = nobody_can_move, .after = store_works },
    { "store.freed", "is about to copy into it", .act = puts_word_c, .other = puts_word_s,
      .before = store_is_full, .meanwhile = nobody_can_move, .after = store_works },
    { "store.M4", "is about to move there", .act = puts_word_c, .other = puts_word_s,
      .before = store_is_full, .meanwhile = nobody_can_move, .after = store_works },
    { "store.M5", "has moved there", .act = puts_word_c, .other = puts_word_s,
      .before = store_is_full, .meanwhile = nobody_can_move, .after = store_works },
    { "store.freed", "has freed the old one", .passes = 1, .act = puts_word_c,
      .other = puts_word_s, .before = store_is_full, .meanwhile = nobody_can_move,
      .after = store_works },
};

/* Likewise to a smaller one. */
static const struct row small_store_rows[] = {
    { "store.M4", "is about to move to a small store", .act = finds_nothing, .other = finds_nothing,
      .before = store_is_empty, .after = store_is_small },
    { "store.M5", "has moved to a small store", .act = finds_nothing, .other = finds_nothing,
      .before = store_is_empty, .after = store_is_small },
};

/* At each of these points, in whatever wait, nothing has been taken yet. */
static const char *const park_points[] = { "park.W1", "park.W2", "park.W3", "park.W4" };

static const struct row wait_rows[] = {
    { NULL, "of a lock", .act = uses_lock, .other = uses_lock, .lure = ends_lock_wait,
      .after = lock_works },
    { NULL, "of a semaphore", .act = uses_semaphore, .other = uses_semaphore, .lure = gives_permit,
      .after = semaphore_has_one_permit },
    { NULL, "of an owned semaphore", .act = uses_owned, .other = uses_owned, .lure = gives_owned,
      .after = owned_has_one_permit },
    { NULL, "of an event", .act = waits_for_event, .other = waits_for_event, .survivors = 2,
      .lure = gives_event, .after = event_works },
    { NULL, "of a condition", .act = uses_condition, .other = uses_condition,
      .lure = notifies_when_two_wait, .after = condition_works },
    { NULL, "of a get", .act = uses_empty, .other = uses_empty, .lure = gives_message,
      .after = message_is_left },
    { NULL, "of a put", .act = uses_full, .other = uses_full, .lure = gives_room,
      .after = room_is_left },
};

static const struct row park_rows[] = {
    { "park.W1", "of a barrier", .act = meets, .other = meets, .if_dead = BROKEN,
      .before = of_three, .meanwhile = is_not_broken, .then = meets_the_living,
      .after = barrier_works },
    { "park.W2", "of a barrier", .act = meets, .other = meets, .if_dead = BROKEN,
      .before = of_three, .meanwhile = is_not_broken, .then = meets_the_living,
      .after = barrier_works },
    { "park.W3", "of a barrier", .act = meets, .other = meets, .if_dead = BROKEN,
      .before = of_three, .meanwhile = is_not_broken, .then = meets_the_living,
      .after = barrier_works },
    { "park.W4", "of a barrier", .act = meets, .other = passes_or_is_told,
      .if_dead = PASSED_OR_BROKEN, .if_alive = PASSED_OR_BROKEN, .before = of_three,
      .lure = meets_the_sleeping, .after = barrier_works },
    { "park.W5", "of a lock", .act = uses_lock, .other = uses_lock, .if_dead = SHOAL_OWNER_DIED,
      .may_overtake = true, .lure = ends_lock_wait, .meanwhile = lock_is_held,
      .after = lock_works },
    { "park.W5", "of a semaphore", .act = uses_semaphore, .other = uses_semaphore,
      .lure = gives_permit, .then = gives_another_permit, .after = semaphore_has_one_permit },
    { "park.W5", "of an owned semaphore", .act = uses_owned, .other = uses_owned,
      .lure = gives_owned, .after = owned_has_one_permit },
    { "park.W5", "of an event", .act = waits_for_event, .other = waits_for_event, .survivors = 2,
      .lure = gives_event, .after = event_works },
    { "park.W5", "of a condition", .act = uses_condition, .other = uses_condition,
      .lure = notifies_when_two_wait, .after = condition_works },
    { "park.W5", "of a barrier", .act = meets, .other = meets, .before = of_three,
      .lure = meets_the_others, .after = barrier_works },
    { "park.W5", "of a get", .act = uses_empty, .other = uses_empty, .lure = gives_message,
      .then = gives_another_message, .after = message_is_left },
    { "park.W5", "of a put", .act = uses_full, .other = uses_full, .lure = gives_room,
      .then = gives_room_again, .after = room_is_left },
};

static const struct row peer_rows[] = {
    { "peer.R2", "is elected", .act = settles, .other = settles,
      .before = first_one_dies_and_is_told, .after = all_is_settled },
    { "peer.R3", "has settled the thread", .act = settles, .other = settles,
      .before = first_one_dies_and_is_told, .after = all_is_settled },
    { "peer.R4", "has settled the process", .act = settles, .other = settles,
      .before = first_one_dies_and_is_told, .after = all_is_settled },
    { "peer.R5", "has freed the slot", .act = settles, .other = settles,
      .before = first_one_dies_and_is_told, .after = all_is_settled },
    { "lock.P3", "takes a dead one's lock to free it", .act = settles, .other = settles,
      .before = first_one_dies, .after = lock_is_the_settler_s },
};

static void play_all(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (enum fate how = 0; how < FATES_COUNT; how++)
            cr_assert_eq(play(&rows[i], how), 0, "%s, %s: %s", rows[i].point, rows[i].what,
                         fate_names[how]);
}

static void play_ring(void)
{
    waits_dense = true;
    play_all(ring_rows, COUNT_OF(ring_rows));
    waits_dense = false;
}

static void play_waits(void)
{
    for (size_t i = 0; i < COUNT_OF(park_points); i++)
        for (size_t k = 0; k < COUNT_OF(wait_rows); k++) {
            struct row there = wait_rows[k];
            there.point = park_points[i];
            play_all(&there, 1);
        }
    play_all(park_rows, COUNT_OF(park_rows));
}

/* With the mistake the row fails, by what a player finds or waits for and not by a crash. */
static void is_noticed(const char *mistake, const struct row *rows, const char *what, enum fate how)
{
    while (strcmp(rows->what, what) != 0)
        rows++;
    limit_ms = 3000; /* how long a play that must fail may hang */
    shl_mistake = mistake;
    const int status = play(rows, how);
    shl_mistake = NULL;
    cr_assert(status == HARNESS_CHILD_FAILED || status == LATE, "%s: %d", mistake, status);
}

#endif
