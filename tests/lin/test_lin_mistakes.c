/* Mistakes in the runtime are found by the histories that run. */
#include "crew.h"

#include "os/chaos.h"

TestSuite(lin_mistakes, .timeout = 600);

/* Wrong within the time, and what is left of it by shrinking is wrong, too. */
static void is_found(const char *mistake, const struct subject *subject, uint32_t steps_count)
{
    const struct crew crew = { .subject = subject,
                               .name = mistake,
                               .workers_count = 4,
                               .steps_count = steps_count,
                               .kill_every = 1,
                               .seconds = 20 };
    shl_mistake = mistake;
    struct crew_report report = crew_run(&crew);
    cr_assert_gt(report.wrong.count, 0, "%s: not found in %u rounds", mistake, report.rounds);
    fprintf(stderr, "%s: found in round %u\n", mistake, report.rounds);
    history_explain(&report.wrong, stderr);
    shrink(&report.wrong);
    struct reason reason;
    cr_assert_eq(check_history(&report.wrong, &reason), WRONG);
    history_free(&report.wrong);
}

Test(lin_mistakes, a_cell_is_committed_unwritten, .timeout = 600)
{
    is_found("ring.unwritten", &subject_dense_of_3, 24);
}

Test(lin_mistakes, a_word_is_written_before_its_cell_is_had, .timeout = 600)
{
    is_found("cells.two_steps", &subject_words_of_3, 24);
}

Test(lin_mistakes, a_side_is_taken_from_the_living, .timeout = 600)
{
    is_found("single.alive", &subject_single_of_3, 24);
}

Test(lin_mistakes, a_message_is_overtaken, .timeout = 600)
{
    is_found("queue.overtaken", &subject_queue_of_3, 24);
}

Test(lin_mistakes, a_message_is_overtaken_in_a_long_history, .timeout = 600)
{
    is_found("queue.overtaken", &subject_queue_of_64, 5000);
}

Test(lin_mistakes, a_release_is_lost, .timeout = 600)
{
    is_found("semaphore.lost", &subject_bounded, 24);
}

Test(lin_mistakes, a_set_is_lost, .timeout = 600)
{
    is_found("event.lost", &subject_event, 24);
}

Test(lin_mistakes, a_lock_is_taken_from_the_living, .timeout = 600)
{
    is_found("lock.living", &subject_lock, 24);
}

Test(lin_mistakes, nobody_is_told_that_a_holder_died, .timeout = 600)
{
    is_found("lock.untold", &subject_lock, 24);
}
