#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CELLS 12

static struct {
    char title[80];
    uint64_t total;
    unsigned shown; /* percent; above 100: nothing yet */
    bool on;
} bar;

void progress_begin(const char *label, unsigned round, unsigned rounds, uint64_t total)
{
    bar.on = isatty(STDERR_FILENO) == 1;
    bar.total = total;
    bar.shown = UINT32_MAX;
    snprintf(bar.title, sizeof(bar.title), "%s %u/%u", label, round, rounds);
    progress_at(0);
}

void progress_at(uint64_t done)
{
    static const char full[] = "############";
    unsigned percent = bar.total == 0 ? 100 : (unsigned)(done * 100 / bar.total);
    int cells;

    if (!bar.on || percent == bar.shown)
        return;
    bar.shown = percent;
    cells = (int)(percent > 100 ? 100 : percent) * CELLS / 100;
    fprintf(stderr, "\r%-58.58s [%-*.*s] %3u %%", bar.title, CELLS, cells, full, percent);
}

void progress_clear(void)
{
    if (bar.on)
        fprintf(stderr, "\r\033[K");
    bar.shown = UINT32_MAX;
}

void progress_end(void)
{
    progress_clear();
    bar.on = false;
}
