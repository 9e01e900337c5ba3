/* Concurrency Kit's rings. They hold items of a type, copied in and out, and have no bulk calls. */
#include "rival_rings.h"

#include "base/pace.h"

#include <ck_ring.h>

#define CAPACITY 16384

struct item8 {
    char bytes[8]; /* cppcheck-suppress unusedStructMember ; the library copies them */
};
struct item64 {
    char bytes[64]; /* cppcheck-suppress unusedStructMember ; the library copies them */
};
struct item1024 {
    char bytes[ITEM_SIZE_MAX]; /* cppcheck-suppress unusedStructMember ; likewise */
};

CK_RING_PROTOTYPE(item8, item8)
CK_RING_PROTOTYPE(item64, item64)
CK_RING_PROTOTYPE(item1024, item1024)

/* The items follow the ring. */
struct ck {
    ck_ring_t ring;
    _Alignas(64) char items[];
};

static size_t bytes_of(size_t item_size, size_t capacity)
{
    return sizeof(struct ck) + item_size * capacity;
}

static void init(void *ring, size_t item_size, size_t capacity)
{
    struct ck *ck = ring;

    (void)item_size;
    ck_ring_init(&ck->ring, (unsigned)capacity);
}

/* The library writes these functions for each type, so each is named once for each size. */
#define BY_SIZE(verb, kind)                                                                   \
    (item_size == 8    ? ck_ring_##verb##_##kind##_item8(&ck->ring, (void *)ck->items, item)  \
     : item_size == 64 ? ck_ring_##verb##_##kind##_item64(&ck->ring, (void *)ck->items, item) \
                       : ck_ring_##verb##_##kind##_item1024(&ck->ring, (void *)ck->items, item))

RINGS_INLINE bool put_spsc(void *ring, const void *message, size_t item_size)
{
    struct ck *ck = ring;
    void *item = (void *)(uintptr_t)message;

    return BY_SIZE(enqueue, spsc);
}

RINGS_INLINE bool get_spsc(void *ring, void *item, size_t item_size)
{
    struct ck *ck = ring;

    return BY_SIZE(dequeue, spsc);
}

RINGS_INLINE bool put_mpmc(void *ring, const void *message, size_t item_size)
{
    struct ck *ck = ring;
    void *item = (void *)(uintptr_t)message;

    return BY_SIZE(enqueue, mpmc);
}

RINGS_INLINE bool get_mpmc(void *ring, void *item, size_t item_size)
{
    struct ck *ck = ring;

    return BY_SIZE(dequeue, mpmc);
}

static const struct ring_kind kind_ck_spsc = {
    .bytes = bytes_of, .init = init, .put = put_spsc, .get = get_spsc, .capacity = CAPACITY
};
static const struct ring_kind kind_ck_mpmc = {
    .bytes = bytes_of, .init = init, .put = put_mpmc, .get = get_mpmc, .capacity = CAPACITY
};

RINGS_FUNCTIONS(ck_spsc)
RINGS_FUNCTIONS(ck_mpmc)

const struct transport transport_ck_spsc = { .name = "ck spsc",
                                             RINGS_FIELDS(ck_spsc),
                                             .poll = poll_ck_spsc };
const struct transport transport_ck_mpmc = { .name = "ck mpmc",
                                             RINGS_FIELDS(ck_mpmc),
                                             .poll = poll_ck_mpmc };

/* ---- with the waiting of shoal's queues of values, to tell the ring's part from the waiting's */

static struct shl_pace pace; /* of this process, which only puts or only gets */

static void wait_as_we_do(const struct channel *channel)
{
    shl_pace_miss(&pace, channel->capacity == 0 ? CAPACITY : channel->capacity);
    if (channel->crowded)
        sched_yield();
}

static int send_patiently(struct channel *channel, const void *message)
{
    while (!put_mpmc(channel->rings->there, message, 8))
        wait_as_we_do(channel);
    shl_pace_hit(&pace, 1);
    return 0;
}

static int receive_patiently(struct channel *channel, void *message)
{
    while (!get_mpmc(channel->rings->there, message, 8))
        wait_as_we_do(channel);
    shl_pace_hit(&pace, 1);
    return 0;
}

const struct transport transport_ck_mpmc_our_wait = { .name = "ck mpmc, our wait",
                                                      .open = open_ck_mpmc,
                                                      .send = send_patiently,
                                                      .recv = receive_patiently,
                                                      .close = rings_close };
