/* What a queue does about a dead owner: see the registry in mem/peer.h. */
#ifndef SHL_FLOW_SETTLE_H
#define SHL_FLOW_SETTLE_H

#include "mem/object.h"

void shl_queue_settle(const struct shl_segment *segment, struct object_shm *object,
                      const struct shl_dead *dead);

#endif
