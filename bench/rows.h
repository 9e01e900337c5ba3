/* Rows: each is measured in rounds, in which its contenders take turns. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

struct row_value {
    double value;
    bool far; /* measured while the processors were far from each other */
    bool has_least_served;
    double least_served; /* the process that got least, in percent of the mean */
};

struct contender {
    const char *name;
    bool ours;        /* no rival */
    const void *what; /* for the row's measure() */
};

struct row {
    const char *name; /* with the unit in parentheses at the end */
    const char *unit;
    bool less_is_better;
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

/* From now on rows whose name does not contain this are not run; NULL: all are. */
void rows_only(const char *text);

/* How many were run so far. */
size_t rows_count(void);

/* @rows: print lines for programs. Returns 0, or -1 when a measurement failed (said on stderr). */
int row_run(const struct row *row, bool quick, bool rows);

#endif
