#include "sync_measure.h"

#include "alone.h"
#include "crew.h"
#include "measure.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>

#define LIMIT_MS 20000 /* a measurement that takes longer hangs */
#define WARM_MS 30
#define ASLEEP_NS 300000 /* after so long a wait sleeps, whoever's it is */
#define SAMPLES_WARM 10

/* What all processes of a measurement share; one at a time exists. */
struct board {
    struct sync_place place;
    struct sync_seat seats[SYNC_PROCESSES_MAX];
    _Alignas(NEAR_LINE) _Atomic uint32_t ready; /* processes */
    _Alignas(NEAR_LINE) _Atomic uint32_t go;
    _Alignas(NEAR_LINE) _Atomic uint32_t stop;
    _Alignas(NEAR_LINE) _Atomic uint32_t asked; /* written by the sleeper: the last sample begun */
    _Alignas(NEAR_LINE) uint64_t set_at;        /* written by the waker before each set */
    double samples[SYNC_SAMPLES_MAX];
};

struct part {
    const struct sync_kind *kind;
    struct board *board;
    int cpu; /* below 0: any */
    unsigned index;
    unsigned samples;
    uint64_t work_turns;
};

static void take_part(const struct part *part)
{
    if (part->cpu >= 0)
        (void)cpu_pin(part->cpu);
}

/* ---- alone */

static void repeat(void *what, uint64_t count)
{
    const struct part *part = what;

    part->kind->repeat(&part->board->place, count);
}

static double measure_repeat(void *what)
{
    return alone_ns(repeat, what);
}

/* ---- contest */

static void run_contestant(void *argument)
{
    const struct part *part = argument;
    struct board *board = part->board;
    const struct sync_contest contest = { .stop = &board->stop, .work_turns = part->work_turns };

    take_part(part);
    atomic_fetch_add(&board->ready, 1);
    while (atomic_load(&board->go) == 0)
        sched_yield();
    part->kind->contend(&board->place, &contest, &board->seats[part->index]);
}

struct score {
    uint64_t at_ns;
    uint64_t done[SYNC_PROCESSES_MAX];
};

static struct score look(const struct board *board)
{
    struct score score;

    score.at_ns = clock_wall_ns();
    for (size_t i = 0; i < SYNC_PROCESSES_MAX; i++)
        score.done[i] = atomic_load_explicit(&board->seats[i].done, memory_order_relaxed);
    return score;
}

static struct sync_contested compare(const struct score *before, const struct score *after,
                                     unsigned count)
{
    uint64_t least = UINT64_MAX;
    uint64_t sum = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t done = after->done[i] - before->done[i];

        sum += done;
        least = done < least ? done : least;
    }
    return (struct sync_contested){
        .rate = (double)sum * 1e9 / (double)(after->at_ns - before->at_ns),
        .least_served = sum == 0 ? 0 : 100.0 * (double)least * count / (double)sum
    };
}

/* Did the lock let one in at a time? */
static int check_guarded(const struct sync_kind *kind, const struct board *board)
{
    struct score end = look(board);
    uint64_t sum = 0;

    for (size_t i = 0; i < SYNC_PROCESSES_MAX; i++)
        sum += end.done[i];
    if (sum == board->place.guarded)
        return 0;
    fprintf(stderr, "shoal-bench: %s: held %llu times, but counted %llu\n", kind->name,
            (unsigned long long)sum, (unsigned long long)board->place.guarded);
    return -1;
}

static int referee(struct crew *crew, struct board *board, unsigned count, int window_ms,
                   struct sync_contested *ret)
{
    struct score before;
    struct score after;

    while (atomic_load(&board->ready) < count)
        if (crew_look(crew, 1) == CREW_FAILED)
            return -1;
    atomic_store(&board->go, 1);
    if (crew_look(crew, WARM_MS) == CREW_FAILED)
        return -1;
    before = look(board);
    if (crew_look(crew, window_ms) == CREW_FAILED)
        return -1;
    after = look(board);
    atomic_store(&board->stop, 1);
    *ret = compare(&before, &after, count);
    return crew_join(crew, LIMIT_MS);
}

/* ---- wake */

static void run_sleeper(void *argument)
{
    const struct part *part = argument;
    struct board *board = part->board;

    take_part(part);
    for (unsigned i = 0; i < SAMPLES_WARM + part->samples; i++) {
        atomic_store(&board->asked, i + 1);
        part->kind->wait(&board->place);
        if (i >= SAMPLES_WARM)
            board->samples[i - SAMPLES_WARM] = (double)(clock_wall_ns() - board->set_at);
        part->kind->clear(&board->place);
    }
}

static void run_waker(void *argument)
{
    const struct part *part = argument;
    struct board *board = part->board;

    take_part(part);
    for (unsigned i = 0; i < SAMPLES_WARM + part->samples; i++) {
        uint64_t began;

        while (atomic_load(&board->asked) != i + 1)
            cpu_relax();
        began = clock_wall_ns();
        while (clock_wall_ns() - began < ASLEEP_NS)
            cpu_relax();
        board->set_at = clock_wall_ns();
        part->kind->set(&board->place);
    }
}

/* ---- their processes */

static int open_board(const struct sync_kind *kind, struct board **ret_board)
{
    struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    int status;

    if (board == MAP_FAILED)
        return -errno;
    status = kind->open(&board->place);
    if (status < 0)
        munmap(board, sizeof(*board));
    *ret_board = board;
    return status;
}

static void close_board(const struct sync_kind *kind, struct board *board)
{
    kind->close(&board->place);
    munmap(board, sizeof(*board));
}

static int start(struct crew *crew, const char *name, void (*run)(void *), const struct part *part)
{
    return crew_start(crew, name, run, part, sizeof(*part));
}

int sync_measure_alone(const struct sync_kind *kind, double *ret_ns)
{
    struct part part = { .kind = kind };
    const struct alone alone = { kind->by_shoal, measure_repeat, &part };
    int status = open_board(kind, &part.board);

    if (status < 0)
        return status;
    status = alone_run(&alone, ret_ns);
    close_board(kind, part.board);
    return status;
}

static int run_contest(struct part *part, unsigned count, int window_ms, struct sync_contested *ret)
{
    static struct crew crew;
    int cpus[2];
    bool pinned = cpu_pick_two(cpus);
    int status = 0;

    crew_open(&crew, part->kind->by_shoal);
    for (part->index = 0; part->index < count && status == 0; part->index++) {
        part->cpu = pinned ? cpus[part->index % 2] : -1;
        status = start(&crew, "a contestant", run_contestant, part);
    }
    if (status == 0)
        status = referee(&crew, part->board, count, window_ms, ret);
    if (status == 0)
        status = check_guarded(part->kind, part->board);
    crew_close(&crew);
    return status;
}

int sync_measure_contest(const struct sync_kind *kind, unsigned count, uint64_t work_ns,
                         uint64_t window_ns, struct sync_contested *ret)
{
    struct part part = { .kind = kind };
    int status = open_board(kind, &part.board);

    if (status < 0)
        return status;
    if (work_ns > 0)
        part.work_turns = work_turns_per_us() * work_ns / 1000;
    status = run_contest(&part, count, (int)(window_ns / 1000000), ret);
    close_board(kind, part.board);
    return status == 0 ? 0 : -EIO;
}

int sync_measure_wake(const struct sync_kind *kind, unsigned samples, double *ret_ns)
{
    static struct crew crew;
    struct part sleeper = { .kind = kind, .cpu = -1, .samples = samples };
    struct part waker;
    int cpus[2];
    int status = open_board(kind, &sleeper.board);

    if (status < 0)
        return status;
    waker = sleeper;
    if (cpu_pick_two(cpus)) {
        waker.cpu = cpus[0];
        sleeper.cpu = cpus[1];
    }
    crew_open(&crew, kind->by_shoal);
    status = start(&crew, "the sleeper", run_sleeper, &sleeper);
    if (status == 0)
        status = start(&crew, "the waker", run_waker, &waker);
    if (status == 0)
        status = crew_join(&crew, LIMIT_MS);
    crew_close(&crew);
    *ret_ns = median_of(sleeper.board->samples, samples);
    close_board(kind, sleeper.board);
    return status == 0 ? 0 : -EIO;
}
