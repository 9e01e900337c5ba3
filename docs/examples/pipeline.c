/*
 * Four stages work on frames of 1 MiB, each in a process of its own. A frame is built once and
 * handed from queue to queue; the queues' counters say how much of it the library has copied.
 */
#include <shoal.h>
#include <stdio.h>
#include <string.h>

enum { STAGES = 4, FRAMES = 32, FRAME_SIZE = 1 << 20 };

struct stage {
    shoal_queue in, out;
    int number;
};

static void must(int code, const char *what)
{
    if (code < 0)
        shoal_fail("%s: %s", what, shoal_error_message());
}

/* A stage writes its mark, in place; the end that it is sent goes on to the next one. */
static void run_stage(void *argument)
{
    const struct stage *stage = argument;
    void *payload;
    while (shoal_queue_get(stage->in, &payload, SHOAL_FOREVER) == 0) {
        char *frame = payload;
        frame[stage->number] = (char)('a' + stage->number);
        must(shoal_queue_put(stage->out, frame, SHOAL_FOREVER), "put");
    }
    must(shoal_queue_put_end(stage->out, SHOAL_FOREVER), "put_end");
}

static void make_frames(shoal_queue queue)
{
    for (int i = 0; i < FRAMES; i++) {
        char *frame = shoal_alloc(FRAME_SIZE);
        if (!frame)
            shoal_fail("alloc: %s", shoal_error_message());
        memset(frame, '.', FRAME_SIZE);
        must(shoal_queue_put(queue, frame, SHOAL_FOREVER), "put");
    }
    must(shoal_queue_put_end(queue, SHOAL_FOREVER), "put_end");
}

static int take_frames(shoal_queue queue)
{
    int whole = 0;
    void *payload;
    while (shoal_queue_get(queue, &payload, SHOAL_FOREVER) == 0) {
        const char *frame = payload;
        whole += shoal_size(frame) == FRAME_SIZE && memcmp(frame, "abcd.", 5) == 0 &&
                 frame[FRAME_SIZE - 1] == '.';
        shoal_free(payload);
    }
    return whole;
}

int main(int argc, char **argv)
{
    must(shoal_init(&argc, &argv, NULL), "init");
    shoal_queue queues[STAGES + 1];
    shoal_process processes[STAGES];
    for (int i = 0; i <= STAGES; i++)
        must(shoal_queue_create(&(shoal_queue_options){ .capacity_count = FRAMES + 1 }, &queues[i]),
             "queue");
    for (int i = 0; i < STAGES; i++) {
        const struct stage stage = { queues[i], queues[i + 1], i };
        must(shoal_process_start_new(
                 &(shoal_process_options){ .target = run_stage, SHOAL_COPY_OF(stage) },
                 &processes[i]),
             "start");
    }
    make_frames(queues[0]);
    printf("%d frames are whole\n", take_frames(queues[STAGES]));
    for (int i = 0; i <= STAGES; i++) {
        shoal_queue_counters counters;
        must(shoal_queue_stats(queues[i], &counters), "stats");
        printf("hop %d: %d puts, %d gets, %d bytes copied\n", i, (int)counters.puts,
               (int)counters.gets, (int)counters.copied_size);
    }
    must(shoal_process_join_all(processes, STAGES, SHOAL_FOREVER), "join");
    return 0;
}
