/* What carries messages from one process to another: shoal, and its rivals. */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include <shoal.h>
#include <stdbool.h>
#include <stddef.h>

struct channel {
    size_t size; /* bytes of a message */
    int fds[2];  /* to read from, to write to */
    shoal_queue queue;
};

/* Functions return 0 or -errno. A message is copied in by send and copied out by recv. */
struct transport {
    const char *name;
    bool by_shoal;                        /* its processes are started by shoal, not by fork(2) */
    int (*open)(struct channel *channel); /* its size is set; before the processes are started */
    int (*send)(struct channel *channel, const void *message);
    int (*recv)(struct channel *channel, void *message);
    void (*close)(struct channel *channel);
};

extern const struct transport transport_shoal;
extern const struct transport transport_pipe;
extern const struct transport transport_seqpacket;
extern const struct transport transport_mq;

#endif
