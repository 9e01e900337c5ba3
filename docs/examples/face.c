/* One program that shows it: four processes multiply, nobody copies a message. */
#include <shoal.h>
#include <stdio.h>

struct task {
    long a, b, answer;
};
struct queues {
    shoal_queue tasks, results;
};

static void worker(void *argument) /* runs in its own process */
{
    struct queues *queues = argument;
    void *payload;
    while (shoal_queue_get(queues->tasks, &payload, SHOAL_FOREVER) == 0) {
        struct task *task = payload;      /* leased: comes back if we are killed here */
        task->answer = task->a * task->b; /* in place: nobody copied or serialised it */
        if (shoal_queue_put(queues->results, task, SHOAL_FOREVER) < 0)
            shoal_fail("put: %s", shoal_error_message());
    } /* moved on = done; -EPIPE: no more tasks */
}

int main(int argc, char **argv)
{
    if (shoal_init(&argc, &argv, NULL) < 0)
        return 1;
    struct queues queues;
    shoal_process workers[4];
    if (shoal_queue_create(&(shoal_queue_options){ .capacity_count = 256, .joinable = true },
                           &queues.tasks) < 0 ||
        shoal_queue_create(NULL, &queues.results) < 0)
        return 1;
    for (int i = 0; i < 4; i++)
        if (shoal_process_start_new(
                &(shoal_process_options){ .target = worker, SHOAL_COPY_OF(queues) }, &workers[i]) <
            0)
            return 1;
    for (long i = 0; i < 1000; i++) {
        struct task *task = SHOAL_NEW(struct task);
        if (!task)
            return 1;
        task->a = task->b = i;
        if (shoal_queue_put(queues.tasks, task, SHOAL_FOREVER) < 0)
            shoal_free(task); /* refused: still ours */
    }
    shoal_queue_shutdown(queues.tasks); /* drain, then every worker's loop ends */
    if (shoal_queue_join(queues.tasks, shoal_after_s(5)) < 0 ||
        shoal_process_join_all(workers, 4, SHOAL_FOREVER) < 0)
        fprintf(stderr, "%s\n", shoal_error_message());
    void *payload;
    while (shoal_queue_get(queues.results, &payload, SHOAL_NOW) == 0) {
        printf("%ld\n", ((struct task *)payload)->answer);
        shoal_free(payload);
    }
    return 0;
}
