/*
 * What the rivals' rings have in common, written once: the memory that they share, and waiting,
 * which none of them does by itself.
 *
 * Messages of 8 B, 64 B and 1 KiB are items of a ring, copied in and out by it. Larger ones lie in
 * a pool of blocks, whose numbers go one way through the ring and come back through another, as
 * users of these libraries do it.
 *
 * Everything is inlined into the rival's own send and recv.
 */
#ifndef BENCH_RIVAL_RINGS_H
#define BENCH_RIVAL_RINGS_H

#include "measure.h"
#include "transport.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ITEM_SIZE_MAX 1024 /* of an item of a ring */
#define RINGS_INLINE static inline __attribute__((always_inline))

struct rival_rings {
    void *there;  /* items, or the numbers of blocks with messages in them */
    void *back;   /* the numbers of free blocks */
    char *blocks; /* of channel->room bytes */
    size_t size;  /* of all this */
};

/* A kind of ring. Items have 8, 64 or 1024 bytes; a capacity is a power of two. */
struct ring_kind {
    size_t (*bytes)(size_t item_size, size_t capacity); /* of memory; 0: it cannot be made */
    void (*init)(void *ring, size_t item_size, size_t capacity);
    bool (*put)(void *ring, const void *item, size_t item_size); /* false: it is full */
    bool (*get)(void *ring, void *item, size_t item_size);       /* false: it is empty */
    /* Those of 8 bytes, as many as there is room for. */
    unsigned (*put_many)(void *ring, const uint64_t *items, unsigned count);
    unsigned (*get_many)(void *ring, uint64_t *items, unsigned count);
    size_t capacity; /* of items of 8 bytes, that is best for it */
};

/*
 * How a rival waits: so many pauses before it looks again, and after so many looks it lets others
 * run. To look for a better wait on another machine, build with -DRINGS_PAUSES=N. With more
 * processes than processors who finds nothing lets others run at once, as the one who could give
 * him something may be among them.
 */
#ifndef RINGS_PAUSES
#define RINGS_PAUSES 128
#endif
#define RINGS_TRIES 64

RINGS_INLINE void rings_wait(const struct channel *channel, unsigned *tries)
{
    if (channel->crowded || ++*tries > RINGS_TRIES) {
        sched_yield();
        return;
    }
    for (unsigned i = 0; i < RINGS_PAUSES; i++)
        cpu_relax();
}

RINGS_INLINE void rings_put(const struct ring_kind *kind, const struct channel *channel, void *ring,
                            const void *item, size_t item_size)
{
    unsigned tries = 0;

    while (!kind->put(ring, item, item_size))
        rings_wait(channel, &tries);
}

RINGS_INLINE void rings_get(const struct ring_kind *kind, const struct channel *channel, void *ring,
                            void *item, size_t item_size)
{
    unsigned tries = 0;

    while (!kind->get(ring, item, item_size))
        rings_wait(channel, &tries);
}

/* Sizes are constants where they are used, so that a copy is a few instructions. */
RINGS_INLINE int rings_send(const struct ring_kind *kind, struct channel *channel,
                            const void *message)
{
    struct rival_rings *rings = channel->rings;
    uint64_t number;

    if (channel->room == 8) {
        rings_put(kind, channel, rings->there, message, 8);
    } else if (channel->room == 64) {
        rings_put(kind, channel, rings->there, message, 64);
    } else if (channel->room == ITEM_SIZE_MAX) {
        rings_put(kind, channel, rings->there, message, ITEM_SIZE_MAX);
    } else {
        rings_get(kind, channel, rings->back, &number, 8);
        memcpy(rings->blocks + number * channel->room, message, channel->size);
        rings_put(kind, channel, rings->there, &number, 8);
    }
    return 0;
}

RINGS_INLINE int rings_recv(const struct ring_kind *kind, struct channel *channel, void *message)
{
    struct rival_rings *rings = channel->rings;
    uint64_t number;

    if (channel->room == 8) {
        rings_get(kind, channel, rings->there, message, 8);
    } else if (channel->room == 64) {
        rings_get(kind, channel, rings->there, message, 64);
    } else if (channel->room == ITEM_SIZE_MAX) {
        rings_get(kind, channel, rings->there, message, ITEM_SIZE_MAX);
    } else {
        rings_get(kind, channel, rings->there, &number, 8);
        memcpy(message, rings->blocks + number * channel->room, channel->size);
        rings_put(kind, channel, rings->back, &number, 8);
    }
    return 0;
}

RINGS_INLINE int rings_send_many(const struct ring_kind *kind, struct channel *channel,
                                 const uint64_t *messages, unsigned count)
{
    unsigned tries = 0;
    unsigned done = 0;

    while (true) {
        done += kind->put_many(channel->rings->there, messages + done, count - done);
        if (done == count)
            return 0;
        rings_wait(channel, &tries);
    }
}

RINGS_INLINE int rings_recv_many(const struct ring_kind *kind, struct channel *channel,
                                 uint64_t *messages, unsigned count)
{
    unsigned tries = 0;
    unsigned done;

    while ((done = kind->get_many(channel->rings->there, messages, count)) == 0)
        rings_wait(channel, &tries);
    return (int)done;
}

/* Shared, and touched before anything is measured. */
int rings_open(const struct ring_kind *kind, struct channel *channel);
void rings_close(struct channel *channel);

/* A transport's functions for kind_##which, and the fields of a transport that has them. */
#define RINGS_FUNCTIONS(which)                                            \
    static int open_##which(struct channel *channel)                      \
    {                                                                     \
        return rings_open(&kind_##which, channel);                        \
    }                                                                     \
    static int send_##which(struct channel *channel, const void *message) \
    {                                                                     \
        return rings_send(&kind_##which, channel, message);               \
    }                                                                     \
    static int recv_##which(struct channel *channel, void *message)       \
    {                                                                     \
        return rings_recv(&kind_##which, channel, message);               \
    }                                                                     \
    static int poll_##which(struct channel *channel, void *message)       \
    {                                                                     \
        return kind_##which.get(channel->rings->there, message, 8);       \
    }

#define RINGS_FUNCTIONS_MANY(which)                                                           \
    static int send_many_##which(struct channel *channel, const uint64_t *messages,           \
                                 unsigned count)                                              \
    {                                                                                         \
        return rings_send_many(&kind_##which, channel, messages, count);                      \
    }                                                                                         \
    static int recv_many_##which(struct channel *channel, uint64_t *messages, unsigned count) \
    {                                                                                         \
        return rings_recv_many(&kind_##which, channel, messages, count);                      \
    }

#define RINGS_FIELDS(which) \
    .open = open_##which, .send = send_##which, .recv = recv_##which, .close = rings_close
#define RINGS_FIELDS_MANY(which) .send_many = send_many_##which, .recv_many = recv_many_##which

#ifdef __cplusplus
}
#endif

#endif
