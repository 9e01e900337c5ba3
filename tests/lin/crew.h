/*
 * A crew: processes or threads that do random things to one object at once and log them. After
 * each round, on a new object each, the history is checked.
 */
#ifndef LIN_CREW_H
#define LIN_CREW_H

#include "harness.h"
#include "history.h"

struct board;

struct worker {
    const struct subject *subject;
    struct board *board;
    uint32_t track;
    uint32_t round; /* its first */
    uint64_t random;
    uint64_t object;       /* the handle */
    uint32_t size;         /* of the object */
    uint32_t held_count;   /* what it has acquired and not released */
    uint32_t values_count; /* how many it has put */
};

/* What is done with one kind of object. */
struct subject {
    const struct model *model;
    uint32_t size;
    uint64_t (*create)(uint32_t size);
    void (*destroy)(uint64_t object);
    void (*step)(struct worker *worker);   /* one random operation or two */
    void (*finish)(struct worker *worker); /* when all is quiet: asks for what is left */
};

extern const struct subject subject_queue_of_1, subject_queue_of_3, subject_queue_of_64,
    subject_dense_of_1, subject_dense_of_3, subject_words_of_1, subject_words_of_3, subject_growing,
    subject_dense_growing, subject_single_of_3, subject_lock, subject_rlock, subject_semaphore,
    subject_bounded, subject_owned, subject_event;

/* Around each call of the library; log_call() answers false if the log is full. */
bool log_call(struct worker *worker, enum verb verb, uint32_t value);
void log_return(struct worker *worker, int result, uint32_t value);

struct crew {
    const struct subject *subject;
    const char *name;
    uint32_t workers_count;
    uint32_t steps_count; /* of a worker in a round */
    uint32_t kill_every;  /* rounds; 0: nobody is killed */
    bool threads;
    double seconds;
};

struct crew_report {
    unsigned rounds, deaths, undecided;
    uint64_t operations;
    struct history wrong; /* the first wrong one, if its count is not 0 */
};

/* Until a history is wrong, or the time is over. */
struct crew_report crew_run(const struct crew *crew);

/* As a test: prints, saves and explains a wrong history, and fails. */
void crew_must_be_right(const struct crew *crew);

#endif
