/*
 * One process is killed: what becomes of the others, with shoal. table.py says which cases there
 * are and puts CPython beside them; a case that the table below lacks is missing.
 *
 *   deaths               names its cases
 *   deaths CASE SECONDS  runs one and prints the microseconds since the death, and what happened
 *
 * Exit code 0: all as it shall be; 1: wrong. Ended by SIGALRM: it hangs, for so many seconds after
 * the death. No call has a deadline, and all functions are public: it is a program like any other.
 */
#include "../asleep.h"

#include <errno.h>
#include <sched.h>
#include <shoal.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static unsigned bound_seconds;
static uint64_t death_ns, outcome_ns;

static _Noreturn void wrong(int line, const char *expected)
{
    printf("0 line %d: not %s; %s\n", line, expected, shoal_error_message());
    exit(1);
}
#define EXPECT(condition) ((condition) ? (void)0 : wrong(__LINE__, #condition))

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- other processes ------------------------------------------------------------------------ */

static shoal_event ready;

static shoal_process start(void (*target)(void *argument))
{
    shoal_process other;
    EXPECT(shoal_process_start_new(&(shoal_process_options){ .target = target }, &other) == 0);
    return other;
}

static void other_ends(shoal_process other, int exitcode)
{
    EXPECT(shoal_process_join(other, SHOAL_FOREVER) == 0);
    EXPECT(shoal_process_exitcode(other) == exitcode);
    EXPECT(shoal_process_close(other) == 0);
}

/* Polls, but not for one that ended by itself. */
#define OTHER_UNTIL(other, condition)          \
    while (!(condition)) {                     \
        EXPECT(shoal_process_is_alive(other)); \
        sched_yield();                         \
    }

/* Until it says that it is ready. */
static shoal_process start_until_ready(void (*target)(void *argument))
{
    const shoal_process other = start(target);
    OTHER_UNTIL(other, shoal_event_is_set(ready));
    return other;
}

/* Until it sleeps inside the call that it makes when it has said so. */
static shoal_process start_until_asleep(void (*target)(void *argument))
{
    const shoal_process other = start_until_ready(target);
    OTHER_UNTIL(other, is_asleep(shoal_process_pid(other)));
    EXPECT(shoal_event_clear(ready) == 0);
    return other;
}

static void death_begins(void)
{
    death_ns = now_ns();
    alarm(bound_seconds);
}

static void is_killed(shoal_process victim)
{
    death_begins();
    EXPECT(shoal_process_kill(victim) == 0);
    other_ends(victim, -SIGKILL);
}

/* Nobody has suffered from the death. */
static void others_go_on(void)
{
    outcome_ns = now_ns();
}

static bool told(void)
{
    return shoal_event_set(ready) == 0;
}

static void keeps(int taken)
{
    EXPECT(taken == 0 && told());
    for (;;)
        pause();
}

/* --- the cases ------------------------------------------------------------------------------ */

static shoal_lock lock;

static void holds_lock(void *unused)
{
    (void)unused;
    keeps(shoal_lock_acquire(lock, SHOAL_FOREVER));
}

static const char *lock_case(void)
{
    shoal_owner owner;
    EXPECT(shoal_lock_create(NULL, &lock) == 0);
    const shoal_process victim = start_until_ready(holds_lock);
    const pid_t pid = shoal_process_pid(victim);
    is_killed(victim);
    EXPECT(shoal_lock_acquire(lock, SHOAL_FOREVER) == SHOAL_OWNER_DIED);
    others_go_on();
    EXPECT(shoal_lock_owner(lock, &owner) == 0 && owner.pid == pid);
    EXPECT(shoal_lock_clear_owner_died(lock) == 0 && shoal_lock_release(lock) == 0);
    EXPECT(shoal_lock_acquire(lock, SHOAL_FOREVER) == 0);
    return "the next one has it, and is told who died";
}

static shoal_queue queue;

static void gets(void *unused)
{
    void *payload;
    (void)unused;
    EXPECT(told() && shoal_queue_get(queue, &payload, SHOAL_FOREVER) == 0);
    EXPECT(strcmp(payload, "message") == 0);
    shoal_free(payload);
}

static void puts_and_exits(void *unused)
{
    (void)unused;
    _exit(shoal_queue_put_bytes(queue, "message", sizeof "message", SHOAL_FOREVER) == 0 ? 3 : 1);
}

static const char *queue_case(void)
{
    EXPECT(shoal_queue_create(NULL, &queue) == 0);
    const shoal_process victim = start_until_asleep(gets), next = start_until_asleep(gets);
    is_killed(victim);
    EXPECT(shoal_queue_put_bytes(queue, "message", sizeof "message", SHOAL_FOREVER) == 0);
    other_ends(next, 0);
    others_go_on();
    return "the other reader has the message";
}

static const char *exit_after_put_case(void)
{
    EXPECT(shoal_queue_create(NULL, &queue) == 0);
    const shoal_process victim = start(puts_and_exits);
    death_begins();
    other_ends(victim, 3);
    EXPECT(shoal_queue_qsize(queue) == 1);
    gets(NULL);
    others_go_on();
    return "the message is there";
}

static shoal_condition condition;

static void waits_in_condition(void *unused)
{
    (void)unused;
    EXPECT(shoal_condition_acquire(condition, SHOAL_FOREVER) == 0 && told());
    EXPECT(shoal_condition_wait(condition, SHOAL_FOREVER) == 0);
    EXPECT(shoal_condition_release(condition) == 0);
}

static void notify(void)
{
    EXPECT(shoal_condition_acquire(condition, SHOAL_FOREVER) == 0);
    EXPECT(shoal_condition_notify(condition, 1) == 0);
    EXPECT(shoal_condition_release(condition) == 0);
}

static const char *condition_case(void)
{
    EXPECT(shoal_condition_create(NULL, &condition) == 0);
    is_killed(start_until_asleep(waits_in_condition));
    notify();
    const shoal_process victim = start_until_asleep(waits_in_condition);
    const shoal_process next = start_until_asleep(waits_in_condition);
    is_killed(victim);
    notify();
    other_ends(next, 0);
    others_go_on();
    return "`notify` returns, and wakes another who waits";
}

static shoal_event event;

static void waits_for_event(void *unused)
{
    (void)unused;
    EXPECT(told() && shoal_event_wait(event, SHOAL_FOREVER) == 0);
}

static const char *event_case(void)
{
    EXPECT(shoal_event_create(NULL, &event) == 0);
    const shoal_process victim = start_until_asleep(waits_for_event);
    const shoal_process next = start_until_asleep(waits_for_event);
    is_killed(victim);
    EXPECT(shoal_event_set(event) == 0);
    other_ends(next, 0);
    others_go_on();
    return "`set` returns, and wakes the others who wait";
}

static shoal_semaphore semaphore;

static void holds_permit(void *unused)
{
    (void)unused;
    keeps(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER));
}

static void permit_comes_back(bool owned)
{
    const shoal_semaphore_options options = { .owned = owned };
    EXPECT(shoal_semaphore_create(1, &options, &semaphore) == 0);
    is_killed(start_until_ready(holds_permit));
    EXPECT(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER) == 0);
    others_go_on();
    EXPECT(shoal_semaphore_value(semaphore) == 0);
}

static const char *semaphore_case(void)
{
    permit_comes_back(true);
    return "its permit comes back (`.owned`)";
}

/* Not in the list: it hangs, as every permit without an owner does. The test wants to see that. */
static const char *unowned_semaphore_case(void)
{
    permit_comes_back(false);
    return "";
}

static shoal_barrier barrier;

static void comes(void *unused)
{
    (void)unused;
    EXPECT(told() && shoal_barrier_wait(barrier, NULL, SHOAL_FOREVER) == 0);
}

static const char *barrier_case(void)
{
    EXPECT(shoal_barrier_create(2, NULL, &barrier) == 0);
    is_killed(start_until_asleep(comes));
    EXPECT(shoal_barrier_wait(barrier, NULL, SHOAL_FOREVER) == -ECONNABORTED);
    others_go_on();
    EXPECT(shoal_barrier_reset(barrier) == 0);
    const shoal_process next = start_until_asleep(comes);
    EXPECT(shoal_barrier_wait(barrier, NULL, SHOAL_FOREVER) == 0);
    other_ends(next, 0);
    return "it is broken for who comes, and whole after a reset";
}

static void has_task(void *unused)
{
    void *payload;
    (void)unused;
    keeps(shoal_queue_get(queue, &payload, SHOAL_FOREVER));
}

static void finishes_task(void *unused)
{
    void *payload;
    (void)unused;
    EXPECT(told() && shoal_queue_get(queue, &payload, SHOAL_FOREVER) == 0);
    EXPECT(shoal_queue_deliveries(payload) == 2 && shoal_queue_task_done(queue, payload) == 0);
}

static const char *joinable_queue_case(void)
{
    EXPECT(shoal_queue_create(&(shoal_queue_options){ .joinable = true }, &queue) == 0);
    EXPECT(shoal_queue_put_bytes(queue, "message", sizeof "message", SHOAL_FOREVER) == 0);
    const shoal_process victim = start_until_ready(has_task);
    EXPECT(shoal_event_clear(ready) == 0);
    const shoal_process next = start_until_asleep(finishes_task);
    is_killed(victim);
    EXPECT(shoal_queue_join(queue, SHOAL_FOREVER) == 0);
    others_go_on();
    other_ends(next, 0);
    return "`join` returns: another consumer has got the message";
}

static const struct {
    const char *name;
    const char *(*run)(void); /* what happened, if all is as it shall be */
    bool fails;
} cases[] = {
    { "lock", lock_case, false },
    { "queue", queue_case, false },
    { "condition", condition_case, false },
    { "event", event_case, false },
    { "semaphore", semaphore_case, false },
    { "barrier", barrier_case, false },
    { "joinable_queue", joinable_queue_case, false },
    { "exit_after_put", exit_after_put_case, false },
    { "unowned_semaphore", unowned_semaphore_case, true },
};

int main(int argc, char **argv)
{
    const size_t count = sizeof cases / sizeof cases[0];
    for (size_t i = 0; argc == 1 && i < count; i++)
        if (!cases[i].fails)
            puts(cases[i].name);
    if (argc != 3)
        return argc != 1;
    bound_seconds = (unsigned)strtoul(argv[2], NULL, 10);
    alarm(bound_seconds);
    EXPECT(shoal_event_create(NULL, &ready) == 0);
    for (size_t i = 0; i < count; i++)
        if (strcmp(cases[i].name, argv[1]) == 0) {
            const char *happened = cases[i].run();
            printf("%.0f %s\n", (double)(outcome_ns - death_ns) / 1e3, happened);
            return 0;
        }
    return 1;
}
