/* What carries messages from one process to another: shoal, and its rivals. */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include "heap.h"

#include <shoal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rival_rings;
struct word;

struct channel {
    size_t size;     /* bytes of a message */
    size_t room;     /* bytes of the block in which it travels; the others are never touched */
    size_t capacity; /* messages; 0: as many as are best */
    unsigned bulk;   /* messages of a call; 1: send and recv are used, else the others */
    bool crowded;    /* more processes than processors */
    int fds[2];      /* to read from, to write to */
    shoal_queue queue;
    const struct heap_kind *heap_kind; /* of threads */
    struct heap heap;
    struct spsc *ring;
    struct rival_rings *rings;
    struct word *word;
    uint64_t seen; /* of it */
};

/* Functions return 0 or -errno. A message is copied in by send and copied out by recv. */
struct transport {
    const char *name;
    bool by_shoal;                        /* its processes are started by shoal, not by fork(2) */
    int (*open)(struct channel *channel); /* its size is set; before the processes are started */
    int (*send)(struct channel *channel, const void *message);
    int (*recv)(struct channel *channel, void *message);
    void (*close)(struct channel *channel);
    /* Of one whose sender and receiver are threads of one process, in which this runs first: */
    void (*begin)(struct channel *channel);
    const struct heap_kind *heap; /* from which their blocks come */
    /* Of one that moves several messages of 8 bytes by a call: all of them; from 1 to @count. */
    int (*send_many)(struct channel *channel, const uint64_t *messages, unsigned count);
    int (*recv_many)(struct channel *channel, uint64_t *messages, unsigned count);
    /* Of one that can look without waiting: 1, or 0 when there is nothing. */
    int (*poll)(struct channel *channel, void *message);
};

/* Messages in flight: more than so many bytes of them do not fit the caches. */
#define BYTES_IN_FLIGHT ((size_t)4 << 20)
#define MESSAGES_IN_FLIGHT ((size_t)65536)

static inline size_t channel_capacity(const struct channel *channel)
{
    size_t capacity = BYTES_IN_FLIGHT / channel->room;

    if (channel->capacity != 0)
        return channel->capacity;
    return capacity < MESSAGES_IN_FLIGHT ? capacity : MESSAGES_IN_FLIGHT;
}

extern const struct transport transport_shoal;
extern const struct transport transport_shoal_values;
extern const struct transport transport_shoal_unbounded;
extern const struct transport transport_shoal_bulk_unbounded;
extern const struct transport transport_shoal_single;
extern const struct transport transport_shoal_bulk;
extern const struct transport transport_pipe;
extern const struct transport transport_seqpacket;
extern const struct transport transport_mq;

/* Rings in shared memory: see rival_rings.h. Those of libraries may be missing. */
extern const struct transport transport_ck_spsc;
extern const struct transport transport_ck_mpmc;
extern const struct transport transport_ck_mpmc_our_wait;
extern const struct transport transport_rte_spsc;
extern const struct transport transport_rte_mpmc;
extern const struct transport transport_rte_hts;
extern const struct transport transport_boost_spsc;
extern const struct transport transport_boost_mpmc;

/* For latency only: what the processor, or the kernel, can do at most. */
extern const struct transport transport_word;
extern const struct transport transport_futex;

/* Threads over the simplest ring, with the blocks of an allocator. */
extern const struct transport transport_shoal_threads;
extern const struct transport transport_glibc;
extern const struct transport transport_jemalloc;
extern const struct transport transport_mimalloc;
extern const struct transport transport_boost;

#ifdef __cplusplus
}
#endif

#endif
