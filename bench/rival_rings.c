#include "rival_rings.h"

#include "near.h"

/* A ring holds one item less than its capacity: one block fewer than that is sent at all. */
static size_t round_up(size_t capacity)
{
    size_t power = 64;

    while (power < capacity)
        power *= 2;
    return power;
}

static bool is_pooled(const struct channel *channel)
{
    return channel->room > ITEM_SIZE_MAX;
}

static size_t line_up(size_t bytes)
{
    return (bytes + NEAR_LINE - 1) / NEAR_LINE * NEAR_LINE;
}

static void fill(const struct ring_kind *kind, const struct channel *channel, size_t blocks)
{
    for (uint64_t number = 0; number < blocks; number++)
        (void)kind->put(channel->rings->back, &number, 8);
    memset(channel->rings->blocks, 0, blocks * channel->room);
}

int rings_open(const struct ring_kind *kind, struct channel *channel)
{
    const size_t item_size = is_pooled(channel) ? 8 : channel->room;
    const size_t blocks = is_pooled(channel) ? channel_capacity(channel) : 0;
    size_t capacity = channel->room == 8 && channel->capacity == 0
                          ? kind->capacity
                          : round_up(channel_capacity(channel));
    const size_t bytes = kind->bytes == NULL ? 0 : line_up(kind->bytes(item_size, capacity));
    struct rival_rings rings = { .size = line_up(sizeof(rings)) + 2 * bytes +
                                         blocks * channel->room };
    char *memory;

    if (bytes == 0)
        return -ENOTSUP;
    memory = mmap(NULL, rings.size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    channel->rings = (struct rival_rings *)memory;
    rings.there = memory + line_up(sizeof(rings));
    rings.back = memory + line_up(sizeof(rings)) + bytes;
    rings.blocks = memory + line_up(sizeof(rings)) + 2 * bytes;
    *channel->rings = rings;
    kind->init(rings.there, item_size, capacity);
    kind->init(rings.back, item_size, capacity);
    fill(kind, channel, blocks);
    return 0;
}

void rings_close(struct channel *channel)
{
    munmap(channel->rings, channel->rings->size);
}
