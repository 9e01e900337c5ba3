/*
 * Over shoal: the reader reads the text straight into payloads; a counting process takes a chunk,
 * builds its table in a payload, and gives it to the reducer. Nobody copies anything.
 *
 * The reader shuts the queue of chunks down when all are in it; whoever found it empty then sends
 * a last message. The reducer has all tables when it has the last message of every member.
 */
#include "crew.h"
#include "job.h"
#include "measure.h"
#include "reader.h"

#include <stdio.h>

#define CHUNKS_IN_FLIGHT 16 /* for each counting process: as many as a pipe of 1 MiB holds */
#define TABLES_IN_FLIGHT 32
#define IN_FLIGHT_MAX 256 /* however many processes count */
#define SHORT_TEXT (1 << 20)
#define LOOK_EVERY_MS 100   /* when nothing arrives, is everybody still there? */
#define LOOK_EVERY_COUNT 64 /* tables; also when the others keep them coming */

struct plan {
    shoal_queue chunks;
    shoal_queue tables;
    const struct corpus *corpus;
};

static struct hand_timer hand; /* of this process */

static void *allocate(size_t size)
{
    void *payload;

    hand_begin(&hand);
    payload = shoal_alloc(size);
    hand_end(&hand);
    return payload;
}

static void release(void *payload)
{
    hand_begin(&hand);
    shoal_free(payload);
    hand_end(&hand);
}

static const struct store store_shoal = { allocate, release };

static int put(shoal_queue queue, void *payload)
{
    int status;

    hand_begin(&hand);
    status = shoal_queue_put(queue, payload, SHOAL_FOREVER);
    hand_end(&hand);
    return status;
}

static int get(shoal_queue queue, void **payload, shoal_deadline deadline)
{
    int status;

    hand_begin(&hand);
    status = shoal_queue_get(queue, payload, deadline);
    hand_end(&hand);
    return status;
}

static void put_last(shoal_queue tables)
{
    struct counts *counts = allocate(sizeof(*counts) + WORD_SLACK);

    if (counts == NULL)
        crew_member_fail("no memory for a message: %s", shoal_error_message());
    job_fill_last(counts, hand_total_ns(&hand));
    if (put(tables, counts) < 0)
        crew_member_fail("cannot put the last message: %s", shoal_error_message());
}

static void run_reader(void *argument)
{
    const struct plan *plan = argument;
    struct reader reader;
    struct chunk *chunk;
    int more;

    hand = (struct hand_timer){ 0 };
    reader_open(&reader, plan->corpus);
    while ((chunk = allocate(CHUNK_SIZE)) != NULL && (more = reader_fill(&reader, chunk)) == 1)
        if (put(plan->chunks, chunk) < 0)
            crew_member_fail("cannot put a chunk: %s", shoal_error_message());
    if (chunk == NULL)
        crew_member_fail("no memory for a chunk: %s", shoal_error_message());
    if (more < 0)
        crew_member_fail("the reader gives up");
    release(chunk);
    reader_close(&reader);
    shoal_queue_shutdown(plan->chunks);
    put_last(plan->tables);
}

static void count_chunk(const struct plan *plan, struct table *table, struct chunk *chunk)
{
    if (!table_begin(table) || !table_count(table, chunk))
        crew_member_fail("no memory for a table: %s", shoal_error_message());
    release(chunk);
    if (put(plan->tables, table_take(table)) < 0)
        crew_member_fail("cannot put a table: %s", shoal_error_message());
}

static void run_worker(void *argument)
{
    const struct plan *plan = argument;
    struct table table;
    void *chunk;
    int status;

    hand = (struct hand_timer){ 0 };
    if (!table_open(&table, &store_shoal, TABLE_SIZE_FIRST))
        crew_member_fail("no memory for an index");
    while ((status = get(plan->chunks, &chunk, SHOAL_FOREVER)) == 0)
        count_chunk(plan, &table, chunk);
    if (status != -EPIPE)
        crew_member_fail("cannot get a chunk: %s", shoal_error_message());
    put_last(plan->tables);
    table_close(&table);
}

static int start_all(struct crew *crew, const struct plan *plan, unsigned workers)
{
    char name[32];

    if (crew_start(crew, "the reader", run_reader, plan, sizeof(*plan)) < 0)
        return -1;
    for (unsigned i = 0; i < workers; i++) {
        job_worker_name(name, sizeof(name), i);
        if (crew_start(crew, name, run_worker, plan, sizeof(*plan)) < 0)
            return -1;
    }
    return 0;
}

/* Kill a counting process: when a third of the text is counted, or at once if it is short. */
static void maybe_kill(const struct job_input *input, struct crew *crew, const struct counts *total)
{
    static bool done;
    uint64_t when = input->corpus->bytes < SHORT_TEXT ? 0 : input->corpus->bytes / 3;

    if (!input->kill_worker || done || total->bytes < when)
        return;
    done = true;
    shoal_process_kill(crew->members[1].process);
}

/* Returns 1 with a payload, 0 when nothing came but all is well, -1 when somebody died. */
static int await_table(struct crew *crew, shoal_queue tables, void **ret_payload)
{
    int status = get(tables, ret_payload, shoal_after_ms(LOOK_EVERY_MS));
    enum crew_state state;

    if (status == 0)
        return 1;
    if (status != -ETIMEDOUT) {
        fprintf(stderr, "shoal-bench: cannot get a table: %s\n", shoal_error_message());
        return -1;
    }
    state = crew_look(crew, 0);
    if (state == CREW_ENDED && shoal_queue_empty(tables)) {
        fprintf(stderr, "shoal-bench: all processes ended, but a last message is missing\n");
        return -1;
    }
    return state == CREW_FAILED ? -1 : 0;
}

static int reduce_one(struct job_output *output, struct counts *counts, size_t *lasts)
{
    int status = job_reduce(output, counts, shoal_size(counts));

    *lasts += status == 0 && counts->last != 0;
    release(counts);
    return status;
}

static int reduce_all(const struct job_input *input, struct crew *crew, const struct plan *plan,
                      struct job_output *output)
{
    size_t lasts = 0;
    void *payload;

    for (size_t round = 1; lasts < crew->count; round++) {
        int got;

        maybe_kill(input, crew, output->total.counts);
        got = await_table(crew, plan->tables, &payload);
        if (got < 0 || (got > 0 && reduce_one(output, payload, &lasts) < 0))
            return -1;
        if (round % LOOK_EVERY_COUNT == 0 && crew_look(crew, 0) == CREW_FAILED)
            return -1;
    }
    return crew_join(crew, 10000);
}

static int run_crew(const struct job_input *input, const struct plan *plan,
                    struct job_output *output)
{
    static struct crew crew;
    int status;

    crew_open(&crew, true);
    status = start_all(&crew, plan, input->workers);
    if (status == 0)
        status = reduce_all(input, &crew, plan, output);
    crew_close(&crew);
    return status;
}

static int create_queue(shoal_queue *ret_queue, size_t capacity)
{
    const shoal_queue_options options = { .capacity_count = capacity < IN_FLIGHT_MAX
                                                                ? capacity
                                                                : IN_FLIGHT_MAX };

    if (shoal_queue_create(&options, ret_queue) == 0)
        return 0;
    fprintf(stderr, "shoal-bench: no queue: %s\n", shoal_error_message());
    return -1;
}

static int run(const struct job_input *input, struct job_output *output)
{
    struct plan plan = { .corpus = input->corpus };
    int status;

    hand = (struct hand_timer){ 0 };
    status = create_queue(&plan.chunks, (size_t)CHUNKS_IN_FLIGHT * input->workers);
    if (status == 0)
        status = create_queue(&plan.tables, (size_t)TABLES_IN_FLIGHT * input->workers);
    if (status == 0)
        status = run_crew(input, &plan, output);
    shoal_queue_destroy(plan.chunks);
    shoal_queue_destroy(plan.tables);
    output->hand_ns += hand_total_ns(&hand);
    return status;
}

const struct job job_shoal = { "shoal", run };
