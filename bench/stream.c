#include "stream.h"

#include "crew.h"
#include "measure.h"
#include "near.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIMIT_MS 20000 /* a measurement that takes longer hangs */
#define LAST_MESSAGE UINT64_MAX
#define SENDER_SHIFT 48 /* a message is its sender's index above its number */
#define WARM_MS 15
#define WARM_MOST_MS 300
#define WARM_COUNT \
    256 /* messages; and twice as many as are in flight: all memory was touched then */
#define WINDOW_MS 50
#define DRAIN_MS 500 /* a rival that takes longer for what is left has collapsed: see referee() */
#define LOOK_EVERY_MS 2

enum { SENDER, RECEIVER };
enum { WAIT, RUN, GIVE_UP };

/* Of one process; written by it alone. */
struct seat {
    _Alignas(NEAR_LINE) _Atomic uint64_t count; /* of messages, so far */
    uint64_t sum;                               /* of their numbers, at the end */
};

/* What they and their parent share. */
struct board {
    _Alignas(NEAR_LINE) _Atomic uint32_t ball;  /* of the ping-pong: odd is the receiver's turn */
    _Alignas(NEAR_LINE) _Atomic uint32_t go;    /* RUN or GIVE_UP after the first probe */
    _Alignas(NEAR_LINE) _Atomic uint32_t stop;  /* written by the parent when their time is over */
    _Alignas(NEAR_LINE) _Atomic uint32_t ended; /* processes other than the first pair's */
    _Alignas(NEAR_LINE) double before_ns;       /* written by the first receiver, read at the end */
    double after_ns;
    struct seat seats[2][STREAM_PAIRS_MAX];
};

struct stream {
    const struct transport *transport;
    int window_ms;
    struct board *board;
    struct channel channel;
    unsigned pairs;
    unsigned index; /* of this one among the senders or receivers */
    bool pinned;
    bool only_near; /* give up at once when the processors are far */
    int cpus[2];
    char *buffer;                    /* of one side: messages are copied from it and into it */
    uint64_t bulk[STREAM_BULK_MAX];  /* instead, where several are moved by a call */
    uint64_t next[STREAM_PAIRS_MAX]; /* the least number that may still come from each sender */
    uint64_t count;
    uint64_t sum;
    unsigned lasts; /* last messages that were received */
};

static void check(const struct stream *stream, int status, const char *what)
{
    if (status < 0)
        crew_member_fail("%s: cannot %s: %s", stream->transport->name, what, strerror(-status));
}

/* ---- sending */

static void send_number(struct stream *stream, uint64_t number)
{
    char *buffer = stream->buffer;

    memcpy(buffer, &number, sizeof(number));
    memcpy(buffer + stream->channel.size - sizeof(number), &number, sizeof(number));
    check(stream, stream->transport->send(&stream->channel, buffer), "send");
}

static void send_numbers(struct stream *stream, uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        stream->bulk[i] = first == LAST_MESSAGE ? first : first + i;
    check(stream, stream->transport->send_many(&stream->channel, stream->bulk, count), "send");
}

static void send_some(struct stream *stream, uint64_t first, unsigned count)
{
    if (stream->channel.bulk > 1)
        send_numbers(stream, first, count);
    else
        send_number(stream, first);
}

static void send_all(struct stream *stream)
{
    const uint64_t first = (uint64_t)stream->index << SENDER_SHIFT;

    while (atomic_load_explicit(&stream->board->stop, memory_order_relaxed) == 0) {
        send_some(stream, first + stream->count, stream->channel.bulk);
        stream->count += stream->channel.bulk;
    }
    stream->sum = stream->count * (stream->count - 1) / 2;
    send_some(stream, LAST_MESSAGE, 1);
}

/* ---- receiving */

static void take_number(struct stream *stream, uint64_t got)
{
    const uint64_t sender = got >> SENDER_SHIFT;
    const uint64_t number = got & ((UINT64_C(1) << SENDER_SHIFT) - 1);

    if (got == LAST_MESSAGE) {
        stream->lasts++;
        return;
    }
    if (sender >= stream->pairs || number < stream->next[sender])
        crew_member_fail("%s: message %llx came twice, or was overtaken", stream->transport->name,
                         (unsigned long long)got);
    stream->next[sender] = number + 1;
    stream->count++;
    stream->sum += number;
}

static void receive_number(struct stream *stream)
{
    uint64_t first;
    uint64_t last;

    check(stream, stream->transport->recv(&stream->channel, stream->buffer), "receive");
    memcpy(&first, stream->buffer, sizeof(first));
    memcpy(&last, stream->buffer + stream->channel.size - sizeof(last), sizeof(last));
    if (first != last)
        crew_member_fail("%s: a message is damaged", stream->transport->name);
    take_number(stream, first);
}

static void receive_numbers(struct stream *stream)
{
    int got = stream->transport->recv_many(&stream->channel, stream->bulk, stream->channel.bulk);

    check(stream, got, "receive");
    for (int i = 0; i < got; i++)
        take_number(stream, stream->bulk[i]);
}

/* There is a last message for each receiver: who took several by one call gives the others back. */
static void receive_all(struct stream *stream)
{
    struct seat *seat = &stream->board->seats[RECEIVER][stream->index];

    while (stream->lasts == 0) {
        if (stream->channel.bulk > 1)
            receive_numbers(stream);
        else
            receive_number(stream);
        atomic_store_explicit(&seat->count, stream->count, memory_order_relaxed);
    }
    for (; stream->lasts > 1; stream->lasts--)
        send_some(stream, LAST_MESSAGE, 1);
}

/* ---- their processes */

/* @stream: the side's own copy. */
static void take_part(struct stream *stream, int side)
{
    if (stream->pinned)
        (void)cpu_pin(stream->cpus[((unsigned)side + stream->index) % 2]);
    stream->buffer = malloc(stream->channel.size);
    if (stream->buffer == NULL)
        crew_member_fail("no memory for messages");
    memset(stream->buffer, 'x', stream->channel.size); /* no page faults later */
}

/* Only the first pair spins before all begin, or its look at the processors would be disturbed. */
static bool await_go(struct stream *stream, int side)
{
    struct board *board = stream->board;
    uint32_t go;

    if (stream->index == 0 && stream->pinned && side == SENDER)
        near_play(&board->ball, false);
    if (stream->index == 0 && side == RECEIVER) {
        if (stream->pinned)
            board->before_ns = near_play(&board->ball, true);
        go = stream->only_near && board->before_ns > NEAR_NS ? GIVE_UP : RUN;
        atomic_store_explicit(&board->go, go, memory_order_release);
    }
    while ((go = atomic_load_explicit(&board->go, memory_order_acquire)) == WAIT)
        if (stream->index == 0)
            cpu_relax();
        else
            poll(NULL, 0, 1);
    return go == RUN;
}

static void look_again(struct stream *stream, int side)
{
    struct board *board = stream->board;
    double ns;

    if (stream->index != 0) {
        atomic_fetch_add(&board->ended, 1);
        return;
    }
    while (atomic_load(&board->ended) < 2 * (stream->pairs - 1))
        poll(NULL, 0, 1);
    if (!stream->pinned)
        return;
    ns = near_play(&board->ball, side == RECEIVER);
    if (side == RECEIVER)
        board->after_ns = ns;
}

static void run_side(struct stream stream, int side)
{
    struct seat *seat = &stream.board->seats[side][stream.index];

    take_part(&stream, side);
    if (await_go(&stream, side)) {
        if (side == SENDER)
            send_all(&stream);
        else
            receive_all(&stream);
        seat->count = stream.count;
        seat->sum = stream.sum;
        look_again(&stream, side);
    }
    free(stream.buffer);
}

static void run_sender(void *argument)
{
    run_side(*(const struct stream *)argument, SENDER);
}

static void run_receiver(void *argument)
{
    run_side(*(const struct stream *)argument, RECEIVER);
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

    stream->transport->begin(&stream->channel);
    if (pthread_create(&receiver, NULL, run_receiving_thread, stream) != 0)
        crew_member_fail("cannot start a thread");
    run_sender(stream);
    pthread_join(receiver, NULL);
}

static int start(struct crew *crew, struct stream *stream)
{
    int status = 0;

    if (stream->transport->begin != NULL)
        return crew_start(crew, "the two threads", run_both, stream, sizeof(*stream));
    for (stream->index = 0; stream->index < stream->pairs && status == 0; stream->index++) {
        status = crew_start(crew, "a receiver", run_receiver, stream, sizeof(*stream));
        if (status == 0)
            status = crew_start(crew, "a sender", run_sender, stream, sizeof(*stream));
    }
    return status;
}

/* Did all arrive that were sent, and nothing else? */
static int check_sums(const struct stream *stream)
{
    uint64_t counts[2] = { 0, 0 };
    uint64_t sums[2] = { 0, 0 };

    for (int side = SENDER; side <= RECEIVER; side++)
        for (unsigned i = 0; i < stream->pairs; i++) {
            counts[side] += stream->board->seats[side][i].count;
            sums[side] += stream->board->seats[side][i].sum;
        }
    if (counts[SENDER] == counts[RECEIVER] && sums[SENDER] == sums[RECEIVER])
        return 0;
    fprintf(stderr, "shoal-bench: %s: %llu messages were sent and %llu received\n",
            stream->transport->name, (unsigned long long)counts[SENDER],
            (unsigned long long)counts[RECEIVER]);
    return -1;
}

struct score {
    uint64_t at_ns;
    uint64_t counts[STREAM_PAIRS_MAX];
};

static struct score look(const struct stream *stream)
{
    struct score score = { .at_ns = clock_wall_ns() };

    for (unsigned i = 0; i < stream->pairs; i++)
        score.counts[i] = atomic_load_explicit(&stream->board->seats[RECEIVER][i].count,
                                               memory_order_relaxed);
    return score;
}

static void compare(const struct score *before, const struct score *after, unsigned pairs,
                    struct row_value *ret_value)
{
    uint64_t least = UINT64_MAX;
    uint64_t all = 0;

    for (unsigned i = 0; i < pairs; i++) {
        uint64_t got = after->counts[i] - before->counts[i];

        all += got;
        least = got < least ? got : least;
    }
    ret_value->value = (double)all * 1e9 / (double)(after->at_ns - before->at_ns);
    ret_value->has_least_served = pairs > 1;
    ret_value->least_served = all == 0 ? 0 : 100.0 * (double)least * pairs / (double)all;
}

static uint64_t sum_of(const struct score *score, unsigned pairs)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < pairs; i++)
        sum += score->counts[i];
    return sum;
}

static enum crew_state warm_up(struct crew *crew, const struct stream *stream)
{
    const uint64_t wanted = WARM_COUNT + 2 * channel_capacity(&stream->channel);
    enum crew_state state;
    struct score score;
    int waited_ms = 0;

    do {
        state = crew_look(crew, WARM_MS);
        waited_ms += WARM_MS;
        score = look(stream);
    } while (state == CREW_RUNS && waited_ms < WARM_MOST_MS &&
             sum_of(&score, stream->pairs) < wanted);
    return state;
}

/*
 * Begins when the first pair has looked at the processors. In some rivals all wait for the next
 * step of one who does not run; then it would take long until all messages have arrived, and
 * what is not there after a while is not waited for. Of shoal they must all arrive.
 */
static int referee(struct crew *crew, const struct stream *stream, struct row_value *ret_value)
{
    struct board *board = stream->board;
    struct score before;
    struct score after;

    while (atomic_load(&board->go) == WAIT)
        if (crew_look(crew, LOOK_EVERY_MS) == CREW_FAILED)
            return -1;
    if (atomic_load(&board->go) == GIVE_UP)
        return crew_join(crew, LIMIT_MS);
    if (warm_up(crew, stream) == CREW_FAILED)
        return -1;
    before = look(stream);
    if (crew_look(crew, stream->window_ms) == CREW_FAILED)
        return -1;
    after = look(stream);
    atomic_store(&board->stop, 1);
    compare(&before, &after, stream->pairs, ret_value);
    if (!stream->transport->by_shoal && crew_watch(crew, DRAIN_MS) == CREW_RUNS)
        return 0;
    return crew_join(crew, LIMIT_MS) == 0 ? check_sums(stream) : -1;
}

static int run_crew(struct stream *stream, struct row_value *ret_value)
{
    static struct crew crew;
    int status;

    crew_open(&crew, stream->transport->by_shoal);
    status = start(&crew, stream);
    if (status == 0)
        status = referee(&crew, stream, ret_value);
    crew_close(&crew);
    return status == 0 ? 0 : -EIO;
}

/* ---- measuring */

/* Returns 1 when something was measured, 0 when they were far at first, -errno. */
static int run_once(const struct stream *model, bool only_near, struct row_value *ret_value)
{
    struct stream stream = *model;
    int status;

    stream.only_near = only_near;
    stream.board = mmap(NULL, sizeof(*stream.board), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (stream.board == MAP_FAILED)
        return -ENOMEM;
    status = stream.transport->open(&stream.channel);
    if (status == 0) {
        status = run_crew(&stream, ret_value);
        ret_value->far = stream.board->before_ns > NEAR_NS || stream.board->after_ns > NEAR_NS;
        if (status == 0)
            status = atomic_load(&stream.board->go) == RUN;
        stream.transport->close(&stream.channel);
    }
    munmap(stream.board, sizeof(*stream.board));
    return status;
}

static struct stream model_of(const struct transport *transport,
                              const struct stream_message *message)
{
    struct stream stream = { .transport = transport,
                             .pairs = message->pairs > 0 ? message->pairs : 1 };

    stream.window_ms = stream.pairs > 2 ? (int)stream.pairs * WINDOW_MS / 2 : WINDOW_MS;
    stream.channel = (struct channel){ .size = message->size,
                                       .room = message->room,
                                       .capacity = message->capacity,
                                       .bulk = message->bulk > 0 ? message->bulk : 1,
                                       .crowded = stream.pairs > 1,
                                       .heap_kind = transport->heap };
    stream.pinned = cpu_pick_two(stream.cpus);
    return stream;
}

int stream_measure(const struct row *row, const void *what, bool quick, struct row_value *ret_value)
{
    const struct stream model = model_of(what, row->more);
    struct near_tries tries = { 0 };

    while (near_try(&tries, quick)) {
        int status = run_once(&model, !tries.last, ret_value);

        if (status < 0)
            return status;
        if (status == 1 && !ret_value->far)
            break;
        tries.measured += (unsigned)status;
    }
    return 0;
}
