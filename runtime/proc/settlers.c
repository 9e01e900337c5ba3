/* The registry of mem/peer.h: here, above everything that can be left behind. */
#include "flow/settle.h"
#include "mem/share.h"
#include "proc/process.h"
#include "sync/settle.h"

const struct shl_settler *const shl_settlers[KINDS_COUNT] = {
    [KIND_QUEUE] = &shl_queue_settler,         [KIND_LOCK] = &shl_lock_settler,
    [KIND_SEMAPHORE] = &shl_semaphore_settler, [KIND_EVENT] = &shl_event_settler,
    [KIND_CONDITION] = &shl_condition_settler, [KIND_BARRIER] = &shl_barrier_settler,
    [KIND_SHARE] = &shl_share_settler,         [KIND_PROCESS] = &shl_process_settler,
};
