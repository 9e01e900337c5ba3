#include "mem/journal.h"

#include "mem/alloc.h"
#include "mem/lease.h"
#include "mem/object.h"

static bool is_same(void *context, uint64_t descriptor)
{
    return descriptor == *(const uint64_t *)context;
}

/* J1 */
static bool lies_in_queue(const struct shl_segment *segment, uint64_t queue, uint64_t descriptor)
{
    enum shl_kind kind = KIND_QUEUE;
    struct object_shm *object = shl_object_at(segment, queue, kind);
    if (!object)
        object = shl_object_at(segment, queue, kind = KIND_CONNECTION);
    return object && shl_settlers[kind]->visit(segment, object, is_same, &descriptor);
}

static uint64_t word_of(const struct shl_segment *segment, uint32_t number)
{
    /* [journal.message] acquire <- shl_journal_putting(). */
    return atom_load_acquire(&shl_thread_peer(segment, number)->journal.word);
}

/* J2 */
static bool another_took(const struct shl_segment *segment, uint32_t number, uint64_t descriptor)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        uint64_t word = word_of(segment, i);
        bool other = i != number || SHL_MISTAKE("journal.himself");
        if (other && (word & JOURNAL_TAKING) && JOURNAL_DESCRIPTOR(word) == descriptor)
            return true;
    }
    return false;
}

uint32_t shl_journal_taker(const struct shl_segment *segment, uint32_t number, uint64_t queue)
{
    uint64_t word = word_of(segment, number);
    bool is_its = (word & JOURNAL_TAKING) &&
                  atom_load_relaxed(&shl_thread_peer(segment, number)->journal.queue) == queue;
    return is_its ? PEER_OWNER_MAKE(number, (uint32_t)(word >> 56 & 0x3f)) : 0;
}

bool shl_message_find(const struct shl_segment *segment, uint64_t descriptor,
                      struct shl_place *ret_place, uint64_t *ret_own)
{
    uint64_t offset = descriptor_offset(descriptor);
    if (unlikely(offset >= segment->size || !shl_place_at(segment, offset, ret_place)))
        return false;
    *ret_own = atom_load_relaxed(&ret_place->block->own);
    return block_own_state(*ret_own) == BLOCK_SENDING &&
           descriptor_make(offset, block_own_seq(*ret_own)) == descriptor;
}

void shl_journal_void(const struct shl_segment *segment, uint32_t owner, uint64_t queue)
{
    struct journal_shm *journal = &shl_thread_peer(segment, PEER_OWNER_SLOT(owner))->journal;
    uint64_t word = word_of(segment, PEER_OWNER_SLOT(owner));
    if ((word & JOURNAL_TAKING) && (word >> 56 & 0x3f) == owner >> 10 &&
        atom_load_relaxed(&journal->queue) == queue)
        /* [journal.message] release: it was not taken. */
        atom_cas_release_64(&journal->word, word, 0);
}

bool shl_journal_names(const struct shl_segment *segment, uint64_t begin, uint64_t end)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        uint64_t offset = descriptor_offset(JOURNAL_DESCRIPTOR(word_of(segment, i)));
        if (offset >= begin && offset < end)
            return true;
    }
    return false;
}

/* Is the block still SENDING as the journal of this slot says? */
static bool is_the_send(const struct shl_segment *segment, uint32_t number, uint64_t word,
                        uint64_t own)
{
    uint64_t descriptor = JOURNAL_DESCRIPTOR(word);
    uint32_t process = atom_load_relaxed(&shl_thread_peer(segment, number)->process);
    return block_own_state(own) == BLOCK_SENDING &&
           ((word & JOURNAL_TAKING) || block_own_owner(own) == process) &&
           descriptor_make(descriptor_offset(descriptor), block_own_seq(own)) == descriptor;
}

void shl_journal_settle(const struct shl_segment *segment, uint32_t number)
{
    struct journal_shm *journal = &shl_thread_peer(segment, number)->journal;
    uint64_t word = word_of(segment, number), descriptor = JOURNAL_DESCRIPTOR(word);
    struct shl_place place;
    atom_store_relaxed(&journal->works_at, 0); /* it takes no more steps */
    atom_store_relaxed(&journal->inside, 0);
    if (word == 0)
        return;
    if (descriptor_offset(descriptor) < segment->size &&
        shl_place_at(segment, descriptor_offset(descriptor), &place)) {
        /* [journal.message] acquire: before the looks at queue and journals. */
        uint64_t own = atom_load_acquire(&place.block->own);
        if (is_the_send(segment, number, word, own) && !SHL_MISTAKE("journal.settled") &&
            !lies_in_queue(segment, atom_load_relaxed(&journal->queue), descriptor) &&
            !another_took(segment, number, descriptor)) {
            uint64_t kept = shl_lease_keep(segment, number, word, own);
            SHL_CHAOS("journal.kept");
            /* [runs.free] release; its free bit is made by shl_runs_settle(). */
            atom_cas_release_64(&place.block->own, own,
                                kept ? kept : block_own_make(BLOCK_FREE, 0, block_own_seq(own)));
        }
    }
    /* [journal.message] release: settled. */
    atom_store_release(&journal->word, 0);
}
