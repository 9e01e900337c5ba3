#include "rows_queue.h"

#include "pair.h"
#include "rows.h"

/* To add a row, add a line to `messages`; to add a rival, write its transport and name it here. */
static const struct contender of_values[] = {
    { "shoal", true, &transport_shoal_values },
    { "shoal payloads", true, &transport_shoal },
    { "pipe", false, &transport_pipe },
    { "AF_UNIX seqpacket", false, &transport_seqpacket },
    { "POSIX mq", false, &transport_mq },
};
static const struct contender of_payloads[] = {
    { "shoal", true, &transport_shoal },
    { "pipe", false, &transport_pipe },
    { "AF_UNIX seqpacket", false, &transport_seqpacket },
    { "POSIX mq", false, &transport_mq },
};
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static const struct {
    const char *name;
    struct pair_message message;
    const struct contender *contenders;
    size_t contenders_count;
} messages[] = {
    { "queue 1P1C 8 B (msg/s)", { 8, 8, 256 }, of_values, COUNT_OF(of_values) },
    { "queue 1P1C 1 KiB (msg/s)", { 1024, 1024, 64 }, of_payloads, COUNT_OF(of_payloads) },
    { "queue 1P1C 64 KiB (msg/s)", { 65536, 65536, 8 }, of_payloads, COUNT_OF(of_payloads) },
};

int rows_queue_run(bool quick, bool rows)
{
    int status = 0;

    for (size_t i = 0; i < COUNT_OF(messages) && status == 0; i++) {
        const struct row row = { .name = messages[i].name,
                                 .unit = "msg/s",
                                 .contenders = messages[i].contenders,
                                 .count = messages[i].contenders_count,
                                 .quick_count = messages[i].contenders_count,
                                 .measure = pair_measure,
                                 .more = &messages[i].message };

        status = row_run(&row, quick, rows);
    }
    return status;
}
