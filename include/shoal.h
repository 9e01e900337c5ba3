/* shoal: processes managed like threads. This header includes the whole interface. */
#ifndef SHOAL_H
#define SHOAL_H

#include <shoal/barrier.h>
#include <shoal/base.h>
#include <shoal/condition.h>
#include <shoal/ending.h>
#include <shoal/error.h>
#include <shoal/event.h>
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
