/* The tutorial's second queue program: consumers work tasks off and are told to stop. 1.10.11 */
#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { JOBS = 10 };

struct task {
    long a, b, product;
};
struct queues {
    shoal_queue tasks, results;
};

static void must(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "%s: %s\n", what, shoal_error_message());
        exit(1);
    }
}

static long multiply(const struct task *task)
{
    usleep(100000); /* pretend to take time to do the work */
    return task->a * task->b;
}

static void consumer(void *argument)
{
    const struct queues *queues = argument;
    const char *name = shoal_process_name(shoal_current_process());
    void *payload;
    while (shoal_queue_get(queues->tasks, &payload, SHOAL_FOREVER) == 0) {
        const struct task *task = payload; /* leased: another one gets it if we are killed */
        struct task answer = *task;
        printf("%s: %ld * %ld\n", name, task->a, task->b);
        answer.product = multiply(task);
        must(shoal_queue_task_done(queues->tasks, payload), "task_done");
        must(shoal_queue_put_bytes(queues->results, &answer, sizeof answer, SHOAL_FOREVER), "put");
    }
    printf("%s: Exiting\n", name); /* -EPIPE: an end, the poison pill, was for us */
}

int main(int argc, char **argv)
{
    struct queues queues;
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines at once, also into a pipe */
    must(shoal_init(&argc, &argv, NULL), "init");
    must(shoal_queue_create(&(shoal_queue_options){ .joinable = true }, &queues.tasks), "tasks");
    must(shoal_queue_create(NULL, &queues.results), "results");
    const unsigned consumers_count = shoal_cpu_count() * 2;
    printf("Creating %u consumers\n", consumers_count);
    shoal_process *consumers = calloc(consumers_count, sizeof *consumers);
    if (!consumers)
        return 1;
    for (unsigned i = 0; i < consumers_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "Consumer-%u", i + 1);
        must(
            shoal_process_start_new(
                &(shoal_process_options){ .target = consumer, .name = name, SHOAL_COPY_OF(queues) },
                &consumers[i]),
            "start");
    }
    for (long i = 0; i < JOBS; i++)
        must(shoal_queue_put_bytes(queues.tasks, &(struct task){ .a = i, .b = i },
                                   sizeof(struct task), SHOAL_FOREVER),
             "put");
    for (unsigned i = 0; i < consumers_count; i++) /* an end for each consumer */
        must(shoal_queue_put_end(queues.tasks, SHOAL_FOREVER), "put_end");
    must(shoal_queue_join(queues.tasks, SHOAL_FOREVER), "join");
    for (int i = 0; i < JOBS; i++) {
        void *payload;
        must(shoal_queue_get(queues.results, &payload, SHOAL_FOREVER), "get");
        const struct task *task = payload;
        printf("Result: %ld * %ld = %ld\n", task->a, task->b, task->product);
        shoal_free(payload);
    }
    must(shoal_process_join_all(consumers, consumers_count, SHOAL_FOREVER), "join_all");
    free(consumers);
    return 0;
}
