/*
 * Purpose. Messages that are out: each is somebody's who finishes it, or comes back.
 *
 * Protocol. get:    G1 a lease, TAKING; G2 the message is taken out of the ring, as mem/journal.h
 *             says; G3 the block SENDING -> LEASED, naming the lease; G4 TAKING -> HELD; G5 the
 *             journal names it no more
 *           finish: F1 the block LEASED -> OWNED, by compare-and-set; F2 HELD -> OVER,
 *             and who waits for that is told; F3 the payload and the lease are freed
 *           put:    the lease says by which send its payload goes; the block LEASED -> SENDING, and
 *             as any put; behind its commit F2. If it failed the block names the lease again
 *           settle, for a lease of the dead, behind their journals: it becomes RETURNED if
 *             the block names it, else it has ended
 *           again:  RETURNED -> HELD, by compare-and-set
 * The block decides whether there is a lease, the lease's word whose it is.
 *
 * Death. Before G2: an unused lease, which ends. After G2: the journal tells it, and who settles it
 * does G3 in the name of the dead (shl_lease_keep). After G3: RETURNED. After F1: the block goes
 * with its owner, and the lease ends. In a put before its commit: the journal tells it too, and the
 * block names the lease again: the one that goes by this send, as the process may hold another that
 * is over but for its F2. In settling: a lease still names the dead, or is RETURNED; whoever
 * settles the settler tells the queue again.
 *
 * Order. [lease.word] acq_rel: the payload, from one holder to the next; seq_cst where F2 is looked
 * for together with the ring and the bell (flow/joinable.c).
 *
 * Limits. A thread that dies alone between F1 and F2, or in a put behind its commit, leaves a lease
 * that is over only when its process ends.
 */
#ifndef SHL_MEM_LEASE_H
#define SHL_MEM_LEASE_H

#include "mem/alloc.h"
#include "mem/lease_shm.h"
#include "mem/object.h"
#include "mem/peer.h"

/* G1; NULL with an error. What was not used in the end is given back by shl_lease_unused(). */
struct lease_shm *shl_lease_prepare(const struct shl_segment *segment,
                                    const struct shl_attachment *self, uint64_t queue);
void shl_lease_unused(const struct shl_segment *segment, struct lease_shm *lease);

/* G3 and G4, of a block that was taken and whose word is `own`. */
void shl_lease_begin(struct lease_shm *lease, const struct shl_attachment *self,
                     const struct shl_place *place, uint64_t own);

/* The lease that a LEASED block names, as it is now; NULL (no error told) if it is no more. */
struct lease_shm *shl_lease_of(const struct shl_segment *segment, uint64_t own);
/* Likewise for a payload that the process holds; NULL with an error. */
struct lease_shm *shl_lease_mine(const struct shl_segment *segment, uint64_t own,
                                 const struct shl_attachment *self);

/* Before a put of what it is of: by this send. */
static inline void shl_lease_goes(struct lease_shm *lease, uint64_t descriptor)
{
    atom_store_relaxed(&lease->descriptor, descriptor);
}

/* F2, and the lease is freed. */
void shl_lease_over(const struct shl_segment *segment, struct lease_shm *lease);
/* F1 and F2: the payload is the process's own. 0 or an error. */
int shl_lease_finish(const struct shl_place *place, uint64_t own,
                     const struct shl_attachment *self);

/* The next lease of a queue that is not over, or not unused; NULL at the end. */
struct lease_shm *shl_lease_next(const struct shl_segment *segment, struct shl_object_walk *walk,
                                 uint64_t queue, uint64_t *ret_word);

/* The oldest one that was returned, of so many deliveries at least, becomes the process's; NULL
 * (no error told) if there is none. */
struct lease_shm *shl_lease_take_returned(const struct shl_segment *segment,
                                          const struct shl_attachment *self, uint64_t queue,
                                          uint32_t deliveries_min);

/* The payload of a lease, as its block names it. */
bool shl_lease_place(const struct shl_segment *segment, const struct lease_shm *lease,
                     struct shl_place *ret_place);

/* The process (short) that holds what a LEASED block is, or 0. */
uint32_t shl_lease_holder(const struct shl_segment *segment, uint64_t own);

/* Of a block that is SENDING, by `own`, and which a dead thread had in its hands, as its journal's
 * word says: what it becomes, if that is a lease; else 0. */
uint64_t shl_lease_keep(const struct shl_segment *segment, uint32_t number, uint64_t journal,
                        uint64_t own);

extern SHL_HIDDEN const struct shl_settler shl_lease_settler;

#endif
