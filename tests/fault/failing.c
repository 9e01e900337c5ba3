#include "failing.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "mem/alloc.h"
#include "mem/object.h"
#include "mem/runs.h"
#include "mem/peer_shm.h"
#include "refusals.h"

enum { USES_MAX = 200, UNTOUCHED = 0x77 };

union output output;

/* --- what there is -------------------------------------------------------------------------- */

enum {
    UNFINISHED,
    OBJECTS,
    PAYLOADS,
    LOST,
    FORGOTTEN,
    THREAD_SLOTS,
    PROCESS_SLOTS,
    DESCRIPTORS,
    MAPPINGS,
    ALLOCATIONS,
    THINGS_COUNT
};

static const char *const thing_names[THINGS_COUNT] = {
    [UNFINISHED] = "chunks and pages taken for nothing",
    [OBJECTS] = "bytes of objects",
    [PAYLOADS] = "bytes of payloads",
    [LOST] = "bytes lost",
    [FORGOTTEN] = "free blocks in no hands",
    [THREAD_SLOTS] = "slots of threads",
    [PROCESS_SLOTS] = "slots of processes",
    [DESCRIPTORS] = "descriptors",
    [MAPPINGS] = "mappings",
    [ALLOCATIONS] = "allocations",
};

struct census {
    int counts[THINGS_COUNT];
};

/* Blocks that name this thread, but which it does not know of. */
static int forgotten_of(const struct shl_segment *segment, const struct shl_attachment *self)
{
    int count = 0;
    struct shl_run run;
    for (uint32_t i = 0; i < CLASSES_COUNT; i++)
        count -= (int)self->caches[i].count;
    for (uint64_t page = 0; page < shl_page_number(shl_chunks_end(segment), 0); page++) {
        if (page_word_kind(shl_page_word(segment, page * PAGE_SIZE_SHM)) != PAGE_RUN ||
            !shl_run_find(segment, page, &run))
            continue;
        for (uint32_t i = 0; i < shl_sizes[run.size_class].blocks; i++) {
            const uint64_t own = atom_load_relaxed(&shl_run_block(&run, i)->own);
            count += block_own_state(own) == BLOCK_FREE && block_own_owner(own) == self->owner;
        }
    }
    return count;
}

static void count_memory(const struct shl_segment *segment, struct census *census)
{
    for (uint64_t at = 0; at < segment->size; at += CHUNK_SIZE) {
        const enum chunk_kind kind = chunk_word_kind(shl_chunk_word(segment, at));
        census->counts[UNFINISHED] += kind == CHUNK_TAKEN;
        for (uint64_t page = at; kind == CHUNK_PAGES && page < at + CHUNK_SIZE;
             page += PAGE_SIZE_SHM)
            census->counts[UNFINISHED] += page_word_kind(shl_page_word(segment, page)) ==
                                          PAGE_TAKEN;
    }
    shoal_audit audit;
    shoal_segment_audit((shoal_segment){ shl_ref_make(segment->id, 1, 0) }, &audit);
    census->counts[OBJECTS] += (int)audit.objects;
    census->counts[PAYLOADS] += (int)(audit.owned + audit.queued);
    census->counts[LOST] += (int)(audit.lost + audit.damaged);
    const struct shl_attachment *self = shl_self_attached(segment);
    census->counts[FORGOTTEN] += self ? forgotten_of(segment, self) : 0;
}

static void count_slots(const struct shl_segment *segment, struct census *census)
{
    struct peer_shm *peers = shl_at(segment, SEGMENT_PEERS_AT);
    for (uint32_t i = 0; i < 2 * PEERS_MAX; i++)
        census->counts[i < PEERS_MAX ? THREAD_SLOTS : PROCESS_SLOTS] +=
            (atom_load_relaxed(&peers[i].word) & 0xffff) == PEER_LIVE;
}

static struct census take_census(void)
{
    struct census census = { 0 };
    for (size_t i = 0; i < SHL_SEGMENTS_MAX; i++) {
        if (!shl_segment_attached(&shl_segments[i]))
            continue;
        count_memory(&shl_segments[i], &census);
        count_slots(&shl_segments[i], &census);
    }
    census.counts[DESCRIPTORS] = (int)harness_fds_count();
    census.counts[MAPPINGS] = mappings_balance();
    census.counts[ALLOCATIONS] = heap_balance();
    return census;
}

/* --- one failure, in a process of its own --------------------------------------------------- */

struct attempt {
    const struct operation *operation;
    struct refusal_plan plan;
    struct census *expected; /* shared; written when nothing is refused */
    char *verdict;           /* shared; empty: all is right */
};

enum { VERDICT_SIZE = 2048 };

__attribute__((format(printf, 2, 3))) static int wrong(const struct attempt *attempt,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(attempt->verdict, VERDICT_SIZE, format, arguments);
    va_end(arguments);
    return 1;
}

static bool came(const struct refusal_plan *plan)
{
    return plan->refusal && refusal_uses(plan->refusal, plan->place) >= plan->at;
}

/* Who fails anyway does not hear how its child fares. */
static int code_is_right(const struct attempt *attempt, int code)
{
    const struct refusal *refusal = attempt->plan.refusal;
    const int normal = attempt->operation->code;
    const bool heard = normal == 0 || attempt->plan.place == IN_CALLER;
    const bool applies = came(&attempt->plan) && heard;
    const int expected = applies && refusal->code < 0 ? refusal->code : normal;
    const bool other = applies && refusal->other_code < 0 && code == refusal->other_code;
    if (code != expected && !other)
        return wrong(attempt, "answers %d (%s), not %d; last message: %s", code,
                     shoal_strerror(code), expected, shoal_error_message());
    return 0;
}

static int failure_is_clean(const struct attempt *attempt, int code)
{
    union output untouched;
    memset(&untouched, UNTOUCHED, sizeof untouched);
    if (!harness_code_listed(code))
        return wrong(attempt, "answers %d, which is not listed", code);
    if (shl_error_last() != code || !shoal_error_message()[0])
        return wrong(attempt, "answers %d without its message", code);
    if (memcmp(&output, &untouched, sizeof output) != 0)
        return wrong(attempt, "fails, but has touched its output");
    code = attempt->operation->run();
    if (code != attempt->operation->code)
        return wrong(attempt, "is not usable after a failure: %d (%s)", code,
                     shoal_error_message());
    return 0;
}

static int runs(const struct attempt *attempt)
{
    const struct operation *operation = attempt->operation;
    memset(&output, UNTOUCHED, sizeof output);
    shl_error_set(0, "");
    refusals_begin(&attempt->plan);
    const int code = operation->run();
    refusals_end();
    int result = code_is_right(attempt, code);
    if (result == 0 && code < 0)
        result = failure_is_clean(attempt, code);
    if (result != 0)
        return result;
    if (operation->undo)
        operation->undo();
    if (operation->once)
        return 0;
    if (operation->run() != operation->code)
        return wrong(attempt, "does not succeed again: %s", shoal_error_message());
    if (operation->undo)
        operation->undo();
    return 0;
}

static struct harness_baseline baseline;

static int nothing_is_left(const struct attempt *attempt)
{
    char text[1024];
    const struct census census = take_census();
    if (!attempt->plan.refusal)
        *attempt->expected = census;
    for (int i = 0; i < THINGS_COUNT; i++)
        if (census.counts[i] != attempt->expected->counts[i])
            return wrong(attempt, "leaves %d %s, not %d", census.counts[i], thing_names[i],
                         attempt->expected->counts[i]);
    /* Files are judged once, at the end of the test: others make some all the time. */
    if (harness_leaks(&baseline, text, sizeof text) & ~(unsigned)HARNESS_LEAK_FILE)
        return wrong(attempt, "leaves behind:%s", text);
    return 0;
}

static int one_failure(void *argument)
{
    const struct attempt *attempt = argument;
    if (!attempt->operation->inherited)
        harness_baseline_take(&baseline);
    if (attempt->operation->prepare)
        attempt->operation->prepare();
    if (runs(attempt) != 0)
        return 1;
    if (attempt->operation->finish)
        attempt->operation->finish();
    return nothing_is_left(attempt);
}

static int in_heir(void *argument)
{
    const struct attempt *attempt = argument;
    harness_baseline_take(&baseline);
    attempt->operation->inherited();
    return harness_wait(harness_child(one_failure, argument));
}

/* --- every failure -------------------------------------------------------------------------- */

static struct attempt attempt_new(const struct operation *operation)
{
    static void *shared;
    if (!shared)
        shared = harness_shared(sizeof(struct census) + VERDICT_SIZE);
    return (struct attempt){ .operation = operation,
                             .expected = shared,
                             .verdict = (char *)shared + sizeof(struct census) };
}

/* False if something is wrong. */
static bool attempt_runs(struct attempt *attempt)
{
    attempt->verdict[0] = 0;
    refusals_reset();
    const int status = harness_wait(
        harness_child(attempt->operation->inherited ? in_heir : one_failure, attempt));
    if (status != 0 && !attempt->verdict[0])
        wrong(attempt, "ends with status %d", status);
    return status == 0;
}

/* The N-th use for N = 1, 2, …, until there are not as many. */
static bool survives(struct attempt *attempt)
{
    for (attempt->plan.at = 1; attempt->plan.at <= USES_MAX; attempt->plan.at++) {
        if (!attempt_runs(attempt))
            return false;
        if (!came(&attempt->plan))
            return true;
    }
    wrong(attempt, "does not come to an end");
    return false;
}

const char *first_problem(const struct operation *operation)
{
    static char text[VERDICT_SIZE + 256];
    bool used[PLACES_COUNT][REFUSALS_MAX];
    struct attempt attempt = attempt_new(operation);
    if (!attempt_runs(&attempt)) {
        snprintf(text, sizeof text, "%s: %s", operation->name, attempt.verdict);
        return text;
    }
    for (enum refused_place place = 0; place < PLACES_COUNT; place++)
        for (size_t i = 0; refusals[i].function; i++)
            used[place][i] = refusal_uses(&refusals[i], place) > 0;
    for (enum refused_place place = 0; place < PLACES_COUNT; place++)
        for (size_t i = 0; refusals[i].function; i++) {
            attempt.plan = (struct refusal_plan){ &refusals[i], place, 0 };
            if (!used[place][i] || survives(&attempt))
                continue;
            snprintf(text, sizeof text, "%s, with %s failing (%s) at use %u%s: %s", operation->name,
                     refusals[i].function, strerror(refusals[i].error), attempt.plan.at,
                     place == IN_CHILD ? " in the child" : "", attempt.verdict);
            return text;
        }
    return "";
}

void survive(const struct operation *operations, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *problem = first_problem(&operations[i]);
        cr_assert(!problem[0], "%s", problem);
    }
}

void add_uses(const struct operation *operation, unsigned *sums)
{
    struct attempt attempt = attempt_new(operation);
    attempt_runs(&attempt);
    for (size_t i = 0; refusals[i].function; i++)
        for (enum refused_place place = 0; place < PLACES_COUNT; place++)
            sums[i] += refusal_uses(&refusals[i], place);
}

/* --- for operations ------------------------------------------------------------------------- */

int code_of(bool succeeded)
{
    return succeeded ? 0 : shl_error_code();
}

void answer_give(struct answer *answer, int code)
{
    snprintf(answer->message, sizeof answer->message, "%s", shoal_error_message());
    answer->code = code;
}

int answer_take(const struct answer *answer)
{
    return answer->code < 0 ? shl_errorf(answer->code, "%s", answer->message) : answer->code;
}
