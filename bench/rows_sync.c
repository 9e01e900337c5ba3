#include "rows_sync.h"

#include "near.h"
#include "rows.h"
#include "sync_measure.h"

#define WINDOW_NS 150000000
#define WINDOW_QUICK_NS 80000000
#define SAMPLES 200
#define SAMPLES_QUICK 60

struct contest {
    unsigned processes;
    uint64_t work_ns; /* with the lock, and as long without */
};

static int measure_alone(const struct row *row, const void *what, bool quick,
                         struct row_value *ret_value)
{
    (void)row;
    (void)quick;
    return sync_measure_alone(what, &ret_value->value);
}

/* A window between two looks at how near the processors are. Sets *ret_near_ns to the worse look;
 * measures nothing if the first one says far, unless that does not matter. */
static int measure_once(const struct row *row, const void *what, bool quick, bool only_near,
                        struct sync_contested *ret, double *ret_near_ns)
{
    const struct contest *contest = row->more;
    double after_ns;
    int status;

    if (near_probe(ret_near_ns) < 0)
        return -EIO;
    if (only_near && *ret_near_ns > NEAR_NS)
        return 0;
    status = sync_measure_contest(what, contest->processes, contest->work_ns,
                                  quick ? WINDOW_QUICK_NS : WINDOW_NS, ret);
    if (status == 0 && near_probe(&after_ns) < 0)
        status = -EIO;
    if (status == 0 && after_ns > *ret_near_ns)
        *ret_near_ns = after_ns;
    return status;
}

/* One value, measured while the processors are near, if they come near within a few tries. */
static int measure_contest(const struct row *row, const void *what, bool quick,
                           struct row_value *ret_value)
{
    struct sync_contested contested = { 0 };
    double near_ns = 0;
    struct near_tries tries = { 0 };
    int status = 0;

    while (status == 0 && near_try(&tries, quick)) {
        struct sync_contested this = { 0 };

        status = measure_once(row, what, quick, !tries.last, &this, &near_ns);
        if (status < 0 || this.rate == 0)
            continue;
        contested = this;
        tries.measured++;
        if (near_ns <= NEAR_NS)
            break;
    }
    ret_value->value = contested.rate;
    ret_value->has_least_served = true;
    ret_value->least_served = contested.least_served;
    ret_value->far = near_ns > NEAR_NS;
    return status;
}

static int measure_wake(const struct row *row, const void *what, bool quick,
                        struct row_value *ret_value)
{
    (void)row;
    return sync_measure_wake(what, quick ? SAMPLES_QUICK : SAMPLES, &ret_value->value);
}

/* In each list, those that are there with --quick come first: shoal and the two best rivals. */
#define QUICK_COUNT 3
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct contender alone[] = {
    { "shoal", OURS, &lock_shoal },
    { "pthread spinlock", RIVAL, &lock_spinlock },
    { "sem_t", RIVAL, &lock_semaphore },
    { "pthread mutex", RIVAL, &lock_mutex },
    { "pthread mutex robust", RIVAL, &lock_robust },
};
static const struct contender contended[] = {
    { "shoal", OURS, &lock_shoal },          { "pthread spinlock", RIVAL, &lock_spinlock },
    { "pthread mutex", RIVAL, &lock_mutex }, { "pthread mutex robust", RIVAL, &lock_robust },
    { "sem_t", RIVAL, &lock_semaphore },
};
static const struct contender working[] = {
    { "shoal", OURS, &lock_shoal },          { "pthread mutex robust", RIVAL, &lock_robust },
    { "pthread mutex", RIVAL, &lock_mutex }, { "pthread spinlock", RIVAL, &lock_spinlock },
    { "sem_t", RIVAL, &lock_semaphore },
};
static const struct contender events[] = {
    { "shoal", OURS, &event_shoal },      { "futex word", RIVAL, &event_futex },
    { "sem_t", RIVAL, &event_semaphore }, { "pthread cond", RIVAL, &event_condition },
    { "eventfd", RIVAL, &event_eventfd },
};

static const struct contest two = { .processes = 2 };
static const struct contest four = { .processes = 4 };
static const struct contest two_working = { .processes = 2, .work_ns = 1000 };
static const struct contest four_working = { .processes = 4, .work_ns = 1000 };

#define LIST(list) .contenders = (list), .count = COUNT(list), .quick_count = QUICK_COUNT
#define NS .unit = "ns", .less_is_better = true
#define RATE .unit = "op/s"

static const struct row rows_of_sync[] = {
    { "lock uncontended, lock+unlock (ns)", NS, LIST(alone), .measure = measure_alone },
    { "lock contended, 2 processes (op/s)", RATE, LIST(contended), .measure = measure_contest,
      .more = &two },
    { "lock contended, 4 processes (op/s)", RATE, LIST(contended), .measure = measure_contest,
      .more = &four },
    { "lock 1 us inside, 1 us outside, 2 processes (op/s)", RATE, LIST(working),
      .measure = measure_contest, .more = &two_working },
    { "lock 1 us inside, 1 us outside, 4 processes (op/s)", RATE, LIST(working),
      .measure = measure_contest, .more = &four_working },
    { "event set+wait in one process, nobody asleep (ns)", NS, LIST(events),
      .measure = measure_alone },
    { "event wake of a sleeper, latency p50 (ns)", NS, LIST(events), .measure = measure_wake },
};

int rows_sync_run(bool quick, bool rows)
{
    int status = 0;

    for (size_t i = 0; i < COUNT(rows_of_sync) && status == 0; i++)
        status = row_run(&rows_of_sync[i], quick, rows);
    return status;
}
