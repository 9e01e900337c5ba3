/* shoal: a payload for each message, built by its sender, freed by its receiver; or a value. */
#include "transport.h"

#include <errno.h>
#include <string.h>

static int open_queue(struct channel *channel)
{
    const shoal_queue_options options = { .capacity_count = channel_capacity(channel) };

    return shoal_queue_create(&options, &channel->queue);
}

static int send_message(struct channel *channel, const void *message)
{
    void *payload = shoal_alloc(channel->room);

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

static int poll_message(struct channel *channel, void *message)
{
    void *payload;
    int status = shoal_queue_get(channel->queue, &payload, SHOAL_NOW);

    if (status < 0)
        return status == -ETIMEDOUT ? 0 : status;
    memcpy(message, payload, channel->size);
    shoal_free(payload);
    return 1;
}

static void close_queue(struct channel *channel)
{
    shoal_queue_destroy(channel->queue);
}

const struct transport transport_shoal = { .name = "shoal",
                                           .by_shoal = true,
                                           .open = open_queue,
                                           .send = send_message,
                                           .recv = receive_message,
                                           .close = close_queue,
                                           .poll = poll_message };

static int open_values_as(struct channel *channel, shoal_queue_options options)
{
    options.value_size = channel->size;
    return shoal_queue_create(&options, &channel->queue);
}

static int open_values(struct channel *channel)
{
    return open_values_as(channel,
                          (shoal_queue_options){ .capacity_count = channel_capacity(channel) });
}

static int open_single(struct channel *channel)
{
    return open_values_as(channel,
                          (shoal_queue_options){ .capacity_count = channel_capacity(channel),
                                                 .single_producer = true,
                                                 .single_consumer = true });
}

static int open_bulk(struct channel *channel)
{
    return open_values_as(channel, (shoal_queue_options){
                                       .capacity_count = channel_capacity(channel), .bulk = true });
}

static int open_unbounded(struct channel *channel)
{
    return open_values_as(channel, (shoal_queue_options){ 0 });
}

static int open_bulk_unbounded(struct channel *channel)
{
    return open_values_as(channel, (shoal_queue_options){ .bulk = true });
}

static int send_value(struct channel *channel, const void *message)
{
    return shoal_queue_put_value(channel->queue, message, channel->size, SHOAL_FOREVER);
}

static int receive_value(struct channel *channel, void *message)
{
    return shoal_queue_get_value(channel->queue, message, channel->size, SHOAL_FOREVER);
}

static int poll_value(struct channel *channel, void *message)
{
    int status = shoal_queue_get_value(channel->queue, message, channel->size, SHOAL_NOW);

    return status == -ETIMEDOUT ? 0 : status + 1;
}

const struct transport transport_shoal_values = { .name = "shoal",
                                                  .by_shoal = true,
                                                  .open = open_values,
                                                  .send = send_value,
                                                  .recv = receive_value,
                                                  .close = close_queue,
                                                  .poll = poll_value };

const struct transport transport_shoal_unbounded = { .name = "shoal unbounded",
                                                     .by_shoal = true,
                                                     .open = open_unbounded,
                                                     .send = send_value,
                                                     .recv = receive_value,
                                                     .close = close_queue };

const struct transport transport_shoal_bulk_unbounded = { .name = "shoal bulk unbounded",
                                                          .by_shoal = true,
                                                          .open = open_bulk_unbounded,
                                                          .send = send_value,
                                                          .recv = receive_value,
                                                          .close = close_queue };

const struct transport transport_shoal_single = { .name = "shoal single",
                                                  .by_shoal = true,
                                                  .open = open_single,
                                                  .send = send_value,
                                                  .recv = receive_value,
                                                  .close = close_queue,
                                                  .poll = poll_value };

static int send_values(struct channel *channel, const uint64_t *messages, unsigned count)
{
    size_t put;

    return shoal_queue_put_values(channel->queue, messages, 8, count, &put, SHOAL_FOREVER);
}

static int receive_values(struct channel *channel, uint64_t *messages, unsigned count)
{
    size_t got;
    int status = shoal_queue_get_values(channel->queue, messages, 8, count, &got, SHOAL_FOREVER);

    return status < 0 ? status : (int)got;
}

const struct transport transport_shoal_bulk = { .name = "shoal",
                                                .by_shoal = true,
                                                .open = open_bulk,
                                                .send = send_value,
                                                .recv = receive_value,
                                                .close = close_queue,
                                                .send_many = send_values,
                                                .recv_many = receive_values };
