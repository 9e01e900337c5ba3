/* Leaving a segment while other threads of the process are in it. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

TestSuite(detach, .timeout = 60);

enum task { SETTLE_IN, LOOK_AGAIN, NOTHING, WAIT_LONG, END };

/* A thread that does one thing after the other, each when it is told to. */
struct worker {
    pthread_t thread;
    shoal_segment segment;
    shoal_lock lock;
    shoal_queue queue;
    shoal_queue orders, reports; /* in the family */
};

static int perform(struct worker *worker, enum task task)
{
    void *payload = NULL;
    switch (task) {
    case SETTLE_IN:
        return shoal_lock_acquire(worker->lock, SHOAL_NOW);
    case LOOK_AGAIN:
        return shoal_lock_release(worker->lock);
    case WAIT_LONG:
        return shoal_queue_get(worker->queue, &payload, shoal_after_ms(300));
    default:
        return 0;
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    void *order = NULL;
    enum task task = SETTLE_IN;
    while (task != END && shoal_queue_get(worker->orders, &order, SHOAL_FOREVER) == 0) {
        memcpy(&task, order, sizeof task);
        shoal_free(order);
        const int code = perform(worker, task);
        if (shoal_queue_put_bytes(worker->reports, &code, sizeof code, SHOAL_FOREVER) < 0)
            break;
    }
    return NULL;
}

static void order(struct worker *worker, enum task task)
{
    assert_code(shoal_queue_put_bytes(worker->orders, &task, sizeof task, SHOAL_NOW), 0);
}

static int report(struct worker *worker)
{
    void *payload = NULL;
    int code;
    assert_code(shoal_queue_get(worker->reports, &payload, harness_deadline()), 0);
    memcpy(&code, payload, sizeof code);
    shoal_free(payload);
    return code;
}

static int does(struct worker *worker, enum task task)
{
    order(worker, task);
    return report(worker);
}

static struct worker begun(void)
{
    struct worker worker = { 0 };
    assert_code(shoal_segment_create(NULL, &worker.segment), 0);
    const shoal_lock_options in = { .segment = worker.segment };
    assert_code(shoal_lock_create(&in, &worker.lock), 0);
    assert_code(
        shoal_queue_create(&(shoal_queue_options){ .segment = worker.segment }, &worker.queue), 0);
    assert_code(shoal_queue_create(NULL, &worker.orders), 0);
    assert_code(shoal_queue_create(NULL, &worker.reports), 0);
    return worker;
}

static void start(struct worker *worker)
{
    cr_assert_eq(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void finish(struct worker *worker)
{
    assert_code(does(worker, END), 0);
    pthread_join(worker->thread, NULL);
    assert_code(shoal_queue_destroy(worker->orders), 0);
    assert_code(shoal_queue_destroy(worker->reports), 0);
    cr_assert_eq(harness_segments_count(), 1, "only the family's is left");
}

Test(detach, another_thread_leaves_at_its_next_call, .timeout = 60)
{
    struct worker worker = begun();
    start(&worker);
    assert_code(does(&worker, SETTLE_IN), 0);
    assert_code(shoal_segment_detach(worker.segment), 0);
    cr_assert_eq(shoal_segment_fd(worker.segment), -ESTALE);
    cr_assert_null(shoal_alloc_in(worker.segment, 1));
    assert_code(shoal_lock_release(worker.lock), -ESTALE);
    assert_code(shoal_segment_detach(worker.segment), -ESTALE);
    assert_code(does(&worker, LOOK_AGAIN), -ESTALE);
    cr_assert_eq(harness_segments_count(), 1);
    finish(&worker);
}

Test(detach, another_thread_leaves_at_any_call_on_an_object, .timeout = 60)
{
    struct worker worker = begun();
    start(&worker);
    assert_code(does(&worker, SETTLE_IN), 0);
    assert_code(shoal_segment_detach(worker.segment), 0);
    assert_code(does(&worker, NOTHING), 0); /* taking the order, or reporting */
    cr_assert_eq(harness_segments_count(), 1);
    finish(&worker);
}

static void *settles_in_and_ends(void *argument)
{
    perform(argument, SETTLE_IN);
    return NULL;
}

Test(detach, the_last_thread_unmaps_at_its_end, .timeout = 60)
{
    struct worker worker = begun();
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, settles_in_and_ends, &worker), 0);
        pthread_join(thread, NULL);
    }
    start(&worker);
    assert_code(shoal_segment_detach(worker.segment), 0);
    finish(&worker);
}

Test(detach, a_call_that_waits_goes_on, .timeout = 60)
{
    struct worker worker = begun();
    start(&worker);
    assert_code(does(&worker, SETTLE_IN), 0);
    order(&worker, WAIT_LONG);
    assert_code(shoal_segment_detach(worker.segment), 0);
    const int code = report(&worker);
    cr_assert(code == -ETIMEDOUT || code == -ESTALE, "%d: it was inside, or not yet", code);
    finish(&worker);
}

Test(detach, attached_again_meanwhile_all_goes_on, .timeout = 60)
{
    struct worker worker = begun();
    const int fd = dup(shoal_segment_fd(worker.segment));
    shoal_segment again = { 0 };
    start(&worker);
    assert_code(does(&worker, SETTLE_IN), 0);
    for (int round = 0; round < 40; round++) { /* more than there are places */
        assert_code(shoal_segment_detach(worker.segment), 0);
        assert_code(shoal_segment_attach_fd(fd, &again), 0);
        cr_assert(SHOAL_SAME(again, worker.segment));
    }
    close(fd);
    assert_code(does(&worker, LOOK_AGAIN), 0);
    assert_code(shoal_segment_detach(worker.segment), 0);
    finish(&worker);
}

/* A thread that has no slot in the segment sets an event there, as a signal handler may. */
static void *sets(void *event)
{
    const int code = shoal_event_set(*(shoal_event *)event);
    return (void *)(intptr_t)code;
}

Test(detach, an_event_is_set_by_a_thread_that_is_not_in, .timeout = 60)
{
    shoal_segment segment;
    shoal_event event;
    pthread_t thread;
    void *result = NULL;
    assert_code(shoal_segment_create(NULL, &segment), 0);
    assert_code(shoal_event_create(&(shoal_event_options){ .segment = segment }, &event), 0);
    pthread_create(&thread, NULL, sets, &event);
    pthread_join(thread, &result);
    cr_assert_null(result);
    cr_assert(shoal_event_is_set(event));
    assert_code(shoal_segment_detach(segment), 0);
    pthread_create(&thread, NULL, sets, &event);
    pthread_join(thread, &result);
    cr_assert_eq((intptr_t)result, -ESTALE);
    cr_assert_eq(harness_segments_count(), 0);
}

/* The action of a barrier runs inside a call on it. */
static shoal_segment barrier_s;

static void detaches(void *context)
{
    *(int *)context = shoal_segment_detach(barrier_s);
}

Test(detach, a_barrier_s_action_may_detach_its_segment, .timeout = 60)
{
    shoal_barrier barrier;
    int code = 77;
    assert_code(shoal_segment_create(NULL, &barrier_s), 0);
    const shoal_barrier_options options = { .segment = barrier_s,
                                            .action = detaches,
                                            .context = &code };
    assert_code(shoal_barrier_create(1, &options, &barrier), 0);
    cr_assert_geq(shoal_barrier_wait(barrier, NULL, harness_deadline()), 0);
    cr_assert_eq(code, 0);
    assert_code(shoal_barrier_wait(barrier, NULL, SHOAL_NOW), -ESTALE);
    cr_assert_eq(harness_segments_count(), 0);
}
