/* Who sleeps: how a test knows that another thread is inside a wait, without a sleep of its own. */
#ifndef SHOAL_TESTS_ASLEEP_H
#define SHOAL_TESTS_ASLEEP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>

#ifndef HARNESS_EMULATED
#define HARNESS_EMULATED 0 /* then numbers of calls are those of another kind of processor */
#endif

/* Is that thread, of any process of ours, inside one of two system calls at this moment? */
static inline bool is_asleep_in(pid_t tid, long call, long other_call)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", tid);
    FILE *file = fopen(path, "re");
    const char *read = file ? fgets(line, sizeof line, file) : NULL;
    if (file)
        fclose(file);
    if (read && !HARNESS_EMULATED) {
        const long number = strtol(line, NULL, 10);
        return number == call || number == other_call;
    }
    /* no permission, or not to be understood: any sleep will do */
    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    file = fopen(path, "re");
    read = file ? fgets(line, sizeof line, file) : NULL;
    if (file)
        fclose(file);
    const char *end = read ? strrchr(line, ')') : NULL;
    return end && end[2] == 'S';
}

static inline bool is_asleep(pid_t tid)
{
    return is_asleep_in(tid, SYS_futex, SYS_futex_waitv);
}

#endif
