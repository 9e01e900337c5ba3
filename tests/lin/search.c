/*
 * Purpose. Is there an order of instants that explains a history? (Wing and Gong 1993, with Lowe's
 * memory of what was tried, 2017.)
 *
 * Each track is one operation after the other, so that "what was done" is one number a track, and
 * a configuration is these numbers and the object's state. Depth first: of the tracks' next
 * operations any may come next that was called before every other of them returned. One without
 * a return may also be left out. What was reached once is not tried again.
 *
 * Limits. CONFIGS_MAX configurations; then the answer is UNDECIDED. A few hundred operations of
 * four processes take some thousand.
 */
#include "history.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONFIGS_MAX (UINT32_C(1) << 19)

struct config {
    uint16_t done[TRACKS_MAX]; /* operations of each track */
    union state state;
};

struct frame {
    struct config config;
    uint32_t choice; /* the next one to try: a track, and whether to leave its operation out */
};

struct place {
    uint64_t hash; /* 0: nothing is here */
    struct config config;
};

struct search {
    const struct history *history;
    const struct operation *first[TRACKS_MAX];
    uint32_t counts[TRACKS_MAX];
    struct frame *frames; /* the way to where we are */
    uint32_t depth;
    struct place *seen; /* a hash table, at most half full */
    uint32_t places_count, seen_count;
    struct config farthest;
    uint32_t farthest_done;
};

static const struct operation *next_of(const struct search *search, const struct config *config,
                                       uint32_t track)
{
    const uint32_t done = config->done[track];
    return done < search->counts[track] ? search->first[track] + done : NULL;
}

/* When the first of what is still to be done returned: nothing called later can come before it. */
static uint64_t first_return(const struct search *search, const struct config *config)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t track = 0; track < TRACKS_MAX; track++) {
        const struct operation *next = next_of(search, config, track);
        if (next && next->returned == 0 && config->done[track] + 1u < search->counts[track])
            next++; /* its DIE */
        if (next && next->returned && next->returned < first)
            first = next->returned;
    }
    return first;
}

static uint64_t hash_of(const struct config *config)
{
    uint64_t words[sizeof *config / 8], hash = 1;
    memcpy(words, config, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash | 1;
}

static_assert(sizeof(struct config) % 8 == 0, "it is hashed by words and has no padding");

/* Where it is, or would be. */
static struct place *place_of(const struct search *search, uint64_t hash,
                              const struct config *config)
{
    for (uint32_t i = (uint32_t)(hash >> 32);; i++) {
        struct place *place = &search->seen[i % search->places_count];
        const bool is_it = place->hash == hash &&
                           memcmp(&place->config, config, sizeof *config) == 0;
        if (place->hash == 0 || is_it)
            return place;
    }
}

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void grow(struct search *search)
{
    struct place *before = search->seen;
    const uint32_t before_count = search->places_count;
    search->places_count = before ? 2 * before_count : 1024;
    search->seen = must(calloc(search->places_count, sizeof *search->seen));
    for (uint32_t i = 0; i < before_count; i++)
        if (before[i].hash != 0)
            *place_of(search, before[i].hash, &before[i].config) = before[i];
    free(before);
}

/* True the first time. */
static bool remember(struct search *search, const struct config *config)
{
    if (2 * search->seen_count >= search->places_count)
        grow(search);
    const uint64_t hash = hash_of(config);
    struct place *place = place_of(search, hash, config);
    if (place->hash != 0)
        return false;
    *place = (struct place){ hash, *config };
    search->seen_count++;
    return true;
}

static void push(struct search *search, const struct config *config)
{
    uint32_t done = 0;
    for (uint32_t track = 0; track < TRACKS_MAX; track++)
        done += config->done[track];
    if (done > search->farthest_done || search->depth == 0) {
        search->farthest_done = done;
        search->farthest = *config;
    }
    search->frames[search->depth++] = (struct frame){ *config, 0 };
}

/* Makes one choice from a configuration: false if it is none. */
static bool step(const struct search *search, const struct frame *frame, struct config *ret_config)
{
    const uint32_t track = frame->choice / 2;
    const bool left_out = frame->choice % 2;
    const struct operation *next = next_of(search, &frame->config, track);
    if (!next || next->called > first_return(search, &frame->config) ||
        (left_out && next->returned != 0))
        return false;
    *ret_config = frame->config;
    ret_config->done[track]++;
    return left_out || next->result == BUSY ||
           search->history->model->apply(search->history->size, &ret_config->state, next);
}

static enum verdict run(struct search *search)
{
    while (search->depth > 0) {
        struct frame *frame = &search->frames[search->depth - 1];
        struct config next;
        if (frame->choice == 0 && first_return(search, &frame->config) == UINT64_MAX)
            return RIGHT;
        if (search->seen_count == CONFIGS_MAX)
            return UNDECIDED;
        const bool possible = frame->choice < 2 * TRACKS_MAX && step(search, frame, &next);
        if (frame->choice++ >= 2 * TRACKS_MAX)
            search->depth--;
        else if (possible && remember(search, &next))
            push(search, &next);
    }
    return WRONG;
}

static void start(struct search *search)
{
    const struct history *history = search->history;
    for (uint32_t i = history->count; i-- > 0;) {
        const uint32_t track = history->operations[i].track;
        search->first[track] = &history->operations[i];
        search->counts[track]++;
    }
    struct config config;
    memset(&config, 0, sizeof config);
    history->model->init(history->size, &config.state);
    push(search, &config);
}

/* Where the best attempt stood: there, no next operation can have answered what it did. */
static void explain(const struct search *search, struct reason *ret_reason)
{
    FILE *file = fmemopen(ret_reason->text, sizeof ret_reason->text, "w");
    if (!file)
        return;
    fprintf(file, "no order explains it; at most the first");
    for (uint32_t track = 0; track < TRACKS_MAX; track++)
        if (search->counts[track] > 0)
            fprintf(file, " %u of %u", search->farthest.done[track], track);
    fprintf(file, ", and then ");
    search->history->model->print(&search->farthest.state, file);
    fclose(file);
}

enum verdict check_by_search(const struct history *history, struct reason *ret_reason)
{
    struct search search = { .history = history };
    search.frames = must(calloc((size_t)history->count + 1, sizeof *search.frames));
    start(&search);
    const enum verdict verdict = run(&search);
    if (verdict == WRONG)
        explain(&search, ret_reason);
    free(search.frames);
    free(search.seen);
    return verdict;
}
