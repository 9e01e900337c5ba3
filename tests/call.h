/* A call of a queue or a pipe that waits, in a thread of its own. */
#ifndef SHOAL_TESTS_CALL_H
#define SHOAL_TESTS_CALL_H

#include "asleep.h"
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

struct call {
    int (*function)(struct call *call);
    shoal_queue queue;
    shoal_connection end;
    void *payload;
    int code;
    pthread_t thread;
    _Atomic pid_t tid;
};

static inline int call_gets(struct call *call)
{
    return shoal_queue_get(call->queue, &call->payload, harness_deadline());
}

static inline int call_puts(struct call *call)
{
    return shoal_queue_put(call->queue, call->payload, harness_deadline());
}

static inline void *call_runs(void *argument)
{
    struct call *call = argument;
    call->tid = gettid();
    call->code = call->function(call);
    return NULL;
}

static inline void call_start(struct call *call)
{
    call->code = 1;
    cr_assert_eq(pthread_create(&call->thread, NULL, call_runs, call), 0);
    cr_assert(harness_until(call->tid != 0));
}

/* It waits, and sleeps. */
static inline void call_sleeps(struct call *call)
{
    call_start(call);
    cr_assert(harness_until(is_asleep(call->tid)));
}

static inline int call_ends(struct call *call)
{
    pthread_join(call->thread, NULL);
    return call->code;
}

#endif
