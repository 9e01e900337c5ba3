/* Every child is gone when its creator is, however that ended: spec 1.4.7. */
#include "proc/children.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mem/peer.h"
#include "mem/segment.h"

TestSuite(lifetime, .timeout = 120);

enum { CHILDREN = 6 };

struct family {
    _Atomic pid_t pids[CHILDREN + 1];
    _Atomic int ready, go;
};

static struct family *family;

static void says_pid_and_pauses(void *argument)
{
    family->pids[*(int *)argument] = getpid();
    family->ready++;
    target_pauses(NULL);
}

static void start_one(int number)
{
    const shoal_process_options options = { .target = says_pid_and_pauses,
                                            SHOAL_COPY_OF(number),
                                            .auto_close = true };
    CHILD_CHECK(shoal_process_start_new(&options, NULL) == 0);
}

/* --- how the creator may end ---------------------------------------------------------------- */

static int starts_all(void *argument)
{
    for (int i = 0; i < CHILDREN; i++)
        start_one(i);
    CHILD_CHECK(harness_until(family->ready == CHILDREN));
    const int signal_number = *(int *)argument;
    if (signal_number < 0)
        _exit(0);
    family->go = 1;
    if (signal_number > 0)
        raise(signal_number);
    return harness_pauses(NULL);
}

static void all_gone(int count)
{
    for (int i = 0; i < count; i++) {
        const pid_t pid = family->pids[i];
        cr_assert(pid > 0 && harness_gone(pid), "child %d outlives its creator", i);
        cr_assert_eq(harness_wait(pid), -SIGKILL);
    }
}

/* 1.4.7: killed from outside, by itself with several signals, or gone by _exit without a hook. */
Test(lifetime, children_die_with_their_creator_1_4_7, .timeout = 120)
{
    static int ways[] = { 0, SIGKILL, SIGTERM, SIGABRT, -1 };
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        family = harness_shared(4096);
        const pid_t creator = harness_child(starts_all, &ways[i]);
        if (ways[i] == 0) {
            cr_assert(harness_until(family->go));
            kill(creator, SIGKILL);
        }
        cr_assert_neq(harness_wait(creator), HARNESS_HUNG);
        all_gone(CHILDREN);
    }
}

/* 1.4.7: the creator is killed at any instant, also in the middle of starting. */
static int starts_again_and_again(void *argument)
{
    (void)argument;
    for (int i = 0; i < CHILDREN; i++)
        start_one(i);
    family->go = 1;
    return harness_pauses(NULL);
}

Test(lifetime, creator_killed_in_the_middle_of_starting_1_4_7, .timeout = 120)
{
    uint64_t state = harness_seed("creator_killed_in_the_middle_of_starting");
    family = harness_shared(4096);
    for (int round = 0; round < 100; round++) {
        memset((void *)family, 0, sizeof *family);
        const pid_t creator = harness_child(starts_again_and_again, NULL);
        const uint64_t end_ns = harness_now_ns() + harness_random(&state) % 4000000;
        while (harness_now_ns() < end_ns) {}
        kill(creator, SIGKILL);
        cr_assert_eq(harness_wait(creator), -SIGKILL);
        /* As a subreaper this process inherits every child that is left, known or not. */
        int left = 0;
        cr_assert(harness_until((left = waitpid(-1, NULL, WNOHANG)) < 0), "round %d", round);
        cr_assert_eq(errno, ECHILD);
    }
}

/* --- the starting thread ends --------------------------------------------------------------- */

static void *starts_one_and_ends(void *argument)
{
    start_one(*(int *)argument);
    return NULL;
}

static int starts_from_a_thread(void *argument)
{
    pthread_t thread;
    int number = 0;
    (void)argument;
    CHILD_CHECK(pthread_create(&thread, NULL, starts_one_and_ends, &number) == 0);
    pthread_join(thread, NULL);
    CHILD_CHECK(harness_until(family->ready == 1));
    family->go = 1;
    return harness_pauses(NULL);
}

/* 1.4.7: the thread that started it is gone, the process lives: so does the child. */
Test(lifetime, child_outlives_the_thread_but_not_the_process_1_4_7, .timeout = 120)
{
    family = harness_shared(4096);
    for (int round = 0; round < 10; round++) {
        memset((void *)family, 0, sizeof *family);
        const pid_t creator = harness_child(starts_from_a_thread, NULL);
        cr_assert(harness_until(family->go));
        const pid_t child = family->pids[0];
        /* A signal of the dead thread's would have come by now; none can come later either. */
        const struct timespec moment = { .tv_nsec = 20000000 };
        nanosleep(&moment, NULL); /* not synchronisation: gives a wrong signal time to strike */
        cr_assert_eq(kill(child, 0), 0);
        siginfo_t info = { .si_pid = 0 };
        cr_assert(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0);
        kill(creator, SIGKILL);
        cr_assert_eq(harness_wait(creator), -SIGKILL);
        all_gone(1);
    }
}

static void works_on(void *argument)
{
    (void)argument;
    CHILD_CHECK(harness_until(family->go));
}

static void *starts_worker(void *ret)
{
    const shoal_process_options options = { .target = works_on };
    const int code = shoal_process_start_new(&options, ret);
    return code == 0 ? NULL : ret;
}

Test(lifetime, child_of_an_ended_thread_is_joined_by_another, .timeout = 120)
{
    pthread_t thread;
    shoal_process process = { 0 };
    void *failed = NULL;
    family = harness_shared(4096);
    cr_assert_eq(pthread_create(&thread, NULL, starts_worker, &process), 0);
    pthread_join(thread, &failed);
    cr_assert_null(failed);
    assert_code(shoal_process_join(process, shoal_after_ms(20)), -ETIMEDOUT);
    family->go = 1;
    child_ends(process, 0);
}

/* The main thread ends by pthread_exit, the process lives in another: the child does too. */
static void *waits_for_kill(void *argument)
{
    (void)argument;
    CHILD_CHECK(harness_until(family->ready == 1));
    family->go = 1;
    harness_pauses(NULL);
    return NULL;
}

static int leaves_the_main_thread(void *argument)
{
    pthread_t thread;
    (void)argument;
    start_one(0);
    CHILD_CHECK(pthread_create(&thread, NULL, waits_for_kill, NULL) == 0);
    pthread_exit(NULL);
}

Test(lifetime, main_thread_ends_and_the_process_lives_1_4_7, .timeout = 120)
{
    family = harness_shared(4096);
    const pid_t creator = harness_child(leaves_the_main_thread, NULL);
    cr_assert(harness_until(family->go));
    const struct timespec moment = { .tv_nsec = 20000000 };
    nanosleep(&moment, NULL); /* not synchronisation: gives a wrong signal time to strike */
    cr_assert_eq(kill(family->pids[0], 0), 0);
    siginfo_t info = { .si_pid = 0 };
    cr_assert(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0);
    kill(creator, SIGKILL);
    cr_assert_eq(harness_wait(creator), -SIGKILL);
    all_gone(1);
}

/* --- a child that is off the line ------------------------------------------------------------ */

static void sees_the_end_of_its_parent(void *argument)
{
    const shoal_process parent = shoal_parent_process();
    (void)argument;
    CHILD_CHECK(close_range(3, ~0u, 0) == 0); /* its lifeline too */
    family->ready = 1;
    CHILD_CHECK(shoal_process_join(parent, harness_deadline()) == 0);
    CHILD_CHECK(!shoal_process_is_alive(parent));
    CHILD_CHECK(shoal_process_join(parent, SHOAL_NOW) == 0);
    family->pids[0] = getpid();
}

static int starts_one_that_sees(void *argument)
{
    const shoal_process_options options = { .target = sees_the_end_of_its_parent,
                                            .auto_close = true };
    CHILD_CHECK(shoal_process_start_new(&options, NULL) == 0);
    return harness_pauses(argument);
}

/* 1.3.6, 2.5: the parent's end is noticed, by a child that lives to see it. */
Test(lifetime, end_of_the_parent_is_noticed_1_3_6_2_5, .timeout = 120)
{
    family = harness_shared(4096);
    const pid_t parent = harness_child(starts_one_that_sees, NULL);
    cr_assert(harness_until(family->ready));
    kill(parent, SIGKILL);
    cr_assert_eq(harness_wait(parent), -SIGKILL);
    cr_assert(harness_until(family->pids[0]));
    cr_assert_eq(harness_wait(family->pids[0]), 0);
}

/*
 * The kernel finds a child another parent just before its own is seen to be dead. This stands in
 * the place of the C library's, and makes that instant last.
 */
static bool has_another_parent;

pid_t getppid(void)
{
    return has_another_parent ? 1 : (pid_t)syscall(SYS_getppid);
}

static void is_told_the_same_by_both(void *argument)
{
    const shoal_process parent = shoal_parent_process();
    (void)argument;
    CHILD_CHECK(shoal_process_is_alive(parent));
    has_another_parent = true;
    CHILD_CHECK(shoal_process_join(parent, SHOAL_NOW) == 0);
    CHILD_CHECK(!shoal_process_is_alive(parent));
    has_another_parent = false;
}

Test(lifetime, parent_that_was_joined_is_not_alive, .timeout = 120)
{
    child_ends(child_start(is_told_the_same_by_both, NULL, 0), 0);
}

/* --- generations ---------------------------------------------------------------------------- */

static void starts_another(void *argument)
{
    const int number = *(int *)argument;
    if (number + 1 < CHILDREN) {
        const int next = number + 1;
        const shoal_process_options options = { .target = starts_another, SHOAL_COPY_OF(next) };
        shoal_process process;
        CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    }
    says_pid_and_pauses(argument);
}

static int starts_a_chain(void *argument)
{
    shoal_process process;
    const int first = 0;
    const shoal_process_options options = { .target = starts_another, SHOAL_COPY_OF(first) };
    (void)argument;
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    CHILD_CHECK(harness_until(family->ready == CHILDREN));
    family->go = 1;
    return harness_pauses(NULL);
}

/* 1.6.5 as far as the whole tree goes: grandchildren die with their parents. */
Test(lifetime, whole_generations_die_1_4_7, .timeout = 120)
{
    family = harness_shared(4096);
    const pid_t creator = harness_child(starts_a_chain, NULL);
    cr_assert(harness_until(family->go));
    kill(creator, SIGKILL);
    cr_assert_eq(harness_wait(creator), -SIGKILL);
    all_gone(CHILDREN);
}

/* A sibling started later, and its own children, hold nothing that keeps the others alive. */
static int starts_siblings(void *argument)
{
    shoal_process first, second;
    const int numbers[2] = { 0, 1 };
    (void)argument;
    shoal_process_options options = { .target = says_pid_and_pauses, SHOAL_COPY_OF(numbers[0]) };
    CHILD_CHECK(shoal_process_start_new(&options, &first) == 0);
    options.target = starts_another;
    options.argument = &numbers[1];
    CHILD_CHECK(shoal_process_start_new(&options, &second) == 0);
    CHILD_CHECK(harness_until(family->ready == CHILDREN));
    CHILD_CHECK(shoal_process_kill(second) == 0);
    CHILD_CHECK(shoal_process_join(second, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_is_alive(first));
    family->go = 1;
    return harness_pauses(NULL);
}

Test(lifetime, killed_child_takes_its_own_children_and_no_sibling, .timeout = 120)
{
    family = harness_shared(4096);
    const pid_t creator = harness_child(starts_siblings, NULL);
    cr_assert(harness_until(family->go));
    for (int i = 2; i < CHILDREN; i++)
        cr_assert(harness_gone(family->pids[i]));
    cr_assert_eq(kill(family->pids[0], 0), 0);
    kill(creator, SIGKILL);
    cr_assert_eq(harness_wait(creator), -SIGKILL);
    cr_assert(harness_gone(family->pids[0]));
    while (waitpid(-1, NULL, 0) > 0) {}
}

/* --- children that may outlive their creator ------------------------------------------------- */

static const enum shoal_start_method methods[] = { SHOAL_START_FORK, SHOAL_START_SPAWN,
                                                   SHOAL_START_FORKSERVER };
enum { METHODS = 3 };

/* By pipes: it has nothing of the test's memory. */
static void lives_on(void *argument)
{
    char byte;
    const int hears = shoal_process_fd(0), says = shoal_process_fd(1);
    const pid_t pid = getpid();
    const shoal_process parent = shoal_parent_process();
    CHILD_CHECK(write(says, &pid, sizeof pid) == sizeof pid);
    CHILD_CHECK(read(hears, &byte, 1) == 1); /* its creator is dead */
    shl_peer_recover_all(shl_segment_family());
    CHILD_CHECK(!shoal_process_is_alive(parent));
    CHILD_CHECK(shoal_process_join(parent, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_argument(shoal_current_process()) == argument);
    CHILD_CHECK(strcmp(argument, "still there") == 0);
    CHILD_CHECK(strcmp(shoal_process_name(shoal_current_process()), "survivor") == 0);
    CHILD_CHECK(write(says, "w", 1) == 1);
}

struct pipes {
    int hears[2], says[2];
    bool exits;
};

static int starts_survivors(void *argument)
{
    const struct pipes *pipes = argument;
    const char text[] = "still there";
    CHILD_CHECK(harness_init(NULL) == 0);
    for (int i = 0; i < METHODS; i++) {
        const shoal_process_options options = { .target = lives_on,
                                                SHOAL_COPY_OF(text),
                                                .name = "survivor",
                                                .start_method = methods[i],
                                                .outlives_parent = true,
                                                .fds = (int[]){ pipes->hears[0], pipes->says[1] },
                                                .fds_count = 2 };
        shoal_process process;
        CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
        CHILD_CHECK(!shoal_process_is_daemon(process));
        CHILD_CHECK(shoal_process_set_daemon(process, true) == -EALREADY);
    }
    if (!pipes->exits)
        raise(SIGKILL);
    CHILD_CHECK(shoal_shutdown(SHOAL_FOREVER) == 0); /* does not wait for them */
    return 0;
}

/* By each method, by SIGKILL and in the ordinary way. */
Test(lifetime, child_may_outlive_its_creator, .timeout = 120)
{
    for (int i = 0; i < 2; i++) {
        struct pipes pipes = { .exits = i };
        cr_assert(pipe(pipes.hears) == 0 && pipe(pipes.says) == 0);
        cr_assert_eq(harness_wait(harness_child(starts_survivors, &pipes)), i ? 0 : -SIGKILL);
        pid_t pids[METHODS];
        char byte;
        for (int k = 0; k < METHODS; k++)
            cr_assert_eq(read(pipes.says[0], &pids[k], sizeof *pids), (ssize_t)sizeof *pids);
        cr_assert_eq(write(pipes.hears[1], "goon", METHODS), METHODS);
        for (int k = 0; k < METHODS; k++)
            cr_assert_eq(read(pipes.says[0], &byte, 1), 1, "one of the survivors is not well");
        for (int k = 0; k < METHODS; k++)
            cr_assert_eq(harness_wait(pids[k]), 0);
        while (waitpid(-1, NULL, 0) > 0) {} /* the fork server of the killed one */
        for (int k = 0; k < 2; k++)
            close(pipes.hears[k]), close(pipes.says[k]);
    }
}

static void has_no_pidfd(void *argument)
{
    char path[64], name[64] = "";
    (void)argument;
    for (int fd = 3; fd < 100; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        CHILD_CHECK(readlink(path, name, sizeof name - 1) < 0 || !strstr(name, "pidfd"));
        memset(name, 0, sizeof name);
    }
}

/* 2.9: of its siblings, who stay their creator's. */
Test(lifetime, child_that_may_outlive_its_creator_watches_no_siblings_2_9, .timeout = 120)
{
    shoal_process siblings[2], survivor;
    const shoal_process_options options = { .target = has_no_pidfd,
                                            .outlives_parent = true,
                                            .start_method = SHOAL_START_FORK };
    for (int i = 0; i < 2; i++)
        siblings[i] = child_start(target_pauses, NULL, 0);
    const int sentinel = shoal_process_sentinel(siblings[0]);
    assert_code(shoal_process_start_new(&options, &survivor), 0);
    child_ends(survivor, 0);
    cr_assert_eq(shoal_process_sentinel(siblings[0]), sentinel);
    for (int i = 0; i < 2; i++) {
        cr_assert(shoal_process_is_alive(siblings[i]));
        assert_code(shoal_process_kill(siblings[i]), 0);
        child_ends(siblings[i], -SIGKILL);
    }
}

Test(lifetime, daemon_cannot_outlive_its_creator, .timeout = 120)
{
    shoal_process process = { 0 };
    shoal_process_options options = { .target = target_nothing,
                                      .daemon = true,
                                      .outlives_parent = true };
    assert_code(shoal_process_create(&options, &process), -EINVAL);
    options.daemon = false;
    assert_code(shoal_process_create(&options, &process), 0);
    assert_code(shoal_process_set_daemon(process, true), -EINVAL);
    assert_code(shoal_process_set_daemon(process, false), 0);
    assert_code(shoal_process_start(process), 0);
    child_ends(process, 0);
}

/* --- how soon -------------------------------------------------------------------------------- */

static void *starts_by_every_method(void *argument)
{
    for (int i = 0; i < 2 * METHODS; i++) {
        const shoal_process_options options = { .target = target_pauses,
                                                .start_method = methods[i / 2],
                                                .daemon = i % 2,
                                                .auto_close = true };
        CHILD_CHECK(shoal_process_start_new(&options, NULL) == 0);
    }
    return argument;
}

static int starts_from_an_ended_thread(void *argument)
{
    pthread_t thread;
    CHILD_CHECK(harness_init(NULL) == 0);
    CHILD_CHECK(pthread_create(&thread, NULL, starts_by_every_method, NULL) == 0);
    CHILD_CHECK(pthread_join(thread, NULL) == 0);
    ((struct family *)argument)->go = 1;
    return harness_pauses(NULL);
}

/* 1.4.7: within 100 ms, by every method, daemons or not, with the fork server and who is ready
 * there; this process inherits and reaps them. Once is enough: a busy machine may be late, a wait
 * for a tick always is. */
Test(lifetime, everybody_is_gone_within_100_ms_1_4_7, .timeout = 120)
{
    enum { LIMIT_NS = 100000000, EVERYBODY = 1 + 2 * METHODS + 1 };
    uint64_t took_ns = LIMIT_NS;
    family = harness_shared(4096);
    for (int round = 0; round < 10 && took_ns >= LIMIT_NS; round++) {
        family->go = 0;
        const pid_t creator = harness_child(starts_from_an_ended_thread, family);
        cr_assert(harness_until(family->go));
        const uint64_t begin_ns = harness_now_ns();
        kill(creator, SIGKILL);
        int gone = 0;
        while (waitpid(-1, NULL, 0) > 0)
            gone++;
        took_ns = harness_now_ns() - begin_ns;
        cr_assert(errno == ECHILD && gone >= EVERYBODY, "%d are gone", gone);
    }
    cr_assert_lt(took_ns, LIMIT_NS, "%u ms", (unsigned)(took_ns / 1000000));
    printf("everybody is gone after %u us\n", (unsigned)(took_ns / 1000));
}
