/* Ways to start something that does nothing, and to wait for its end: 0, or -errno. */
#ifndef BENCH_STARTS_H
#define BENCH_STARTS_H

#include <stddef.h>

#define STARTS_SAMPLES_MAX 200

int starts_by_default(void); /* these three by shoal */
int starts_by_fork(void);
int starts_by_spawn(void);
int starts_fork(void);
int starts_vfork(void);
int starts_posix_spawn(void);
int starts_thread(void);

/* The median of @count of them, in microseconds. Returns 0, or -errno (said on stderr). */
int starts_sample(int (*once)(void), size_t count, double *ret_us);

#endif
