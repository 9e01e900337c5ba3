/*
 * Purpose. Counting semaphores: plain and bounded, and with permits that return when their holder
 * dies.
 *
 * Layout. semaphore_shm.h.
 *
 * Protocol. plain: acquire is count - 1 by compare-and-set from above 0, release count + 1.
 *           owned: acquire is a cell 0 -> my process, release a cell my process -> 0, then changes
 *           + 1. Each is one compare-and-set: before it nothing happened, after it all.
 *           A release rings the bell, which is pending meanwhile.
 *           Who finds every cell taken frees those of dead processes, and sleeps also at the lives
 *           of the living.
 *
 * Order. [semaphore.permit] release -> acquire: what was done before the release; seq_cst for
 * [park.flag].
 *
 * Progress. Lock-free but for waiting for a permit.
 */
#include "sync/semaphore_shm.h"

#include "mem/name.h"
#include "mem/object.h"
#include "os/chaos.h"
#include "sync/park.h"
#include "sync/settle.h"

#include <shoal/sync.h>

static const char too_often[] = "semaphore or lock released too many times";

static_assert(SHOAL_SEMAPHORE_VALUE_MAX == SEMAPHORE_COUNT_MAX, "the documented limit");
static_assert(SHOAL_SEMAPHORE_OWNED_MAX <= SEMAPHORE_CELLS_MAX, "there is a cell for each");

struct attempt {
    struct semaphore_shm *semaphore;
    const struct shl_segment *segment;
    uint32_t owner; /* the process */
    uint64_t ref;
};

static atom32 *cells_of(struct semaphore_shm *semaphore)
{
    return ((struct owned_semaphore_shm *)semaphore)->cells;
}

/* Another process may have damaged the word, or the limit: only a huge place has cells. */
static bool is_owned(const struct shl_segment *segment, const struct semaphore_shm *semaphore)
{
    return semaphore->owned &&
           (shl_object_pool(segment, shl_offset(segment, semaphore)) == POOL_OWNED_SEMAPHORE ||
            SHL_MISTAKE("semaphore.place"));
}

static uint32_t cells_count(const struct semaphore_shm *semaphore)
{
    bool possible = semaphore->limit <= SEMAPHORE_CELLS_MAX || SHL_MISTAKE("semaphore.limit");
    return likely(possible) ? semaphore->limit : SEMAPHORE_CELLS_MAX;
}

static bool is_gone(const struct shl_segment *segment, uint32_t owner)
{
    return shl_process_owner_is_gone(segment, shl_owner_short(owner));
}

static int release_plain(struct semaphore_shm *semaphore)
{
    for (;;) {
        uint32_t count = atom_load_relaxed(&semaphore->count);
        REQUIRE(count < semaphore->limit, -EOVERFLOW, too_often);
        if (SHL_MISTAKE("semaphore.lost") && count == 1)
            return 0;
        /* [semaphore.permit] release -> acquire; seq_cst for [park.flag]. */
        if (atom_cas_seq_cst_32(&semaphore->count, count, count + 1))
            return 0;
    }
}

static int release_owned(const struct attempt *attempt)
{
    atom32 *cells = cells_of(attempt->semaphore);
    bool any = false;
    for (uint32_t i = 0; i < cells_count(attempt->semaphore); i++) {
        uint32_t owner = atom_load_relaxed(&cells[i]);
        any = any || owner != 0;
        /* [semaphore.permit] release -> acquire. */
        if (owner == attempt->owner && atom_cas_release_32(&cells[i], owner, 0)) {
            atom_add_seq_cst(&attempt->semaphore->changes, 1); /* [park.flag] seq_cst */
            return 0;
        }
    }
    return any ? shl_error(-EPERM, "this process holds no permit of the semaphore")
               : shl_error(-EOVERFLOW, too_often);
}

static void undo_plain(const struct attempt *attempt)
{
    release_plain(attempt->semaphore);
}

static void undo_owned(const struct attempt *attempt)
{
    release_owned(attempt);
}

/* A permit was taken. If the semaphore was destroyed meanwhile it may be the next one's of its
 * place: then it is given back. */
static int still_there(const struct attempt *attempt, void (*undo)(const struct attempt *))
{
    if (likely(shl_object_is(&attempt->semaphore->object, attempt->ref)))
        return 0;
    undo(attempt);
    shl_park_ring(&attempt->semaphore->bell);
    return shl_error(-ESTALE, "the semaphore was destroyed");
}

static int attempt_plain(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    struct semaphore_shm *semaphore = attempt->semaphore;
    for (;;) {
        /* [park.flag] seq_cst. */
        uint32_t count = atom_load_seq_cst(&semaphore->count);
        if (!shl_object_is(&semaphore->object, attempt->ref))
            return shl_error(-ESTALE, "the semaphore was destroyed");
        if (count == 0) {
            shl_watch(ret_watches, &semaphore->count);
            return -EAGAIN;
        }
        /* [semaphore.permit] acquire <- release. */
        if (atom_cas_acquire_32(&semaphore->count, count, count - 1))
            return still_there(attempt, undo_plain);
    }
}

/* Takes the first free cell, or a dead process's: true if one was to be had. */
static bool take_cell(const struct attempt *attempt)
{
    atom32 *cells = cells_of(attempt->semaphore);
    for (uint32_t i = 0; i < cells_count(attempt->semaphore); i++)
        /* [semaphore.permit] acquire <- release. */
        if (atom_load_relaxed(&cells[i]) == 0 && atom_cas_acquire_32(&cells[i], 0, attempt->owner))
            return true;
    return false;
}

static bool take_dead_cell(const struct attempt *attempt)
{
    atom32 *cells = cells_of(attempt->semaphore);
    for (uint32_t i = 0; i < cells_count(attempt->semaphore); i++) {
        uint32_t owner = atom_load_relaxed(&cells[i]);
        if (owner != 0 && is_gone(attempt->segment, owner) &&
            /* [semaphore.permit] acquire <- release. */
            atom_cas_acquire_32(&cells[i], owner, attempt->owner))
            return true;
    }
    return false;
}

/* False if a permit can be had after all. A release that was cut off after its cell was free, or a
 * holder that has died since we looked, would wake nobody who sleeps from now on. */
static bool watch_holders(const struct attempt *attempt, struct shl_watches *watches)
{
    atom32 *cells = cells_of(attempt->semaphore);
    uint32_t last = 0;
    for (uint32_t i = 0; i < cells_count(attempt->semaphore); i++) {
        uint32_t alive, owner = atom_load_relaxed(&cells[i]);
        if (owner == 0 && !SHL_MISTAKE("semaphore.free"))
            return false;
        if (owner == 0 || owner == last || owner == attempt->owner || SHL_MISTAKE("semaphore.life"))
            continue;
        last = owner;
        atom32 *life = shl_process_life(attempt->segment, owner, &alive);
        if (life)
            shl_watch(watches, life)->expected = alive;
        else if (is_gone(attempt->segment, owner))
            return false;
    }
    return true;
}

static int attempt_owned(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    struct semaphore_shm *semaphore = attempt->semaphore;
    for (unsigned count = ret_watches->count;; ret_watches->count = count) {
        /* [park.flag] seq_cst. */
        uint32_t changes = atom_load_seq_cst(&semaphore->changes);
        if (!shl_object_is(&semaphore->object, attempt->ref))
            return shl_error(-ESTALE, "the semaphore was destroyed");
        if (take_cell(attempt))
            return still_there(attempt, undo_owned);
        if (take_dead_cell(attempt)) {
            /* The others watch the dead one's life: they are to watch ours. */
            shl_futex_wake(&semaphore->bell.bell, INT32_MAX);
            return still_there(attempt, undo_owned);
        }
        shl_watch(ret_watches, &semaphore->changes)->expected = changes;
        if (watch_holders(attempt, ret_watches))
            return -EAGAIN;
    }
}

static bool ready(void *context)
{
    struct attempt *attempt = context;
    struct semaphore_shm *semaphore = attempt->semaphore;
    if (!shl_object_is(&semaphore->object, attempt->ref))
        return true;
    if (!is_owned(attempt->segment, semaphore))
        return atom_load_relaxed(&semaphore->count) > 0;
    for (uint32_t i = 0; i < cells_count(semaphore); i++)
        if (atom_load_relaxed(&cells_of(attempt->semaphore)[i]) == 0)
            return true;
    return false;
}

static struct attempt attempt_of(const struct shl_found *found)
{
    return (struct attempt){ .semaphore = (struct semaphore_shm *)found->object,
                             .segment = found->segment,
                             .owner = found->self->process_owner,
                             .ref = found->ref };
}

int shoal_semaphore_acquire(shoal_semaphore handle, shoal_deadline deadline)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_SEMAPHORE);
    if (unlikely(!found))
        return shl_error_code();
    struct attempt attempt = attempt_of(found);
    struct shl_watches watches;
    shl_watches_init(&watches);
    struct shl_park_for what = { .attempt = is_owned(attempt.segment, attempt.semaphore)
                                                ? attempt_owned
                                                : attempt_plain,
                                 .ready = ready,
                                 .context = &attempt,
                                 .object = &attempt.semaphore->object,
                                 .ref = attempt.ref };
    int code = what.attempt(&attempt, &watches);
    if (code == -EAGAIN)
        code = shl_park(&attempt.semaphore->bell, &what, deadline);
    return code == -ETIMEDOUT ? shl_error(code, "the semaphore has no free permit") : code;
}

int shoal_semaphore_release(shoal_semaphore handle)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_SEMAPHORE);
    if (unlikely(!found))
        return shl_error_code();
    struct attempt attempt = attempt_of(found);
    struct bell_shm *bell = &attempt.semaphore->bell;
    struct robust_list *before = shl_pending_set(&bell->bell);
    bool owned = is_owned(attempt.segment, attempt.semaphore);
    int code = owned ? release_owned(&attempt) : release_plain(attempt.semaphore);
    SHL_CHAOS("semaphore.ring");
    /* Of an owned one all are woken: those who get none are to watch the next holder's life. */
    if (likely(code == 0) && unlikely(atom_load_seq_cst(&bell->flag))) /* [park.flag] seq_cst */
        shl_park_ring_slow(bell, owned && !SHL_MISTAKE("semaphore.all") ? INT32_MAX : 1);
    shl_pending_clear(before);
    return code;
}

unsigned shoal_semaphore_value(shoal_semaphore handle)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_SEMAPHORE);
    if (!found)
        return 0;
    struct attempt attempt = attempt_of(found);
    if (!is_owned(attempt.segment, attempt.semaphore))
        return atom_load_relaxed(&attempt.semaphore->count);
    unsigned free = 0;
    for (uint32_t i = 0; i < cells_count(attempt.semaphore); i++) {
        uint32_t owner = atom_load_relaxed(&cells_of(attempt.semaphore)[i]);
        free += owner == 0 || is_gone(attempt.segment, owner);
    }
    return free;
}

static int check_options(unsigned value, const shoal_semaphore_options *options)
{
    REQUIRE_RESERVED(options);
    REQUIRE(value <= SHOAL_SEMAPHORE_VALUE_MAX, -EINVAL, "the initial value is out of range");
    REQUIRE(!options->owned || value <= SHOAL_SEMAPHORE_OWNED_MAX, -EINVAL,
            "a semaphore with owned permits has at most SHOAL_SEMAPHORE_OWNED_MAX");
    return 0;
}

int shoal_semaphore_create(unsigned value, const shoal_semaphore_options *options,
                           shoal_semaphore *ret_semaphore)
{
    REQUIRE(ret_semaphore, -EINVAL, "no place for the handle");
    shoal_semaphore_options chosen = options ? *options : (shoal_semaphore_options){ 0 };
    int code = check_options(value, &chosen);
    if (code < 0)
        return code;
    struct shl_segment *segment = shl_segment_of_handle(chosen.segment);
    enum shl_pool pool = chosen.owned ? POOL_OWNED_SEMAPHORE : POOL_SEMAPHORE;
    struct object_shm *object = segment ? shl_object_create(segment, pool) : NULL;
    if (!object)
        return shl_error_code();
    struct semaphore_shm *semaphore = (struct semaphore_shm *)object;
    semaphore->limit = chosen.bounded || chosen.owned ? value : SEMAPHORE_COUNT_MAX;
    semaphore->owned = chosen.owned;
    atom_store_relaxed(&semaphore->count, value);
    for (uint32_t i = 0; chosen.owned && i < value; i++)
        atom_store_relaxed(&cells_of(semaphore)[i], 0);
    if (chosen.ends_with_creator)
        shl_object_tie(segment, object);
    ret_semaphore->ref = shl_object_publish(object, KIND_SEMAPHORE);
    return 0;
}

int shoal_semaphore_open(shoal_segment segment, const char *name, shoal_semaphore *ret_semaphore)
{
    return shl_name_open(segment, name, KIND_SEMAPHORE, ret_semaphore ? &ret_semaphore->ref : NULL);
}

int shoal_semaphore_destroy(shoal_semaphore handle)
{
    if (SHOAL_IS_NONE(handle))
        return 0;
    const struct shl_found *found = shl_find(handle.ref, KIND_SEMAPHORE);
    if (!found)
        return shl_error_code() == -ESTALE ? 0 : shl_error_code();
    struct attempt attempt = attempt_of(found);
    shl_park_end(found->segment, found->object, handle.ref, &attempt.semaphore->bell);
    return 0;
}

/* Dead processes' permits are free again. */
static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    struct semaphore_shm *semaphore = (struct semaphore_shm *)object;
    if (!is_owned(segment, semaphore) || SHL_MISTAKE("semaphore.unsettled"))
        return;
    for (uint32_t i = 0; i < cells_count(semaphore); i++) {
        uint32_t owner = atom_load_relaxed(&cells_of(semaphore)[i]);
        /* [semaphore.permit] release -> acquire. */
        if (shl_is_dead_process(dead, owner) &&
            atom_cas_release_32(&cells_of(semaphore)[i], owner, 0)) {
            atom_add_seq_cst(&semaphore->changes, 1); /* [park.flag] seq_cst */
            shl_park_ring(&semaphore->bell);
        }
    }
}

const struct shl_settler shl_semaphore_settler = { .settle = settle,
                                                   .bell = SHL_BELL_AT(semaphore_shm) };
