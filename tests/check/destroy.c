/* An object that is destroyed while others wait for it: they learn it, also if the destroyer is
 * killed on its way. */
#include <shoal/queue.h>
#include <shoal/sync.h>

#include "flow/queue_shm.h"
#include "flow/ring.h"
#include "search.h"
#include "sync/barrier_shm.h"
#include "sync/condition_shm.h"
#include "sync/event_shm.h"
#include "sync/lock_shm.h"
#include "sync/semaphore_shm.h"

enum { OBJECT, GONE }; /* ghosts */
enum { DESTROYER = 2 };

static struct object_shm *shm;

static void add(uint64_t ref, enum shl_kind kind, size_t size)
{
    machine.ghosts[OBJECT] = ref;
    shm = machine_add_object(ref, kind, size);
    machine_add_hands(ref); /* its place goes there */
}

static void must(bool so)
{
    if (!so)
        machine_fail("a call failed");
}

static void expect_gone(int code)
{
    if (code != -ESTALE)
        machine_fail("a wait for what is destroyed ended otherwise");
}

static void begin_event(void)
{
    shoal_event event;
    must(shoal_event_create(NULL, &event) == 0);
    add(event.ref, KIND_EVENT, sizeof(struct event_shm));
}

static void use_event(unsigned self)
{
    shoal_event event = { machine.ghosts[OBJECT] };
    if (self == DESTROYER)
        must(shoal_event_destroy(event) == 0);
    else
        expect_gone(shoal_event_wait(event, SHOAL_FOREVER));
}

static void begin_semaphore(void)
{
    shoal_semaphore semaphore;
    must(shoal_semaphore_create(0, NULL, &semaphore) == 0);
    add(semaphore.ref, KIND_SEMAPHORE, sizeof(struct semaphore_shm));
}

static void use_semaphore(unsigned self)
{
    shoal_semaphore semaphore = { machine.ghosts[OBJECT] };
    if (self == DESTROYER)
        must(shoal_semaphore_destroy(semaphore) == 0);
    else
        expect_gone(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER));
}

static void begin_barrier(void)
{
    shoal_barrier barrier;
    must(shoal_barrier_create(3, NULL, &barrier) == 0);
    add(barrier.ref, KIND_BARRIER, offsetof(struct barrier_shm, places) + 4 * sizeof(atom64));
}

static void use_barrier(unsigned self)
{
    shoal_barrier barrier = { machine.ghosts[OBJECT] };
    if (self == DESTROYER)
        must(shoal_barrier_destroy(barrier) == 0);
    else
        expect_gone(shoal_barrier_wait(barrier, NULL, SHOAL_FOREVER));
}

/* The destroyer holds it, so that the others wait. */
static void begin_lock(void)
{
    shoal_lock lock;
    must(shoal_lock_create(NULL, &lock) == 0);
    add(lock.ref, KIND_LOCK, sizeof(struct lock_shm));
    ((struct lock_shm *)shm)->word = machine_owner_long(DESTROYER);
}

static void use_lock(unsigned self)
{
    shoal_lock lock = { machine.ghosts[OBJECT] };
    if (self == DESTROYER)
        must(shoal_lock_destroy(lock) == 0);
    else {
        int code = shoal_lock_acquire(lock, SHOAL_FOREVER);
        if (machine.kills == 0 || code < 0)
            expect_gone(code);
        else
            must(shoal_lock_release(lock) == 0);
    }
}

static const char *judge(void)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (is_asleep(i) && shm->self != machine.ghosts[OBJECT])
            return "a sleeper for what is destroyed";
    return NULL;
}

void check_destroy(void)
{
    struct scenario event = { .name = "destroyed event, 2 waiters, 1 kill",
                              .threads = 3,
                              .kills = 1,
                              .victims = 1 << DESTROYER,
                              .preemptions = UNBOUNDED,
                              .begin = begin_event,
                              .thread = use_event,
                              .judge = judge,
                              .may_sleep = true };
    holds(&event);
    fails(&event, "park.end");
    fails(&event, "park.W4");
    struct scenario semaphore = event;
    semaphore.name = "destroyed semaphore, 2 waiters, 1 kill";
    semaphore.begin = begin_semaphore;
    semaphore.thread = use_semaphore;
    holds(&semaphore);
    struct scenario barrier = event;
    barrier.name = "destroyed barrier, 2 waiters, 1 kill";
    barrier.begin = begin_barrier;
    barrier.thread = use_barrier;
    holds(&barrier);
    struct scenario lock = event;
    lock.name = "destroyed lock, 2 waiters, 1 kill";
    lock.begin = begin_lock;
    lock.thread = use_lock;
    holds(&lock);
}
