#include "mem/share.h"

#include "mem/object.h"
#include "mem/share_shm.h"
#include "os/chaos.h"

/* The holders of a shared payload, and which generation of them. */
struct share {
    struct share_shm *shm;
    uint64_t ref;
    uint32_t generation;
};

/* By the payload's word; false if they are no more. */
static bool find(const struct shl_segment *segment, uint64_t own, struct share *ret_share)
{
    uint64_t ref = shl_ref_make(segment->id, shl_ref_generation(own), shl_ref_offset(own));
    struct object_shm *object = shl_object_at(segment, ref, KIND_SHARE);
    *ret_share = (struct share){ (struct share_shm *)object, ref, shl_ref_generation(ref) };
    return object != NULL;
}

/* ---- holders */

static bool holds(const struct share *share, uint32_t owner)
{
    for (uint32_t i = 0; i < HOLDERS_MAX; i++)
        if (atom_load_relaxed(&share->shm->holders[i]) ==
            share_holder_make(share->generation, owner))
            return true;
    return false;
}

static bool is_holder(const struct share *share, uint32_t holder)
{
    return holder >> 16 == share->generation && (holder & 0xffff) != 0;
}

static bool is_held(const struct share *share)
{
    for (uint32_t i = 0; i < HOLDERS_MAX; i++)
        if (is_holder(share, atom_load_relaxed(&share->shm->holders[i])))
            return true;
    return false;
}

/* J1: false if there is no place. Nobody is ever pushed out: who comes too late may meet those who
 * hold by the place's next object. */
static bool enter(const struct share *share, uint32_t owner)
{
    for (uint32_t i = 0; i < HOLDERS_MAX; i++) {
        /* [share.holders] acq_rel: J2 and D2 order it. */
        if (atom_load_relaxed(&share->shm->holders[i]) == 0 &&
            atom_cas_acq_rel_32(&share->shm->holders[i], 0,
                                share_holder_make(share->generation, owner)))
            return true;
    }
    return false;
}

/* D1: every entry of an owner, of whom two threads may have made two. True if there was any. */
static bool leave(const struct share *share, uint32_t owner)
{
    bool any = false;
    uint32_t holder = share_holder_make(share->generation, owner);
    for (uint32_t i = 0; i < HOLDERS_MAX; i++)
        /* [share.holders] acq_rel: likewise. */
        if (atom_load_relaxed(&share->shm->holders[i]) == holder &&
            atom_cas_acq_rel_32(&share->shm->holders[i], holder, 0))
            any = true;
    return any;
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

/* D1, D2 and the end: false if the process was no holder. */
static bool drop(const struct shl_segment *segment, const struct share *share,
                 struct shl_attachment *self)
{
    if (!leave(share, self->process_owner))
        return false;
    SHL_CHAOS("share.left");
    if (!close_if_unheld(share))
        return true;
    SHL_CHAOS("share.closed");
    struct shl_place place;
    uint64_t payload = share->shm->payload;
    if (!shl_object_end(segment, &share->shm->object, share->ref))
        return true; /* a settler does it */
    SHL_CHAOS("share.ended");
    if (payload < segment->size && shl_place_at(segment, payload, &place) &&
        take_back(&place, share, self))
        shoal_free(shl_payload(place.block));
    SHL_CHAOS("share.freed");
    shl_object_free(segment, &share->shm->object);
    return true;
}

int shl_unshare(const struct shl_place *place, uint64_t own, struct shl_attachment *self)
{
    struct share share;
    REQUIRE(find(place->segment, own, &share), -EFAULT, "the payload was freed before");
    REQUIRE(drop(place->segment, &share, self), -EPERM,
            "the payload is shared by others, and not by the caller");
    return 0;
}

/* Likewise for a settler, of whom there may be two: the payload that names this one object, not the
 * place's next, is nobody's. Its free bit is made by shl_runs_settle(), which also frees what is
 * under it. */
static void give_back(const struct shl_segment *segment, const struct share_shm *shm, uint64_t ref)
{
    struct shl_place place;
    uint64_t payload = shm->payload;
    if (payload >= segment->size || !shl_place_at(segment, payload, &place))
        return;
    uint64_t own = atom_load_relaxed(&place.block->own);
    if (block_own_is_lent(own, BLOCK_SHARED, SHL_MISTAKE("share.generation") ? own : ref))
        /* [share.payload] acq_rel: what the holders did with it. */
        atom_cas_acq_rel_64(&place.block->own, own,
                            block_own_make(BLOCK_FREE, 0, block_own_seq_lent(own)));
}

static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    uint64_t ref = atom_load_relaxed(&object->self);
    struct share share = { (struct share_shm *)object, ref, shl_ref_generation(ref) };
    bool any = false;
    for (uint32_t i = 0; i < HOLDERS_MAX; i++) {
        uint32_t seen = atom_load_relaxed(&share.shm->holders[i]);
        if (is_holder(&share, seen) && shl_is_dead_process(dead, seen & 0xffff) &&
            !SHL_MISTAKE("share.dead"))
            /* [share.holders] acq_rel: D2 orders it. */
            any = atom_cas_acq_rel_32(&share.shm->holders[i], seen, 0) || any;
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

void shl_share_visit(const struct shl_segment *segment, uint64_t own,
                     void (*visitor)(void *context, uint32_t owner), void *context)
{
    struct share share;
    if (!find(segment, own, &share))
        return;
    for (uint32_t i = 0; i < HOLDERS_MAX; i++) {
        uint32_t seen = atom_load_relaxed(&share.shm->holders[i]);
        if (is_holder(&share, seen))
            visitor(context, seen & 0xffff);
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
    atom_store_relaxed(&shm->holders[0], share_holder_make(generation, self->process_owner));
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

/* J1 and J2: true if the process holds what the object is about; with whether it did not before. */
static bool hold(const struct share *share, uint32_t owner, bool *ret_entered)
{
    *ret_entered = !holds(share, owner);
    if (*ret_entered && !enter(share, owner)) {
        shl_error(-EUSERS, "256 processes hold the payload already");
        return false;
    }
    SHL_CHAOS("share.entered");
    if (count_change(share))
        return true;
    shl_error(-EFAULT, "the payload was freed before");
    return false;
}

static int join(const struct shl_place *place, uint64_t own, struct shl_attachment *self)
{
    struct share share;
    bool entered;
    REQUIRE(find(place->segment, own, &share), -EFAULT, "the payload was freed before");
    if (!hold(&share, self->process_owner, &entered))
        return shl_error_code();
    SHL_CHAOS("share.joined");
    /* J3. [share.payload] acquire: what was done with it before. */
    if (likely(atom_load_acquire(&place->block->own) == own))
        return 0;
    if (entered)
        drop(place->segment, &share, self);
    return shl_error(-EFAULT, "the payload was freed before");
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
