/*
 * What the kernel may lack: futex_waitv (before Linux 5.16, or refused by a seccomp filter), and
 * the list of robust mutexes that the library borrows to have bells rung for the dead. Without them
 * it looks again every now and then instead: all that holds elsewhere has to hold here, the kill
 * points of tests/crash included. And membarrier, without which each thread pays for its own order.
 */
#include "../crash/rows.h"

#include <stdarg.h>

TestSuite(fallback, .timeout = 300);

/* --- refusing on demand --------------------------------------------------------------------- */

enum lack { NO_WAITV, FORBIDDEN_WAITV, NO_LIST, NEITHER, NO_MEMBARRIER, LACKS_COUNT };

static const struct {
    int waitv_error; /* 0: it works */
    bool no_list, no_membarrier;
} lacks[LACKS_COUNT + 1] = {
    [NO_WAITV] = { .waitv_error = ENOSYS },
    [FORBIDDEN_WAITV] = { .waitv_error = EPERM },
    [NO_LIST] = { .no_list = true },
    [NEITHER] = { .waitv_error = ENOSYS, .no_list = true },
    [NO_MEMBARRIER] = { .no_membarrier = true },
    [LACKS_COUNT] = { 0 },
};

static enum lack lack;
static struct refusals {
    _Atomic unsigned waitv, list, membarrier;
} * refusals; /* of all processes */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_futex_waitv && lacks[lack].waitv_error) {
        refusals->waitv++;
        errno = lacks[lack].waitv_error;
        return -1;
    }
    if (number == SYS_get_robust_list && lacks[lack].no_list) {
        refusals->list++;
        errno = EPERM;
        return -1;
    }
    if (number == SYS_membarrier && lacks[lack].no_membarrier) {
        refusals->membarrier++;
        errno = EPERM;
        return -1;
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void without(enum lack what)
{
    lack = what;
    refusals = harness_shared(sizeof *refusals);
    cr_assert_not_null(refusals);
}

/* Else the test has shown nothing. */
static void was_refused(void)
{
    cr_assert(!lacks[lack].waitv_error == !refusals->waitv);
    cr_assert(!lacks[lack].no_list == !refusals->list);
    cr_assert(!lacks[lack].no_membarrier == !refusals->membarrier);
}

/* --- deaths: every kill point again --------------------------------------------------------- */

static void play_everything_without(enum lack what)
{
    without(what);
    play_all(lock_rows, COUNT_OF(lock_rows));
    play_all(condition_rows, COUNT_OF(condition_rows));
    play_all(event_rows, COUNT_OF(event_rows));
    play_all(semaphore_rows, COUNT_OF(semaphore_rows));
    play_all(barrier_rows, COUNT_OF(barrier_rows));
    play_ring();
    play_waits();
    play_all(peer_rows, COUNT_OF(peer_rows));
    was_refused();
}

Test(fallback, kill_points_without_futex_waitv, .timeout = 300)
{
    play_everything_without(NO_WAITV);
}

Test(fallback, kill_points_with_futex_waitv_forbidden, .timeout = 300)
{
    play_everything_without(FORBIDDEN_WAITV);
}

Test(fallback, kill_points_without_the_robust_list, .timeout = 300)
{
    play_everything_without(NO_LIST);
}

Test(fallback, kill_points_without_either, .timeout = 300)
{
    play_everything_without(NEITHER);
}

Test(fallback, kill_points_of_cells_without_membarrier, .timeout = 300)
{
    without(NO_MEMBARRIER);
    play_all(cells_rows, COUNT_OF(cells_rows));
    play_all(chain_rows, COUNT_OF(chain_rows));
    was_refused();
}

/* --- a queue that others may be inside of, as far as its destroyer can know ------------------ */

static int attaches_and_waits(void *argument)
{
    shoal_free(shoal_alloc(1));
    return shoal_event_wait(*(const shoal_event *)argument, harness_deadline());
}

static unsigned objects_of(enum shl_pool pool)
{
    struct shl_object_walk all = { 0 };
    unsigned count = 0;
    while (shl_object_next_in(shl_segment_family(), &all, pool))
        count++;
    return count;
}

Test(fallback, queue_of_those_who_have_membarrier_outlasts_who_has_not, .timeout = 60)
{
    shoal_queue queue;
    shoal_event over = event_new();
    without(LACKS_COUNT);
    const unsigned before = objects_of(POOL_CELLS);
    assert_code(shoal_queue_create(NULL, &queue), 0);
    const pid_t pid = harness_child(attaches_and_waits, &over);
    cr_assert(harness_until(is_asleep(pid)));
    lack = NO_MEMBARRIER;
    assert_code(shoal_queue_destroy(queue), 0);
    assert_code(shoal_queue_put_bytes(queue, "", 1, SHOAL_NOW), -ESTALE);
    cr_assert_eq(objects_of(POOL_CELLS), before + 1, "somebody may be inside");
    lack = LACKS_COUNT;
    kill(pid, SIGKILL);
    harness_wait(pid);
    shl_peer_recover_all(shl_segment_family());
    cr_assert_eq(objects_of(POOL_CELLS), before);
    assert_code(shoal_event_destroy(over), 0);
}

/* Nor are the rings that he drains freed, and he goes on all the same. */
Test(fallback, drained_rings_of_those_who_have_membarrier_outlast_who_has_not, .timeout = 60)
{
    enum { RINGS = 4, MESSAGES = (1 << RINGS) - 1 };
    shoal_queue queue;
    shoal_event over = event_new();
    uint64_t value = 0;
    without(LACKS_COUNT);
    const unsigned before = objects_of(POOL_CELLS);
    assert_code(shoal_queue_create(&(shoal_queue_options){ .value_size = 8 }, &queue), 0);
    cr_assert(chain_shrink(queue.ref));
    for (uint64_t i = 0; i < MESSAGES; i++)
        assert_code(shoal_queue_put_value(queue, &i, 8, SHOAL_NOW), 0);
    cr_assert_eq(objects_of(POOL_CELLS), before + RINGS);
    const pid_t pid = harness_child(attaches_and_waits, &over);
    cr_assert(harness_until(is_asleep(pid)));
    lack = NO_MEMBARRIER;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        assert_code(shoal_queue_get_value(queue, &value, 8, SHOAL_NOW), 0);
        cr_assert_eq(value, i);
    }
    cr_assert_eq(objects_of(POOL_CELLS), before + RINGS, "somebody may be inside");
    lack = LACKS_COUNT;
    kill(pid, SIGKILL);
    harness_wait(pid);
    shl_peer_recover_all(shl_segment_family());
    cr_assert_eq(objects_of(POOL_CELLS), before + 2, "the first ring, and the last one");
    assert_code(shoal_queue_destroy(queue), 0);
    cr_assert_eq(objects_of(POOL_CELLS), before);
    assert_code(shoal_event_destroy(over), 0);
}

/* --- ends of every kind of wait ------------------------------------------------------------- */

/* The same wait in another process, for as long as it takes, ended by who made the objects. */
static int waits_well(void *argument)
{
    const int code = wait_kinds[*(enum wait_kind *)argument].wait(SHOAL_FOREVER);
    CHILD_CHECK(code >= 0);
    return 0;
}

static int is_ended(void *argument)
{
    waits_make();
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++) {
        const pid_t pid = harness_child(waits_well, &kind);
        CHILD_CHECK(harness_until(is_asleep(pid)));
        CHILD_CHECK(wait_kinds[kind].end() == 0);
        CHILD_CHECK(harness_wait_ms(pid, limit_ms) == 0);
    }
    waits_end();
    return argument != NULL;
}

/* Neither before the deadline, nor never. */
static int meets_its_deadline(void *argument)
{
    for (enum wait_kind kind = 0; kind < WAITS_COUNT; kind++)
        for (int ms = 5; ms <= 50; ms += 45) {
            const uint64_t end_ns = harness_now_ns() + (uint64_t)ms * 1000000;
            CHILD_CHECK(wait_kinds[kind].wait(shoal_at_ns(end_ns)) == -ETIMEDOUT);
            CHILD_CHECK(harness_now_ns() >= end_ns);
            if (kind == WAIT_BARRIER) /* which that has broken */
                CHILD_CHECK(shoal_barrier_reset(waits.barrier) == 0);
        }
    return argument != NULL;
}

static int has_deadlines(void *argument)
{
    waits_make();
    CHILD_CHECK(harness_wait(harness_child(meets_its_deadline, NULL)) == 0);
    waits_end();
    return argument != NULL;
}

struct cancelled_wait {
    enum wait_kind kind;
    shoal_event cancel;
};

static int is_cancelled(void *argument)
{
    const struct cancelled_wait *wait = argument;
    const shoal_deadline deadline = shoal_until(SHOAL_FOREVER, wait->cancel);
    CHILD_CHECK(wait_kinds[wait->kind].wait(deadline) == -ECANCELED);
    return 0;
}

static int has_cancel_events(void *argument)
{
    struct cancelled_wait wait = { .cancel = event_new() };
    waits_make();
    for (wait.kind = 0; wait.kind < WAITS_COUNT; wait.kind++) {
        const pid_t pid = harness_child(is_cancelled, &wait);
        CHILD_CHECK(harness_until(is_asleep(pid)));
        CHILD_CHECK(shoal_event_set(wait.cancel) == 0);
        CHILD_CHECK(shoal_event_clear(wait.cancel) ==
                    0); /* one that was asleep is told all the same */
        CHILD_CHECK(harness_wait_ms(pid, limit_ms) == 0);
    }
    waits_end();
    CHILD_CHECK(shoal_event_destroy(wait.cancel) == 0);
    return argument != NULL;
}

static void holds_without_anything(int (*function)(void *))
{
    for (enum lack what = 0; what < LACKS_COUNT; what++) {
        without(what);
        cr_assert_eq(harness_wait(harness_child(function, NULL)), 0, "lack %d", what);
        was_refused();
        munmap(refusals, sizeof *refusals);
    }
}

Test(fallback, every_wait_is_ended, .timeout = 120)
{
    holds_without_anything(is_ended);
}

Test(fallback, every_wait_ends_at_its_deadline, .timeout = 120)
{
    holds_without_anything(has_deadlines);
}

Test(fallback, every_wait_is_cancelled, .timeout = 120)
{
    holds_without_anything(has_cancel_events);
}

/* --- mistakes ------------------------------------------------------------------------------- */

Test(fallback, mistake_of_looking_at_the_first_word_alone_is_noticed, .timeout = 60)
{
    without(NO_WAITV);
    is_noticed("futex.no_tick", lock_rows, "takes a free lock", STOPPED_AND_KILLED);
}

Test(fallback, mistake_of_relying_on_the_bell_without_the_list_is_noticed, .timeout = 60)
{
    without(NO_LIST);
    is_noticed("park.long_tick", semaphore_rows, "releases a permit", KILLED);
}
