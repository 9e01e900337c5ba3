/* The tutorial's event: one process waits for it as long as it takes, one gives up. 1.11.1 */
#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>

struct arguments {
    shoal_event event, started;
};

static void must(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "%s: %s\n", what, shoal_error_message());
        exit(1);
    }
}

static void print_state(const char *who, shoal_event event)
{
    printf("%s: e.is_set()-> %s\n", who, shoal_event_is_set(event) ? "True" : "False");
}

static void wait_for_event(void *argument)
{
    struct arguments *a = argument;
    printf("wait_for_event: starting\n");
    shoal_event_set(a->started);
    must(shoal_event_wait(a->event, SHOAL_FOREVER), "wait");
    print_state("wait_for_event", a->event);
}

static void wait_for_event_timeout(void *argument)
{
    struct arguments *a = argument;
    printf("wait_for_event_timeout: starting\n");
    if (shoal_event_wait(a->event, shoal_after_ms(100)) != -ETIMEDOUT)
        shoal_fail("nobody has set the event yet");
    print_state("wait_for_event_timeout", a->event);
}

int main(int argc, char **argv)
{
    struct arguments a;
    shoal_process block, nonblock;
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines at once, also into a pipe */
    must(shoal_init(&argc, &argv, NULL), "init");
    must(shoal_event_create(NULL, &a.event), "event");
    must(shoal_event_create(NULL, &a.started), "event");
    printf("main: waiting before calling Event.set()\n");

    shoal_process_options options = { .name = "block", .target = wait_for_event, SHOAL_COPY_OF(a) };
    must(shoal_process_start_new(&options, &block), "start");
    must(shoal_event_wait(a.started, SHOAL_FOREVER), "wait");
    options.name = "nonblock";
    options.target = wait_for_event_timeout;
    must(shoal_process_start_new(&options, &nonblock), "start");

    must(shoal_process_join(nonblock, SHOAL_FOREVER), "join"); /* it has given up */
    must(shoal_event_set(a.event), "set");
    must(shoal_process_join(block, SHOAL_FOREVER), "join");
    printf("main: event is set\n");
    return 0;
}
