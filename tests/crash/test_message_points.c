/*
 * A process is killed with a message on its way: it is there once, or was never put, or is taken,
 * whoever else has it in his journal.
 */
#include "deeds.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

TestSuite(message_points, .timeout = 300);

/* --- messages ------------------------------------------------------------------------------- */

static int puts_one(void)
{
    unsigned char *payload = payload_new(1000);
    payload[0] = 2;
    CHILD_CHECK(shoal_queue_put(board->queue, payload, SHOAL_NOW) == 0);
    return 0;
}

static int gets_one(void)
{
    void *payload;
    CHILD_CHECK(shoal_queue_get(board->queue, &payload, SHOAL_NOW) == 0);
    return 0;
}

/* The queue holds messages 0 and 1 before. */
struct passage {
    struct deed deed;
    unsigned char first, end; /* those that it holds afterwards */
};

static const struct passage passages[] = {
    { { puts_one, "queue.journal", 0 }, 0, 2 }, { { puts_one, "queue.sending", 0 }, 0, 2 },
    { { puts_one, "ring.P2", 0 }, 0, 2 },       { { puts_one, "ring.P3", 0 }, 0, 2 },
    { { puts_one, "ring.P4", 0 }, 0, 2 },       { { puts_one, "ring.P5", 0 }, 0, 2 },
    { { puts_one, "ring.P6", 0 }, 0, 3 },       { { puts_one, "queue.put", 0 }, 0, 3 },
    { { gets_one, "ring.P2", 0 }, 0, 2 },       { { gets_one, "ring.P3", 0 }, 0, 2 },
    { { gets_one, "ring.P4", 0 }, 0, 2 },       { { gets_one, "ring.P5", 0 }, 0, 2 },
    { { gets_one, "ring.P6", 0 }, 1, 2 },       { { gets_one, "queue.taken", 0 }, 1, 2 },
    { { gets_one, "queue.owned", 0 }, 1, 2 },   { { puts_one, "cells.P1", 0 }, 0, 2 },
    { { puts_one, "cells.P4", 0 }, 0, 2 },      { { puts_one, "cells.P5", 0 }, 0, 3 },
    { { gets_one, "cells.P1", 0 }, 0, 2 },      { { gets_one, "cells.P4", 0 }, 0, 2 },
    { { gets_one, "cells.P5", 0 }, 1, 2 },
};

static void put_two(void)
{
    for (unsigned char i = 0; i < 2; i++) {
        unsigned char *payload = shoal_alloc_in(segment, 1000);
        *payload = i;
        assert_code(shoal_queue_put(board->queue, payload, SHOAL_NOW), 0);
    }
}

/* A message of a process that was killed a moment ago is freed like any other. */
static void take_some(const struct passage *passage)
{
    void *payload;
    for (unsigned char i = passage->first; i < passage->end; i++) {
        assert_code(shoal_queue_get(board->queue, &payload, SHOAL_NOW), 0);
        cr_assert_eq(*(unsigned char *)payload, i, "%s: message %u", passage->deed.point, i);
        shoal_free(payload);
        cr_assert_eq(shoal_size(payload), 0, "%s: not freed", passage->deed.point);
    }
}

static void take_all(const struct passage *passage)
{
    void *payload;
    take_some(passage);
    assert_code(shoal_queue_get(board->queue, &payload, SHOAL_NOW), -ETIMEDOUT);
}

static void kill_and_take(const struct passage *passage, bool settled_first)
{
    put_two();
    cr_assert(dies(&passage->deed), "nobody comes to %s", passage->deed.point);
    if (settled_first)
        assert_settled(&passage->deed, passage->end - passage->first);
    take_all(passage);
    assert_settled(&passage->deed, 0);
}

static void kill_in_all_passages(void)
{
    make_board();
    for (size_t i = 0; i < COUNT_OF(passages); i++) {
        if (!is_passed(passages[i].deed.point))
            continue;
        kill_and_take(&passages[i], true);
        kill_and_take(&passages[i], false);
    }
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

Test(message_points, a_message_is_there_once_or_was_never_put_or_is_taken, .timeout = 300)
{
    kill_in_all_passages();
    dense = true;
    kill_in_all_passages();
}

/* One who was just taking it and one who had just put it, both dead. */
Test(message_points, two_dead_have_the_same_message_in_their_journals, .timeout = 300)
{
    const struct deed putting = { puts_one, "queue.put", 0 };
    make_board();
    for (size_t i = 0; i < COUNT_OF(passages); i++) {
        if (passages[i].deed.function != gets_one || !is_passed(passages[i].deed.point))
            continue;
        put_two();
        cr_assert(dies(&putting));
        for (unsigned char k = 0; k < 2; k++) {
            void *payload;
            assert_code(shoal_queue_get(board->queue, &payload, SHOAL_NOW), 0);
            shoal_free(payload);
        }
        const struct deed taking = passages[i].deed;
        cr_assert_eq(dies(&taking), true);
        const size_t left = 1 - passages[i].first;
        assert_settled(&taking, left);
        for (size_t k = 0; k < left; k++) {
            void *payload;
            assert_code(shoal_queue_get(board->queue, &payload, SHOAL_NOW), 0);
            cr_assert_eq(*(unsigned char *)payload, 2);
            shoal_free(payload);
        }
        assert_settled(&taking, 0);
    }
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- who loses a message -------------------------------------------------------------------- */

static int takes_late(void *point)
{
    void *payload;
    shl_chaos_plan(&(struct shl_chaos_plan){ point, SHL_CHAOS_STALL, 0, stalled, released });
    return shoal_queue_get(board->queue, &payload, SHOAL_NOW) == -ETIMEDOUT ? 0 : 1;
}

/* Two are taking it; one is stopped there, the other one has it and dies. Who settles that one does
 * not know which it was, and may die too: the first one frees it when he goes on, or whoever
 * settles him. */
static void loses_a_message(const char *settlers, bool goes_on)
{
    const struct deed taking = { gets_one, "queue.taken", 0 };
    put_two();
    take_some(&(struct passage){ { NULL, "", 0 }, 0, 1 });
    const pid_t late = settler_stopped_at(takes_late, "cells.P4");
    cr_assert(dies(&taking));
    cr_assert(dies(&(struct deed){ settles, settlers, 0 }), "nobody comes to %s", settlers);
    shl_peer_recover_all(inside());
    cr_assert_eq(memory_audit(segment).payloads_count, 1, "%s", settlers);
    if (goes_on) {
        settler_goes_on(late);
    } else {
        kill(late, SIGKILL);
        cr_assert_eq(harness_wait(late), -SIGKILL);
    }
    assert_settled(&taking, 0);
}

Test(message_points, who_loses_a_message_settles_it, .timeout = 120)
{
    make_board();
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        loses_a_message("journal.settling", goes_on);
        loses_a_message("journal.asks", goes_on);
    }
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- a thread that dies alone --------------------------------------------------------------- */

static void exits_alone(int signal_number)
{
    (void)signal_number;
    syscall(SYS_exit, 0); /* no destructor runs: the kernel alone tells of it */
}

static void *takes_and_stops(void *queue)
{
    void *payload;
    shl_chaos_plan(
        &(struct shl_chaos_plan){ "queue.taken", SHL_CHAOS_STALL, 0, stalled, released });
    return shoal_queue_get(*(shoal_queue *)queue, &payload, SHOAL_NOW) == 0 ? payload : NULL;
}

static uint64_t bytes_on_their_way(void)
{
    shoal_audit audit;
    shl_peer_recover_all(inside());
    CHILD_CHECK(shoal_segment_audit(segment, &audit) == 0);
    return audit.queued + audit.lost;
}

static uint64_t threads_after_settling(void)
{
    shl_peer_recover_all(inside());
    return atom_load_relaxed(&inside()->shm->threads_attached);
}

/* Its process lives on, so that only the thread's own death tells that nobody takes the message. */
static int loses_a_thread_that_takes(void *argument)
{
    pthread_t thread;
    (void)argument;
    CHILD_CHECK(signal(SIGUSR1, exits_alone) != SIG_ERR);
    CHILD_CHECK(shoal_queue_put(board->queue, payload_new(100), SHOAL_NOW) == 0);
    CHILD_CHECK(pthread_create(&thread, NULL, takes_and_stops, &board->queue) == 0);
    CHILD_CHECK(harness_until(atom_load_acquire(stalled))); /* acquire <- the thread */
    CHILD_CHECK(bytes_on_their_way() != 0);
    const uint64_t before_it = threads_after_settling();
    CHILD_CHECK(pthread_kill(thread, SIGUSR1) == 0);
    CHILD_CHECK(harness_until(threads_after_settling() == before_it - 1));
    return bytes_on_their_way() == 0 ? 0 : 1;
}

static int status_of_losing_a_thread(void)
{
    stalled = harness_shared(sizeof *stalled);
    released = harness_shared(sizeof *released);
    return harness_wait(harness_child(loses_a_thread_that_takes, NULL));
}

Test(message_points, what_a_thread_was_taking_when_it_died_alone_is_free, .timeout = 120)
{
    make_board();
    cr_expect_eq(status_of_losing_a_thread(), 0);
    shl_mistake = "journal.settling";
    cr_expect_eq(status_of_losing_a_thread(), 1);
    shl_mistake = NULL;
    assert_code(shoal_queue_destroy(board->queue), 0);
    assert_code(shoal_segment_detach(segment), 0);
}
