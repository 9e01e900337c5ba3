/*
 * Purpose. Queues whose messages are leased (mem/lease.h): they come back from a consumer that
 * dies, and it is known when all are finished.
 *
 * What was put is unfinished while it lies in the ring, or a thread's journal says that it is being
 * taken, or it has a lease that is not over. join reads in this order: the ring is empty; nobody
 * is taking; no lease is out; nothing was put meanwhile. If all is so, there was an instant at
 * which nothing was unfinished: what had been taken when the ring was empty was in a journal, then
 * in a lease, never in neither before it was finished. Nothing is counted, so that no count can be
 * wrong after a death.
 *
 * Who finishes a lease behind which the ring is empty rings the bell `done`, which is pending from
 * before the lease is over: [park.flag] as in sync/park.c. The last of several finds the ring
 * empty.
 *
 * Returned leases come first, the oldest first, before what lies in the ring. `returned` is only a
 * hint of them: raised behind the lease, and lowered by who has walked all leases and found none,
 * if it was not raised meanwhile. Whoever settles a death raises it for each that is RETURNED.
 *
 * Who sleeps here watches the lives of those who have leases or are taking, and settles their
 * death. He also watches the hint, and what makes him wait: the head, or the first lease or journal
 * that he has seen. So what happens between his look and his sleep ends the sleep, also if who did
 * it is killed before he rings.
 *
 * Limits. Who takes the last end and is killed before it has rung, and who gets a lease that no
 * sleeper has seen and is killed: this is seen at a tick, or when the dead one is joined.
 */
#ifndef SHL_FLOW_JOINABLE_H
#define SHL_FLOW_JOINABLE_H

#include "flow/ring.h"

/* Of a joinable queue: waits for a message and leases it; 0 or an error as shl_ring_take(). */
int shl_joinable_get(const struct ring_call *call, void **ret_payload);

/* How many returned leases there are. */
uint64_t shl_joinable_returned_count(const struct ring_call *call);

/* Frees the messages that were returned. */
void shl_joinable_drop_returned(const struct ring_call *call);

/* Wakes all that wait at `done`: the queue is gone. */
void shl_joinable_wake(struct object_shm *object);

/* For the registry in mem/peer.h. */
void shl_joinable_over(struct object_shm *object, atom64 *lease, uint64_t word);
void shl_joinable_returned(struct object_shm *object);

#endif
