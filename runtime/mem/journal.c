#include "mem/journal.h"

#include "mem/lease.h"
#include "mem/object.h"

static bool is_same(void *context, uint64_t descriptor)
{
    return descriptor == *(const uint64_t *)context;
}

/* J1 */
static bool lies_in_queue(const struct shl_segment *segment, uint32_t owner, uint64_t queue,
                          uint64_t descriptor)
{
    struct shl_visit visit = { segment, owner, queue, is_same, &descriptor };
    enum shl_kind kind = KIND_QUEUE;
    struct object_shm *object = shl_object_place(segment, queue, kind);
    if (!object)
        object = shl_object_place(segment, queue, kind = KIND_CONNECTION);
    return object && shl_settlers[kind]->visit(&visit, object);
}

static atom64 *journal_of(const struct shl_segment *segment, uint32_t number)
{
    return &shl_thread_peer(segment, number)->journal.word;
}

static uint64_t word_of(const struct shl_segment *segment, uint32_t number)
{
    /* [journal.message] acquire <- shl_journal_write(). */
    return atom_load_acquire(journal_of(segment, number));
}

/* J2 for one who was taking: true if the thread of that slot is. */
static bool ask(const struct shl_segment *segment, uint32_t number, uint64_t descriptor)
{
    atom64 *word = journal_of(segment, number);
    for (;;) {
        /* [journal.asked] seq_cst: after our own says settling. */
        uint64_t seen = atom_load_seq_cst(word);
        if (!(seen & JOURNAL_TAKING) || JOURNAL_DESCRIPTOR(seen) != descriptor)
            return false;
        SHL_CHAOS("journal.asks");
        /* [journal.asked] seq_cst: he has not said so before. */
        if (SHL_MISTAKE("journal.asked") || atom_cas_seq_cst_64(word, seen, seen | JOURNAL_ASKED))
            return true;
    }
}

/* J2: his own journal says that it is being settled, or that he was putting. */
static bool is_anothers(const struct shl_segment *segment, uint64_t word)
{
    uint64_t descriptor = JOURNAL_DESCRIPTOR(word);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        uint64_t other = word_of(segment, i);
        if (!shl_journal_is_takers(other) || JOURNAL_DESCRIPTOR(other) != descriptor)
            continue;
        if (!shl_journal_is_takers(word) || ask(segment, i, descriptor))
            return true;
    }
    return false;
}

static bool is_taking_from(const struct shl_segment *segment, uint32_t number, uint64_t word,
                           uint64_t queue)
{
    return shl_journal_is_takers(word) &&
           atom_load_relaxed(&shl_thread_peer(segment, number)->journal.queue) == queue;
}

uint32_t shl_journal_taker(const struct shl_segment *segment, uint32_t number, uint64_t queue)
{
    uint64_t word = word_of(segment, number);
    return is_taking_from(segment, number, word, queue)
               ? PEER_OWNER_MAKE(number, (uint32_t)(word >> 56 & 0x3f))
               : 0;
}

void shl_journal_void(const struct shl_segment *segment, uint32_t owner, uint64_t queue)
{
    uint32_t number = PEER_OWNER_SLOT(owner);
    for (;;) {
        uint64_t word = word_of(segment, number);
        if (!is_taking_from(segment, number, word, queue) || (word >> 56 & 0x3f) != owner >> 10)
            return;
        /* [journal.message] release: it was not taken. Fails if somebody settles it just now. */
        if (atom_cas_release_64(journal_of(segment, number), word, 0))
            return;
    }
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

/* Is the block still SENDING as the journal of this slot says, and the message nowhere else? */
static bool is_over(const struct shl_segment *segment, uint32_t owner, uint32_t number,
                    uint64_t word, struct shl_place *ret_place, uint64_t *ret_own)
{
    const struct peer_shm *peer = shl_thread_peer(segment, number);
    uint64_t descriptor = JOURNAL_DESCRIPTOR(word);
    if (!shl_place_enter(segment, owner, descriptor_offset(descriptor), ret_place))
        return false;
    bool is_its = shl_message_find(segment, descriptor, ret_place, ret_own);
    shl_pages_leave(segment, owner);
    return is_its &&
           (shl_journal_is_takers(word) ||
            block_own_owner(*ret_own) == atom_load_relaxed(&peer->process)) &&
           !lies_in_queue(segment, owner, atom_load_relaxed(&peer->journal.queue), descriptor) &&
           !is_anothers(segment, word);
}

/* J0 to J2: the journal's word if J3 is to be done, or 0. */
static uint64_t begin(const struct shl_segment *segment, uint32_t owner, uint32_t number,
                      struct shl_place *ret_place, uint64_t *ret_own)
{
    atom64 *journal = journal_of(segment, number);
    uint64_t word = word_of(segment, number);
    if (shl_journal_is_takers(word) && !SHL_MISTAKE("journal.settling")) {
        word = (word & ~JOURNAL_TAKING) | JOURNAL_ASKED;
        /* [journal.asked] seq_cst: before the look at the others. */
        atom_exchange_seq_cst(journal, word);
        SHL_CHAOS("journal.settling");
    }
    return word && is_over(segment, owner, number, word, ret_place, ret_own) ? word : 0;
}

void shl_journal_settle(const struct shl_segment *segment, uint32_t owner, uint32_t number)
{
    struct journal_shm *journal = &shl_thread_peer(segment, number)->journal;
    uint64_t own;
    struct shl_place place;
    atom_store_relaxed(&journal->works_at, 0); /* it takes no more steps */
    atom_store_relaxed(&journal->looks_at, 0);
    if (!SHL_MISTAKE("journal.inside"))
        atom_store_relaxed(&journal->inside, 0);
    uint64_t word = begin(segment, owner, number, &place, &own);
    if (word && !SHL_MISTAKE("journal.settled")) {
        uint64_t kept = shl_lease_keep(segment, number, word, own);
        SHL_CHAOS("journal.kept");
        /* J3. [runs.free] release; its free bit is made by shl_runs_settle(). */
        atom_cas_release_64(&place.block->own, own,
                            kept ? kept : block_own_make(BLOCK_FREE, 0, block_own_seq(own)));
    }
    /* [journal.message] release: settled. */
    atom_store_release(&journal->word, 0);
}

/* Makes a message that is SENDING still, as its block said, the process's. */
static bool own_message(const struct shl_attachment *self, const struct shl_place *place,
                        uint64_t own)
{
    uint64_t mine = block_own_make(BLOCK_OWNED, self->process_owner, block_own_seq(own));
    /* [journal.message] acquire <- J3. */
    return atom_cas_acquire_64(&place->block->own, own, mine);
}

void shl_message_free(const struct shl_segment *segment, const struct shl_attachment *self,
                      uint64_t descriptor)
{
    uint64_t own;
    struct shl_place place;
    if (shl_message_find(segment, descriptor, &place, &own) && own_message(self, &place, own))
        shoal_free(shl_payload(place.block));
}

void shl_journal_lost(const struct shl_segment *segment, const struct shl_attachment *self,
                      uint64_t descriptor)
{
    uint64_t own, word = shl_journal_word(self, JOURNAL_TAKING, descriptor);
    struct shl_place place;
    /* [journal.message] release -> J2. */
    if (likely(atom_cas_release_64(&self->journal->word, word, 0)))
        return;
    bool got = !SHL_MISTAKE("journal.lost") &&
               begin(segment, self->owner, self->thread, &place, &own) &&
               own_message(self, &place, own); /* J3 */
    shl_journal_done(self);                    /* first: what a journal names is not given back */
    if (got)
        shoal_free(shl_payload(place.block));
}
