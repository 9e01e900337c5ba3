#include "pipeline.h"

#include "cpython.h"
#include "crew.h"
#include "measure.h"
#include "rows.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIMIT_MS 60000
#define RECORDS 12000
#define RECORDS_QUICK 4000
#define SUM_SIZE 4
#define SIZES 10 /* a record has 64 << 0 to 64 << 9 bytes, or up to twice as many */
#define PATTERN_SIZE (2 << 16)
#define LINKS 3

/* Shared by the parent and who checks. */
struct found {
    uint64_t bytes; /* before sums were added */
    uint64_t digest;
};

struct plan {
    const struct carrier *carrier;
    struct link *links; /* of threads the same for all, of processes a copy for each */
    uint64_t records;
    struct found *found;
};

/* ---- what the stages do */

static unsigned char pattern[PATTERN_SIZE];
static unsigned char translated[256];

static void prepare(void)
{
    for (unsigned i = 0; i < PATTERN_SIZE; i++)
        pattern[i] = (unsigned char)(i * 131 ^ i >> 8);
    for (unsigned i = 0; i < 256; i++) {
        unsigned letter = i | 0x20;

        translated[i] = (unsigned char)(letter >= 'a' && letter <= 'z' ? i ^ 0x20 : i);
    }
}

static uint64_t next_random(uint64_t random)
{
    return random * 6364136223846793005u + 1442695040888963407u;
}

static uint32_t size_of(uint64_t random)
{
    uint32_t least = 64u << (random >> 33) % SIZES;

    return least + (uint32_t)((random >> 40) % least);
}

static void make_record(struct record *record, uint64_t random)
{
    record->size = size_of(random);
    memcpy(record->bytes, pattern + (random >> 17) % (1 << 16), record->size);
}

static void translate_record(struct record *record)
{
    for (uint32_t i = 0; i < record->size; i++)
        record->bytes[i] = translated[record->bytes[i]];
}

#define ADLER_MODULUS 65521u
#define ADLER_RUN 5552u /* so many bytes at most before the sums overflow */

static uint32_t adler_of(const unsigned char *bytes, uint32_t size)
{
    uint32_t low = 1;
    uint32_t high = 0;

    while (size > 0) {
        uint32_t run = size < ADLER_RUN ? size : ADLER_RUN;

        size -= run;
        for (; run > 0; run--)
            high += low += *bytes++;
        low %= ADLER_MODULUS;
        high %= ADLER_MODULUS;
    }
    return high << 16 | low;
}

static void add_sum(struct record *record)
{
    uint32_t sum = adler_of(record->bytes, record->size);

    memcpy(record->bytes + record->size, &sum, SUM_SIZE);
    record->size += SUM_SIZE;
}

static void check_record(const struct record *record, struct found *found)
{
    uint32_t size = record->size - SUM_SIZE;
    uint32_t sum = adler_of(record->bytes, size);

    if (memcmp(record->bytes + size, &sum, SUM_SIZE) != 0)
        crew_member_fail("a record is damaged");
    found->bytes += size;
    found->digest += sum;
}

/* ---- the stages; the last record, of no bytes, passes them all */

static void *run_maker(void *argument)
{
    struct plan *plan = argument;
    const struct carrier *carrier = plan->carrier;
    uint64_t random = 1;
    struct record *last;

    for (uint64_t i = 0; i < plan->records; i++) {
        struct record *record;

        random = next_random(random);
        record = carrier->alloc(&plan->links[0], size_of(random) + SUM_SIZE);
        make_record(record, random);
        carrier->put(&plan->links[0], record);
    }
    last = carrier->alloc(&plan->links[0], SUM_SIZE);
    last->size = 0;
    carrier->put(&plan->links[0], last);
    return NULL;
}

static void pass_on(struct plan *plan, unsigned from, void (*change)(struct record *record))
{
    struct record *record;
    bool more;

    do {
        record = plan->carrier->get(&plan->links[from]);
        more = record->size > 0;
        if (more)
            change(record);
        plan->carrier->put(&plan->links[from + 1], record);
    } while (more);
}

static void *run_translator(void *argument)
{
    pass_on(argument, 0, translate_record);
    return NULL;
}

static void *run_adder(void *argument)
{
    pass_on(argument, 1, add_sum);
    return NULL;
}

static void *run_checker(void *argument)
{
    struct plan *plan = argument;
    struct record *record;

    while ((record = plan->carrier->get(&plan->links[LINKS - 1]))->size > 0) {
        check_record(record, plan->found);
        plan->carrier->release(record);
    }
    plan->carrier->release(record);
    return NULL;
}

static void *(*const stages[])(void *) = { run_maker, run_translator, run_adder, run_checker };
#define STAGES (sizeof(stages) / sizeof(stages[0]))

/* ---- by processes, by threads, by one, by CPython */

struct part {
    struct plan *plan;
    size_t stage;
};

static void run_process(void *argument)
{
    const struct part *part = argument;

    stages[part->stage](part->plan);
}

static int run_processes(struct plan *plan)
{
    static struct crew crew;
    int status = 0;

    crew_open(&crew, plan->carrier->by_shoal);
    for (size_t i = 0; i < STAGES && status == 0; i++) {
        const struct part part = { plan, i };

        status = crew_start(&crew, "a stage", run_process, (void *)(uintptr_t)&part, sizeof(part));
    }
    if (status == 0)
        status = crew_join(&crew, LIMIT_MS);
    crew_close(&crew);
    return status == 0 ? 0 : -EIO;
}

static int run_threads(struct plan *plan)
{
    pthread_t threads[STAGES];

    for (size_t i = 0; i < STAGES; i++)
        if (pthread_create(&threads[i], NULL, stages[i], plan) != 0)
            crew_member_fail("cannot start a thread");
    for (size_t i = 0; i < STAGES; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static int run_linked(struct plan *plan)
{
    static struct link links[LINKS];
    size_t open = 0;
    int status = 0;

    memset(links, 0, sizeof(links));
    plan->links = links;
    while (open < LINKS && (status = plan->carrier->open(&links[open])) == 0)
        open++;
    if (status == 0)
        status = plan->carrier->has_threads ? run_threads(plan) : run_processes(plan);
    while (open > 0)
        plan->carrier->close(&links[--open]);
    return status;
}

static int run_alone(struct plan *plan)
{
    struct record *record = malloc(sizeof(*record) + RECORD_SIZE_MAX);
    uint64_t random = 1;

    if (record == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < plan->records; i++) {
        random = next_random(random);
        make_record(record, random);
        translate_record(record);
        add_sum(record);
        check_record(record, plan->found);
    }
    free(record);
    return 0;
}

/* ---- measuring */

/* What a contender is: a carrier; or how CPython links; or neither, which is one process. */
struct way {
    const struct carrier *carrier;
    const char *cpython;
};

static int run_way(const struct way *way, struct plan *plan, double *ret_seconds)
{
    uint64_t began = clock_wall_ns();
    int status;

    if (way->cpython != NULL)
        return cpython_pipeline(way->cpython, plan->records, ret_seconds, &plan->found->digest);
    plan->carrier = way->carrier;
    status = way->carrier != NULL ? run_linked(plan) : run_alone(plan);
    *ret_seconds = (double)(clock_wall_ns() - began) / 1e9;
    return status;
}

static int measure_way(const struct row *row, const void *what, bool quick,
                       struct row_value *ret_value)
{
    static struct found expected; /* what comes of it in one process */
    struct found *found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct plan plan = { .records = quick ? RECORDS_QUICK : RECORDS, .found = &expected };
    double seconds = 0;
    int status;

    (void)row;
    if (found == MAP_FAILED)
        return -ENOMEM;
    if (expected.bytes == 0) {
        prepare();
        status = run_alone(&plan);
        if (status < 0)
            return status;
    }
    plan.found = found;
    status = run_way(what, &plan, &seconds);
    if (status == 0 && found->digest != expected.digest) {
        fprintf(stderr, "shoal-bench: other records came out of the pipeline than went in\n");
        status = -EIO;
    }
    ret_value->value = (double)expected.bytes / 1e6 / seconds;
    munmap(found, sizeof(*found));
    return status;
}

static const struct way by_shoal = { .carrier = &carrier_shoal };
static const struct way by_pipe = { .carrier = &carrier_pipe };
static const struct way by_threads = { .carrier = &carrier_thread };
static const struct way by_one = { NULL, NULL };
static const struct way by_cpython_pipe = { .cpython = "pipe" };
static const struct way by_cpython_queue = { .cpython = "queue" };

static const struct contender ways[] = {
    { "shoal", OURS, &by_shoal },
    { "threads, mutex queue", RIVAL, &by_threads },
    { "pipe", RIVAL, &by_pipe },
    { "sequential", ASIDE, &by_one },
    { "CPython Pipe", RIVAL, &by_cpython_pipe },
    { "CPython Queue", RIVAL, &by_cpython_queue },
};

int pipeline_run(bool quick, bool rows)
{
    const struct row row = { .name = "pipeline of four stages, records of 64 B to 64 KiB (MB/s)",
                             .unit = "MB/s",
                             .contenders = ways,
                             .count = sizeof(ways) / sizeof(ways[0]),
                             .quick_count = 3,
                             .measure = measure_way };

    return row_run(&row, quick, rows);
}
