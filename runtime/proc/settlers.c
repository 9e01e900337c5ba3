/* The registry of mem/peer.h: here, above everything that can be left behind. */
#include "flow/settle.h"
#include "sync/settle.h"

const shl_settler shl_settlers[KINDS_COUNT] = {
    [KIND_QUEUE] = shl_queue_settle,         [KIND_LOCK] = shl_lock_settle,
    [KIND_SEMAPHORE] = shl_semaphore_settle, [KIND_CONDITION] = shl_condition_settle,
    [KIND_BARRIER] = shl_barrier_settle,
};
