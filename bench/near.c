#include "near.h"

#include "crew.h"
#include "measure.h"

#include <stdio.h>
#include <sys/mman.h>

#define TRIPS 3000
#define LIMIT_MS 5000
#define TRIES 40
#define TRIES_QUICK 3
#define MEASURED_MAX 4 /* tries that came as far as measuring */
#define WASTED_MAX_NS (60 * UINT64_C(1000000000))

/* The ball is in the second's court when it is odd. */
static double play(_Atomic uint32_t *ball, bool second, uint32_t trips)
{
    uint64_t began = clock_wall_ns();

    for (uint32_t trip = 0; trip < trips; trip++) {
        while (atomic_load_explicit(ball, memory_order_acquire) % 2 != second)
            cpu_relax();
        atomic_fetch_add_explicit(ball, 1, memory_order_release);
    }
    return (double)(clock_wall_ns() - began) / trips;
}

/* The first few trips, until both are there, do not count. */
double near_play(_Atomic uint32_t *ball, bool second)
{
    play(ball, second, 10);
    return play(ball, second, TRIPS);
}

struct court {
    _Alignas(NEAR_LINE) _Atomic uint32_t ball;
    _Alignas(NEAR_LINE) double ns; /* written by the second, read when both ended */
};

struct player {
    struct court *court;
    bool second;
    int cpu;
};

static void run_player(void *argument)
{
    const struct player *player = argument;
    double ns;

    (void)cpu_pin(player->cpu);
    ns = near_play(&player->court->ball, player->second);
    if (player->second)
        player->court->ns = ns;
}

static int run_players(struct court *court, const int cpus[2])
{
    static struct crew crew;
    struct player first = { court, false, cpus[0] };
    struct player second = { court, true, cpus[1] };
    int status;

    crew_open(&crew, false);
    status = crew_start(&crew, "the probe", run_player, &first, sizeof(first));
    if (status == 0)
        status = crew_start(&crew, "the other probe", run_player, &second, sizeof(second));
    if (status == 0)
        status = crew_join(&crew, LIMIT_MS);
    crew_close(&crew);
    return status;
}

int near_probe(double *ret_ns)
{
    struct court *court;
    int cpus[2];
    int status;

    *ret_ns = 0;
    if (!cpu_pick_two(cpus))
        return 0;
    court = mmap(NULL, sizeof(*court), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (court == MAP_FAILED) {
        fprintf(stderr, "shoal-bench: no memory for the probe\n");
        return -1;
    }
    status = run_players(court, cpus);
    *ret_ns = court->ns;
    munmap(court, sizeof(*court));
    return status;
}

bool near_try(struct near_tries *tries, bool quick)
{
    static uint64_t wasted_ns; /* in this run */
    const uint64_t now = clock_wall_ns();

    if (tries->count > 0)
        wasted_ns += now - tries->began_ns;
    if (tries->last || tries->measured == MEASURED_MAX)
        return false;
    tries->began_ns = now;
    tries->count++;
    tries->last = tries->count >= (quick || wasted_ns > WASTED_MAX_NS ? TRIES_QUICK : TRIES);
    return true;
}
