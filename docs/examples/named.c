/*
 * Two unrelated programs: one makes a segment with a name and publishes a queue in it, the other
 * finds both. The other one is this program again, started by exec: it inherits nothing.
 */
#include <shoal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The other program. */
static int send_order(const char *name)
{
    shoal_segment segment;
    shoal_queue incoming;
    if (shoal_segment_attach(name, &segment) < 0 ||
        shoal_queue_open(segment, "incoming", &incoming) < 0)
        shoal_fail("%s", shoal_error_message());
    char *order = shoal_alloc_in(segment, 100); /* built where it will be read */
    if (!order)
        shoal_fail("%s", shoal_error_message());
    snprintf(order, 100, "three shoals of herring");
    if (shoal_queue_put(incoming, order, SHOAL_FOREVER) < 0)
        shoal_fail("%s", shoal_error_message());
    return shoal_segment_detach(segment) < 0;
}

static void run_other_program(const char *name)
{
    if (fork() == 0) {
        execl("/proc/self/exe", "named", name, (char *)NULL);
        _exit(127);
    }
}

static int serve(const char *name)
{
    shoal_segment segment;
    shoal_queue incoming;
    void *order;
    if (shoal_segment_create(&(shoal_segment_options){ .name = name }, &segment) < 0)
        shoal_fail("%s", shoal_error_message());
    if (shoal_queue_create(&(shoal_queue_options){ .segment = segment }, &incoming) < 0 ||
        shoal_publish(SHOAL_ANY(incoming), "incoming") < 0)
        shoal_fail("%s", shoal_error_message());
    run_other_program(name);
    const int code = shoal_queue_get(incoming, &order, shoal_after_s(20));
    wait(NULL);
    shoal_segment_unlink(name); /* nobody else comes */
    if (code < 0)
        shoal_fail("%s", shoal_error_message());
    printf("ordered: %s\n", (char *)order);
    shoal_free(order);
    return shoal_segment_detach(segment) < 0;
}

int main(int argc, char **argv)
{
    char name[SHOAL_NAME_MAX + 1];
    snprintf(name, sizeof name, "fishmonger-%d", (int)getpid());
    return argc > 1 ? send_order(argv[1]) : serve(name);
}
