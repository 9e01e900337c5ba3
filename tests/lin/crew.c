/*
 * Purpose. Histories of processes that run at once, and are killed.
 *
 * Times. An operation's call and return are numbers from one counter that all share, and not from
 * a clock. What one processor did before it read a clock may reach the others later, and what it
 * does afterwards may begin earlier, so that a history by the clock can be wrong without fault.
 * With the counter, "a returned before b was called" means that a happens before b, on any
 * machine. The price is a contended line around each call, which may hide a fault that needs the
 * calls themselves to be unordered; the memory orders are for ThreadSanitizer and the models.
 *
 * Death. A worker that is to die sets a timer whose signal is SIGKILL, so that it dies at any
 * instruction. What it logged lies in shared memory: a call is logged before it is made, the
 * return after it. Its death is an operation, too, which ends when it has been waited for.
 *
 * Races. Other timers, short ones, interrupt a call and give the processor away, so that calls
 * overlap even if there are fewer processors than workers.
 */
#include "crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define INTERRUPT_ONE_IN 8 /* steps */
#define INTERRUPT_NS 4000  /* at most after so long */
#define STEP_NS 1000       /* about: when to die, so that some die early and some late */

struct log {
    _Atomic uint32_t called, returned; /* how many operations have been */
    struct operation *operations;
};

/* Shared by the workers and the test. */
struct board {
    _Atomic uint64_t order;
    _Atomic uint32_t round, arrived, done;
    _Atomic bool stop;
    uint32_t workers_count, steps_count, log_size;
    uint32_t doomed; /* who dies in this round, or TRACKS_MAX */
    uint64_t object;
    struct log logs[TRACKS_MAX];
};

struct team {
    const struct crew *crew;
    struct board *board;
    size_t board_size;
    uint64_t random;
    struct worker workers[TRACKS_MAX]; /* the one after the last: the test itself, when all rest */
    pid_t pids[TRACKS_MAX];
    pthread_t threads[TRACKS_MAX];
    struct crew_report report;
};

/* --- the log -------------------------------------------------------------------------------- */

/*
 * ThreadSanitizer would take the counter for synchronisation of what the calls do, and see nothing:
 * for it the counter is relaxed. On x86, where the sanitizers run, it is ordered all the same.
 */
static uint64_t next_time(struct board *board)
{
    return 1 + atomic_fetch_add_explicit(&board->order, 1,
                                         HARNESS_SANITIZED ? memory_order_relaxed
                                                           : memory_order_seq_cst);
}

bool log_call(struct worker *worker, enum verb verb, uint32_t value)
{
    struct log *log = &worker->board->logs[worker->track];
    const uint32_t i = log->returned;
    if (i == worker->board->log_size)
        return false;
    log->operations[i] = (struct operation){
        .called = next_time(worker->board), .track = worker->track, .verb = verb, .value = value
    };
    log->called = i + 1;
    return true;
}

void log_return(struct worker *worker, int result, uint32_t value)
{
    struct log *log = &worker->board->logs[worker->track];
    struct operation *operation = &log->operations[log->returned];
    operation->result = result;
    operation->value = value;
    operation->returned = next_time(worker->board);
    log->returned++;
}

/* Killed in a call, or so soon after it that nobody knows the result; and then its death. */
static void log_death(struct board *board, uint32_t track)
{
    struct log *log = &board->logs[track];
    const uint32_t called = log->called;
    if (called > log->returned)
        operation_forget(&log->operations[called - 1]);
    log->operations[called] = (struct operation){
        .called = called > 0 ? log->operations[called - 1].called : 1, /* its last sign of life */
        .returned = next_time(board),
        .track = track,
        .verb = DIE,
    };
    log->returned = log->called = called + 1;
}

/* --- workers -------------------------------------------------------------------------------- */

static void give_way(int number)
{
    (void)number;
    sched_yield();
}

/* In less than a second. */
static void set_timer(timer_t timer, uint64_t after_ns)
{
    const struct itimerspec when = { .it_value = { .tv_nsec = (long)after_ns + 1 } };
    CHILD_CHECK(timer_settime(timer, 0, &when, NULL) == 0);
}

static timer_t new_timer(int number)
{
    timer_t timer;
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number };
    CHILD_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    return timer;
}

static void begin_round(struct worker *worker)
{
    struct board *board = worker->board;
    worker->object = board->object;
    worker->held_count = worker->values_count = 0;
    board->arrived++;
    while (board->arrived < board->workers_count && !board->stop)
        sched_yield();
}

static void play(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->board->steps_count; i++)
        worker->subject->step(worker);
}

/* A process's round: it is interrupted, and maybe killed. */
static void play_disturbed(struct worker *worker, timer_t interruption, timer_t death)
{
    const bool doomed = worker->board->doomed == worker->track;
    const uint64_t life_ns = worker->board->steps_count * (uint64_t)STEP_NS;
    if (doomed)
        set_timer(death, harness_random(&worker->random) % life_ns);
    for (uint32_t i = 0; doomed || i < worker->board->steps_count; i++) {
        if (harness_random(&worker->random) % INTERRUPT_ONE_IN == 0)
            set_timer(interruption, harness_random(&worker->random) % INTERRUPT_NS);
        worker->subject->step(worker);
    }
}

static bool comes_to_round(struct board *board, uint32_t round)
{
    return harness_until(board->round == round || board->stop) && !board->stop;
}

static int works(void *argument)
{
    struct worker *worker = argument;
    const struct sigaction action = { .sa_handler = give_way };
    sigaction(SIGALRM, &action, NULL);
    const timer_t interruption = new_timer(SIGALRM), death = new_timer(SIGKILL);
    for (uint32_t round = worker->round; comes_to_round(worker->board, round); round++) {
        begin_round(worker);
        play_disturbed(worker, interruption, death);
        worker->board->done++;
    }
    return 0;
}

static void *works_as_thread(void *argument)
{
    struct worker *worker = argument;
    for (uint32_t round = worker->round; comes_to_round(worker->board, round); round++) {
        begin_round(worker);
        play(worker);
        worker->board->done++;
    }
    return NULL;
}

/* --- the team ------------------------------------------------------------------------------- */

static void start_worker(struct team *team, uint32_t track)
{
    struct worker *worker = &team->workers[track];
    *worker = (struct worker){ .subject = team->crew->subject,
                               .board = team->board,
                               .track = track,
                               .round = team->board->round + 1,
                               .random = harness_random(&team->random),
                               .size = team->crew->subject->size };
    if (track == team->crew->workers_count)
        return;
    if (team->crew->threads)
        cr_assert_eq(pthread_create(&team->threads[track], NULL, works_as_thread, worker), 0);
    else
        team->pids[track] = harness_child(works, worker);
}

static void start_team(struct team *team)
{
    const uint32_t log_size = 4 * team->crew->steps_count + 64,
                   tracks_count = team->crew->workers_count + 1;
    const size_t log_bytes = (log_size + 1) * sizeof(struct operation);
    team->board_size = sizeof *team->board + tracks_count * log_bytes;
    team->board = harness_shared(team->board_size);
    cr_assert(team->board);
    /* A process is of our family only if the family exists before it. */
    team->crew->subject->destroy(team->crew->subject->create(1));
    team->board->workers_count = team->crew->workers_count;
    team->board->steps_count = team->crew->steps_count;
    team->board->log_size = log_size;
    for (uint32_t track = 0; track < tracks_count; track++) {
        char *logs = (char *)(team->board + 1);
        team->board->logs[track].operations = (void *)(logs + track * log_bytes);
        start_worker(team, track);
    }
}

static void stop_team(struct team *team)
{
    team->board->stop = true;
    for (uint32_t track = 0; track < team->crew->workers_count; track++) {
        if (team->crew->threads)
            pthread_join(team->threads[track], NULL);
        else
            cr_assert_eq(harness_wait(team->pids[track]), 0);
    }
    munmap(team->board, team->board_size);
}

static void bury(struct team *team, uint32_t track)
{
    const int status = harness_wait(team->pids[track]);
    cr_assert_eq(status, -SIGKILL, "the worker that was to be killed ended with %d", status);
    log_death(team->board, track);
    team->report.deaths++;
}

static struct history collect(const struct team *team)
{
    struct history history = { .model = team->crew->subject->model,
                               .size = team->crew->subject->size };
    uint32_t count = 0;
    for (uint32_t track = 0; track <= team->crew->workers_count; track++)
        count += team->board->logs[track].returned;
    history.operations = malloc((count + 1) * sizeof(struct operation));
    cr_assert(history.operations);
    for (uint32_t track = 0; track <= team->crew->workers_count; track++) {
        struct log *log = &team->board->logs[track];
        memcpy(history.operations + history.count, log->operations,
               log->returned * sizeof(struct operation));
        history.count += log->returned;
        log->called = log->returned = 0;
    }
    return history;
}

static struct history play_round(struct team *team)
{
    struct board *board = team->board;
    const struct crew *crew = team->crew;
    struct worker *self = &team->workers[crew->workers_count];
    const bool deadly = crew->kill_every && team->report.rounds % crew->kill_every == 0;
    board->doomed = deadly ? (uint32_t)harness_random(&team->random) % crew->workers_count
                           : TRACKS_MAX;
    const uint32_t doomed = board->doomed;
    board->object = self->object = crew->subject->create(crew->subject->size);
    board->arrived = board->done = 0;
    board->order = 0;
    board->round++;
    if (deadly)
        bury(team, doomed);
    cr_assert(harness_until(board->done == crew->workers_count - deadly), "a worker hangs");
    crew->subject->finish(self);
    crew->subject->destroy(self->object);
    if (deadly)
        start_worker(team, doomed);
    return collect(team);
}

struct crew_report crew_run(const struct crew *crew)
{
    struct team team = { .crew = crew, .random = harness_seed(crew->name) };
    const uint64_t end_ns = harness_now_ns() + (uint64_t)(crew->seconds * 1e9);
    start_team(&team);
    while (harness_now_ns() < end_ns && team.report.wrong.count == 0) {
        struct reason reason;
        struct history history = play_round(&team);
        const enum verdict verdict = check_history(&history, &reason);
        team.report.rounds++;
        team.report.operations += history.count;
        team.report.undecided += verdict == UNDECIDED;
        if (verdict == WRONG)
            team.report.wrong = history;
        else
            history_free(&history);
    }
    stop_team(&team);
    return team.report;
}

void crew_must_be_right(const struct crew *crew)
{
    struct crew_report report = crew_run(crew);
    fprintf(stderr, "%s: %u rounds, %llu operations, %u deaths, %u undecided\n", crew->name,
            report.rounds, (unsigned long long)report.operations, report.deaths, report.undecided);
    if (report.wrong.count > 0) {
        char name[200];
        snprintf(name, sizeof name, "%s-%d.history", crew->name, getpid());
        history_save(&report.wrong, harness_program(name));
        fprintf(stderr, "to check it again: history_check %s\n", harness_program(name));
        history_explain(&report.wrong, stderr);
    }
    cr_assert_eq(report.wrong.count, 0, "%s: a history is wrong", crew->name);
    history_free(&report.wrong);
    cr_assert_gt(report.rounds, 0);
    cr_assert_eq(report.undecided, 0);
}
