/* Several who put numbers into a queue of values, and several who get them. */
#ifndef SHOAL_TESTS_CROWD_H
#define SHOAL_TESTS_CROWD_H

#include "harness.h"

#include <pthread.h>
#include <string.h>

#include <shoal/queue.h>
#include <shoal/values.h>

enum { CROWD_SIDE = 2, CROWD_ITEMS = 20000, CROWD_VALUE_MAX = 64 };

static struct {
    shoal_queue queue;
    size_t value_size;
    _Atomic unsigned failures;
    _Atomic uint32_t seen[CROWD_SIDE][CROWD_ITEMS];
} crowd;

static void *crowd_puts(void *argument)
{
    const uint64_t self = *(const uint64_t *)argument;
    char value[CROWD_VALUE_MAX] = "";
    for (uint64_t i = 0; i < CROWD_ITEMS; i++) {
        const uint64_t number = self << 32 | i;
        memcpy(value, &number, sizeof number);
        crowd.failures += shoal_queue_put_value(crowd.queue, value, crowd.value_size,
                                                harness_deadline()) != 0;
    }
    return NULL;
}

static void *crowd_gets(void *argument)
{
    int64_t last[CROWD_SIDE] = { -1, -1 };
    char value[CROWD_VALUE_MAX];
    (void)argument;
    while (shoal_queue_get_value(crowd.queue, value, crowd.value_size, harness_deadline()) == 0) {
        uint64_t word;
        memcpy(&word, value, sizeof word);
        const uint64_t putter = word >> 32, number = word & UINT32_MAX;
        crowd.failures += putter >= CROWD_SIDE || (int64_t)number <= last[putter % CROWD_SIDE];
        last[putter % CROWD_SIDE] = (int64_t)number;
        crowd.seen[putter % CROWD_SIDE][number % CROWD_ITEMS]++;
    }
    return NULL;
}

/* Each number comes once, and to whoever gets it in its producer's order; then the queue ends. */
static inline void crowd_hands_on(shoal_queue queue, size_t value_size)
{
    pthread_t threads[2 * CROWD_SIDE];
    uint64_t numbers[2 * CROWD_SIDE];
    crowd.queue = queue;
    crowd.value_size = value_size;
    for (uint64_t i = 0; i < 2 * CROWD_SIDE; i++) {
        numbers[i] = i;
        cr_assert_eq(pthread_create(&threads[i], NULL, i < CROWD_SIDE ? crowd_puts : crowd_gets,
                                    &numbers[i]),
                     0);
    }
    for (unsigned i = 0; i < 2 * CROWD_SIDE; i++) {
        if (i == CROWD_SIDE)
            assert_code(shoal_queue_shutdown(queue), 0);
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(crowd.failures, 0, "%u failures", crowd.failures);
    for (unsigned i = 0; i < CROWD_SIDE; i++)
        for (unsigned k = 0; k < CROWD_ITEMS; k++)
            cr_assert_eq(crowd.seen[i][k], 1);
    assert_code(shoal_queue_destroy(queue), 0);
}

#endif
