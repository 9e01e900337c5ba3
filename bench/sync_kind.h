/* What processes wait for each other with: shoal's locks and events, and their rivals. */
#ifndef BENCH_SYNC_KIND_H
#define BENCH_SYNC_KIND_H

#include <pthread.h>
#include <semaphore.h>
#include <shoal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "near.h"

/* In memory that all processes share; as much of it as a kind needs. */
struct sync_place {
    _Alignas(NEAR_LINE) union {
        pthread_mutex_t mutex;
        pthread_spinlock_t spinlock;
        sem_t semaphore;
        struct {
            pthread_mutex_t mutex;
            pthread_cond_t condition;
            bool set;
        } flag;
        _Atomic uint32_t word;
        int fd;
        shoal_lock lock;
        shoal_event event;
    };
    _Alignas(NEAR_LINE) uint64_t guarded; /* by the lock: how often it was held */
};

/* One process of those that want a lock. */
struct sync_seat {
    _Alignas(NEAR_LINE) _Atomic uint64_t done; /* written by it alone */
};

struct sync_contest {
    const _Atomic uint32_t *stop; /* 1: it is over */
    uint64_t work_turns;          /* of work with the lock held, and without */
};

/* A function that fails ends the process. */
struct sync_kind {
    const char *name;
    bool by_shoal;                         /* its processes are started by shoal, not by fork(2) */
    int (*open)(struct sync_place *place); /* 0 or -errno; before the processes are started */
    void (*close)(struct sync_place *place);
    /* lock and unlock, or set, wait and clear, @count times */
    void (*repeat)(struct sync_place *place, uint64_t count);
    /* of locks */
    void (*contend)(struct sync_place *place, const struct sync_contest *contest,
                    struct sync_seat *seat);
    /* of events */
    void (*set)(struct sync_place *place);
    void (*wait)(struct sync_place *place);
    void (*clear)(struct sync_place *place);
};

extern const struct sync_kind lock_shoal;
extern const struct sync_kind lock_mutex;
extern const struct sync_kind lock_robust;
extern const struct sync_kind lock_spinlock;
extern const struct sync_kind lock_semaphore;

extern const struct sync_kind event_shoal;
extern const struct sync_kind event_futex;
extern const struct sync_kind event_semaphore;
extern const struct sync_kind event_condition;
extern const struct sync_kind event_eventfd;

#endif
