#include "rows.h"

#include "measure.h"
#include "progress.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 9
#define ROUNDS_QUICK 3
#define CONTENDERS_MAX 16

const double row_quantiles[ROW_QUANTILES] = { 10, 25, 75, 90, 99 };

static const char *wanted;
static bool only_list;
static size_t selected_count;

void rows_select(const char *filter, bool list)
{
    wanted = filter;
    only_list = list;
}

bool rows_wants(const char *name)
{
    if (wanted != NULL && strstr(name, wanted) == NULL)
        return false;
    selected_count++;
    if (only_list)
        printf("%s\n", name);
    return !only_list;
}

size_t rows_count(void)
{
    return selected_count;
}

struct session {
    const struct row *row;
    bool quick;
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

/* "latency busy RTT 8 B p50 (ns)" becomes "latency busy RTT 8 B p99 (ns)". */
static void name_quantile(const struct row *row, double percent, char *name, size_t size)
{
    const char *at = strstr(row->name, "p50");

    snprintf(name, size, "%.*sp%.0f%s", (int)(at - row->name), row->name, percent, at + 3);
}

static void take(struct session *session, size_t which, const struct row_value *value)
{
    const struct row *row = session->row;
    const char *who = row->contenders[which].name;
    char name[96];

    add(&session->measured[which], value->value, value->far);
    if (value->has_least_served)
        add(&session->served[which], value->least_served, false);
    report_line(row->name, who, value->value, row->unit);
    if (value->has_least_served) {
        name_served(row, name, sizeof(name));
        report_line(name, who, value->least_served, "%");
    }
    for (size_t i = 0; row->has_quantiles && i < ROW_QUANTILES; i++) {
        name_quantile(row, row_quantiles[i], name, sizeof(name));
        report_line(name, who, value->quantiles[i], row->unit);
    }
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
        return contender->standing == OURS ? -1 : 0;
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
                               .count = quick ? row->quick_count : row->count };
    unsigned rounds = quick ? ROUNDS_QUICK : ROUNDS;
    int status = 0;

    if (row->rounds > 0)
        rounds = row->rounds;
    if (session.count == 0 || !rows_wants(row->name))
        return 0;
    for (size_t which = 0; which < session.count; which++)
        session.measured[which] = (struct measured){
            .who = row->contenders[which].name, .counts = row->contenders[which].standing == RIVAL
        };
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
