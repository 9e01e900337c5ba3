#include "report.h"

#include "measure.h"
#include "progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool print_lines;
static FILE *file;

int report_open(bool print, const char *path)
{
    print_lines = print;
    if (path == NULL)
        return 0;
    file = fopen(path, "we");
    return file == NULL ? -errno : 0;
}

static void write_line(FILE *to, const char *row, const char *who, double value, const char *unit)
{
    fprintf(to, "%s\t%s\t%.6g\t%s\n", row, who, value, unit);
    fflush(to);
}

void report_line(const char *row, const char *who, double value, const char *unit)
{
    if (print_lines) {
        progress_clear();
        write_line(stdout, row, who, value, unit);
    }
    if (file != NULL)
        write_line(file, row, who, value, unit);
}

/* Three to four digits and a letter: 12.3 M. */
static void format_value(char *text, size_t size, double value)
{
    if (value >= 1e6)
        snprintf(text, size, "%.3g M", value / 1e6);
    else if (value >= 1e3)
        snprintf(text, size, "%.3g k", value / 1e3);
    else
        snprintf(text, size, "%.3g", value);
}

static double median_sorted(const struct measured *measured)
{
    return measured->values[measured->count / 2];
}

static int compare_medians(const void *left, const void *right)
{
    double a = median_sorted(left);
    double b = median_sorted(right);

    return (a < b) - (a > b);
}

static int compare_medians_up(const void *a, const void *b)
{
    return compare_medians(b, a);
}

static void print_contender(struct measured *contender, double best_rival)
{
    char median[16];
    char least[16];
    char most[16];
    double middle = median_of(contender->values, contender->count);

    format_value(median, sizeof(median), middle);
    format_value(least, sizeof(least), contender->values[0]);
    format_value(most, sizeof(most), contender->values[contender->count - 1]);
    printf("  %-20s %8s  [%s .. %s]", contender->who, median, least, most);
    if (best_rival > 0)
        printf("  %.2fx", middle / best_rival);
    if (contender->has_least_served)
        printf("  least served %.0f %%", contender->least_served);
    if (contender->far_count > 0)
        printf("  (processors far apart in %zu of %zu rounds: a cache line took over 160 ns)",
               contender->far_count, contender->count);
    printf("\n");
}

void report_table(const char *row, struct measured *contenders, size_t count, bool less_is_better)
{
    double best_rival = 0;

    for (size_t i = 0; i < count; i++) {
        double middle = median_of(contenders[i].values, contenders[i].count);

        if (contenders[i].counts && (best_rival == 0 || (middle > best_rival) != less_is_better))
            best_rival = middle;
    }
    qsort(contenders, count, sizeof(contenders[0]),
          less_is_better ? compare_medians_up : compare_medians);
    printf("\n%s: median [least .. most], against the best rival\n", row);
    for (size_t i = 0; i < count; i++)
        print_contender(&contenders[i], best_rival);
    fflush(stdout);
}
