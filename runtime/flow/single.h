/*
 * Purpose. A queue whose options say so has a single producer, or a single consumer: the first
 * thread that puts, or gets, until it ends. Others are refused as long as it lives. The ring of
 * cells makes its put cheaper by that (cells.h); the rest is checked and no more.
 *
 * Layout. A word for each side, in queue_shm.h: {the reference's generation:32, owner:32}; owner 0:
 * nobody yet; all 0: any number of threads.
 *
 * Protocol
 *   S1 {queue, nobody, or one who is gone} -> {queue, me}, by compare-and-set. From then on only my
 *      end changes the word, so that I note that the side is mine, and look no more.
 *   S2 {queue, one who is dead or leaves} -> {queue, nobody}, by whoever settles that
 * Killed before S1: nothing has happened; behind it: the side is a dead one's, and there is nothing
 * to repair, as what is put or taken changes one word of the ring. Who is stopped keeps his side.
 * Gone is never guessed (mem/peer.h): so no step of an owner comes after that of his successor.
 *
 * A thread may be stopped before S1 until another queue lives in the place: the word then has
 * another reference, and the handle is stale.
 *
 * Order. [single.side] S1, S2 release -> S1 acquire: items that the last owner wrote and never
 * committed come before mine.
 */
#ifndef SHL_FLOW_SINGLE_H
#define SHL_FLOW_SINGLE_H

#include "flow/queue_shm.h"
#include "flow/ring.h"

/* Before anybody sees the queue. */
void shl_single_init(struct queue_shm *queue, unsigned side, bool single);

/* The calling thread is about to put or to take, by a call that is good in all else: 0 if it may;
 * -EPERM, -ESTALE, -EUCLEAN. */
int shl_single_enter(const struct ring_call *call, unsigned side);

/* Leaves the sides that a dead thread had. */
void shl_single_settle(struct queue_shm *queue, const struct shl_dead *dead);

#endif
