#include "states.h"

#include <string.h>

#include "base/check.h"
#include "image.h"
#include "step.h"

enum { ARRIVALS_MAX = 1 << 14 };

/* How often the survey has come to each instruction. */
static struct {
    uint64_t instruction;
    unsigned count;
} arrivals[ARRIVALS_MAX];
static unsigned arrivals_count;

/* Where the survey is, and whether that is in the list already. */
static struct state here;
static bool is_listed;

static uint64_t combine(uint64_t a, uint64_t b)
{
    a = (a ^ b) * UINT64_C(0x9e3779b97f4a7c15);
    return a ^ (a >> 32);
}

/* The list cannot be read of one who sleeps: it is as it was when it fell asleep. */
static uint64_t content_of(const struct trace *trace, bool asleep)
{
    uint64_t robust[2] = { 1, 1 };
    if (!asleep)
        trace_robust(trace, robust);
    uint64_t content = combine(combine(image_hash(), robust[0]), robust[1]);
    for (unsigned i = 0; i < BOARD_WORDS; i++)
        content = combine(content, board->words[i]);
    return content;
}

static unsigned arrive(uint64_t instruction)
{
    uint64_t place = combine(1, instruction) % ARRIVALS_MAX;
    while (arrivals[place].instruction != 0 && arrivals[place].instruction != instruction)
        place = (place + 1) % ARRIVALS_MAX;
    arrivals_count += arrivals[place].instruction == 0;
    CHECK(arrivals_count < ARRIVALS_MAX);
    arrivals[place].instruction = instruction;
    return ++arrivals[place].count;
}

void states_begin(void)
{
    memset(arrivals, 0, sizeof arrivals);
    arrivals_count = 0;
    is_listed = true;
}

static bool is_known(const struct states *states, uint64_t key)
{
    for (unsigned i = 0; i < states->count; i++)
        if (states->list[i].key == key)
            return true;
    return false;
}

static void append(struct states *states, const struct state *state)
{
    CHECK(states->count < STATES_MAX);
    states->list[states->count++] = *state;
}

void states_add(struct states *states, const struct trace *trace, bool asleep)
{
    const struct state before = here;
    const bool unchanged = trace->harmless && !asleep && !before.asleep && arrivals_count > 0;
    const uint64_t content = unchanged ? before.content : content_of(trace, asleep);
    const uint64_t key = combine(content, trace->syscalls);
    here = (struct state){ .key = key,
                           .content = content,
                           .instruction = trace->instruction,
                           .arrival = asleep ? here.arrival : arrive(trace->instruction),
                           .asleep = asleep,
                           .fresh = !is_known(states, key) };
    if (states->detail >= DETAIL_CHANGES && !is_listed && before.key != key)
        append(states, &before);
    is_listed = here.fresh || states->detail == DETAIL_INSTRUCTIONS;
    if (is_listed)
        append(states, &here);
}

bool state_is(const struct state *state, const struct trace *trace)
{
    return content_of(trace, state->asleep) == state->content;
}
