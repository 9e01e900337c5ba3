#include "wordcount.h"

#include "cpython.h"
#include "job.h"
#include "measure.h"
#include "progress.h"
#include "report.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP_COUNT 10
#define SHOWN_MAX 40 /* bytes of a word */

static const struct job *const jobs[] = { &job_sequential, &job_pipe, &job_thread, &job_shoal };
#define JOBS_COUNT (sizeof(jobs) / sizeof(jobs[0]))
enum { SEQUENTIAL, PIPE, THREAD, SHOAL };

/* What must be equal, whichever way it was counted. */
struct digest {
    uint64_t files;
    uint64_t bytes;
    uint64_t words;
    uint64_t distinct;
    uint64_t checksum; /* of all words and their counts */
};

struct top {
    uint64_t count;
    char word[WORD_MAX + 1];
};

/* All rounds of one way. */
struct series {
    double seconds[ROUNDS_MAX];
    double hand_seconds[ROUNDS_MAX];
    double cpu_seconds[ROUNDS_MAX];
    struct digest digest;
};

struct run {
    struct series series[JOBS_COUNT];
    struct top top[TOP_COUNT];
    double cpython_seconds[ROUNDS_MAX];
    unsigned cpython_rounds; /* 0: there is none */
    unsigned rounds;         /* that are complete */
    bool any;                /* a digest is there */
};

static struct digest digest_of(const struct table *total)
{
    const struct counts *counts = total->counts;

    return (struct digest){ .files = counts->files,
                            .bytes = counts->bytes,
                            .words = counts->words,
                            .distinct = counts->entries_count,
                            .checksum = counts_checksum(counts, total->size) };
}

/* By count, then by word, so that equal counts have one order. */
static bool above(const struct top *a, const struct top *b)
{
    return a->count > b->count || (a->count == b->count && strcmp(a->word, b->word) < 0);
}

static void consider(struct top *top, const struct top *candidate)
{
    size_t place = TOP_COUNT;

    while (place > 0 && above(candidate, &top[place - 1]))
        place--;
    if (place == TOP_COUNT)
        return;
    memmove(&top[place + 1], &top[place], (TOP_COUNT - 1 - place) * sizeof(top[0]));
    top[place] = *candidate;
}

static void find_top(const struct table *total, struct top *top)
{
    const struct counts *counts = total->counts;

    for (uint32_t i = 0; i < counts->entries_count; i++) {
        struct top candidate = { .count = counts->entries[i].count };
        size_t len;
        const char *word;

        if (candidate.count < top[TOP_COUNT - 1].count)
            continue;
        word = counts_word(counts, total->size, &counts->entries[i], &len);
        memcpy(candidate.word, word, len);
        consider(top, &candidate);
    }
}

static int check_equal(const struct digest *expected, const struct digest *got, const char *name)
{
    if (memcmp(expected, got, sizeof(*got)) == 0)
        return 0;
    fprintf(stderr,
            "shoal-bench: %s counted differently: %llu files, %llu bytes, %llu words, %llu "
            "different, checksum %016llx; before: %llu, %llu, %llu, %llu, %016llx\n",
            name, (unsigned long long)got->files, (unsigned long long)got->bytes,
            (unsigned long long)got->words, (unsigned long long)got->distinct,
            (unsigned long long)got->checksum, (unsigned long long)expected->files,
            (unsigned long long)expected->bytes, (unsigned long long)expected->words,
            (unsigned long long)expected->distinct, (unsigned long long)expected->checksum);
    return -1;
}

static int run_job(const struct job *job, const struct job_input *input, struct job_output *output)
{
    *output = (struct job_output){ 0 };
    malloc_trim(0); /* threads would begin with memory that the last way has warmed for them */
    if (!table_open(&output->total, &store_heap, TOTAL_SIZE_FIRST) ||
        !table_begin(&output->total)) {
        fprintf(stderr, "shoal-bench: no memory for the table of counts\n");
        return -1;
    }
    if (job->run(input, output) == 0)
        return 0;
    progress_end();
    fprintf(stderr, "shoal-bench: the %s word count failed\n", job->name);
    return -1;
}

/* Run one way once and note its times. The digest is taken when the clock has stopped. */
static int run_timed(struct run *run, size_t which, const struct job_input *input)
{
    struct series *series = &run->series[which];
    struct job_output output;
    double cpu = clock_family_cpu_s();
    uint64_t began = clock_wall_ns();
    int status = run_job(jobs[which], input, &output);

    series->seconds[run->rounds] = (double)(clock_wall_ns() - began) / 1e9;
    series->cpu_seconds[run->rounds] = clock_family_cpu_s() - cpu;
    series->hand_seconds[run->rounds] = (double)output.hand_ns / 1e9;
    if (status == 0) {
        series->digest = digest_of(&output.total);
        if (!run->any)
            find_top(&output.total, run->top);
        else
            status = check_equal(&run->series[0].digest, &series->digest, jobs[which]->name);
        run->any = true;
    }
    table_close(&output.total);
    return status;
}

static int run_cpython(struct run *run, const struct job_input *input, unsigned rounds)
{
    const uint64_t words = run->series[0].digest.words;
    uint64_t found;

    for (unsigned i = 0; i < rounds; i++) {
        progress_begin("CPython", i + 1, rounds, 1);
        if (cpython_words(input->corpus, input->workers, &run->cpython_seconds[i], &found) < 0) {
            progress_end();
            fprintf(stderr, "shoal-bench: CPython is left out of " WORDCOUNT_ROW "\n");
            return 0;
        }
        progress_end();
        if (found != words) {
            fprintf(stderr, "shoal-bench: CPython counted %llu words, not %llu\n",
                    (unsigned long long)found, (unsigned long long)words);
            return -1;
        }
        run->cpython_rounds++;
    }
    return 0;
}

static int run_round(struct run *run, const struct job_input *input, unsigned rounds)
{
    for (size_t which = 0; which < JOBS_COUNT; which++) {
        int status;

        progress_begin(jobs[which]->name, run->rounds + 1, rounds, input->corpus->bytes);
        status = run_timed(run, which, input);
        progress_end();
        if (status < 0)
            return -1;
    }
    run->rounds++;
    return 0;
}

static void print_rows(const struct run *run, uint64_t bytes)
{
    for (unsigned round = 0; round < run->rounds; round++)
        for (size_t which = JOBS_COUNT; which-- > 0;)
            report_line(WORDCOUNT_ROW, jobs[which]->name,
                        (double)bytes / 1e6 / run->series[which].seconds[round], "MB/s");
    for (unsigned round = 0; round < run->cpython_rounds; round++)
        report_line(WORDCOUNT_ROW, "CPython", (double)bytes / 1e6 / run->cpython_seconds[round],
                    "MB/s");
}

static void print_top(const struct run *run, const struct corpus *corpus, unsigned workers)
{
    const struct digest *digest = &run->series[0].digest;

    printf("\nword count: %llu files, %.1f MB, %llu words, %llu different, the same in all ways",
           (unsigned long long)digest->files, (double)digest->bytes / 1e6,
           (unsigned long long)digest->words, (unsigned long long)digest->distinct);
    if (corpus->skipped_count > 0)
        printf("; %zu files skipped", corpus->skipped_count);
    printf("\n  most frequent:");
    for (size_t i = 0; i < TOP_COUNT && run->top[i].count > 0; i++)
        printf("%s %.*s %llu", i == 0 ? "" : ",", SHOWN_MAX, run->top[i].word,
               (unsigned long long)run->top[i].count);
    printf("\n  but for the sequential way: 1 reader, %u counting, 1 reducer; %u rounds\n", workers,
           run->rounds);
}

static void print_way(struct run *run, size_t which, const double *middles)
{
    struct series *series = &run->series[which];
    double middle = middles[which];
    double megabytes = (double)series->digest.bytes / 1e6;

    printf("  %-20s %.3f s [%.3f .. %.3f]   %7.0f MB/s  %7.2fx  %7.2fx  %7.3f s  ",
           jobs[which]->name, middle, series->seconds[0], series->seconds[run->rounds - 1],
           megabytes / middle, middles[PIPE] / middle, middles[SEQUENTIAL] / middle,
           median_of(series->cpu_seconds, run->rounds));
    if (which == SEQUENTIAL)
        printf("%12s\n", "none");
    else
        printf("%10.4f s\n", median_of(series->hand_seconds, run->rounds));
}

static void print_ways(struct run *run)
{
    double middles[JOBS_COUNT];
    double pipe;
    double shoal;

    for (size_t which = 0; which < JOBS_COUNT; which++)
        middles[which] = median_of(run->series[which].seconds, run->rounds);
    printf("\n  %-20s %-26s %12s  %8s  %8s  %9s  %12s\n", "way", "median [least .. most]", "speed",
           "to pipe", "to seq.", "processor", "handing over");
    for (size_t which = JOBS_COUNT; which-- > 0;)
        print_way(run, which, middles);
    if (run->cpython_rounds > 0) {
        double middle = median_of(run->cpython_seconds, run->cpython_rounds);

        printf("  %-20s %.3f s [%.3f .. %.3f]   %7.1f MB/s  %7.2fx  %7.2fx\n", "CPython", middle,
               run->cpython_seconds[0], run->cpython_seconds[run->cpython_rounds - 1],
               (double)run->series[0].digest.bytes / 1e6 / middle, middles[PIPE] / middle,
               middles[SEQUENTIAL] / middle);
    }
    pipe = median_of(run->series[PIPE].hand_seconds, run->rounds);
    shoal = median_of(run->series[SHOAL].hand_seconds, run->rounds);
    if (shoal > 0)
        printf("  Handing over takes %.1f times as long through pipes as through shoal.\n",
               pipe / shoal);
    printf("  Handing over is the processor time that all processes together spend in alloc, put,\n"
           "  get and free, or in poll, write and read: sleeping is not counted, spinning is.\n");
}

int wordcount_run(const struct corpus *corpus, const struct wordcount_options *options)
{
    static struct run run;
    const struct job_input input = { .corpus = corpus, .workers = options->workers };

    hand_calibrate();
    while (run.rounds < options->rounds)
        if (run_round(&run, &input, options->rounds) < 0)
            return -1;
    if (run_cpython(&run, &input, options->cpython_rounds) < 0)
        return -1;
    print_rows(&run, run.series[0].digest.bytes);
    if (options->rows)
        return 0;
    print_top(&run, corpus, options->workers);
    print_ways(&run);
    fflush(stdout);
    return 0;
}

int wordcount_kill(const struct corpus *corpus, const struct wordcount_options *options)
{
    const struct job_input input = { .corpus = corpus,
                                     .workers = options->workers,
                                     .kill_worker = true };
    struct job_output output;
    int status;

    progress_begin("shoal", 1, 1, corpus->bytes);
    status = run_job(&job_shoal, &input, &output);
    progress_end();
    table_close(&output.total);
    if (status == 0)
        fprintf(stderr,
                "shoal-bench: the job was done before a counting process could be killed\n");
    return -1;
}
