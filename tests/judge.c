/*
 * The judge: what a test must not leave behind. It compares the process with a baseline taken
 * before the test's body, and it is a subreaper, so that no descendant escapes it.
 */
#include "harness.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct report {
    char *text;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void tell(struct report *report, const char *format,
                                                       ...)
{
    if (report->len >= report->size)
        return;
    va_list arguments;
    va_start(arguments, format);
    const int len = vsnprintf(report->text + report->len, report->size - report->len, format,
                              arguments);
    va_end(arguments);
    report->len += len > 0 ? (size_t)len : 0;
}

/* --- descriptors ---------------------------------------------------------------------------- */

unsigned harness_fds_count(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != dirfd(folder);
    closedir(folder);
    return count;
}

static void fds_take(struct harness_baseline *baseline)
{
    for (size_t fd = 0; fd < COUNT_OF(baseline->fds); fd++) {
        struct stat status;
        const bool open = fstat((int)fd, &status) == 0;
        baseline->fds[fd].device = open ? status.st_dev : 0;
        baseline->fds[fd].inode = open ? status.st_ino : 0;
    }
}

/* What may remain: one segment, and the two ends of one pipe. */
struct remains {
    unsigned segments_count, pipe_ends_count;
    ino_t pipe;
};

static bool fd_may_remain(int fd, const struct stat *status, struct remains *remains)
{
    char path[64], target[256];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ssize_t len = readlink(path, target, sizeof target - 1);
    target[len > 0 ? len : 0] = 0;
    if (strncmp(target, "/memfd:shoal", 12) == 0)
        return ++remains->segments_count == 1;
    if (strncmp(target, "pipe:", 5) != 0)
        return false;
    if (remains->pipe_ends_count > 0 && remains->pipe != status->st_ino)
        return false;
    remains->pipe = status->st_ino;
    return ++remains->pipe_ends_count <= 2;
}

static unsigned fds_judge(const struct harness_baseline *baseline, struct report *report)
{
    struct remains remains = { 0 };
    unsigned leaks = 0;
    for (size_t fd = 0; fd < COUNT_OF(baseline->fds); fd++) {
        struct stat status;
        const bool open = fstat((int)fd, &status) == 0, was = baseline->fds[fd].inode != 0;
        const bool same = open && was && status.st_ino == baseline->fds[fd].inode &&
                          status.st_dev == baseline->fds[fd].device;
        if ((!open && !was) || same || (!was && fd_may_remain((int)fd, &status, &remains)))
            continue;
        leaks = HARNESS_LEAK_FD;
        tell(report, " descriptor %zu %s;", fd,
             !open ? "was closed"
             : was ? "is another"
                   : "remains");
    }
    return leaks;
}

/* --- mappings ------------------------------------------------------------------------------- */

static unsigned segments_list(ino_t *inodes, unsigned inodes_count)
{
    char line[512];
    unsigned count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        unsigned long long inode = 0;
        const bool segment = strstr(line, "memfd:shoal") || strstr(line, "/dev/shm/shoal.") ||
                             strstr(line, "/dev/shm/#"); /* of who gave it its name */
        if (!segment || sscanf(line, "%*s %*s %*s %*s %llu", &inode) != 1)
            continue;
        unsigned known = 0;
        while (known < count && inodes[known] != (ino_t)inode)
            known++;
        if (known == count && count < inodes_count)
            inodes[count++] = (ino_t)inode;
    }
    fclose(file);
    return count;
}

unsigned harness_segments_count(void)
{
    ino_t inodes[64];
    return segments_list(inodes, COUNT_OF(inodes));
}

static unsigned segments_judge(const struct harness_baseline *baseline, struct report *report)
{
    ino_t inodes[64];
    const unsigned count = segments_list(inodes, COUNT_OF(inodes));
    unsigned fresh = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned known = 0;
        while (known < baseline->segments_count && baseline->segments[known] != inodes[i])
            known++;
        fresh += known == baseline->segments_count;
    }
    if (baseline->segments_count + fresh <= 1 || fresh == 0)
        return 0;
    tell(report, " %u segments remain mapped;", count);
    return HARNESS_LEAK_MAPPING;
}

/* --- files ---------------------------------------------------------------------------------- */

/*
 * A name that is none of ours: Criterion's arenas come and go in every worker, and the scenarios
 * of this harness's own tests, and named segments, run beside other tests.
 */
static bool shm_foreign(const char *name)
{
    if (strncmp(name, "shoal.", 6) == 0)
        name += 6;
    return name[0] == '.' || strncmp(name, "bxf", 3) == 0 ||
           (strncmp(name, "harness-", 8) == 0 && atoi(name + 8) != getpid());
}

static unsigned shm_scan(const char *known, char **ret_names, struct report *report)
{
    size_t size = 0;
    unsigned leaks = 0;
    FILE *names = ret_names ? open_memstream(ret_names, &size) : NULL;
    if (names)
        fputc('/', names);
    DIR *folder = opendir("/dev/shm");
    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        char wanted[300];
        snprintf(wanted, sizeof wanted, "/%s/", entry->d_name);
        if (names)
            fputs(wanted + 1, names);
        if (!known || shm_foreign(entry->d_name) || strstr(known, wanted))
            continue;
        leaks = HARNESS_LEAK_FILE;
        tell(report, " file /dev/shm/%s;", entry->d_name);
    }
    if (folder)
        closedir(folder);
    if (names)
        fclose(names);
    return leaks;
}

/* --- processes ------------------------------------------------------------------------------ */

/* A child of the calling process, alive or not; 0 if there is none. */
static pid_t child_find(char *name, size_t name_size)
{
    pid_t found = 0;
    DIR *folder = opendir("/proc");
    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry && !found;
         entry = readdir(folder)) {
        char path[300], line[512];
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = isdigit((unsigned char)entry->d_name[0]) ? fopen(path, "re") : NULL;
        if (!file)
            continue;
        char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        fclose(file);
        int parent = 0;
        char state = 0;
        if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2 || parent != getpid())
            continue;
        found = (pid_t)atoi(entry->d_name);
        end[1] = 0;
        snprintf(name, name_size, "%s%s", line, state == 'Z' ? " (never reaped)" : "");
    }
    if (folder)
        closedir(folder);
    return found;
}

/* Grandchildren of a killed child become this process's children: on until there is none. */
static unsigned processes_judge(struct report *report)
{
    unsigned leaks = 0;
    siginfo_t info;
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        char name[600] = "";
        const pid_t pid = child_find(name, sizeof name);
        if (pid <= 0)
            break;
        leaks = HARNESS_LEAK_PROCESS;
        tell(report, " process %s;", name);
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    }
    return leaks;
}

/* --- the whole ------------------------------------------------------------------------------ */

void harness_baseline_take(struct harness_baseline *baseline)
{
    memset(baseline, 0, sizeof *baseline);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fds_take(baseline);
    baseline->segments_count = segments_list(baseline->segments, COUNT_OF(baseline->segments));
    shm_scan(NULL, &baseline->shm_names, NULL);
}

unsigned harness_leaks(struct harness_baseline *baseline, char *text, size_t text_size)
{
    struct report report = { text, text_size, 0 };
    text[0] = 0;
    unsigned leaks = processes_judge(&report);
    leaks |= fds_judge(baseline, &report);
    leaks |= segments_judge(baseline, &report);
    leaks |= baseline->shm_names ? shm_scan(baseline->shm_names, NULL, &report) : 0;
    free(baseline->shm_names);
    baseline->shm_names = NULL;
    return leaks;
}

void harness_run(void (*body)(void))
{
    struct harness_baseline baseline;
    char text[1024];
    harness_baseline_take(&baseline);
    body();
    cr_assert(harness_leaks(&baseline, text, sizeof text) == 0, "the test leaves behind:%s", text);
}

bool harness_code_listed(int code)
{
    static const int listed[] = { 0,      EINVAL,  ENOMEM,    ETIMEDOUT,    ECANCELED, EPIPE,
                                  ESTALE, ECHILD,  ESRCH,     EALREADY,     EBUSY,     EPERM,
                                  EFAULT, EXDEV,   EMSGSIZE,  ERANGE,       ENOENT,    EEXIST,
                                  EAGAIN, ENODATA, EOVERFLOW, ECONNABORTED, EDEADLK,   EREMOTEIO,
                                  EPROTO, EUSERS,  EMFILE,    EADDRINUSE,   ENOTSUP,   EUCLEAN,
                                  EIO };
    for (size_t i = 0; i < COUNT_OF(listed); i++)
        if (code == -listed[i])
            return true;
    return false;
}
