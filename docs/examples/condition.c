/* The tutorial's condition: two processes do stage 2, after another has done stage 1. 1.13.1 */
#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>

struct arguments {
    shoal_condition condition;
    shoal_semaphore waiting; /* one permit for each who waits */
};

static void must(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "%s: %s\n", what, shoal_error_message());
        exit(1);
    }
}

static void stage_1(void *argument)
{
    struct arguments *a = argument;
    const char *name = shoal_process_name(shoal_current_process());
    printf("Starting %s\n", name);
    SHOAL_WITH(shoal_condition_lock(a->condition)) {
        printf("%s done and ready for stage 2\n", name);
        shoal_condition_notify_all(a->condition);
    }
}

static void stage_2(void *argument)
{
    struct arguments *a = argument;
    const char *name = shoal_process_name(shoal_current_process());
    printf("Starting %s\n", name);
    SHOAL_WITH(shoal_condition_lock(a->condition)) {
        shoal_semaphore_release(a->waiting); /* who wants to notify gets the lock when it waits */
        must(shoal_condition_wait(a->condition, SHOAL_FOREVER), "wait");
        printf("%s running\n", name);
    }
}

int main(int argc, char **argv)
{
    struct arguments a;
    shoal_process s1, s2[2];
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines at once, also into a pipe */
    must(shoal_init(&argc, &argv, NULL), "init");
    must(shoal_condition_create(NULL, &a.condition), "condition");
    must(shoal_semaphore_create(0, NULL, &a.waiting), "semaphore");

    for (int i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "stage_2[%d]", i + 1);
        must(shoal_process_start_new(
                 &(shoal_process_options){ .name = name, .target = stage_2, SHOAL_COPY_OF(a) },
                 &s2[i]),
             "start");
    }
    for (int i = 0; i < 2; i++) /* a notification before they wait would be lost */
        must(shoal_semaphore_acquire(a.waiting, SHOAL_FOREVER), "acquire");
    must(shoal_process_start_new(
             &(shoal_process_options){ .name = "s1", .target = stage_1, SHOAL_COPY_OF(a) }, &s1),
         "start");
    must(shoal_process_join(s1, SHOAL_FOREVER), "join");
    must(shoal_process_join_all(s2, 2, SHOAL_FOREVER), "join");
    return 0;
}
