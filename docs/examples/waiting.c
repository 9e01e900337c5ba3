/* The tutorial's waiting: who is joined ends in peace, even a daemon; and join may give up, which
 * leaves the process alive. 1.5.1, 1.5.2 */
#include <errno.h>
#include <shoal.h>
#include <stdio.h>

static void print(const char *what)
{
    printf("%s %s\n", what, shoal_process_name(shoal_current_process()));
    fflush(stdout);
}

static void work(void *argument)
{
    (void)argument;
    print("Starting:");
    print("Exiting :");
}

static void work_until_told(void *argument)
{
    print("Starting:");
    if (shoal_event_wait(*(shoal_event *)argument, SHOAL_FOREVER) == 0)
        print("Exiting :");
}

static int start_both(shoal_event done, shoal_process *ret_daemon, shoal_process *ret_other)
{
    const shoal_process_options daemon = {
        .target = work_until_told, .name = "daemon", .daemon = true, SHOAL_COPY_OF(done)
    };
    const shoal_process_options other = { .target = work, .name = "non-daemon" };
    const int code = shoal_process_start_new(&daemon, ret_daemon);
    return code < 0 ? code : shoal_process_start_new(&other, ret_other);
}

int main(int argc, char **argv)
{
    shoal_process daemon, other;
    shoal_event done, never;
    if (shoal_init(&argc, &argv, NULL) < 0 || shoal_event_create(NULL, &done) < 0 ||
        shoal_event_create(NULL, &never) < 0)
        return 1;
    if (start_both(done, &daemon, &other) < 0 || shoal_process_join(other, SHOAL_FOREVER) < 0)
        return 1;
    shoal_event_set(done);
    if (shoal_process_join(daemon, SHOAL_FOREVER) < 0)
        return 1;
    if (start_both(never, &daemon, &other) < 0 ||
        shoal_process_join(daemon, shoal_after_ms(100)) != -ETIMEDOUT)
        return 1;
    printf("daemon is alive: %s\n", shoal_process_is_alive(daemon) ? "yes" : "no");
    return shoal_process_join(other, SHOAL_FOREVER) < 0;
}
