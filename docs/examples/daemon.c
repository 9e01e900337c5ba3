/* The tutorial's daemon: the program's end is the daemon's. 1.4.2 */
#include <shoal.h>
#include <stdio.h>
#include <unistd.h>

static void print(const char *what)
{
    printf("%s %s\n", what, shoal_process_name(shoal_current_process()));
    fflush(stdout);
}

static void serve(void *argument)
{
    print("Starting:");
    shoal_event_set(*(shoal_event *)argument);
    for (;;)
        pause();
}

static void work(void *argument)
{
    (void)argument;
    print("Starting:");
    print("Exiting :");
}

int main(int argc, char **argv)
{
    shoal_event started;
    if (shoal_init(&argc, &argv, NULL) < 0 || shoal_event_create(NULL, &started) < 0)
        return 1;
    const shoal_process_options daemon = { .target = serve,
                                           .name = "daemon",
                                           .daemon = true,
                                           .auto_close = true,
                                           SHOAL_COPY_OF(started) };
    const shoal_process_options other = { .target = work,
                                          .name = "non-daemon",
                                          .auto_close = true };
    if (shoal_process_start_new(&daemon, NULL) < 0 ||
        shoal_event_wait(started, SHOAL_FOREVER) < 0 || shoal_process_start_new(&other, NULL) < 0)
        return 1;
    return 0; /* the other one is waited for, the daemon is ended */
}
