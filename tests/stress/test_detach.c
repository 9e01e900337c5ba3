/*
 * Threads hammer the objects and payloads of a segment while it is detached and attached again: a
 * call succeeds or says that the segment is not attached, and nobody touches what is unmapped.
 * Seeded; SHOAL_TEST_SECONDS makes it longer.
 */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(detach_stress, .timeout = 600);

enum { THREADS = 4, SECONDS_DEFAULT = 3 };

struct arena {
    shoal_segment segment;
    shoal_lock lock;
    shoal_queue queue;
    shoal_event event;
    _Atomic bool stop;
    _Atomic unsigned done, stale, wrong;
};

struct hammer {
    struct arena *arena;
    uint64_t state;
};

static void note(struct arena *arena, int code)
{
    if (code >= 0 || code == -ETIMEDOUT)
        arena->done++;
    else if (code == -ESTALE)
        arena->stale++;
    else
        arena->wrong++;
}

/* What a thread has just got is its own until its next call on an object. */
static void use(struct arena *arena, char *payload, size_t size)
{
    if (payload)
        memset(payload, 'x', size);
    shoal_free(payload);
    note(arena, payload ? 0 : -ESTALE);
}

static void get(struct arena *arena)
{
    void *payload = NULL;
    const int code = shoal_queue_get(arena->queue, &payload, shoal_after_us(100));
    note(arena, code);
    if (code == 0)
        use(arena, payload, shoal_size(payload));
}

static void strike(struct arena *arena, unsigned which)
{
    switch (which) {
    case 0:
        note(arena, shoal_lock_acquire(arena->lock, shoal_after_us(100)));
        shoal_lock_release(arena->lock);
        return;
    case 1:
        note(arena, shoal_queue_put_bytes(arena->queue, "hammer", 7, SHOAL_NOW));
        return;
    case 2:
        get(arena);
        return;
    case 3:
        use(arena, shoal_alloc_in(arena->segment, 300), 300);
        return;
    case 4:
        note(arena, shoal_event_set(arena->event));
        shoal_event_clear(arena->event);
        return;
    default:
        note(arena, shoal_segment_fd(arena->segment));
        return;
    }
}

static void *hammers(void *argument)
{
    struct hammer *hammer = argument;
    while (!hammer->arena->stop)
        strike(hammer->arena, (unsigned)(harness_random(&hammer->state) % 6));
    return NULL;
}

static void begin(struct arena *arena)
{
    assert_code(shoal_segment_create(NULL, &arena->segment), 0);
    const shoal_segment in = arena->segment;
    assert_code(shoal_lock_create(&(shoal_lock_options){ .segment = in }, &arena->lock), 0);
    assert_code(shoal_queue_create(&(shoal_queue_options){ .segment = in }, &arena->queue), 0);
    assert_code(shoal_event_create(&(shoal_event_options){ .segment = in }, &arena->event), 0);
}

/* Detaches and attaches until the time is over; ends detached. */
static unsigned flicker(const struct arena *arena, int fd, uint64_t end_ns)
{
    unsigned rounds = 0;
    while (harness_now_ns() < end_ns) {
        shoal_segment again = { 0 };
        assert_code(shoal_segment_detach(arena->segment), 0);
        assert_code(shoal_segment_attach_fd(fd, &again), 0);
        cr_assert(SHOAL_SAME(again, arena->segment));
        rounds++;
    }
    assert_code(shoal_segment_detach(arena->segment), 0);
    return rounds;
}

Test(detach_stress, threads_work_while_the_segment_comes_and_goes, .timeout = 600)
{
    static struct arena arena;
    struct hammer hammers_of[THREADS];
    pthread_t threads[THREADS];
    const uint64_t seed = harness_seed("detach");
    const char *seconds = getenv("SHOAL_TEST_SECONDS");
    begin(&arena);
    const int fd = dup(shoal_segment_fd(arena.segment));
    for (size_t i = 0; i < THREADS; i++) {
        hammers_of[i] = (struct hammer){ &arena, seed + i };
        cr_assert_eq(pthread_create(&threads[i], NULL, hammers, &hammers_of[i]), 0);
    }
    const uint64_t length = seconds ? strtoull(seconds, NULL, 10) : SECONDS_DEFAULT;
    const unsigned rounds = flicker(&arena, fd, harness_now_ns() + length * 1000000000);
    arena.stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    close(fd);
    cr_log_info("%u rounds, %u calls done, %u stale", rounds, arena.done, arena.stale);
    cr_assert_eq(arena.wrong, 0);
    cr_assert(arena.done > 0 && arena.stale > 0 && rounds > 0, "%u done, %u stale, %u rounds",
              arena.done, arena.stale, rounds);
    cr_assert_eq(harness_segments_count(), 0);
}
