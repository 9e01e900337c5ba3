/* The tutorial's termination: a process in each of its states. 1.6.1 */
#include <shoal.h>
#include <stdio.h>
#include <unistd.h>

static void slow_worker(void *argument)
{
    (void)argument;
    printf("Starting worker\n"); /* stays in the buffer, which dies with the process */
    for (;;)
        pause();
}

static void print(const char *when, shoal_process process)
{
    char text[200];
    const bool is_alive = shoal_process_is_alive(process);
    shoal_process_describe(process, text, sizeof text);
    printf("%s: %s %s\n", when, text, is_alive ? "alive" : "not alive");
}

int main(int argc, char **argv)
{
    shoal_process process;
    if (shoal_init(&argc, &argv, NULL) < 0 ||
        shoal_process_create(&(shoal_process_options){ .target = slow_worker }, &process) < 0)
        return 1;
    print("BEFORE", process);
    if (shoal_process_start(process) < 0)
        return 1;
    print("DURING", process);
    if (shoal_process_terminate(process) < 0)
        return 1;
    print("TERMINATED", process); /* still alive, or not any more */
    if (shoal_process_join(process, SHOAL_FOREVER) < 0)
        return 1;
    print("JOINED", process);
    return shoal_process_close(process) < 0;
}
