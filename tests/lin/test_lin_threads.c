/* The same histories by threads, for ThreadSanitizer, which is blind to other processes. */
#include "crew.h"

TestSuite(lin_threads, .timeout = 120);

static void threads(const char *name, const struct subject *subject)
{
    const struct crew crew = { .subject = subject,
                               .name = name,
                               .workers_count = 4,
                               .steps_count = 24,
                               .threads = true,
                               .seconds = 0.5 };
    crew_must_be_right(&crew);
}

Test(lin_threads, queue_histories_are_right, .timeout = 120)
{
    threads("queue", &subject_queue_of_3);
}

Test(lin_threads, dense_queue_histories_are_right, .timeout = 120)
{
    threads("dense", &subject_dense_of_3);
}

Test(lin_threads, word_histories_are_right, .timeout = 120)
{
    threads("words", &subject_words_of_3);
}

Test(lin_threads, single_sides_histories_are_right, .timeout = 120)
{
    threads("single", &subject_single_of_3);
}

Test(lin_threads, lock_histories_are_right, .timeout = 120)
{
    threads("lock", &subject_lock);
}

Test(lin_threads, recursive_lock_histories_are_right, .timeout = 120)
{
    threads("recursive_lock", &subject_rlock);
}

Test(lin_threads, semaphore_histories_are_right, .timeout = 120)
{
    threads("semaphore", &subject_semaphore);
}

Test(lin_threads, event_histories_are_right, .timeout = 120)
{
    threads("event", &subject_event);
}
