#include "mem/lease.h"

#include "mem/journal.h"
#include "os/chaos.h"

static uint64_t ref_of(const struct lease_shm *lease)
{
    return atom_load_relaxed(&lease->object.self);
}

static bool is_of_queue(const struct lease_shm *lease, uint64_t queue)
{
    return ((atom_load_relaxed(&lease->queue) ^ queue) & BLOCK_REF_MASK) == 0;
}

/* ---- getting */

struct lease_shm *shl_lease_prepare(const struct shl_segment *segment,
                                    const struct shl_attachment *self, uint64_t queue)
{
    struct lease_shm *lease = (struct lease_shm *)shl_object_create(segment, POOL_LEASE);
    if (unlikely(!lease))
        return NULL;
    atom_store_relaxed(&lease->queue, queue);
    atom_store_relaxed(&lease->descriptor, 0);
    atom_store_relaxed(&lease->word, lease_word_make(ref_of(lease), 1, LEASE_TAKING, self->owner));
    shl_object_publish(&lease->object, KIND_LEASE);
    SHL_CHAOS("lease.prepared");
    return lease;
}

void shl_lease_unused(const struct shl_segment *segment, struct lease_shm *lease)
{
    if (shl_object_end(segment, &lease->object, ref_of(lease)))
        shl_object_free(segment, &lease->object);
}

void shl_lease_begin(struct lease_shm *lease, const struct shl_attachment *self,
                     const struct shl_place *place, uint64_t own)
{
    uint64_t ref = ref_of(lease);
    uint64_t offset = shl_offset(place->segment, shl_payload(place->block));
    atom_store_relaxed(&lease->descriptor, descriptor_make(offset, block_own_seq(own)));
    /* [lease.word] release -> shl_lease_place(): which payload. */
    atom_store_release(&place->block->own, block_own_lend(BLOCK_LEASED, ref, own));
    SHL_CHAOS("lease.named");
    /* [lease.word] release -> shl_lease_next(): likewise. */
    atom_store_release(&lease->word, lease_word_make(ref, 1, LEASE_HELD, self->process_owner));
    SHL_CHAOS("lease.held");
}

/* ---- finding */

struct lease_shm *shl_lease_of(const struct shl_segment *segment, uint64_t own)
{
    uint64_t ref = shl_ref_make(segment->id, shl_ref_generation(own), shl_ref_offset(own));
    return (struct lease_shm *)shl_object_at(segment, ref, KIND_LEASE);
}

/* The process that holds it, or 0; of none too. */
static uint32_t holder(const struct lease_shm *lease)
{
    uint64_t word = lease ? atom_load_relaxed(&lease->word) : 0;
    return lease_word_state(word) == LEASE_HELD ? lease_word_owner(word) : 0;
}

uint32_t shl_lease_holder(const struct shl_segment *segment, uint64_t own)
{
    return holder(shl_lease_of(segment, own));
}

struct lease_shm *shl_lease_mine(const struct shl_segment *segment, uint64_t own,
                                 const struct shl_attachment *self)
{
    struct lease_shm *lease = shl_lease_of(segment, own);
    if (likely(holder(lease) == self->process_owner))
        return lease;
    shl_error(-EPERM, "the payload is leased to another process, or is to be delivered again");
    return NULL;
}

bool shl_lease_place(const struct shl_segment *segment, const struct lease_shm *lease,
                     struct shl_place *ret_place)
{
    uint64_t payload = descriptor_offset(atom_load_relaxed(&lease->descriptor));
    /* [lease.word] acquire <- shl_lease_begin(). */
    return payload != 0 && payload < segment->size && shl_place_at(segment, payload, ret_place) &&
           block_own_is_lent(atom_load_acquire(&ret_place->block->own), BLOCK_LEASED,
                             ref_of(lease));
}

struct lease_shm *shl_lease_next(const struct shl_segment *segment, struct shl_object_walk *walk,
                                 uint64_t queue, uint64_t *ret_word)
{
    struct shl_place place;
    for (struct object_shm *object; (object = shl_object_next_in(segment, walk, POOL_LEASE));) {
        struct lease_shm *lease = (struct lease_shm *)object;
        /* [lease.word] seq_cst <- shl_lease_over(): see flow/joinable.c. */
        *ret_word = atom_load_seq_cst(&lease->word);
        enum lease_state state = lease_word_state(*ret_word);
        bool is_out = state == LEASE_TAKING ? shl_lease_place(segment, lease, &place)
                                            : state != LEASE_OVER;
        if (is_out && is_of_queue(lease, queue))
            return lease;
    }
    return NULL;
}

/* ---- finishing */

/* F2 */
static void end_lease(const struct shl_segment *segment, struct lease_shm *lease)
{
    uint64_t queue = atom_load_relaxed(&lease->queue);
    struct object_shm *object = shl_object_at(segment, queue, KIND_QUEUE);
    uint64_t word = lease_word_make(ref_of(lease), 0, LEASE_OVER,
                                    lease_word_owner(atom_load_relaxed(&lease->word)));
    SHL_CHAOS("lease.F2");
    if (object)
        shl_settlers[KIND_QUEUE]->lease_over(object, &lease->word, word);
    else
        atom_store_relaxed(&lease->word, word); /* nobody waits for it */
    SHL_CHAOS("lease.over");
}

void shl_lease_over(const struct shl_segment *segment, struct lease_shm *lease)
{
    end_lease(segment, lease);
    shl_lease_unused(segment, lease);
}

int shl_lease_finish(const struct shl_place *place, uint64_t own, const struct shl_attachment *self)
{
    struct lease_shm *lease = shl_lease_mine(place->segment, own, self);
    if (unlikely(!lease))
        return shl_error_code();
    uint64_t mine = block_own_make(BLOCK_OWNED, self->process_owner, block_own_seq_lent(own));
    /* [lease.word] acq_rel: of two threads that finish it one does. */
    REQUIRE(atom_cas_acq_rel_64(&place->block->own, own, mine), -EFAULT,
            "the payload was finished before");
    SHL_CHAOS("lease.F1");
    shl_lease_over(place->segment, lease);
    return 0;
}

/* ---- giving back, and delivering again */

/* Positions wrap at 47 bits: only distances count. */
static bool is_older(const struct lease_shm *lease, const struct lease_shm *other)
{
    uint64_t distance = atom_load_relaxed(&lease->order) - atom_load_relaxed(&other->order);
    return (int64_t)(distance << 17) < 0;
}

static struct lease_shm *oldest_returned(const struct shl_segment *segment, uint64_t queue,
                                         uint32_t deliveries_min, uint64_t *ret_word)
{
    struct lease_shm *oldest = NULL;
    struct shl_object_walk walk = { 0 };
    uint64_t word;
    for (struct lease_shm *lease; (lease = shl_lease_next(segment, &walk, queue, &word));) {
        if (lease_word_state(word) != LEASE_RETURNED ||
            lease_word_deliveries(word) < deliveries_min ||
            (oldest && (!is_older(lease, oldest) || SHL_MISTAKE("lease.order"))))
            continue;
        oldest = lease;
        *ret_word = word;
    }
    return oldest;
}

struct lease_shm *shl_lease_take_returned(const struct shl_segment *segment,
                                          const struct shl_attachment *self, uint64_t queue,
                                          uint32_t deliveries_min)
{
    uint64_t word;
    for (struct lease_shm *lease;
         (lease = oldest_returned(segment, queue, deliveries_min, &word));) {
        uint64_t mine = lease_word_make(word >> 52 << 36, lease_word_deliveries(word) + 1,
                                        LEASE_HELD, self->process_owner);
        /* [lease.word] acq_rel: what its last holder did with the payload. */
        if (atom_cas_acq_rel_64(&lease->word, word, mine) || SHL_MISTAKE("lease.again")) {
            SHL_CHAOS("lease.again");
            return lease;
        }
    }
    return NULL;
}

uint64_t shl_lease_keep(const struct shl_segment *segment, uint32_t number, uint64_t journal,
                        uint64_t own)
{
    struct peer_shm *peer = shl_thread_peer(segment, number);
    uint64_t descriptor = JOURNAL_DESCRIPTOR(journal);
    uint64_t queue = atom_load_relaxed(&peer->journal.queue);
    bool taking = shl_journal_is_takers(journal);
    struct shl_object_walk walk = { 0 };
    for (struct object_shm *object; (object = shl_object_next_in(segment, &walk, POOL_LEASE));) {
        struct lease_shm *lease = (struct lease_shm *)object;
        uint64_t word = atom_load_relaxed(&lease->word);
        uint32_t owner = lease_word_owner(word);
        if (taking && lease_word_state(word) == LEASE_TAKING && is_of_queue(lease, queue) &&
            shl_owner_short(owner).number == number && !SHL_MISTAKE("lease.taken")) {
            atom_store_relaxed(&lease->descriptor, descriptor);
            return block_own_lend(BLOCK_LEASED, ref_of(lease), own);
        }
        if (!taking && lease_word_state(word) == LEASE_HELD && owner == block_own_owner(own) &&
            atom_load_relaxed(&lease->descriptor) == descriptor && !SHL_MISTAKE("lease.put"))
            return block_own_lend(BLOCK_LEASED, ref_of(lease), own);
    }
    return 0;
}

static bool is_of_dead(uint64_t word, const struct shl_dead *dead)
{
    uint32_t owner = lease_word_owner(word);
    return lease_word_state(word) == LEASE_TAKING ? shl_is_dead_thread(dead, owner)
                                                  : shl_is_dead_process(dead, owner);
}

/* Of the dead: RETURNED, or it ends, and who waits for that is told. Its block, if there is one, is
 * settled after it. */
static void give_back(const struct shl_segment *segment, struct lease_shm *lease, uint64_t ref,
                      uint64_t word)
{
    struct shl_place place;
    bool is_out = lease_word_state(word) != LEASE_OVER && shl_lease_place(segment, lease, &place) &&
                  shl_object_at(segment, atom_load_relaxed(&lease->queue), KIND_QUEUE);
    if (is_out)
        /* [lease.word] acq_rel: as above. */
        atom_cas_acq_rel_64(&lease->word, word,
                            lease_word_make(ref, lease_word_deliveries(word), LEASE_RETURNED, 0));
    else {
        if (lease_word_state(word) != LEASE_TAKING && !SHL_MISTAKE("lease.ended"))
            end_lease(segment, lease);
        shl_object_abandon(&lease->object, ref);
    }
    SHL_CHAOS("lease.returned");
}

static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    struct lease_shm *lease = (struct lease_shm *)object;
    uint64_t ref = ref_of(lease), queue = atom_load_relaxed(&lease->queue);
    uint64_t word = atom_load_relaxed(&lease->word);
    bool is_lost = is_of_dead(word, dead), is_its = word >> 52 == shl_ref_generation(ref);
    if (!is_its || (!is_lost && lease_word_state(word) != LEASE_RETURNED))
        return;
    if (is_lost)
        give_back(segment, lease, ref, word);
    struct object_shm *its = shl_object_at(segment, queue, KIND_QUEUE);
    if (its)
        shl_settlers[KIND_QUEUE]->lease_returned(its);
    else if (lease_word_state(atom_load_relaxed(&lease->word)) == LEASE_RETURNED)
        shl_object_abandon(object, ref);
}

const struct shl_settler shl_lease_settler = { .settle = settle };
