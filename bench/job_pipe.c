/*
 * Over pipe(2): text chunks and tables are written into pipes and read out of them.
 *
 * Each counting process has a pipe for its chunks and one for its tables, of 1 MiB each: one pipe
 * for all would have to be locked, since only PIPE_BUF bytes are written in one piece. The reader
 * deals the chunks to whichever pipe has room, in turn. A table travels without the free middle of
 * its block. Nothing is allocated for a message: each side uses one buffer again and again.
 */
#include "crew.h"
#include "job.h"
#include "measure.h"
#include "reader.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)
#define LOOK_EVERY_MS 100

enum { OUT, IN }; /* as pipe(2) numbers its ends: read, write */

struct plan {
    const struct corpus *corpus;
    unsigned workers;
    unsigned me;                      /* the index of a counting process */
    int chunks[WORKERS_MAX][2];       /* reader to counting process */
    int tables[WORKERS_MAX + 1][2];   /* to the reducer; the last one is the reader's */
    bool table_done[WORKERS_MAX + 1]; /* its last message has arrived */
};

static struct hand_timer hand; /* of this process */

/* Write two pieces wholly. Returns 0 or -errno. */
static int write_all(int fd, struct iovec *pieces, int count)
{
    while (count > 0) {
        ssize_t done = writev(fd, pieces, count);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        for (; count > 0 && (size_t)done >= pieces->iov_len; pieces++, count--)
            done -= (ssize_t)pieces->iov_len;
        if (count > 0) {
            pieces->iov_base = (char *)pieces->iov_base + done;
            pieces->iov_len -= (size_t)done;
        }
    }
    return 0;
}

/* Returns 1 when @size bytes were read, 0 at the end of the pipe, -errno. */
static int read_all(int fd, void *data, size_t size)
{
    char *at = data;

    while (size > 0) {
        ssize_t got = read(fd, at, size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        at += got;
        size -= (size_t)got;
    }
    return 1;
}

static int send_counts(int fd, const struct counts *counts, size_t size)
{
    char *block = (char *)(uintptr_t)counts;
    struct iovec pieces[2] = { { block, counts_front(counts) },
                               { block + size - counts->text_size, counts->text_size } };
    int status;

    hand_begin(&hand);
    status = write_all(fd, pieces, 2);
    hand_end(&hand);
    return status;
}

static void send_last(int fd)
{
    const size_t size = sizeof(struct counts) + WORD_SLACK;
    struct counts *last = malloc(size);

    if (last == NULL)
        crew_member_fail("no memory for a message");
    job_fill_last(last, hand_total_ns(&hand));
    if (send_counts(fd, last, size) < 0)
        _exit(1); /* the reducer is gone */
}

/* Close what is not this process's, so that the end of one process is the end of its pipes. */
static void keep_ends(const struct plan *plan, unsigned me)
{
    signal(SIGPIPE, SIG_IGN); /* EPIPE says it, too, and can be reported */
    for (unsigned i = 0; i <= plan->workers; i++) {
        close(plan->tables[i][OUT]);
        if (i != me)
            close(plan->tables[i][IN]);
        if (i == plan->workers)
            continue;
        if (i != me)
            close(plan->chunks[i][OUT]);
        if (me != plan->workers)
            close(plan->chunks[i][IN]);
    }
}

/* The next counting process in turn whose pipe is not full; waits while all are. */
static unsigned choose_worker(const struct plan *plan, unsigned turn)
{
    struct pollfd ends[WORKERS_MAX];

    for (unsigned i = 0; i < plan->workers; i++)
        ends[i] = (struct pollfd){ plan->chunks[i][IN], POLLOUT, 0 };
    if (poll(ends, plan->workers, -1) < 0)
        /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): there is at least one worker */
        return turn % plan->workers;
    for (unsigned i = turn; i < turn + plan->workers; i++)
        if (ends[i % plan->workers].revents != 0)
            return i % plan->workers;
    /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): there is at least one worker */
    return turn % plan->workers;
}

static void send_chunk(const struct plan *plan, unsigned *turn, struct chunk *chunk)
{
    struct iovec piece = { chunk, sizeof(*chunk) + chunk->len };
    unsigned worker;
    int status;

    hand_begin(&hand);
    worker = choose_worker(plan, *turn);
    status = write_all(plan->chunks[worker][IN], &piece, 1);
    hand_end(&hand);
    *turn = worker + 1;
    if (status < 0)
        _exit(1); /* that process is gone, which the reducer reports */
}

static void run_reader(void *argument)
{
    const struct plan *plan = argument;
    struct chunk *chunk = malloc(CHUNK_SIZE);
    struct reader reader;
    unsigned turn = 0;
    int more;

    if (chunk == NULL)
        crew_member_fail("no memory for a chunk");
    keep_ends(plan, plan->workers);
    reader_open(&reader, plan->corpus);
    while ((more = reader_fill(&reader, chunk)) == 1)
        send_chunk(plan, &turn, chunk);
    if (more < 0)
        crew_member_fail("the reader gives up");
    for (unsigned i = 0; i < plan->workers; i++)
        close(plan->chunks[i][IN]);
    send_last(plan->tables[plan->workers][IN]);
}

/* Returns 1, 0 at the end, -errno. */
static int receive_chunk(int fd, struct chunk *chunk)
{
    int status;

    hand_begin(&hand);
    status = read_all(fd, chunk, sizeof(*chunk));
    if (status == 1 && chunk->len > CHUNK_TEXT_MAX)
        status = -EUCLEAN;
    if (status == 1)
        status = read_all(fd, chunk->text, chunk->len);
    hand_end(&hand);
    return status;
}

static void run_worker(void *argument)
{
    const struct plan *plan = argument;
    struct chunk *chunk = malloc(CHUNK_SIZE);
    struct table table;
    int status;

    keep_ends(plan, plan->me);
    if (chunk == NULL || !table_open(&table, &store_heap, TABLE_SIZE_FIRST))
        crew_member_fail("no memory for a chunk and an index");
    while ((status = receive_chunk(plan->chunks[plan->me][OUT], chunk)) == 1) {
        if (!table_begin(&table) || !table_count(&table, chunk))
            crew_member_fail("no memory for a table");
        if (send_counts(plan->tables[plan->me][IN], table.counts, table.size) < 0)
            _exit(1); /* the reducer is gone */
    }
    if (status < 0)
        crew_member_fail("the pipe of chunks is broken");
    send_last(plan->tables[plan->me][IN]);
}

/* The rest of a table whose head has been read. @block holds it, and grows as needed. */
static int receive_rest(int fd, const struct counts *head, struct counts **block, size_t *room)
{
    size_t size = counts_front(head) + head->text_size;

    if (*block == NULL || size > *room) {
        struct counts *larger = realloc(*block, size);

        if (larger == NULL)
            return -ENOMEM;
        *block = larger;
        *room = size;
    }
    **block = *head;
    return read_all(fd, *block + 1, size - sizeof(*head));
}

/* Read one table from a pipe that has one, and add it. Returns 0 or -1. */
static int reduce_one(struct plan *plan, unsigned from, struct counts **block, size_t *room,
                      struct job_output *output)
{
    struct counts head;
    int status;

    hand_begin(&hand);
    status = read_all(plan->tables[from][OUT], &head, sizeof(head));
    if (status == 1)
        status = receive_rest(plan->tables[from][OUT], &head, block, room);
    hand_end(&hand);
    if (status != 1)
        return -1;
    plan->table_done[from] = head.last != 0;
    return job_reduce(output, *block, counts_front(*block) + (*block)->text_size);
}

/* Wait for tables. Returns how many pipes are ready, or -1 when somebody died. */
static int await_tables(struct crew *crew, const struct plan *plan, struct pollfd *ends)
{
    int ready;

    for (unsigned i = 0; i <= plan->workers; i++)
        ends[i] = (struct pollfd){ plan->table_done[i] ? -1 : plan->tables[i][OUT], POLLIN, 0 };
    ready = poll(ends, plan->workers + 1, LOOK_EVERY_MS);
    if (ready <= 0 && crew_look(crew, 0) == CREW_FAILED)
        return -1;
    return ready < 0 ? 0 : ready;
}

static int reduce_ready(struct plan *plan, const struct pollfd *ends, unsigned *lasts,
                        struct job_output *output)
{
    static struct counts *block;
    static size_t room;

    for (unsigned i = 0; i <= plan->workers; i++) {
        if (ends[i].revents == 0)
            continue;
        if (reduce_one(plan, i, &block, &room, output) < 0)
            return -1;
        *lasts += plan->table_done[i];
    }
    return 0;
}

static int reduce_all(struct crew *crew, struct plan *plan, struct job_output *output)
{
    struct pollfd ends[WORKERS_MAX + 1];
    unsigned lasts = 0;

    while (lasts <= plan->workers) {
        int ready = await_tables(crew, plan, ends);

        if (ready < 0)
            return -1;
        if (ready > 0 && reduce_ready(plan, ends, &lasts, output) < 0) {
            crew_look(crew, 1000); /* a pipe ended early: say whose */
            return -1;
        }
    }
    return crew_join(crew, 10000);
}

static int start_all(struct crew *crew, struct plan *plan)
{
    char name[32];

    if (crew_start(crew, "the reader", run_reader, plan, sizeof(*plan)) < 0)
        return -1;
    for (unsigned i = 0; i < plan->workers; i++) {
        plan->me = i;
        job_worker_name(name, sizeof(name), i);
        if (crew_start(crew, name, run_worker, plan, sizeof(*plan)) < 0)
            return -1;
    }
    return 0;
}

static int open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0) {
        fprintf(stderr, "shoal-bench: no pipe: %s\n", strerror(errno));
        return -1;
    }
    (void)fcntl(ends[IN], F_SETPIPE_SZ, PIPE_SIZE); /* else it keeps its 64 KiB */
    return 0;
}

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

static void close_ends(struct plan *plan, int which_tables)
{
    for (unsigned i = 0; i <= plan->workers; i++) {
        close_end(&plan->tables[i][which_tables]);
        if (i < plan->workers) {
            close_end(&plan->chunks[i][IN]);
            close_end(&plan->chunks[i][OUT]);
        }
    }
}

static int open_plan(struct plan *plan, const struct job_input *input)
{
    int status = 0;

    memset(plan, 0xff, sizeof(*plan));
    memset(plan->table_done, 0, sizeof(plan->table_done));
    plan->corpus = input->corpus;
    plan->workers = input->workers;
    for (unsigned i = 0; i <= plan->workers && status == 0; i++) {
        status = open_pipe(plan->tables[i]);
        if (status == 0 && i < plan->workers)
            status = open_pipe(plan->chunks[i]);
    }
    return status;
}

static int run(const struct job_input *input, struct job_output *output)
{
    static struct plan plan;
    static struct crew crew;
    int status;

    hand = (struct hand_timer){ 0 };
    crew_open(&crew, false);
    status = open_plan(&plan, input);
    if (status == 0)
        status = start_all(&crew, &plan);
    close_ends(&plan, IN);
    if (status == 0)
        status = reduce_all(&crew, &plan, output);
    crew_close(&crew);
    close_ends(&plan, OUT);
    output->hand_ns += hand_total_ns(&hand);
    return status;
}

const struct job job_pipe = { "pipe", run };
