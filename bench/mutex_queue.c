#include "mutex_queue.h"

#include <string.h>

void mutex_queue_open(struct mutex_queue *queue, size_t capacity)
{
    memset(queue, 0, sizeof(*queue));
    queue->capacity = capacity < MUTEX_QUEUE_MAX ? capacity : MUTEX_QUEUE_MAX;
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->not_full, NULL);
    pthread_cond_init(&queue->not_empty, NULL);
}

void mutex_queue_close(struct mutex_queue *queue)
{
    pthread_cond_destroy(&queue->not_empty);
    pthread_cond_destroy(&queue->not_full);
    pthread_mutex_destroy(&queue->mutex);
}

void mutex_queue_put(struct mutex_queue *queue, void *item)
{
    pthread_mutex_lock(&queue->mutex);
    while (queue->count == queue->capacity)
        pthread_cond_wait(&queue->not_full, &queue->mutex);
    queue->items[(queue->first + queue->count++) % queue->capacity] = item;
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_signal(&queue->not_empty);
}

void *mutex_queue_get(struct mutex_queue *queue)
{
    void *item = NULL;

    pthread_mutex_lock(&queue->mutex);
    while (queue->count == 0 && !queue->ended)
        pthread_cond_wait(&queue->not_empty, &queue->mutex);
    if (queue->count > 0) {
        item = queue->items[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
    }
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_signal(&queue->not_full);
    return item;
}

void mutex_queue_end(struct mutex_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->ended = true;
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_broadcast(&queue->not_empty);
}
