/* The main job: words are counted in each way, several times, and the results compared. */
#ifndef BENCH_WORDCOUNT_H
#define BENCH_WORDCOUNT_H

#include "corpus.h"

#include <stdbool.h>

#define WORDCOUNT_ROW "word count (MB/s)"

struct wordcount_options {
    unsigned workers;
    unsigned rounds;
    unsigned cpython_rounds; /* it is slow */
    bool rows;               /* print rows instead of a report */
};

/* Returns 0, or -1 when a way failed or they differ (said on stderr). */
int wordcount_run(const struct corpus *corpus, const struct wordcount_options *options);

/* Count over shoal, once, and kill a counting process in the middle. Always -1: said why. */
int wordcount_kill(const struct corpus *corpus, const struct wordcount_options *options);

#endif
