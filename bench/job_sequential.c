/*
 * One process reads, counts and reduces. It, too, makes a small table for each chunk and adds it
 * to the total: counting straight into the large table was slower, by its cache misses.
 */
#include "job.h"
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>

static int count_all(struct reader *reader, struct chunk *chunk, struct table *table,
                     struct job_output *output)
{
    int more;

    while ((more = reader_fill(reader, chunk)) == 1) {
        if (!table_begin(table) || !table_count(table, chunk)) {
            fprintf(stderr, "shoal-bench: no memory for a table of counts\n");
            return -1;
        }
        if (job_reduce(output, table->counts, table->size) < 0)
            return -1;
    }
    return more;
}

static int run(const struct job_input *input, struct job_output *output)
{
    struct chunk *chunk = malloc(CHUNK_SIZE);
    struct reader reader;
    struct table table;
    int status = -1;

    reader_open(&reader, input->corpus);
    if (table_open(&table, &store_heap, TABLE_SIZE_FIRST) && chunk != NULL)
        status = count_all(&reader, chunk, &table, output);
    table_close(&table);
    reader_close(&reader);
    free(chunk);
    return status;
}

const struct job job_sequential = { "sequential", run };
