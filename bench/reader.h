/*
 * The reader: the corpus as a sequence of text chunks, the same sequence for each way of counting.
 *
 * A chunk is filled from as many files as it takes, and ends between two words, so that no word is
 * split. A word that fills a whole chunk is cut there and its remainder skipped: it counts once,
 * by its first WORD_MAX bytes, as every long word does.
 */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include "corpus.h"
#include "words.h"

#include <stdbool.h>
#include <sys/types.h>

struct reader {
    const struct corpus *corpus;
    size_t next; /* path */
    int fd;      /* of the file before it; -1: none is open */
    off_t offset;
    bool in_long_word; /* at offset, inside a word that has been counted */
};

void reader_open(struct reader *reader, const struct corpus *corpus);

/* Fill @chunk. Returns 1; 0 at the end; -1 when a file cannot be read any more (said on stderr). */
int reader_fill(struct reader *reader, struct chunk *chunk);

void reader_close(struct reader *reader);

#endif
