/*
 * Locks. What is measured calls them directly: the loops below are inlined into one function for
 * each kind, with its lock and unlock in place.
 */
#include "crew.h"
#include "measure.h"
#include "sync_kind.h"

#include <errno.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef void (*step)(struct sync_place *place);

INLINE void repeat(struct sync_place *place, uint64_t count, step lock, step unlock)
{
    for (uint64_t i = 0; i < count; i++) {
        lock(place);
        unlock(place);
    }
}

INLINE void contend(struct sync_place *place, const struct sync_contest *contest,
                    struct sync_seat *seat, step lock, step unlock)
{
    uint64_t done = 0;

    while (atomic_load_explicit(contest->stop, memory_order_relaxed) == 0) {
        lock(place);
        place->guarded++;
        work(contest->work_turns);
        unlock(place);
        work(contest->work_turns);
        atomic_store_explicit(&seat->done, ++done, memory_order_relaxed);
    }
}

#define UNLIKELY(condition) __builtin_expect(condition, 0)

static void fail(const char *what, int error)
{
    crew_member_fail("%s: %s", what, strerror(error));
}

/* ---- shoal */

static int open_shoal(struct sync_place *place)
{
    return shoal_lock_create(NULL, &place->lock);
}

INLINE void acquire_shoal(struct sync_place *place)
{
    if (UNLIKELY(shoal_lock_acquire(place->lock, SHOAL_FOREVER) < 0))
        crew_member_fail("acquire: %s", shoal_error_message());
}

INLINE void release_shoal(struct sync_place *place)
{
    if (UNLIKELY(shoal_lock_release(place->lock) < 0))
        crew_member_fail("release: %s", shoal_error_message());
}

static void repeat_shoal(struct sync_place *place, uint64_t count)
{
    repeat(place, count, acquire_shoal, release_shoal);
}

static void contend_shoal(struct sync_place *place, const struct sync_contest *contest,
                          struct sync_seat *seat)
{
    contend(place, contest, seat, acquire_shoal, release_shoal);
}

static void close_shoal(struct sync_place *place)
{
    shoal_lock_destroy(place->lock);
}

const struct sync_kind lock_shoal = { .name = "shoal",
                                      .by_shoal = true,
                                      .open = open_shoal,
                                      .close = close_shoal,
                                      .repeat = repeat_shoal,
                                      .contend = contend_shoal };

/* ---- mutexes, robust and not */

static int open_mutex_that_is(struct sync_place *place, int robust)
{
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);

    if (error == 0)
        error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (error == 0)
        error = pthread_mutexattr_setrobust(&attributes, robust);
    if (error == 0)
        error = pthread_mutex_init(&place->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -error;
}

static int open_mutex(struct sync_place *place)
{
    return open_mutex_that_is(place, PTHREAD_MUTEX_STALLED);
}

static int open_robust(struct sync_place *place)
{
    return open_mutex_that_is(place, PTHREAD_MUTEX_ROBUST);
}

INLINE void lock_the_mutex(struct sync_place *place)
{
    int error = pthread_mutex_lock(&place->mutex);

    if (UNLIKELY(error != 0))
        fail("pthread_mutex_lock", error);
}

INLINE void unlock_the_mutex(struct sync_place *place)
{
    int error = pthread_mutex_unlock(&place->mutex);

    if (UNLIKELY(error != 0))
        fail("pthread_mutex_unlock", error);
}

static void repeat_mutex(struct sync_place *place, uint64_t count)
{
    repeat(place, count, lock_the_mutex, unlock_the_mutex);
}

static void contend_mutex(struct sync_place *place, const struct sync_contest *contest,
                          struct sync_seat *seat)
{
    contend(place, contest, seat, lock_the_mutex, unlock_the_mutex);
}

static void close_mutex(struct sync_place *place)
{
    pthread_mutex_destroy(&place->mutex);
}

const struct sync_kind lock_mutex = { .name = "pthread mutex",
                                      .open = open_mutex,
                                      .close = close_mutex,
                                      .repeat = repeat_mutex,
                                      .contend = contend_mutex };

const struct sync_kind lock_robust = { .name = "pthread mutex robust",
                                       .open = open_robust,
                                       .close = close_mutex,
                                       .repeat = repeat_mutex,
                                       .contend = contend_mutex };

/* ---- spinlock */

static int open_spinlock(struct sync_place *place)
{
    return -pthread_spin_init(&place->spinlock, PTHREAD_PROCESS_SHARED);
}

INLINE void lock_the_spinlock(struct sync_place *place)
{
    pthread_spin_lock(&place->spinlock);
}

INLINE void unlock_the_spinlock(struct sync_place *place)
{
    pthread_spin_unlock(&place->spinlock);
}

static void repeat_spinlock(struct sync_place *place, uint64_t count)
{
    repeat(place, count, lock_the_spinlock, unlock_the_spinlock);
}

static void contend_spinlock(struct sync_place *place, const struct sync_contest *contest,
                             struct sync_seat *seat)
{
    contend(place, contest, seat, lock_the_spinlock, unlock_the_spinlock);
}

static void close_spinlock(struct sync_place *place)
{
    pthread_spin_destroy(&place->spinlock);
}

const struct sync_kind lock_spinlock = { .name = "pthread spinlock",
                                         .open = open_spinlock,
                                         .close = close_spinlock,
                                         .repeat = repeat_spinlock,
                                         .contend = contend_spinlock };

/* ---- a semaphore of one permit */

static int open_semaphore(struct sync_place *place)
{
    return sem_init(&place->semaphore, 1, 1) == 0 ? 0 : -errno;
}

INLINE void take_semaphore(struct sync_place *place)
{
    if (UNLIKELY(sem_wait(&place->semaphore) != 0))
        fail("sem_wait", errno);
}

INLINE void give_semaphore(struct sync_place *place)
{
    if (UNLIKELY(sem_post(&place->semaphore) != 0))
        fail("sem_post", errno);
}

static void repeat_semaphore(struct sync_place *place, uint64_t count)
{
    repeat(place, count, take_semaphore, give_semaphore);
}

static void contend_semaphore(struct sync_place *place, const struct sync_contest *contest,
                              struct sync_seat *seat)
{
    contend(place, contest, seat, take_semaphore, give_semaphore);
}

static void close_semaphore(struct sync_place *place)
{
    sem_destroy(&place->semaphore);
}

const struct sync_kind lock_semaphore = { .name = "sem_t",
                                          .open = open_semaphore,
                                          .close = close_semaphore,
                                          .repeat = repeat_semaphore,
                                          .contend = contend_semaphore };
