#include "rows_growth.h"

#include "alone.h"
#include "crew.h"
#include "heap.h"
#include "measure.h"
#include "rows.h"
#include "stream.h"
#include "transport.h"

#include <errno.h>
#include <shoal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PEERS_MAX 1000
#define ROUNDS_OF_PEERS 3 /* starting a thousand processes takes a second */
#define BLOCK_SIZE 64
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* ---- messages that wait */

struct waiting {
    const struct transport *transport;
    struct channel channel;
    size_t count;
};

static void pass_one(struct waiting *waiting, bool send)
{
    uint64_t message = 1;
    int status = send ? waiting->transport->send(&waiting->channel, &message)
                      : waiting->transport->recv(&waiting->channel, &message);

    if (status < 0)
        crew_member_fail("%s: %s", waiting->transport->name, strerror(-status));
}

static void send_and_receive(void *what, uint64_t count)
{
    while (count-- > 0) {
        pass_one(what, true);
        pass_one(what, false);
    }
}

static double measure_full(void *what)
{
    struct waiting *waiting = what;

    for (size_t i = 0; i < waiting->count; i++)
        pass_one(waiting, true);
    return alone_ns(send_and_receive, waiting);
}

static int measure_waiting(const struct row *row, const void *what, bool quick,
                           struct row_value *ret_value)
{
    const size_t count = *(const size_t *)row->more;
    struct waiting waiting = { .transport = what,
                               .channel = { .size = 8, .room = 8, .bulk = 1 },
                               .count = count };
    const struct alone alone = { waiting.transport->by_shoal, measure_full, &waiting };
    int status;

    (void)quick;
    if (2 * count > MESSAGES_IN_FLIGHT)
        waiting.channel.capacity = 2 * count;
    status = waiting.transport->open(&waiting.channel);
    if (status < 0)
        return status;
    status = alone_run(&alone, &ret_value->value);
    waiting.transport->close(&waiting.channel);
    return status;
}

/* ---- blocks that are alive */

struct living {
    const struct heap_kind *kind;
    size_t count;
    struct heap heap;
    uint64_t random;
    void **blocks;
};

static void replace_some(void *what, uint64_t count)
{
    struct living *living = what;

    while (count-- > 0) {
        void **block;

        living->random = living->random * 6364136223846793005u + 1442695040888963407u;
        block = &living->blocks[(living->random >> 33) % living->count];
        living->heap.free(*block);
        *block = living->heap.alloc(BLOCK_SIZE);
        if (*block == NULL)
            crew_member_fail("%s: no memory", living->kind->name);
    }
}

static double measure_alive(void *what)
{
    struct living *living = what;

    heap_load(living->kind, true, &living->heap);
    living->blocks = mmap(NULL, living->count * sizeof(void *), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (living->blocks == MAP_FAILED)
        crew_member_fail("no memory for the list of blocks");
    for (size_t i = 0; i < living->count; i++)
        living->blocks[i] = living->heap.alloc(BLOCK_SIZE);
    replace_some(living, 2 * living->count); /* their order is no longer that of their making */
    return alone_ns(replace_some, living);
}

static int measure_living(const struct row *row, const void *what, bool quick,
                          struct row_value *ret_value)
{
    struct living living = { .kind = what, .count = *(const size_t *)row->more, .random = 1 };
    const struct alone alone = { living.kind->by_shoal, measure_alive, &living };
    int status = heap_find(living.kind);

    (void)quick;
    return status < 0 ? status : alone_run(&alone, &ret_value->value);
}

/* ---- processes that are attached, and sleep */

struct crowd {
    shoal_queue arrived;
    shoal_queue idle; /* nothing ever comes: they sleep until it is shut down */
};

struct deed {
    void (*repeat)(void *what, uint64_t count); /* NULL: start and join */
    shoal_queue queue;
    shoal_lock lock;
};

static void put_and_get(void *what, uint64_t count)
{
    const struct deed *deed = what;
    uint64_t value = 1;

    while (count-- > 0)
        if (shoal_queue_put_value(deed->queue, &value, sizeof(value), SHOAL_FOREVER) < 0 ||
            shoal_queue_get_value(deed->queue, &value, sizeof(value), SHOAL_FOREVER) < 0)
            crew_member_fail("%s", shoal_error_message());
}

static void lock_and_unlock(void *what, uint64_t count)
{
    const struct deed *deed = what;

    while (count-- > 0)
        if (shoal_lock_acquire(deed->lock, SHOAL_FOREVER) < 0 || shoal_lock_release(deed->lock) < 0)
            crew_member_fail("%s", shoal_error_message());
}

static void alloc_and_free(void *what, uint64_t count)
{
    (void)what;
    while (count-- > 0)
        shoal_free(shoal_alloc(BLOCK_SIZE));
}

static void nothing(void *unused)
{
    (void)unused;
}

static void start_and_join(void)
{
    const shoal_process_options options = { .target = nothing, .start_method = SHOAL_START_FORK };
    shoal_process process;

    if (shoal_process_start_new(&options, &process) < 0 ||
        shoal_process_join(process, SHOAL_FOREVER) < 0)
        crew_member_fail("%s", shoal_error_message());
    shoal_process_close(process);
}

#define STARTS 31

static double measure_starts(void)
{
    double samples[STARTS];

    for (size_t i = 0; i < STARTS; i++) {
        uint64_t began = clock_wall_ns();

        start_and_join();
        samples[i] = (double)(clock_wall_ns() - began);
    }
    return median_of(samples, STARTS);
}

static double measure_deed(void *what)
{
    const struct deed *deed = what;

    return deed->repeat == NULL ? measure_starts() : alone_ns(deed->repeat, what);
}

static void be_there(void *argument)
{
    const struct crowd *crowd = argument;
    uint64_t value = 0;

    if (shoal_queue_put_value(crowd->arrived, &value, sizeof(value), SHOAL_FOREVER) < 0 ||
        shoal_queue_get_value(crowd->idle, &value, sizeof(value), SHOAL_FOREVER) != -EPIPE)
        crew_member_fail("%s", shoal_error_message());
}

static size_t gather(const struct crowd *crowd, shoal_process *peers, size_t count)
{
    const shoal_process_options options = { .target = be_there,
                                            .argument = crowd,
                                            .argument_size = sizeof(*crowd),
                                            .start_method = SHOAL_START_FORK };
    uint64_t value;
    size_t there = 0;

    while (there < count && shoal_process_start_new(&options, &peers[there]) == 0 &&
           shoal_queue_get_value(crowd->arrived, &value, sizeof(value), shoal_after_s(10)) == 0)
        there++;
    if (there < count)
        fprintf(stderr, "shoal-bench: only %zu processes: %s\n", there, shoal_error_message());
    return there;
}

static void dismiss(const struct crowd *crowd, const shoal_process *peers, size_t count)
{
    shoal_queue_shutdown(crowd->idle);
    for (size_t i = 0; i < count; i++) {
        if (shoal_process_join(peers[i], SHOAL_FOREVER) < 0)
            fprintf(stderr, "shoal-bench: %s\n", shoal_error_message());
        shoal_process_close(peers[i]);
    }
}

/* @what: what is repeated, by one process more. */
static int measure_crowd(const struct row *row, const void *what, bool quick,
                         struct row_value *ret_value)
{
    static shoal_process peers[PEERS_MAX];
    const size_t count = *(const size_t *)row->more;
    const shoal_queue_options of_values = { .value_size = sizeof(uint64_t) };
    struct deed deed = *(const struct deed *)what;
    const struct alone alone = { true, measure_deed, &deed };
    struct crowd crowd = { 0 };
    int status = -EIO;
    size_t there;

    (void)quick;
    if (shoal_queue_create(&of_values, &crowd.arrived) < 0 ||
        shoal_queue_create(&of_values, &crowd.idle) < 0 ||
        shoal_queue_create(&of_values, &deed.queue) < 0 || shoal_lock_create(NULL, &deed.lock) < 0)
        return -ENOMEM;
    there = gather(&crowd, peers, count);
    if (there == count)
        status = alone_run(&alone, &ret_value->value);
    dismiss(&crowd, peers, there);
    shoal_queue_destroy(crowd.arrived);
    shoal_queue_destroy(crowd.idle);
    shoal_queue_destroy(deed.queue);
    shoal_lock_destroy(deed.lock);
    return status;
}

/* ---- the rows */

static const struct deed puts_and_gets = { .repeat = put_and_get };
static const struct deed locks = { .repeat = lock_and_unlock };
static const struct deed allocs = { .repeat = alloc_and_free };
static const struct deed starts = { .repeat = NULL };

static const struct contender queues[] = {
    { "shoal", OURS, &transport_shoal_values }, { "shoal payloads", OURS, &transport_shoal },
    { "shoal unbounded", OURS, &transport_shoal_unbounded },
    { "shoal bulk unbounded", OURS, &transport_shoal_bulk_unbounded },
    { "ck mpmc", RIVAL, &transport_ck_mpmc },   { "rte MP/MC", RIVAL, &transport_rte_mpmc },
    { "pipe", RIVAL, &transport_pipe },
};
static const struct contender heaps[] = {
    { "shoal", OURS, &heap_shoal },
    { "glibc", RIVAL, &heap_glibc },
    { "jemalloc", RIVAL, &heap_jemalloc },
    { "mimalloc", RIVAL, &heap_mimalloc },
};
static const struct contender deeds[] = {
    { "shoal put+get", OURS, &puts_and_gets },
    { "shoal lock+unlock", OURS, &locks },
    { "shoal alloc+free", OURS, &allocs },
    { "shoal start+join by fork", OURS, &starts },
};
static const struct contender crowded[] = {
    { "shoal", OURS, &transport_shoal_values },
    { "rte HTS", RIVAL, &transport_rte_hts },
    { "boost queue", RIVAL, &transport_boost_mpmc },
    { "pipe", RIVAL, &transport_pipe },
};

#define PIPE_HOLDS 100000 /* messages of 8 bytes; then nobody can put one more */

static int run_sizes(bool quick, bool rows)
{
    static const size_t sizes[] = { 10, 100, 1000, 10000, 100000, 1000000 };
    int status = 0;

    for (size_t i = 0; i < COUNT(sizes) && status == 0; i++) {
        const size_t fitting = COUNT(queues) - (sizes[i] > PIPE_HOLDS);
        char name[96];
        struct row row = { .name = name,
                           .unit = "ns",
                           .less_is_better = true,
                           .contenders = queues,
                           .count = fitting,
                           .measure = measure_waiting,
                           .more = &sizes[i] };

        snprintf(name, sizeof(name), "growth put+get, %zu waiting (ns)", sizes[i]);
        status = row_run(&row, quick, rows);
        if (status < 0)
            break;
        row.contenders = heaps;
        row.count = COUNT(heaps);
        row.measure = measure_living;
        snprintf(name, sizeof(name), "growth alloc+free 64 B, %zu alive (ns)", sizes[i]);
        status = row_run(&row, quick, rows);
    }
    return status;
}

static int run_peers(bool quick, bool rows)
{
    static const size_t counts[] = { 1, 10, 100, 1000 };
    int status = 0;

    for (size_t i = 0; i < COUNT(counts) && status == 0; i++) {
        char name[96];
        const struct row row = { .name = name,
                                 .unit = "ns",
                                 .less_is_better = true,
                                 .rounds = ROUNDS_OF_PEERS,
                                 .contenders = deeds,
                                 .count = COUNT(deeds),
                                 .measure = measure_crowd,
                                 .more = &counts[i] };

        snprintf(name, sizeof(name), "growth, %zu peers asleep (ns)", counts[i]);
        status = row_run(&row, quick, rows);
    }
    return status;
}

static int run_pairs(bool quick, bool rows)
{
    static const unsigned pairs[] = { 8, 16 };
    int status = 0;

    for (size_t i = 0; i < COUNT(pairs) && status == 0; i++) {
        const struct stream_message message = { .size = 8, .room = 8, .pairs = pairs[i] };
        char name[96];
        const struct row row = { .name = name,
                                 .unit = "msg/s",
                                 .contenders = crowded,
                                 .count = COUNT(crowded),
                                 .measure = stream_measure,
                                 .more = &message };

        snprintf(name, sizeof(name), "queue %uP%uC 8 B (msg/s)", pairs[i], pairs[i]);
        status = row_run(&row, quick, rows);
    }
    return status;
}

int rows_growth_run(bool quick, bool rows)
{
    if (run_sizes(quick, rows) < 0 || run_peers(quick, rows) < 0)
        return -1;
    return run_pairs(quick, rows);
}
