/*
 * Living in somebody else's program: its signal handlers, its waitpid(), its poll loop and its
 * descriptors are its own.
 */
#include "proc/children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>

TestSuite(host, .timeout = 90);

static void exits_with(void *argument)
{
    exit(*(int *)argument);
}

/* Since Linux 6.15 a pidfd tells it even when somebody else has reaped the process. */
static bool is_three_or_unknown(shoal_process process)
{
    const int exitcode = shoal_process_exitcode(process);
    return exitcode == 3 || exitcode == SHOAL_EXITCODE_UNKNOWN;
}

/* 1.7.3: the host's own waitpid(-1) took the status: ended, perhaps unknown how; never for ever. */
Test(host, stolen_status_is_told_or_unknown_1_7_3, .timeout = 90)
{
    const int code = 3;
    for (int i = 0; i < 10; i++) {
        int status;
        const shoal_process process = CHILD_START(exits_with, code);
        const pid_t pid = shoal_process_pid(process);
        cr_assert_eq(waitpid(-1, &status, 0), pid);
        cr_assert_not(shoal_process_is_alive(process));
        assert_code(shoal_process_terminate(process), 0);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        cr_assert(is_three_or_unknown(process));
        assert_code(shoal_process_close(process), 0);
    }
}

Test(host, library_never_takes_the_host_s_children, .timeout = 90)
{
    const pid_t own = harness_child(harness_pauses, NULL);
    const int code = 0;
    for (int i = 0; i < 10; i++)
        child_ends(CHILD_START(exits_with, code), 0);
    kill(own, SIGKILL);
    cr_assert(harness_gone(own));
    child_ends(CHILD_START(exits_with, code), 0);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    cr_assert_eq(harness_wait(own), -SIGKILL);
}

/* SIGCHLD ignored: the kernel reaps. */
Test(host, ignored_sigchld_stays_ignored, .timeout = 90)
{
    const int code = 3;
    struct sigaction action;
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 20; i++) {
        const shoal_process process = CHILD_START(exits_with, code);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        cr_assert(is_three_or_unknown(process));
        cr_assert_not(shoal_process_is_alive(process));
        assert_code(shoal_process_close(process), 0);
    }
    cr_assert(sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
}

static _Atomic int handled;

static void counts(int number)
{
    (void)number;
    handled++;
}

static void reaps_everything(int number)
{
    const int error = errno;
    counts(number);
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    errno = error;
}

Test(host, sigchld_handler_of_the_host_is_called_and_kept, .timeout = 90)
{
    const int code = 3;
    struct sigaction action;
    signal(SIGCHLD, counts);
    for (int i = 0; i < 5; i++)
        child_ends(CHILD_START(exits_with, code), 3);
    cr_assert_geq(handled, 1);
    cr_assert(sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == counts);
}

/* The classic handler races with the library for each child: either may win. */
Test(host, sigchld_handler_that_reaps_all_is_survived, .timeout = 90)
{
    const int code = 3;
    signal(SIGCHLD, reaps_everything);
    for (int i = 0; i < 100; i++) {
        const shoal_process process = CHILD_START(exits_with, code);
        assert_code(shoal_process_join(process, harness_deadline()), 0);
        cr_assert(is_three_or_unknown(process));
        assert_code(shoal_process_close(process), 0);
    }
}

Test(host, no_signal_disposition_or_mask_is_changed, .timeout = 90)
{
    struct sigaction before[NSIG], after;
    sigset_t mask_before, mask_after;
    const int code = 0;
    for (int i = 1; i < NSIG; i++)
        sigaction(i, NULL, &before[i]);
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    assert_code(shoal_init(NULL, NULL, NULL), 0);
    child_ends(CHILD_START(exits_with, code), 0);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    for (int i = 1; i < NSIG; i++)
        if (sigaction(i, NULL, &after) == 0)
            cr_assert_eq(after.sa_handler, before[i].sa_handler, "signal %d", i);
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    for (int i = 1; i < NSIG; i++)
        cr_assert_eq(sigismember(&mask_before, i), sigismember(&mask_after, i), "signal %d", i);
}

/* --- the sentinel --------------------------------------------------------------------------- */

static int poll_ms(int fd, int timeout_ms)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    return poll(&one, 1, timeout_ms) == 1 ? one.revents : 0;
}

/* 2.3 */
Test(host, sentinel_is_readable_once_the_process_ended_2_3, .timeout = 90)
{
    const shoal_process process = child_start(target_pauses, NULL, 0);
    const int sentinel = shoal_process_sentinel(process);
    cr_assert_gt(sentinel, STDERR_FILENO);
    cr_assert_eq(shoal_process_sentinel(process), sentinel);
    cr_assert_eq(fcntl(sentinel, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    cr_assert_eq(poll_ms(sentinel, 0), 0);
    assert_code(shoal_process_kill(process), 0);
    cr_assert_eq(poll_ms(sentinel, HARNESS_LIMIT_MS) & POLLIN, POLLIN);
    assert_code(shoal_process_join(process, harness_deadline()), 0);
    cr_assert_eq(shoal_process_sentinel(process), sentinel, "join does not take it away");
    cr_assert_eq(poll_ms(sentinel, 0) & POLLIN, POLLIN);
    assert_code(shoal_process_close(process), 0);
    cr_assert(fcntl(sentinel, F_GETFD) < 0 && errno == EBADF);
    assert_code(shoal_process_sentinel(process), -ESTALE);
}

/* --- auto_close ----------------------------------------------------------------------------- */

Test(host, auto_closed_children_leave_nothing, .timeout = 90)
{
    const int code = 0;
    const shoal_process_options options = { .target = exits_with,
                                            SHOAL_COPY_OF(code),
                                            .auto_close = true };
    for (int i = 0; i < 50; i++)
        assert_code(shoal_process_start_new(&options, NULL), 0);
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

Test(host, auto_closed_handle_is_usable_while_it_runs, .timeout = 90)
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target_pauses, .auto_close = true };
    assert_code(shoal_process_start_new(&options, &process), 0);
    cr_assert(shoal_process_is_alive(process));
    cr_assert_gt(shoal_process_pid(process), 0);
    assert_code(shoal_process_kill(process), 0);
    assert_code(shoal_shutdown(harness_deadline()), 0);
    cr_assert_not(shoal_process_is_alive(process));
}
