/*
 * What processes did at once, some of them killed, is what a sequential object could have done.
 * Seeded; SHOAL_TEST_SECONDS makes it longer.
 */
#include "crew.h"

TestSuite(lin, .timeout = 600);

enum { WORKERS = 4, STEPS = 24, KILL_EVERY = 4 };

static void processes(const char *name, const struct subject *subject, uint32_t steps_count)
{
    const struct crew crew = { .subject = subject,
                               .name = name,
                               .workers_count = WORKERS,
                               .steps_count = steps_count,
                               .kill_every = KILL_EVERY,
                               .seconds = harness_seconds(2) };
    crew_must_be_right(&crew);
}

Test(lin, queue_of_1_histories_are_right, .timeout = 600)
{
    processes("queue_of_1", &subject_queue_of_1, STEPS);
}

Test(lin, queue_of_3_histories_are_right, .timeout = 600)
{
    processes("queue_of_3", &subject_queue_of_3, STEPS);
}

Test(lin, dense_queue_histories_are_right, .timeout = 600)
{
    processes("dense_of_1", &subject_dense_of_1, STEPS);
    processes("dense_of_3", &subject_dense_of_3, STEPS);
}

Test(lin, word_histories_are_right, .timeout = 600)
{
    processes("words_of_1", &subject_words_of_1, STEPS);
    processes("words_of_3", &subject_words_of_3, STEPS);
}

Test(lin, growing_queue_histories_are_right, .timeout = 600)
{
    processes("growing", &subject_growing, STEPS);
}

Test(lin, growing_dense_queue_histories_are_right, .timeout = 600)
{
    processes("dense_growing", &subject_dense_growing, STEPS);
}

Test(lin, single_sides_histories_are_right, .timeout = 600)
{
    processes("single_of_3", &subject_single_of_3, STEPS);
}

Test(lin, long_queue_histories_are_right, .timeout = 600)
{
    processes("long_queue", &subject_queue_of_64, 5000);
}

Test(lin, lock_histories_are_right, .timeout = 600)
{
    processes("lock", &subject_lock, STEPS);
}

Test(lin, recursive_lock_histories_are_right, .timeout = 600)
{
    processes("recursive_lock", &subject_rlock, STEPS);
}

Test(lin, semaphore_histories_are_right, .timeout = 600)
{
    processes("semaphore", &subject_semaphore, STEPS);
}

Test(lin, bounded_semaphore_histories_are_right, .timeout = 600)
{
    processes("bounded_semaphore", &subject_bounded, STEPS);
}

Test(lin, semaphore_with_owned_permits_histories_are_right, .timeout = 600)
{
    processes("semaphore_with_owned_permits", &subject_owned, STEPS);
}

Test(lin, event_histories_are_right, .timeout = 600)
{
    processes("event", &subject_event, STEPS);
}
