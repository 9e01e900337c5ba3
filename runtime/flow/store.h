/*
 * The store of a dense ring: the block in which its items lie, and a bit for each behind them: it
 * holds no item but an end. A ring without a capacity moves to another store, larger or smaller.
 *
 * Protocol, with both sides of the ring held
 *   M1 the spare block, which a dead one has left, is freed
 *   M2 what is in the ring is copied into a block of the mover's
 *   M3 spare = that block; it becomes part of the queue
 *   M4 {store, spare}: {old, new} -> {new, old}, one compare-and-set: the commit
 *   M5 the spare block, now the old one, is freed; spare = none
 * An item keeps its position, so that nothing else changes. Killed before M3 the block is the dead
 * process's, and freed with him; between M3 and M5 it is the spare one, which the next M1 frees, or
 * the end of the queue.
 *
 * Who only looks at items (shl_store_visit) holds no side: he names the chunk in which the store
 * lies, so that it stays memory, and believes what he saw in a cell if the store has not changed
 * since, and the item was not taken meanwhile.
 *
 * Order. [ring.store] M4 release -> acquire: what was copied.
 *
 * Limits. The store's number has 16 bits: a look at one cell must not take exactly 65,536 moves.
 */
#ifndef SHL_FLOW_STORE_H
#define SHL_FLOW_STORE_H

#include "flow/ring.h"

/* The bytes of a store of so many cells. */
uint64_t shl_store_size(uint64_t cells_count, uint64_t item_size);

/* Before anybody sees the ring: what lies there was another's. */
void shl_store_init(const struct ring_call *call, uint64_t cells_count, uint64_t offset);

static inline uint64_t shl_store_of(const struct ring_shm *ring)
{
    /* [ring.store] acquire <- M4. */
    return atom_load_acquire(&ring->store);
}

/* The cells from a position on that lie side by side, up to a number of them; NULL if it cannot be:
 * another process may have damaged the ring. */
static inline char *shl_store_cells(const struct ring_call *call, uint64_t store, uint64_t position,
                                    uint64_t wanted, uint64_t *ret_count)
{
    uint64_t size = call->segment->size, cells = store_offset(store), mask = store_mask(store);
    uint64_t index = position & mask, count = mask - index < wanted ? mask - index + 1 : wanted;
    uint64_t end = cells + (index + count) * call->item_size;
    bool possible = cells < size && index < size && end <= size;
    *ret_count = count;
    return likely(possible) ? shl_at(call->segment, cells + index * call->item_size) : NULL;
}

static inline atom64 *shl_store_cell(const struct ring_call *call, uint64_t store,
                                     uint64_t position)
{
    uint64_t count;
    return (atom64 *)(void *)shl_store_cells(call, store, position, 1, &count);
}

/* Could so many items lie there? */
bool shl_store_holds(const struct ring_call *call, uint64_t store, uint64_t count);

/* Of a cell that is not in the ring yet, by the tail's owner; and of one that is. */
void shl_store_mark_end(const struct ring_call *call, uint64_t store, uint64_t position, bool end);
bool shl_store_is_end(const struct ring_call *call, uint64_t store, uint64_t position);

/* M1 to M5, to a block of the caller's with so many cells, which in any case he has no more. 0 or
 * -EUCLEAN. */
int shl_store_move(const struct ring_call *call, uint64_t head, uint64_t tail,
                   const struct shl_place *to, uint64_t cells_count);

/* Frees all blocks: the queue has ended. */
void shl_store_free(const struct ring_call *call);

/* Calls the visitor for every item, until it answers true, which it then does; it may miss those
 * that others put meanwhile. */
bool shl_store_visit(const struct ring_call *call, const struct shl_visit *visit);

#endif
