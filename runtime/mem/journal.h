/*
 * Purpose. A message on its way is never lost and never had twice, whoever dies: its block says
 * SENDING from before the put commits until after the get has committed, so that something else
 * must tell whether it lies in the queue or in somebody's hands. That is the thread's journal.
 *
 * Protocol. put: journal = {queue, message}; block SENDING; commit; journal = none
 *           get: journal = {queue, message, taking} while it still lies in the queue; commit; block
 *             OWNED; journal = none
 *             if another has taken it from a ring of cells: taking -> none, by compare-and-set; if
 *             it says asked meanwhile, he settles the message for himself, as for a dead one
 *           entering a side of a dense ring over a dead taker, who has not committed: first his
 *             journal = none
 *           settling a thread whose journal names a message that its block says is SENDING, by the
 *             thread's own process if it was putting:
 *             J0 taking or asked -> settling: he does not have it any more
 *             J1 it lies in the queue: nothing to do
 *             J2 another thread is taking it: taking -> asked, by compare-and-set, and it is that
 *               one's to have or to settle. For one who was putting, also if another settles it
 *             J3 the block is still as it was: nobody's, or a lease's (mem/lease.h), by
 *               compare-and-set
 *             and last, journal = none
 * From a put on the message lies in the queue, or a journal says that it is being taken, or its
 * block has changed; J1 to J3 look in that order, so that who finds none of them true knows that it
 * was never put, or that it was a dead one who took it.
 *
 * Who may have a message in the end is one who is taking it since before it left the queue. So J3
 * takes it from nobody alive: he would have been found by J2. And somebody comes to J3: of those
 * who settle a message that a dead one took each one but the last has asked another who was
 * taking then, and who says settling later than he. There are not many: who reads a message's cell
 * when it has left the queue fails his commit, and sees so at the next look.
 *
 * A journal that a dead thread has left names that one send. Of a putter: his process sends no
 * more. Of a taker before the commit: of a dense ring it is cleared before another one takes the
 * message. After the commit: the block is not used again before this is settled. And a run is not
 * cut anew, which would let the numbers of sends begin again, while any journal names a block of
 * it.
 *
 * Order. [journal.message] release -> J1, J2 acquire: stores of one thread are seen in their order.
 * [journal.asked] J0 and J2 are seq_cst: of two who settle one message one sees the other settle.
 *
 * Limits. A thread that dies alone between commit and end of a put, in a process that lives on: the
 * block would have to be sent 65,536 times more before that is settled. A taker that fails in a
 * ring of cells, and is stopped between its look at the cell and its commit: likewise, or its run
 * cut anew, and it killed at the next instructions.
 */
#ifndef SHL_MEM_JOURNAL_H
#define SHL_MEM_JOURNAL_H

#include "mem/alloc.h"
#include "mem/peer.h"
#include "mem/self.h"
#include "os/chaos.h"

/*
 * A journal's word: {step:2, generation of the slot:6, descriptor:56}; 0: none.
 *   step  0 putting; TAKING; TAKING and ASKED; ASKED alone: the message is being settled for him
 */
#define JOURNAL_TAKING (UINT64_C(1) << 63)
#define JOURNAL_ASKED (UINT64_C(1) << 62)
#define JOURNAL_DESCRIPTOR(word) ((word) & ((UINT64_C(1) << 56) - 1))

/* Of a message that somebody is taking, or was. */
static inline bool shl_journal_is_takers(uint64_t word)
{
    return word & (JOURNAL_TAKING | JOURNAL_ASKED);
}

static inline uint64_t shl_journal_word(const struct shl_attachment *self, uint64_t step,
                                        uint64_t descriptor)
{
    return step | (uint64_t)(self->owner >> 10) << 56 | JOURNAL_DESCRIPTOR(descriptor);
}

static inline void shl_journal_write(const struct shl_attachment *self, uint64_t queue,
                                     uint64_t step, uint64_t descriptor)
{
    atom_store_relaxed(&self->journal->queue, queue);
    if (!SHL_MISTAKE("journal.written"))
        /* [journal.message] release -> shl_journal_settle(). */
        atom_store_release(&self->journal->word, shl_journal_word(self, step, descriptor));
}

static inline void shl_journal_putting(const struct shl_attachment *self, uint64_t queue,
                                       uint64_t descriptor)
{
    shl_journal_write(self, queue, 0, descriptor);
}

static inline void shl_journal_taking(const struct shl_attachment *self, uint64_t queue,
                                      uint64_t descriptor)
{
    shl_journal_write(self, queue, JOURNAL_TAKING, descriptor);
}

/* The message was not put there: it is another queue's to be put into. */
static inline void shl_journal_moves(const struct shl_attachment *self, uint64_t queue)
{
    if (!SHL_MISTAKE("journal.moves"))
        atom_store_relaxed(&self->journal->queue, queue);
}

static inline void shl_journal_done(const struct shl_attachment *self)
{
    /* [journal.message] release -> shl_journal_settle(): the block's new owner. */
    atom_store_release(&self->journal->word, 0);
}

/* Another one has taken what the journal says that this thread is taking. */
void shl_journal_lost(const struct shl_segment *segment, const struct shl_attachment *self,
                      uint64_t descriptor);

/* For a dead thread (short) that holds the side of a queue from which it was taking a message. */
void shl_journal_void(const struct shl_segment *segment, uint32_t owner, uint64_t queue);

/* The thread (short) in a slot whose journal says that it is taking a message from that queue, or
 * 0. */
uint32_t shl_journal_taker(const struct shl_segment *segment, uint32_t number, uint64_t queue);

/* The block a message's descriptor names, as long as it is SENDING so: false if it cannot be. */
static inline bool shl_message_find(const struct shl_segment *segment, uint64_t descriptor,
                                    struct shl_place *ret_place, uint64_t *ret_own)
{
    uint64_t offset = descriptor_offset(descriptor);
    if (unlikely(offset >= segment->size || !shl_place_at(segment, offset, ret_place)))
        return false;
    /* [journal.message] acquire: before a look at queue and journals. */
    *ret_own = atom_load_acquire(&ret_place->block->own);
    return block_own_state(*ret_own) == BLOCK_SENDING &&
           descriptor_make(offset, block_own_seq(*ret_own)) == descriptor;
}

/* Frees the message, unless it is not that any more: whoever settles a death may have freed it. */
void shl_message_free(const struct shl_segment *segment, const struct shl_attachment *self,
                      uint64_t descriptor);

/* Does the journal of anybody, alive or dead, name a block between two offsets? */
bool shl_journal_names(const struct shl_segment *segment, uint64_t begin, uint64_t end);

/* For a thread's slot whose thread is one of the dead; `owner` (short) names in his own slot what
 * he looks at. */
void shl_journal_settle(const struct shl_segment *segment, uint32_t owner, uint32_t number);

#endif
