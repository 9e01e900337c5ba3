#include "mem/share.h"

#include "mem/object.h"
#include "mem/runs.h"
#include "mem/share_shm.h"
#include "mem/under.h"
#include "os/chaos.h"

/* The holders of a shared payload, and which generation of them. */
struct share {
    struct share_shm *shm;
    uint64_t ref;
    uint32_t generation;
};

#define NOT_HELD "the payload is shared by others, and not by the caller"
#define FREED "the payload was freed before"

static bool find_object(const struct shl_segment *segment, uint64_t ref, struct share *ret_share)
{
    struct object_shm *object = shl_object_at(segment, ref, KIND_SHARE);
    *ret_share = (struct share){ (struct share_shm *)object, ref, shl_ref_generation(ref) };
    return object != NULL;
}

/* By the payload's word; false if they are no more. */
static bool find(const struct shl_segment *segment, uint64_t own, struct share *ret_share)
{
    uint64_t ref = shl_ref_make(segment->id, shl_ref_generation(own), shl_ref_offset(own));
    return find_object(segment, ref, ret_share);
}

/* False if a process damaged it. */
static bool find_payload(const struct shl_segment *segment, const struct share_shm *shm,
                         struct shl_place *ret_place)
{
    return shm->payload < segment->size && shl_place_at(segment, shm->payload, ret_place);
}

static uint64_t process_of(const struct share *share, const struct shl_attachment *self)
{
    return share_holder_process(share->generation, self->process_owner);
}

/* ---- holders */

static bool is_holder(const struct share *share, uint64_t holder)
{
    return holder && share_holder_generation(holder) == share->generation;
}

static bool is_held(const struct share *share)
{
    for (uint32_t i = 0; i < HOLDERS_MAX; i++)
        if (is_holder(share, atom_load_relaxed(&share->shm->holders[i])))
            return true;
    return false;
}

/* One hold passes on, where it stands; 0 is nobody. False if it is not there. */
static bool pass(const struct share *share, uint64_t index, uint64_t from, uint64_t to)
{
    atom64 *holder = &share->shm->holders[index];
    /* [share.holders] acq_rel -> is_lost(): the envelope; J2 and D2 order the rest. */
    return atom_load_relaxed(holder) == from && atom_cas_acq_rel_64(holder, from, to);
}

/* Likewise any one of these holds; its index, or -1. J1 and D1, which push nobody out: who comes
 * too late may meet those who hold by the place's next object. */
static int pass_any(const struct share *share, uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i < HOLDERS_MAX; i++)
        if (pass(share, i, from, to))
            return (int)i;
    return -1;
}

/* J2: false if it is closed. */
static bool count_change(const struct share *share)
{
    for (;;) {
        uint64_t seen = atom_load_relaxed(&share->shm->changes);
        if (share_changes_generation(seen) != share->generation || (seen & SHARE_CLOSED))
            return false;
        /* [share.changes] acq_rel. */
        if (atom_cas_acq_rel_64(&share->shm->changes, seen, seen + 1))
            return true;
    }
}

/* D2: true if it is closed. */
static bool close_if_unheld(const struct share *share)
{
    for (;;) {
        /* [share.changes] acquire: the holders before it. */
        uint64_t seen = atom_load_acquire(&share->shm->changes);
        if (share_changes_generation(seen) != share->generation)
            return false;
        if (seen & SHARE_CLOSED)
            return true;
        bool held = is_held(share) && !SHL_MISTAKE("share.held");
        /* [share.changes] acq_rel. */
        if (atom_cas_acq_rel_64(&share->shm->changes, seen, held ? seen + 1 : seen | SHARE_CLOSED))
            return !held;
    }
}

/* ---- ending */

/* The payload is the caller's again, once. */
static bool take_back(const struct shl_place *place, const struct share *share,
                      const struct shl_attachment *self)
{
    uint64_t own = atom_load_relaxed(&place->block->own);
    uint64_t mine = block_own_make(BLOCK_OWNED, self->process_owner, block_own_seq_lent(own));
    /* [share.payload] acq_rel: what the others did with it. */
    return block_own_is_lent(own, BLOCK_SHARED, share->ref) &&
           atom_cas_acq_rel_64(&place->block->own, own, mine);
}

/* D2 and the end. */
static void end_if_unheld(const struct shl_segment *segment, const struct share *share,
                          struct shl_attachment *self)
{
    SHL_CHAOS("share.left");
    if (!close_if_unheld(share))
        return;
    SHL_CHAOS("share.closed");
    struct shl_place place;
    bool found = find_payload(segment, share->shm, &place);
    if (!shl_object_end(segment, &share->shm->object, share->ref))
        return; /* a settler does it */
    SHL_CHAOS("share.ended");
    if (found && take_back(&place, share, self))
        shoal_free(shl_payload(place.block));
    SHL_CHAOS("share.freed");
    shl_object_free(segment, &share->shm->object);
}

int shl_unshare(const struct shl_place *place, uint64_t own, struct shl_attachment *self)
{
    struct share share;
    REQUIRE(find(place->segment, own, &share), -EFAULT, FREED);
    REQUIRE(pass_any(&share, process_of(&share, self), 0) >= 0, -EPERM, NOT_HELD);
    end_if_unheld(place->segment, &share, self);
    return 0;
}

/* Likewise for a settler, of whom there may be two: the payload that names this one object, not the
 * place's next, is nobody's. Its free bit is made by shl_runs_settle(), which also frees what is
 * under it. */
static void give_back(const struct shl_segment *segment, const struct share_shm *shm, uint64_t ref)
{
    struct shl_place place;
    if (!find_payload(segment, shm, &place))
        return;
    uint64_t own = atom_load_relaxed(&place.block->own);
    if (block_own_is_lent(own, BLOCK_SHARED, SHL_MISTAKE("share.generation") ? own : ref))
        /* [share.payload] acq_rel: what the holders did with it. */
        atom_cas_acq_rel_64(&place.block->own, own,
                            block_own_make(BLOCK_FREE, 0, block_own_seq_lent(own)));
}

/* Has the envelope been freed that an entry names? */
static bool is_envelope(const struct block_shm *block, uint64_t holder, uint64_t *ret_own)
{
    /* [alloc.own] acquire <- hand_out(): the generation. */
    *ret_own = atom_load_acquire(&block->own);
    uint64_t meta = atom_load_relaxed(&block->meta);
    return block_own_state(*ret_own) != BLOCK_FREE && (meta & BLOCK_META_ENVELOPE) &&
           block_meta_generation(meta) == shl_ref_generation(holder);
}

/* The block of the envelope that an entry names, at which `owner` looks from here on; false if that
 * was freed. */
static bool look_at_envelope(const struct shl_segment *segment, uint32_t owner, uint64_t holder,
                             struct shl_place *ret_place, uint64_t *ret_own)
{
    if (!shl_place_look(segment, owner, shl_ref_offset(holder), ret_place))
        return false;
    if (is_envelope(ret_place->block, holder, ret_own))
        return true;
    shl_place_look_away(segment, owner);
    return false;
}

/* The holder will never pass its hold on: a dead process, or an envelope of one, or one that was
 * freed, after a death, when the journals were settled. */
static bool is_lost(const struct shl_segment *segment, uint32_t owner, uint64_t holder,
                    const struct shl_dead *dead)
{
    struct shl_place place;
    uint64_t own;
    if (!(holder & HOLDER_ENVELOPE))
        return shl_is_dead_process(dead, share_holder_owner(holder));
    if (SHL_MISTAKE("share.envelope"))
        return false;
    if (!look_at_envelope(segment, owner, holder, &place, &own))
        return true;
    shl_place_look_away(segment, owner);
    return shl_block_is_lost(segment, owner, own, dead);
}

static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    uint64_t ref = atom_load_relaxed(&object->self);
    struct share share = { (struct share_shm *)object, ref, shl_ref_generation(ref) };
    bool any = false;
    uint32_t owner = shl_settler_owner(segment, dead);
    for (uint32_t i = 0; i < HOLDERS_MAX; i++) {
        /* [share.holders] acquire <- pass(): the envelope. */
        uint64_t seen = atom_load_acquire(&share.shm->holders[i]);
        if (is_holder(&share, seen) && is_lost(segment, owner, seen, dead) &&
            !SHL_MISTAKE("share.dead"))
            any = pass(&share, i, seen, 0) || any;
    }
    SHL_CHAOS("share.settling");
    if ((dead->left && !any) || !close_if_unheld(&share))
        return;
    SHL_CHAOS("share.unheld");
    give_back(segment, share.shm, ref);
    SHL_CHAOS("share.given");
    shl_object_abandon(object, ref);
}

static bool finish(const struct shl_segment *segment, struct shl_attachment *self,
                   struct object_shm *object, uint64_t own)
{
    (void)self;
    give_back(segment, (struct share_shm *)object, own);
    return true;
}

const struct shl_settler shl_share_settler = { .settle = settle, .finish = finish };

/* A process may hold it several times. */
static bool is_first(const struct share *share, uint32_t index, uint64_t holder)
{
    for (uint32_t i = 0; i < index; i++)
        if (atom_load_relaxed(&share->shm->holders[i]) == holder)
            return false;
    return true;
}

void shl_share_visit(const struct shl_segment *segment, uint32_t looker, uint64_t own,
                     void (*visitor)(void *context, uint32_t owner,
                                     const struct block_shm *envelope),
                     void *context)
{
    struct share share;
    if (!find(segment, own, &share))
        return;
    for (uint32_t i = 0; i < HOLDERS_MAX; i++) {
        struct shl_place place;
        uint64_t own_of_envelope;
        uint64_t holder = atom_load_relaxed(&share.shm->holders[i]);
        if (!is_holder(&share, holder) || !is_first(&share, i, holder))
            continue;
        if (!(holder & HOLDER_ENVELOPE))
            visitor(context, share_holder_owner(holder), NULL);
        else if (look_at_envelope(segment, looker, holder, &place, &own_of_envelope)) {
            visitor(context, 0, place.block);
            shl_place_look_away(segment, looker);
        }
    }
}

/* ---- sharing */

static int begin(const struct shl_place *place, uint64_t own, const struct shl_attachment *self)
{
    struct share_shm *shm = (struct share_shm *)shl_object_create(place->segment, POOL_SHARE);
    if (!shm)
        return shl_error_code();
    uint64_t ref = atom_load_relaxed(&shm->object.self);
    uint32_t generation = shl_ref_generation(ref);
    for (uint32_t i = 0; i < HOLDERS_MAX; i++)
        atom_store_relaxed(&shm->holders[i], 0);
    atom_store_relaxed(&shm->holders[0], share_holder_process(generation, self->process_owner));
    shm->payload = shl_offset(place->segment, shl_payload(place->block));
    uint64_t count = (atom_load_relaxed(&shm->changes) + 1) & (SHARE_CLOSED - 1);
    atom_store_relaxed(&shm->changes, share_changes_make(generation, count));
    shl_object_publish(&shm->object, KIND_SHARE);
    SHL_CHAOS("share.published");
    /* [share.payload] acq_rel -> take_back(): what the owner did with it, and its holders. */
    if (atom_cas_acq_rel_64(&place->block->own, own, block_own_lend(BLOCK_SHARED, ref, own))) {
        SHL_CHAOS("share.shared");
        return 0;
    }
    if (shl_object_end(place->segment, &shm->object, ref))
        shl_object_free(place->segment, &shm->object);
    return shl_error(-EAGAIN, "another thread changed the payload meanwhile");
}

static int join(const struct shl_place *place, uint64_t own, struct shl_attachment *self)
{
    struct share share;
    REQUIRE(find(place->segment, own, &share), -EFAULT, FREED);
    uint64_t mine = process_of(&share, self);
    SHL_CHAOS("share.joining");
    REQUIRE(pass_any(&share, 0, mine) >= 0, -EUSERS, "the payload is shared 256 times already");
    SHL_CHAOS("share.entered");
    bool counts = count_change(&share);
    SHL_CHAOS("share.joined");
    /* J3. [share.payload] acquire: what was done with it before. */
    if (likely(counts && atom_load_acquire(&place->block->own) == own))
        return 0;
    /* One who came too late leaves nothing in the place's next object either. */
    if (pass_any(&share, mine, 0) >= 0 && counts)
        end_if_unheld(place->segment, &share, self);
    return shl_error(-EFAULT, FREED);
}

static int find_shared(const void *payload, struct shl_place *ret_place, uint64_t *ret_own,
                       struct shl_attachment **ret_self)
{
    REQUIRE(payload, -EINVAL, "the payload is NULL");
    REQUIRE(shl_place_find(payload, ret_place), -EFAULT, "not a payload");
    *ret_self = shl_self(ret_place->segment);
    /* [share.payload] acquire <- begin(): the holders. */
    *ret_own = atom_load_acquire(&ret_place->block->own);
    return *ret_self ? 0 : shl_error_code();
}

int shoal_share(void *payload)
{
    struct shl_place place;
    struct shl_attachment *self;
    uint64_t own;
    int code = find_shared(payload, &place, &own, &self);
    if (code < 0)
        return code;
    if (block_own_state(own) == BLOCK_SHARED)
        return join(&place, own, self);
    return block_own_is_mine(own, self->process_owner) ? begin(&place, own, self)
                                                       : shl_block_error(place.segment, own);
}

int shoal_unshare(void *payload)
{
    struct shl_place place;
    struct shl_attachment *self;
    uint64_t own;
    int code = find_shared(payload, &place, &own, &self);
    if (code < 0)
        return code;
    REQUIRE(block_own_state(own) == BLOCK_SHARED, -EPERM, "the payload is not shared");
    return shl_unshare(&place, own, self);
}

/* ---- envelopes */

static uint64_t envelope_of(const struct share *share, const struct shl_segment *segment,
                            const struct envelope_shm *envelope)
{
    uint64_t meta = atom_load_relaxed(&shl_block(envelope)->meta);
    uint64_t ref = shl_ref_make(0, block_meta_generation(meta), shl_offset(segment, envelope));
    return share_holder_envelope(share->generation, ref);
}

/* The hold of an envelope passes on: to nobody, or to its owner's process. */
static bool pass_from(const struct shl_segment *segment, const struct envelope_shm *envelope,
                      const struct shl_attachment *heir, struct share *ret_share)
{
    return find_object(segment, envelope->share, ret_share) && envelope->index < HOLDERS_MAX &&
           pass(ret_share, envelope->index, envelope_of(ret_share, segment, envelope),
                heir ? process_of(ret_share, heir) : 0);
}

void *shl_share_wrap(const struct shl_segment *segment, uint64_t own,
                     const struct shl_attachment *self)
{
    struct share share;
    bool found = find(segment, own, &share);
    struct envelope_shm *envelope = found ? shl_alloc(segment, sizeof *envelope) : NULL;
    if (!found)
        shl_error(-EFAULT, FREED);
    if (!envelope)
        return NULL;
    *envelope = (struct envelope_shm){ .share = share.ref };
    atom64 *meta = &shl_block(envelope)->meta;
    atom_store_relaxed(meta, atom_load_relaxed(meta) | BLOCK_META_ENVELOPE);
    uint64_t hold = envelope_of(&share, segment, envelope);
    int index = pass_any(&share, process_of(&share, self), hold);
    SHL_CHAOS("share.wrapped");
    if (index < 0) {
        shoal_free(envelope);
        shl_error(-EPERM, NOT_HELD);
        return NULL;
    }
    envelope->index = (uint64_t)index;
    return envelope;
}

void *shl_share_unwrap(const struct shl_segment *segment, void *payload,
                       const struct shl_attachment *self)
{
    struct share share;
    struct shl_place place;
    const struct envelope_shm *envelope = payload;
    bool passed = pass_from(segment, envelope, self, &share);
    bool found = passed && find_payload(segment, share.shm, &place);
    SHL_CHAOS("share.unwrapped");
    shoal_free(payload);
    if (found)
        return shl_payload(place.block);
    shl_error(-EUCLEAN, "what was queued is no payload: a process damaged the queue");
    return NULL;
}

/* The header of a payload that is looked at, and what the envelope says that it may be; false if
 * there is none. */
static bool look(const struct shl_segment *segment, uint32_t owner, uint64_t offset,
                 uint64_t *ret_meta, uint64_t *ret_share)
{
    struct shl_place place;
    if (!shl_place_look(segment, owner, offset, &place))
        return false;
    /* [under.table] acquire <- shoal_alloc_under(): the table's contents. */
    *ret_meta = atom_load_acquire(&place.block->meta);
    if (*ret_meta & BLOCK_META_ENVELOPE)
        *ret_share = ((struct envelope_shm *)shl_payload(place.block))->share;
    shl_place_look_away(segment, owner);
    return true;
}

uint64_t shl_share_size(const struct shl_segment *segment, uint32_t owner, uint64_t offset)
{
    struct share share;
    uint64_t meta, ref = 0;
    if (!look(segment, owner, offset, &meta, &ref))
        return 0;
    if (meta & BLOCK_META_ENVELOPE) {
        if (!find_object(segment, ref, &share))
            return 0;
        offset = share.shm->payload;
        if (!look(segment, owner, offset, &meta, &ref))
            return 0;
    }
    return shl_under_size_seen(segment, owner, offset, meta);
}

void shl_share_discard(const struct shl_place *place, struct shl_attachment *self)
{
    struct share share;
    if (pass_from(place->segment, shl_payload(place->block), NULL, &share))
        end_if_unheld(place->segment, &share, self);
}
