/* Rows: each is measured in rounds, in which its contenders take turns. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#define ROW_QUANTILES 5

/* The shares of samples, in percent, below the quantiles. */
extern const double row_quantiles[ROW_QUANTILES];

struct row_value {
    double value;
    bool far; /* measured while the processors were far from each other */
    bool has_least_served;
    double least_served;             /* the process that got least, in percent of the mean */
    double quantiles[ROW_QUANTILES]; /* of a row that has them */
};

/* RIVAL: counts as the best one, if it is. ASIDE: stands beside them, for comparison. */
enum standing { RIVAL, OURS, ASIDE };

struct contender {
    const char *name;
    enum standing standing;
    const void *what; /* for the row's measure() */
};

struct row {
    const char *name; /* with the unit in parentheses at the end */
    const char *unit;
    bool less_is_better;
    bool has_quantiles; /* its name has a p50 in it, to be replaced */
    unsigned rounds;    /* if they are other than usual */
    const struct contender *contenders;
    size_t count;
    size_t quick_count; /* so many of them with --quick */
    /*
     * One value for one contender. Returns 0; -EIO when it failed (said on stderr); another -errno
     * when this contender is not to be had here.
     */
    int (*measure)(const struct row *row, const void *what, bool quick,
                   struct row_value *ret_value);
    const void *more; /* for measure() */
};

/* From now on only rows whose name contains @filter are run, NULL: all; or, if @list, named. */
void rows_select(const char *filter, bool list);

/* Is it to be run? If it is to be named, it is now. */
bool rows_wants(const char *name);

/* How many were run or named so far. */
size_t rows_count(void);

/* @rows: print lines for programs. Returns 0, or -1 when a measurement failed (said on stderr). */
int row_run(const struct row *row, bool quick, bool rows);

#endif
