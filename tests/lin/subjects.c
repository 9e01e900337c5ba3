/* What the crew does with each kind of object. */
#include "crew.h"

#include <errno.h>

#include "chain.h"
#include "store.h"

/* A call on a queue may give up after 10 ms because another is inside and does not run: that it
 * took so long is how one tells, and then it says nothing of the queue. */
#define GAVE_UP_NS (5 * UINT64_C(1000000))
#define VALUES_PER_WORKER 1000000u

static uint32_t random_below(struct worker *worker, uint32_t limit)
{
    return (uint32_t)(harness_random(&worker->random) % limit);
}

/* Mostly at once; else longer than another's call takes, and shorter than GAVE_UP_NS. */
static shoal_deadline some_deadline(struct worker *worker)
{
    return random_below(worker, 4) > 0 ? SHOAL_NOW : shoal_after_us(20 + random_below(worker, 300));
}

/* --- queues --------------------------------------------------------------------------------- */

static uint64_t create_queue_by(shoal_queue_options options, uint32_t size)
{
    shoal_queue queue;
    options.capacity_count = size;
    assert_code(shoal_queue_create(&options, &queue), 0);
    return queue.ref;
}

static uint64_t create_queue(uint32_t size)
{
    return create_queue_by((shoal_queue_options){ 0 }, size);
}

static uint64_t create_dense(uint32_t size)
{
    return create_queue_by((shoal_queue_options){ .bulk = true }, size);
}

static void destroy_queue(uint64_t object)
{
    assert_code(shoal_queue_destroy((shoal_queue){ object }), 0);
}

static int unless_gave_up(int code, uint64_t began_ns)
{
    const bool long_ago = harness_now_ns() - began_ns > GAVE_UP_NS;
    return code == -ETIMEDOUT && long_ago ? BUSY : code;
}

static void put(struct worker *worker)
{
    const uint32_t value = worker->track * VALUES_PER_WORKER + ++worker->values_count;
    const shoal_deadline deadline = some_deadline(worker);
    const uint64_t began_ns = harness_now_ns();
    uint32_t *payload = shoal_alloc(sizeof *payload);
    CHILD_CHECK(payload);
    *payload = value;
    int code = -ENOMEM;
    if (log_call(worker, PUT, value)) {
        code = shoal_queue_put((shoal_queue){ worker->object }, payload, deadline);
        log_return(worker, unless_gave_up(code, began_ns), value);
    }
    if (code < 0)
        shoal_free(payload);
}

static int get_by(struct worker *worker, shoal_deadline deadline)
{
    const uint64_t began_ns = harness_now_ns();
    void *payload = NULL;
    if (!log_call(worker, GET, 0))
        return -ENOMEM;
    const int code = shoal_queue_get((shoal_queue){ worker->object }, &payload, deadline);
    log_return(worker, unless_gave_up(code, began_ns), code == 0 ? *(uint32_t *)payload : 0);
    if (code == 0)
        shoal_free(payload);
    return code;
}

static void step_queue(struct worker *worker)
{
    if (random_below(worker, 2))
        put(worker);
    else
        get_by(worker, some_deadline(worker));
}

static void step_short_queue(struct worker *worker)
{
    if (random_below(worker, 200) > 0)
        step_queue(worker);
    else if (log_call(worker, SHUTDOWN, 0))
        log_return(worker, shoal_queue_shutdown((shoal_queue){ worker->object }), 0);
}

static void finish_queue(struct worker *worker)
{
    while (get_by(worker, SHOAL_NOW) == 0) {}
}

#define QUEUE_OF(size, create, step)                                  \
    {                                                                 \
        &model_queue, size, create, destroy_queue, step, finish_queue \
    }
const struct subject subject_queue_of_1 = QUEUE_OF(1, create_queue, step_short_queue);
const struct subject subject_queue_of_3 = QUEUE_OF(3, create_queue, step_short_queue);
const struct subject subject_queue_of_64 = QUEUE_OF(64, create_queue, step_queue);
const struct subject subject_dense_of_1 = QUEUE_OF(1, create_dense, step_short_queue);
const struct subject subject_dense_of_3 = QUEUE_OF(3, create_dense, step_short_queue);

/* --- queues of words: nobody gives up there ------------------------------------------------- */

static uint64_t create_words(uint32_t size)
{
    return create_queue_by((shoal_queue_options){ .value_size = sizeof(uint64_t) }, size);
}

/* It has no capacity, and begins with a ring of one cell. */
static uint64_t create_growing(uint32_t size)
{
    (void)size;
    const uint64_t queue = create_words(0);
    cr_assert(chain_shrink(queue));
    return queue;
}

/* Likewise in a dense ring, which moves. */
static uint64_t create_dense_growing(uint32_t size)
{
    (void)size;
    const shoal_queue_options options = { .value_size = sizeof(uint64_t), .bulk = true };
    const uint64_t queue = create_queue_by(options, 0);
    cr_assert(store_shrink(queue));
    return queue;
}

/* One puts and one gets, until he is killed: the others are refused. */
static uint64_t create_single(uint32_t size)
{
    const shoal_queue_options options = { .value_size = sizeof(uint64_t),
                                          .single_producer = true,
                                          .single_consumer = true };
    return create_queue_by(options, size);
}

static int unless_refused(int code)
{
    return code == -EPERM ? BUSY : code;
}

static void put_word(struct worker *worker)
{
    const uint32_t value = worker->track * VALUES_PER_WORKER + ++worker->values_count;
    const shoal_deadline deadline = some_deadline(worker);
    const uint64_t word = value;
    if (log_call(worker, PUT, value))
        log_return(worker,
                   unless_refused(shoal_queue_put_value((shoal_queue){ worker->object }, &word,
                                                        sizeof word, deadline)),
                   value);
}

static int get_word_by(struct worker *worker, shoal_deadline deadline)
{
    uint64_t word = 0;
    if (!log_call(worker, GET, 0))
        return -ENOMEM;
    const int code = shoal_queue_get_value((shoal_queue){ worker->object }, &word, sizeof word,
                                           deadline);
    log_return(worker, unless_refused(code), (uint32_t)word);
    return code;
}

static void step_words(struct worker *worker)
{
    if (random_below(worker, 200) == 0 && log_call(worker, SHUTDOWN, 0))
        log_return(worker, shoal_queue_shutdown((shoal_queue){ worker->object }), 0);
    else if (random_below(worker, 2))
        put_word(worker);
    else
        get_word_by(worker, some_deadline(worker));
}

static void finish_words(struct worker *worker)
{
    while (get_word_by(worker, SHOAL_NOW) == 0) {}
}

#define WORDS_OF(size, create)                                              \
    {                                                                       \
        &model_queue, size, create, destroy_queue, step_words, finish_words \
    }
const struct subject subject_words_of_1 = WORDS_OF(1, create_words);
const struct subject subject_words_of_3 = WORDS_OF(3, create_words);
const struct subject subject_single_of_3 = WORDS_OF(3, create_single);
const struct subject subject_growing = WORDS_OF(1 << 20, create_growing);
const struct subject subject_dense_growing = WORDS_OF(1 << 20, create_dense_growing);

/* --- locks ---------------------------------------------------------------------------------- */

static uint64_t create_lock(uint32_t size)
{
    shoal_lock lock;
    (void)size;
    assert_code(shoal_lock_create(NULL, &lock), 0);
    return lock.ref;
}

static uint64_t create_rlock(uint32_t size)
{
    shoal_lock lock;
    (void)size;
    assert_code(shoal_rlock_create(&lock), 0);
    return lock.ref;
}

static void destroy_lock(uint64_t object)
{
    assert_code(shoal_lock_destroy((shoal_lock){ object }), 0);
}

static void acquire(struct worker *worker, shoal_deadline deadline)
{
    const shoal_lock lock = { worker->object };
    if (!log_call(worker, ACQUIRE, 0))
        return;
    const int code = shoal_lock_acquire(lock, deadline);
    log_return(worker, code, 0);
    worker->held_count += code >= 0;
    if (code == SHOAL_OWNER_DIED && random_below(worker, 2) && log_call(worker, CLEAR_DIED, 0))
        log_return(worker, shoal_lock_clear_owner_died(lock), 0);
}

static void release(struct worker *worker)
{
    if (!log_call(worker, RELEASE, 0))
        return;
    log_return(worker, shoal_lock_release((shoal_lock){ worker->object }), 0);
    worker->held_count--;
}

static void step_lock(struct worker *worker)
{
    if (worker->held_count > 0 && random_below(worker, 4) > 0)
        release(worker);
    else
        acquire(worker, some_deadline(worker));
}

static void finish_lock(struct worker *worker)
{
    worker->held_count = 0;
    acquire(worker, SHOAL_NOW);
    if (worker->held_count > 0)
        release(worker);
}

const struct subject subject_lock = { &model_lock,  0,         create_lock,
                                      destroy_lock, step_lock, finish_lock };
const struct subject subject_rlock = { &model_rlock, 0,         create_rlock,
                                       destroy_lock, step_lock, finish_lock };

/* --- semaphores ----------------------------------------------------------------------------- */

static uint64_t create_with(uint32_t value, bool bounded, bool owned)
{
    shoal_semaphore semaphore;
    const shoal_semaphore_options options = { .bounded = bounded, .owned = owned };
    assert_code(shoal_semaphore_create(value, &options, &semaphore), 0);
    return semaphore.ref;
}

static uint64_t create_semaphore(uint32_t value)
{
    return create_with(value, false, false);
}

static uint64_t create_bounded(uint32_t value)
{
    return create_with(value, true, false);
}

static uint64_t create_owned(uint32_t value)
{
    return create_with(value, false, true);
}

static void destroy_semaphore(uint64_t object)
{
    assert_code(shoal_semaphore_destroy((shoal_semaphore){ object }), 0);
}

static int acquire_permit(struct worker *worker, shoal_deadline deadline)
{
    if (!log_call(worker, ACQUIRE, 0))
        return -ENOMEM;
    const int code = shoal_semaphore_acquire((shoal_semaphore){ worker->object }, deadline);
    log_return(worker, code, 0);
    worker->held_count += code == 0;
    return code;
}

static void release_permit(struct worker *worker)
{
    if (!log_call(worker, RELEASE, 0))
        return;
    log_return(worker, shoal_semaphore_release((shoal_semaphore){ worker->object }), 0);
    worker->held_count -= worker->held_count > 0;
}

static void ask_value(struct worker *worker)
{
    if (log_call(worker, VALUE, 0))
        log_return(worker, 0, shoal_semaphore_value((shoal_semaphore){ worker->object }));
}

/* Only what it has: an owned one's permits. Nor is its value asked for: those are counted one by
 * one, and the sum need never have been true. */
static void step_owned(struct worker *worker)
{
    if (worker->held_count > 0 && random_below(worker, 2))
        release_permit(worker);
    else
        acquire_permit(worker, some_deadline(worker));
}

static void step_semaphore(struct worker *worker)
{
    const uint32_t choice = random_below(worker, 10);
    if (choice == 0)
        ask_value(worker);
    else if (choice == 1)
        release_permit(worker); /* acquired or not */
    else
        step_owned(worker);
}

static void finish_semaphore(struct worker *worker)
{
    worker->held_count = 0;
    ask_value(worker);
    while (acquire_permit(worker, SHOAL_NOW) == 0) {}
}

#define SEMAPHORE_OF(model, size, create, step)                        \
    {                                                                  \
        model, size, create, destroy_semaphore, step, finish_semaphore \
    }
const struct subject subject_semaphore = SEMAPHORE_OF(&model_semaphore, 1, create_semaphore,
                                                      step_semaphore);
const struct subject subject_bounded = SEMAPHORE_OF(&model_bounded, 2, create_bounded,
                                                    step_semaphore);
const struct subject subject_owned = SEMAPHORE_OF(&model_owned, 2, create_owned, step_owned);

/* --- events --------------------------------------------------------------------------------- */

static uint64_t create_event(uint32_t size)
{
    shoal_event event;
    (void)size;
    assert_code(shoal_event_create(NULL, &event), 0);
    return event.ref;
}

static void destroy_event(uint64_t object)
{
    assert_code(shoal_event_destroy((shoal_event){ object }), 0);
}

static void set(struct worker *worker)
{
    if (log_call(worker, SET, 0))
        log_return(worker, shoal_event_set((shoal_event){ worker->object }), 0);
}

static void clear(struct worker *worker)
{
    if (log_call(worker, CLEAR, 0))
        log_return(worker, shoal_event_clear((shoal_event){ worker->object }), 0);
}

static void ask_is_set(struct worker *worker)
{
    if (log_call(worker, IS_SET, 0))
        log_return(worker, 0, shoal_event_is_set((shoal_event){ worker->object }));
}

static void wait_for(struct worker *worker, shoal_deadline deadline)
{
    if (log_call(worker, WAIT, 0))
        log_return(worker, shoal_event_wait((shoal_event){ worker->object }, deadline), 0);
}

/* Often set and clear at once: then those who wait must not overlook it. */
static void step_event(struct worker *worker)
{
    const uint32_t choice = random_below(worker, 6);
    if (choice == 0)
        ask_is_set(worker);
    if (choice == 1 || choice == 2)
        set(worker);
    if (choice == 2 || choice == 3)
        clear(worker);
    if (choice > 3)
        wait_for(worker, some_deadline(worker));
}

static void finish_event(struct worker *worker)
{
    ask_is_set(worker);
    wait_for(worker, SHOAL_NOW);
}

const struct subject subject_event = { &model_event,  0,          create_event,
                                       destroy_event, step_event, finish_event };
