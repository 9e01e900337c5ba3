/*
 * The processes of one measurement, started by shoal or by fork(2), and watched either way.
 *
 * Whoever waits for work of a crew looks at it from time to time: a member that died is reported
 * by name, and the measurement ends in an error instead of a hang. Members die with this process,
 * however it ends.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <shoal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CREW_MAX 258 /* a reader, 256 counting processes, and one to spare */

struct member {
    char name[32];
    pid_t pid;
    int sentinel; /* a pidfd */
    bool ended;
    int exitcode;          /* minus the signal that killed it */
    shoal_process process; /* of a crew that shoal started */
};

struct crew {
    bool by_shoal;
    size_t count;
    struct member members[CREW_MAX];
};

enum crew_state { CREW_RUNS, CREW_ENDED, CREW_FAILED };

void crew_open(struct crew *crew, bool by_shoal);

/*
 * Start a member that runs @run(@argument). The argument is copied for a member that shoal starts;
 * what it points to is as it was at the time of the start, for members are forks.
 * Returns 0, or -1 (said on stderr).
 */
int crew_start(struct crew *crew, const char *name, void (*run)(void *), const void *argument,
               size_t argument_size);

/* Wait for a change, at most @timeout_ms. Members that ended badly are reported on stderr. */
enum crew_state crew_look(struct crew *crew, int timeout_ms);

/* Wait until all ended, or one badly, at most @timeout_ms. */
enum crew_state crew_watch(struct crew *crew, int timeout_ms);

/* Wait until all ended. Returns 0 when all ended well; else the others are killed, and -1. */
int crew_join(struct crew *crew, int timeout_ms);

/* Kill what still runs, and forget all members. */
void crew_close(struct crew *crew);

/* End a member that failed: the text on stderr, exit code 1. */
void crew_member_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
