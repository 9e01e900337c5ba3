/* Runs the tests of a program, each in a process of its own, but for those named as arguments. */
#include "harness.h"

#include <stdarg.h>
#include <sys/wait.h>

static struct cr_test *tests, **tests_end = &tests;
static bool failed;

void cr_register(struct cr_test *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

void cr_failed(bool ends, const char *file, int line, const char *what, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("  %s:%d: %s:", file, line, what);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    fflush(stdout);
    failed = true;
    if (ends)
        _exit(1);
}

/* How it ends: 0, HARNESS_SKIPPED, or else it has failed. */
static int run(const struct cr_test *test)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm((unsigned)test->timeout);
        if (test->init)
            test->init();
        test->body();
        if (test->fini)
            test->fini();
        fflush(stdout);
        _exit(failed);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_left_out(const struct cr_test *test, int count, char **names)
{
    for (int i = 1; i < count; i++)
        if (strcmp(test->name, names[i]) == 0)
            return true;
    return false;
}

int main(int count, char **names)
{
    for (const struct cr_test *test = tests; test; test = test->next) {
        int ended = is_left_out(test, count, names) ? HARNESS_SKIPPED : run(test);
        printf("%s %s::%s%s\n", ended == 0 || ended == HARNESS_SKIPPED ? "ok" : "not ok",
               test->suite, test->name, ended == HARNESS_SKIPPED ? " # SKIP" : "");
    }
    return 0;
}
