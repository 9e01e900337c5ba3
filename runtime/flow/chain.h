/*
 * Purpose. A queue without a capacity: when its ring of cells (cells.h) is full, the next one,
 * twice as large, is put behind it. Nothing in a ring is new but what it ends with: not only a
 * shutdown seals it, but also a successor, where those who put, and who have drained it, go on.
 *
 * Layout. cells_shm.h. The first ring is in the queue's own place. Each of the others is an object
 * with cells of its own, that no handle names, and that knows its queue: its `home`. A thread that
 * is inside names the ring in its slot, and so does the journal of one that moves a message, so
 * that neither a message nor memory is dealt with otherwise than in a queue of that ring alone: who
 * is stopped inside a ring, old or drained, keeps its cells where they are. A call begins in the
 * first ring unless that has an end, or is drained, so that a queue that never was full is as fast
 * as one that has a capacity.
 *
 * Invariants
 *   I1 `end` of a ring changes once, from 0. Only the last ring's is 0, or CELLS_SHUT.
 *   I2 From a ring with a successor a taker goes on only behind a CLOSED cell: nothing is put there
 *      later. So what is in a ring came before all that is in the next.
 *   I3 A ring is good (its object's reference) as long as it can be reached from `oldest`, and the
 *      queue is there.
 *
 * Protocol, put, where the last ring is full
 *   C1 a ring is made, that names its home and its maker, and becomes an object
 *   C2 end: 0 -> that ring, by compare-and-set, inside the full one: the commit. Who sleeps there
 *      is woken. Who finds another one there gives his back
 *   C3 maker = 0; newest = that ring
 * take, where a ring that has a successor is drained and closed
 *   E1 {oldest, passed}: {that ring, n} -> {its successor, n + what it had}, one compare-and-set.
 *      The first one stays where it is, as long as the queue
 *   E2 it ends: its reference is good no more
 *   E3 its memory is freed by whoever has left it and finds it ended, and nobody inside
 * destroy: the queue ends, with those at the last ring woken; then each ring is sealed, and ends.
 *
 * Deaths. A ring that cannot be reached, and whose maker does not live, or whose home is gone, is
 * ended by whoever settles a death: so is what is left by one killed between C1 and C2, between E1
 * and E2, or in destroy. One killed between E2 and E3 leaves an ended object, as any other.
 *
 * Order
 *   [chain.end]    C2 release -> who goes on, acquire: the successor
 *   [chain.oldest] E1 release -> who begins there, acquire
 *   [cells.closer] leaves of two: the last one to leave sees that nobody is inside, or is seen
 *
 * Progress. Lock-free, as the rings: who finds the ring full makes one himself. A put that does
 * so takes time for the new cells, of which there are at most CHAIN_CELLS_MAX.
 *
 * Limits. A queue that has grown keeps its first ring. Who is stopped inside a drained ring keeps
 * its memory until he goes on, or dies. Who sleeps at a ring that is chained while its queue is
 * destroyed by one who is killed looks at a tick.
 *
 * Sources. LCRQ's list of closed rings (Morrison, Afek); the rest is ours.
 */
#ifndef SHL_FLOW_CHAIN_H
#define SHL_FLOW_CHAIN_H

#include "flow/cells.h"

enum { CHAIN_CELLS_FIRST = 1024, CHAIN_CELLS_MAX = 1 << 20 };

void shl_chain_init(struct chain_shm *chain);

/* Is the queue's own ring drained, and others behind it? */
static inline bool shl_chain_has_passed(const struct cells_shm *ring)
{
    /* relaxed: from the call on which it matters where a take begins, the look at the ring */
    return atom_load_relaxed(&ring->chain.oldest) != 0;
}

/* For who finds the first ring at its end, whose notes these are: likewise behind it. As
 * shl_cells_put_here() and shl_cells_take_here(); put never waits: -ENOMEM. */
int shl_chain_put(struct shl_found *home, uint64_t item, enum cell_state state);
int shl_chain_take(struct shl_found *home, bool leaves_end, shoal_deadline deadline,
                   void *ret_item);
int shl_chain_seal(const struct ring_call *call);

/* As shl_cells_close() of the queue; behind it the other rings have to be ended, too. */
int shl_chain_close(const struct ring_call *call);
void shl_chain_end_rings(const struct ring_call *call);

uint64_t shl_chain_count(const struct ring_call *call);
void shl_chain_counters(const struct ring_call *call, uint64_t *ret_put, uint64_t *ret_taken);
/* Calls the visitor for what is in the rings, as shl_cells_visit(). */
void shl_chain_visit(const struct ring_call *call, const struct shl_visit *visit);

/* Is that object of the kind of queues no queue, but a ring of another one? */
bool shl_chain_is_part(struct object_shm *object);
/* Of a ring that may be in a chain: is its queue gone? Adds what tells of that to the watches. */
bool shl_chain_is_over(const struct shl_found *ring, struct shl_watches *watches);
/* The queue's own ring. */
struct cells_shm *shl_chain_home(const struct shl_found *ring);
/* Ends a ring that is left over. */
void shl_chain_settle(const struct shl_segment *segment, struct object_shm *object);

#endif
