/* The tutorial's exit codes: how processes end, as their creator sees it. 1.7.1 */
#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void exit_error(void *argument)
{
    (void)argument;
    exit(1);
}

static void exit_ok(void *argument)
{
    (void)argument;
}

static void raises(void *argument)
{
    (void)argument;
    shoal_fail("There was an error!");
}

static void terminated(void *argument)
{
    (void)argument;
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*target)(void *argument);
    } functions[] = { { "exit_error", exit_error },
                      { "exit_ok", exit_ok },
                      { "raises", raises },
                      { "terminated", terminated } };
    shoal_process jobs[4];
    dup2(STDOUT_FILENO, STDERR_FILENO); /* for this text: both in one */
    if (shoal_init(&argc, &argv, NULL) < 0)
        return 1;
    for (int i = 0; i < 4; i++) {
        printf("Starting process for %s\n", functions[i].name);
        if (shoal_process_start_new(&(shoal_process_options){ .target = functions[i].target,
                                                              .name = functions[i].name },
                                    &jobs[i]) < 0)
            return 1;
    }
    shoal_process_terminate(jobs[3]);
    for (int i = 0; i < 4; i++) {
        if (shoal_process_join(jobs[i], SHOAL_FOREVER) < 0)
            return 1;
        printf("%15s.exitcode = %d\n", shoal_process_name(jobs[i]),
               shoal_process_exitcode(jobs[i]));
    }
    return 0;
}
