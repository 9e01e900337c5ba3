#include "rows_queue.h"

#include "pair.h"
#include "rows.h"

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
    struct pair_message message;
} messages[] = {
    { "queue 1P1C 8 B (msg/s)", { 8, 8, 256 } },
    { "queue 1P1C 1 KiB (msg/s)", { 1024, 1024, 64 } },
    { "queue 1P1C 64 KiB (msg/s)", { 65536, 65536, 8 } },
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
                                 .measure = pair_measure,
                                 .more = &messages[i].message };

        status = row_run(&row, quick, rows);
    }
    return status;
}
