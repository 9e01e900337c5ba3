/*
 * Purpose. A lock whose holder may be killed: the next one gets it, and is told.
 *
 * Layout. lock_shm.h.
 *
 * Invariants. I1 The word names the holder, or is 0. I2 Who sleeps has seen the waiters bit set.
 *             I3 Everything but the word is written by the holder.
 *
 * Protocol. acquire
 *   P1 word: free -> me; done. Else
 *   P2 the bell is pending, and stays so until the release if the lock is got from here on:
 *      others watch the last owner's life and do not know ours
 *   P3 word free -> {me, waiters}; a dead owner's -> {me, waiters}, then note him: owner died
 *   P4 word + waiters, sleep at {bell, word, the owner's life}; again from P3
 *          release
 *   P5 word: me -> free; done, unless somebody waits:
 *   P6 the bell is pending; word = free; wake one; nothing is pending
 *
 * Order. [lock.word] release in P5, P6 -> acquire in P1, P3: what the lock guards.
 *
 * Progress. Barging: who runs gets it. Nobody waits for the dead: P3 takes over as soon as the
 * kernel has marked the owner's life, which also wakes a sleeper there. A stopped owner is alive.
 *
 * Limits. An owner's 13 bits of generation: a stalled take-over would have to sleep through 8192
 * owners of one slot.
 *
 * Sources. tests/check checks this code and its mistakes. Back-off that doubles, and barging,
 * were the best of a dozen policies measured beside pthread mutexes.
 */
#include "sync/lock.h"

#include <string.h>

#include "mem/name.h"
#include "os/chaos.h"
#include "sync/park.h"
#include "sync/settle.h"

#include <shoal/sync.h>

static const char too_often[] = "semaphore or lock released too many times";

static struct lock_shm *lock_of(const struct shl_found *found)
{
    return (struct lock_shm *)found->object;
}

bool shl_lock_is_mine(const struct shl_found *found)
{
    /* relaxed: nobody else writes or removes our name */
    uint32_t word = atom_load_relaxed(&lock_of(found)->word);
    return LOCK_OWNER(word) == found->self->owner_long;
}

/* Whose death is to be told: read from his slot before the lock is taken over, which frees it. */
struct obituary {
    uint64_t handle;
    uint32_t pid, tid;
    char name[64];
};

static void read_obituary(const struct shl_segment *segment, uint32_t word, struct obituary *ret)
{
    *ret = (struct obituary){ 0 };
    if (LOCK_OWNER(word) == LOCK_DIED)
        return;
    struct peer_shm *peer = shl_thread_peer(segment, word & 0xffff);
    ret->pid = (uint32_t)(atom_load_relaxed(&peer->word) >> 32);
    ret->tid = atom_load_relaxed(&peer->tid);
    ret->handle = atom_load_relaxed(&peer->handle);
    memcpy(ret->name, peer->name, sizeof ret->name);
    ret->name[sizeof ret->name - 1] = '\0';
}

static void write_obituary(struct lock_shm *lock, const struct obituary *dead)
{
    atom_store_relaxed(&lock->dead_pid, dead->pid);
    atom_store_relaxed(&lock->dead_tid, dead->tid);
    atom_store_relaxed(&lock->dead_handle, dead->handle);
    memcpy(lock->dead_name, dead->name, sizeof dead->name);
    atom_store_relaxed(&lock->owner_died, 1);
}

static int release_word(struct lock_shm *lock, uint32_t seen);

static SHL_COLD int got_stale(const struct shl_found *found)
{
    release_word(lock_of(found), atom_load_relaxed(&lock_of(found)->word));
    return shl_error(-ESTALE, "the lock was destroyed");
}

/* The word is ours. If the lock was destroyed meanwhile it may be the next one of its place. */
static int got(const struct shl_found *found)
{
    if (unlikely(!shl_object_is(found->object, found->ref)))
        return got_stale(found);
    return unlikely(atom_load_relaxed(&lock_of(found)->owner_died)) ? SHOAL_OWNER_DIED : 0;
}

/* P3 from a word that names a dead owner. */
static bool take_over(const struct shl_found *found, uint32_t seen)
{
    struct lock_shm *lock = lock_of(found);
    struct obituary dead;
    read_obituary(found->segment, seen, &dead);
    /* [lock.word] acquire <- release: what the lock guards, as the dead one left it. */
    if (!atom_cas_acquire_32(&lock->word, seen, found->self->owner_long | LOCK_WAITERS))
        return false;
    SHL_CHAOS("lock.P3");
    atom_store_relaxed(&lock->depth, 0);
    if (!SHL_MISTAKE("lock.untold"))
        write_obituary(lock, &dead);
    return true;
}

struct attempt {
    const struct shl_found *found;
    uint64_t ref;
    bool spinning; /* nobody is to be woken for us yet */
};

/* P3, P4. */
static int attempt_acquire(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    const struct shl_found *found = attempt->found;
    struct lock_shm *lock = lock_of(found);
    uint32_t mine = found->self->owner_long | (attempt->spinning ? 0 : LOCK_WAITERS);
    for (;;) {
        uint32_t seen = atom_load_relaxed(&lock->word);
        if (unlikely(!shl_object_is(found->object, attempt->ref)))
            return shl_error(-ESTALE, "the lock was destroyed");
        if (LOCK_OWNER(seen) == 0) {
            /* [lock.word] acquire <- release: what the lock guards. */
            if (atom_cas_acquire_32(&lock->word, seen, mine | (seen & LOCK_WAITERS)))
                return got(found);
            continue;
        }
        if (attempt->spinning)
            return -EAGAIN;
        if (SHL_MISTAKE("lock.living") ||
            shl_thread_is_gone(found->segment, shl_owner_long(seen))) {
            if (take_over(found, seen))
                return got(found);
            continue;
        }
        /* [lock.word] acquire: nothing is taken, only the bit is added. */
        if (!(seen & LOCK_WAITERS) && !atom_cas_acquire_32(&lock->word, seen, seen | LOCK_WAITERS))
            continue;
        SHL_CHAOS("lock.P4");
        shl_watch(ret_watches, &lock->word)->expected = seen | LOCK_WAITERS;
        uint32_t alive;
        atom32 *life = shl_thread_life(found->segment, shl_owner_long(seen), &alive);
        if (!life)
            continue; /* died just now */
        if (!SHL_MISTAKE("lock.life"))
            shl_watch(ret_watches, life)->expected = alive;
        return -EAGAIN;
    }
}

static SHL_COLD int timed_out(const struct shl_found *found)
{
    return shl_error(-ETIMEDOUT, shl_lock_is_mine(found)
                                     ? "the calling thread itself holds the lock"
                                     : "the lock is held by another");
}

static SHL_COLD int acquire_slow(const struct shl_found *cached, uint64_t ref,
                                 shoal_deadline deadline)
{
    struct shl_found found = *cached; /* a cancel event may take its place in the cache */
    struct attempt attempt = { &found, ref, true };
    struct shl_watches watches;
    shl_watches_init(&watches);
    int code = -EAGAIN;
    for (unsigned round = 0; code == -EAGAIN && !shl_deadline_is_now(deadline); round++) {
        if (!shl_park_spin(round))
            break;
        code = attempt_acquire(&attempt, &watches);
    }
    if (code != -EAGAIN)
        return code;
    attempt.spinning = false;
    code = attempt_acquire(&attempt, &watches);
    if (code != -EAGAIN)
        return code;
    /* Only one bell can be pending. Those who sleep for a lock that we hold are to watch our life
     * from now on, instead of relying on its bell. */
    atom32 *kept = shl_pending();
    if (kept)
        shl_futex_wake(kept, INT32_MAX);
    struct shl_park_for what = { .attempt = attempt_acquire,
                                 .context = &attempt,
                                 .object = found.object,
                                 .ref = ref,
                                 .keep_pending = !SHL_MISTAKE("lock.P2") };
    code = shl_park(&lock_of(&found)->bell, &what, deadline);
    return code == -ETIMEDOUT ? timed_out(&found) : code;
}

static int acquire(const struct shl_found *found, uint64_t ref, shoal_deadline deadline)
{
    struct lock_shm *lock = lock_of(found);
    if (lock->recursive && shl_lock_is_mine(found)) {
        uint32_t depth = atom_load_relaxed(&lock->depth);
        REQUIRE(depth < UINT32_MAX - 1, -EOVERFLOW, "the lock was acquired too often");
        atom_store_relaxed(&lock->depth, depth + 1);
        return got(found);
    }
    /* [lock.word] acquire <- release: what the lock guards. */
    if (likely(atom_cas_acquire_32(&lock->word, 0, found->self->owner_long)))
        return got(found);
    return acquire_slow(found, ref, deadline);
}

static SHL_COLD int acquire_cold(shoal_lock lock, shoal_deadline deadline)
{
    const struct shl_found *found = shl_find(lock.ref, KIND_LOCK);
    return found ? acquire(found, lock.ref, deadline) : shl_error_code();
}

/* P1 alone, for a lock that the thread knows; everything else is out of its way. */
int shoal_lock_acquire(shoal_lock lock, shoal_deadline deadline)
{
    const struct shl_found *found = shl_find_again(lock.ref, KIND_LOCK);
    if (unlikely(!found || lock_of(found)->recursive))
        return acquire_cold(lock, deadline);
    /* [lock.word] acquire <- release: what the lock guards. */
    if (likely(atom_cas_acquire_32(&lock_of(found)->word, 0, found->self->owner_long))) {
        SHL_CHAOS("lock.P1");
        return got(found);
    }
    return acquire_cold(lock, deadline);
}

/* P5, P6, from a word that was seen. */
static int release_word(struct lock_shm *lock, uint32_t seen)
{
    /* [lock.word] release -> acquire: what the lock guards. */
    if (likely(!(seen & LOCK_WAITERS) && atom_cas_release_32(&lock->word, seen, 0)))
        return 0;
    atom32 *kept = shl_pending(); /* our own bell, since P2; or another held lock's */
    struct robust_list *before = shl_pending_set(&lock->bell.bell);
    do {
        seen = atom_load_relaxed(&lock->word);
        if (LOCK_OWNER(seen) == 0)
            break;
        /* [lock.word] release -> acquire: likewise. */
    } while (!atom_cas_release_32(&lock->word, seen, 0));
    SHL_CHAOS("lock.P6");
    if (!SHL_MISTAKE("lock.P6"))
        shl_futex_wake(&lock->bell.bell, 1);
    shl_pending_clear(kept == &lock->bell.bell ? NULL : before);
    return LOCK_OWNER(seen) ? 0 : shl_error(-EOVERFLOW, too_often);
}

static int release(const struct shl_found *found)
{
    struct lock_shm *lock = lock_of(found);
    uint32_t seen = atom_load_relaxed(&lock->word);
    if (unlikely(lock->recursive)) {
        REQUIRE(LOCK_OWNER(seen) == found->self->owner_long, -EPERM,
                "attempt to release recursive lock not owned by thread");
        uint32_t depth = atom_load_relaxed(&lock->depth);
        if (depth > 0) {
            atom_store_relaxed(&lock->depth, depth - 1);
            return 0;
        }
    }
    REQUIRE(LOCK_OWNER(seen) != 0, -EOVERFLOW, too_often);
    return release_word(lock, seen);
}

static SHL_COLD int release_cold(shoal_lock lock)
{
    const struct shl_found *found = shl_find(lock.ref, KIND_LOCK);
    return found ? release(found) : shl_error_code();
}

/* P5 alone, by the owner. */
int shoal_lock_release(shoal_lock lock)
{
    const struct shl_found *found = shl_find_again(lock.ref, KIND_LOCK);
    /* [lock.word] release -> acquire: what the lock guards. */
    if (likely(found && !lock_of(found)->recursive &&
               atom_cas_release_32(&lock_of(found)->word, found->self->owner_long, 0)))
        return 0;
    return release_cold(lock);
}

uint32_t shl_lock_release_all(const struct shl_found *found)
{
    struct lock_shm *lock = lock_of(found);
    uint32_t depth = atom_load_relaxed(&lock->depth);
    atom_store_relaxed(&lock->depth, 0);
    release_word(lock, atom_load_relaxed(&lock->word));
    return depth;
}

int shl_lock_acquire_again(uint64_t ref, uint32_t depth)
{
    const struct shl_found *found = shl_find_inside(ref, KIND_LOCK);
    int code = found ? acquire(found, ref, SHOAL_FOREVER) : shl_error_code();
    if (code >= 0)
        atom_store_relaxed(&lock_of(found)->depth, depth);
    return code;
}

int shoal_lock_create(const shoal_lock_options *options, shoal_lock *ret_lock)
{
    REQUIRE(ret_lock, -EINVAL, "no place for the handle");
    shoal_lock_options chosen = options ? *options : (shoal_lock_options){ 0 };
    REQUIRE_RESERVED(&chosen);
    struct shl_segment *segment = shl_segment_of_handle(chosen.segment);
    struct object_shm *object = segment ? shl_object_create(segment, POOL_LOCK) : NULL;
    if (!object)
        return shl_error_code();
    struct lock_shm *lock = (struct lock_shm *)object;
    lock->recursive = chosen.recursive;
    atom_store_relaxed(&lock->depth, 0);
    atom_store_relaxed(&lock->owner_died, 0);
    atom_store_relaxed(&lock->word, 0);
    if (chosen.ends_with_creator)
        shl_object_tie(segment, object);
    ret_lock->ref = shl_object_publish(object, KIND_LOCK);
    return 0;
}

int shoal_rlock_create(shoal_lock *ret_lock)
{
    return shoal_lock_create(&(shoal_lock_options){ .recursive = true }, ret_lock);
}

bool shoal_lock_owner_died(shoal_lock lock)
{
    const struct shl_found *found = shl_find(lock.ref, KIND_LOCK);
    return found && atom_load_relaxed(&lock_of(found)->owner_died);
}

int shoal_lock_clear_owner_died(shoal_lock lock)
{
    const struct shl_found *found = shl_find(lock.ref, KIND_LOCK);
    if (!found)
        return shl_error_code();
    REQUIRE(shl_lock_is_mine(found), -EPERM, "only a holder of the lock can say that all is well");
    atom_store_relaxed(&lock_of(found)->owner_died, 0);
    return 0;
}

static void fill_owner(shoal_owner *ret_owner, const struct obituary *who)
{
    memset(ret_owner, 0, sizeof *ret_owner);
    ret_owner->process.ref = who->handle;
    ret_owner->pid = (pid_t)who->pid;
    ret_owner->tid = (pid_t)who->tid;
    memcpy(ret_owner->process_name, who->name, sizeof ret_owner->process_name);
}

int shoal_lock_owner(shoal_lock handle, shoal_owner *ret_owner)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_LOCK);
    if (!found)
        return shl_error_code();
    REQUIRE(ret_owner, -EINVAL, "no place for the owner");
    struct lock_shm *lock = lock_of(found);
    uint32_t word = atom_load_relaxed(&lock->word);
    struct obituary who = { 0 };
    if (atom_load_relaxed(&lock->owner_died)) {
        who.pid = atom_load_relaxed(&lock->dead_pid);
        who.tid = atom_load_relaxed(&lock->dead_tid);
        who.handle = atom_load_relaxed(&lock->dead_handle);
        memcpy(who.name, lock->dead_name, sizeof who.name);
        fill_owner(ret_owner, &who);
        return 0;
    }
    REQUIRE(LOCK_OWNER(word) != 0, -ESRCH, "nobody holds the lock");
    read_obituary(found->segment, word, &who);
    fill_owner(ret_owner, &who);
    return 0;
}

int shoal_lock_open(shoal_segment segment, const char *name, shoal_lock *ret_lock)
{
    return shl_name_open(segment, name, KIND_LOCK, ret_lock ? &ret_lock->ref : NULL);
}

int shoal_lock_destroy(shoal_lock handle)
{
    if (SHOAL_IS_NONE(handle))
        return 0;
    const struct shl_found *found = shl_find(handle.ref, KIND_LOCK);
    if (!found)
        return shl_error_code() == -ESTALE ? 0 : shl_error_code();
    struct lock_shm *lock = lock_of(found);
    shl_park_end(found->segment, found->object, handle.ref, &lock->bell);
    return 0;
}

shoal_lock_scope shoal_lock_enter(shoal_lock lock)
{
    return (shoal_lock_scope){ lock, shoal_lock_acquire(lock, SHOAL_FOREVER), true };
}

void shoal_lock_leave(shoal_lock_scope *scope)
{
    if (scope->code >= 0)
        shoal_lock_release(scope->lock);
}

/* Taken over and given back at once: the next one finds it free, and is told. */
static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    struct lock_shm *lock = (struct lock_shm *)object;
    uint32_t word = atom_load_relaxed(&lock->word);
    if (!shl_is_dead_thread_long(dead, LOCK_OWNER(word)))
        return;
    struct shl_attachment *self = shl_self_attached(segment);
    struct shl_found found = { .object = object, .segment = segment, .self = self };
    /* [lock.word] release -> acquire: as the dead one left it. */
    if (!self) /* we settle to get a slot ourselves: the next one takes over from nobody known */
        atom_cas_release_32(&lock->word, word, LOCK_DIED | (word & LOCK_WAITERS));
    else if (take_over(&found, word))
        release_word(lock, atom_load_relaxed(&lock->word));
}

const struct shl_settler shl_lock_settler = { .settle = settle, .bell = SHL_BELL_AT(lock_shm) };
