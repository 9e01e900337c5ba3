/*
 * Processes managed like threads. This header includes the whole interface.
 *
 * A program calls shoal_init() at the beginning of main(), creates what its processes shall share
 * (queues, pipes, locks and others), and starts processes with the handles in their argument. A
 * handle is eight bytes, which mean the same in every process. Nothing is left behind: the memory
 * has no name, unless the program gives it one, and goes with the last process.
 *
 * Each header begins with what its things are and do, and has a manual page: that of shoal/base.h
 * is shoal_base(7). The complete programs that the headers name are in the sources.
 *
 *     cc program.c $(pkg-config --cflags --libs shoal) -o program
 */
#ifndef SHOAL_H
#define SHOAL_H

#include <shoal/barrier.h>
#include <shoal/base.h>
#include <shoal/condition.h>
#include <shoal/ending.h>
#include <shoal/error.h>
#include <shoal/event.h>
#include <shoal/hooks.h>
#include <shoal/identity.h>
#include <shoal/joinable.h>
#include <shoal/lock.h>
#include <shoal/log.h>
#include <shoal/memory.h>
#include <shoal/pipe.h>
#include <shoal/process.h>
#include <shoal/queue.h>
#include <shoal/segment.h>
#include <shoal/semaphore.h>
#include <shoal/setup.h>
#include <shoal/stats.h>
#include <shoal/sync.h>
#include <shoal/values.h>

#endif
