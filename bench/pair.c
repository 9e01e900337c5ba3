#include "pair.h"

#include "crew.h"
#include "measure.h"
#include "near.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIMIT_MS 20000 /* a measurement that takes longer hangs */
#define LAST_MESSAGE UINT64_MAX
#define TRIES 40 /* for near */
#define TRIES_QUICK 3
#define MEASURED_MAX 4 /* of the tries that came as far as measuring */
#define WARM_NS 30000000
#define WINDOW_NS 150000000
#define WINDOW_QUICK_NS 100000000

enum { SENDER, RECEIVER };

/* What the two and their parent share. */
struct board {
    _Alignas(NEAR_LINE) _Atomic uint32_t ball; /* of the ping-pong: odd is the receiver's turn */
    _Alignas(NEAR_LINE) _Atomic uint32_t go;   /* 1 after the first probe: run; 2: give up */
    _Alignas(NEAR_LINE) _Atomic uint32_t stop; /* written by the receiver when its time is over */
    _Alignas(NEAR_LINE) double before_ns;      /* written by the receiver, read when all ended */
    double after_ns;
    double rate;
};

struct pair_plan {
    const struct transport *transport;
    const struct pair_message *message;
    uint64_t window_ns;
};

struct pair_result {
    double rate;    /* messages a second */
    double near_ns; /* round trip of a cache line, the worse look; 0: one processor */
    bool measured;  /* false: they were far, and there was another try */
};

struct stream {
    const struct pair_plan *plan;
    struct board *board;
    struct channel channel;
    char *buffer; /* of one side: messages are copied from it and into it */
    int cpus[2];
    bool pinned;
    bool only_near; /* give up at once when the processors are far */
};

static void stamp(struct stream *stream, uint64_t number)
{
    memcpy(stream->buffer, &number, sizeof(number));
    memcpy(stream->buffer + stream->channel.size - sizeof(number), &number, sizeof(number));
}

static uint64_t number_of(const struct stream *stream)
{
    uint64_t first;
    uint64_t last;

    memcpy(&first, stream->buffer, sizeof(first));
    memcpy(&last, stream->buffer + stream->channel.size - sizeof(last), sizeof(last));
    if (first != last)
        crew_member_fail("%s: a message is damaged", stream->plan->transport->name);
    return first;
}

static void send_number(struct stream *stream, uint64_t number)
{
    int status;

    stamp(stream, number);
    status = stream->plan->transport->send(&stream->channel, stream->buffer);
    if (status < 0)
        crew_member_fail("%s: cannot send: %s", stream->plan->transport->name, strerror(-status));
}

static uint64_t receive_number(struct stream *stream)
{
    int status = stream->plan->transport->recv(&stream->channel, stream->buffer);

    if (status < 0)
        crew_member_fail("%s: cannot receive: %s", stream->plan->transport->name,
                         strerror(-status));
    return number_of(stream);
}

/* @stream: the side's own copy. */
static void take_part(struct stream *stream, int side)
{
    if (stream->pinned)
        (void)cpu_pin(stream->cpus[side]);
    stream->buffer = malloc(stream->channel.size);
    if (stream->buffer == NULL)
        crew_member_fail("no memory for messages");
    memset(stream->buffer, 'x', stream->channel.size); /* no page faults later */
}

static void send_all(struct stream *stream)
{
    struct board *board = stream->board;
    uint64_t number = 0;
    uint32_t go;

    if (stream->pinned)
        near_play(&board->ball, false);
    while ((go = atomic_load_explicit(&board->go, memory_order_acquire)) == 0)
        cpu_relax();
    if (go == 2)
        return;
    while (atomic_load_explicit(&board->stop, memory_order_relaxed) == 0)
        send_number(stream, number++);
    send_number(stream, LAST_MESSAGE);
    if (stream->pinned)
        near_play(&board->ball, false);
}

static void run_sender(void *argument)
{
    struct stream stream = *(const struct stream *)argument;

    take_part(&stream, SENDER);
    send_all(&stream);
    free(stream.buffer);
}

/* Receive for @ns, checking that each message is the one after the last. Returns the rate. */
static double receive_for(struct stream *stream, uint64_t ns, uint64_t *number)
{
    uint64_t began = clock_wall_ns();
    uint64_t first = *number;
    uint64_t now;

    do {
        for (unsigned i = 0; i < stream->plan->message->check; i++) {
            uint64_t got = receive_number(stream);

            if (got != (*number)++)
                crew_member_fail("%s: message %llu came in place of %llu",
                                 stream->plan->transport->name, (unsigned long long)got,
                                 (unsigned long long)*number - 1);
        }
        now = clock_wall_ns();
    } while (now - began < ns);
    return (double)(*number - first) * 1e9 / (double)(now - began);
}

/* Every message that was sent must still come. */
static void drain(struct stream *stream, uint64_t number)
{
    uint64_t got;

    while ((got = receive_number(stream)) != LAST_MESSAGE)
        if (got != number++)
            crew_member_fail("%s: a message is lost", stream->plan->transport->name);
}

static void receive_all(struct stream *stream)
{
    struct board *board = stream->board;
    uint64_t number = 0;
    bool give_up;

    if (stream->pinned)
        board->before_ns = near_play(&board->ball, true);
    give_up = stream->only_near && board->before_ns > NEAR_NS;
    atomic_store_explicit(&board->go, give_up ? 2 : 1, memory_order_release);
    if (give_up)
        return;
    receive_for(stream, WARM_NS, &number);
    board->rate = receive_for(stream, stream->plan->window_ns, &number);
    atomic_store_explicit(&board->stop, 1, memory_order_relaxed);
    drain(stream, number);
    if (stream->pinned)
        board->after_ns = near_play(&board->ball, true);
}

static void run_receiver(void *argument)
{
    struct stream stream = *(const struct stream *)argument;

    take_part(&stream, RECEIVER);
    receive_all(&stream);
    free(stream.buffer);
}

static void *run_receiving_thread(void *argument)
{
    run_receiver(argument);
    return NULL;
}

static void run_both(void *argument)
{
    struct stream *stream = argument;
    pthread_t receiver;

    stream->plan->transport->begin(&stream->channel);
    if (pthread_create(&receiver, NULL, run_receiving_thread, stream) != 0)
        crew_member_fail("cannot start a thread");
    run_sender(stream);
    pthread_join(receiver, NULL);
}

static int start(struct crew *crew, const struct stream *stream)
{
    int status;

    if (stream->plan->transport->begin != NULL)
        return crew_start(crew, "the two threads", run_both, stream, sizeof(*stream));
    status = crew_start(crew, "the receiver", run_receiver, stream, sizeof(*stream));
    return status < 0 ? status
                      : crew_start(crew, "the sender", run_sender, stream, sizeof(*stream));
}

static int run_crew(struct stream *stream)
{
    static struct crew crew;
    int status;

    crew_open(&crew, stream->plan->transport->by_shoal);
    status = start(&crew, stream);
    if (status == 0)
        status = crew_join(&crew, LIMIT_MS);
    crew_close(&crew);
    return status == 0 ? 0 : -EIO;
}

static int run_open(struct stream *stream, struct pair_result *result)
{
    const struct board *board = stream->board;
    int status = run_crew(stream);

    result->near_ns = board->before_ns > board->after_ns ? board->before_ns : board->after_ns;
    result->rate = board->rate;
    result->measured = board->rate > 0;
    return status;
}

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static int run_once(const struct pair_plan *plan, bool only_near, struct pair_result *result)
{
    struct stream stream = { .plan = plan,
                             .only_near = only_near,
                             .channel = { .size = plan->message->size,
                                          .room = plan->message->room,
                                          .heap_kind = plan->transport->heap } };
    int status = -ENOMEM;

    stream.board = share(sizeof(*stream.board));
    stream.pinned = cpu_pick_two(stream.cpus);
    if (stream.board != NULL)
        status = plan->transport->open(&stream.channel);
    if (status == 0) {
        status = run_open(&stream, result);
        plan->transport->close(&stream.channel);
    }
    if (stream.board != NULL)
        munmap(stream.board, sizeof(*stream.board));
    return status;
}

int pair_measure(const struct row *row, const void *what, bool quick, struct row_value *ret_value)
{
    const struct pair_plan plan = { .transport = what,
                                    .message = row->more,
                                    .window_ns = quick ? WINDOW_QUICK_NS : WINDOW_NS };
    struct pair_result result = { 0 };
    int tries = quick ? TRIES_QUICK : TRIES;
    int measured = 0;
    int status = 0;

    for (int i = 1; i <= tries && measured < MEASURED_MAX; i++) {
        status = run_once(&plan, i < tries, &result);
        if (status < 0 || (result.measured && result.near_ns <= NEAR_NS))
            break;
        measured += result.measured;
    }
    ret_value->value = result.rate;
    ret_value->far = result.near_ns > NEAR_NS;
    return status;
}
