/*
 * By threads of one process, with a mutex queue of chunks and one of tables: nothing is copied
 * either, and nothing is safe from the death of one of them.
 */
#include "job.h"
#include "measure.h"
#include "mutex_queue.h"
#include "reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNKS_IN_FLIGHT 16 /* for each counting thread, as over shoal */
#define TABLES_IN_FLIGHT 32

struct plan {
    const struct corpus *corpus;
    struct mutex_queue chunks;
    struct mutex_queue tables;
};

static _Thread_local struct hand_timer hand;

static void *allocate(size_t size)
{
    void *block;

    hand_begin(&hand);
    block = malloc(size);
    hand_end(&hand);
    if (block == NULL) {
        fprintf(stderr, "shoal-bench: no memory for the threads\n");
        exit(EXIT_FAILURE);
    }
    return block;
}

static void release(void *block)
{
    hand_begin(&hand);
    free(block);
    hand_end(&hand);
}

static const struct store store_thread = { allocate, release };

static void put(struct mutex_queue *queue, void *item)
{
    hand_begin(&hand);
    mutex_queue_put(queue, item);
    hand_end(&hand);
}

static void *get(struct mutex_queue *queue)
{
    void *item;

    hand_begin(&hand);
    item = mutex_queue_get(queue);
    hand_end(&hand);
    return item;
}

/* A table and its size, which malloc does not tell. */
struct parcel {
    struct counts *counts;
    size_t size;
};

static void put_table(struct plan *plan, struct counts *counts, size_t size)
{
    struct parcel *parcel = allocate(sizeof(*parcel));

    *parcel = (struct parcel){ counts, size };
    put(&plan->tables, parcel);
}

static void put_last(struct plan *plan)
{
    const size_t size = sizeof(struct counts) + WORD_SLACK;
    struct counts *counts = allocate(size);

    job_fill_last(counts, hand_total_ns(&hand));
    put_table(plan, counts, size);
}

static void *run_reader(void *argument)
{
    struct plan *plan = argument;
    struct chunk *chunk;
    struct reader reader;
    int more;

    reader_open(&reader, plan->corpus);
    while (chunk = allocate(CHUNK_SIZE), (more = reader_fill(&reader, chunk)) == 1)
        put(&plan->chunks, chunk);
    free(chunk);
    reader_close(&reader);
    if (more < 0)
        exit(EXIT_FAILURE);
    mutex_queue_end(&plan->chunks);
    put_last(plan);
    return NULL;
}

static void *run_worker(void *argument)
{
    struct plan *plan = argument;
    struct table table;
    struct chunk *chunk;
    bool well = table_open(&table, &store_thread, TABLE_SIZE_FIRST);

    while (well && (chunk = get(&plan->chunks)) != NULL) {
        size_t size;

        well = table_begin(&table) && table_count(&table, chunk);
        release(chunk);
        size = table.size;
        if (well)
            put_table(plan, table_take(&table), size);
    }
    if (!well)
        exit(EXIT_FAILURE);
    put_last(plan);
    table_close(&table);
    return NULL;
}

static int reduce_all(struct plan *plan, unsigned members, struct job_output *output)
{
    unsigned lasts = 0;
    int status = 0;

    while (lasts < members && status == 0) {
        struct parcel *parcel = get(&plan->tables);

        lasts += parcel->counts->last != 0;
        status = job_reduce(output, parcel->counts, parcel->size);
        release(parcel->counts);
        release(parcel);
    }
    return status;
}

static void start(pthread_t *thread, void *(*run)(void *), struct plan *plan)
{
    if (pthread_create(thread, NULL, run, plan) == 0)
        return;
    fprintf(stderr, "shoal-bench: cannot start a thread\n");
    exit(EXIT_FAILURE);
}

static int run(const struct job_input *input, struct job_output *output)
{
    static struct plan plan;
    static pthread_t threads[1 + WORKERS_MAX];
    const unsigned members = 1 + input->workers;
    int status;

    hand = (struct hand_timer){ 0 };
    plan.corpus = input->corpus;
    mutex_queue_open(&plan.chunks, (size_t)CHUNKS_IN_FLIGHT * input->workers);
    mutex_queue_open(&plan.tables, (size_t)TABLES_IN_FLIGHT * input->workers);
    for (unsigned i = 0; i < members; i++)
        start(&threads[i], i == 0 ? run_reader : run_worker, &plan);
    status = reduce_all(&plan, members, output);
    for (unsigned i = 0; i < members; i++)
        pthread_join(threads[i], NULL);
    mutex_queue_close(&plan.chunks);
    mutex_queue_close(&plan.tables);
    output->hand_ns += hand_total_ns(&hand);
    return status;
}

const struct job job_thread = { "threads, mutex queue", run };
