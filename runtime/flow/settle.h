/* What queues and connections do about deaths: see the registry in mem/peer.h. */
#ifndef SHL_FLOW_SETTLE_H
#define SHL_FLOW_SETTLE_H

#include "mem/object.h"

extern SHL_HIDDEN const struct shl_settler shl_queue_settler, shl_connection_settler;

#endif
