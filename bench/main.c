/* shoal-bench: the main job, then the rows. */
#include "corpus.h"
#include "job.h"
#include "machine.h"
#include "pipeline.h"
#include "report.h"
#include "rows.h"
#include "rows_alloc.h"
#include "rows_growth.h"
#include "rows_queue.h"
#include "rows_start.h"
#include "rows_sync.h"
#include "wordcount.h"

#include <getopt.h>
#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 5
#define ROUNDS_QUICK 3
#define ROUNDS_CPYTHON 2 /* none with --quick */

enum { EXIT_USAGE = 2 };

struct options {
    struct wordcount_options wordcount;
    bool quick;
    bool kill_worker;
    bool list;
    const char *filter;
    const char *save; /* into this file */
    char **files;     /* NULL-terminated */
    bool files_named;
};

static char *default_files[] = { "/usr/include", "/usr/share/common-licenses", NULL };

static const char help_text[] =
    "usage: bench/run [OPTION]... [FILE]...\n"
    "\n"
    "Counts the words of real text and passes records through a pipeline, in one process, over\n"
    "pipe(2), by threads, by CPython's multiprocessing and over shoal; then measures messages a\n"
    "second, locks, events, allocators and starts, over shoal and its rivals, and what grows.\n"
    "\n"
    "  FILE           texts, and directories of texts, to be counted; by default the headers in\n"
    "                 /usr/include and the texts in /usr/share/common-licenses\n"
    "  --workers N    N counting processes (default: one a processor)\n"
    "  --quick        fewer rounds; ends within 50 seconds\n"
    "  --rows         print nothing but rows: row, who, value, unit, separated by tabs\n"
    "  --filter TEXT  nothing but the rows whose name contains TEXT\n"
    "  --list         print the names of the rows, and measure nothing\n"
    "  --save FILE    write the rows into FILE, too\n"
    "  --kill-worker  kill a counting process in the middle of the job over shoal, which must end\n"
    "                 in a reported error (exit status 1), and do nothing else\n"
    "  --help         print this\n"
    "\n"
    "A word is a run of ASCII letters, digits and underscores, in lower case.\n"
    "Exit status: 0; 1 something failed, was missing or counted differently; 2 wrong usage.\n";

static bool parse_workers(const char *text, unsigned *ret_workers)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > WORKERS_MAX) {
        fprintf(stderr, "shoal-bench: --workers wants 1 to %d, not '%s'\n", WORKERS_MAX, text);
        return false;
    }
    *ret_workers = (unsigned)value;
    return true;
}

static bool apply(struct options *options, int option)
{
    switch (option) {
    case 'w':
        return parse_workers(optarg, &options->wordcount.workers);
    case 'q':
        options->quick = true;
        options->wordcount.rounds = ROUNDS_QUICK;
        options->wordcount.cpython_rounds = 0;
        return true;
    case 'r':
        options->wordcount.rows = true;
        return true;
    case 'f':
        options->filter = optarg;
        return true;
    case 'l':
        options->list = true;
        return true;
    case 's':
        options->save = optarg;
        return true;
    case 'k':
        options->kill_worker = true;
        return true;
    case 'h':
        fputs(help_text, stdout);
        exit(EXIT_SUCCESS);
    default:
        return false; /* getopt has said what it did not understand */
    }
}

static bool parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = { { "workers", required_argument, NULL, 'w' },
                                           { "quick", no_argument, NULL, 'q' },
                                           { "rows", no_argument, NULL, 'r' },
                                           { "filter", required_argument, NULL, 'f' },
                                           { "list", no_argument, NULL, 'l' },
                                           { "save", required_argument, NULL, 's' },
                                           { "kill-worker", no_argument, NULL, 'k' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    int option;

    options->wordcount.rounds = ROUNDS;
    options->wordcount.cpython_rounds = ROUNDS_CPYTHON;
    options->wordcount.workers = shoal_cpu_count();
    if (options->wordcount.workers > WORKERS_MAX)
        options->wordcount.workers = WORKERS_MAX;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1)
        if (!apply(options, option))
            return false;
    options->files_named = optind < argc;
    options->files = options->files_named ? argv + optind : default_files;
    return true;
}

static int run_rows(const struct options *options)
{
    bool quick = options->quick;
    bool rows = options->wordcount.rows;

    if (pipeline_run(quick, rows) < 0 || rows_queue_run(quick, rows) < 0 ||
        rows_sync_run(quick, rows) < 0 || rows_alloc_run(quick, rows) < 0 ||
        rows_start_run(quick, rows) < 0 || rows_growth_run(quick, rows) < 0)
        return -1;
    if (rows_count() > 0)
        return 0;
    fprintf(stderr, "shoal-bench: no row's name contains '%s'\n", options->filter);
    return -1;
}

static int run_all(const struct options *options, const struct corpus *corpus)
{
    int status = report_open(options->wordcount.rows, options->save);

    if (options->kill_worker)
        return wordcount_kill(corpus, &options->wordcount);
    if (status < 0) {
        fprintf(stderr, "shoal-bench: %s: %s\n", options->save, strerror(-status));
        return -1;
    }
    rows_select(options->filter, options->list);
    if (!options->wordcount.rows && !options->list)
        machine_print();
    if (rows_wants(WORDCOUNT_ROW) && wordcount_run(corpus, &options->wordcount) < 0)
        return -1;
    return run_rows(options);
}

static int run(const struct options *options)
{
    struct corpus corpus = { 0 };
    int status = corpus_find(&corpus, options->files, options->files_named);

    if (status < 0) {
        fprintf(stderr, "shoal-bench: cannot look for files: %s\n", strerror(-status));
    } else if (corpus.paths_count == 0) {
        fprintf(stderr, "shoal-bench: there is no text to count\n");
        status = -1;
    } else {
        status = run_all(options, &corpus);
    }
    if (corpus.named_one_failed)
        status = -1;
    corpus_close(&corpus);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = { 0 };

    if (shoal_init(&argc, &argv, NULL) < 0) {
        fprintf(stderr, "shoal-bench: %s\n", shoal_error_message());
        return EXIT_FAILURE;
    }
    if (!parse(&options, argc, argv)) {
        fprintf(stderr, "Try --help.\n");
        return EXIT_USAGE;
    }
    return run(&options) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
