#include "job.h"

#include "progress.h"

#include <stdio.h>
#include <string.h>

int job_reduce(struct job_output *output, const struct counts *counts, size_t size)
{
    if (!table_merge(&output->total, counts, size)) {
        fprintf(stderr, "shoal-bench: a table of counts is damaged, or too large for memory\n");
        return -1;
    }
    if (counts->last != 0)
        output->hand_ns += counts->hand_ns;
    progress_at(output->total.counts->bytes);
    return 0;
}

void job_fill_last(struct counts *counts, uint64_t hand_ns)
{
    memset(counts, 0, sizeof(*counts) + WORD_SLACK);
    counts->text_size = WORD_SLACK;
    counts->last = 1;
    counts->hand_ns = hand_ns;
}

void job_worker_name(char *name, size_t size, unsigned index)
{
    snprintf(name, size, "counting process %u", index + 1);
}
