/*
 * Kills a process at every instruction, and tells by TAP what became of the others.
 *
 *   step [--full] [--json FILE] [NAME...]
 *
 * Only the scenarios and mistakes whose names begin so. --full, or SHOAL_TEST_FULL in the
 * environment, kills the recoverers of all scenarios.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../harness.h"
#include "os/chaos.h"
#include "play.h"
#include "scenarios.h"

enum { JOBS_MAX = 128, WORKERS_MAX = 8 };

/* What stands before and behind the number. */
static const char *const level_names[LEVELS_COUNT][2] = {
    [LEVEL_KILL] = { "killed at each of", "states" },
    [LEVEL_RECOVERER] = { "recoverer killed at each of", "states" },
    [LEVEL_STOP] = { "stopped before each of", "instructions" },
};

static const struct scenario *const all_scenarios[] = {
    peer_scenarios,     lock_scenarios,   semaphore_scenarios, event_scenarios, condition_scenarios,
    barrier_scenarios,  memory_scenarios, queue_scenarios,     name_scenarios,  share_scenarios,
    joinable_scenarios, pipe_scenarios,   creator_scenarios,   chain_scenarios, store_scenarios,
};

/* A scenario, or a mistake and the one level that must notice it. */
struct job {
    const struct scenario *scenario;
    const struct mistake *mistake;
    struct extent extent;
    unsigned worker;
    pid_t pid;
    uint64_t took_ns;
    struct tally tallies[LEVELS_COUNT];
};

static struct job *jobs; /* shared with the workers */
static unsigned jobs_count, results, failures;

/* A processor each: who steps and who is stepped take turns, so that a step between two processors
 * takes three times as long. And who is woken runs when looked after, not just when he can. */
static struct worker {
    size_t cpu;
    bool busy;
} workers[WORKERS_MAX];
static unsigned workers_count;

/* --- the jobs ------------------------------------------------------------------------------- */

static void add_job(const struct scenario *scenario, const struct mistake *mistake,
                    struct extent extent)
{
    jobs[jobs_count++] = (struct job){ .scenario = scenario, .mistake = mistake, .extent = extent };
}

static const struct scenario *find_scenario(const char *name)
{
    for (unsigned i = 0; i < COUNT_OF(all_scenarios); i++)
        for (const struct scenario *scenario = all_scenarios[i]; scenario->name; scenario++)
            if (strcmp(scenario->name, name) == 0)
                return scenario;
    return NULL;
}

static bool is_wanted(const char *name, char **wanted)
{
    bool any = !*wanted;
    for (; *wanted; wanted++)
        any = any || strncmp(name, *wanted, strlen(*wanted)) == 0;
    return any;
}

static struct extent extent_of(const struct scenario *scenario, bool full)
{
    const bool recoverer = full || !scenario->takes_long;
    return (struct extent){ .levels = 1u << LEVEL_KILL | 1u << LEVEL_STOP |
                                      (recoverer ? 1u << LEVEL_RECOVERER : 0),
                            .every_instruction = full && !scenario->takes_long };
}

static void add_jobs(bool full, char **wanted)
{
    for (unsigned i = 0; i < COUNT_OF(all_scenarios); i++)
        for (const struct scenario *scenario = all_scenarios[i]; scenario->name; scenario++)
            if (is_wanted(scenario->name, wanted))
                add_job(scenario, NULL, extent_of(scenario, full));
    for (const struct mistake *mistake = mistakes; mistake->name; mistake++)
        if (is_wanted(mistake->name, wanted))
            add_job(find_scenario(mistake->scenario), mistake,
                    (struct extent){ .levels = 1u << mistake->level, .first_only = true });
}

static void find_workers(void)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (sched_getaffinity(0, sizeof cpus, &cpus) < 0)
        CPU_SET(0, &cpus); /* too many to tell: one worker is enough */
    for (size_t cpu = 0; cpu < CPU_SETSIZE && workers_count < WORKERS_MAX; cpu++)
        if (CPU_ISSET(cpu, &cpus))
            workers[workers_count++].cpu = cpu;
}

static unsigned free_worker(void)
{
    unsigned worker = 0;
    while (worker < workers_count && workers[worker].busy)
        worker++;
    return worker;
}

static void move_to(size_t cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

static _Noreturn void run_job(struct job *job, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    move_to(workers[job->worker].cpu);
    if (job->mistake)
        shl_mistake = job->mistake->name;
    play_scenario(job->scenario, &job->extent, job->tallies);
    _exit(0);
}

static void start_job(struct job *job, unsigned worker)
{
    const pid_t parent = getpid();
    job->worker = worker;
    job->took_ns = 0 - harness_now_ns();
    workers[worker].busy = true;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0)
        run_job(job, parent);
    job->pid = pid;
}

/* --- what is told --------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void result(bool good, const char *name,
                                                         const char *format, ...)
{
    va_list arguments;
    failures += !good;
    printf("%s %u - %s: ", good ? "ok" : "not ok", ++results, name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static void tell_level(const struct scenario *scenario, enum level level, const struct tally *tally)
{
    result(tally_is_good(scenario, tally), scenario->name, "%s %u %s", level_names[level][0],
           tally->states, level_names[level][1]);
    if (tally->otherwise > 0)
        printf("# %u of these states came out otherwise\n", tally->otherwise);
    if (!tally_is_good(scenario, tally))
        printf("  %u hangs, %u late, %u invariant failures, %u leaks\n  %s\n", tally->hangs,
               tally->late, tally->invariant_failures, tally->leaks, tally->first_failure);
}

static void tell(const struct job *job, bool crashed)
{
    unsigned late = 0, played = 0;
    if (crashed)
        result(false, job->scenario->name, "the harness itself ended");
    for (enum level level = 0; level < LEVELS_COUNT; level++) {
        const struct tally *tally = &job->tallies[level];
        if (!(job->extent.levels & 1u << level) || tally->states == 0)
            continue;
        if (job->mistake)
            result(!tally_is_good(job->scenario, tally), "catches", "%s (%s)", job->mistake->name,
                   tally->first_failure);
        else
            tell_level(job->scenario, level, tally);
        late += tally->late;
        played++;
    }
    if (played == 0)
        result(false, job->scenario->name, "nothing was played");
    if (!job->mistake && job->scenario->late_known && late > 0)
        result(true, job->scenario->name, "%u late # SKIP known gap: %s", late,
               job->scenario->late_known);
    fflush(stdout);
}

static void run_jobs(void)
{
    unsigned started = 0, ended = 0;
    while (ended < jobs_count) {
        for (unsigned worker; started < jobs_count && (worker = free_worker()) < workers_count;)
            start_job(&jobs[started++], worker);
        int status;
        const pid_t pid = wait(&status);
        if (pid < 0)
            break;
        for (unsigned i = 0; i < started; i++)
            if (jobs[i].pid == pid) {
                workers[jobs[i].worker].busy = false;
                jobs[i].took_ns += harness_now_ns();
                tell(&jobs[i], status != 0);
                ended++;
            }
    }
}

/* --- the same as JSON ----------------------------------------------------------------------- */

static struct tally sum_of(const struct job *job)
{
    struct tally sum = job->tallies[LEVEL_KILL];
    for (enum level level = LEVEL_KILL + 1; level < LEVELS_COUNT; level++) {
        const struct tally *tally = &job->tallies[level];
        sum.kills += tally->kills;
        sum.recoverer_kills += tally->recoverer_kills;
        sum.stops += tally->stops;
        sum.hangs += tally->hangs;
        sum.late += tally->late;
        sum.invariant_failures += tally->invariant_failures;
        sum.leaks += tally->leaks;
    }
    return sum;
}

static void make_folder_of(const char *path)
{
    char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash) {
        *slash = 0;
        mkdir(folder, 0777); /* if it fails, so does the file */
    }
    free(folder);
}

static int write_json(const char *path)
{
    make_folder_of(path);
    FILE *file = fopen(path, "we");
    const char *comma = "";
    if (!file)
        return -1;
    fprintf(file, "{\"scenarios\": [");
    for (unsigned i = 0; i < jobs_count; i++) {
        const struct tally sum = sum_of(&jobs[i]);
        if (jobs[i].mistake)
            continue;
        fprintf(file,
                "%s\n  {\"name\": \"%s\", \"steps\": %llu, \"states\": %u, \"kills\": %u, "
                "\"recoverer_kills\": %u, \"stops\": %u, \"hangs\": %u, \"late\": %u, "
                "\"invariant_failures\": %u, \"leaks\": %u, \"seconds\": %.1f}",
                comma, jobs[i].scenario->name, (unsigned long long)sum.steps, sum.states, sum.kills,
                sum.recoverer_kills, sum.stops, sum.hangs, sum.late, sum.invariant_failures,
                sum.leaks, (double)jobs[i].took_ns / 1e9);
        comma = ",";
    }
    fprintf(file, "\n]}\n");
    return fclose(file);
}

int main(int count, char **arguments)
{
    (void)count;
    const char *program = *arguments;
    const char *json = NULL;
    bool full = getenv("SHOAL_TEST_FULL");
    while (*++arguments && strncmp(*arguments, "--", 2) == 0) {
        if (strcmp(*arguments, "--full") == 0)
            full = true;
        else if (strcmp(*arguments, "--json") == 0 && arguments[1])
            json = *++arguments;
        else
            return fprintf(stderr, "usage: %s [--full] [--json FILE] [NAME...]\n", program) > 0;
    }
    jobs = harness_shared(JOBS_MAX * sizeof *jobs);
    add_jobs(full, arguments);
    find_workers();
    run_jobs();
    printf("1..%u\n", results);
    if (json && write_json(json) < 0)
        return fprintf(stderr, "%s: %s\n", json, strerror(errno)) > 0;
    return failures > 0;
}
