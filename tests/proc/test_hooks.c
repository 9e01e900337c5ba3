/* What is called when a process ends or begins: spec 2.29, 2.30, 1.4.3. */
#include "proc/children.h"

#include <pthread.h>
#include <stdlib.h>

TestSuite(hooks, .timeout = 90);

/* What was called, in its order: shared with children that are forked. */
static struct calls {
    _Atomic int count;
    const char *_Atomic names[32];
} * calls;

static void notes(void *name)
{
    calls->names[calls->count++] = name;
}

static void were_called(const char *const *names, int count)
{
    cr_assert_eq(calls->count, count, "%d calls", calls->count);
    for (int i = 0; i < count; i++)
        cr_assert_str_eq(calls->names[i], names[i]);
}

static shoal_finalizer noting(const char *name, int priority)
{
    shoal_finalizer finalizer = { 0 };
    CHILD_CHECK(shoal_finalizer_create(notes, (void *)(uintptr_t)name, priority, &finalizer) == 0);
    return finalizer;
}

/* --- finalizers ------------------------------------------------------------------------------ */

static int finalizes(void *argument)
{
    (void)argument;
    const shoal_finalizer a = noting("a", SHOAL_FINALIZE_NEVER);
    CHILD_CHECK(shoal_finalizer_run(a));
    const shoal_finalizer b = noting("b", 0);
    CHILD_CHECK(shoal_finalizer_run(b) && !shoal_finalizer_run(b) && !shoal_finalizer_cancel(b));
    noting("c", SHOAL_FINALIZE_NEVER);
    noting("d10", 1);
    noting("d01", 0);
    noting("d02", 0);
    const shoal_finalizer d00 = noting("d00", 0);
    noting("d03", 0);
    noting("e", -10);
    CHILD_CHECK(shoal_finalizer_cancel(d00) && !shoal_finalizer_cancel(d00));
    CHILD_CHECK(!shoal_finalizer_run((shoal_finalizer){ 0 }));
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0);
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0); /* runs none twice */
    return 0;
}

/* 2.29: the order of CPython's own test */
Test(hooks, finalizers_run_once_by_priority_2_29, .timeout = 90)
{
    static const char *const names[] = { "a", "b", "d10", "d03", "d02", "d01", "e" };
    calls = harness_shared(sizeof *calls);
    cr_assert_eq(harness_wait(harness_child(finalizes, NULL)), 0);
    were_called(names, COUNT_OF(names));
}

static void notes_itself(void *argument)
{
    (void)argument;
    noting("child's own", 0);
}

static int has_children(void *argument)
{
    (void)argument;
    noting("first", 0);
    noting("last", -1);
    const shoal_process_options options = { .target = notes_itself, .auto_close = true };
    CHILD_CHECK(shoal_process_start_new(&options, NULL) == 0);
    CHILD_CHECK(harness_until(calls->count > 0));
    CHILD_CHECK(shoal_shutdown(harness_deadline()) == 0);
    return 0;
}

/* 2.29: in another process they are ignored; a child has its own, which exit() runs. */
Test(hooks, finalizers_of_a_parent_are_not_its_child_s_2_29, .timeout = 90)
{
    static const char *const names[] = { "child's own", "first", "last" };
    calls = harness_shared(sizeof *calls);
    cr_assert_eq(harness_wait(harness_child(has_children, NULL)), 0);
    were_called(names, COUNT_OF(names));
}

static int forks_and_shuts_down(void *argument)
{
    (void)argument;
    return shoal_shutdown(harness_deadline());
}

static int is_forked(void *argument)
{
    (void)argument;
    const shoal_finalizer mine = noting("mine", 0);
    CHILD_CHECK(harness_wait(harness_child(forks_and_shuts_down, NULL)) == 0);
    CHILD_CHECK(calls->count == 0 && shoal_finalizer_cancel(mine));
    return 0;
}

/* 2.29, after a fork that is not the library's */
Test(hooks, finalizers_are_ignored_after_a_foreign_fork_2_29, .timeout = 90)
{
    calls = harness_shared(sizeof *calls);
    cr_assert_eq(harness_wait(harness_child(is_forked, NULL)), 0);
    were_called(NULL, 0);
}

/* Which is alive while those of 0 and above run, and gone when the others do. */
static shoal_process daemon_of_test;

static void looks_at_daemon(void *name)
{
    notes(shoal_process_is_alive(daemon_of_test) ? name : "gone");
}

static int has_a_daemon(void *argument)
{
    (void)argument;
    const shoal_process_options options = { .target = target_pauses, .daemon = true };
    CHILD_CHECK(shoal_process_start_new(&options, &daemon_of_test) == 0);
    CHILD_CHECK(shoal_finalizer_create(looks_at_daemon, "alive", 0, NULL) == 0);
    CHILD_CHECK(shoal_finalizer_create(looks_at_daemon, "alive", -1, NULL) == 0);
    return shoal_shutdown(harness_deadline());
}

/* 1.4.3: (a) before (b), (d) after (c) */
Test(hooks, finalizers_run_before_and_after_the_children_end_1_4_3, .timeout = 90)
{
    static const char *const names[] = { "alive", "gone" };
    calls = harness_shared(sizeof *calls);
    cr_assert_eq(harness_wait(harness_child(has_a_daemon, NULL)), 0);
    were_called(names, COUNT_OF(names));
}

static _Atomic int ran;

static void counts(void *unused)
{
    (void)unused;
    ran++;
}

static void *runs_them(void *finalizers)
{
    for (int i = 0; i < 1000; i++)
        shoal_finalizer_run(((shoal_finalizer *)finalizers)[i]);
    return NULL;
}

/* 2.29: thread-safe, each once */
Test(hooks, finalizers_are_run_by_one_of_many_threads_2_29, .timeout = 90)
{
    shoal_finalizer finalizers[1000];
    pthread_t threads[4];
    for (int i = 0; i < 1000; i++)
        assert_code(shoal_finalizer_create(counts, NULL, 0, &finalizers[i]), 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, runs_them, finalizers), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(ran, 1000);
    assert_code(shoal_finalizer_create(NULL, NULL, 0, NULL), -EINVAL);
}

/* --- hooks of forked children ---------------------------------------------------------------- */

static void registers_again(void *argument)
{
    notes(argument);
    CHILD_CHECK(shoal_after_fork(registers_again, argument) == 0); /* as objects do in Python */
}

static void starts_the_next(void *argument)
{
    const int left = *(int *)argument - 1;
    if (left == 0)
        return;
    const shoal_process_options options = { .target = starts_the_next, SHOAL_COPY_OF(left) };
    shoal_process process;
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(process) == 0);
}

/* 2.30: in their order, and as many in the fourth generation as in the first */
Test(hooks, after_fork_is_called_in_order_in_every_generation_2_30, .timeout = 90)
{
    enum { GENERATIONS = 4 };
    static const char *const names[] = { "x", "y", "x", "y", "x", "y", "x", "y" };
    const int generations = GENERATIONS;
    calls = harness_shared(sizeof *calls);
    assert_code(shoal_after_fork(registers_again, "x"), 0);
    assert_code(shoal_after_fork(notes, "y"), 0);
    assert_code(shoal_after_fork(notes, "y"), 0);
    assert_code(shoal_after_fork(NULL, NULL), -EINVAL);
    child_ends(CHILD_START(starts_the_next, generations), 0);
    were_called(names, 2 * GENERATIONS);
}

/* 2.30: of those that exec, the ones from before shoal_init(). */
static _Atomic int hooked;

static void is_hooked(void *unused)
{
    (void)unused;
    hooked++;
}

__attribute__((constructor(101))) static void before_init(void)
{
    CHILD_CHECK(shoal_after_fork(is_hooked, NULL) == 0);
}

static void tells_hooked(void *argument)
{
    (void)argument;
    exit(hooked);
}

Test(hooks, after_fork_is_called_in_children_of_every_method_2_30, .timeout = 90)
{
    static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                       SHOAL_START_FORKSERVER };
    assert_code(harness_init(NULL), 0);
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        shoal_process process = { 0 };
        const shoal_process_options options = { .target = tells_hooked,
                                                .start_method = methods[i] };
        assert_code(shoal_process_start_new(&options, &process), 0);
        child_ends(process, 1);
    }
    assert_code(shoal_shutdown(harness_deadline()), 0);
}
