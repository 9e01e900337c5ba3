/* What the players of test_points.c do: the acts, and what the director does between them. */
#ifndef TESTS_CRASH_PLAYERS_H
#define TESTS_CRASH_PLAYERS_H

#include "../chain.h"
#include "../store.h"
#include "stage.h"

/* --- locks ---------------------------------------------------------------------------------- */

static bool first_is_told; /* the settlers of the first one's lock do not become its owners */

static pid_t who_died(void)
{
    return victim_dies() && !first_is_told ? board->victim : board->first;
}

static int uses(shoal_lock lock)
{
    shoal_owner owner;
    const int code = shoal_lock_acquire(lock, SHOAL_FOREVER);
    if (code < 0)
        return code;
    if (code == SHOAL_OWNER_DIED) {
        CHILD_CHECK(shoal_lock_owner(lock, &owner) == 0);
        CHILD_CHECK(owner.pid == who_died() && owner.tid == who_died());
        CHILD_CHECK(shoal_lock_clear_owner_died(lock) == 0);
    }
    CHILD_CHECK(shoal_lock_release(lock) == 0);
    return code;
}

static int uses_lock(void)
{
    return uses(waits.lock);
}

/* The second time it is known, and taken in the shortest way. */
static int uses_lock_twice(void)
{
    CHILD_CHECK(uses_lock() == 0);
    return uses_lock();
}

static int uses_rlock(void)
{
    return uses(waits.rlock);
}

static void lock_is_free(void)
{
    CHILD_CHECK(shoal_lock_release(waits.lock) == 0);
    CHILD_CHECK(shoal_lock_release(waits.rlock) == 0);
}

static void lock_is_held(void)
{
    CHILD_CHECK(shoal_lock_acquire(waits.lock, shoal_after_ms(30)) == -ETIMEDOUT);
    CHILD_CHECK(!shoal_lock_owner_died(waits.lock));
}

static int takes_all_and_dies(void *argument)
{
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_NOW) == 0);
    for (int i = 0; i < 3; i++)
        CHILD_CHECK(shoal_lock_acquire(waits.rlock, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_semaphore_acquire(waits.owned, SHOAL_NOW) == 0);
    raise(SIGKILL);
    return argument != NULL;
}

static void first_one_dies(void)
{
    lock_is_free();
    CHILD_CHECK(shoal_semaphore_release(waits.owned) == 0);
    board->first = harness_child(takes_all_and_dies, NULL);
    CHILD_CHECK(harness_wait_ms(board->first, limit_ms) == -SIGKILL);
}

static int releases_lock(void)
{
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_NOW) == 0);
    comes();
    return shoal_lock_release(waits.lock);
}

/* By now all who died have been told. */
static void lock_works(void)
{
    CHILD_CHECK(uses_lock() == 0);
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_NOW) == -ETIMEDOUT);
}

static void rlock_works(void)
{
    CHILD_CHECK(uses_rlock() == 0);
    CHILD_CHECK(shoal_lock_release(waits.rlock) == -EPERM);
}

static void ends_lock_wait(void)
{
    CHILD_CHECK(end_lock() == 0);
}

/* --- conditions ----------------------------------------------------------------------------- */

/* Answers whether the lock's holder died; and notifies the next one. */
static int uses_condition(void)
{
    const int locked = shoal_condition_acquire(waits.condition, SHOAL_FOREVER);
    CHILD_CHECK(locked >= 0);
    board->waiting++;
    const int code = shoal_condition_wait(waits.condition, SHOAL_FOREVER);
    CHILD_CHECK(code >= 0);
    CHILD_CHECK(shoal_condition_notify(waits.condition, 1) == 0);
    CHILD_CHECK(shoal_condition_release(waits.condition) == 0);
    return locked > 0 ? locked : code;
}

static void notifies_when_two_wait(void)
{
    CHILD_CHECK(harness_until(board->waiting == 2));
    CHILD_CHECK(end_condition() == 0);
}

static void then_notifies(bool victim_died)
{
    (void)victim_died;
    notifies_when_two_wait();
}

static int notifies(void)
{
    comes();
    return end_condition();
}

static void condition_lock_is_held(void)
{
    CHILD_CHECK(shoal_condition_acquire(waits.condition, shoal_after_ms(30)) == -ETIMEDOUT);
}

static int waits_in_condition(void *argument)
{
    CHILD_CHECK(uses_condition() >= 0);
    return argument != NULL;
}

/* Who is notified wakes, and nobody had been notified before. */
static void condition_works(void)
{
    const pid_t waiter = harness_child(waits_in_condition, NULL);
    CHILD_CHECK(harness_until(is_asleep(waiter)));
    CHILD_CHECK(shoal_condition_acquire(waits.condition, limit()) >= 0);
    CHILD_CHECK(shoal_condition_wait(waits.condition, shoal_after_ms(1)) == -ETIMEDOUT);
    CHILD_CHECK(shoal_condition_release(waits.condition) == 0);
    CHILD_CHECK(!is_over(waiter));
    CHILD_CHECK(end_condition() == 0);
    CHILD_CHECK(harness_wait_ms(waiter, limit_ms) == 0);
}

/* --- events --------------------------------------------------------------------------------- */

static int sets(void)
{
    comes();
    return shoal_event_set(waits.event);
}

static int waits_for_event(void)
{
    return shoal_event_wait(waits.event, SHOAL_FOREVER);
}

static int waits_until_cancelled(void)
{
    return shoal_semaphore_acquire(waits.semaphore, shoal_until(SHOAL_FOREVER, waits.event));
}

static int waits_for_event_too(void *argument)
{
    (void)argument;
    return waits_for_event();
}

static void event_works(void)
{
    CHILD_CHECK(shoal_event_is_set(waits.event));
    CHILD_CHECK(shoal_event_clear(waits.event) == 0);
    CHILD_CHECK(shoal_event_wait(waits.event, SHOAL_NOW) == -ETIMEDOUT);
    const pid_t waiter = harness_child(waits_for_event_too, NULL);
    CHILD_CHECK(harness_until(is_asleep(waiter)));
    CHILD_CHECK(shoal_event_set(waits.event) == 0);
    CHILD_CHECK(harness_wait_ms(waiter, limit_ms) == 0);
}

/* --- semaphores ----------------------------------------------------------------------------- */

static int uses_semaphore(void)
{
    const int code = shoal_semaphore_acquire(waits.semaphore, SHOAL_FOREVER);
    return code < 0 ? code : shoal_semaphore_release(waits.semaphore);
}

static int uses_owned(void)
{
    const int code = shoal_semaphore_acquire(waits.owned, SHOAL_FOREVER);
    return code < 0 ? code : shoal_semaphore_release(waits.owned);
}

static int releases_permit(void)
{
    comes();
    return shoal_semaphore_release(waits.semaphore);
}

static int releases_owned(void)
{
    CHILD_CHECK(shoal_semaphore_acquire(waits.owned, SHOAL_NOW) == 0);
    comes();
    return shoal_semaphore_release(waits.owned);
}

static void permit_is_free(void)
{
    CHILD_CHECK(shoal_semaphore_release(waits.owned) == 0);
}

static void has_one_permit(shoal_semaphore semaphore)
{
    CHILD_CHECK(shoal_semaphore_value(semaphore) == 1);
    CHILD_CHECK(shoal_semaphore_acquire(semaphore, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_semaphore_acquire(semaphore, SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(shoal_semaphore_release(semaphore) == 0);
}

static void semaphore_has_one_permit(void)
{
    has_one_permit(waits.semaphore);
}

static void owned_has_one_permit(void)
{
    has_one_permit(waits.owned);
    CHILD_CHECK(shoal_semaphore_release(waits.owned) == -EOVERFLOW);
}

/* --- barriers ------------------------------------------------------------------------------- */

enum { BROKEN = -ECONNABORTED, PASSED_OR_BROKEN = 1000 };

static shoal_barrier barrier;

static void of_three(void)
{
    CHILD_CHECK(shoal_barrier_create(3, NULL, &barrier) == 0);
}

static void action_does_nothing(void *context)
{
    (void)context;
}

static void of_three_with_action(void)
{
    const shoal_barrier_options options = { .action = action_does_nothing };
    CHILD_CHECK(shoal_barrier_create(3, &options, &barrier) == 0);
}

static void action_comes(void *context)
{
    (void)context;
    if (!board->go)
        comes();
}

/* One who waits for the place of another, who is in the action, sleeps meanwhile. */
static void of_one_with_action(void)
{
    const shoal_barrier_options options = { .action = action_comes };
    CHILD_CHECK(shoal_barrier_create(1, &options, &barrier) == 0);
}

static int meets(void)
{
    return shoal_barrier_wait(barrier, NULL, SHOAL_FOREVER);
}

static int comes_and_meets(void)
{
    comes();
    return meets();
}

static int comes_and_aborts(void)
{
    comes();
    return shoal_barrier_abort(barrier);
}

static int passes_or_is_told(void)
{
    const int code = meets();
    return code == 0 || code == BROKEN ? PASSED_OR_BROKEN : code;
}

static void is_not_broken(void)
{
    CHILD_CHECK(!shoal_barrier_is_broken(barrier));
}

static void meets_the_others(void)
{
    CHILD_CHECK(shoal_barrier_wait(barrier, NULL, limit()) == 0);
}

/* If the victim has not died already, when it woke at its tick. */
static void meets_the_sleeping(void)
{
    const int code = shoal_barrier_wait(barrier, NULL, limit());
    CHILD_CHECK(code == 0 || (code == BROKEN && victim_dies()));
}

static void meets_the_living(bool victim_died)
{
    if (!victim_died)
        meets_the_others();
}

static int meets_too(void *argument)
{
    (void)argument;
    return meets();
}

/* Whatever it was, reset makes it as new: for others, too. */
static void barrier_works(void)
{
    pid_t parties[2];
    CHILD_CHECK(shoal_barrier_reset(barrier) == 0);
    is_not_broken();
    const int count = (int)shoal_barrier_parties(barrier) - 1;
    for (int i = 0; i < count; i++)
        parties[i] = harness_child(meets_too, NULL);
    CHILD_CHECK(harness_until(shoal_barrier_waiting(barrier) == (unsigned)count));
    meets_the_others();
    for (int i = 0; i < count; i++)
        CHILD_CHECK(harness_wait_ms(parties[i], limit_ms) == 0);
    CHILD_CHECK(shoal_barrier_destroy(barrier) == 0);
}

/* --- queues --------------------------------------------------------------------------------- */

static int puts_one(shoal_queue queue, char letter, shoal_deadline deadline)
{
    return shoal_queue_put_bytes(queue, &letter, 1, deadline);
}

/* The letter, or an error. */
static int gets_one(shoal_queue queue, shoal_deadline deadline)
{
    void *payload;
    const int code = shoal_queue_get(queue, &payload, deadline);
    if (code < 0)
        return code;
    const int letter = *(char *)payload;
    CHILD_CHECK(shoal_size(payload) == 1);
    shoal_free(payload);
    return letter;
}

static int puts_v(void)
{
    comes();
    return puts_one(waits.empty, 'v', SHOAL_FOREVER);
}

static int gets_any(void)
{
    return gets_one(waits.empty, SHOAL_FOREVER);
}

static int gets_x(void)
{
    comes();
    CHILD_CHECK(gets_one(waits.full, SHOAL_FOREVER) == 'x');
    return 0;
}

static int puts_s(void)
{
    return puts_one(waits.full, 's', SHOAL_FOREVER);
}

static void nobody_can_put(void)
{
    CHILD_CHECK(puts_one(waits.empty, 'n', shoal_after_ms(30)) == -ETIMEDOUT);
}

static void nobody_can_get(void)
{
    CHILD_CHECK(gets_one(waits.full, shoal_after_ms(30)) == -ETIMEDOUT);
}

/* The dead one's message was not put. */
static void puts_another(bool victim_died)
{
    CHILD_CHECK(!victim_died || puts_one(waits.empty, 'd', limit()) == 0);
}

/* The dead one's message was not taken. */
static void takes_instead(bool victim_died)
{
    CHILD_CHECK(!victim_died || gets_one(waits.full, limit()) == 'x');
}

static void queue_works(shoal_queue queue)
{
    CHILD_CHECK(gets_one(queue, SHOAL_NOW) == -ETIMEDOUT);
    for (char letter = 'a'; letter < 'e'; letter++) {
        CHILD_CHECK(puts_one(queue, letter, SHOAL_NOW) == 0);
        CHILD_CHECK(puts_one(queue, 'n', SHOAL_NOW) == -ETIMEDOUT);
        CHILD_CHECK(shoal_queue_qsize(queue) == 1);
        CHILD_CHECK(gets_one(queue, SHOAL_NOW) == letter);
    }
}

static void empty_works(void)
{
    queue_works(waits.empty);
}

static void full_works(void)
{
    CHILD_CHECK(gets_one(waits.full, SHOAL_NOW) == 's');
    queue_works(waits.full);
}

static int shuts_down(void)
{
    return shoal_queue_shutdown(waits.empty);
}

static void shuts_down_too(bool victim_died)
{
    (void)victim_died;
    CHILD_CHECK(shuts_down() == 0);
}

static int comes_and_shuts_down(void)
{
    comes();
    return shuts_down();
}

static int comes_and_destroys(void)
{
    comes();
    return shoal_queue_destroy(waits.empty);
}

static void destroys_too(bool victim_died)
{
    (void)victim_died;
    CHILD_CHECK(shoal_queue_destroy(waits.empty) == 0);
}

/* --- queues of words ------------------------------------------------------------------------- */

static shoal_queue words; /* of a row's own: room for one */
static bool words_are_payloads;

static void words_are_made(void)
{
    const size_t size = words_are_payloads ? 0 : sizeof(uint64_t);
    const shoal_queue_options options = { .capacity_count = 1, .value_size = size };
    CHILD_CHECK(shoal_queue_create(&options, &words) == 0);
}

static int puts_word(char letter, shoal_deadline deadline)
{
    const uint64_t word = (uint64_t)letter;
    if (words_are_payloads)
        return puts_one(words, letter, deadline);
    return shoal_queue_put_value(words, &word, sizeof word, deadline);
}

static int gets_word(shoal_deadline deadline)
{
    uint64_t word;
    if (words_are_payloads)
        return gets_one(words, deadline);
    const int code = shoal_queue_get_value(words, &word, sizeof word, deadline);
    return code < 0 ? code : (int)word;
}

static void words_are_full(void)
{
    words_are_made();
    CHILD_CHECK(puts_word('x', SHOAL_NOW) == 0);
}

static int puts_word_v(void)
{
    comes();
    return puts_word('v', SHOAL_FOREVER);
}

static int gets_any_word(void)
{
    return gets_word(SHOAL_FOREVER);
}

static int gets_word_x(void)
{
    comes();
    CHILD_CHECK(gets_word(SHOAL_FOREVER) == 'x');
    return 0;
}

static int puts_word_s(void)
{
    return puts_word('s', SHOAL_FOREVER);
}

static void puts_another_word(bool victim_died)
{
    CHILD_CHECK(!victim_died || puts_word('d', limit()) == 0);
}

static void takes_word_instead(bool victim_died)
{
    CHILD_CHECK(!victim_died || gets_word(limit()) == 'x');
}

static void words_work(void)
{
    CHILD_CHECK(gets_word(SHOAL_NOW) == -ETIMEDOUT);
    for (char letter = 'a'; letter < 'e'; letter++) {
        CHILD_CHECK(puts_word(letter, SHOAL_NOW) == 0);
        CHILD_CHECK(puts_word('n', SHOAL_NOW) == -ETIMEDOUT);
        CHILD_CHECK(shoal_queue_qsize(words) == 1 && shoal_queue_full(words));
        CHILD_CHECK(gets_word(SHOAL_NOW) == letter);
    }
    CHILD_CHECK(shoal_queue_destroy(words) == 0);
}

static void full_words_work(void)
{
    CHILD_CHECK(gets_word(SHOAL_NOW) == 's');
    words_work();
}

static int shuts_words_down(void)
{
    comes();
    const int code = shoal_queue_shutdown(words);
    return code < 0 || gets_word(SHOAL_NOW) != -EPIPE;
}

static void shuts_words_down_too(bool victim_died)
{
    (void)victim_died;
    CHILD_CHECK(shoal_queue_shutdown(words) == 0);
}

static void words_have_ended(void)
{
    CHILD_CHECK(gets_word(SHOAL_NOW) == -EPIPE && puts_word('n', SHOAL_NOW) == -EPIPE);
    CHILD_CHECK(shoal_queue_destroy(words) == 0);
}

static int destroys_words(void)
{
    comes();
    return shoal_queue_destroy(words);
}

static void destroys_words_too(bool victim_died)
{
    (void)victim_died;
    CHILD_CHECK(shoal_queue_destroy(words) == 0);
}

/* --- chains of rings ------------------------------------------------------------------------- */

/* The first ring has one cell, which is full. */
static void chain_is_full(void)
{
    CHILD_CHECK(shoal_queue_create(&(shoal_queue_options){ .value_size = 8 }, &words) == 0);
    CHILD_CHECK(chain_shrink(words.ref));
    CHILD_CHECK(puts_word('x', SHOAL_NOW) == 0);
}

/* That is drained, and two others have a word each. */
static void chain_has_rings(void)
{
    chain_is_full();
    CHILD_CHECK(puts_word('y', SHOAL_NOW) == 0);
    const struct shl_found *found = shl_find(words.ref, KIND_QUEUE);
    const struct queue_shm *queue = (const struct queue_shm *)found->object;
    CHILD_CHECK(chain_shrink(atom_load_relaxed(&queue->cells.chain.newest)));
    CHILD_CHECK(puts_word('z', SHOAL_NOW) == 0);
    CHILD_CHECK(gets_word(SHOAL_NOW) == 'x');
}

static int puts_word_c(void)
{
    return puts_word('c', SHOAL_NOW);
}

static int gets_two_words(void)
{
    const int first = gets_word(SHOAL_NOW);
    return first < 0 ? first : gets_word(SHOAL_NOW);
}

/* No ring is left over. */
static void chain_works(void)
{
    while (gets_word(SHOAL_NOW) > 0) {}
    const struct shl_found *found = shl_find(words.ref, KIND_QUEUE);
    CHILD_CHECK(found && shoal_queue_qsize(words) == 0);
    CHILD_CHECK(chain_length(found->segment, (struct queue_shm *)found->object) == 2);
    for (char letter = 'a'; letter < 'k'; letter++)
        CHILD_CHECK(puts_word(letter, SHOAL_NOW) == 0);
    for (char letter = 'a'; letter < 'k'; letter++)
        CHILD_CHECK(gets_word(SHOAL_NOW) == letter);
    CHILD_CHECK(shoal_queue_destroy(words) == 0);
}

/* A dense queue of words whose store has one cell. */
static void store_is_full(void)
{
    const shoal_queue_options options = { .value_size = 8, .bulk = true };
    CHILD_CHECK(shoal_queue_create(&options, &words) == 0);
    CHILD_CHECK(store_shrink(words.ref));
    CHILD_CHECK(puts_word('x', SHOAL_NOW) == 0);
}

/* It has grown, and was drained. */
static void store_is_empty(void)
{
    store_is_full();
    CHILD_CHECK(puts_word('y', SHOAL_NOW) == 0);
    CHILD_CHECK(gets_word(SHOAL_NOW) == 'x' && gets_word(SHOAL_NOW) == 'y');
}

static int finds_nothing(void)
{
    return gets_word(SHOAL_NOW) == -ETIMEDOUT ? 0 : -EIO;
}

/* The next one who finds it empty leaves no block beside its store. */
static void store_is_small(void)
{
    while (gets_word(SHOAL_NOW) > 0) {}
    const struct shl_found *found = shl_find(words.ref, KIND_QUEUE);
    const struct ring_shm *ring = &((struct queue_shm *)found->object)->ring;
    CHILD_CHECK(ring->spare == 0 && store_mask(ring->store) == 0);
    CHILD_CHECK(shoal_queue_destroy(words) == 0);
}

/* Who moves it holds both sides. */
static void nobody_can_move(void)
{
    CHILD_CHECK(gets_word(SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(puts_word('n', SHOAL_NOW) == -ETIMEDOUT);
}

/* Once it has grown again there is no block beside its store. */
static void store_works(void)
{
    while (gets_word(SHOAL_NOW) > 0) {}
    for (char letter = 'a'; letter < 'k'; letter++)
        CHILD_CHECK(puts_word(letter, SHOAL_NOW) == 0);
    const struct shl_found *found = shl_find(words.ref, KIND_QUEUE);
    CHILD_CHECK(found && ((struct queue_shm *)found->object)->ring.spare == 0);
    for (char letter = 'a'; letter < 'k'; letter++)
        CHILD_CHECK(gets_word(SHOAL_NOW) == letter);
    CHILD_CHECK(shoal_queue_destroy(words) == 0);
}

/* --- every wait ----------------------------------------------------------------------------- */

/* Those who take something give it back, so that one of it is enough for all. */

static int uses_full(void)
{
    const int code = puts_one(waits.full, 'x', SHOAL_FOREVER);
    return code < 0 ? code : gets_one(waits.full, SHOAL_FOREVER) - 'x';
}

static int uses_empty(void)
{
    const int code = gets_one(waits.empty, SHOAL_FOREVER);
    return code < 0 ? code : puts_one(waits.empty, (char)code, SHOAL_FOREVER);
}

static void gives_permit(void)
{
    CHILD_CHECK(end_semaphore() == 0);
}

static void gives_owned(void)
{
    CHILD_CHECK(end_owned() == 0);
}

static void gives_event(void)
{
    CHILD_CHECK(end_event() == 0);
}

static void gives_message(void)
{
    CHILD_CHECK(end_get() == 0);
}

static void gives_room(void)
{
    CHILD_CHECK(end_put() == 0);
}

/* What the dead one had taken, and nobody gets back. */

static void gives_another_permit(bool victim_died)
{
    if (victim_died)
        gives_permit();
}

static void gives_another_message(bool victim_died)
{
    if (victim_died)
        gives_message();
}

static void gives_room_again(bool victim_died)
{
    if (victim_died)
        gives_room();
}

static void room_is_left(void)
{
    queue_works(waits.full);
}

static void message_is_left(void)
{
    CHILD_CHECK(gets_one(waits.empty, SHOAL_NOW) == 'x');
    queue_works(waits.empty);
}

/* --- settling ------------------------------------------------------------------------------- */

static int settles(void)
{
    CHILD_CHECK(shl_self(shl_segment_family())); /* who is attached notes who the dead one was */
    shl_peer_recover_all(shl_segment_family());
    return 0;
}

/* To be settled by the victim, and then by the survivor: what it held, and who it was. */
static void first_one_dies_and_is_told(void)
{
    first_is_told = true;
    first_one_dies();
}

static void all_is_settled(void)
{
    CHILD_CHECK(shoal_semaphore_value(waits.owned) == 1);
    owned_has_one_permit();
    CHILD_CHECK(uses_lock() == SHOAL_OWNER_DIED);
    CHILD_CHECK(uses_rlock() == SHOAL_OWNER_DIED);
    lock_works();
    rlock_works();
}

/* The victim had taken the lock from the first one: it is its last holder. */
static void lock_is_the_settler_s(void)
{
    CHILD_CHECK(uses_lock() == SHOAL_OWNER_DIED);
    lock_works();
}

#endif
