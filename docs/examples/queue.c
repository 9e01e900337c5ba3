/* 1.10.1, 1.10.6: an object is built in the parent, and its method runs in a worker. */
#include <shoal.h>
#include <stdio.h>

struct fancy {
    char name[32];
};

static void must(int code, const char *what)
{
    if (code < 0)
        shoal_fail("%s: %s", what, shoal_error_message());
}

static void do_something(const struct fancy *fancy)
{
    printf("Doing something fancy in %s for %s!\n", shoal_process_name(shoal_current_process()),
           fancy->name);
}

static void worker(void *argument)
{
    const shoal_queue *queue = argument;
    void *payload;
    must(shoal_queue_get(*queue, &payload, SHOAL_FOREVER), "get");
    do_something(payload);
    shoal_free(payload);
}

int main(int argc, char **argv)
{
    shoal_queue queue;
    shoal_process process;
    must(shoal_init(&argc, &argv, NULL), "init");
    must(shoal_queue_create(NULL, &queue), "queue");
    must(shoal_process_start_new(&(shoal_process_options){ .target = worker, SHOAL_COPY_OF(queue) },
                                 &process),
         "start");
    must(shoal_queue_put_bytes(queue, &(struct fancy){ "Fancy Dan" }, sizeof(struct fancy),
                               SHOAL_FOREVER),
         "put");
    must(shoal_queue_close(queue), "close");
    must(shoal_queue_join_thread(queue), "join_thread");
    must(shoal_process_join(process, SHOAL_FOREVER), "join");
    return 0;
}
