/*
 * Threads that hand blocks over through the simplest ring: an allocator of private memory can do no
 * more, and nothing of shoal is in their way. shoal's payloads go the same way for comparison.
 */
#include "crew.h"
#include "spsc.h"
#include "transport.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int find_heap(struct channel *channel)
{
    return heap_find(channel->heap_kind);
}

static void begin(struct channel *channel)
{
    channel->ring = mmap(NULL, sizeof(*channel->ring), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (channel->ring == MAP_FAILED)
        crew_member_fail("no memory for a ring");
    channel->ring->count = channel_capacity(channel);
    heap_load(channel->heap_kind, true, &channel->heap);
}

static int send_block(struct channel *channel, const void *message)
{
    void *block = channel->heap.alloc(channel->room);

    if (block == NULL)
        return -ENOMEM;
    memcpy(block, message, channel->size);
    spsc_put(channel->ring, block);
    return 0;
}

static int receive_block(struct channel *channel, void *message)
{
    void *block = spsc_get(channel->ring);

    memcpy(message, block, channel->size);
    channel->heap.free(block);
    return 0;
}

/* The ring and the heap went with their process. */
static void forget(struct channel *channel)
{
    (void)channel;
}

#define BY_THREADS \
    .open = find_heap, .send = send_block, .recv = receive_block, .close = forget, .begin = begin

const struct transport transport_shoal_threads = {
    .name = "shoal threads", .by_shoal = true, .heap = &heap_shoal, BY_THREADS
};
const struct transport transport_glibc = { .name = "glibc", .heap = &heap_glibc, BY_THREADS };
const struct transport transport_jemalloc = { .name = "jemalloc",
                                              .heap = &heap_jemalloc,
                                              BY_THREADS };
const struct transport transport_mimalloc = { .name = "mimalloc",
                                              .heap = &heap_mimalloc,
                                              BY_THREADS };
const struct transport transport_boost = { .name = "boost shared memory",
                                           .heap = &heap_boost,
                                           BY_THREADS };
