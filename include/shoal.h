/* shoal: processes managed like threads. This header includes the whole interface. */
#ifndef SHOAL_H
#define SHOAL_H

#include <shoal/base.h>
#include <shoal/error.h>
#include <shoal/memory.h>
#include <shoal/process.h>
#include <shoal/queue.h>
#include <shoal/segment.h>

#endif
