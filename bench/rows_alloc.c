#include "rows_alloc.h"

#include "alone.h"
#include "day.h"
#include "heap.h"
#include "stream.h"
#include "rows.h"

#include <stdio.h>

#define BATCH 64
#define STRIDE 37 /* has no divisor in common with the batch: every block is freed once */
#define OPERATIONS 2000000
#define OPERATIONS_QUICK 400000

/* ---- alone */

struct subject {
    const struct heap_kind *kind;
    size_t size;
    void (*repeat)(void *what, uint64_t count);
    struct heap heap; /* loaded where it is measured */
};

static void in_turn(void *what, uint64_t count)
{
    const struct subject subject = *(const struct subject *)what;

    for (uint64_t i = 0; i < count; i++)
        subject.heap.free(subject.heap.alloc(subject.size));
}

static void in_batches(void *what, uint64_t count)
{
    const struct subject subject = *(const struct subject *)what;
    void *blocks[BATCH];

    for (uint64_t done = 0; done < count; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            blocks[i] = subject.heap.alloc(subject.size);
        for (size_t i = 0; i < BATCH; i++)
            subject.heap.free(blocks[i * STRIDE % BATCH]);
    }
}

static double measure_subject(void *what)
{
    struct subject *subject = what;

    heap_load(subject->kind, true, &subject->heap);
    return alone_ns(subject->repeat, subject);
}

static int measure_alone(const struct row *row, const struct heap_kind *kind,
                         void (*repeat)(void *what, uint64_t count), double *ret_ns)
{
    const struct stream_message *message = row->more;
    struct subject subject = { .kind = kind, .size = message->room, .repeat = repeat };
    const struct alone alone = { kind->by_shoal, measure_subject, &subject };
    int status = heap_find(kind);

    return status < 0 ? status : alone_run(&alone, ret_ns);
}

static int measure_in_turn(const struct row *row, const void *what, bool quick,
                           struct row_value *ret_value)
{
    (void)quick;
    return measure_alone(row, what, in_turn, &ret_value->value);
}

static int measure_in_batches(const struct row *row, const void *what, bool quick,
                              struct row_value *ret_value)
{
    (void)quick;
    return measure_alone(row, what, in_batches, &ret_value->value);
}

/* ---- a day */

static int measure_day(const struct row *row, const void *what, bool quick,
                       struct row_value *ret_value)
{
    (void)row;
    return day_run(what, quick ? OPERATIONS_QUICK : OPERATIONS, &ret_value->value);
}

/* ---- the rows */

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define LIST(list) .contenders = (list), .count = COUNT(list)

/*
 * In each list, those that are there with --quick come first: shoal and the two best rivals. Of
 * shoal, processes pass payloads through a queue, as only a queue makes them another process's;
 * its threads, like the rivals', through the simplest ring.
 */
static const struct contender heaps[] = {
    { "shoal", OURS, &heap_shoal },
    { "jemalloc", RIVAL, &heap_jemalloc },
    { "glibc", RIVAL, &heap_glibc },
    { "mimalloc", RIVAL, &heap_mimalloc },
    { "boost shared memory", RIVAL, &heap_boost },
};
static const struct contender across[] = {
    { "shoal", OURS, &transport_shoal },        { "mimalloc", RIVAL, &transport_mimalloc },
    { "jemalloc", RIVAL, &transport_jemalloc }, { "shoal threads", OURS, &transport_shoal_threads },
    { "glibc", RIVAL, &transport_glibc },       { "boost shared memory", RIVAL, &transport_boost },
};
static const struct contender days[] = {
    { "shoal", OURS, &heap_shoal },
    { "glibc", RIVAL, &heap_glibc },
    { "jemalloc", RIVAL, &heap_jemalloc },
    { "mimalloc", RIVAL, &heap_mimalloc },
};

/* Each for every size, which completes its name. */
static const struct group {
    struct row row;
    size_t touched; /* bytes of each block that are written and read, at most */
} groups[] = {
    { { .name = "alloc+free in turn",
        .unit = "ns",
        .less_is_better = true,
        LIST(heaps),
        .quick_count = 3,
        .measure = measure_in_turn },
      0 },
    { { .name = "alloc 64, then free 64 in another order",
        .unit = "ns",
        .less_is_better = true,
        LIST(heaps),
        .quick_count = 3,
        .measure = measure_in_batches },
      0 },
    { { .name = "alloc on CPU 0, free on CPU 1",
        .unit = "op/s",
        LIST(across),
        .quick_count = 3,
        .measure = stream_measure },
      8 /* which message it is */ },
    { { .name = "stream alloc to free",
        .unit = "msg/s",
        LIST(across),
        .quick_count = 3,
        .measure = stream_measure },
      SIZE_MAX },
};

static const struct {
    const char *name;
    size_t bytes;
} sizes[] = {
    { "64 B", 64 },
    { "1 KiB", 1024 },
    { "64 KiB", 65536 },
};

static const struct row day = { .name =
                                    "fragmentation over a day, most memory / most alive (ratio)",
                                .unit = "ratio",
                                .less_is_better = true,
                                LIST(days),
                                .quick_count = 3,
                                .measure = measure_day };

static int run_group(const struct group *group, bool quick, bool rows)
{
    int status = 0;

    for (size_t i = 0; i < COUNT(sizes) && status == 0; i++) {
        size_t bytes = sizes[i].bytes;
        const struct stream_message message = { .size = bytes < group->touched ? bytes
                                                                               : group->touched,
                                                .room = bytes };
        struct row row = group->row;
        char name[96];

        snprintf(name, sizeof(name), "%s, %s (%s)", row.name, sizes[i].name, row.unit);
        row.name = name;
        row.more = &message;
        status = row_run(&row, quick, rows);
    }
    return status;
}

int rows_alloc_run(bool quick, bool rows)
{
    int status = 0;

    for (size_t i = 0; i < COUNT(groups) && status == 0; i++)
        status = run_group(&groups[i], quick, rows);
    return status == 0 ? row_run(&day, quick, rows) : status;
}
