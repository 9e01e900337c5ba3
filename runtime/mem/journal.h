/*
 * Purpose. A message on its way is never lost and never had twice, whoever dies: its block says
 * SENDING from before the put commits until after the get has committed, so that something else
 * must tell whether it lies in the queue or in somebody's hands. That is the thread's journal.
 *
 * Protocol. put: journal = {queue, message}; block SENDING; commit; journal = none
 *           get: journal = {queue, message, taking} while it still lies in the queue; commit; block
 *             OWNED; journal = none
 *           entering a side over a dead taker, who has not committed: first his journal = none
 *           settling a dead thread whose journal names a message that its block says is SENDING, by
 *             the thread's own process if it was putting:
 *             J1 it lies in the queue: nothing to do
 *             J2 another thread is taking it: he goes on, or is settled for it himself
 *             J3 the block is still as it was: nobody's, or a lease's (mem/lease.h), by
 *               compare-and-set
 * From a put on the message lies in the queue, or a journal says that it is being taken, or its
 * block has changed; J1 to J3 look in that order, so that who finds none of them true knows that it
 * was never put, or that it was this dead one who took it.
 *
 * A journal that a dead thread has left names that one send. Of a putter: his process sends no
 * more. Of a taker before the commit: it is cleared before another one takes the message. After the
 * commit: the block is not used again before this is settled. And a run is not cut anew, which
 * would let the numbers of sends begin again, while any journal names a block of it.
 *
 * Order. [journal.message] release -> J1, J2 acquire: stores of one thread are seen in their order.
 *
 * Limits. A thread that dies alone between commit and end of a put, in a process that lives on: the
 * block would have to be sent 65,536 times more before that is settled.
 */
#ifndef SHL_MEM_JOURNAL_H
#define SHL_MEM_JOURNAL_H

#include "mem/peer.h"
#include "mem/self.h"
#include "os/chaos.h"

/* A journal's word: {taking:1, zero:1, generation of the slot:6, descriptor:56}; 0: none. */
#define JOURNAL_TAKING (UINT64_C(1) << 63)
#define JOURNAL_DESCRIPTOR(word) ((word) & ((UINT64_C(1) << 56) - 1))

static inline void shl_journal_putting(const struct shl_attachment *self, uint64_t queue,
                                       uint64_t descriptor)
{
    atom_store_relaxed(&self->journal->queue, queue);
    if (SHL_MISTAKE("journal.written"))
        return;
    /* [journal.message] release -> shl_journal_settle(). */
    atom_store_release(&self->journal->word, (uint64_t)(self->owner >> 10) << 56 | descriptor);
}

static inline void shl_journal_taking(const struct shl_attachment *self, uint64_t queue,
                                      uint64_t descriptor)
{
    shl_journal_putting(self, queue, descriptor | JOURNAL_TAKING);
}

static inline void shl_journal_done(const struct shl_attachment *self)
{
    /* [journal.message] release -> shl_journal_settle(): the block's new owner. */
    atom_store_release(&self->journal->word, 0);
}

/* For a dead thread (short) that holds the side of a queue from which it was taking a message. */
void shl_journal_void(const struct shl_segment *segment, uint32_t owner, uint64_t queue);

/* The thread (short) in a slot whose journal says that it is taking a message from that queue, or
 * 0. */
uint32_t shl_journal_taker(const struct shl_segment *segment, uint32_t number, uint64_t queue);

/* The block a message's descriptor names, as long as it is SENDING so: false if it cannot be. */
struct shl_place;
bool shl_message_find(const struct shl_segment *segment, uint64_t descriptor,
                      struct shl_place *ret_place, uint64_t *ret_own);

/* Does the journal of anybody, alive or dead, name a block between two offsets? */
bool shl_journal_names(const struct shl_segment *segment, uint64_t begin, uint64_t end);

/* For a thread's slot whose thread is one of the dead. */
void shl_journal_settle(const struct shl_segment *segment, uint32_t number);

#endif
