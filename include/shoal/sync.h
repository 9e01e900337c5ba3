/*
 * Locks, semaphores, events, conditions and barriers: what processes and threads use to wait for
 * each other. Each lies in a segment; its handle works in every process that has the segment, and
 * threads of one process are treated like threads of several.
 *
 * Nobody waits for the dead. A process may be killed inside any call and with anything in its
 * hands: every object stays usable, and who must know of it is told. A stopped process (SIGSTOP)
 * is alive and keeps what it holds.
 *
 * A wait spins for some microseconds and then sleeps without using the processor. Signals do not
 * end it; an event in its deadline does, see shoal_until(). When an object is destroyed, those who
 * wait for it get -ESTALE.
 */
#ifndef SHOAL_SYNC_H
#define SHOAL_SYNC_H

#include <shoal/barrier.h>
#include <shoal/condition.h>
#include <shoal/event.h>
#include <shoal/lock.h>
#include <shoal/semaphore.h>

#endif
