/* DPDK's rings, on a shared mapping and without DPDK's environment. */
#include <rte_config.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "rival_rings.h"

#define CAPACITY 16384

static size_t bytes_of(size_t item_size, size_t capacity)
{
    return sizeof(struct rte_ring) + item_size * capacity;
}

/* As rte_ring_init() does it, which would bring the environment along. */
static void init(struct rte_ring *ring, size_t capacity, enum rte_ring_sync_type sync)
{
    memset(ring, 0, sizeof(*ring));
    ring->size = (uint32_t)capacity;
    ring->mask = (uint32_t)capacity - 1;
    ring->capacity = (uint32_t)capacity - 1;
    ring->prod.sync_type = sync;
    ring->cons.sync_type = sync;
}

static void init_spsc(void *ring, size_t item_size, size_t capacity)
{
    (void)item_size;
    init(ring, capacity, RTE_RING_SYNC_ST);
}

static void init_mpmc(void *ring, size_t item_size, size_t capacity)
{
    (void)item_size;
    init(ring, capacity, RTE_RING_SYNC_MT);
}

static void init_hts(void *ring, size_t item_size, size_t capacity)
{
    (void)item_size;
    init(ring, capacity, RTE_RING_SYNC_MT_HTS);
}

/* The functions of one way of synchronising, by its name in DPDK on either side. */
#define KIND(which, produce, consume)                                                              \
    RINGS_INLINE bool put_##which(void *ring, const void *item, size_t item_size)                  \
    {                                                                                              \
        return rte_ring_##produce##_enqueue_bulk_elem(ring, item, (unsigned)item_size, 1, NULL) == \
               1;                                                                                  \
    }                                                                                              \
    RINGS_INLINE bool get_##which(void *ring, void *item, size_t item_size)                        \
    {                                                                                              \
        return rte_ring_##consume##_dequeue_bulk_elem(ring, item, (unsigned)item_size, 1, NULL) == \
               1;                                                                                  \
    }                                                                                              \
    RINGS_INLINE unsigned put_many_##which(void *ring, const uint64_t *items, unsigned count)      \
    {                                                                                              \
        return rte_ring_##produce##_enqueue_burst_elem(ring, items, 8, count, NULL);               \
    }                                                                                              \
    RINGS_INLINE unsigned get_many_##which(void *ring, uint64_t *items, unsigned count)            \
    {                                                                                              \
        return rte_ring_##consume##_dequeue_burst_elem(ring, items, 8, count, NULL);               \
    }                                                                                              \
    static const struct ring_kind kind_rte_##which = { .bytes = bytes_of,                          \
                                                       .init = init_##which,                       \
                                                       .put = put_##which,                         \
                                                       .get = get_##which,                         \
                                                       .put_many = put_many_##which,               \
                                                       .get_many = get_many_##which,               \
                                                       .capacity = CAPACITY };                     \
    RINGS_FUNCTIONS(rte_##which)                                                                   \
    RINGS_FUNCTIONS_MANY(rte_##which)

KIND(spsc, sp, sc)
KIND(mpmc, mp, mc)
KIND(hts, mp_hts, mc_hts)

const struct transport transport_rte_spsc = {
    .name = "rte SP/SC", RINGS_FIELDS(rte_spsc), RINGS_FIELDS_MANY(rte_spsc), .poll = poll_rte_spsc
};
const struct transport transport_rte_mpmc = {
    .name = "rte MP/MC", RINGS_FIELDS(rte_mpmc), RINGS_FIELDS_MANY(rte_mpmc), .poll = poll_rte_mpmc
};
const struct transport transport_rte_hts = {
    .name = "rte HTS", RINGS_FIELDS(rte_hts), RINGS_FIELDS_MANY(rte_hts), .poll = poll_rte_hts
};
