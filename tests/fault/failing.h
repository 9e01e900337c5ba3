/*
 * The driver of failing calls: an operation runs in a process of its own for each function that it
 * calls, each way in which that function fails, and each use of it: the first, the second, and so
 * on until it succeeds because there are no more uses.
 *
 * Each time the answer must be the right one (refusals.h); a failure must have its message, leave
 * the output untouched and the operation able to succeed at once; and at the end there must be no
 * descriptor, mapping, process, chunk, page, place, block or slot more than after a run in which
 * nothing failed.
 */
#ifndef SHOAL_TESTS_FAILING_H
#define SHOAL_TESTS_FAILING_H

#include "harness.h"

struct operation {
    const char *name;
    void (*inherited)(void); /* what a process did that then forks the one in which all is run */
    void (*prepare)(void);   /* before the first run */
    int (*run)(void);        /* 0 or a code; the only part in which something is refused */
    void (*undo)(void);      /* after a run that succeeded */
    void (*finish)(void);    /* after the last run */
    int code;                /* what it answers when nothing is refused */
    bool once;               /* a second success is not possible */
};

/* What an operation answers through its pointers; a failure must not touch it. */
extern union output {
    uint64_t ref;
    shoal_segment segment;
    shoal_process process;
    shoal_lock lock;
    shoal_semaphore semaphore;
    shoal_event event;
    shoal_condition condition;
    shoal_barrier barrier;
    shoal_queue queue;
    shoal_finalizer finalizer;
    struct {
        shoal_connection first, second;
    } pipe;
    void *payload;
} output;

/* 0, or the code of the failure that left a pointer or a handle empty. */
int code_of(bool succeeded);

/* A code and its message, from another thread or process to the one that runs the operation. */
struct answer {
    int code;
    char message[256];
};
void answer_give(struct answer *answer, int code);
int answer_take(const struct answer *answer);

/* Fails the test with the first thing that is wrong. */
void survive(const struct operation *operations, size_t count);

/* The first thing that is wrong, or an empty text; for tests of the driver itself. */
const char *first_problem(const struct operation *operation);

/* Adds to `sums` how often each refusal could come in a run in which nothing fails. */
void add_uses(const struct operation *operation, unsigned *sums);

#endif
