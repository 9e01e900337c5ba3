/* Barriers among processes, of which some are killed, stopped or end. */
#include "../sync.h"

#include <sys/wait.h>

TestSuite(barrier_death, .timeout = 60);

enum { PARTIES = 5, PASSES = 1000 };

static struct board {
    _Atomic int at[PARTIES], acted, arrived;
    _Atomic unsigned indices[PASSES];
    _Atomic int codes[PARTIES];
} * board;

static shoal_barrier barrier;

static void begin(unsigned parties)
{
    board = harness_shared(sizeof *board);
    cr_assert_not_null(board);
    barrier = barrier_new(parties);
}

static int passes_in_lockstep(void *argument)
{
    const int me = *(int *)argument;
    for (int pass = 0; pass < PASSES; pass++) {
        unsigned index = 77;
        board->at[me] = pass + 1;
        CHILD_CHECK(shoal_barrier_wait(barrier, &index, harness_deadline()) == 0);
        CHILD_CHECK(index < PARTIES);
        CHILD_CHECK((atomic_fetch_or(&board->indices[pass], 1u << index) & 1u << index) == 0);
        for (int i = 0; i < PARTIES; i++)
            CHILD_CHECK(board->at[i] == pass + 1 || board->at[i] == pass + 2);
    }
    return 0;
}

Test(barrier_death, five_processes_pass_in_lockstep_2_20, .timeout = 60)
{
    pid_t pids[PARTIES];
    begin(PARTIES);
    for (int i = 0; i < PARTIES; i++)
        pids[i] = harness_child(passes_in_lockstep, &i);
    for (int i = 0; i < PARTIES; i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    for (int pass = 0; pass < PASSES; pass++)
        cr_assert_eq(board->indices[pass], (1u << PARTIES) - 1);
    assert_code(shoal_barrier_destroy(barrier), 0);
}

static void *thread_waits(void *argument)
{
    board->codes[*(int *)argument] = shoal_barrier_wait(barrier, NULL, SHOAL_FOREVER);
    return NULL;
}

/* In a thread, which ends in peace: to the others _exit() is a death like any other. */
static int waits_once(void *argument)
{
    pthread_t thread;
    CHILD_CHECK(pthread_create(&thread, NULL, thread_waits, argument) == 0);
    CHILD_CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}

static int passes_and_pauses(void *argument)
{
    CHILD_CHECK(shoal_barrier_wait(barrier, NULL, harness_deadline()) == 0);
    board->arrived++;
    return harness_pauses(argument);
}

static void they_wait(pid_t *pids, int count)
{
    const unsigned before = shoal_barrier_waiting(barrier);
    for (int i = 0; i < count; i++) {
        board->codes[i] = 77;
        pids[i] = harness_child(waits_once, &i);
    }
    cr_assert(harness_until(shoal_barrier_waiting(barrier) == before + (unsigned)count));
}

static void they_get(const pid_t *pids, int count, int code)
{
    for (int i = 0; i < count; i++) {
        cr_assert_eq(harness_wait_ms(pids[i], 10000), 0);
        assert_code((int)board->codes[i], code);
    }
}

/* All but one are new processes. */
static void is_repaired_by_reset(int parties)
{
    pid_t pids[PARTIES];
    cr_assert(shoal_barrier_is_broken(barrier));
    assert_code(shoal_barrier_wait(barrier, NULL, SHOAL_FOREVER), -ECONNABORTED);
    assert_code(shoal_barrier_reset(barrier), 0);
    cr_assert_not(shoal_barrier_is_broken(barrier));
    they_wait(pids, parties - 1);
    assert_code(shoal_barrier_wait(barrier, NULL, harness_deadline()), 0);
    they_get(pids, parties - 1, 0);
}

/* CPython: it stays counted, and the barrier never breaks. */
Test(barrier_death, party_killed_while_it_waits_breaks_it_2_20, .timeout = 60)
{
    begin(4);
    for (int round = 0; round < 10; round++) {
        pid_t pids[3];
        they_wait(pids, 3);
        kill(pids[2], SIGKILL);
        they_get(pids, 2, -ECONNABORTED);
        cr_assert_eq(harness_wait(pids[2]), -SIGKILL);
        is_repaired_by_reset(4);
    }
    assert_code(shoal_barrier_destroy(barrier), 0);
}

/* It has waited once, and the others wait for it to come again. */
Test(barrier_death, party_killed_between_two_waits_breaks_it_2_20, .timeout = 60)
{
    begin(3);
    for (int round = 0; round < 10; round++) {
        pid_t party, pids[2];
        board->arrived = 0;
        party = harness_child(passes_and_pauses, NULL);
        cr_assert(harness_until(shoal_barrier_waiting(barrier) == 1));
        they_wait(pids, 1);
        assert_code(shoal_barrier_wait(barrier, NULL, harness_deadline()), 0);
        they_get(pids, 1, 0);
        cr_assert(harness_until(board->arrived));
        if (round % 2) { /* dead before they come */
            kill(party, SIGKILL);
            cr_assert_eq(harness_wait(party), -SIGKILL);
            assert_code(shoal_barrier_wait(barrier, NULL, harness_deadline()), -ECONNABORTED);
        } else { /* or while they wait */
            they_wait(pids, 1);
            kill(party, SIGKILL);
            they_get(pids, 1, -ECONNABORTED);
            cr_assert_eq(harness_wait(party), -SIGKILL);
        }
        is_repaired_by_reset(3);
        assert_code(shoal_barrier_reset(barrier), 0);
    }
    assert_code(shoal_barrier_destroy(barrier), 0);
}

Test(barrier_death, process_that_ends_in_peace_makes_room_for_another_2_20, .timeout = 60)
{
    begin(2);
    for (int round = 0; round < 20; round++) {
        pid_t pid;
        they_wait(&pid, 1);
        assert_code(shoal_barrier_wait(barrier, NULL, harness_deadline()), 0);
        they_get(&pid, 1, 0);
        cr_assert_not(shoal_barrier_is_broken(barrier));
    }
    assert_code(shoal_barrier_destroy(barrier), 0);
}

static void dies_acting(void *context)
{
    (void)context;
    if (board->acted++ == 0)
        raise(SIGKILL);
}

Test(barrier_death, party_killed_in_the_action_breaks_it_2_20, .timeout = 60)
{
    const shoal_barrier_options options = { .action = dies_acting };
    begin(1);
    assert_code(shoal_barrier_destroy(barrier), 0);
    for (int round = 0; round < 5; round++) {
        pid_t pids[4];
        int killed = 0;
        assert_code(shoal_barrier_create(4, &options, &barrier), 0);
        board->acted = 0;
        for (int i = 0; i < 4; i++)
            pids[i] = harness_child(waits_once, &i);
        for (int i = 0; i < 4; i++) {
            const int status = harness_wait_ms(pids[i], 10000);
            killed += status == -SIGKILL;
            cr_assert(status == -SIGKILL || status == 0, "%d", status);
            if (status == 0)
                assert_code((int)board->codes[i], -ECONNABORTED);
        }
        cr_assert_eq(killed, 1);
        cr_assert_eq(board->acted, 1);
        is_repaired_by_reset(4);
        cr_assert_eq(board->acted, 2);
        assert_code(shoal_barrier_destroy(barrier), 0);
    }
}

/* 1.5.7 for barriers. */
Test(barrier_death, stopped_party_is_waited_for_1_5_7, .timeout = 60)
{
    pid_t pids[2];
    begin(3);
    they_wait(pids, 2);
    kill(pids[0], SIGSTOP);
    /* not synchronisation: longer than the tick at which waiters look for the dead */
    nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 500000000 }, NULL);
    cr_assert_not(shoal_barrier_is_broken(barrier));
    assert_code(shoal_barrier_wait(barrier, NULL, harness_deadline()), 0);
    kill(pids[0], SIGCONT);
    they_get(pids, 2, 0);
    assert_code(shoal_barrier_destroy(barrier), 0);
}
