/*
 * Purpose. One payload with several holds, each of a process or of a queue: the last one frees it.
 *
 * Protocol. share, by the owner: a new object with one hold, his; OWNED -> SHARED
 *           share, by others, or again: J1 enter the holders; J2 count the change, if it is closed
 *             D1 alone; J3 look whether the payload still names the object: if not, D1 and on
 *           unshare: D1 leave the holders; D2 if nobody is left close it, else count the change;
 *             again if somebody else changed it since the look
 *           end, by who finds it closed in D2: end the object, by compare-and-set; SHARED -> OWNED,
 *             by compare-and-set; free the payload and the object
 *           put: W1 an envelope, OWNED; W2 the hold passes to it; W3 put as any other message; if
 *             that fails, U1 and U2
 *           get: take it as any other message; U1 the hold passes to the process; U2 free it
 *           free of an envelope, when its queue is destroyed: D1 and on; then as any other
 * A holder counts from J2 on: either it comes before the look of D2, which then finds him, or D2 is
 * done again, or he finds it closed. Of two who leave the later D2 finds both gone. A hold passes
 * on where it stands, by one compare-and-set, so that no look of D2 can miss it.
 *
 * Death. Killed before OWNED -> SHARED: the object has no living holder. After J1: a dead one.
 * After D1, or closed: none. Whoever settles a death takes the dead off the holders of every object
 * and does D2 and the end for it; who was killed in the end has left an object that has ended,
 * which is finished in the same way. And with an envelope:
 *   killed after    the hold is       the envelope is            so the settler
 *   W1              the dead one's    the dead one's             drops the hold
 *   W2              the envelope's    the dead one's             drops the hold: its owner is dead
 *   W3, before the  the envelope's    SENDING, not in the queue  frees the envelope (journal.h),
 *   commit                                                       then drops the hold
 *   the commit      the envelope's    in the queue               lets it be: a getter has it
 *   the commit of   the envelope's    SENDING, in no queue       does as before W3's commit
 *   a get
 *   its OWNED       the envelope's    the dead one's             as after W2
 *   U1              the dead one's    the dead one's             drops the hold
 *   D1 of a free    nobody's          the dead one's             does D2
 * Memory is settled after the objects: an envelope of the dead is still there when its hold is
 * looked at. If another settler has freed it, and it is used anew, it is of another generation.
 *
 * Order. [share.changes] acq_rel on both sides: the holders before it. [share.holders] acq_rel
 * when a hold passes to an envelope -> acquire of the settler: the envelope's generation.
 */
#ifndef SHL_MEM_SHARE_H
#define SHL_MEM_SHARE_H

#include "mem/alloc.h"
#include "mem/peer.h"

/* The calling process holds the shared payload once less. 0; -EPERM it did not; -EFAULT freed
 * before. */
int shl_unshare(const struct shl_place *place, uint64_t own, struct shl_attachment *self);

/* For put: an envelope of the caller's, to which one hold of his passes; NULL with an error. The
 * payload's word says whose hold. */
void *shl_share_wrap(const struct shl_segment *segment, uint64_t own,
                     const struct shl_attachment *self);

/* For get, or a put that failed: frees the caller's envelope, whose hold passes to him, and answers
 * the shared payload; NULL with an error. */
void *shl_share_unwrap(const struct shl_segment *segment, void *payload,
                       const struct shl_attachment *self);

/* The caller's envelope is about to be freed, and its hold ends. */
void shl_share_discard(const struct shl_place *place, struct shl_attachment *self);

/* What was asked for as the message at an offset, or as what it stands for. By `owner`, who looks
 * at it (shl_place_look; 0: it cannot go). */
uint64_t shl_share_size(const struct shl_segment *segment, uint32_t owner, uint64_t offset);

/* Calls it for each process (short) that holds a shared payload, and for the block of each envelope
 * (of owner 0). By `looker`, who looks at that block. */
void shl_share_visit(const struct shl_segment *segment, uint32_t looker, uint64_t own,
                     void (*visitor)(void *context, uint32_t owner,
                                     const struct block_shm *envelope),
                     void *context);

/* What the holders do about the dead: see the registry in mem/peer.h. */
extern SHL_HIDDEN const struct shl_settler shl_share_settler;

#endif
