#include "rows_queue.h"

#include "pair.h"
#include "progress.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 9
#define ROUNDS_QUICK 3
#define TRIES 40 /* for near */
#define TRIES_QUICK 3
#define MEASURED_MAX 4 /* of the tries that came as far as measuring */

/* To add a row, add a line here; to add a rival, write its transport and name it below. */
static const struct row {
    const char *name;
    size_t size;
    unsigned check; /* messages between two looks at the clock */
} rows_of_queue[] = {
    { "queue 1P1C 8 B (msg/s)", 8, 256 },
    { "queue 1P1C 1 KiB (msg/s)", 1024, 64 },
    { "queue 1P1C 64 KiB (msg/s)", 65536, 8 },
};
#define ROWS_COUNT (sizeof(rows_of_queue) / sizeof(rows_of_queue[0]))

static const struct transport *const transports[] = { &transport_shoal, &transport_pipe,
                                                      &transport_seqpacket, &transport_mq };
#define TRANSPORTS_COUNT (sizeof(transports) / sizeof(transports[0]))

struct session {
    bool quick;
    bool print_rows;
    struct measured measured[TRANSPORTS_COUNT];
    bool left_out[TRANSPORTS_COUNT];
};

/* One value, measured while the processors are near, if they come near within a few tries. */
static int measure(const struct session *session, const struct row *row,
                   const struct transport *transport, struct pair_result *result)
{
    struct pair_plan plan = { .transport = transport,
                              .size = row->size,
                              .check = row->check,
                              .warm_ns = 30000000,
                              .window_ns = session->quick ? 100000000 : 150000000,
                              .only_near = true };
    int tries = session->quick ? TRIES_QUICK : TRIES;
    int measured = 0;
    int status = 0;

    for (int i = 1; i <= tries && measured < MEASURED_MAX; i++) {
        plan.only_near = i < tries;
        status = pair_run(&plan, result);
        if (status < 0 || (result->measured && result->near_ns <= PAIR_NEAR_NS))
            return status;
        measured += result->measured;
    }
    return status;
}

/* Returns 0, also when the rival is not to be had here; -1 when a measurement failed. */
static int run_transport(struct session *session, const struct row *row, size_t which)
{
    struct measured *measured = &session->measured[which];
    struct pair_result result = { 0 };
    int status = measure(session, row, transports[which], &result);

    if (status == -EIO)
        return -1;
    if (status < 0) {
        progress_clear();
        fprintf(stderr, "shoal-bench: %s is left out of %s: %s\n", measured->who, row->name,
                strerror(-status));
        session->left_out[which] = true;
        return transports[which]->by_shoal ? -1 : 0;
    }
    measured->values[measured->count++] = result.rate;
    measured->far_count += result.near_ns > PAIR_NEAR_NS;
    if (session->print_rows)
        report_line(row->name, measured->who, result.rate, "msg/s");
    return 0;
}

/* Rows have no place for it, so it is said beside them. */
static void tell_far(const struct session *session, const struct row *row)
{
    for (size_t which = 0; which < TRANSPORTS_COUNT; which++) {
        const struct measured *measured = &session->measured[which];

        if (measured->far_count > 0)
            fprintf(stderr, "shoal-bench: %s, %s: the processors were far in %zu of %zu rounds\n",
                    row->name, measured->who, measured->far_count, measured->count);
    }
}

static int run_round(struct session *session, const struct row *row)
{
    for (size_t which = 0; which < TRANSPORTS_COUNT; which++)
        if (!session->left_out[which] && run_transport(session, row, which) < 0)
            return -1;
    return 0;
}

static void print_table(const struct session *session, const struct row *row)
{
    struct measured there[TRANSPORTS_COUNT];
    size_t count = 0;

    for (size_t which = 0; which < TRANSPORTS_COUNT; which++)
        if (session->measured[which].count > 0)
            there[count++] = session->measured[which];
    report_table(row->name, there, count);
}

static int run_row(const struct row *row, bool quick, bool rows)
{
    struct session session = { .quick = quick, .print_rows = rows };
    unsigned rounds = quick ? ROUNDS_QUICK : ROUNDS;
    int status = 0;

    for (size_t which = 0; which < TRANSPORTS_COUNT; which++)
        session.measured[which] = (struct measured){ .who = transports[which]->name,
                                                     .ours = transports[which]->by_shoal };
    for (unsigned round = 0; round < rounds && status == 0; round++) {
        progress_begin(row->name, round + 1, rounds, rounds);
        progress_at(round);
        status = run_round(&session, row);
        progress_end();
    }
    if (status == 0 && rows)
        tell_far(&session, row);
    else if (status == 0)
        print_table(&session, row);
    return status;
}

int rows_queue_run(bool quick, bool rows)
{
    int status = 0;

    for (size_t i = 0; i < ROWS_COUNT && status == 0; i++)
        status = run_row(&rows_of_queue[i], quick, rows);
    return status;
}
