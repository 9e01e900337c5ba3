/* The ring of cells by itself, among threads: every item once, in order, in a ring that begins
 * anywhere. ThreadSanitizer sees these. */
#include "flow/cells.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "flow/queue.h"
#include "harness.h"
#include "mem/pages.h"

TestSuite(cells, .timeout = 120);

enum { THREADS = 3 };
#define ITEMS UINT64_C(20000)
#define LAST_LAPS (~UINT64_C(0)) /* the counter comes round after one lap */

/* A ring beside a queue, which lends it its handle. */
struct ring {
    shoal_queue queue;
    struct cells_shm *shm;
    void *cells;
};

static struct ring ring_of(uint64_t capacity, uint64_t laps)
{
    struct ring ring = { .shm = shoal_calloc(1, sizeof *ring.shm),
                         .cells = shoal_calloc(1, shl_cells_size(capacity)) };
    const struct shl_segment *family = shl_segment_family();
    assert_code(shoal_queue_create(NULL, &ring.queue), 0);
    cr_assert(ring.shm && ring.cells);
    shl_cells_init(family, ring.shm, shl_offset(family, ring.cells), capacity, laps);
    return ring;
}

/* The thread's notes, on the ring in place of the queue's. */
static struct shl_found *found_of(const struct ring *ring)
{
    struct shl_found *found = shl_find(ring->queue.ref, KIND_QUEUE);
    cr_assert_not_null(found);
    shl_cells_learn(found, ring->shm, ITEMS_VALUES);
    return found;
}

static void end(struct ring *ring)
{
    shoal_free(ring->shm);
    shoal_free(ring->cells);
    assert_code(shoal_queue_destroy(ring->queue), 0);
}

Test(cells, hold_exactly_their_capacity_wherever_they_begin, .timeout = 120)
{
    for (uint64_t capacity = 1; capacity <= 9; capacity++) {
        struct ring ring = ring_of(capacity, LAST_LAPS);
        struct shl_found *found = found_of(&ring);
        uint64_t item;
        for (uint64_t next = 0; next < 5 * capacity; next += capacity) {
            assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), -ETIMEDOUT);
            for (uint64_t i = 0; i < capacity; i++) {
                cr_assert_eq(shl_cells_count(found), i);
                assert_code(shl_cells_put(found, next + i, SHOAL_NOW), 0);
            }
            assert_code(shl_cells_put(found, 0, SHOAL_NOW), -ETIMEDOUT);
            for (uint64_t i = 0; i < capacity; i++) {
                cr_assert_eq(shl_cells_count(found), capacity - i);
                assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), 0);
                cr_assert_eq(item, next + i);
            }
        }
        end(&ring);
    }
}

Test(cells, lagging_hints_cost_nothing_but_steps, .timeout = 120)
{
    struct ring ring = ring_of(7, 0);
    struct shl_found *found = found_of(&ring);
    uint64_t item;
    for (uint64_t i = 0; i < 100; i++) {
        ring.shm->tail = ring.shm->head = 0;
        memset(found->sides, 0, sizeof found->sides);
        assert_code(shl_cells_put(found, i, SHOAL_NOW), 0);
        cr_assert_eq(shl_cells_count(found), 1);
        assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), 0);
        cr_assert_eq(item, i);
    }
    end(&ring);
}

enum { GENERATIONS = 0xfff };

/* Until the handle is good again, of another queue in the same place. */
static void *use_up_generations(void *argument)
{
    shoal_queue *queue = argument;
    shoal_queue_options options = { .value_size = sizeof(uint64_t), .capacity_count = 8 };
    int code = 0;
    for (unsigned i = 1; code == 0 && i <= GENERATIONS; i++) {
        options.capacity_count = i < GENERATIONS ? 8 : 1000;
        code = shoal_queue_destroy(*queue);
        if (code == 0)
            code = shoal_queue_create(&options, queue);
    }
    return code == 0 ? NULL : argument;
}

Test(cells, notes_of_an_earlier_queue_of_the_same_handle_are_void, .timeout = 120)
{
    shoal_queue queue = values_of(sizeof(uint64_t), 8);
    const uint64_t ref = queue.ref;
    uint64_t value = 1;
    pthread_t other;
    void *failed;
    for (int i = 0; i < 3; i++)
        assert_code(shoal_queue_put_value(queue, &value, sizeof value, SHOAL_NOW), 0);
    cr_assert_eq(pthread_create(&other, NULL, use_up_generations, &queue), 0);
    pthread_join(other, &failed);
    cr_assert_null(failed);
    cr_assert_eq(queue.ref, ref);
    value = 99;
    assert_code(shoal_queue_put_value(queue, &value, sizeof value, SHOAL_NOW), 0);
    cr_assert_eq(shoal_queue_qsize(queue), 1);
    value = 0;
    assert_code(shoal_queue_get_value(queue, &value, sizeof value, SHOAL_NOW), 0);
    cr_assert_eq(value, 99);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(cells, which_ring_a_queue_has_is_not_asked_again, .timeout = 120)
{
    for (unsigned bulk = 0; bulk <= 1; bulk++) {
        shoal_queue queue;
        shoal_queue_options options = { .value_size = sizeof(uint64_t), .bulk = bulk };
        shoal_queue_counters counters;
        assert_code(shoal_queue_create(&options, &queue), 0);
        cr_assert(shoal_queue_empty(queue));
        struct queue_shm *shm = (struct queue_shm *)shl_find(queue.ref, KIND_QUEUE)->object;
        shm->ring_kind = bulk ? RING_CELLS : RING_DENSE; /* another process says so */
        assert_code(shoal_queue_stats(queue, &counters), 0);
        assert_code(shoal_queue_shutdown(queue), 0);
        shm->ring_kind = bulk ? RING_DENSE : RING_CHAIN;
        assert_code(shoal_queue_destroy(queue), 0);
    }
}

/* Not even where his slot has had 64 owners since, and the last bits of its generation recur. */
Test(cells, who_was_to_free_them_and_is_gone_holds_up_nobody, .timeout = 120)
{
    struct ring ring = ring_of(1, 0);
    const struct shl_found *found = found_of(&ring);
    const struct ring_call call = { .segment = found->segment,
                                    .self = found->self,
                                    .cells = ring.shm,
                                    .object = found->object,
                                    .ref = ring.queue.ref };
    const uint64_t own = found->object->own;
    ring.shm->closer = found->self->owner_long;
    cr_assert_not(shl_cells_enter_ended(&call, own), "he lives");
    ring.shm->closer ^= UINT64_C(64) << 16;
    cr_assert(shl_cells_enter_ended(&call, own));
    cr_assert_eq(ring.shm->closer, found->self->owner_long);
    shl_cells_leave(&call);
    cr_assert_eq(ring.shm->closer, 0);
    end(&ring);
}

Test(cells, what_was_damaged_is_told, .timeout = 120)
{
    struct ring ring = ring_of(4, 0);
    uint64_t item;
    ring.shm->tail = ring.shm->head = 100 * CELL_ONE;
    struct shl_found *found = found_of(&ring);
    assert_code(shl_cells_put(found, 1, SHOAL_NOW), -EUCLEAN);
    assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), -EUCLEAN);
    ring.shm->tail = ring.shm->head = 0;
    ring.shm->cells = UINT64_C(1) << 60;
    found = found_of(&ring);
    assert_code(shl_cells_put(found, 1, SHOAL_NOW), -EUCLEAN);
    assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), -EUCLEAN);
    end(&ring);
}

Test(cells, a_sealed_ring_is_drained_and_then_closed, .timeout = 120)
{
    struct ring ring = ring_of(2, 0);
    struct shl_found *found = found_of(&ring);
    uint64_t item;
    assert_code(shl_cells_put(found, 1, SHOAL_NOW), 0);
    assert_code(shl_cells_put(found, 2, SHOAL_NOW), 0);
    assert_code(shl_cells_seal(found, CELLS_SHUT), 0);
    assert_code(shl_cells_put(found, 3, SHOAL_NOW), -EPIPE);
    assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), 0);
    assert_code(shl_cells_put(found, 3, SHOAL_NOW), -EPIPE);
    assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), 0);
    cr_assert_eq(item, 2);
    assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), -EPIPE);
    ring.shm->end = 0; /* a put that had looked before */
    assert_code(shl_cells_put(found, 3, SHOAL_NOW), -EPIPE);
    assert_code(shl_cells_take(found, false, SHOAL_NOW, &item), -EPIPE);
    end(&ring);
}

Test(cells, a_wait_keeps_the_notes_whose_place_its_event_takes, .timeout = 120)
{
    struct ring ring = ring_of(2, 0);
    shoal_deadline deadline = SHOAL_FOREVER;
    do
        assert_code(shoal_event_create(NULL, &deadline.cancel), 0);
    while (shl_found_place(deadline.cancel.ref) != shl_found_place(ring.queue.ref));
    assert_code(shoal_event_set(deadline.cancel), 0);
    struct shl_found *found = found_of(&ring);
    uint64_t item = 0;
    assert_code(shl_cells_take(found, false, deadline, &item), -ECANCELED);
    cr_assert_eq(found->ref, ring.queue.ref);
    assert_code(shl_cells_put(found, 7, deadline), 0);
    assert_code(shl_cells_take(found, false, deadline, &item), 0);
    cr_assert_eq(item, 7);
    end(&ring);
}

/* --- several at once ------------------------------------------------------------------------- */

struct player {
    pthread_t thread;
    struct ring *ring;
    uint64_t number;
    uint64_t last[THREADS], sum;
    bool disordered;
};

static void *puts_items(void *argument)
{
    struct player *player = argument;
    struct shl_found *found = found_of(player->ring);
    for (uint64_t i = 1; i <= ITEMS; i++)
        if (shl_cells_put(found, player->number << 32 | i, harness_deadline()) < 0)
            break;
    return NULL;
}

static void *takes_items(void *argument)
{
    struct player *player = argument;
    struct shl_found *found = found_of(player->ring);
    for (uint64_t item; shl_cells_take(found, false, harness_deadline(), &item) == 0;) {
        uint64_t *last = &player->last[(item >> 32) % THREADS];
        player->disordered |= (uint32_t)item <= *last;
        *last = (uint32_t)item;
        player->sum += (uint32_t)item;
    }
    return NULL;
}

static void play(uint64_t capacity, size_t threads_count)
{
    struct ring ring = ring_of(capacity, LAST_LAPS);
    struct player putters[THREADS], takers[THREADS];
    for (size_t i = 0; i < threads_count; i++) {
        putters[i] = takers[i] = (struct player){ .ring = &ring, .number = i };
        cr_assert_eq(pthread_create(&takers[i].thread, NULL, takes_items, &takers[i]), 0);
        cr_assert_eq(pthread_create(&putters[i].thread, NULL, puts_items, &putters[i]), 0);
    }
    for (size_t i = 0; i < threads_count; i++)
        pthread_join(putters[i].thread, NULL);
    struct shl_found *found = found_of(&ring);
    assert_code(shl_cells_seal(found, CELLS_SHUT), 0);
    uint64_t sum = 0;
    for (size_t i = 0; i < threads_count; i++) {
        pthread_join(takers[i].thread, NULL);
        cr_assert_not(takers[i].disordered);
        sum += takers[i].sum;
    }
    cr_assert_eq(sum, threads_count * (ITEMS * (ITEMS + 1) / 2));
    end(&ring);
}

Test(cells, one_putter_and_one_taker, .timeout = 120)
{
    play(1, 1);
    play(64, 1);
}

Test(cells, several_putters_and_takers_share_one_cell, .timeout = 120)
{
    play(1, THREADS);
}

Test(cells, several_putters_and_takers_share_three_cells, .timeout = 120)
{
    play(3, THREADS);
}

Test(cells, several_putters_and_takers_share_many_cells, .timeout = 120)
{
    play(1000, THREADS);
}
