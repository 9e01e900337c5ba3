/*
 * What a process has otherwise than its start method gives it: see shoal_process_options.setup.
 * shoal/process.h includes this.
 *
 * A child applies it after its creator can rely on it and before its target runs, in this order:
 * cgroup, niceness, processors, limits, directory, environment. If any of it is refused the start
 * fails, in the parent, and says what.
 */
#ifndef SHOAL_SETUP_H
#define SHOAL_SETUP_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/* As in setrlimit(2); UINT64_MAX is RLIM_INFINITY. */
typedef struct {
    int resource;
    uint64_t soft, hard;
} shoal_process_limit;

/* Read and copied at create. All zero: nothing. */
typedef struct {
    const char *const *environment; /* NAME=VALUE, NULL behind the last: instead of what it has */
    const char *directory;          /* to work in */
    const char *cgroup;             /* a directory of cgroup2, into which it moves */
    const char *executable;         /* SPAWN alone: another program, which shoal_register()s the
                                       target by its name or loads the library that it is in */
    const char *const *argv;        /* SPAWN alone: main()'s, NULL behind the last; NULL: as ours */
    const unsigned *processors;     /* it runs on these alone, each below 1024 */
    size_t processors_count;
    const shoal_process_limit *limits;
    size_t limits_count;
    int niceness;         /* added to what it has: see nice(2) */
    uint64_t reserved[6]; /* zero */
} shoal_process_setup;

SHOAL_END_DECLS
#endif
