/* shoal: a payload for each message, built by its sender, freed by its receiver. */
#include "transport.h"

#include <string.h>

#define BYTES_IN_FLIGHT ((size_t)4 << 20) /* more does not fit the caches */

static int open_queue(struct channel *channel)
{
    size_t capacity = BYTES_IN_FLIGHT / channel->size;
    const shoal_queue_options options = { .capacity_count = capacity < SHOAL_QUEUE_CAPACITY_DEFAULT
                                                                ? capacity
                                                                : 0 };

    return shoal_queue_create(&options, &channel->queue);
}

static int send_message(struct channel *channel, const void *message)
{
    void *payload = shoal_alloc(channel->size);

    if (payload == NULL)
        return -ENOMEM;
    memcpy(payload, message, channel->size);
    return shoal_queue_put(channel->queue, payload, SHOAL_FOREVER);
}

static int receive_message(struct channel *channel, void *message)
{
    void *payload;
    int status = shoal_queue_get(channel->queue, &payload, SHOAL_FOREVER);

    if (status < 0)
        return status;
    memcpy(message, payload, channel->size);
    shoal_free(payload);
    return 0;
}

static void close_queue(struct channel *channel)
{
    shoal_queue_destroy(channel->queue);
}

const struct transport transport_shoal = { "shoal",         true,       open_queue, send_message,
                                           receive_message, close_queue };
