// boost::lockfree's queues. Their capacity is part of their type, so that they have no pointers and
// can lie in memory that processes share.
#include "rival_rings.h"

#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>

#include <array>
#include <new>

namespace
{
template <size_t size> using item = std::array<char, size>;
template <size_t size, size_t count>
using spsc = boost::lockfree::spsc_queue<item<size>, boost::lockfree::capacity<count>>;
template <size_t size, size_t count>
using mpmc = boost::lockfree::queue<item<size>, boost::lockfree::capacity<count>>;

constexpr size_t of_many = 16384;     // of items of 8 bytes
constexpr size_t of_few = 64;         // likewise, in rows that say so, and of blocks
constexpr size_t of_lines = 65534;    // 4 MiB of 64 bytes; the most that the mpmc kind can be
constexpr size_t of_kibibytes = 4096; // 4 MiB of 1 KiB

// A queue and how many items it was asked for.
template <typename type> struct place {
    size_t count;
    alignas(128) type queue;
};

// Which of them it is, as told by the size of the items and by their number.
template <template <size_t, size_t> class kind, typename action>
RINGS_INLINE auto with(void *ring, size_t item_size, size_t capacity, action act)
{
    if (item_size == 64)
        return act(static_cast<place<kind<64, of_lines>> *>(ring));
    if (item_size == ITEM_SIZE_MAX)
        return act(static_cast<place<kind<ITEM_SIZE_MAX, of_kibibytes>> *>(ring));
    if (capacity <= of_few)
        return act(static_cast<place<kind<8, of_few>> *>(ring));
    return act(static_cast<place<kind<8, of_many>> *>(ring));
}

template <template <size_t, size_t> class kind> size_t bytes_of(size_t item_size, size_t capacity)
{
    return with<kind>(nullptr, item_size, capacity, [](auto *at) { return sizeof(*at); });
}

template <template <size_t, size_t> class kind>
void init(void *ring, size_t item_size, size_t capacity)
{
    with<kind>(ring, item_size, capacity, [&](auto *at) {
        new (at) std::remove_reference_t<decltype(*at)>();
        at->count = capacity;
    });
}

size_t count_of(void *ring)
{
    return *static_cast<size_t *>(ring);
}

template <template <size_t, size_t> class kind>
RINGS_INLINE bool put(void *ring, const void *message, size_t item_size)
{
    return with<kind>(ring, item_size, count_of(ring), [&](auto *at) {
        return at->queue.push(
            *static_cast<const typename decltype(at->queue)::value_type *>(message));
    });
}

template <template <size_t, size_t> class kind>
RINGS_INLINE bool get(void *ring, void *message, size_t item_size)
{
    return with<kind>(ring, item_size, count_of(ring), [&](auto *at) {
        return at->queue.pop(*static_cast<typename decltype(at->queue)::value_type *>(message));
    });
}

// Only the spsc kind has them.
unsigned put_many(void *ring, const uint64_t *items, unsigned count)
{
    auto *at = static_cast<place<spsc<8, of_many>> *>(ring);

    return static_cast<unsigned>(at->queue.push(reinterpret_cast<const item<8> *>(items), count));
}

unsigned get_many(void *ring, uint64_t *items, unsigned count)
{
    auto *at = static_cast<place<spsc<8, of_many>> *>(ring);

    return static_cast<unsigned>(at->queue.pop(reinterpret_cast<item<8> *>(items), count));
}

constexpr ring_kind kind_boost_spsc = { bytes_of<spsc>, init<spsc>, put<spsc>, get<spsc>,
                                        put_many,       get_many,   of_many };
constexpr ring_kind kind_boost_mpmc = { bytes_of<mpmc>, init<mpmc>, put<mpmc>, get<mpmc>,
                                        nullptr,        nullptr,    of_many };

RINGS_FUNCTIONS(boost_spsc)
RINGS_FUNCTIONS_MANY(boost_spsc)
RINGS_FUNCTIONS(boost_mpmc)
} // namespace

const struct transport transport_boost_spsc = { .name = "boost spsc",
                                                RINGS_FIELDS(boost_spsc),
                                                RINGS_FIELDS_MANY(boost_spsc),
                                                .poll = poll_boost_spsc };
const struct transport transport_boost_mpmc = { .name = "boost queue",
                                                RINGS_FIELDS(boost_mpmc),
                                                .poll = poll_boost_mpmc };
