/*
 * What the tests of locks, semaphores, events, conditions and barriers share: making objects,
 * threads that wait, and one table of every kind of wait.
 */
#ifndef SHOAL_TESTS_SYNC_H
#define SHOAL_TESTS_SYNC_H

#include "asleep.h"
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- objects -------------------------------------------------------------------------------- */

static inline shoal_lock lock_new(bool recursive)
{
    shoal_lock lock = { 0 };
    assert_code(shoal_lock_create(&(shoal_lock_options){ .recursive = recursive }, &lock), 0);
    return lock;
}

static inline shoal_semaphore semaphore_new(unsigned value)
{
    shoal_semaphore semaphore = { 0 };
    assert_code(shoal_semaphore_create(value, NULL, &semaphore), 0);
    return semaphore;
}

static inline shoal_semaphore owned_new(unsigned value)
{
    shoal_semaphore semaphore = { 0 };
    const shoal_semaphore_options options = { .owned = true };
    assert_code(shoal_semaphore_create(value, &options, &semaphore), 0);
    return semaphore;
}

static inline shoal_event event_new(void)
{
    shoal_event event = { 0 };
    assert_code(shoal_event_create(NULL, &event), 0);
    return event;
}

static inline shoal_condition condition_new(void)
{
    shoal_condition condition = { 0 };
    assert_code(shoal_condition_create(NULL, &condition), 0);
    return condition;
}

static inline shoal_barrier barrier_new(unsigned parties)
{
    shoal_barrier barrier = { 0 };
    assert_code(shoal_barrier_create(parties, NULL, &barrier), 0);
    return barrier;
}

/* --- threads -------------------------------------------------------------------------------- */

static inline pthread_t thread_start(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, function, argument), 0);
    return thread;
}

static inline void thread_ends(pthread_t thread)
{
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

/* Runs to its end in another thread. */
static inline void in_thread(void *(*function)(void *), void *argument)
{
    thread_ends(thread_start(function, argument));
}

/* --- every kind of wait --------------------------------------------------------------------- */

enum wait_kind {
    WAIT_LOCK,
    WAIT_RLOCK,
    WAIT_SEMAPHORE,
    WAIT_OWNED,
    WAIT_EVENT,
    WAIT_CONDITION,
    WAIT_BARRIER,
    WAIT_GET,
    WAIT_PUT,
    WAITS_COUNT
};

static struct {
    shoal_lock lock, rlock;           /* held by who made them */
    shoal_semaphore semaphore, owned; /* with no permit left */
    shoal_event event;                /* clear */
    shoal_condition condition;
    shoal_barrier barrier; /* of two */
    shoal_queue empty, full;
} waits;
static bool waits_dense; /* its queues are over the dense ring */

static int wait_lock(shoal_deadline deadline)
{
    const int code = shoal_lock_acquire(waits.lock, deadline);
    return code < 0 ? code : shoal_lock_release(waits.lock);
}
static int wait_rlock(shoal_deadline deadline)
{
    const int code = shoal_lock_acquire(waits.rlock, deadline);
    return code < 0 ? code : shoal_lock_release(waits.rlock);
}
static int wait_semaphore(shoal_deadline deadline)
{
    return shoal_semaphore_acquire(waits.semaphore, deadline);
}
static int wait_owned(shoal_deadline deadline)
{
    return shoal_semaphore_acquire(waits.owned, deadline);
}
static int wait_event(shoal_deadline deadline)
{
    return shoal_event_wait(waits.event, deadline);
}
static int wait_condition(shoal_deadline deadline)
{
    const int code = shoal_condition_acquire(waits.condition, SHOAL_FOREVER);
    if (code < 0)
        return code;
    const int result = shoal_condition_wait(waits.condition, deadline);
    const int released = shoal_condition_release(waits.condition);
    return result == -ESTALE ? result : released < 0 ? released : result;
}
static int wait_barrier(shoal_deadline deadline)
{
    return shoal_barrier_wait(waits.barrier, NULL, deadline);
}
static int wait_get(shoal_deadline deadline)
{
    void *payload = NULL;
    const int code = shoal_queue_get(waits.empty, &payload, deadline);
    if (code == 0)
        shoal_free(payload);
    return code;
}
static int wait_put(shoal_deadline deadline)
{
    return shoal_queue_put_bytes(waits.full, "x", 1, deadline);
}

/* What ends the wait well, by who made the objects. */
static int end_lock(void)
{
    return shoal_lock_release(waits.lock);
}
static int end_rlock(void)
{
    return shoal_lock_release(waits.rlock);
}
static int end_semaphore(void)
{
    return shoal_semaphore_release(waits.semaphore);
}
static int end_owned(void)
{
    return shoal_semaphore_release(waits.owned);
}
static int end_event(void)
{
    return shoal_event_set(waits.event);
}
static int end_condition(void)
{
    int code = shoal_condition_acquire(waits.condition, harness_deadline());
    if (code >= 0)
        code = shoal_condition_notify(waits.condition, 1);
    return code < 0 ? code : shoal_condition_release(waits.condition);
}
static int end_barrier(void)
{
    return shoal_barrier_wait(waits.barrier, NULL, harness_deadline());
}
static int end_get(void)
{
    return shoal_queue_put_bytes(waits.empty, "x", 1, SHOAL_NOW);
}
static int end_put(void)
{
    void *payload = NULL;
    const int code = shoal_queue_get(waits.full, &payload, SHOAL_NOW);
    if (code == 0)
        shoal_free(payload);
    return code;
}

static int destroy_lock(void)
{
    return shoal_lock_destroy(waits.lock);
}
static int destroy_rlock(void)
{
    return shoal_lock_destroy(waits.rlock);
}
static int destroy_semaphore(void)
{
    return shoal_semaphore_destroy(waits.semaphore);
}
static int destroy_owned(void)
{
    return shoal_semaphore_destroy(waits.owned);
}
static int destroy_event(void)
{
    return shoal_event_destroy(waits.event);
}
static int destroy_condition(void)
{
    return shoal_condition_destroy(waits.condition);
}
static int destroy_barrier(void)
{
    return shoal_barrier_destroy(waits.barrier);
}
static int destroy_get(void)
{
    return shoal_queue_destroy(waits.empty);
}
static int destroy_put(void)
{
    return shoal_queue_destroy(waits.full);
}

static const struct {
    const char *name;
    int (*wait)(shoal_deadline deadline);
    int (*end)(void);
    int (*destroy)(void);
} wait_kinds[WAITS_COUNT] = {
    [WAIT_LOCK] = { "lock", wait_lock, end_lock, destroy_lock },
    [WAIT_RLOCK] = { "recursive lock", wait_rlock, end_rlock, destroy_rlock },
    [WAIT_SEMAPHORE] = { "semaphore", wait_semaphore, end_semaphore, destroy_semaphore },
    [WAIT_OWNED] = { "owned semaphore", wait_owned, end_owned, destroy_owned },
    [WAIT_EVENT] = { "event", wait_event, end_event, destroy_event },
    [WAIT_CONDITION] = { "condition", wait_condition, end_condition, destroy_condition },
    [WAIT_BARRIER] = { "barrier", wait_barrier, end_barrier, destroy_barrier },
    [WAIT_GET] = { "get", wait_get, end_get, destroy_get },
    [WAIT_PUT] = { "put", wait_put, end_put, destroy_put },
};

/* By the thread that is to end the waits. */
static inline void waits_make(void)
{
    const shoal_queue_options one = { .capacity_count = 1, .bulk = waits_dense };
    waits.lock = lock_new(false);
    waits.rlock = lock_new(true);
    assert_code(shoal_lock_acquire(waits.lock, SHOAL_NOW), 0);
    assert_code(shoal_lock_acquire(waits.rlock, SHOAL_NOW), 0);
    waits.semaphore = semaphore_new(0);
    waits.owned = owned_new(1);
    assert_code(shoal_semaphore_acquire(waits.owned, SHOAL_NOW), 0);
    waits.event = event_new();
    waits.condition = condition_new();
    waits.barrier = barrier_new(2);
    assert_code(shoal_queue_create(&one, &waits.empty), 0);
    assert_code(shoal_queue_create(&one, &waits.full), 0);
    assert_code(shoal_queue_put_bytes(waits.full, "x", 1, SHOAL_NOW), 0);
}

static inline void waits_end(void)
{
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++)
        assert_code(wait_kinds[kind].destroy(), 0);
}

#define WAITER_LIMIT_MS 10000 /* who sleeps looks again within a second: this one never will */

/* A thread in one of these waits. */
struct waiter {
    pthread_t thread;
    enum wait_kind kind;
    shoal_deadline deadline;
    int code;
    _Atomic pid_t tid;
    _Atomic bool done;
};

static inline void *waiter_runs(void *argument)
{
    struct waiter *waiter = argument;
    waiter->tid = (pid_t)syscall(SYS_gettid);
    waiter->code = wait_kinds[waiter->kind].wait(waiter->deadline);
    waiter->done = true;
    return NULL;
}

static inline void waiter_start(struct waiter *waiter)
{
    waiter->tid = 0;
    waiter->done = false;
    waiter->thread = thread_start(waiter_runs, waiter);
}

/* It waits, and sleeps. */
static inline void waiter_sleeps(struct waiter *waiter)
{
    cr_assert(
        harness_until_ms(waiter->tid && (is_asleep(waiter->tid) || waiter->done), WAITER_LIMIT_MS),
        "%s: it does not sleep", wait_kinds[waiter->kind].name);
    cr_assert(!waiter->done, "%s: %d (%s)", wait_kinds[waiter->kind].name, waiter->code,
              shoal_strerror(waiter->code));
}

static inline int waiter_ends(struct waiter *waiter)
{
    cr_assert(harness_until_ms(waiter->done, WAITER_LIMIT_MS), "%s: it does not end",
              wait_kinds[waiter->kind].name);
    thread_ends(waiter->thread);
    return waiter->code;
}

#endif
