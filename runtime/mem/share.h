/*
 * Purpose. One payload, several processes that hold it, each once: the last one frees it.
 *
 * Protocol. share, by the owner: a new object with him as its holder; OWNED -> SHARED
 *           share, by others: J1 enter the holders; J2 count the change, unless it is closed; J3
 *             look whether the payload still names the object: if not, D1 and on
 *           unshare: D1 leave the holders; D2 if nobody is left close it, else count the change;
 *             again if somebody else changed it since the look
 *           end, by who finds it closed in D2: end the object, by compare-and-set; SHARED -> OWNED,
 *             by compare-and-set; free the payload and the object
 * A holder counts from J2 on: either it comes before the look of D2, which then finds him, or D2 is
 * done again, or he finds it closed. Of two who leave the later D2 finds both gone.
 *
 * Death. Killed before OWNED -> SHARED: the object has no living holder. After J1: a dead one.
 * After D1, or closed: none. Whoever settles a death takes the dead off the holders of every object
 * and does D2 and the end for it; who was killed in the end has left an object that has ended,
 * which is finished in the same way.
 *
 * Order. [share.changes] acq_rel on both sides: the holders before it.
 */
#ifndef SHL_MEM_SHARE_H
#define SHL_MEM_SHARE_H

#include "mem/alloc.h"
#include "mem/peer.h"

/* The calling process no longer holds the shared payload. 0; -EPERM it did not. */
int shl_unshare(const struct shl_place *place, uint64_t own, struct shl_attachment *self);

/* Calls it for each owner (short) that holds a shared payload. */
void shl_share_visit(const struct shl_segment *segment, uint64_t own,
                     void (*visitor)(void *context, uint32_t owner), void *context);

/* What the holders do about the dead: see the registry in mem/peer.h. */
extern SHL_HIDDEN const struct shl_settler shl_share_settler;

#endif
