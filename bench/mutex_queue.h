/* The queue that everybody writes for threads: a mutex, two conditions, an array of pointers. */
#ifndef BENCH_MUTEX_QUEUE_H
#define BENCH_MUTEX_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define MUTEX_QUEUE_MAX 256

struct mutex_queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_full;
    pthread_cond_t not_empty;
    size_t capacity;
    size_t first;
    size_t count;
    bool ended;
    void *items[MUTEX_QUEUE_MAX];
};

void mutex_queue_open(struct mutex_queue *queue, size_t capacity);
void mutex_queue_close(struct mutex_queue *queue);

void mutex_queue_put(struct mutex_queue *queue, void *item);

/* NULL when it has ended and is empty. */
void *mutex_queue_get(struct mutex_queue *queue);

/* No more is put. */
void mutex_queue_end(struct mutex_queue *queue);

#endif
