#include "flow/store.h"

#include <string.h>

#include "mem/alloc.h"
#include "mem/pages.h"
#include "os/chaos.h"

static uint64_t bits_at(uint64_t cells_count, uint64_t item_size)
{
    return (cells_count * item_size + 7) / 8 * 8;
}

uint64_t shl_store_size(uint64_t cells_count, uint64_t item_size)
{
    return bits_at(cells_count, item_size) + (cells_count + 63) / 64 * sizeof(uint64_t);
}

/* In a block that nobody sees yet no cell is an end. */
static void clear_bits(const struct ring_call *call, uint64_t cells_count, uint64_t offset)
{
    uint64_t bits = bits_at(cells_count, call->item_size);
    memset(shl_at(call->segment, offset + bits), 0,
           shl_store_size(cells_count, call->item_size) - bits);
}

void shl_store_init(const struct ring_call *call, uint64_t cells_count, uint64_t offset)
{
    struct ring_shm *ring = call->ring;
    uint64_t before = atom_load_relaxed(&ring->store);
    clear_bits(call, cells_count, offset);
    atom_store_relaxed(&ring->store, store_make_next(before, cells_count, offset));
    atom_store_relaxed(&ring->spare, 0);
}

/* --- cells ------------------------------------------------------------------------------------ */

/* The word in which the bit of a position is; NULL if it cannot be. */
static atom64 *end_bits(const struct ring_call *call, uint64_t store, uint64_t position,
                        uint64_t *ret_bit)
{
    uint64_t size = call->segment->size, mask = store_mask(store), index = position & mask;
    if (unlikely(mask >= size || store_offset(store) >= size))
        return NULL;
    uint64_t bits = store_offset(store) + bits_at(mask + 1, call->item_size);
    uint64_t offset = bits + index / 64 * sizeof(uint64_t);
    *ret_bit = UINT64_C(1) << index % 64;
    return likely(offset < size) ? shl_at(call->segment, offset) : NULL;
}

void shl_store_mark_end(const struct ring_call *call, uint64_t store, uint64_t position, bool end)
{
    uint64_t bit = 0;
    atom64 *bits = end_bits(call, store, position, &bit);
    if (likely(bits)) /* else nobody finds them, whose queue is damaged */
        atom_store_relaxed(bits,
                           end ? atom_load_relaxed(bits) | bit : atom_load_relaxed(bits) & ~bit);
}

bool shl_store_is_end(const struct ring_call *call, uint64_t store, uint64_t position)
{
    uint64_t bit = 0;
    atom64 *bits = end_bits(call, store, position, &bit);
    return bits && (atom_load_relaxed(bits) & bit);
}

bool shl_store_holds(const struct ring_call *call, uint64_t store, uint64_t count)
{
    uint64_t mask = store_mask(store);
    return (mask < call->segment->size / call->item_size && count <= mask + 1) ||
           SHL_MISTAKE("ring.cells");
}

/* --- moving ----------------------------------------------------------------------------------- */

/* Descriptors by words: who looks at a store that was here before may still read one. */
static void copy_items(const struct ring_call *call, char *to, const char *from, uint64_t count)
{
    if (!call->is_owned) {
        memcpy(to, from, count * call->item_size);
        return;
    }
    atom64 *items = (atom64 *)(void *)to;
    for (uint64_t i = 0; i < count; i++)
        atom_store_relaxed(&items[i], atom_load_relaxed((const atom64 *)(const void *)from + i));
}

/* M2; false: damaged. */
static bool copy(const struct ring_call *call, uint64_t old, uint64_t new, uint64_t head,
                 uint64_t tail)
{
    uint64_t count = RING_POSITION(tail - head), from_run, run;
    if (!shl_store_holds(call, old, count) || !shl_store_holds(call, new, count))
        return false;
    clear_bits(call, store_mask(new) + 1, store_offset(new));
    for (uint64_t done = 0; done < count; done += run) {
        const char *from = shl_store_cells(call, old, head + done, count - done, &from_run);
        char *to = shl_store_cells(call, new, head + done, from_run, &run);
        if (!from || !to)
            return false;
        copy_items(call, to, from, run);
    }
    bool any_end = atom_load_relaxed(&call->ring->ends_put) > 0 && !SHL_MISTAKE("store.ends");
    for (uint64_t i = 0; any_end && i < count; i++)
        if (shl_store_is_end(call, old, head + i))
            shl_store_mark_end(call, new, head + i, true);
    return true;
}

static const char damaged[] = "a process damaged the queue";

static void free_store(const struct ring_call *call, uint64_t store)
{
    shl_object_free_part(call->segment, store_offset(store), call->ref, call->self);
}

/* M1, M5. It need not be the queue's: another process may have damaged the ring, or died between
 * the two steps. */
static void free_spare(const struct ring_call *call)
{
    uint64_t spare = atom_load_relaxed(&call->ring->spare);
    bool is_used = store_offset(spare) == store_offset(shl_store_of(call->ring));
    if (spare != 0 && !is_used && !SHL_MISTAKE("store.spare"))
        free_store(call, spare);
    SHL_CHAOS("store.freed");
    atom_store_relaxed(&call->ring->spare, 0);
}

/* M4; false: damaged. */
static bool swap(struct ring_shm *ring, uint64_t old, uint64_t new)
{
    /* [ring.store] release; seq_cst because it is the pair's only one. May fail for no reason. */
    while (!atom_cas_seq_cst_pair(&ring->store, old, new, new, old))
        if (atom_load_relaxed(&ring->store) != old || atom_load_relaxed(&ring->spare) != new)
            return false;
    return true;
}

int shl_store_move(const struct ring_call *call, uint64_t head, uint64_t tail,
                   const struct shl_place *to, uint64_t cells_count)
{
    struct ring_shm *ring = call->ring;
    uint64_t old = shl_store_of(ring);
    uint64_t offset = shl_offset(call->segment, shl_payload(to->block));
    uint64_t new = store_make_next(old, cells_count, offset);
    SHL_CHAOS("store.M1");
    free_spare(call);
    if (!copy(call, old, new, head, tail)) {
        shl_free(to);
        return shl_error(-EUCLEAN, damaged);
    }
    atom_store_relaxed(&ring->spare, new);
    atom_compiler_barrier();        /* if we die here, it is the process's, or it is found */
    shl_object_part(to, call->ref); /* the queue may have ended meanwhile */
    SHL_CHAOS("store.M4");
    if (!swap(ring, old, new)) {
        free_store(call, new);
        return shl_error(-EUCLEAN, damaged);
    }
    SHL_CHAOS("store.M5");
    free_spare(call);
    return 0;
}

void shl_store_free(const struct ring_call *call)
{
    free_spare(call);
    free_store(call, shl_store_of(call->ring));
}

/* --- looking ---------------------------------------------------------------------------------- */

/* Names the store as it is; false if it cannot be. */
static bool name(const struct ring_call *call, uint32_t owner, uint64_t *ret_store)
{
    struct shl_place place;
    bool named;
    do {
        *ret_store = shl_store_of(call->ring);
        named = shl_place_enter(call->segment, owner, store_offset(*ret_store), &place);
        /* [ring.store] acquire: what was named is still the ring's. */
    } while (shl_store_of(call->ring) != *ret_store);
    return named && store_mask(*ret_store) < shl_room(&place) / call->item_size;
}

/* The item at a position, wherever it lies by now. */
static bool look_at(const struct ring_call *call, uint32_t owner, uint64_t position,
                    uint64_t *store, uint64_t *ret_item)
{
    for (;;) {
        atom64 *cell = shl_store_cell(call, *store, position);
        if (!cell)
            return false;
        /* [ring.store] acquire: before the second look. */
        *ret_item = atom_load_acquire(cell);
        if (atom_load_relaxed(&call->ring->store) == *store || SHL_MISTAKE("store.visit"))
            return true;
        if (!name(call, owner, store))
            return false;
    }
}

bool shl_store_visit(const struct ring_call *call, const struct shl_visit *visit)
{
    /* [ring.drain] [ring.fill] acquire: as shl_ring_count(). */
    uint64_t head = RING_POSITION(atom_load_acquire(&call->ring->head.word)), store, item;
    uint64_t count = RING_POSITION(atom_load_acquire(&call->ring->tail.word) - head);
    bool found = false, possible = name(call, visit->owner, &store);
    for (uint64_t i = 0; possible && !found && i < count && i <= store_mask(store); i++) {
        possible = look_at(call, visit->owner, head + i, &store, &item);
        /* [ring.drain] acquire: what was taken meanwhile was not copied, either. */
        uint64_t taken = RING_POSITION(atom_load_acquire(&call->ring->head.word) - head);
        found = possible && taken <= i && visit->visitor(visit->context, item);
    }
    if (visit->owner)
        shl_pages_leave(call->segment, visit->owner);
    return found;
}
