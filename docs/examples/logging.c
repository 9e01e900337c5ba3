/* The tutorial's log: all that happens inside, on stderr. 1.8.3 */
#include <shoal.h>
#include <stdio.h>
#include <unistd.h>

static void worker(void *argument)
{
    (void)argument;
    printf("Doing some work\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    shoal_process process;
    dup2(STDOUT_FILENO, STDERR_FILENO); /* for this text: both in one */
    if (shoal_init(&argc, &argv, NULL) < 0 || shoal_log_to_stderr(SHOAL_LOG_DEBUG) < 0)
        return 1;
    if (shoal_process_start_new(&(shoal_process_options){ .target = worker }, &process) < 0)
        return 1;
    return shoal_process_join(process, SHOAL_FOREVER) < 0;
}
