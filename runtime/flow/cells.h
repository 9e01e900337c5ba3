/*
 * Purpose. R16, the ring of cells: a bounded queue of 8-byte items, first in first out, that any
 * number of processes use at once, and that is neither held up nor damaged by one that dies or is
 * stopped at any instruction.
 *
 * Layout. cells_shm.h: cells {turn, item}; a turn is {position, state}. Position p lies in the cell
 * p mod capacity; positions count on lap after lap. Where the ring begins and ends is said by the
 * cells alone: `tail` and `head` are hints.
 *
 * Invariants
 *   I1 A cell's turn only goes up: {p FREE}, {p FULL}, {p + a lap FREE}; or {p FREE}, {p CLOSED}.
 *   I2 Positions are filled, and emptied, without gaps: who steps on from p has seen that p was, or
 *      a hint of one who had.
 *   I3 While a turn is {p FULL} its item does not change: it is what the put of p brought.
 *   I4 Whoever puts or takes has named the queue in his slot, `inside`, and has seen since that
 *      the queue is there: the cells are not freed while a live thread names it. Who only looks for
 *      a message (shl_cells_visit) names their chunk, and believes what he saw if they still were
 *      the queue's afterwards.
 *
 * Protocol, put (take mirrors it)
 *   P1 inside = the queue, and its handle is still good
 *   P2 from the hint on, the first position t that is not filled; if its cell still is {t - a lap
 *      FULL}, the ring is full; if it is CLOSED, or the ring sealed by then, put fails
 *   P3 the bell of those who take is pending: the kernel rings it if we die before P5
 *   P4 {t FREE, any} -> {t FULL, item}: one compare-and-set of both words, the commit
 *      failed: another one has put there. From P2
 *      Where one thread alone puts (single.h) in two steps: the item, and then {t FREE} -> {t FULL}
 *      of the turn alone, which fails only if the ring was closed there. Killed in between: nothing
 *      was put, and the next one writes another item
 *   P5 the hints; ring the bell; nothing is pending; inside = nothing
 * take: P4 is {h FULL} -> {h + a lap FREE}, of the turn alone, the item having been read before. A
 *   message is named in the thread's journal first (mem/journal.h), where the caller finds it if P4
 *   succeeds. It finds the ring empty at {h FREE}; if the ring is sealed it closes it there:
 *   {h FREE, any} -> {h CLOSED}, so that no late put can follow.
 * seal: end = another than 0, once. A put that found its cell free before may still commit, as one
 *   that came before the seal, until somebody has been told that the ring is shut down and empty.
 * close: the handle is good no more; all sleepers are woken; then nobody is inside, or the rest is
 *   left to whoever settles a death: this thread does not wait for a stopped one.
 *
 * Linearization. A put and a take at their P4; "full" at the load of {t - a lap FULL}, "empty" at
 * the load of {h FREE}: by I2 all before t was filled, all before h emptied, and the one word says
 * that no more was, at that instant.
 *
 * Order
 *   [cells.fill]   put's P4 release -> take's load of the turn, acquire: the item. Of one who puts
 *                  alone the item itself, too, is a release -> shl_cells_visit(), acquire: the turn
 *                  was FREE
 *   [cells.drain]  take's P4 release -> put's load of the turn, acquire: the reader is done
 *   [cells.hint]   release -> P2's load of the hint, acquire: I2 also for who begins there
 *   [cells.inside] P1 store, then look at the handle | close: end the handle, then look for those
 *                  inside: one of the two sees the other. As an end is rare, who ends a queue pays
 *                  for that order (os/membarrier.h), and P1 is a plain store; where the kernel does
 *                  not help all four are seq_cst
 *   [cells.closer] release -> acquire: what the last one who drained an ended ring has freed
 *   [cells.freed]  the cells' block is no part any more, release -> shl_cells_visit(), acquire
 *   P4 and the loads that decide empty and full are seq_cst for [park.flag], too.
 *
 * Progress. Lock-free: a compare-and-set fails only if another's has succeeded in that cell, and
 * nobody waits for anybody's next step. Killed or stopped before P4: nothing was put or taken.
 * After it: all was; a lagging hint costs the others some steps, which the next one's makes good.
 *
 * Limits. The turn's 64 bits come round after 2^60 items at least, decades. A futex compares a
 * turn's low half: who is about to sleep and misses exactly 2^29 positions in between sleeps until
 * the next wake-up. The ring holds exactly its capacity.
 *
 * Sources. Nikolaev's NCQ and Shann's ring (the commit is the cell's own compare-and-set; what is
 * counted is a hint); LCRQ for the two-word cell. tests/check explores this code.
 */
#ifndef SHL_FLOW_CELLS_H
#define SHL_FLOW_CELLS_H

#include "flow/cells_shm.h"
#include "flow/ring.h"

/* How many cells a capacity needs, in bytes. */
static inline uint64_t shl_cells_size(uint64_t capacity)
{
    return capacity * sizeof(struct cell_shm);
}

/* A ring that nobody sees yet, in a place that may have held another one. Its positions begin
 * `laps` laps on: for tests. */
void shl_cells_init(const struct shl_segment *segment, struct cells_shm *ring, uint64_t cells,
                    uint64_t capacity, uint64_t laps);

/* Are the notes of this ring? The generation of a handle comes round; a thread that has used the
 * queue of that handle long ago has notes of another one. */
static inline bool shl_cells_are_known(const struct shl_found *found)
{
    return atom_load_relaxed(&found->ring->number) == found->number;
}

/* Notes how the ring of what was found lies in memory, and what it is for: the calls below want
 * that. What another process has damaged has no cells: they answer -EUCLEAN. */
void shl_cells_learn(struct shl_found *found, struct cells_shm *ring, enum shl_items items);

/* Of one item: 0, -ETIMEDOUT, -ECANCELED, -EPIPE sealed (for take: and empty, or an end), -ESTALE,
 * -EUCLEAN. With `leaves_end` an end is not taken: there is nothing to take. */
int shl_cells_put(struct shl_found *found, uint64_t item, shoal_deadline deadline);
int shl_cells_put_end(struct shl_found *found, shoal_deadline deadline);
int shl_cells_take(struct shl_found *found, bool leaves_end, shoal_deadline deadline,
                   void *ret_item);

/* Likewise in that one ring, whatever is behind it. A put waits for nothing; a take answers 1 for
 * an item and 0 for an end: -EPIPE is sealed and empty, and nothing else. */
int shl_cells_put_here(struct shl_found *found, uint64_t item, enum cell_state state);
int shl_cells_take_here(struct shl_found *found, bool leaves_end, shoal_deadline deadline,
                        void *ret_item);

/* From here on puts fail: its end is CELLS_SHUT, or the ring that comes next. 0, also if it had
 * another one before; -ESTALE. Wakes those who wait. */
int shl_cells_seal(const struct shl_found *found, uint64_t end);

/*
 * Ends the ring's object: 0, and nobody is inside or will be; -EAGAIN if somebody is stopped
 * inside, or the kernel does not help to know, then whoever settles a death does the rest; -ESTALE
 * if another has ended it. The caller frees the cells.
 */
int shl_cells_close(const struct ring_call *call);
/* Likewise for one that has ended already: true if it is certain that nobody is inside, or drains
 * it, while its place says `own`. */
bool shl_cells_enter_ended(const struct ring_call *call, uint64_t own);
void shl_cells_leave(const struct ring_call *call);
/* Leaves what a dead thread was draining. */
void shl_cells_settle(struct cells_shm *ring, const struct shl_dead *dead);

/* Calls the visitor for every item of a queue that is there, or has ended and is not drained, until
 * it answers true, which it then does; it may miss or repeat those that others put and take
 * meanwhile. */
bool shl_cells_visit(const struct cells_shm *ring, const struct shl_visit *visit);

/* Items in it, ends too; exact while nobody puts or takes. 0 if the queue is gone. */
uint64_t shl_cells_count(struct shl_found *found);
bool shl_cells_full(struct shl_found *found);
/* Of all items that were ever put, and of those that were taken; unchanged if the queue is gone. */
void shl_cells_counters(struct shl_found *found, uint64_t *ret_put, uint64_t *ret_taken);

#endif
