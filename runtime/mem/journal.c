#include "mem/journal.h"

#include "mem/alloc.h"
#include "mem/object.h"

static bool is_same(void *context, uint64_t descriptor)
{
    return descriptor == *(const uint64_t *)context;
}

/* J1 */
static bool lies_in_queue(const struct shl_segment *segment, uint64_t queue, uint64_t descriptor)
{
    struct object_shm *object = shl_object_at(segment, queue, KIND_QUEUE);
    return object && shl_settlers[KIND_QUEUE]->visit(segment, object, is_same, &descriptor);
}

/* J2 */
static bool is_being_taken(const struct shl_segment *segment, uint64_t descriptor)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer_shm *peer = shl_thread_peer(segment, i);
        /* [journal.message] acquire <- shl_journal_taking(). */
        if (atom_load_acquire(&peer->journal.descriptor) == (descriptor | JOURNAL_TAKING) &&
            !shl_thread_slot_is_dead(segment, i))
            return true;
    }
    return false;
}

void shl_journal_settle(const struct shl_segment *segment, uint32_t number)
{
    struct journal_shm *journal = &shl_thread_peer(segment, number)->journal;
    /* [journal.message] acquire <- the dead thread. */
    uint64_t descriptor = atom_load_acquire(&journal->descriptor) & ~JOURNAL_TAKING;
    struct shl_place place;
    if (descriptor == 0 || descriptor_offset(descriptor) >= segment->size ||
        !shl_place_at(segment, descriptor_offset(descriptor), &place))
        return;
    /* [journal.message] acquire: before the looks at queue and journals. */
    uint64_t own = atom_load_acquire(&place.block->own);
    bool sending = block_own_state(own) == BLOCK_SENDING &&
                   descriptor_make(descriptor_offset(descriptor), block_own_seq(own)) == descriptor;
    if (sending && !lies_in_queue(segment, atom_load_relaxed(&journal->queue), descriptor) &&
        !is_being_taken(segment, descriptor))
        /* [runs.free] release; its free bit is made by shl_runs_settle(). */
        atom_cas_release_64(&place.block->own, own,
                            block_own_make(BLOCK_FREE, 0, block_own_seq(own)));
    /* [journal.message] release: settled. */
    atom_store_release(&journal->descriptor, 0);
}
