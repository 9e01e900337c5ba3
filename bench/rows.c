#include "rows.h"

#include "measure.h"
#include "progress.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 9
#define ROUNDS_QUICK 3
#define CONTENDERS_MAX 8

static const char *wanted;
static size_t run_count;

void rows_only(const char *text)
{
    wanted = text;
}

size_t rows_count(void)
{
    return run_count;
}

struct session {
    const struct row *row;
    bool quick;
    bool print_rows;
    size_t count; /* of contenders */
    struct measured measured[CONTENDERS_MAX];
    struct measured served[CONTENDERS_MAX];
    bool left_out[CONTENDERS_MAX];
};

static void add(struct measured *measured, double value, bool far)
{
    measured->values[measured->count++] = value;
    measured->far_count += far;
}

/* "lock contended, 2 processes (op/s)" becomes "lock contended, 2 processes, least served (…)". */
static void name_served(const struct row *row, char *name, size_t size)
{
    snprintf(name, size, "%.*s, least served (%% of mean)",
             (int)(strrchr(row->name, '(') - row->name - 1), row->name);
}

static void take(struct session *session, size_t which, const struct row_value *value)
{
    const struct row *row = session->row;
    const char *who = row->contenders[which].name;
    char served[96];

    add(&session->measured[which], value->value, value->far);
    if (value->has_least_served)
        add(&session->served[which], value->least_served, false);
    if (!session->print_rows)
        return;
    report_line(row->name, who, value->value, row->unit);
    if (!value->has_least_served)
        return;
    name_served(row, served, sizeof(served));
    report_line(served, who, value->least_served, "%");
}

/* Returns 0, also when the rival is not to be had here; -1 when a measurement failed. */
static int run_contender(struct session *session, size_t which)
{
    const struct row *row = session->row;
    const struct contender *contender = &row->contenders[which];
    struct row_value value = { 0 };
    int status = row->measure(row, contender->what, session->quick, &value);

    if (status == -EIO)
        return -1;
    if (status < 0) {
        progress_clear();
        fprintf(stderr, "shoal-bench: %s is left out of %s: %s\n", contender->name, row->name,
                strerror(-status));
        session->left_out[which] = true;
        return contender->ours ? -1 : 0;
    }
    take(session, which, &value);
    return 0;
}

static int run_round(struct session *session)
{
    for (size_t which = 0; which < session->count; which++)
        if (!session->left_out[which] && run_contender(session, which) < 0)
            return -1;
    return 0;
}

/* Rows have no place for it, so it is said beside them. */
static void tell_far(const struct session *session)
{
    for (size_t which = 0; which < session->count; which++) {
        const struct measured *measured = &session->measured[which];

        if (measured->far_count > 0)
            fprintf(stderr, "shoal-bench: %s, %s: the processors were far in %zu of %zu rounds\n",
                    session->row->name, measured->who, measured->far_count, measured->count);
    }
}

static void print_table(struct session *session)
{
    struct measured there[CONTENDERS_MAX];
    size_t count = 0;

    for (size_t which = 0; which < session->count; which++) {
        struct measured *served = &session->served[which];

        if (session->measured[which].count == 0)
            continue;
        there[count] = session->measured[which];
        there[count].has_least_served = served->count > 0;
        there[count++].least_served = median_of(served->values, served->count);
    }
    report_table(session->row->name, there, count, session->row->less_is_better);
}

int row_run(const struct row *row, bool quick, bool rows)
{
    struct session session = { .row = row,
                               .quick = quick,
                               .print_rows = rows,
                               .count = quick ? row->quick_count : row->count };
    unsigned rounds = quick ? ROUNDS_QUICK : ROUNDS;
    int status = 0;

    if (wanted != NULL && strstr(row->name, wanted) == NULL)
        return 0;
    run_count++;
    for (size_t which = 0; which < session.count; which++)
        session.measured[which] = (struct measured){ .who = row->contenders[which].name,
                                                     .ours = row->contenders[which].ours };
    for (unsigned round = 0; round < rounds && status == 0; round++) {
        progress_begin(row->name, round + 1, rounds, rounds);
        progress_at(round);
        status = run_round(&session);
        progress_end();
    }
    if (status == 0 && rows)
        tell_far(&session);
    else if (status == 0)
        print_table(&session);
    return status;
}
