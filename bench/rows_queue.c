#include "rows_queue.h"

#include "rows.h"
#include "rtt.h"
#include "stream.h"

/*
 * To add a rival, write its transport and name it here. In each list, those that are there with
 * --quick come first: shoal and the two best rivals. Of shoal, values are copied into the queue,
 * payloads into blocks that it hands over.
 */
#define VALUES                                 \
    {                                          \
        "shoal", OURS, &transport_shoal_values \
    }
#define PAYLOADS                        \
    {                                   \
        "shoal", OURS, &transport_shoal \
    }
#define PAYLOADS_TOO                             \
    {                                            \
        "shoal payloads", OURS, &transport_shoal \
    }
#define SINGLE                                        \
    {                                                 \
        "shoal single", OURS, &transport_shoal_single \
    }
#define CK_SPSC                              \
    {                                        \
        "ck spsc", RIVAL, &transport_ck_spsc \
    }
#define CK_MPMC                              \
    {                                        \
        "ck mpmc", RIVAL, &transport_ck_mpmc \
    }
#define RTE_SPSC                                \
    {                                           \
        "rte SP/SC", RIVAL, &transport_rte_spsc \
    }
#define RTE_MPMC                                \
    {                                           \
        "rte MP/MC", RIVAL, &transport_rte_mpmc \
    }
#define RTE_HTS                              \
    {                                        \
        "rte HTS", RIVAL, &transport_rte_hts \
    }
#define BOOST_SPSC                                 \
    {                                              \
        "boost spsc", RIVAL, &transport_boost_spsc \
    }
#define BOOST_MPMC                                  \
    {                                               \
        "boost queue", RIVAL, &transport_boost_mpmc \
    }
#define PIPE                           \
    {                                  \
        "pipe", RIVAL, &transport_pipe \
    }
#define SOCKET                                           \
    {                                                    \
        "AF_UNIX seqpacket", RIVAL, &transport_seqpacket \
    }
#define MQ                               \
    {                                    \
        "POSIX mq", RIVAL, &transport_mq \
    }
#define CK_OUR_WAIT                                             \
    {                                                           \
        "ck mpmc, our wait", ASIDE, &transport_ck_mpmc_our_wait \
    }

static const struct contender values_of_two[] = {
    VALUES,   BOOST_SPSC, CK_SPSC,    SINGLE, PAYLOADS_TOO, RTE_SPSC, CK_MPMC,
    RTE_MPMC, RTE_HTS,    BOOST_MPMC, PIPE,   SOCKET,       MQ,       CK_OUR_WAIT,
};
static const struct contender bulk_of_two[] = {
    { "shoal", OURS, &transport_shoal_bulk }, RTE_SPSC, BOOST_SPSC, RTE_MPMC, RTE_HTS, PIPE,
};
static const struct contender records_of_two[] = {
    VALUES, BOOST_SPSC, CK_SPSC, PAYLOADS_TOO, RTE_SPSC, CK_MPMC, RTE_MPMC, PIPE, SOCKET, MQ,
};
static const struct contender blocks_of_two[] = {
    PAYLOADS, RTE_SPSC, BOOST_SPSC, CK_SPSC, CK_MPMC, PIPE, SOCKET, MQ,
};
static const struct contender handed_over[] = {
    PAYLOADS, RTE_SPSC, BOOST_SPSC, CK_SPSC, CK_MPMC, RTE_MPMC,
};
static const struct contender values_of_many[] = {
    VALUES, CK_MPMC, RTE_HTS, PAYLOADS_TOO, RTE_MPMC, BOOST_MPMC, PIPE, SOCKET, MQ, CK_OUR_WAIT,
};
static const struct contender bulk_of_many[] = {
    { "shoal", OURS, &transport_shoal_bulk },
    RTE_HTS,
    RTE_MPMC,
    PIPE,
};
static const struct contender records_of_many[] = {
    VALUES, RTE_HTS, BOOST_MPMC, PAYLOADS_TOO, CK_MPMC, RTE_MPMC, PIPE, SOCKET, MQ,
};
static const struct contender busy[] = {
    VALUES,       BOOST_SPSC, CK_SPSC, { "bare word", ASIDE, &transport_word },
    PAYLOADS_TOO, RTE_SPSC,   CK_MPMC, RTE_MPMC,
    RTE_HTS,      BOOST_MPMC, PIPE,
};
static const struct contender blocking[] = {
    VALUES, PIPE, MQ, { "bare futex", ASIDE, &transport_futex }, PAYLOADS_TOO, SOCKET,
};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))
#define LIST(list) (list), COUNT_OF(list)

static const struct {
    const char *name;
    struct stream_message message;
    const struct contender *contenders;
    size_t contenders_count;
    bool never_quick;
} streams[] = {
    { "queue 1P1C 8 B (msg/s)", { 8, 8, .pairs = 1 }, LIST(values_of_two), false },
    { "queue 1P1C 8 B, bulk 32 (msg/s)",
      { 8, 8, .pairs = 1, .bulk = 32 },
      LIST(bulk_of_two),
      false },
    { "queue 1P1C 8 B, capacity 64 (msg/s)",
      { 8, 8, .pairs = 1, .capacity = 64 },
      LIST(values_of_two),
      true },
    { "queue 1P1C 64 B (msg/s)", { 64, 64, .pairs = 1 }, LIST(records_of_two), false },
    { "queue 1P1C 1 KiB (msg/s)", { 1024, 1024, .pairs = 1 }, LIST(records_of_two), false },
    { "queue 1P1C 64 KiB (msg/s)", { 65536, 65536, .pairs = 1 }, LIST(blocks_of_two), false },
    { "queue 1P1C 1 MiB (msg/s)", { 1048576, 1048576, .pairs = 1 }, LIST(blocks_of_two), false },
    { "queue 1P1C 64 KiB, handed over uncopied (msg/s)",
      { 8, 65536, .pairs = 1 },
      LIST(handed_over),
      false },
    { "queue 2P2C 8 B (msg/s)", { 8, 8, .pairs = 2 }, LIST(values_of_many), false },
    { "queue 2P2C 8 B, bulk 32 (msg/s)",
      { 8, 8, .pairs = 2, .bulk = 32 },
      LIST(bulk_of_many),
      false },
    { "queue 2P2C 1 KiB (msg/s)", { 1024, 1024, .pairs = 2 }, LIST(records_of_many), false },
    { "queue 4P4C 8 B (msg/s)", { 8, 8, .pairs = 4 }, LIST(values_of_many), false },
    { "queue 4P4C 8 B, bulk 32 (msg/s)",
      { 8, 8, .pairs = 4, .bulk = 32 },
      LIST(bulk_of_many),
      false },
    { "queue 4P4C 1 KiB (msg/s)", { 1024, 1024, .pairs = 4 }, LIST(records_of_many), false },
};

static const struct {
    const char *name;
    enum rtt_way way;
    const struct contender *contenders;
    size_t contenders_count;
} latencies[] = {
    { "latency busy RTT 8 B p50 (ns)", RTT_BUSY, LIST(busy) },
    { "latency blocking RTT 8 B p50 (ns)", RTT_BLOCKING, LIST(blocking) },
    { "latency blocking RTT 8 B, both on one core p50 (ns)", RTT_ONE_CORE, LIST(blocking) },
    { "latency blocking RTT 8 B, sleep forced p50 (ns)", RTT_ASLEEP, LIST(blocking) },
};

#define QUICK_COUNT 3

int rows_queue_run(bool quick, bool rows)
{
    int status = 0;

    for (size_t i = 0; i < COUNT_OF(streams) && status == 0; i++) {
        const struct row row = { .name = streams[i].name,
                                 .unit = "msg/s",
                                 .contenders = streams[i].contenders,
                                 .count = streams[i].contenders_count,
                                 .quick_count = streams[i].never_quick ? 0 : QUICK_COUNT,
                                 .measure = stream_measure,
                                 .more = &streams[i].message };

        status = row_run(&row, quick, rows);
    }
    for (size_t i = 0; i < COUNT_OF(latencies) && status == 0; i++) {
        const struct row row = { .name = latencies[i].name,
                                 .unit = "ns",
                                 .less_is_better = true,
                                 .has_quantiles = true,
                                 .contenders = latencies[i].contenders,
                                 .count = latencies[i].contenders_count,
                                 .quick_count = QUICK_COUNT,
                                 .measure = rtt_measure,
                                 .more = &latencies[i].way };

        status = row_run(&row, quick, rows);
    }
    return status;
}
