#include "pipeline.h"

#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_FLIGHT 64 /* records */
#define PIPE_SIZE (1 << 20)
#define RECORD_ROOM (sizeof(struct record) + RECORD_SIZE_MAX)

/* ---- shoal: a record is a payload; nobody copies it */

static int open_queue(struct link *link)
{
    const shoal_queue_options options = { .capacity_count = IN_FLIGHT };

    return shoal_queue_create(&options, &link->queue);
}

static void close_queue(struct link *link)
{
    shoal_queue_destroy(link->queue);
}

static struct record *alloc_payload(struct link *link, size_t size)
{
    struct record *record = shoal_alloc(sizeof(*record) + size);

    (void)link;
    if (record == NULL)
        crew_member_fail("shoal: %s", shoal_error_message());
    return record;
}

static void put_payload(struct link *link, struct record *record)
{
    if (shoal_queue_put(link->queue, record, SHOAL_FOREVER) < 0)
        crew_member_fail("shoal: %s", shoal_error_message());
}

static struct record *get_payload(struct link *link)
{
    void *record;

    if (shoal_queue_get(link->queue, &record, SHOAL_FOREVER) < 0)
        crew_member_fail("shoal: %s", shoal_error_message());
    return record;
}

static void free_payload(struct record *record)
{
    shoal_free(record);
}

const struct carrier carrier_shoal = { .name = "shoal",
                                       .by_shoal = true,
                                       .open = open_queue,
                                       .close = close_queue,
                                       .alloc = alloc_payload,
                                       .put = put_payload,
                                       .get = get_payload,
                                       .release = free_payload };

/* ---- pipe(2): a process has one buffer for each link, and allocates nothing for a record */

static int open_pipe(struct link *link)
{
    if (pipe2(link->fds, O_CLOEXEC) < 0)
        return -errno;
    (void)fcntl(link->fds[1], F_SETPIPE_SZ, PIPE_SIZE); /* else it keeps its 64 KiB */
    return 0;
}

static void close_pipe(struct link *link)
{
    close(link->fds[0]);
    close(link->fds[1]);
    free(link->buffer);
}

static struct record *take_buffer(struct link *link, size_t size)
{
    (void)size;
    if (link->buffer == NULL)
        link->buffer = malloc(RECORD_ROOM);
    if (link->buffer == NULL)
        crew_member_fail("pipe: no memory");
    return link->buffer;
}

static void write_record(struct link *link, struct record *record)
{
    const char *at = (const char *)record;
    size_t left = sizeof(*record) + record->size;

    while (left > 0) {
        ssize_t done = write(link->fds[1], at, left);

        if (done < 0 && errno != EINTR)
            crew_member_fail("pipe: %s", strerror(errno));
        at += done > 0 ? done : 0;
        left -= done > 0 ? (size_t)done : 0;
    }
}

static void read_bytes(struct link *link, void *bytes, size_t left)
{
    char *at = bytes;

    while (left > 0) {
        ssize_t got = read(link->fds[0], at, left);

        if (got == 0 || (got < 0 && errno != EINTR))
            crew_member_fail("pipe: it ended");
        at += got > 0 ? got : 0;
        left -= got > 0 ? (size_t)got : 0;
    }
}

static struct record *read_record(struct link *link)
{
    struct record *record = take_buffer(link, RECORD_SIZE_MAX);

    read_bytes(link, record, sizeof(*record));
    if (record->size > RECORD_SIZE_MAX)
        crew_member_fail("pipe: a record is damaged");
    read_bytes(link, record->bytes, record->size);
    return record;
}

static void keep_buffer(struct record *record)
{
    (void)record;
}

const struct carrier carrier_pipe = { .name = "pipe",
                                      .open = open_pipe,
                                      .close = close_pipe,
                                      .alloc = take_buffer,
                                      .put = write_record,
                                      .get = read_record,
                                      .release = keep_buffer };

/* ---- threads: a record is malloc's, and only its address is handed on */

static int open_items(struct link *link)
{
    mutex_queue_open(&link->items, IN_FLIGHT);
    return 0;
}

static void close_items(struct link *link)
{
    mutex_queue_close(&link->items);
}

static struct record *alloc_record(struct link *link, size_t size)
{
    struct record *record = malloc(sizeof(*record) + size);

    (void)link;
    if (record == NULL)
        crew_member_fail("threads: no memory");
    return record;
}

static void put_record(struct link *link, struct record *record)
{
    mutex_queue_put(&link->items, record);
}

static struct record *get_record(struct link *link)
{
    return mutex_queue_get(&link->items);
}

static void free_record(struct record *record)
{
    free(record);
}

const struct carrier carrier_thread = { .name = "threads, mutex queue",
                                        .has_threads = true,
                                        .open = open_items,
                                        .close = close_items,
                                        .alloc = alloc_record,
                                        .put = put_record,
                                        .get = get_record,
                                        .release = free_record };
