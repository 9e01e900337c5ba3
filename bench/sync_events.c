/* Events. As in sync_locks.c, the measured loop is inlined into one function for each kind. */
#include "crew.h"
#include "sync_kind.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INLINE static inline __attribute__((always_inline))

typedef void (*step)(struct sync_place *place);

INLINE void repeat(struct sync_place *place, uint64_t count, step set, step wait, step clear)
{
    for (uint64_t i = 0; i < count; i++) {
        set(place);
        wait(place);
        clear(place);
    }
}

#define UNLIKELY(condition) __builtin_expect(condition, 0)

static void fail(const char *what, int error)
{
    crew_member_fail("%s: %s", what, strerror(error));
}

/* For kinds whose wait takes what set gave. */
static void clear_nothing(struct sync_place *place)
{
    (void)place;
}

/* ---- shoal */

static int open_shoal(struct sync_place *place)
{
    return shoal_event_create(NULL, &place->event);
}

static void set_shoal(struct sync_place *place)
{
    if (UNLIKELY(shoal_event_set(place->event) < 0))
        crew_member_fail("set: %s", shoal_error_message());
}

static void wait_shoal(struct sync_place *place)
{
    if (UNLIKELY(shoal_event_wait(place->event, SHOAL_FOREVER) < 0))
        crew_member_fail("wait: %s", shoal_error_message());
}

static void clear_shoal(struct sync_place *place)
{
    shoal_event_clear(place->event);
}

static void repeat_shoal(struct sync_place *place, uint64_t count)
{
    repeat(place, count, set_shoal, wait_shoal, clear_shoal);
}

static void close_shoal(struct sync_place *place)
{
    shoal_event_destroy(place->event);
}

const struct sync_kind event_shoal = { .name = "shoal",
                                       .by_shoal = true,
                                       .open = open_shoal,
                                       .close = close_shoal,
                                       .repeat = repeat_shoal,
                                       .set = set_shoal,
                                       .wait = wait_shoal,
                                       .clear = clear_shoal };

/* ---- a word and its futex: the least that it takes, out of line as everything else here */

#define NOINLINE static __attribute__((noinline))

enum { WORD_CLEAR, WORD_SET, WORD_AWAITED };

static int open_futex(struct sync_place *place)
{
    atomic_store(&place->word, WORD_CLEAR);
    return 0;
}

NOINLINE void set_futex(struct sync_place *place)
{
    if (atomic_exchange(&place->word, WORD_SET) == WORD_AWAITED)
        syscall(SYS_futex, &place->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

NOINLINE void wait_futex(struct sync_place *place)
{
    uint32_t seen;

    while ((seen = atomic_load_explicit(&place->word, memory_order_acquire)) != WORD_SET)
        if (seen == WORD_AWAITED ||
            atomic_compare_exchange_strong(&place->word, &seen, WORD_AWAITED))
            syscall(SYS_futex, &place->word, FUTEX_WAIT, WORD_AWAITED, NULL, NULL, 0);
}

NOINLINE void clear_futex(struct sync_place *place)
{
    atomic_store_explicit(&place->word, WORD_CLEAR, memory_order_release);
}

static void repeat_futex(struct sync_place *place, uint64_t count)
{
    repeat(place, count, set_futex, wait_futex, clear_futex);
}

static void close_nothing(struct sync_place *place)
{
    (void)place;
}

const struct sync_kind event_futex = { .name = "futex word",
                                       .open = open_futex,
                                       .close = close_nothing,
                                       .repeat = repeat_futex,
                                       .set = set_futex,
                                       .wait = wait_futex,
                                       .clear = clear_futex };

/* ---- a semaphore */

static int open_semaphore(struct sync_place *place)
{
    return sem_init(&place->semaphore, 1, 0) == 0 ? 0 : -errno;
}

static void set_semaphore(struct sync_place *place)
{
    if (UNLIKELY(sem_post(&place->semaphore) != 0))
        fail("sem_post", errno);
}

static void wait_semaphore(struct sync_place *place)
{
    if (UNLIKELY(sem_wait(&place->semaphore) != 0))
        fail("sem_wait", errno);
}

static void repeat_semaphore(struct sync_place *place, uint64_t count)
{
    repeat(place, count, set_semaphore, wait_semaphore, clear_nothing);
}

static void close_semaphore(struct sync_place *place)
{
    sem_destroy(&place->semaphore);
}

const struct sync_kind event_semaphore = { .name = "sem_t",
                                           .open = open_semaphore,
                                           .close = close_semaphore,
                                           .repeat = repeat_semaphore,
                                           .set = set_semaphore,
                                           .wait = wait_semaphore,
                                           .clear = clear_nothing };

/* ---- a flag, its mutex and its condition */

static int open_condition(struct sync_place *place)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    int error = pthread_mutexattr_init(&mutex);

    if (error == 0)
        error = pthread_condattr_init(&condition);
    if (error == 0)
        error = pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    if (error == 0)
        error = pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    if (error == 0)
        error = pthread_mutex_init(&place->flag.mutex, &mutex);
    if (error == 0)
        error = pthread_cond_init(&place->flag.condition, &condition);
    place->flag.set = false;
    return -error;
}

static void change_flag(struct sync_place *place, bool set)
{
    pthread_mutex_lock(&place->flag.mutex);
    place->flag.set = set;
    if (set)
        pthread_cond_broadcast(&place->flag.condition);
    pthread_mutex_unlock(&place->flag.mutex);
}

static void set_condition(struct sync_place *place)
{
    change_flag(place, true);
}

static void wait_condition(struct sync_place *place)
{
    pthread_mutex_lock(&place->flag.mutex);
    while (!place->flag.set)
        pthread_cond_wait(&place->flag.condition, &place->flag.mutex);
    pthread_mutex_unlock(&place->flag.mutex);
}

static void clear_condition(struct sync_place *place)
{
    change_flag(place, false);
}

static void repeat_condition(struct sync_place *place, uint64_t count)
{
    repeat(place, count, set_condition, wait_condition, clear_condition);
}

static void close_condition(struct sync_place *place)
{
    pthread_mutex_destroy(&place->flag.mutex); /* the condition needs no more than its memory */
}

const struct sync_kind event_condition = { .name = "pthread cond",
                                           .open = open_condition,
                                           .close = close_condition,
                                           .repeat = repeat_condition,
                                           .set = set_condition,
                                           .wait = wait_condition,
                                           .clear = clear_condition };

/* ---- eventfd(2) */

static int open_eventfd(struct sync_place *place)
{
    place->fd = eventfd(0, EFD_CLOEXEC);
    return place->fd < 0 ? -errno : 0;
}

static void set_eventfd(struct sync_place *place)
{
    if (UNLIKELY(eventfd_write(place->fd, 1) != 0))
        fail("eventfd_write", errno);
}

static void wait_eventfd(struct sync_place *place)
{
    eventfd_t value;

    if (UNLIKELY(eventfd_read(place->fd, &value) != 0))
        fail("eventfd_read", errno);
}

static void repeat_eventfd(struct sync_place *place, uint64_t count)
{
    repeat(place, count, set_eventfd, wait_eventfd, clear_nothing);
}

static void close_eventfd(struct sync_place *place)
{
    close(place->fd);
}

const struct sync_kind event_eventfd = { .name = "eventfd",
                                         .open = open_eventfd,
                                         .close = close_eventfd,
                                         .repeat = repeat_eventfd,
                                         .set = set_eventfd,
                                         .wait = wait_eventfd,
                                         .clear = clear_nothing };
