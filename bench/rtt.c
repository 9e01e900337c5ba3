#include "rtt.h"

#include "crew.h"
#include "measure.h"
#include "near.h"
#include "transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIMIT_MS 20000
#define SAMPLES_MAX 60000
#define SAMPLES_SLOW 1000 /* where the kernel is called */
#define SAMPLES_ASLEEP 60
#define WARM_SHARE 10    /* a tenth as many before them do not count */
#define ASLEEP_NS 300000 /* after so long a wait sleeps, whoever's it is */

struct board {
    _Alignas(NEAR_LINE) _Atomic uint32_t ball;
    _Alignas(NEAR_LINE) double before_ns; /* written by the second, read when both ended */
    double after_ns;
    _Alignas(NEAR_LINE) uint64_t rested_ns; /* by the second, before the answer, in total */
    double samples[SAMPLES_MAX];
};

enum { THERE, BACK };

struct trip {
    const struct transport *transport;
    enum rtt_way way;
    struct board *board;
    struct channel channels[2];
    size_t samples;
    bool second;
    bool pinned;
    int cpus[2];
};

static void check(const struct trip *trip, int status, const char *what)
{
    if (status < 0)
        crew_member_fail("%s: cannot %s: %s", trip->transport->name, what, strerror(-status));
}

static void send_to(struct trip *trip, int which, uint64_t number)
{
    check(trip, trip->transport->send(&trip->channels[which], &number), "send");
}

static uint64_t receive_from(struct trip *trip, int which)
{
    uint64_t number = 0;
    if (trip->way == RTT_BUSY) {
        int status;

        while ((status = trip->transport->poll(&trip->channels[which], &number)) == 0)
            cpu_relax();
        check(trip, status, "look");
    } else {
        check(trip, trip->transport->recv(&trip->channels[which], &number), "receive");
    }
    return number;
}

static void rest(void)
{
    uint64_t began = clock_wall_ns();

    while (clock_wall_ns() - began < ASLEEP_NS)
        cpu_relax();
}

/* What looking at the clock adds to a sample. */
static double clock_cost(void)
{
    double costs[101];

    for (size_t i = 0; i < 101; i++) {
        uint64_t began = clock_wall_ns();

        costs[i] = (double)(clock_wall_ns() - began);
    }
    return median_of(costs, 101);
}

static void go_and_come(struct trip *trip)
{
    const size_t warm = trip->samples / WARM_SHARE;
    const double cost = clock_cost();

    for (size_t i = 0; i < warm + trip->samples; i++) {
        uint64_t rested = trip->board->rested_ns;
        uint64_t began;
        double ns;

        if (trip->way == RTT_ASLEEP)
            rest();
        began = clock_wall_ns();
        send_to(trip, THERE, i);
        if (receive_from(trip, BACK) != i)
            crew_member_fail("%s: another message came back", trip->transport->name);
        ns = (double)(clock_wall_ns() - began) - cost;
        if (i >= warm)
            trip->board->samples[i - warm] = ns - (double)(trip->board->rested_ns - rested);
    }
}

static void answer(struct trip *trip)
{
    for (size_t i = 0; i < trip->samples / WARM_SHARE + trip->samples; i++) {
        uint64_t number = receive_from(trip, THERE);

        if (trip->way == RTT_ASLEEP) {
            uint64_t began = clock_wall_ns();

            rest();
            trip->board->rested_ns += clock_wall_ns() - began;
        }
        send_to(trip, BACK, number);
    }
}

static void run_side(void *argument)
{
    struct trip trip = *(const struct trip *)argument;
    bool alone = !trip.pinned || trip.way == RTT_ONE_CORE;

    if (trip.pinned)
        (void)cpu_pin(trip.cpus[trip.second && trip.way != RTT_ONE_CORE]);
    if (!alone) {
        double ns = near_play(&trip.board->ball, trip.second);

        if (trip.second)
            trip.board->before_ns = ns;
    }
    if (trip.second)
        answer(&trip);
    else
        go_and_come(&trip);
    if (!alone) {
        double ns = near_play(&trip.board->ball, trip.second);

        if (trip.second)
            trip.board->after_ns = ns;
    }
}

static int run_crew(struct trip *trip)
{
    static struct crew crew;
    int status;

    crew_open(&crew, trip->transport->by_shoal);
    trip->second = true;
    status = crew_start(&crew, "who answers", run_side, trip, sizeof(*trip));
    trip->second = false;
    if (status == 0)
        status = crew_start(&crew, "who asks", run_side, trip, sizeof(*trip));
    if (status == 0)
        status = crew_join(&crew, LIMIT_MS);
    crew_close(&crew);
    return status == 0 ? 0 : -EIO;
}

static int open_both(struct trip *trip)
{
    int status = trip->transport->open(&trip->channels[THERE]);

    if (status < 0)
        return status;
    status = trip->transport->open(&trip->channels[BACK]);
    if (status < 0)
        trip->transport->close(&trip->channels[THERE]);
    return status;
}

static void close_both(struct trip *trip)
{
    trip->transport->close(&trip->channels[THERE]);
    trip->transport->close(&trip->channels[BACK]);
}

static void look_at(struct trip *trip, struct row_value *ret_value)
{
    struct board *board = trip->board;

    ret_value->far = board->before_ns > NEAR_NS || board->after_ns > NEAR_NS;
    ret_value->value = median_of(board->samples, trip->samples); /* sorts them */
    for (size_t i = 0; i < ROW_QUANTILES; i++)
        ret_value->quantiles[i] =
            board->samples[(size_t)((double)(trip->samples - 1) * row_quantiles[i] / 100)];
}

static int run_once(const struct trip *model, struct row_value *ret_value)
{
    struct trip trip = *model;
    int status;

    trip.board = mmap(NULL, sizeof(*trip.board), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (trip.board == MAP_FAILED)
        return -ENOMEM;
    status = open_both(&trip);
    if (status == 0) {
        status = run_crew(&trip);
        look_at(&trip, ret_value);
        close_both(&trip);
    }
    munmap(trip.board, sizeof(*trip.board));
    return status;
}

static size_t samples_of(enum rtt_way way, bool quick)
{
    if (way == RTT_ASLEEP)
        return quick ? SAMPLES_ASLEEP / 2 : SAMPLES_ASLEEP;
    return way == RTT_BUSY ? SAMPLES_MAX / 3 : SAMPLES_SLOW;
}

int rtt_measure(const struct row *row, const void *what, bool quick, struct row_value *ret_value)
{
    const enum rtt_way way = *(const enum rtt_way *)row->more;
    const struct channel channel = { .size = 8, .room = 8, .bulk = 1 };
    struct trip model = { .transport = what,
                          .way = way,
                          .channels = { channel, channel },
                          .samples = samples_of(way, quick) };
    struct near_tries tries = { 0 };

    model.pinned = cpu_pick_two(model.cpus);
    while (near_try(&tries, quick)) {
        int status = run_once(&model, ret_value);

        if (status < 0 || !ret_value->far)
            return status;
        tries.measured++;
    }
    return 0;
}
