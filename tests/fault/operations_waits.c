/* Operations that wait for other threads, and for what the dead hold. */
#include "../sync.h"
#include "operations.h"

#include <semaphore.h>
#include <unistd.h>

#include "os/robust.h"

static shoal_lock lock;
static shoal_semaphore permits;

/* The thread that ends the waits of the main one: the holder of the locks. */
static struct {
    pthread_t thread;
    sem_t go, waited, armed;
    pid_t waiting;
    enum wait_kind kind;
    bool cancels, quits;
    shoal_event cancel;
    struct answer answer;
} ender;

static void make_waits(void)
{
    const shoal_queue_options one = { .capacity_count = 1 };
    const shoal_semaphore_options owned = { .owned = true };
    CHILD_CHECK(shoal_lock_create(NULL, &waits.lock) == 0);
    CHILD_CHECK(shoal_rlock_create(&waits.rlock) == 0);
    CHILD_CHECK(shoal_semaphore_create(0, NULL, &waits.semaphore) == 0);
    CHILD_CHECK(shoal_semaphore_create(1, &owned, &waits.owned) == 0);
    CHILD_CHECK(shoal_semaphore_acquire(waits.owned, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_event_create(NULL, &waits.event) == 0);
    CHILD_CHECK(shoal_event_create(NULL, &ender.cancel) == 0);
    CHILD_CHECK(shoal_condition_create(NULL, &waits.condition) == 0);
    CHILD_CHECK(shoal_barrier_create(2, NULL, &waits.barrier) == 0);
    CHILD_CHECK(shoal_queue_create(&one, &waits.empty) == 0);
    CHILD_CHECK(shoal_queue_create(&one, &waits.full) == 0);
}

/* Only one use is refused; the main thread is told of it. */
static void persist(int (*call)(void))
{
    const int code = call();
    if (code == 0)
        return;
    answer_give(&ender.answer, code);
    CHILD_CHECK(call() == 0);
}

static int fill(void)
{
    return shoal_queue_put_bytes(waits.full, "x", 1, SHOAL_NOW);
}

/* As each wait wants to find its object. */
static void arm(void)
{
    if (shoal_queue_empty(waits.full)) /* no memory to put what was waited for */
        persist(fill);
    shoal_event_clear(waits.event);
    shoal_event_clear(ender.cancel);
    if (ender.kind == WAIT_LOCK && !ender.cancels)
        CHILD_CHECK(shoal_lock_acquire(waits.lock, SHOAL_NOW) == 0);
    if (ender.kind == WAIT_RLOCK && !ender.cancels)
        CHILD_CHECK(shoal_lock_acquire(waits.rlock, SHOAL_NOW) == 0);
}

static int set_cancel(void)
{
    return shoal_event_set(ender.cancel);
}

static void *ends_waits(void *unused)
{
    for (ender.kind = WAIT_LOCK; ender.kind <= WAIT_RLOCK; ender.kind++)
        arm();
    sem_post(&ender.armed);
    while (sem_wait(&ender.go) == 0 && !ender.quits) {
        CHILD_CHECK(harness_until(is_asleep(ender.waiting)));
        persist(ender.cancels ? set_cancel : wait_kinds[ender.kind].end);
        sem_wait(&ender.waited);
        arm();
        sem_post(&ender.armed);
    }
    return unused;
}

static void prepare_waits(void)
{
    make_waits();
    sem_init(&ender.go, 0, 0);
    sem_init(&ender.waited, 0, 0);
    sem_init(&ender.armed, 0, 0);
    ender.waiting = gettid();
    CHILD_CHECK(pthread_create(&ender.thread, NULL, ends_waits, NULL) == 0);
    sem_wait(&ender.armed);
}

/* Without the kernel's list one looks again 50 times a second, not once: a lost wake costs less. */
static void prepare_impatient(void)
{
    prepare_waits();
    shl_robust_head = NULL;
}

static void finish_waits(void)
{
    ender.quits = true;
    sem_post(&ender.go);
    CHILD_CHECK(pthread_join(ender.thread, NULL) == 0);
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++)
        CHILD_CHECK(wait_kinds[kind].destroy() == 0);
    CHILD_CHECK(shoal_event_destroy(ender.cancel) == 0);
}

static int wait_once(enum wait_kind kind, bool cancels)
{
    ender.kind = kind;
    ender.cancels = cancels;
    sem_post(&ender.go);
    const shoal_deadline deadline = harness_deadline();
    const int code = wait_kinds[kind].wait(cancels ? shoal_until(deadline, ender.cancel)
                                                   : deadline);
    sem_post(&ender.waited);
    sem_wait(&ender.armed);
    if (ender.answer.code == 0)
        return code;
    const struct answer told = ender.answer;
    ender.answer.code = 0;
    return answer_take(&told);
}

static int wait_for_event(void)
{
    return wait_once(WAIT_EVENT, false);
}

static int wait_for_all(void)
{
    int code = 0;
    for (enum wait_kind kind = 0; kind < WAITS_COUNT && code == 0; kind++)
        code = wait_once(kind, false);
    return code;
}

static int cancel_all(void)
{
    int code = -ECANCELED;
    for (enum wait_kind kind = 0; kind < WAITS_COUNT && code == -ECANCELED; kind++)
        code = wait_once(kind, true);
    CHILD_CHECK(shoal_barrier_reset(waits.barrier) == 0);
    return code == -ECANCELED ? 0 : code;
}

static int time_out_all(void)
{
    int code = -ETIMEDOUT;
    for (enum wait_kind kind = 0; kind < WAITS_COUNT && code == -ETIMEDOUT; kind++) {
        const shoal_deadline deadline = shoal_after_ms(1);
        code = wait_kinds[kind].wait(deadline);
        CHILD_CHECK(code != -ETIMEDOUT || harness_now_ns() >= deadline.ns);
    }
    CHILD_CHECK(shoal_barrier_reset(waits.barrier) == 0);
    return code == -ETIMEDOUT ? 0 : code;
}

/* A process that dies with both in its hands. */
static int dies_holding(void *argument)
{
    CHILD_CHECK(shoal_lock_acquire(lock, SHOAL_NOW) == 0);
    CHILD_CHECK(shoal_semaphore_acquire(permits, SHOAL_NOW) == 0);
    kill(getpid(), SIGKILL);
    return argument != NULL;
}

static void hand_to_the_dead(void)
{
    CHILD_CHECK(harness_wait(harness_child(dies_holding, NULL)) == -SIGKILL);
}

static void prepare_dead(void)
{
    const shoal_semaphore_options owned = { .owned = true };
    CHILD_CHECK(shoal_lock_create(NULL, &lock) == 0);
    CHILD_CHECK(shoal_semaphore_create(1, &owned, &permits) == 0);
    hand_to_the_dead();
}

static int take_from_the_dead(void)
{
    const int code = shoal_lock_acquire(lock, harness_deadline());
    if (code != SHOAL_OWNER_DIED)
        return code < 0 ? code : -EIO;
    CHILD_CHECK(shoal_lock_clear_owner_died(lock) == 0);
    CHILD_CHECK(shoal_lock_release(lock) == 0);
    CHILD_CHECK(shoal_semaphore_acquire(permits, harness_deadline()) == 0);
    return shoal_semaphore_release(permits);
}

static void finish_dead(void)
{
    CHILD_CHECK(shoal_lock_destroy(lock) == 0);
    CHILD_CHECK(shoal_semaphore_destroy(permits) == 0);
}

static const struct operation waiting[] = {
    { .name = "a wait, woken",
      .prepare = prepare_waits,
      .run = wait_for_event,
      .finish = finish_waits },
    { .name = "every wait, woken",
      .prepare = prepare_impatient,
      .run = wait_for_all,
      .finish = finish_waits },
    { .name = "every wait, cancelled",
      .prepare = prepare_impatient,
      .run = cancel_all,
      .finish = finish_waits },
    { .name = "every wait, in vain",
      .prepare = prepare_waits,
      .run = time_out_all,
      .finish = finish_waits },
    { .name = "what the dead hold",
      .prepare = prepare_dead,
      .run = take_from_the_dead,
      .undo = hand_to_the_dead,
      .finish = finish_dead },
};

const struct table waiting_table = { waiting, COUNT_OF(waiting) };
