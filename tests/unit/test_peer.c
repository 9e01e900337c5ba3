/* How many threads can be in a segment. */
#include "sync.h"

TestSuite(peer, .timeout = 60);

enum { THREADS = 1023 }; /* and this one */

static shoal_queue queue;
static _Atomic int attached, failures, go, left;

static bool can_allocate(void)
{
    void *payload = shoal_alloc(1);
    shoal_free(payload);
    return payload != NULL;
}

static void polls(int ms)
{
    /* not synchronisation: the pause of a loop that looks at a word, outside the library */
    nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static void *attaches(void *argument)
{
    const int number = (int)(intptr_t)argument;
    failures += !can_allocate();
    attached++;
    while (go <= number)
        polls(20);
    left++;
    return NULL;
}

static void *is_refused(void *argument)
{
    void *payload = argument;
    failures += shoal_alloc(1) != NULL;
    failures += strstr(shoal_error_message(), "no slot") == NULL;
    failures += shoal_queue_get(queue, &payload, SHOAL_NOW) != -EUSERS;
    failures += shoal_queue_get(queue, &payload, SHOAL_FOREVER) != -EUSERS;
    failures += shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW) != -EUSERS;
    failures += payload != argument;
    attached++;
    while (!go)
        polls(1);
    while (left == 0)
        polls(1);
    for (int i = 0; i < 5000 && !can_allocate(); i++) /* the other one's end takes a moment */
        polls(1);
    failures += !can_allocate();
    failures += shoal_queue_put_bytes(queue, "x", 1, SHOAL_NOW) != 0;
    return NULL;
}

Test(peer, thread_1025_is_refused_until_another_one_leaves, .timeout = 60)
{
    static pthread_t threads[THREADS];
    pthread_attr_t small;
    void *payload;
    assert_code(shoal_queue_create(NULL, &queue), 0);
    cr_assert(can_allocate());
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    for (intptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], &small, attaches, (void *)i), 0);
    cr_assert(harness_until(attached == THREADS));
    cr_assert_eq(failures, 0);
    const pthread_t last = thread_start(is_refused, NULL);
    cr_assert(harness_until(attached == THREADS + 1));
    cr_assert_eq(failures, 0, "%d failures", failures);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), -ETIMEDOUT); /* who is in stays in */
    go = 1;
    thread_ends(last);
    cr_assert_eq(failures, 0, "%d failures", failures);
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
    shoal_free(payload);
    go = THREADS;
    for (int i = 0; i < THREADS; i++)
        thread_ends(threads[i]);
    pthread_attr_destroy(&small);
    assert_code(shoal_queue_destroy(queue), 0);
}

static void *uses_and_ends(void *argument)
{
    failures += !can_allocate();
    return argument;
}

Test(peer, threads_that_end_leave_their_slots, .timeout = 60)
{
    for (int i = 0; i < 3000; i++)
        in_thread(uses_and_ends, NULL);
    cr_assert_eq(failures, 0);
}
