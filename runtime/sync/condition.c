/*
 * Purpose. A condition whose notify never waits for, and is never lost to, a killed waiter.
 *
 * Layout. condition_shm.h.
 *
 * Protocol. wait    C1 an entry, WAITING (the lock is held)  C2 the lock is let go
 *                   C3 sleep until the entry is GRANTED, or give up: WAITING -> free
 *                   C4 the lock again, as deep as it was  C5 the entry is free
 *           notify  with the lock and the bell pending: the live WAITING entry with the smallest
 *                   ticket becomes GRANTED, and is woken at its word
 *           tidy    who wakes at the bell instead does what a dead one left: wakes the GRANTED,
 *                   frees the entries of the dead and passes their grants on; so does who was
 *                   granted himself and finds the notifier dead
 *
 * Order. [condition.entry] WAITING -> GRANTED release -> the waiter; the lock orders everything
 * else.
 *
 * Progress. Killed after its grant and before C5 a waiter's grant goes to another one: at once if
 * it slept at the bell, at the next tick or settling if it was waiting for the lock. Two who tidy
 * at once, or a kill between passing on and freeing, may grant once too often: to the waiter a
 * spurious wake-up.
 */
#include "sync/condition_shm.h"

#include "mem/name.h"
#include "mem/object.h"
#include "os/chaos.h"
#include "sync/lock.h"
#include "sync/park.h"
#include "sync/settle.h"

#include <shoal/sync.h>

static atom32 *low_half(atom64 *word)
{
    return (atom32 *)(void *)word;
}

static uint32_t entries_used(struct condition_shm *condition)
{
    uint32_t used = atom_load_relaxed(&condition->entries_used);
    return used < CONDITION_WAITERS_MAX ? used : CONDITION_WAITERS_MAX;
}

static bool is_dead(const struct shl_segment *segment, uint64_t entry)
{
    return shl_thread_is_dead(segment, shl_owner_long(ENTRY_OWNER(entry)));
}

/* The live entry that has been WAITING longest, of those with tickets before `horizon`; or NULL.
 * Frees dead ones on its way. */
static atom64 *oldest(const struct shl_segment *segment, struct condition_shm *condition,
                      uint32_t horizon, uint64_t *ret_entry)
{
    atom64 *found = NULL;
    uint32_t used = entries_used(condition);
    for (uint32_t i = 0; i < used; i++) {
        uint64_t entry = atom_load_relaxed(&condition->entries[i]);
        if (ENTRY_STATE(entry) != ENTRY_WAITING)
            continue;
        if (is_dead(segment, entry)) {
            /* [condition.entry] release: as if it had given up. */
            atom_cas_release_64(&condition->entries[i], entry, 0);
            continue;
        }
        if ((int32_t)(ENTRY_TICKET(entry) - horizon) >= 0)
            continue;
        if (found && (int32_t)(ENTRY_TICKET(entry) - ENTRY_TICKET(*ret_entry)) > 0)
            continue;
        found = &condition->entries[i];
        *ret_entry = entry;
    }
    return found;
}

/* Grants one of those who waited when the tickets stood at `horizon`: false if there is none. */
static bool grant(const struct shl_segment *segment, struct condition_shm *condition,
                  uint32_t horizon)
{
    for (;;) {
        uint64_t entry = 0;
        atom64 *place = oldest(segment, condition, horizon, &entry);
        if (!place)
            return false;
        uint64_t granted = (uint64_t)horizon << 32 | ENTRY_GRANTED | ENTRY_OWNER(entry);
        /* [condition.entry] release -> attempt_wait(). */
        if (!atom_cas_release_64(place, entry, granted))
            continue; /* gave up, or was granted by another */
        SHL_CHAOS("condition.grant");
        shl_futex_wake(low_half(place), 1);
        return true;
    }
}

/* A dead one's entry: a grant goes to the next one first. */
static void free_dead(const struct shl_segment *segment, struct condition_shm *condition,
                      atom64 *place, uint64_t entry)
{
    if (ENTRY_STATE(entry) == ENTRY_GRANTED && !SHL_MISTAKE("condition.drop_grant"))
        grant(segment, condition, ENTRY_TICKET(entry));
    /* [condition.entry] release: nobody's any more. */
    atom_cas_release_64(place, entry, 0);
}

static void tidy(const struct shl_segment *segment, struct condition_shm *condition)
{
    uint32_t used = entries_used(condition);
    for (uint32_t i = 0; i < used; i++) {
        uint64_t entry = atom_load_relaxed(&condition->entries[i]);
        if (entry == 0)
            continue;
        if (is_dead(segment, entry))
            free_dead(segment, condition, &condition->entries[i], entry);
        else if (ENTRY_STATE(entry) == ENTRY_GRANTED && !SHL_MISTAKE("condition.tidy"))
            shl_futex_wake(low_half(&condition->entries[i]), 1);
    }
}

/* The notifier's duty, if it died between a grant and its wake. The kernel's wake may have gone to
 * one who was woken already by a grant of his own, and did not tidy. */
static void notify_for_dead(const struct shl_segment *segment, struct condition_shm *condition)
{
    uint32_t notifier = atom_load_relaxed(&condition->notifier);
    if (likely(notifier == 0) || !shl_thread_is_dead(segment, shl_owner_long(notifier)) ||
        SHL_MISTAKE("condition.notifier"))
        return;
    tidy(segment, condition);
    /* [condition.entry] release: as it would have left it. */
    atom_cas_release_32(&condition->notifier, notifier, 0);
}

struct attempt {
    const struct shl_segment *segment;
    struct condition_shm *condition;
    uint64_t ref;
    atom64 *place; /* our entry */
};

static int attempt_wait(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    struct condition_shm *condition = attempt->condition;
    /* [condition.entry] acquire <- grant(). */
    uint64_t entry = atom_load_acquire(attempt->place);
    if (ENTRY_STATE(entry) != ENTRY_WAITING)
        return 0;
    if (!shl_object_is(&condition->object, attempt->ref))
        return shl_error(-ESTALE, "the condition was destroyed");
    if (ret_watches->count > 0) /* about to sleep, perhaps woken at the bell */
        tidy(attempt->segment, condition);
    shl_watch(ret_watches, low_half(attempt->place))->expected = (uint32_t)entry;
    return -EAGAIN;
}

/* C1. */
static int take_entry(struct attempt *attempt, uint32_t owner)
{
    struct condition_shm *condition = attempt->condition;
    uint64_t ticket = atom_add_relaxed(&condition->tickets, 1);
    uint64_t entry = ticket << 32 | ENTRY_WAITING | owner;
    if (atom_load_relaxed(&condition->entries_used) == CONDITION_WAITERS_MAX)
        tidy(attempt->segment, condition); /* the dead may have left room */
    for (uint32_t i = 0; i < CONDITION_WAITERS_MAX; i++) {
        /* [condition.entry] acquire <- the entry's last user. */
        if (atom_load_relaxed(&condition->entries[i]) != 0 ||
            !atom_cas_acquire_64(&condition->entries[i], 0, entry))
            continue;
        if (i >= entries_used(condition)) /* with the lock held: nobody else writes it */
            atom_store_relaxed(&condition->entries_used, i + 1);
        attempt->place = &condition->entries[i];
        return 0;
    }
    return shl_error(-EUSERS, "the condition has as many waiters as it can have");
}

/* C3 without a grant. Answers 0 if it came after all. */
static int give_up(const struct attempt *attempt, int code)
{
    uint64_t entry = atom_load_relaxed(attempt->place);
    /* [condition.entry] acquire <- grant(). */
    if (ENTRY_STATE(entry) == ENTRY_WAITING && atom_cas_acquire_64(attempt->place, entry, 0))
        return code;
    return 0;
}

static int find(shoal_condition handle, struct attempt *ret_attempt, struct shl_found *ret_lock)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_CONDITION);
    if (!found)
        return shl_error_code();
    *ret_attempt = (struct attempt){ .segment = found->segment,
                                     .condition = (struct condition_shm *)found->object,
                                     .ref = handle.ref };
    const struct shl_found *lock = shl_find_inside(ret_attempt->condition->lock, KIND_LOCK);
    if (!lock)
        return shl_error_code();
    *ret_lock = *lock;
    return 0;
}

int shoal_condition_wait(shoal_condition handle, shoal_deadline deadline)
{
    struct attempt attempt;
    struct shl_found lock;
    int code = find(handle, &attempt, &lock);
    if (code < 0)
        return code;
    REQUIRE(shl_lock_is_mine(&lock), -EPERM, "must acquire() condition before using wait()");
    code = take_entry(&attempt, lock.self->owner_long);
    if (code < 0)
        return code;
    SHL_CHAOS("condition.C2");
    uint32_t depth = shl_lock_release_all(&lock);
    SHL_CHAOS("condition.C3");
    struct shl_park_for what = { .attempt = attempt_wait,
                                 .context = &attempt,
                                 .object = &attempt.condition->object,
                                 .ref = attempt.ref };
    struct robust_list *before = shl_pending_set(&attempt.condition->bell.bell);
    code = shl_park(&attempt.condition->bell, &what, deadline);
    notify_for_dead(attempt.segment, attempt.condition);
    if (code < 0)
        code = give_up(&attempt, code);
    if (code == 0 && !shl_object_is(&attempt.condition->object, handle.ref)) {
        /* it was for the place's next condition */
        grant(attempt.segment, attempt.condition, ENTRY_TICKET(atom_load_relaxed(attempt.place)));
        code = shl_error(-ESTALE, "the condition was destroyed");
        /* [condition.entry] release: C5. */
        atom_store_release(attempt.place, 0);
    }
    SHL_CHAOS("condition.C4");
    shl_pending_clear(before); /* the lock's bell may become pending, and stay so */
    int locked = shl_lock_acquire_again(lock.ref, depth);
    SHL_CHAOS("condition.C5");
    if (code == 0)
        /* [condition.entry] release: C5. */
        atom_store_release(attempt.place, 0);
    if (code == -ETIMEDOUT)
        shl_error(code, "the condition was not notified");
    return code < 0 && locked >= 0 ? code : locked;
}

int shoal_condition_wait_for(shoal_condition condition, bool (*predicate)(void *context),
                             void *context, shoal_deadline deadline)
{
    REQUIRE(predicate, -EINVAL, "no predicate");
    struct attempt attempt;
    struct shl_found lock;
    int code = find(condition, &attempt, &lock);
    if (code < 0)
        return code;
    REQUIRE(shl_lock_is_mine(&lock), -EPERM, "must acquire() condition before using wait()");
    bool holds = predicate(context);
    while (!holds && code >= 0) {
        code = shoal_condition_wait(condition, deadline);
        if (code == -ETIMEDOUT || code >= 0)
            holds = predicate(context);
    }
    return holds ? (code > 0 ? code : 0) : code;
}

int shoal_condition_notify(shoal_condition handle, unsigned count)
{
    struct attempt attempt;
    struct shl_found lock;
    int code = find(handle, &attempt, &lock);
    if (code < 0)
        return code;
    REQUIRE(count > 0, -EINVAL, "notify: the count is 0");
    REQUIRE(shl_lock_is_mine(&lock), -EPERM, "cannot notify on un-acquired condition");
    struct robust_list *before = shl_pending_set(&attempt.condition->bell.bell);
    notify_for_dead(attempt.segment, attempt.condition);
    atom_store_relaxed(&attempt.condition->notifier, lock.self->owner_long);
    uint32_t horizon = atom_load_relaxed(&attempt.condition->tickets);
    while (count-- > 0 && grant(attempt.segment, attempt.condition, horizon))
        ;
    atom_store_relaxed(&attempt.condition->notifier, 0);
    shl_pending_clear(before);
    return 0;
}

int shoal_condition_notify_all(shoal_condition condition)
{
    return shoal_condition_notify(condition, CONDITION_WAITERS_MAX);
}

shoal_lock shoal_condition_lock(shoal_condition handle)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_CONDITION);
    return (shoal_lock){ found ? ((struct condition_shm *)found->object)->lock : 0 };
}

int shoal_condition_acquire(shoal_condition condition, shoal_deadline deadline)
{
    shoal_lock lock = shoal_condition_lock(condition);
    return SHOAL_IS_NONE(lock) ? shl_error_code() : shoal_lock_acquire(lock, deadline);
}

int shoal_condition_release(shoal_condition condition)
{
    shoal_lock lock = shoal_condition_lock(condition);
    return SHOAL_IS_NONE(lock) ? shl_error_code() : shoal_lock_release(lock);
}

static int choose_lock(const shoal_condition_options *options, struct shl_segment **ret_segment,
                       shoal_lock *ret_lock)
{
    *ret_lock = options->lock;
    *ret_segment = shl_segment_of_handle(options->segment);
    if (!*ret_segment)
        return shl_error_code();
    if (SHOAL_IS_NONE(options->lock))
        return shoal_lock_create(
            &(shoal_lock_options){ .segment = options->segment,
                                   .recursive = true,
                                   .ends_with_creator = options->ends_with_creator },
            ret_lock);
    const struct shl_found *found = shl_find_inside(options->lock.ref, KIND_LOCK);
    if (!found)
        return shl_error_code();
    REQUIRE(found->segment == *ret_segment, -EXDEV, "the lock lies in another segment");
    return 0;
}

int shoal_condition_create(const shoal_condition_options *options, shoal_condition *ret_condition)
{
    REQUIRE(ret_condition, -EINVAL, "no place for the handle");
    shoal_condition_options chosen = options ? *options : (shoal_condition_options){ 0 };
    REQUIRE_RESERVED(&chosen);
    struct shl_segment *segment;
    shoal_lock lock;
    int code = choose_lock(&chosen, &segment, &lock);
    if (code < 0)
        return code;
    struct object_shm *object = shl_object_create(segment, POOL_CONDITION);
    if (!object) {
        code = shl_error_code();
        if (SHOAL_IS_NONE(chosen.lock))
            shoal_lock_destroy(lock);
        return code;
    }
    struct condition_shm *condition = (struct condition_shm *)object;
    atom_store_relaxed(&condition->notifier, 0);
    condition->lock = lock.ref;
    condition->own_lock = SHOAL_IS_NONE(chosen.lock);
    if (chosen.ends_with_creator)
        shl_object_tie(segment, object);
    ret_condition->ref = shl_object_publish(object, KIND_CONDITION);
    return 0;
}

int shoal_condition_open(shoal_segment segment, const char *name, shoal_condition *ret_condition)
{
    return shl_name_open(segment, name, KIND_CONDITION, ret_condition ? &ret_condition->ref : NULL);
}

int shoal_condition_destroy(shoal_condition handle)
{
    if (SHOAL_IS_NONE(handle))
        return 0;
    const struct shl_found *cached = shl_find(handle.ref, KIND_CONDITION);
    if (!cached)
        return shl_error_code() == -ESTALE ? 0 : shl_error_code();
    struct shl_found found = *cached;
    struct condition_shm *condition = (struct condition_shm *)found.object;
    shoal_lock own = { condition->own_lock ? condition->lock : 0 };
    if (!shl_park_end(found.segment, found.object, handle.ref, &condition->bell))
        return 0;
    shl_self_pointer->inside++;
    shoal_lock_destroy(own);
    shl_self_pointer->inside--;
    return 0;
}

static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    struct condition_shm *condition = (struct condition_shm *)object;
    uint32_t used = entries_used(condition);
    for (uint32_t i = 0; i < used; i++) {
        uint64_t entry = atom_load_relaxed(&condition->entries[i]);
        if (shl_is_dead_thread_long(dead, ENTRY_OWNER(entry)))
            free_dead(segment, condition, &condition->entries[i], entry);
    }
}

const struct shl_settler shl_condition_settler = { .settle = settle,
                                                   .bell = SHL_BELL_AT(condition_shm) };
