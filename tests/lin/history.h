/*
 * Histories: what several processes did with one object, and when; and whether a sequential object
 * could have answered so.
 *
 * A history is right (linearizable) if every operation can be given one instant between its call
 * and its return such that, done one after the other at these instants, the operations answer what
 * they did answer. An operation of a process that was killed inside it may have happened or not:
 * it has no return.
 */
#ifndef LIN_HISTORY_H
#define LIN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRACKS_MAX 16 /* processes or threads */

enum verb {
    PUT,
    GET,
    SHUTDOWN,
    ACQUIRE,
    RELEASE,
    CLEAR_DIED,
    VALUE,
    SET,
    CLEAR,
    IS_SET,
    WAIT,
    DIE /* the process was killed; what it held goes back */
};

/* The result of a call that gave up for another's sake and says nothing about the object. */
#define BUSY (-EAGAIN)

/*
 * The two times count calls and returns of all processes; they are unique. Each track is one after
 * the other, so that only its last operation before DIE can be without a return.
 */
struct operation {
    uint64_t called;
    uint64_t returned; /* 0: never, killed inside; the result is unknown */
    uint32_t track;
    uint32_t verb;
    uint32_t value; /* put or got: unique; of VALUE and IS_SET what was told */
    int32_t result; /* 0, SHOAL_OWNER_DIED, -errno */
};

/* It has no return: what it answered is unknown, but for what a put was given. */
static inline void operation_forget(struct operation *operation)
{
    operation->returned = 0;
    operation->result = 0;
    operation->value = operation->verb == PUT ? operation->value : 0;
}

struct history {
    const struct model *model;
    uint32_t size; /* capacity of a queue, initial value of a semaphore */
    uint32_t count;
    struct operation *operations; /* by track, and in each by time */
};

/* --- models --------------------------------------------------------------------------------- */

#define QUEUE_SEARCHED_MAX 14 /* capacity: longer queues are for check_fifo() */

union state {
    struct {
        uint32_t count, closed, values[QUEUE_SEARCHED_MAX];
    } queue;
    struct {
        uint32_t holder, depth, died; /* holder: track + 1, or 0 */
    } lock;
    struct {
        uint32_t value;
        uint8_t held[TRACKS_MAX];
    } semaphore;
    struct {
        uint32_t set;
    } event;
};

/*
 * A sequential object. apply() does an operation, or is false if it cannot have answered so now. It
 * is also given unfinished ones: of them it does what they do when all goes well.
 */
struct model {
    const char *name;
    void (*init)(uint32_t size, union state *ret_state);
    bool (*apply)(uint32_t size, union state *state, const struct operation *operation);
    void (*print)(const union state *state, FILE *file);
};

extern const struct model model_queue, model_lock, model_rlock, model_semaphore, model_bounded,
    model_owned, model_event;

/* --- checks --------------------------------------------------------------------------------- */

enum verdict { RIGHT, WRONG, UNDECIDED /* the search grew too large */ };

/* Why it is wrong, in words. */
struct reason {
    char text[400];
};

/* Any history: a search for the instants, with all that was tried remembered. */
enum verdict check_by_search(const struct history *history, struct reason *ret_reason);

/*
 * A queue's history of any length, in O(n log n): the four patterns of which every wrong history
 * of a queue without a limit has one, and what can be said of the limit without a search.
 */
enum verdict check_fifo(const struct history *history, struct reason *ret_reason);

/* The one of the two that can do it. */
enum verdict check_history(const struct history *history, struct reason *ret_reason);

/* Leaves what still is wrong, of a wrong history, as far as a right one would stay right. */
void shrink(struct history *history);

/* --- files ---------------------------------------------------------------------------------- */

/* One operation a line; what history_load() reads. */
void history_print(const struct history *history, FILE *file);
bool history_save(const struct history *history, const char *path);

/* False if the file is no history; free with history_free(). */
bool history_load(FILE *file, struct history *ret_history);
void history_free(struct history *history);
struct history history_copy(const struct history *history);
void history_sort(struct history *history);

/* A wrong history, shrunk, with bars for the operations' times, and what is wrong with it. */
void history_explain(const struct history *history, FILE *file);

#endif
