/*
 * Purpose. Long histories of a queue, in O(n log n), by what each value went through.
 *
 * A history of a queue without a limit whose values are unique is wrong if and only if it has one
 * of four patterns (Henzinger, Sezgin, Vafeiadis 2013):
 *   fresh   a value is got that was not put before the get returned
 *   repeat  a value is got twice
 *   order   a was put before b, and b got before a, or b got and a never
 *   witness "empty" is answered though at each instant of the call some value certainly was inside
 * A value certainly is inside from the return of its put to the call of its get, and possibly from
 * the call of its put to the return of its get. The limit: never are more values certainly inside
 * than fit, and when "full" is answered as many possibly are.
 *
 * The killed. A put without a return happened if its value was got, and else it may have: it is
 * left out of what is certain. Each get without a return may have taken one value. Of the values
 * that nobody got, as many are therefore excused, first those whose put returned first: what
 * remains in a queue are the last ones, and a later put is in fewer patterns.
 *
 * Limits. It does not see all that is wrong with full and with shutting down; the search does.
 */
#include "history.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

struct life {
    uint32_t value;
    bool excused;
    uint64_t put_called, put_returned, got_called, got_returned;
};

struct fifo {
    const struct history *history;
    struct life *lives; /* by value */
    uint32_t count;
    uint32_t takers_count;               /* gets without a return */
    uint64_t shut_called, shut_returned; /* the first one's call, and the first return */
    struct reason *reason;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct fifo *fifo, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fifo->reason->text, sizeof fifo->reason->text, format, arguments);
    va_end(arguments);
    return false;
}

static int by_value(const void *left, const void *right)
{
    const struct life *a = left, *b = right;
    return (a->value > b->value) - (a->value < b->value);
}

static int by_put_called(const void *left, const void *right)
{
    const struct life *a = *(const struct life *const *)left,
                      *b = *(const struct life *const *)right;
    return (a->put_called > b->put_called) - (a->put_called < b->put_called);
}

static int by_put_returned(const void *left, const void *right)
{
    const struct life *a = *(const struct life *const *)left,
                      *b = *(const struct life *const *)right;
    return (a->put_returned > b->put_returned) - (a->put_returned < b->put_returned);
}

static struct life *life_of(const struct fifo *fifo, uint32_t value)
{
    const struct life key = { .value = value };
    return bsearch(&key, fifo->lives, fifo->count, sizeof key, by_value);
}

static bool note_get(struct fifo *fifo, const struct operation *get)
{
    struct life *life = life_of(fifo, get->value);
    if (!life || life->put_called > get->returned)
        return wrong(fifo, "%u was got before anybody put it", get->value);
    if (life->got_returned != NEVER)
        return wrong(fifo, "%u was got twice", get->value);
    life->got_called = get->called;
    life->got_returned = get->returned;
    return true;
}

static bool successful(const struct operation *operation, uint32_t verb)
{
    return operation->verb == verb && operation->result == 0;
}

static bool note_lives(struct fifo *fifo)
{
    const struct history *history = fifo->history;
    for (uint32_t i = 0; i < history->count; i++) {
        const struct operation *put = &history->operations[i];
        if (successful(put, PUT))
            fifo->lives[fifo->count++] = (struct life){
                put->value, false, put->called, put->returned ? put->returned : NEVER, NEVER, NEVER
            };
    }
    qsort(fifo->lives, fifo->count, sizeof *fifo->lives, by_value);
    for (uint32_t i = 0; i < history->count; i++) {
        const struct operation *get = &history->operations[i];
        const bool got = successful(get, GET);
        fifo->takers_count += got && get->returned == 0;
        if (got && get->returned != 0 && !note_get(fifo, get))
            return false;
    }
    return true;
}

static struct life **sorted(const struct fifo *fifo, int (*compare)(const void *, const void *))
{
    struct life **lives = calloc(fifo->count + 1, sizeof(struct life *));
    if (!lives)
        abort();
    for (uint32_t i = 0; i < fifo->count; i++)
        lives[i] = &fifo->lives[i];
    qsort(lives, fifo->count, sizeof(struct life *), compare);
    return lives;
}

static void excuse(struct fifo *fifo)
{
    struct life **lives = sorted(fifo, by_put_returned);
    for (uint32_t i = 0; i < fifo->count; i++) {
        const bool missing = lives[i]->got_returned == NEVER;
        const bool maybe_never_put = lives[i]->put_returned == NEVER;
        lives[i]->excused = missing && (maybe_never_put || fifo->takers_count > 0);
        fifo->takers_count -= lives[i]->excused && !maybe_never_put;
    }
    free(lives);
}

/* For each b, in the order of their puts' calls: the a put before it that was got last. */
static bool check_order(struct fifo *fifo)
{
    struct life **by_call = sorted(fifo, by_put_called),
                **by_return = sorted(fifo, by_put_returned);
    const struct life *last = NULL;
    bool right = true;
    for (uint32_t i = 0, before = 0; i < fifo->count && right; i++) {
        const struct life *life = by_call[i];
        for (; by_return[before]->put_returned < life->put_called; before++)
            if (!by_return[before]->excused &&
                (!last || by_return[before]->got_called > last->got_called))
                last = by_return[before];
        if (last && life->got_returned < last->got_called)
            right = wrong(fifo, "%u was put before %u, but %s", last->value, life->value,
                          last->got_called == NEVER ? "only the second one was ever got"
                                                    : "got after it");
    }
    free(by_call);
    free(by_return);
    return right;
}

/* --- how many are inside -------------------------------------------------------------------- */

struct point {
    uint64_t time;
    int64_t inside;     /* from here to the next point; at first: the change */
    uint64_t next_good; /* the first time, from here on, at which as many are inside as asked */
};

static int by_time(const void *left, const void *right)
{
    const struct point *a = left, *b = right;
    return (a->time > b->time) - (a->time < b->time);
}

struct course {
    struct point *points;
    uint32_t count;
    int64_t most;
};

static void add_span(struct course *course, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    course->points[course->count++] = (struct point){ .time = from, .inside = 1 };
    if (to != NEVER)
        course->points[course->count++] = (struct point){ .time = to, .inside = -1 };
}

/* How many certainly, or possibly, are inside; good is at most, or at least, the limit. */
static struct course course_of(const struct fifo *fifo, bool certainly, int64_t limit)
{
    struct course course = { .points = calloc(2 * (size_t)fifo->count + 1, sizeof(struct point)) };
    if (!course.points)
        abort();
    course.count = 1; /* at time 0 nothing is inside */
    for (uint32_t i = 0; i < fifo->count; i++) {
        const struct life *life = &fifo->lives[i];
        if (!certainly)
            add_span(&course, life->put_called, life->got_returned);
        else if (!life->excused)
            add_span(&course, life->put_returned, life->got_called);
    }
    qsort(course.points, course.count, sizeof(struct point), by_time);
    for (uint32_t i = 1; i < course.count; i++) {
        course.points[i].inside += course.points[i - 1].inside;
        if (course.points[i].inside > course.most)
            course.most = course.points[i].inside;
    }
    uint64_t next_good = NEVER;
    for (uint32_t i = course.count; i-- > 0;) {
        const int64_t inside = course.points[i].inside;
        if (certainly ? inside <= limit : inside >= limit)
            next_good = course.points[i].time;
        course.points[i].next_good = next_good;
    }
    return course;
}

static bool was_good_during(const struct course *course, const struct operation *operation)
{
    uint32_t low = 0, high = course->count; /* points[low] is not after the call */
    while (high - low > 1) {
        const uint32_t middle = (low + high) / 2;
        if (course->points[middle].time <= operation->called)
            low = middle;
        else
            high = middle;
    }
    return course->points[low].next_good < operation->returned;
}

static bool check_counts(struct fifo *fifo)
{
    const struct history *history = fifo->history;
    struct course certain = course_of(fifo, true, 0),
                  possible = course_of(fifo, false, history->size);
    bool right = true;
    if (certain.most > history->size)
        right = wrong(fifo, "%lld values were inside at once", (long long)certain.most);
    for (uint32_t i = 0; i < history->count && right; i++) {
        const struct operation *operation = &history->operations[i];
        const bool empty = operation->verb == GET &&
                           (operation->result == -ETIMEDOUT || operation->result == -EPIPE);
        if (empty && !was_good_during(&certain, operation))
            right = wrong(fifo, "nothing was got at %llu, though the queue was never empty",
                          (unsigned long long)operation->called);
        if (operation->verb == PUT && operation->result == -ETIMEDOUT &&
            !was_good_during(&possible, operation))
            right = wrong(fifo, "the put at %llu found no room, though the queue was never full",
                          (unsigned long long)operation->called);
    }
    free(certain.points);
    free(possible.points);
    return right;
}

/* --- the rest ------------------------------------------------------------------------------- */

static void note_shutdown(struct fifo *fifo)
{
    fifo->shut_called = fifo->shut_returned = NEVER;
    for (uint32_t i = 0; i < fifo->history->count; i++) {
        const struct operation *operation = &fifo->history->operations[i];
        if (operation->verb != SHUTDOWN)
            continue;
        if (operation->called < fifo->shut_called)
            fifo->shut_called = operation->called;
        if (operation->returned != 0 && operation->returned < fifo->shut_returned)
            fifo->shut_returned = operation->returned;
    }
}

static bool result_fits(struct fifo *fifo, const struct operation *operation)
{
    const bool put = operation->verb == PUT;
    const unsigned long long when = operation->called;
    switch (operation->result) {
    case 0:
        return !put || operation->returned == 0 || operation->called < fifo->shut_returned ||
               wrong(fifo, "the put at %llu succeeded after the shutdown", when);
    case -EPIPE:
        return operation->returned > fifo->shut_called ||
               wrong(fifo, "the call at %llu found the queue shut down, which came later", when);
    case -ETIMEDOUT:
        return operation->called < fifo->shut_returned ||
               wrong(fifo, "the call at %llu waited after the shutdown", when);
    default:
        return operation->result == BUSY ||
               wrong(fifo, "the call at %llu answered %d", when, operation->result);
    }
}

static bool check_results(struct fifo *fifo)
{
    bool right = true;
    note_shutdown(fifo);
    for (uint32_t i = 0; i < fifo->history->count && right; i++)
        right = result_fits(fifo, &fifo->history->operations[i]);
    return right;
}

enum verdict check_fifo(const struct history *history, struct reason *ret_reason)
{
    struct fifo fifo = { .history = history, .reason = ret_reason };
    fifo.lives = calloc(history->count + 1, sizeof *fifo.lives);
    if (!fifo.lives)
        abort();
    bool right = check_results(&fifo) && note_lives(&fifo);
    if (right) {
        excuse(&fifo);
        right = check_order(&fifo) && check_counts(&fifo);
    }
    free(fifo.lives);
    return right ? RIGHT : WRONG;
}

enum verdict check_history(const struct history *history, struct reason *ret_reason)
{
    const bool queue = history->model == &model_queue;
    if (queue && (history->size > QUEUE_SEARCHED_MAX || history->count > 2000))
        return check_fifo(history, ret_reason);
    return check_by_search(history, ret_reason);
}
