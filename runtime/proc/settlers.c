/* The registry of mem/peer.h: here, above everything that can be left behind; and what those below
 * ask about processes. */
#include "flow/pipe.h"
#include "flow/settle.h"
#include "mem/lease.h"
#include "mem/share.h"
#include "proc/process.h"
#include "sync/settle.h"

const struct shl_settler *const shl_settlers[KINDS_COUNT] = {
    [KIND_QUEUE] = &shl_queue_settler,           [KIND_LOCK] = &shl_lock_settler,
    [KIND_SEMAPHORE] = &shl_semaphore_settler,   [KIND_EVENT] = &shl_event_settler,
    [KIND_CONDITION] = &shl_condition_settler,   [KIND_BARRIER] = &shl_barrier_settler,
    [KIND_SHARE] = &shl_share_settler,           [KIND_PROCESS] = &shl_process_settler,
    [KIND_CONNECTION] = &shl_connection_settler, [KIND_LEASE] = &shl_lease_settler,
};

bool shl_process_ref_is_gone(const struct shl_segment *segment, uint64_t ref)
{
    struct object_shm *object = shl_object_at(segment, ref, KIND_PROCESS);
    struct process_shm *process = (struct process_shm *)object;
    if (!object)
        return true;
    /* [process.state] acquire <- look(). */
    uint32_t state = atom_load_acquire(&process->state);
    return state == PROCESS_ENDED || (state == PROCESS_RUNNING &&
                                      shl_process_is_gone((pid_t)atom_load_relaxed(&process->pid),
                                                          atom_load_relaxed(&process->start_time)));
}
