/* A bar on stderr, when that is a terminal; otherwise nothing. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdint.h>

/* Start a bar. @total: what progress_at() counts up to. */
void progress_begin(const char *label, unsigned round, unsigned rounds, uint64_t total);

/* Show how far it is; cheap enough to be called for every chunk. */
void progress_at(uint64_t done);

/* Wipe it, so that other output starts on a clean line; the next progress_at() shows it again. */
void progress_clear(void);

void progress_end(void);

#endif
