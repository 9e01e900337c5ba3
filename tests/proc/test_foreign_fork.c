/*
 * The host forks by itself: what each object is to such a child. docs/embedding.md has the table, a
 * test for each row of it; each is played by fork(), by _Fork(), which runs no handlers, and by
 * clone(2), of which the C library does not know.
 */
#include "proc/children.h"

#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

TestSuite(foreign_fork, .timeout = 90);

static pid_t by_clone(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t (*const means[])(void) = { fork, _Fork, by_clone };

static void child_by(pid_t (*by)(void), void (*looks)(void *), void *objects)
{
    const pid_t pid = by();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        looks(objects);
        _exit(0);
    }
    cr_assert_eq(harness_wait(pid), 0);
}

static void in_each_child(void (*looks)(void *objects), void *objects)
{
    for (size_t i = 0; i < COUNT_OF(means); i++)
        child_by(means[i], looks, objects);
}

/* --- what is held ---------------------------------------------------------------------------- */

static void holds_no_lock(void *lock)
{
    CHILD_CHECK(shoal_lock_acquire(*(shoal_lock *)lock, shoal_after_ms(1)) == -ETIMEDOUT);
}

Test(foreign_fork, lock_stays_the_parent_s, .timeout = 90)
{
    shoal_lock lock;
    assert_code(shoal_lock_create(NULL, &lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    in_each_child(holds_no_lock, &lock);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

static void may_not_release(void *lock)
{
    holds_no_lock(lock);
    CHILD_CHECK(shoal_lock_release(*(shoal_lock *)lock) == -EPERM);
}

Test(foreign_fork, recursive_lock_stays_the_parent_s, .timeout = 90)
{
    shoal_lock lock;
    assert_code(shoal_rlock_create(&lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    in_each_child(may_not_release, &lock);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

static void has_no_permit(void *semaphore)
{
    CHILD_CHECK(shoal_semaphore_acquire(*(shoal_semaphore *)semaphore, SHOAL_NOW) == -ETIMEDOUT);
    CHILD_CHECK(shoal_semaphore_release(*(shoal_semaphore *)semaphore) == -EPERM);
}

Test(foreign_fork, owned_permit_stays_the_parent_s, .timeout = 90)
{
    shoal_semaphore semaphore;
    assert_code(shoal_semaphore_create(1, &(shoal_semaphore_options){ .owned = true }, &semaphore),
                0);
    assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), 0);
    in_each_child(has_no_permit, &semaphore);
    assert_code(shoal_semaphore_release(semaphore), 0);
    assert_code(shoal_semaphore_destroy(semaphore), 0);
}

static void may_not_wait(void *condition)
{
    CHILD_CHECK(shoal_condition_wait(*(shoal_condition *)condition, SHOAL_NOW) == -EPERM);
    CHILD_CHECK(shoal_condition_release(*(shoal_condition *)condition) == -EPERM);
}

Test(foreign_fork, condition_s_lock_stays_the_parent_s, .timeout = 90)
{
    shoal_condition condition;
    assert_code(shoal_condition_create(NULL, &condition), 0);
    assert_code(shoal_condition_acquire(condition, SHOAL_NOW), 0);
    in_each_child(may_not_wait, &condition);
    assert_code(shoal_condition_release(condition), 0);
    assert_code(shoal_condition_destroy(condition), 0);
}

/* --- what anybody may use -------------------------------------------------------------------- */

static void sets(void *event)
{
    CHILD_CHECK(shoal_event_set(*(shoal_event *)event) == 0);
}

Test(foreign_fork, event_is_common, .timeout = 90)
{
    shoal_event event;
    assert_code(shoal_event_create(NULL, &event), 0);
    for (size_t i = 0; i < COUNT_OF(means); i++) {
        child_by(means[i], sets, &event);
        assert_code(shoal_event_wait(event, SHOAL_NOW), 0);
        assert_code(shoal_event_clear(event), 0);
    }
    assert_code(shoal_event_destroy(event), 0);
}

static void adds(void *semaphore)
{
    CHILD_CHECK(shoal_semaphore_release(*(shoal_semaphore *)semaphore) == 0);
}

Test(foreign_fork, plain_semaphore_is_common, .timeout = 90)
{
    shoal_semaphore semaphore;
    assert_code(shoal_semaphore_create(0, NULL, &semaphore), 0);
    in_each_child(adds, &semaphore);
    for (size_t i = 0; i < COUNT_OF(means); i++)
        assert_code(shoal_semaphore_acquire(semaphore, SHOAL_NOW), 0);
    assert_code(shoal_semaphore_destroy(semaphore), 0);
}

static void *meets(void *barrier)
{
    CHILD_CHECK(shoal_barrier_wait(*(shoal_barrier *)barrier, NULL, harness_deadline()) == 0);
    return NULL;
}

static void meets_there(void *barrier)
{
    meets(barrier);
}

/* And its _exit() is that of a party: a broken barrier. */
Test(foreign_fork, child_is_a_party_of_its_own, .timeout = 90)
{
    pthread_t thread;
    for (size_t i = 0; i < COUNT_OF(means); i++) {
        shoal_barrier barrier;
        assert_code(shoal_barrier_create(2, NULL, &barrier), 0);
        cr_assert_eq(pthread_create(&thread, NULL, meets, &barrier), 0);
        child_by(means[i], meets_there, &barrier);
        pthread_join(thread, NULL);
        assert_code(shoal_barrier_wait(barrier, NULL, harness_deadline()), -ECONNABORTED);
        assert_code(shoal_barrier_destroy(barrier), 0);
    }
}

static void answers(void *queues)
{
    const shoal_queue *both = queues;
    void *payload;
    CHILD_CHECK(shoal_queue_get(both[0], &payload, harness_deadline()) == 0);
    CHILD_CHECK(shoal_queue_put(both[1], payload, harness_deadline()) == 0);
}

Test(foreign_fork, queues_are_common, .timeout = 90)
{
    shoal_queue queues[] = { queue_of(4), queue_of(4) };
    for (size_t i = 0; i < COUNT_OF(means); i++) {
        void *payload;
        assert_code(shoal_queue_put_bytes(queues[0], "text", 5, SHOAL_NOW), 0);
        child_by(means[i], answers, queues);
        assert_code(shoal_queue_get(queues[1], &payload, SHOAL_NOW), 0);
        cr_assert_str_eq(payload, "text");
        shoal_free(payload);
    }
    assert_code(shoal_queue_destroy(queues[0]), 0);
    assert_code(shoal_queue_destroy(queues[1]), 0);
}

/* --- what belongs to one process ------------------------------------------------------------- */

static void owns_no_payload(void *objects)
{
    const shoal_queue queue = *(shoal_queue *)objects;
    void *payload = *(void **)((shoal_queue *)objects + 1);
    CHILD_CHECK(strcmp(payload, "text") == 0);
    shoal_free(payload);
    CHILD_CHECK(shoal_queue_put(queue, payload, SHOAL_NOW) == -EPERM);
}

Test(foreign_fork, payload_stays_the_parent_s, .timeout = 90)
{
    struct {
        shoal_queue queue;
        void *payload;
    } objects = { queue_of(4), shoal_alloc(5) };
    memcpy(objects.payload, "text", 5);
    in_each_child(owns_no_payload, &objects);
    cr_assert_str_eq(objects.payload, "text");
    assert_code(shoal_queue_put(objects.queue, objects.payload, SHOAL_NOW), 0);
    assert_code(shoal_queue_destroy(objects.queue), 0);
}

struct lease {
    shoal_queue queue;
    void *payload;
};

static void has_no_lease(void *lease)
{
    const struct lease *parent_s = lease;
    CHILD_CHECK(shoal_queue_task_done(parent_s->queue, parent_s->payload) == -EPERM);
    CHILD_CHECK(shoal_queue_join(parent_s->queue, SHOAL_NOW) == -ETIMEDOUT);
}

Test(foreign_fork, lease_stays_the_parent_s, .timeout = 90)
{
    struct lease lease;
    assert_code(shoal_queue_create(&(shoal_queue_options){ .joinable = true }, &lease.queue), 0);
    assert_code(shoal_queue_put_bytes(lease.queue, "text", 5, SHOAL_NOW), 0);
    assert_code(shoal_queue_get(lease.queue, &lease.payload, SHOAL_NOW), 0);
    in_each_child(has_no_lease, &lease);
    assert_code(shoal_queue_task_done(lease.queue, lease.payload), 0);
    assert_code(shoal_queue_join(lease.queue, SHOAL_NOW), 0);
    assert_code(shoal_queue_destroy(lease.queue), 0);
}

static void has_no_end(void *end)
{
    const shoal_connection parent_s = *(shoal_connection *)end;
    void *payload;
    CHILD_CHECK(shoal_connection_send_bytes(parent_s, "text", 5, SHOAL_NOW) == -EPERM);
    CHILD_CHECK(shoal_connection_recv(parent_s, &payload, SHOAL_NOW) == -EPERM);
    CHILD_CHECK(shoal_connection_close(parent_s) == -EPERM);
}

Test(foreign_fork, ends_of_pipes_stay_the_parent_s, .timeout = 90)
{
    shoal_connection ends[2];
    void *payload;
    assert_code(shoal_pipe_create(NULL, &ends[0], &ends[1]), 0);
    in_each_child(has_no_end, &ends[1]);
    assert_code(shoal_connection_send_bytes(ends[0], "text", 5, SHOAL_NOW), 0);
    assert_code(shoal_connection_recv(ends[1], &payload, SHOAL_NOW), 0);
    shoal_free(payload);
    assert_code(shoal_connection_close(ends[0]), 0);
    assert_code(shoal_connection_close(ends[1]), 0);
}

static void is_not_the_creator(void *process)
{
    const shoal_process child = *(shoal_process *)process;
    CHILD_CHECK(shoal_process_join(child, SHOAL_NOW) == -ECHILD);
    CHILD_CHECK(shoal_process_terminate(child) == -ECHILD);
    CHILD_CHECK(shoal_process_kill_tree(child) == -ECHILD);
    CHILD_CHECK(shoal_process_close(child) == -ECHILD);
    CHILD_CHECK(shoal_process_sentinel(child) == -ECHILD);
    CHILD_CHECK(shoal_process_is_alive(child) && shoal_process_pid(child) > 0);
    CHILD_CHECK(shoal_active_children(NULL, 0) == 0);
}

Test(foreign_fork, children_stay_the_parent_s, .timeout = 90)
{
    shoal_process process = child_start(target_pauses, NULL, 0);
    in_each_child(is_not_the_creator, &process);
    assert_code(shoal_process_kill(process), 0);
    child_ends(process, -SIGKILL);
}

static void is_nobody_s_child(void *parent_s)
{
    const shoal_process me = shoal_current_process();
    CHILD_CHECK(!SHOAL_SAME(me, *(shoal_process *)parent_s));
    CHILD_CHECK(strcmp(shoal_process_name(me), "MainProcess") == 0);
    CHILD_CHECK(shoal_process_pid(me) == getpid());
    CHILD_CHECK(SHOAL_IS_NONE(shoal_parent_process()));
}

Test(foreign_fork, child_is_a_main_process_of_its_own, .timeout = 90)
{
    shoal_process me = shoal_current_process();
    in_each_child(is_nobody_s_child, &me);
    cr_assert_eq(shoal_process_pid(me), getpid());
}

static void starts_by_every_method(void *unused)
{
    (void)unused;
    for (int method = SHOAL_START_FORK; method <= SHOAL_START_FORKSERVER; method++) {
        shoal_process process;
        const shoal_process_options options = { .target = target_nothing,
                                                .start_method = (enum shoal_start_method)method };
        CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
        CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
        CHILD_CHECK(shoal_process_exitcode(process) == 0 && shoal_process_close(process) == 0);
    }
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0);
}

/* It has a fork server of its own, and its shutdown does not end the parent's children. */
Test(foreign_fork, child_starts_children_of_its_own, .timeout = 90)
{
    assert_code(harness_init(NULL), 0);
    const shoal_process process = child_start(target_pauses, NULL, 0);
    in_each_child(starts_by_every_method, NULL);
    cr_assert(shoal_process_is_alive(process));
    assert_code(shoal_process_kill(process), 0);
    child_ends(process, -SIGKILL);
    starts_by_every_method(NULL);
}

static void leaves(void *segment)
{
    const shoal_segment mine = *(shoal_segment *)segment;
    void *payload = shoal_alloc_in(mine, 10);
    CHILD_CHECK(payload != NULL);
    shoal_free(payload);
    CHILD_CHECK(shoal_segment_detach(mine) == 0 && !shoal_alloc_in(mine, 10));
}

Test(foreign_fork, attachments_are_inherited_and_left_apart, .timeout = 90)
{
    char name[SHOAL_NAME_MAX];
    snprintf(name, sizeof name, "harness-%d-fork", getpid());
    const shoal_segment_options kinds[] = { { 0 }, { .name = name } };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        shoal_segment segment;
        assert_code(shoal_segment_create(&kinds[i], &segment), 0);
        in_each_child(leaves, &segment);
        void *payload = shoal_alloc_in(segment, 10);
        cr_assert_not_null(payload);
        shoal_free(payload);
        assert_code(shoal_segment_detach(segment), 0);
    }
    assert_code(shoal_segment_unlink(name), 0);
}

/* As by vfork(2) and exec: what it starts sees no descriptor of the library's. */
Test(foreign_fork, posix_spawn_leaves_all_as_it_was, .timeout = 90)
{
    static const char script[] = "for fd in /proc/$$/fd/*; do "
                                 "readlink $fd | grep -q '^/memfd:\\|pidfd' && exit 3; done; :";
    char *arguments[] = { "sh", "-c", (char *)script, NULL };
    shoal_lock lock;
    pid_t pid;
    assert_code(shoal_lock_create(NULL, &lock), 0);
    assert_code(shoal_lock_acquire(lock, SHOAL_NOW), 0);
    void *payload = shoal_alloc(10);
    const shoal_process process = child_start(target_pauses, NULL, 0);
    cr_assert_eq(posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ), 0);
    cr_assert_eq(harness_wait(pid), 0);
    cr_assert(shoal_process_is_alive(process));
    assert_code(shoal_process_kill(process), 0);
    child_ends(process, -SIGKILL);
    shoal_free(payload);
    assert_code(shoal_lock_release(lock), 0);
    assert_code(shoal_lock_destroy(lock), 0);
}

static _Atomic int records;

static void counts(const shoal_log_record *record, void *context)
{
    (void)record, (void)context;
    records++;
}

static void logs(void *unused)
{
    (void)unused;
    const int before = records;
    shoal_log_write(SHOAL_LOG_INFO, __FILE__, __LINE__, "told");
    CHILD_CHECK(records == before + 1);
}

Test(foreign_fork, log_is_inherited, .timeout = 90)
{
    assert_code(shoal_log_set_handler(counts, NULL), 0);
    assert_code(shoal_log_set_level(SHOAL_LOG_INFO), 0);
    in_each_child(logs, NULL);
}

/* --- hooks ----------------------------------------------------------------------------------- */

static int hooked;

static void hook(void *unused)
{
    (void)unused;
    hooked++;
}

static void is_not_hooked(void *unused)
{
    (void)unused;
    CHILD_CHECK(shoal_alloc(10) && hooked == 0);
}

Test(foreign_fork, hooks_are_for_the_library_s_own_forks, .timeout = 90)
{
    assert_code(shoal_after_fork(hook, NULL), 0);
    in_each_child(is_not_hooked, NULL);
}

/* --- many threads ---------------------------------------------------------------------------- */

static _Atomic bool ends;
static shoal_queue busy_queue;

static void *is_busy(void *unused)
{
    while (!ends) {
        void *volatile own = malloc(1000), *payload = shoal_alloc(1000);
        CHILD_CHECK(own && payload);
        CHILD_CHECK(shoal_queue_put(busy_queue, payload, harness_deadline()) == 0);
        CHILD_CHECK(shoal_queue_get(busy_queue, &payload, harness_deadline()) == 0);
        shoal_free(payload);
        free(own);
    }
    return unused;
}

static void *starts(void *unused)
{
    while (!ends) {
        shoal_process process;
        const shoal_process_options options = { .target = target_nothing };
        CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
        CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
        CHILD_CHECK(shoal_process_close(process) == 0);
    }
    return unused;
}

/* In a program with threads: what is safe after fork(2), and starting by exec is. */
static void uses_all(void *unused)
{
    void *payload = shoal_alloc(100);
    shoal_lock lock;
    CHILD_CHECK(payload && shoal_lock_create(NULL, &lock) == 0);
    CHILD_CHECK(shoal_lock_acquire(lock, SHOAL_NOW) == 0 && shoal_lock_release(lock) == 0);
    CHILD_CHECK(shoal_queue_put(busy_queue, payload, harness_deadline()) == 0);
    CHILD_CHECK(shoal_queue_get(busy_queue, &payload, harness_deadline()) == 0);
    shoal_free(payload);
    CHILD_CHECK(shoal_lock_destroy(lock) == 0);
    starts_by_every_method(unused);
}

/*
 * Whatever locks the others have at the instant of the fork: theirs, the C library's, ours. Not
 * under AddressSanitizer: gcc 12's leaves the locks of its malloc to the child as they are.
 */
Test(foreign_fork, many_threads_are_busy_meanwhile, .timeout = 90)
{
    if (HARNESS_SANITIZED)
        cr_skip("the sanitizer's malloc may stay locked in the child");
    pthread_t threads[3];
    assert_code(harness_init(NULL), 0);
    busy_queue = queue_of(16);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, i ? is_busy : starts, NULL), 0);
    for (int i = 0; i < 20; i++)
        child_by(fork, uses_all, NULL);
    ends = true;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_code(shoal_queue_destroy(busy_queue), 0);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}
