#include "os/chaos.h"

#ifdef SHL_CHAOS_BUILD

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "os/futex.h"

const char *shl_mistake;

bool shl_mistake_is(const char *name)
{
    return strcmp(name, shl_mistake) == 0;
}

static _Thread_local struct shl_chaos_plan plan;

void shl_chaos_plan(const struct shl_chaos_plan *chosen)
{
    plan = *chosen;
}

static void stall(void)
{
    struct shl_futex_watch watch = { plan.released, 0 };
    /* [chaos.stall] release -> the test: everything before the point. */
    atom_store_release(plan.stalled, 1);
    shl_futex_wake(plan.stalled, 1);
    /* [chaos.stall] acquire <- the test. */
    while (atom_load_acquire(plan.released) == 0)
        shl_futex_wait(&watch, 1, UINT64_MAX);
}

/* --- chances -------------------------------------------------------------------------------- */

#define POINTS_SIZE 32
#define CHANCE_MAX 1000000000u
#define STALL_MS_MAX 60000u

struct chance {
    uint64_t times, of; /* of 0: never */
};

struct rules {
    uint64_t seed, stall_ms;
    struct chance kill, stall;
    bool all;                 /* processes that shoal has not started, too */
    char points[POINTS_SIZE]; /* a name, or its beginning and a star */
};

static bool reads(const char **at, const char *word)
{
    size_t size = strlen(word);
    bool found = strncmp(*at, word, size) == 0;
    *at += found ? size : 0;
    return found;
}

static bool reads_number(const char **at, uint64_t max, uint64_t *ret)
{
    const char *begin = *at;
    for (*ret = 0; **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*ret > (max - digit) / 10)
            return false;
        *ret = *ret * 10 + digit;
    }
    return *at > begin;
}

static bool reads_chance(const char **at, struct chance *ret)
{
    return reads_number(at, CHANCE_MAX, &ret->times) && reads(at, "/") &&
           reads_number(at, CHANCE_MAX, &ret->of) && ret->of > 0 && ret->times <= ret->of;
}

static bool reads_points(const char **at, char *ret)
{
    size_t size = strspn(*at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
    size += (*at)[size] == '*';
    if (size == 0 || size >= POINTS_SIZE)
        return false;
    memcpy(ret, *at, size);
    ret[size] = '\0';
    *at += size;
    return true;
}

static bool reads_option(const char **at, struct rules *rules)
{
    if (reads(at, "seed="))
        return reads_number(at, UINT64_MAX, &rules->seed);
    if (reads(at, "kill="))
        return reads_chance(at, &rules->kill);
    if (reads(at, "stall="))
        return reads_chance(at, &rules->stall);
    if (reads(at, "stall_ms="))
        return reads_number(at, STALL_MS_MAX, &rules->stall_ms);
    if (reads(at, "points="))
        return reads_points(at, rules->points);
    rules->all = reads(at, "who=all");
    return rules->all || reads(at, "who=started");
}

static int read_rules(struct rules *ret_rules)
{
    *ret_rules = (struct rules){ .stall_ms = 1, .points = "*" };
    const char *text = getenv("SHOAL_CHAOS");
    for (const char *at = text, *option = at; text && *text; option = at) {
        bool read = reads_option(&at, ret_rules);
        if (read && *at == '\0')
            break;
        if (!read || *at++ != ',')
            return shl_errorf(-EINVAL,
                              "SHOAL_CHAOS: cannot read \"%.*s\"; it is seed=N,kill=N/N,stall=N/N,"
                              "stall_ms=N,points=NAME or NAME*,who=started or all",
                              (int)strcspn(option, ","), option);
    }
    return 0;
}

int shl_chaos_check(void)
{
    struct rules rules;
    return read_rules(&rules);
}

static _Thread_local struct {
    struct rules rules;
    uint64_t state; /* of the random numbers */
    pid_t tid;      /* whose it is: a forked child gets a copy */
} chances;

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

void shl_chaos_begin(uint32_t slot, bool started)
{
    if (chances.tid == gettid()) /* it comes to one more segment */
        return;
    bool spared = read_rules(&chances.rules) < 0 || !(started || chances.rules.all);
    if (spared)
        chances.rules = (struct rules){ .points = "" };
    uint64_t seed = chances.rules.seed;
    chances.state = draw(&seed) ^ slot;
    chances.tid = gettid();
}

static bool strikes(struct chance chance)
{
    return chance.of > 0 && draw(&chances.state) % chance.of < chance.times;
}

static bool is_meant(const char *point)
{
    size_t size = strcspn(chances.rules.points, "*");
    bool begins = strncmp(point, chances.rules.points, size) == 0;
    return begins && (chances.rules.points[size] == '*' || point[size] == '\0');
}

static void take_chances(const char *point)
{
    const struct rules *rules = &chances.rules;
    if ((rules->kill.of == 0 && rules->stall.of == 0) || !is_meant(point))
        return;
    if (strikes(rules->kill))
        kill(getpid(), SIGKILL);
    if (strikes(rules->stall)) {
        struct timespec time = shl_clock_timespec(rules->stall_ms * SHL_NS_PER_MS);
        nanosleep(&time, NULL);
    }
}

void shl_chaos_reach(const char *point)
{
    take_chances(point);
    if (plan.action == SHL_CHAOS_NOTHING || strcmp(point, plan.point) != 0)
        return;
    if (plan.passes > 0) {
        plan.passes--;
        return;
    }
    enum shl_chaos_action action = plan.action;
    plan.action = SHL_CHAOS_NOTHING;
    if (action == SHL_CHAOS_STALL)
        stall();
    else
        kill(getpid(), action == SHL_CHAOS_KILL ? SIGKILL : SIGSTOP);
}

#endif
