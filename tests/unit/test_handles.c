/*
 * Bad input, all functions at once: every public call that takes a handle is given none, stale and
 * wrong-type handles and random words. It answers a code of the closed list, the one its contract
 * names where that is one, and afterwards nothing has changed.
 */
#include "harness.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

TestSuite(handles, .timeout = 120);

enum kind { SEGMENT, PROCESS, QUEUE };

/* --- every call, in the shape "bits to code" ------------------------------------------------ */

static char marked;
#define marker ((void *)&marked)

static void *payload_mine; /* for put: it must stay the caller's */

static int call_detach(uint64_t bits)
{
    return shoal_segment_detach((shoal_segment){ bits });
}
static int call_segment_fd(uint64_t bits)
{
    return shoal_segment_fd((shoal_segment){ bits });
}
static int call_start(uint64_t bits)
{
    return shoal_process_start((shoal_process){ bits });
}
static int call_terminate(uint64_t bits)
{
    return shoal_process_terminate((shoal_process){ bits });
}
static int call_kill(uint64_t bits)
{
    return shoal_process_kill((shoal_process){ bits });
}
static int call_close(uint64_t bits)
{
    return shoal_process_close((shoal_process){ bits });
}
static int call_sentinel(uint64_t bits)
{
    return shoal_process_sentinel((shoal_process){ bits });
}
static int call_shutdown(uint64_t bits)
{
    return shoal_queue_shutdown((shoal_queue){ bits });
}
static int call_destroy(uint64_t bits)
{
    return shoal_queue_destroy((shoal_queue){ bits });
}

static int call_join(uint64_t bits)
{
    return shoal_process_join((shoal_process){ bits }, SHOAL_FOREVER);
}

static int call_join_all(uint64_t bits)
{
    const shoal_process processes[2] = { { bits }, { bits } };
    return shoal_process_join_all(processes, 2, SHOAL_FOREVER);
}

static int call_put(uint64_t bits)
{
    return shoal_queue_put((shoal_queue){ bits }, payload_mine, SHOAL_FOREVER);
}

static int call_put_bytes(uint64_t bits)
{
    return shoal_queue_put_bytes((shoal_queue){ bits }, "bytes", 6, SHOAL_FOREVER);
}

static int call_get(uint64_t bits)
{
    void *payload = marker;
    const int code = shoal_queue_get((shoal_queue){ bits }, &payload, SHOAL_FOREVER);
    return payload == marker || code == 0 ? code : INT_MAX;
}

static int call_queue_create(uint64_t bits)
{
    shoal_queue queue = { 77 };
    const shoal_queue_options options = { .segment = { bits }, .capacity_count = 1 };
    const int code = shoal_queue_create(&options, &queue);
    return queue.ref == 77 || code == 0 ? code : INT_MAX;
}

static const struct {
    const char *name;
    int (*function)(uint64_t bits);
    enum kind kind;
    int none, stale; /* what the contract says */
} calls[] = {
    { "segment_detach", call_detach, SEGMENT, -EINVAL, -ESTALE },
    { "segment_fd", call_segment_fd, SEGMENT, -EINVAL, -ESTALE },
    { "queue_create in a segment", call_queue_create, SEGMENT, 1, -ESTALE },
    { "process_start", call_start, PROCESS, -EINVAL, -ESTALE },
    { "process_join", call_join, PROCESS, -EINVAL, -ESTALE },
    { "process_join_all", call_join_all, PROCESS, -EINVAL, -ESTALE },
    { "process_terminate", call_terminate, PROCESS, -EINVAL, -ESTALE },
    { "process_kill", call_kill, PROCESS, -EINVAL, -ESTALE },
    { "process_close", call_close, PROCESS, 0, 0 },
    { "process_sentinel", call_sentinel, PROCESS, -EINVAL, -ESTALE },
    { "queue_put", call_put, QUEUE, -EINVAL, -ESTALE },
    { "queue_put_bytes", call_put_bytes, QUEUE, -EINVAL, -ESTALE },
    { "queue_get", call_get, QUEUE, -EINVAL, -ESTALE },
    { "queue_shutdown", call_shutdown, QUEUE, -EINVAL, -ESTALE },
    { "queue_destroy", call_destroy, QUEUE, 0, 0 },
};

/* Those that answer a value have one that says "no such thing". */
static bool values_say_no_process(uint64_t bits)
{
    const shoal_process process = { bits };
    return strcmp(shoal_process_name(process), "?") == 0 && shoal_process_pid(process) == 0 &&
           shoal_process_exitcode(process) == SHOAL_EXITCODE_NONE &&
           !shoal_process_is_alive(process);
}

static bool values_say_no_queue(uint64_t bits)
{
    const shoal_queue queue = { bits };
    return shoal_queue_qsize(queue) == 0 && shoal_queue_empty(queue) && !shoal_queue_full(queue);
}

/* --- the world that must not change --------------------------------------------------------- */

static struct world {
    shoal_segment segment, segment_left;
    shoal_process process, process_closed;
    shoal_queue queue, queue_destroyed;
    shoal_queue queue_inside; /* in `segment` */
    char *payload;
    unsigned fds, segments;
} world;

static void never(void *argument)
{
    (void)argument;
}

static void world_make(void)
{
    const shoal_process_options options = { .target = never, .name = "world" };
    assert_code(shoal_queue_create(&(shoal_queue_options){ .capacity_count = 2 }, &world.queue), 0);
    assert_code(shoal_queue_put_bytes(world.queue, "one", 4, SHOAL_NOW), 0);
    assert_code(shoal_queue_put_bytes(world.queue, "two", 4, SHOAL_NOW), 0);
    assert_code(shoal_queue_create(NULL, &world.queue_destroyed), 0);
    assert_code(shoal_queue_destroy(world.queue_destroyed), 0);
    assert_code(shoal_process_create(&options, &world.process), 0);
    assert_code(shoal_process_create(&options, &world.process_closed), 0);
    assert_code(shoal_process_close(world.process_closed), 0);
    assert_code(shoal_segment_create(NULL, &world.segment_left), 0);
    assert_code(shoal_segment_create(NULL, &world.segment), 0);
    assert_code(
        shoal_queue_create(&(shoal_queue_options){ .segment = world.segment }, &world.queue_inside),
        0);
    assert_code(shoal_segment_detach(world.segment_left), 0);
    world.payload = shoal_alloc(10);
    payload_mine = shoal_alloc(10);
    cr_assert(world.payload && payload_mine);
    memcpy(world.payload, "unchanged", 10);
    world.fds = harness_fds_count();
    world.segments = harness_segments_count();
}

static bool world_is_unchanged(void)
{
    return shoal_queue_qsize(world.queue) == 2 && shoal_queue_full(world.queue) &&
           strcmp(shoal_process_name(world.process), "world") == 0 &&
           shoal_process_pid(world.process) == 0 && !shoal_process_is_alive(world.process) &&
           shoal_segment_fd(world.segment) >= 0 && shoal_queue_empty(world.queue_inside) &&
           strcmp(world.payload, "unchanged") == 0 && shoal_size(world.payload) == 10 &&
           shoal_size(payload_mine) == 10;
}

static void world_end(void)
{
    void *payload = NULL;
    cr_assert(world_is_unchanged());
    cr_assert_eq(harness_fds_count(), world.fds);
    cr_assert_eq(harness_segments_count(), world.segments);
    assert_code(shoal_queue_get(world.queue, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "one");
    shoal_free(payload);
    assert_code(shoal_queue_get(world.queue, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "two");
    shoal_free(payload);
    assert_code(shoal_process_close(world.process), 0);
    assert_code(shoal_queue_destroy(world.queue), 0);
    assert_code(shoal_segment_detach(world.segment), 0);
    shoal_free(world.payload);
    shoal_free(payload_mine);
}

static bool is_live(uint64_t bits)
{
    const uint64_t live[] = {
        world.segment.ref,      world.process.ref,          world.queue.ref,
        world.queue_inside.ref, shoal_segment_family().ref, shoal_current_process().ref
    };
    for (size_t i = 0; i < COUNT_OF(live); i++)
        if (bits == live[i])
            return true;
    return bits == 0;
}

/* --- the table, gone through ---------------------------------------------------------------- */

Test(handles, none_is_refused_by_all, .timeout = 120)
{
    world_make();
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        if (calls[i].none <= 0)
            cr_assert_eq(calls[i].function(0), calls[i].none, "%s", calls[i].name);
        cr_assert(world_is_unchanged(), "%s", calls[i].name);
    }
    cr_assert(values_say_no_process(0) && values_say_no_queue(0));
    cr_assert(SHOAL_IS_NONE(shoal_segment_of((shoal_any){ 0 })));
    assert_code(shoal_process_join_all(NULL, 0, SHOAL_NOW), 0);
    assert_code(shoal_process_join_all(NULL, 1, SHOAL_NOW), -EINVAL);
    world_end();
}

Test(handles, stale_is_told_by_all, .timeout = 120)
{
    world_make();
    const uint64_t stale[] = { [SEGMENT] = world.segment_left.ref,
                               [PROCESS] = world.process_closed.ref,
                               [QUEUE] = world.queue_destroyed.ref };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        const int code = calls[i].function(stale[calls[i].kind]);
        cr_assert_eq(code, calls[i].stale, "%s: %s", calls[i].name, shoal_strerror(code));
        cr_assert(world_is_unchanged(), "%s", calls[i].name);
    }
    cr_assert(values_say_no_process(stale[PROCESS]) && values_say_no_queue(stale[QUEUE]));
    world_end();
}

Test(handles, wrong_type_is_refused_by_all, .timeout = 120)
{
    world_make();
    const uint64_t live[] = {
        [SEGMENT] = world.segment.ref, [PROCESS] = world.process.ref, [QUEUE] = world.queue.ref
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        for (enum kind kind = SEGMENT; kind <= QUEUE; kind++) {
            if (kind == calls[i].kind)
                continue;
            const int code = calls[i].function(live[kind]);
            cr_assert(code == -EINVAL || (calls[i].kind == SEGMENT && code == -ESTALE),
                      "%s with kind %d: %s", calls[i].name, (int)kind, shoal_strerror(code));
            cr_assert(world_is_unchanged(), "%s", calls[i].name);
        }
    for (enum kind kind = SEGMENT; kind <= QUEUE; kind++) {
        cr_assert(kind == PROCESS || values_say_no_process(live[kind]));
        cr_assert(kind == QUEUE || values_say_no_queue(live[kind]));
    }
    cr_assert_null(shoal_alloc_in((shoal_segment){ world.queue.ref }, 10));
    cr_assert_null(shoal_alloc_in((shoal_segment){ world.process.ref }, 10));
    world_end();
}

Test(handles, payload_references_are_no_handles, .timeout = 120)
{
    world_make();
    const uint64_t bits = shoal_ref_of(world.payload).ref;
    memset(world.payload, 0xff, 10);
    memcpy(world.payload, "unchanged", 10);
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        const int code = calls[i].function(bits);
        cr_assert(harness_code_listed(code), "%s: %d", calls[i].name, code);
        cr_assert(code < 0 || calls[i].stale == 0, "%s took a payload", calls[i].name);
        cr_assert(world_is_unchanged(), "%s", calls[i].name);
    }
    world_end();
}

static void garbage_is_refused(uint64_t bits)
{
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        const int code = calls[i].function(bits);
        cr_assert(harness_code_listed(code), "%s(%#llx): %d", calls[i].name,
                  (unsigned long long)bits, code);
        cr_assert(code < 0 || calls[i].stale == 0, "%s took %#llx", calls[i].name,
                  (unsigned long long)bits);
    }
    cr_assert(values_say_no_process(bits) && values_say_no_queue(bits), "%#llx",
              (unsigned long long)bits);
    cr_assert_neq(shoal_deref((shoal_ref){ bits }), (void *)world.payload);
    cr_assert_null(shoal_alloc_in((shoal_segment){ bits }, 1), "%#llx", (unsigned long long)bits);
}

Test(handles, random_words_are_refused_by_all, .timeout = 120)
{
    world_make();
    uint64_t state = harness_seed("random_words_are_refused_by_all");
    for (int i = 0; i < 20000; i++) {
        const uint64_t bits = harness_random(&state);
        if (!is_live(bits))
            garbage_is_refused(bits);
    }
    world_end();
}

/* Words that look right: live handles with some bits changed, or another place in the segment. */
Test(handles, words_near_live_handles_are_refused_by_all, .timeout = 120)
{
    world_make();
    uint64_t state = harness_seed("words_near_live_handles_are_refused_by_all");
    const uint64_t live[] = { world.segment.ref, world.process.ref, world.queue.ref,
                              world.queue_inside.ref };
    const uint64_t mine = shoal_ref_of(payload_mine).ref, kept = shoal_ref_of(world.payload).ref;
    for (size_t i = 0; i < COUNT_OF(live); i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            const uint64_t bits = live[i] ^ UINT64_C(1) << bit;
            if (!is_live(bits) && bits != mine && bits != kept)
                garbage_is_refused(bits);
        }
        for (int round = 0; round < 5000; round++) {
            const uint64_t place = harness_random(&state) % (UINT64_C(1) << (4 + round % 33));
            const uint64_t bits = (live[i] & ~((UINT64_C(1) << 36) - 1)) | place;
            if (!is_live(bits) && bits != mine && bits != kept)
                garbage_is_refused(bits);
        }
    }
    world_end();
}

/* --- other arguments ------------------------------------------------------------------------ */

Test(handles, outputs_that_are_null_are_refused, .timeout = 120)
{
    const shoal_process_options options = { .target = never };
    world_make();
    assert_code(shoal_segment_create(NULL, NULL), -EINVAL);
    assert_code(shoal_segment_attach_fd(shoal_segment_fd(world.segment), NULL), -EINVAL);
    assert_code(shoal_queue_create(NULL, NULL), -EINVAL);
    assert_code(shoal_queue_get(world.queue, NULL, SHOAL_NOW), -EINVAL);
    assert_code(shoal_process_create(&options, NULL), -EINVAL);
    assert_code(shoal_process_start_new(&options, NULL), -EINVAL);
    world_end();
}

Test(handles, absurd_process_options_are_refused, .timeout = 120)
{
    world_make();
    static char argument[SHOAL_PROCESS_ARGUMENT_MAX + 1];
    char name[SHOAL_PROCESS_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    const struct {
        shoal_process_options options;
        int code;
    } bad[] = {
        { { .target = NULL }, -EINVAL },
        { { .target = never, .argument = argument }, -EINVAL },
        { { .target = never, .argument_size = 1 }, -EINVAL },
        { { .target = never, .argument = argument, .argument_size = sizeof argument }, -EMSGSIZE },
        { { .target = never, .argument = argument, .argument_size = SIZE_MAX }, -EMSGSIZE },
        { { .target = never, .name = name }, -EMSGSIZE },
        { { .target = never, .start_method = SHOAL_START_SPAWN }, -ENOTSUP },
        { { .target = never, .start_method = SHOAL_START_FORKSERVER }, -ENOTSUP },
        { { .target = never, .start_method = (enum shoal_start_method)77 }, -EINVAL },
        { { .target = never, .reserved = { 1 } }, -EINVAL },
        { { .target = never, .reserved = { 0, 0, 0, 0, 1 } }, -EINVAL },
        { { .target = never, .fds_count = 1 }, -EINVAL },
        { { .target = never, .fds = (const int[]){ 99999 }, .fds_count = 1 }, -EINVAL },
        { { .target = never, .fds_count = SHOAL_PROCESS_FDS_MAX + 1 }, -EMSGSIZE },
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        shoal_process process = { 77 };
        int code = shoal_process_create(&bad[i].options, &process);
        cr_assert_eq(code, bad[i].code, "row %zu: %s", i, shoal_strerror(code));
        code = shoal_process_start_new(&bad[i].options, &process);
        cr_assert_eq(code, bad[i].code, "row %zu: %s", i, shoal_strerror(code));
        cr_assert_eq(process.ref, 77, "a failure wrote its output");
    }
    shoal_process process = { 77 };
    assert_code(shoal_process_create(NULL, &process), -EINVAL);
    assert_code(shoal_process_start_new(NULL, &process), -EINVAL);
    world_end();
}

Test(handles, largest_name_and_argument_are_accepted, .timeout = 120)
{
    static char argument[SHOAL_PROCESS_ARGUMENT_MAX];
    char name[SHOAL_PROCESS_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    shoal_process process;
    const shoal_process_options options = {
        .target = never, .name = name, .argument = argument, .argument_size = sizeof argument
    };
    assert_code(shoal_process_create(&options, &process), 0);
    cr_assert_str_eq(shoal_process_name(process), name);
    assert_code(shoal_process_close(process), 0);
}

Test(handles, processes_created_and_closed_leak_nothing, .timeout = 120)
{
    static char argument[10000];
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .size_max = 8 << 20 }), 0);
    const shoal_process_options options = { .target = never,
                                            .argument = argument,
                                            .argument_size = sizeof argument };
    for (int i = 0; i < 10000; i++) {
        shoal_process process;
        assert_code(shoal_process_create(&options, &process), 0);
        assert_code(shoal_process_close(process), 0);
    }
}
