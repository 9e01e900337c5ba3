/*
 * Purpose. A barrier that breaks when one of its parties dies, instead of waiting for it.
 *
 * Layout. barrier_shm.h.
 *
 * Protocol. wait   B1 a place: arrived in round r
 *                  B2 all places have arrived: state moves on, by anybody who sees it; with an
 *                     action, one moves it to ACTING, runs it and moves it on
 *                  B3 wake all, told = the state's round
 *                  B4 else sleep at {bell, state, the lives of the registered, the places of those
 *                     who have not come}; who wakes looks for B2, for the dead, and for a B3 that
 *                     was not done
 *                  B5 the place is left
 *                The bell is pending all the while.
 * The number of a place is the party's index: each is taken by one party a round.
 *
 * Order. [barrier.state] arrival release -> B2; B2 release -> who is let through. seq_cst for
 * [park.flag].
 *
 * Who finds no place sleeps at {bell, state, crowded}: odd from before he looks, moved on by B5.
 *
 * Progress. Killed before B1 a party was not there; after it, or if it was there in an earlier
 * round, its death breaks the barrier. Killed inside wait the kernel wakes one who sees that, or
 * does its B3.
 */
#include "sync/barrier_shm.h"

#include "mem/name.h"
#include "mem/object.h"
#include "os/chaos.h"
#include "sync/park.h"
#include "sync/settle.h"

#include <shoal/sync.h>

static const char broken[] = "the barrier is broken";

struct attempt {
    const struct shl_segment *segment;
    struct barrier_shm *barrier;
    uint64_t ref;
    uint32_t owner;
    uint32_t round; /* that it has arrived in */
    uint32_t index; /* its place */
};

/* Another process may have damaged it. */
static uint32_t parties_of(const struct barrier_shm *barrier)
{
    bool possible = barrier->parties <= BARRIER_PARTIES_MAX || SHL_MISTAKE("barrier.parties");
    return likely(possible) ? barrier->parties : BARRIER_PARTIES_MAX;
}

static uint64_t state_make(uint32_t round, uint32_t phase)
{
    return (uint64_t)(round & BARRIER_ROUND_MASK) << 32 | phase;
}

static uint32_t state_round(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static uint32_t state_phase(uint64_t state)
{
    return (uint32_t)state & 3;
}

static uint64_t place_make(uint32_t round, uint32_t owner)
{
    return (uint64_t)round << 33 | owner;
}

/* A place without a party keeps its last round: see is_before(). */
static uint64_t place_free(uint32_t round)
{
    return place_make(round, 0) | PLACE_LEFT;
}

static bool has_arrived(uint64_t place, uint32_t round)
{
    return place != 0 && PLACE_ROUND(place) == round && !(place & PLACE_LEFT);
}

static bool is_dead(const struct shl_segment *segment, uint32_t owner)
{
    return shl_thread_is_gone(segment, shl_owner_long(owner));
}

static uint64_t state_of(struct barrier_shm *barrier)
{
    /* [barrier.state] acquire <- whoever moved it; seq_cst for [park.flag]. */
    return atom_load_seq_cst(&barrier->state);
}

/* B3. */
static void tell(struct barrier_shm *barrier)
{
    uint64_t state = state_of(barrier);
    uint32_t now = state_round(state) << 2 | state_phase(state);
    if (atom_load_relaxed(&barrier->told) == now || SHL_MISTAKE("barrier.B3"))
        return;
    shl_futex_wake(&barrier->bell.bell,
                   INT32_MAX); /* whatever the flag says: see B3 of a dead one */
    atom_store_relaxed(&barrier->told, now);
}

static bool move(struct barrier_shm *barrier, uint64_t from, uint64_t to)
{
    struct robust_list *before = shl_pending_set(&barrier->bell.bell);
    /* [barrier.state] release -> who is let through; seq_cst for [park.flag]. */
    bool moved = atom_cas_seq_cst_64(&barrier->state, from, to);
    SHL_CHAOS("barrier.B3");
    if (moved)
        tell(barrier);
    shl_pending_clear(before);
    return moved;
}

static bool all_arrived(struct barrier_shm *barrier, uint32_t round)
{
    for (uint32_t i = 0; i < parties_of(barrier); i++)
        /* [barrier.state] acquire <- arrive(). */
        if (!has_arrived(atom_load_acquire(&barrier->places[i]), round))
            return false;
    return true;
}

/* B2. */
static void complete(const struct attempt *attempt, uint64_t state)
{
    struct barrier_shm *barrier = attempt->barrier;
    uint32_t round = state_round(state);
    uint64_t next = state_make(round + 1, BARRIER_FILLING);
    if (!barrier->action) {
        move(barrier, state, next);
        return;
    }
    uint64_t acting = state_make(round, BARRIER_ACTING) | (uint64_t)attempt->owner << 2;
    /* [barrier.state] acq_rel: the one who runs the action. */
    if (!atom_cas_acq_rel_64(&barrier->state, state, acting))
        return;
    void (*action)(void *) = (void (*)(void *))(uintptr_t)barrier->action;
    shl_self_pointer->inside++; /* it may detach this segment */
    action((void *)(uintptr_t)barrier->context);
    shl_self_pointer->inside--;
    SHL_CHAOS("barrier.acted");
    move(barrier, acting, next);
}

/* The first registered party that is dead, or a dead actor: then the round cannot be completed. */
static bool somebody_died(const struct attempt *attempt, uint64_t state)
{
    struct barrier_shm *barrier = attempt->barrier;
    if (SHL_MISTAKE("barrier.wait_for_dead"))
        return false;
    if (state_phase(state) == BARRIER_ACTING)
        return is_dead(attempt->segment, (uint32_t)(state >> 2) & 0x3fffffff);
    for (uint32_t i = 0; i < parties_of(barrier); i++) {
        uint64_t place = atom_load_relaxed(&barrier->places[i]);
        if (PLACE_OWNER(place) != 0 && is_dead(attempt->segment, PLACE_OWNER(place)))
            return true;
    }
    return false;
}

static void watch_state(struct barrier_shm *barrier, uint64_t state, struct shl_watches *watches)
{
    atom32 *halves = (atom32 *)(void *)&barrier->state;
    shl_watch(watches, &halves[0])->expected = (uint32_t)state;
    shl_watch(watches, &halves[1])->expected = (uint32_t)(state >> 32);
}

/* The lives of those who are registered; and the places of those who have not come, since of who
 * comes and dies before we sleep nobody would tell us. */
static void watch_parties(const struct attempt *attempt, struct shl_watches *watches)
{
    for (uint32_t i = 0; i < parties_of(attempt->barrier); i++) {
        atom64 *word = &attempt->barrier->places[i];
        uint64_t place = atom_load_relaxed(word);
        uint32_t alive, owner = PLACE_OWNER(place);
        if (!has_arrived(place, attempt->round))
            shl_watch(watches, (atom32 *)(void *)word)->expected = owner;
        if (owner == 0 || owner == attempt->owner || SHL_MISTAKE("barrier.life"))
            continue;
        atom32 *life = shl_thread_life(attempt->segment, shl_owner_long(owner), &alive);
        if (life)
            shl_watch(watches, life)->expected = alive;
        else
            watches->soon = true;
    }
}

static void break_it(struct barrier_shm *barrier, uint64_t state)
{
    move(barrier, state, state_make(state_round(state), BARRIER_BROKEN));
}

/* Was the round it arrived in completed? Else it was broken or reset. */
static int outcome(const struct attempt *attempt, uint64_t state)
{
    /* [barrier.state] acquire <- reset clears the places before it moves the state. */
    uint64_t place = atom_load_acquire(&attempt->barrier->places[attempt->index]);
    bool reset = place != place_make(attempt->round, attempt->owner);
    bool same_round = state_round(state) == attempt->round;
    return reset || same_round ? shl_error(-ECONNABORTED, broken) : 0;
}

/* B2, B4. */
static int attempt_pass(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    struct barrier_shm *barrier = attempt->barrier;
    for (;;) {
        uint64_t state = state_of(barrier);
        if (!shl_object_is(&barrier->object, attempt->ref))
            return shl_error(-ESTALE, "the barrier was destroyed");
        if (state_round(state) != attempt->round || state_phase(state) == BARRIER_BROKEN) {
            tell(barrier);
            return outcome(attempt, state);
        }
        if (state_phase(state) == BARRIER_FILLING && all_arrived(barrier, attempt->round))
            complete(attempt, state);
        else if (ret_watches->count > 0 && somebody_died(attempt, state))
            break_it(barrier, state);
        else {
            watch_state(barrier, state, ret_watches);
            if (ret_watches->count > 2)
                watch_parties(attempt, ret_watches);
            return -EAGAIN;
        }
    }
}

/* A place that has been in the round, or in a later one, must not be taken for it: the round may be
 * over, and who has read the state before would believe that it was completed with him. */
static bool is_before(uint64_t place, uint32_t round)
{
    return SHL_MISTAKE("barrier.late") || place == 0 ||
           ((round - PLACE_ROUND(place) - 1) & BARRIER_ROUND_MASK) < (1u << 30);
}

/* May this place be taken? One's own; nobody's; that of one who has left. */
static bool is_mine(uint64_t place, uint32_t owner)
{
    return place != 0 && PLACE_OWNER(place) == owner;
}

static bool is_free(uint64_t place, uint32_t round)
{
    return PLACE_OWNER(place) == 0 && is_before(place, round);
}

static bool is_vacant(uint64_t place, uint32_t round)
{
    return place == 0 || ((place & PLACE_LEFT) && is_before(place, round));
}

/* B1: -EAGAIN while every place is taken by parties of a round that is not over. */
static int arrive(struct attempt *attempt, bool (*may)(uint64_t, uint32_t), uint32_t key)
{
    struct barrier_shm *barrier = attempt->barrier;
    for (uint32_t i = 0; i < parties_of(barrier); i++) {
        uint64_t place = atom_load_relaxed(&barrier->places[i]);
        if (!may(place, key))
            continue;
        /* [barrier.state] release -> all_arrived(); seq_cst for [park.flag]. */
        if (atom_cas_seq_cst_64(&barrier->places[i], place,
                                place_make(attempt->round, attempt->owner))) {
            attempt->index = i;
            SHL_CHAOS("barrier.B2");
            return 0;
        }
    }
    return -EAGAIN;
}

/* Whoever leaves a place from now on moves the word on: see vacate(). */
static uint32_t make_crowded(struct barrier_shm *barrier)
{
    for (;;) {
        uint32_t seen = atom_load_relaxed(&barrier->crowded);
        /* [barrier.state] seq_cst: odd before the places are looked at again. */
        if (atom_cas_seq_cst_32(&barrier->crowded, seen, seen | 1))
            return seen | 1;
    }
}

static int attempt_arrive(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    struct barrier_shm *barrier = attempt->barrier;
    uint64_t state = state_of(barrier);
    if (!shl_object_is(&barrier->object, attempt->ref))
        return shl_error(-ESTALE, "the barrier was destroyed");
    if (state_phase(state) == BARRIER_BROKEN)
        return shl_error(-ECONNABORTED, broken);
    attempt->round = state_round(state);
    if (arrive(attempt, is_mine, attempt->owner) == 0 ||
        arrive(attempt, is_free, attempt->round) == 0)
        return 0;
    if (somebody_died(attempt, state)) { /* whose place is not another's before that is known */
        break_it(barrier, state);
        return shl_error(-ECONNABORTED, broken);
    }
    if (arrive(attempt, is_vacant, attempt->round) == 0)
        return 0;
    uint32_t crowded = make_crowded(barrier);
    if (arrive(attempt, is_vacant, attempt->round) == 0)
        return 0;
    watch_state(barrier, state, ret_watches);
    shl_watch(ret_watches, &barrier->crowded)->expected = crowded;
    return -EAGAIN;
}

static int find(shoal_barrier handle, struct attempt *ret_attempt)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_BARRIER);
    if (!found)
        return shl_error_code();
    *ret_attempt = (struct attempt){ .segment = found->segment,
                                     .barrier = (struct barrier_shm *)found->object,
                                     .ref = handle.ref,
                                     .owner = found->self->owner_long };
    return 0;
}

static int park(struct attempt *attempt, int (*what)(void *, struct shl_watches *),
                shoal_deadline deadline)
{
    struct shl_watches watches;
    shl_watches_init(&watches);
    int code = what(attempt, &watches);
    struct shl_park_for wait = { .attempt = what,
                                 .context = attempt,
                                 .object = &attempt->barrier->object,
                                 .ref = attempt->ref };
    return code == -EAGAIN ? shl_park(&attempt->barrier->bell, &wait, deadline) : code;
}

/* A wait that ended before its outcome breaks the barrier for all; unless it comes meanwhile. */
static int give_up(struct attempt *attempt, int code)
{
    for (;;) {
        uint64_t state = state_of(attempt->barrier);
        if (state_round(state) != attempt->round)
            return outcome(attempt, state);
        if (state_phase(state) == BARRIER_BROKEN)
            return code;
        if (state_phase(state) ==
            BARRIER_ACTING) /* all are here: the action's end is the outcome */
            return park(attempt, attempt_pass, SHOAL_FOREVER);
        break_it(attempt->barrier, state);
    }
}

/* B5. Who waits for a place looks again. */
static void vacate(struct barrier_shm *barrier, uint32_t index, uint64_t from, uint64_t to)
{
    struct robust_list *before = shl_pending_set(&barrier->bell.bell);
    /* [barrier.state] release -> the place's next party; seq_cst against attempt_arrive(). */
    atom_cas_seq_cst_64(&barrier->places[index], from, to);
    SHL_CHAOS("barrier.B5");
    /* [barrier.state] seq_cst: likewise. Even, and another value than any before. */
    uint32_t crowded = atom_load_seq_cst(&barrier->crowded);
    if (unlikely(crowded & 1)) {
        atom_cas_seq_cst_32(&barrier->crowded, crowded, crowded + 1); /* [barrier.state] likewise */
        shl_park_ring_slow(&barrier->bell, INT32_MAX);
    }
    shl_pending_clear(before);
}

static void leave(const struct attempt *attempt)
{
    uint64_t mine = place_make(attempt->round, attempt->owner);
    vacate(attempt->barrier, attempt->index, mine, mine | PLACE_LEFT);
}

static int meet(struct attempt *attempt, shoal_deadline deadline)
{
    int code = park(attempt, attempt_arrive, deadline);
    if (code < 0)
        return code == -ETIMEDOUT ? shl_error(code, "the barrier is busy with a round") : code;
    code = park(attempt, attempt_pass, deadline);
    if (code == -ETIMEDOUT || code == -ECANCELED)
        code = give_up(attempt, code);
    leave(attempt);
    return code == -ETIMEDOUT ? shl_error(code, "not all parties came to the barrier") : code;
}

int shoal_barrier_wait(shoal_barrier handle, unsigned *ret_index, shoal_deadline deadline)
{
    struct attempt attempt;
    int code = find(handle, &attempt);
    if (code < 0)
        return code;
    /* All the while, the action included: who slept before we came does not watch our life. */
    struct robust_list *before = shl_pending_set(&attempt.barrier->bell.bell);
    if (SHL_MISTAKE("barrier.pending"))
        shl_pending_clear(before);
    code = meet(&attempt, deadline);
    shl_pending_clear(before);
    if (code == 0 && ret_index)
        *ret_index = attempt.index;
    return code;
}

int shoal_barrier_abort(shoal_barrier handle)
{
    struct attempt attempt;
    int code = find(handle, &attempt);
    while (code == 0) {
        uint64_t state = state_of(attempt.barrier);
        if (state_phase(state) == BARRIER_BROKEN)
            break;
        break_it(attempt.barrier, state);
    }
    return code;
}

int shoal_barrier_reset(shoal_barrier handle)
{
    struct attempt attempt;
    int code = find(handle, &attempt);
    if (code < 0)
        return code;
    for (;;) {
        uint64_t state = state_of(attempt.barrier);
        for (uint32_t i = 0; i < parties_of(attempt.barrier); i++) {
            uint64_t place = atom_load_relaxed(&attempt.barrier->places[i]);
            /* [barrier.state] release -> outcome(): cleared before the state moves. */
            atom_cas_release_64(&attempt.barrier->places[i], place, place_free(state_round(state)));
        }
        if (move(attempt.barrier, state, state_make(state_round(state) + 1, BARRIER_FILLING)))
            return 0;
    }
}

bool shoal_barrier_is_broken(shoal_barrier handle)
{
    struct attempt attempt;
    return find(handle, &attempt) == 0 && state_phase(state_of(attempt.barrier)) == BARRIER_BROKEN;
}

unsigned shoal_barrier_parties(shoal_barrier handle)
{
    struct attempt attempt;
    return find(handle, &attempt) == 0 ? parties_of(attempt.barrier) : 0;
}

unsigned shoal_barrier_waiting(shoal_barrier handle)
{
    struct attempt attempt;
    unsigned count = 0;
    if (find(handle, &attempt) < 0)
        return 0;
    uint32_t round = state_round(state_of(attempt.barrier));
    for (uint32_t i = 0; i < parties_of(attempt.barrier); i++)
        count += has_arrived(atom_load_relaxed(&attempt.barrier->places[i]), round);
    return count;
}

int shoal_barrier_create(unsigned parties, const shoal_barrier_options *options,
                         shoal_barrier *ret_barrier)
{
    REQUIRE(ret_barrier, -EINVAL, "no place for the handle");
    REQUIRE(parties >= 1 && parties <= BARRIER_PARTIES_MAX, -EINVAL,
            "a barrier has 1 to 1024 parties");
    shoal_barrier_options chosen = options ? *options : (shoal_barrier_options){ 0 };
    REQUIRE_RESERVED(&chosen);
    struct shl_segment *segment = shl_segment_of_handle(chosen.segment);
    struct object_shm *object = segment ? shl_object_create(segment, POOL_BARRIER) : NULL;
    if (!object)
        return shl_error_code();
    struct barrier_shm *barrier = (struct barrier_shm *)object;
    uint32_t round = state_round(atom_load_relaxed(&barrier->state)) + 1; /* never one of before */
    for (uint32_t i = 0; i < BARRIER_PARTIES_MAX; i++)
        atom_store_relaxed(&barrier->places[i], 0);
    barrier->parties = parties;
    barrier->action = (uint64_t)(uintptr_t)chosen.action;
    barrier->context = (uint64_t)(uintptr_t)chosen.context;
    atom_store_relaxed(&barrier->state, state_make(round, BARRIER_FILLING));
    if (chosen.ends_with_creator)
        shl_object_tie(segment, object);
    ret_barrier->ref = shl_object_publish(object, KIND_BARRIER);
    return 0;
}

int shoal_barrier_open(shoal_segment segment, const char *name, shoal_barrier *ret_barrier)
{
    return shl_name_open(segment, name, KIND_BARRIER, ret_barrier ? &ret_barrier->ref : NULL);
}

int shoal_barrier_destroy(shoal_barrier handle)
{
    if (SHOAL_IS_NONE(handle))
        return 0;
    struct attempt attempt;
    int code = find(handle, &attempt);
    if (code < 0)
        return code == -ESTALE ? 0 : code;
    shl_park_end(attempt.segment, &attempt.barrier->object, handle.ref, &attempt.barrier->bell);
    return 0;
}

/* A party that leaves in peace is no party any more; one that died breaks the barrier. */
static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    struct barrier_shm *barrier = (struct barrier_shm *)object;
    struct attempt attempt = { .segment = segment, .barrier = barrier };
    for (uint32_t i = 0; i < parties_of(barrier); i++) {
        uint64_t place = atom_load_relaxed(&barrier->places[i]);
        if (!shl_is_dead_thread_long(dead, PLACE_OWNER(place)))
            continue;
        uint64_t state = state_of(barrier);
        if (!dead->left && state_phase(state) != BARRIER_BROKEN)
            break_it(attempt.barrier, state);
        vacate(barrier, i, place, place_free(PLACE_ROUND(place)));
    }
}

const struct shl_settler shl_barrier_settler = { .settle = settle,
                                                 .bell = SHL_BELL_AT(barrier_shm) };
