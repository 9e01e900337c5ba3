/* The end of a service: its workers are asked, and who does not listen is made to, in time. */
#include <shoal.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct service {
    shoal_queue jobs;
    shoal_event stop, deaf;
};

/* Does what is queued still, and ends with the queue. */
static void work(void *argument)
{
    const struct service *service = argument;
    void *job;
    while (shoal_queue_get(service->jobs, &job, SHOAL_FOREVER) == 0)
        shoal_free(job);
}

/* Has no queue: looks every now and then, and ends with the event. */
static void watch(void *argument)
{
    const struct service *service = argument;
    while (shoal_event_wait(service->stop, shoal_after_ms(1000)) < 0) {}
}

static void hang(void *argument)
{
    const struct service *service = argument;
    signal(SIGTERM, SIG_IGN);
    shoal_event_set(service->deaf);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    static void (*const targets[])(void *) = { work, watch, hang };
    static const char *const names[] = { "worker", "watcher", "hanging" };
    static const char *const words[] = { "nothing", "the queue's end", "the event", "SIGTERM",
                                         "SIGKILL" };
    struct service service;
    shoal_process processes[3];
    enum shoal_end_step steps[3];
    if (shoal_init(&argc, &argv, NULL) < 0 || shoal_queue_create(NULL, &service.jobs) < 0 ||
        shoal_event_create(NULL, &service.stop) < 0 || shoal_event_create(NULL, &service.deaf) < 0)
        return 1;
    for (int i = 0; i < 3; i++) {
        const shoal_process_options options = { .target = targets[i],
                                                .name = names[i],
                                                SHOAL_COPY_OF(service) };
        if (shoal_process_start_new(&options, &processes[i]) < 0)
            return 1;
    }
    if (shoal_queue_put_bytes(service.jobs, "a job", 6, SHOAL_FOREVER) < 0 ||
        shoal_event_wait(service.deaf, SHOAL_FOREVER) < 0)
        return 1;
    const shoal_end_options options = { .queue = service.jobs, .event = service.stop };
    if (shoal_process_end_all(processes, 3, &options, steps, shoal_after_s(2)) < 0)
        return 1;
    for (int i = 0; i < 3; i++)
        printf("%s needed %s\n", shoal_process_name(processes[i]), words[steps[i]]);
    printf("%zu jobs are left\n", shoal_queue_qsize(service.jobs));
    return 0;
}
