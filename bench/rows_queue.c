#include "rows_queue.h"

#include "near.h"
#include "pair.h"
#include "rows.h"

#include <stdint.h>

#define TRIES 40 /* for near */
#define TRIES_QUICK 3
#define MEASURED_MAX 4 /* of the tries that came as far as measuring */

struct message {
    size_t size;
    unsigned check; /* messages between two looks at the clock */
};

/* One value, measured while the processors are near, if they come near within a few tries. */
static int measure(const struct row *row, const void *what, bool quick, struct row_value *ret_value)
{
    const struct message *message = row->more;
    struct pair_plan plan = { .transport = what,
                              .size = message->size,
                              .check = message->check,
                              .warm_ns = 30000000,
                              .window_ns = quick ? 100000000 : 150000000,
                              .only_near = true };
    struct pair_result result = { 0 };
    int tries = quick ? TRIES_QUICK : TRIES;
    int measured = 0;
    int status = 0;

    for (int i = 1; i <= tries && measured < MEASURED_MAX; i++) {
        plan.only_near = i < tries;
        status = pair_run(&plan, &result);
        if (status < 0 || (result.measured && result.near_ns <= NEAR_NS))
            break;
        measured += result.measured;
    }
    ret_value->value = result.rate;
    ret_value->far = result.near_ns > NEAR_NS;
    return status;
}

/* To add a row, add a line to `messages`; to add a rival, write its transport and name it here. */
static const struct contender contenders[] = {
    { "shoal", true, &transport_shoal },
    { "pipe", false, &transport_pipe },
    { "AF_UNIX seqpacket", false, &transport_seqpacket },
    { "POSIX mq", false, &transport_mq },
};
#define CONTENDERS_COUNT (sizeof(contenders) / sizeof(contenders[0]))

static const struct {
    const char *name;
    struct message message;
} messages[] = {
    { "queue 1P1C 8 B (msg/s)", { 8, 256 } },
    { "queue 1P1C 1 KiB (msg/s)", { 1024, 64 } },
    { "queue 1P1C 64 KiB (msg/s)", { 65536, 8 } },
};

int rows_queue_run(bool quick, bool rows)
{
    int status = 0;

    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]) && status == 0; i++) {
        const struct row row = { .name = messages[i].name,
                                 .unit = "msg/s",
                                 .contenders = contenders,
                                 .count = CONTENDERS_COUNT,
                                 .quick_count = CONTENDERS_COUNT,
                                 .measure = measure,
                                 .more = &messages[i].message };

        status = row_run(&row, quick, rows);
    }
    return status;
}
