#include "crew.h"

#include "measure.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void crew_open(struct crew *crew, bool by_shoal)
{
    crew->by_shoal = by_shoal;
    crew->count = 0;
}

void crew_member_fail(const char *format, ...)
{
    va_list arguments;
    char text[512];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "shoal-bench: %s\n", text); /* in one piece: others may write, too */
    _exit(1);
}

static int start_by_shoal(struct member *member, void (*run)(void *), const void *argument,
                          size_t argument_size)
{
    const shoal_process_options options = {
        .target = run,
        .argument = argument,
        .argument_size = argument_size,
        .name = member->name,
        .start_method = SHOAL_START_FORK, /* as the rivals: members use what lies in our memory */
    };

    if (shoal_process_start_new(&options, &member->process) < 0) {
        fprintf(stderr, "shoal-bench: cannot start %s: %s\n", member->name, shoal_error_message());
        return -1;
    }
    member->pid = shoal_process_pid(member->process);
    member->sentinel = shoal_process_sentinel(member->process);
    return 0;
}

/* In the forked child: it dies with its parent, also if that died just before. */
static void run_forked(pid_t parent, void (*run)(void *), const void *argument)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    run((void *)(uintptr_t)argument);
    _exit(0);
}

static int start_by_fork(struct member *member, void (*run)(void *), const void *argument)
{
    pid_t parent = getpid();

    fflush(NULL);
    member->pid = fork();
    if (member->pid == 0)
        run_forked(parent, run, argument);
    if (member->pid < 0) {
        fprintf(stderr, "shoal-bench: cannot start %s: %s\n", member->name, strerror(errno));
        return -1;
    }
    member->sentinel = pidfd_open(member->pid, 0);
    return 0;
}

int crew_start(struct crew *crew, const char *name, void (*run)(void *), const void *argument,
               size_t argument_size)
{
    struct member *member = &crew->members[crew->count];
    int status;

    if (crew->count == CREW_MAX)
        return -1;
    *member = (struct member){ .sentinel = -1 };
    snprintf(member->name, sizeof(member->name), "%s", name);
    if (crew->by_shoal)
        status = start_by_shoal(member, run, argument, argument_size);
    else
        status = start_by_fork(member, run, argument);
    crew->count += status == 0;
    return status;
}

static int exitcode_of(const struct member *member)
{
    int status;

    if (waitpid(member->pid, &status, 0) != member->pid)
        return SHOAL_EXITCODE_UNKNOWN;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Take the exit code of a member whose sentinel says that it ended. */
static void reap(struct crew *crew, struct member *member)
{
    member->ended = true;
    if (!crew->by_shoal)
        member->exitcode = exitcode_of(member);
    else if (shoal_process_join(member->process, SHOAL_FOREVER) == 0)
        member->exitcode = shoal_process_exitcode(member->process);
    else
        member->exitcode = SHOAL_EXITCODE_UNKNOWN;
}

static void report(const struct member *member)
{
    fprintf(stderr, "shoal-bench: %s (pid %d) ", member->name, (int)member->pid);
    if (member->exitcode == SHOAL_EXITCODE_UNKNOWN)
        fprintf(stderr, "ended, nobody knows how\n");
    else if (member->exitcode < 0)
        fprintf(stderr, "was killed by signal %d (%s)\n", -member->exitcode,
                strsignal(-member->exitcode));
    else
        fprintf(stderr, "failed with exit code %d\n", member->exitcode);
}

static bool look_at(struct crew *crew, struct member *member, short events)
{
    if (member->ended || events == 0)
        return true;
    reap(crew, member);
    if (member->exitcode != 0)
        report(member);
    return member->exitcode == 0;
}

static size_t count_running(const struct crew *crew)
{
    size_t running = 0;

    for (size_t i = 0; i < crew->count; i++)
        running += !crew->members[i].ended;
    return running;
}

enum crew_state crew_look(struct crew *crew, int timeout_ms)
{
    struct pollfd sentinels[CREW_MAX];
    bool all_well = true;

    if (count_running(crew) == 0)
        return CREW_ENDED;
    for (size_t i = 0; i < crew->count; i++) {
        const struct member *member = &crew->members[i];

        sentinels[i] = (struct pollfd){ member->ended ? -1 : member->sentinel, POLLIN, 0 };
    }
    if (poll(sentinels, crew->count, timeout_ms) < 0)
        return CREW_RUNS;
    for (size_t i = 0; i < crew->count; i++)
        all_well &= look_at(crew, &crew->members[i], sentinels[i].revents);
    if (!all_well)
        return CREW_FAILED;
    return count_running(crew) > 0 ? CREW_RUNS : CREW_ENDED;
}

enum crew_state crew_watch(struct crew *crew, int timeout_ms)
{
    uint64_t deadline = clock_wall_ns() + (uint64_t)timeout_ms * 1000000;
    enum crew_state state;

    do {
        state = crew_look(crew, 100);
    } while (state == CREW_RUNS && clock_wall_ns() < deadline);
    return state;
}

int crew_join(struct crew *crew, int timeout_ms)
{
    enum crew_state state = crew_watch(crew, timeout_ms);

    if (state == CREW_RUNS)
        fprintf(stderr, "shoal-bench: a process does not end and is killed\n");
    return state == CREW_ENDED ? 0 : -1;
}

static void kill_member(struct crew *crew, struct member *member)
{
    if (crew->by_shoal)
        shoal_process_kill(member->process);
    else
        kill(member->pid, SIGKILL);
    reap(crew, member);
}

void crew_close(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++) {
        struct member *member = &crew->members[i];

        if (!member->ended)
            kill_member(crew, member);
        if (crew->by_shoal)
            shoal_process_close(member->process);
        else if (member->sentinel >= 0)
            close(member->sentinel);
    }
    crew->count = 0;
}
