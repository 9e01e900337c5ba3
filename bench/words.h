/*
 * What a word is, and tables of words and their counts. All ways of counting share this code.
 *
 * A word is a maximal run of ASCII letters, digits and underscores, in lower case; any other byte
 * separates. A word longer than WORD_MAX bytes counts as its first WORD_MAX bytes.
 *
 * A table is one block without pointers, so that it can be a message: a head, entries that grow
 * upwards, and their texts, which grow downwards from its end.
 *
 *     | head | entry 0 | entry 1 | ...  -> free <-  ... | text 1 | text 0 | slack |
 *
 * The index by which an entry is found is private to the process that fills the table and does
 * not travel: who receives a table goes over its entries.
 */
#ifndef BENCH_WORDS_H
#define BENCH_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORD_MAX 255 /* bytes of a word that are looked at; its length is one byte */
#define WORD_SLACK 8 /* readable bytes behind every text: words are read 8 bytes at a time */

#define CHUNK_SIZE 65536 /* of a chunk as a message, head and slack included */
#define CHUNK_TEXT_MAX (CHUNK_SIZE - sizeof(struct chunk) - WORD_SLACK)

/* A piece of text, as the reader hands it to a counting process. */
struct chunk {
    uint64_t bytes; /* of files that it stands for */
    uint32_t files; /* that end in it */
    uint32_t len;   /* of the text */
    char text[];
};

struct entry {
    uint64_t count;
    uint32_t hash;
    uint32_t text; /* where it is, counted back from the block's end: one byte length, the word */
};

struct counts {
    uint64_t words;
    uint64_t bytes; /* of files that were counted */
    uint64_t files;
    uint64_t hand_ns;       /* in the last message of a process: what it spent handing over */
    uint32_t last;          /* 1: its sender will send no more */
    uint32_t entries_count; /* different words */
    uint32_t text_size;     /* bytes at the block's end, slack included */
    uint32_t unused;
    struct entry entries[];
};

/* Where blocks come from. */
struct store {
    void *(*allocate)(size_t size);
    void (*release)(void *block);
};
extern const struct store store_heap;

/* A table that is being filled. */
struct table {
    const struct store *store;
    struct counts *counts; /* the block; NULL: none, see table_begin() */
    size_t size;           /* of the block */
    size_t size_first;     /* of the next one */
    uint64_t *slots;       /* hash << 32 | index of the entry + 1; 0 is free */
    size_t slots_count;    /* a power of two */
};

bool word_has(char byte);

/* Prepare a table without a block. Returns false when there is no memory. */
bool table_open(struct table *table, const struct store *store, size_t size_first);

/* Start anew: the table is empty; a block is allocated if there is none. False: no memory. */
bool table_begin(struct table *table);

/* Count the words of a chunk, whose text is brought into lower case on the way. */
bool table_count(struct table *table, struct chunk *chunk);

/* Add another table, a block of @size bytes that anybody wrote. False: no memory, or damaged. */
bool table_merge(struct table *table, const struct counts *counts, size_t size);

/* Take the block away, as a message. */
struct counts *table_take(struct table *table);

void table_close(struct table *table);

/* The bytes of a block that are in use at its front: the head and the entries. */
size_t counts_front(const struct counts *counts);

/* The word of an entry, in a block of @size bytes. */
const char *counts_word(const struct counts *counts, size_t size, const struct entry *entry,
                        size_t *ret_len);

/* A number that is the same for the same words and counts in whatever order. */
uint64_t counts_checksum(const struct counts *counts, size_t size);

#endif
