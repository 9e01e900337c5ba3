/* Histories as text: a line that names the model and its size, then one operation a line. */
#include "history.h"

#include <errno.h>
#include <inttypes.h>
#include <shoal/lock.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct model *const models[] = {
    &model_queue,   &model_lock,  &model_rlock, &model_semaphore,
    &model_bounded, &model_owned, &model_event,
};

static const char *const verbs[] = {
    [PUT] = "put",         [GET] = "get",         [SHUTDOWN] = "shutdown",
    [ACQUIRE] = "acquire", [RELEASE] = "release", [CLEAR_DIED] = "clear-died",
    [VALUE] = "value",     [SET] = "set",         [CLEAR] = "clear",
    [IS_SET] = "is-set",   [WAIT] = "wait",       [DIE] = "die",
};

static const struct {
    int32_t result;
    const char *name;
} results[] = {
    { 0, "ok" },
    { SHOAL_OWNER_DIED, "owner-died" },
    { -ETIMEDOUT, "timed-out" },
    { -EPIPE, "shut-down" },
    { -EOVERFLOW, "overflow" },
    { -EPERM, "not-mine" },
    { BUSY, "busy" },
};

static void print_result(const struct operation *operation, FILE *file)
{
    for (size_t i = 0; i < COUNT_OF(results); i++)
        if (results[i].result == operation->result) {
            fprintf(file, "%s", operation->returned ? results[i].name : "maybe");
            return;
        }
    fprintf(file, "%d", operation->result);
}

static int32_t parse_result(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(results); i++)
        if (strcmp(results[i].name, text) == 0)
            return results[i].result;
    return atoi(text);
}

static void print_operation(const struct operation *operation, FILE *file)
{
    fprintf(file, "%8" PRIu64 " %8" PRIu64 " %2u %-10s %8u ", operation->called,
            operation->returned, operation->track, verbs[operation->verb], operation->value);
    print_result(operation, file);
}

void history_print(const struct history *history, FILE *file)
{
    fprintf(file, "%s %u\n# called returned track operation value result\n", history->model->name,
            history->size);
    for (uint32_t i = 0; i < history->count; i++) {
        print_operation(&history->operations[i], file);
        fputc('\n', file);
    }
}

bool history_save(const struct history *history, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return false;
    history_print(history, file);
    return fclose(file) == 0;
}

static bool parse_operation(const char *line, struct operation *ret_operation)
{
    char verb[16], result[16];
    struct operation *parsed = ret_operation;
    if (sscanf(line, "%" SCNu64 " %" SCNu64 " %u %15s %u %15s", &parsed->called, &parsed->returned,
               &parsed->track, verb, &parsed->value, result) != 6)
        return false;
    parsed->result = parsed->returned ? parse_result(result) : 0;
    for (parsed->verb = 0; parsed->verb < COUNT_OF(verbs); parsed->verb++)
        if (strcmp(verbs[parsed->verb], verb) == 0)
            return parsed->track < TRACKS_MAX && parsed->called > 0 &&
                   (parsed->returned == 0 || parsed->returned > parsed->called);
    return false;
}

static const struct model *model_named(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(models); i++)
        if (strcmp(models[i]->name, name) == 0)
            return models[i];
    return NULL;
}

static bool append(struct history *history, const struct operation *operation)
{
    if ((history->count & (history->count - 1)) == 0) { /* full: it grows by powers of two */
        const size_t room = history->count ? 2 * (size_t)history->count : 1;
        void *grown = realloc(history->operations, room * sizeof *operation);
        if (!grown)
            return false;
        history->operations = grown;
    }
    history->operations[history->count++] = *operation;
    return true;
}

bool history_load(FILE *file, struct history *ret_history)
{
    char line[200], name[16];
    *ret_history = (struct history){ 0 };
    if (!fgets(line, sizeof line, file) || sscanf(line, "%15s %u", name, &ret_history->size) != 2 ||
        !(ret_history->model = model_named(name)))
        return false;
    while (fgets(line, sizeof line, file)) {
        struct operation operation;
        if (line[0] == '#')
            continue;
        if (!parse_operation(line, &operation) || !append(ret_history, &operation)) {
            history_free(ret_history);
            return false;
        }
    }
    history_sort(ret_history);
    return true;
}

void history_free(struct history *history)
{
    free(history->operations);
    history->operations = NULL;
    history->count = 0;
}

struct history history_copy(const struct history *history)
{
    struct history copy = *history;
    copy.operations = malloc(((size_t)history->count + 1) * sizeof *copy.operations);
    if (!copy.operations)
        abort();
    memcpy(copy.operations, history->operations, history->count * sizeof *copy.operations);
    return copy;
}

static int by_track(const void *left, const void *right)
{
    const struct operation *a = left, *b = right;
    if (a->track != b->track)
        return a->track < b->track ? -1 : 1;
    if (a->called != b->called)
        return a->called < b->called ? -1 : 1;
    return (a->verb == DIE) - (b->verb == DIE); /* of one time with the operation it ended */
}

void history_sort(struct history *history)
{
    if (history->count > 0)
        qsort(history->operations, history->count, sizeof *history->operations, by_track);
}

/* --- for a reader --------------------------------------------------------------------------- */

static int by_call(const void *left, const void *right)
{
    const struct operation *a = left, *b = right;
    return (a->called > b->called) - (a->called < b->called);
}

/* How many of the history's times are not later: 1, 2, 3 and so on, without gaps. */
static uint32_t rank_of(const struct history *history, uint64_t time)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < history->count; i++) {
        const struct operation *operation = &history->operations[i];
        rank += operation->called <= time;
        rank += operation->returned != 0 && operation->returned <= time;
    }
    return rank;
}

static void print_bar(const struct history *history, const struct operation *operation, FILE *file)
{
    const uint32_t from = rank_of(history, operation->called),
                   to = rank_of(history, operation->returned ? operation->returned : UINT64_MAX);
    fprintf(file, "%*s%s", (int)from, "", "|");
    for (uint32_t i = from + 1; i < to; i++)
        fputc('-', file);
    fputs(operation->returned ? "|" : "...", file);
}

void history_explain(const struct history *history, FILE *file)
{
    struct history shrunk = history_copy(history);
    struct reason reason = { "" };
    shrink(&shrunk);
    check_history(&shrunk, &reason);
    qsort(shrunk.operations, shrunk.count, sizeof *shrunk.operations, by_call);
    fprintf(file, "%s of %u: %s\n", shrunk.model->name, shrunk.size, reason.text);
    for (uint32_t i = 0; i < shrunk.count; i++) {
        char text[100] = "";
        FILE *column = fmemopen(text, sizeof text, "w");
        print_operation(&shrunk.operations[i], column);
        fclose(column);
        fprintf(file, "  %-50s", text);
        if (shrunk.count <= 40)
            print_bar(&shrunk, &shrunk.operations[i], file);
        fputc('\n', file);
    }
    fprintf(file, "  (%u operations of %u)\n", shrunk.count, history->count);
    history_free(&shrunk);
}
