/* Several processes are ended by one deadline: asked, terminated, killed. Beyond row 21. */
#include "proc/children.h"

#include <errno.h>

TestSuite(end_all, .timeout = 90);

static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                   SHOAL_START_FORKSERVER };
enum { METHODS = 3, QUEUED = 5 };

/* What a worker has: it counts its messages, and says by the event that it is on its way. */
struct work {
    shoal_queue queue;
    shoal_event stop, begun;
    _Atomic int *got; /* in the family's memory, which lies at one address */
};

static shoal_process start_by(enum shoal_start_method method, void (*target)(void *),
                              const struct work *work)
{
    shoal_process process = { 0 };
    const shoal_process_options options = {
        .target = target, .argument = work, .argument_size = sizeof *work, .start_method = method
    };
    assert_code(shoal_event_clear(work->begun), 0);
    assert_code(shoal_process_start_new(&options, &process), 0);
    assert_code(shoal_event_wait(work->begun, harness_deadline()), 0);
    return process;
}

static struct work have_work(void)
{
    assert_code(harness_init(NULL), 0);
    struct work work = { .queue = queue_of(QUEUED), .got = shoal_calloc(1, sizeof(int)) };
    assert_code(shoal_event_create(NULL, &work.stop), 0);
    assert_code(shoal_event_create(NULL, &work.begun), 0);
    return work;
}

static void end_work(const struct work *work)
{
    assert_code(shoal_queue_destroy(work->queue), 0);
    assert_code(shoal_event_destroy(work->stop), 0);
    assert_code(shoal_event_destroy(work->begun), 0);
    shoal_free(work->got);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

static void begin(const struct work *work)
{
    CHILD_CHECK(shoal_event_set(work->begun) == 0);
}

static void works_until_the_queue_ends(void *argument)
{
    const struct work *work = argument;
    void *payload;
    int code;
    begin(work);
    while ((code = shoal_queue_get(work->queue, &payload, SHOAL_FOREVER)) == 0) {
        shoal_free(payload);
        ++*work->got;
    }
    CHILD_CHECK(code == -EPIPE);
}

static void works_until_it_is_cancelled(void *argument)
{
    const struct work *work = argument;
    void *payload;
    begin(work);
    CHILD_CHECK(shoal_queue_get(work->queue, &payload, shoal_until(SHOAL_FOREVER, work->stop)) ==
                -ECANCELED);
}

static void listens_to_signals_alone(void *argument)
{
    begin(argument);
    target_pauses(NULL);
}

static void does_not_listen(void *argument)
{
    signal(SIGTERM, SIG_IGN);
    begin(argument);
    target_pauses(NULL);
}

static void leaves_messages_and_ends(void *argument)
{
    const struct work *work = argument;
    for (int i = 0; i < QUEUED; i++)
        CHILD_CHECK(shoal_queue_put_bytes(work->queue, "unread", 7, SHOAL_NOW) == 0);
    begin(work);
    CHILD_CHECK(shoal_event_wait(work->stop, SHOAL_FOREVER) == 0);
}

/* Of each method one. */
static void start_all(void (*target)(void *), const struct work *work,
                      shoal_process ret_processes[METHODS])
{
    for (int i = 0; i < METHODS; i++)
        ret_processes[i] = start_by(methods[i], target, work);
}

static void all_needed(const enum shoal_end_step steps[METHODS], enum shoal_end_step step,
                       const shoal_process processes[METHODS], int exitcode)
{
    for (int i = 0; i < METHODS; i++) {
        cr_assert_eq(steps[i], step, "%d: %u", i, steps[i]);
        cr_assert_not(shoal_process_is_alive(processes[i]));
        child_ends(processes[i], exitcode);
    }
}

/* What is queued is worked off, and the call returns with the last of them. */
Test(end_all, queue_ends_and_what_is_left_is_drained, .timeout = 90)
{
    shoal_process processes[METHODS];
    enum shoal_end_step steps[METHODS];
    const struct work work = have_work();
    start_all(works_until_the_queue_ends, &work, processes);
    for (int i = 0; i < QUEUED; i++)
        assert_code(shoal_queue_put_bytes(work.queue, "text", 5, harness_deadline()), 0);
    const shoal_end_options options = { .queue = work.queue, .event = work.stop };
    assert_code(shoal_process_end_all(processes, METHODS, &options, steps, SHOAL_FOREVER), 0);
    cr_assert_eq(*work.got, QUEUED);
    cr_assert_not(shoal_event_is_set(work.stop)); /* nobody needed it */
    all_needed(steps, SHOAL_END_QUEUE, processes, 0);
    end_work(&work);
}

Test(end_all, event_ends_waits, .timeout = 90)
{
    shoal_process processes[METHODS];
    enum shoal_end_step steps[METHODS];
    const struct work work = have_work();
    start_all(works_until_it_is_cancelled, &work, processes);
    const shoal_end_options options = { .event = work.stop };
    assert_code(shoal_process_end_all(processes, METHODS, &options, steps, SHOAL_FOREVER), 0);
    all_needed(steps, SHOAL_END_EVENT, processes, 0);
    end_work(&work);
}

/* 1.10.7: nor do messages that nobody reads hold it up. */
Test(end_all, unread_messages_hold_up_nobody_1_10_7, .timeout = 90)
{
    const struct work work = have_work();
    enum shoal_end_step step;
    const shoal_end_options options = { .event = work.stop };
    const shoal_process process = start_by(SHOAL_START_DEFAULT, leaves_messages_and_ends, &work);
    assert_code(shoal_process_end_all(&process, 1, &options, &step, SHOAL_FOREVER), 0);
    cr_assert_eq(step, SHOAL_END_EVENT);
    cr_assert_eq(shoal_queue_qsize(work.queue), QUEUED);
    child_ends(process, 0);
    end_work(&work);
}

/* 1.6.1: without being asked. */
Test(end_all, who_is_not_asked_is_terminated_1_6_1, .timeout = 90)
{
    shoal_process processes[METHODS];
    enum shoal_end_step steps[METHODS];
    const struct work work = have_work();
    start_all(listens_to_signals_alone, &work, processes);
    assert_code(shoal_process_end_all(processes, METHODS, NULL, steps, harness_deadline()), 0);
    all_needed(steps, SHOAL_END_TERMINATE, processes, -SIGTERM);
    end_work(&work);
}

/* 1.6.3: who listens to nothing, or is stopped, is killed, and before the deadline. */
Test(end_all, who_does_not_listen_is_killed_1_6_3, .timeout = 90)
{
    shoal_process processes[METHODS];
    enum shoal_end_step steps[METHODS];
    const struct work work = have_work();
    const shoal_end_options options = { .queue = work.queue, .event = work.stop };
    for (int stopped = 0; stopped < 2; stopped++) {
        start_all(stopped ? listens_to_signals_alone : does_not_listen, &work, processes);
        for (int i = 0; stopped && i < METHODS; i++)
            assert_code(shoal_process_signal(processes[i], SIGSTOP), 0);
        const uint64_t begin_ns = harness_now_ns(), time_ns = 80000000;
        const int code = shoal_process_end_all(processes, METHODS, &options, steps,
                                               shoal_at_ns(begin_ns + time_ns));
        cr_assert(code == 0 || code == -ETIMEDOUT, "%d", code); /* a busy machine reaps late */
        cr_assert_geq(harness_now_ns() - begin_ns, time_ns / 4 * 3 - 4);
        cr_assert(shoal_event_is_set(work.stop));
        for (int i = 0; i < METHODS; i++) {
            cr_assert_eq(steps[i], SHOAL_END_KILL);
            child_ends(processes[i], -SIGKILL);
        }
    }
    end_work(&work);
}

/* Each needs what it needs, by one call; at once if there is no time. */
Test(end_all, without_time_all_steps_are_taken_at_once, .timeout = 90)
{
    const struct work work = have_work();
    enum shoal_end_step steps[3] = { 0 };
    const shoal_process processes[] = {
        child_start(target_nothing, NULL, 0),
        start_by(SHOAL_START_DEFAULT, does_not_listen, &work),
        start_by(SHOAL_START_DEFAULT, listens_to_signals_alone, &work),
    };
    assert_code(shoal_process_join(processes[0], harness_deadline()), 0);
    const shoal_end_options options = { .event = work.stop };
    const int code = shoal_process_end_all(processes, 3, &options, steps, SHOAL_NOW);
    cr_assert(code == 0 || code == -ETIMEDOUT, "%d", code);
    cr_assert(shoal_event_is_set(work.stop));
    cr_assert_eq(steps[0], SHOAL_END_NOTHING);
    cr_assert_eq(steps[1], SHOAL_END_KILL);
    cr_assert_geq(steps[2], SHOAL_END_TERMINATE);
    child_ends(processes[0], 0);
    child_ends(processes[1], -SIGKILL);
    assert_code(shoal_process_join(processes[2], harness_deadline()), 0);
    cr_assert_lt(shoal_process_exitcode(processes[2]), 0);
    assert_code(shoal_process_close(processes[2]), 0);
    end_work(&work);
}

/* A step that cannot be taken is told of, and the next ones are. */
Test(end_all, queue_that_is_gone_holds_up_nothing, .timeout = 90)
{
    const struct work work = have_work();
    enum shoal_end_step step;
    const shoal_end_options options = { .queue = queue_of(1), .event = work.stop };
    assert_code(shoal_queue_destroy(options.queue), 0);
    const shoal_process process = start_by(SHOAL_START_DEFAULT, works_until_it_is_cancelled, &work);
    assert_code(shoal_process_end_all(&process, 1, &options, &step, shoal_after_ms(100)), -ESTALE);
    cr_assert_geq(step, SHOAL_END_EVENT);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    assert_code(shoal_process_close(process), 0);
    end_work(&work);
}

static int is_no_creator(void *argument)
{
    CHILD_CHECK(shoal_process_end_all(argument, 1, NULL, NULL, SHOAL_NOW) == -ECHILD);
    return 0;
}

Test(end_all, misuse_is_refused_and_nothing_is_done, .timeout = 90)
{
    shoal_process processes[2] = { child_start(target_pauses, NULL, 0) };
    enum shoal_end_step step = SHOAL_END_KILL;
    shoal_event event;
    assert_code(shoal_event_create(NULL, &event), 0);
    const shoal_process_options options = { .target = target_nothing };
    assert_code(shoal_process_create(&options, &processes[1]), 0);
    assert_code(shoal_process_end_all(processes, 2, NULL, NULL, SHOAL_NOW), -ESRCH);
    assert_code(shoal_process_close(processes[1]), 0);
    assert_code(shoal_process_end_all(processes, 2, NULL, NULL, SHOAL_NOW), -ESTALE);
    assert_code(shoal_process_end_all(NULL, 1, NULL, &step, SHOAL_NOW), -EINVAL);
    assert_code(shoal_process_end_all(processes, 1, NULL, &step, shoal_until(SHOAL_NOW, event)),
                -ENOTSUP);
    assert_code(shoal_process_end_all(processes, 1, &(shoal_end_options){ .reserved[1] = 1 }, &step,
                                      SHOAL_NOW),
                -EINVAL);
    cr_assert_eq(harness_wait(harness_child(is_no_creator, processes)), 0);
    assert_code(shoal_process_end_all(NULL, 0, NULL, NULL, SHOAL_NOW), 0);
    cr_assert(shoal_process_is_alive(processes[0]) && step == SHOAL_END_KILL);
    assert_code(shoal_process_end_all(processes, 1, NULL, NULL, harness_deadline()), 0);
    child_ends(processes[0], -SIGTERM);
    assert_code(shoal_event_destroy(event), 0);
}
