/*
 * Purpose. The smallest part of a wrong history that still is wrong.
 *
 * Only what cannot make a right history wrong is taken away, or the rest would mislead:
 *   the end: what was called later; what had not returned may have happened or not
 *   the beginning: up to a call that came alone and after which the object was as at first
 *   calls that changed nothing: those that failed, and questions; deaths, where nothing is held
 *   values of a queue, put and get together, unless "full" is answered somewhere
 *   a lock's acquire and release, or a semaphore's, of one process, unless another call answers
 *   that there was none to be had
 */
#include "history.h"

#include <errno.h>
#include <shoal/lock.h>
#include <stdlib.h>
#include <string.h>

static bool is_wrong(const struct history *history)
{
    struct reason reason;
    return check_history(history, &reason) == WRONG;
}

/* --- the end -------------------------------------------------------------------------------- */

static struct history cut_at(const struct history *history, uint64_t time)
{
    struct history cut = history_copy(history);
    cut.count = 0;
    for (uint32_t i = 0; i < history->count; i++) {
        struct operation operation = history->operations[i];
        if (operation.called > time)
            continue;
        if (operation.returned > time)
            operation_forget(&operation);
        cut.operations[cut.count++] = operation;
    }
    return cut;
}

static uint64_t end_of(const struct history *history)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < history->count; i++) {
        const struct operation *operation = &history->operations[i];
        const uint64_t last = operation->returned ? operation->returned : operation->called;
        end = last > end ? last : end;
    }
    return end;
}

static void cut_the_end(struct history *history)
{
    uint64_t right = 0, wrong = end_of(history);
    while (wrong - right > 1) {
        const uint64_t middle = right + (wrong - right) / 2;
        struct history cut = cut_at(history, middle);
        if (is_wrong(&cut))
            wrong = middle;
        else
            right = middle;
        history_free(&cut);
    }
    struct history cut = cut_at(history, wrong);
    history_free(history);
    *history = cut;
}

/* --- the beginning -------------------------------------------------------------------------- */

#define BEGINNING_CUT_MAX 2000 /* operations: each is compared with each */

static bool is_as_new_after(const struct history *history, const struct operation *operation)
{
    switch (operation->verb) {
    case CLEAR:
        return true;
    case GET:
        return operation->result == -ETIMEDOUT;
    case VALUE:
        return operation->value == history->size && history->model != &model_owned;
    default:
        return false;
    }
}

static bool is_alone(const struct history *history, const struct operation *operation)
{
    for (uint32_t i = 0; i < history->count; i++) {
        const struct operation *other = &history->operations[i];
        const bool before = other->returned != 0 && other->returned < operation->called;
        if (other != operation && !before && other->called < operation->returned)
            return false;
    }
    return operation->returned != 0;
}

/* Without its end the history is right: so what is wrong comes after the object was as new. */
static void cut_the_beginning(struct history *history)
{
    const uint64_t end = end_of(history);
    uint64_t start = 0;
    for (uint32_t i = 0; i < history->count && history->count <= BEGINNING_CUT_MAX; i++) {
        const struct operation *operation = &history->operations[i];
        if (operation->returned > start && operation->returned < end &&
            is_as_new_after(history, operation) && is_alone(history, operation))
            start = operation->returned;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < history->count; i++)
        if (history->operations[i].called > start)
            history->operations[kept++] = history->operations[i];
    history->count = kept;
}

/* --- groups of operations that can go together --------------------------------------------- */

static bool changes_nothing(const struct operation *operation)
{
    const bool question = operation->verb == VALUE || operation->verb == IS_SET;
    return operation->returned != 0 &&
           (question || (operation->result != 0 && operation->result != SHOAL_OWNER_DIED));
}

/* Somebody was told that nothing was to be had, or how much: then who had it must stay. */
static bool scarcity_was_told(const struct history *history)
{
    for (uint32_t i = 0; i < history->count; i++) {
        const struct operation *operation = &history->operations[i];
        if (operation->verb != GET && changes_nothing(operation) && operation->result != -EPIPE)
            return true;
    }
    return false;
}

static void group_values(const struct history *history, uint32_t *groups)
{
    for (uint32_t i = 0; i < history->count; i++) {
        const struct operation *operation = &history->operations[i];
        const bool got = operation->verb == GET && operation->returned != 0;
        if (operation->result == 0 && (operation->verb == PUT || got))
            groups[i] = history->count + operation->value;
    }
}

/* The innermost acquire before a release of the same process, if nothing was cleared between. */
static void group_holds(const struct history *history, uint32_t *groups)
{
    uint32_t held[64], held_count = 0, track = TRACKS_MAX;
    for (uint32_t i = 0; i < history->count; i++) {
        const struct operation *operation = &history->operations[i];
        if (operation->track != track || operation->verb == CLEAR_DIED || operation->returned == 0)
            held_count = 0;
        track = operation->track;
        if (operation->returned == 0 || changes_nothing(operation))
            continue;
        if (operation->verb == ACQUIRE && held_count < 64)
            held[held_count++] = i;
        else if (operation->verb == RELEASE && held_count > 0)
            groups[i] = groups[held[--held_count]] = i + 1;
    }
}

/* 0: stays; operations of one number go together. */
static uint32_t *groups_of(const struct history *history)
{
    uint32_t *groups = calloc((size_t)history->count + 1, sizeof *groups);
    if (!groups)
        abort();
    if (!scarcity_was_told(history)) {
        if (history->model == &model_queue)
            group_values(history, groups);
        else if (history->model != &model_bounded)
            group_holds(history, groups);
    }
    const bool held = history->model != &model_queue && history->model != &model_event;
    for (uint32_t i = 0; i < history->count; i++)
        if (changes_nothing(&history->operations[i]) ||
            (history->operations[i].verb == DIE && !held))
            groups[i] = i + 1;
    return groups;
}

static int ascending(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* The different numbers but 0, in order. */
static uint32_t *names_of(const uint32_t *groups, uint32_t count, uint32_t *ret_count)
{
    uint32_t *names = malloc(((size_t)count + 1) * sizeof *names), used = 0;
    if (!names)
        abort();
    memcpy(names, groups, count * sizeof *names);
    qsort(names, count, sizeof *names, ascending);
    for (uint32_t i = 0; i < count; i++)
        if (names[i] != 0 && (used == 0 || names[i] != names[used - 1]))
            names[used++] = names[i];
    *ret_count = used;
    return names;
}

/* Takes the groups between two numbers away, if the rest is wrong. */
static bool take_away(struct history *history, uint32_t *groups, uint32_t from, uint32_t to)
{
    struct history rest = history_copy(history);
    rest.count = 0;
    for (uint32_t i = 0; i < history->count; i++)
        if (groups[i] < from || groups[i] > to)
            rest.operations[rest.count++] = history->operations[i];
    if (rest.count == history->count || !is_wrong(&rest)) {
        history_free(&rest);
        return false;
    }
    for (uint32_t i = 0, kept = 0; i < history->count; i++)
        if (groups[i] < from || groups[i] > to)
            groups[kept++] = groups[i];
    history_free(history);
    *history = rest;
    return true;
}

/* Halves, quarters and so on of what can go. */
static bool take_groups_away(struct history *history)
{
    uint32_t *groups = groups_of(history), names_count;
    uint32_t *names = names_of(groups, history->count, &names_count);
    bool any = false;
    for (uint32_t chunk = names_count; chunk > 0; chunk /= 2)
        for (uint32_t from = 0; from < names_count; from += chunk) {
            const uint32_t to = from + chunk < names_count ? from + chunk : names_count;
            any |= take_away(history, groups, names[from], names[to - 1]);
        }
    free(groups);
    free(names);
    return any;
}

void shrink(struct history *history)
{
    cut_the_end(history);
    cut_the_beginning(history);
    while (take_groups_away(history)) {}
}
