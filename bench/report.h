/* What is printed: a table for people, or rows for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define ROUNDS_MAX 16

/* One contender of one row. */
struct measured {
    const char *who;
    bool counts; /* it is a rival, and may be the best one */
    size_t count;
    double values[ROUNDS_MAX];
    size_t far_count; /* values that were measured while the processors were far from each other */
    bool has_least_served;
    double least_served; /* the process that got least, in percent of the mean */
};

/* From now on lines go to the standard output if @print, and into this file; NULL: into none.
 * Returns 0 or -errno. */
int report_open(bool print, const char *path);

/* A line for programs, at once. */
void report_line(const char *row, const char *who, double value, const char *unit);

/* A table: the best median first, each with its ratio to the best rival. Sorts @contenders. */
void report_table(const char *row, struct measured *contenders, size_t count, bool less_is_better);

#endif
