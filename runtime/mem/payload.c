/* The public face of payload memory: what may be asked of a payload, and what is misuse. */
#include <string.h>

#include "mem/alloc.h"
#include "mem/lease.h"
#include "mem/pages.h"
#include "mem/share.h"
#include "mem/under.h"

void *shoal_alloc_in(shoal_segment handle, size_t size)
{
    struct shl_segment *segment = shl_segment_of_handle(handle);
    return likely(segment) ? shl_alloc(segment, size) : NULL;
}

void *shoal_alloc(size_t size)
{
    struct shl_attachment *self = shl_self_in_family();
    void *payload = likely(self) ? shl_hands_alloc(self, size) : NULL;
    if (likely(payload))
        return payload;
    struct shl_segment *family = shl_segment_family();
    return family ? shl_alloc(family, size) : NULL;
}

void *shoal_calloc(size_t count, size_t size)
{
    size_t product;
    if (__builtin_mul_overflow(count, size, &product)) {
        shl_error(-ENOMEM, "count times size does not fit");
        return NULL;
    }
    void *payload = shoal_alloc(product);
    return payload ? memset(payload, 0, product) : NULL;
}

void *shoal_alloc_aligned(size_t alignment, size_t size)
{
    struct shl_segment *family = shl_segment_family();
    bool valid = alignment && !(alignment & (alignment - 1)) && alignment <= PAYLOAD_LINE;
    if (!family || !valid) {
        if (!valid)
            shl_error(-EINVAL, "the alignment is no power of two up to 64");
        return NULL;
    }
    bool always = alignment <= sizeof(struct block_shm);
    return always ? shl_alloc(family, size) : shl_alloc_line(family, size);
}

char *shoal_strdup(const char *text)
{
    size_t size = text ? strlen(text) + 1 : 0;
    char *payload = text ? shoal_alloc(size) : NULL;
    if (!text)
        shl_error(-EINVAL, "strdup: the text is NULL");
    return payload ? memcpy(payload, text, size) : NULL;
}

static void free_own(const struct shl_place *place, struct shl_attachment *self)
{
    uint64_t meta = atom_load_relaxed(&place->block->meta);
    const void *payload = shl_payload(place->block);
    if (!shl_guard_holds(payload, shl_under_size(place), shl_room(place)))
        shl_errorf(-EUCLEAN, "free: %p was written past its end", payload);
    if (meta & BLOCK_META_PARENT)
        shl_under_free(place, self);
    if (meta & BLOCK_META_ENVELOPE)
        shl_share_discard(place, self);
    shl_free(place);
}

static void free_other(const struct shl_place *place, uint64_t own, struct shl_attachment *self)
{
    if (block_own_state(own) == BLOCK_UNDER)
        shl_under_free_child(place, own, self);
    else if (block_own_state(own) == BLOCK_SHARED)
        shl_unshare(place, own, self);
    else if (block_own_state(own) != BLOCK_LEASED)
        shl_block_error(place->segment, own);
    else if (shl_lease_finish(place, own, self) == 0)
        free_own(place, self);
}

/* The next ones of the run are freed quickly. Who owns a block of it sees either the run, and then
 * no later count, or that it is none. */
static void learn(const struct shl_place *place, struct shl_attachment *self, uint64_t given)
{
    const struct shl_size *size = &shl_sizes[place->size_class];
    uint64_t inside = shl_offset(place->segment, place->block) - BLOCKS_AT;
    uint64_t begin = inside / CHUNK_SIZE * CHUNK_SIZE + place->first * PAGE_SIZE_SHM + BLOCKS_AT;
    *shl_known_run(self, place->block) =
        (struct shl_known_run){ .begin = (uintptr_t)shl_at(place->segment, begin),
                                .inverse = size->inverse,
                                .given = given,
                                .end = size->end,
                                .size_class = place->size_class };
}

static SHL_COLD void free_slow(void *payload)
{
    struct shl_place place;
    if (!payload)
        return;
    if (!shl_place_find(payload, &place)) {
        shl_error(-EFAULT, "free: not a payload");
        return;
    }
    struct shl_attachment *self = shl_self(place.segment);
    uint64_t own = atom_load_relaxed(&place.block->own);
    if (self && block_own_is_mine(own, self->process_owner))
        free_own(&place, self);
    else if (self)
        free_other(&place, own, self);
}

/* Also one of a run that is not known yet, or for which the hands have no room. */
static SHL_NOINLINE void free_any(void *payload)
{
    struct shl_attachment *self = shl_self_in_family();
    const struct shl_segment *family = &shl_segments[SHL_FAMILY];
    struct shl_place place;
    uint64_t seq;
    /* [pages.given] acquire <- shl_pages_give(): before the look at the page's word. */
    uint64_t given = self && family->shm ? atom_load_acquire(&family->shm->pages_given) : 0;
    if (self && shl_place_in_run(family, shl_block(payload), &place) &&
        shl_block_is_owned(self, place.block, &seq))
        learn(&place, self, given);
    else
        self = NULL;
    if (!self || !shl_hands_free(family, self, payload))
        free_slow(payload);
}

void shoal_free(void *payload)
{
    struct shl_attachment *self = shl_self_in_family();
    if (unlikely(!self || !shl_hands_free(&shl_segments[SHL_FAMILY], self, payload)))
        free_any(payload);
}

static int owner_error(const struct shl_segment *segment, uint32_t slot)
{
    pid_t pid;
    char name[64];
    shl_process_who(segment, slot, &pid, name, sizeof name);
    return shl_errorf(-EPERM, "the payload belongs to another process: %s, pid %d, slot %u",
                      pid ? name : "one that has ended", (int)pid, slot);
}

int shl_block_error(const struct shl_segment *segment, uint64_t own)
{
    switch (block_own_state(own)) {
    case BLOCK_FREE:
        return shl_error(-EFAULT, "the payload was freed before");
    case BLOCK_OWNED:
        return owner_error(segment, PEER_OWNER_SLOT(block_own_owner(own)));
    case BLOCK_SENDING:
        return shl_error(-EPERM, "the payload is in a queue");
    case BLOCK_SHARED:
        return shl_error(-EPERM, "the payload is shared: no process owns it alone");
    case BLOCK_LEASED:
        return shl_error(-EPERM, "the payload is leased: see shoal_queue_task_done()");
    case BLOCK_UNDER:
        return shl_error(-EPERM, "the payload lies under another one, and goes with it");
    case BLOCK_PART:
    case BLOCK_OBJECT:
        return shl_error(-EFAULT, "not a payload but the library's own memory");
    }
    return shl_error(-EUCLEAN, "the payload's header is damaged");
}

/* Is it somebody's payload at this instant? */
static bool find_payload(const void *payload, struct shl_place *ret_place)
{
    if (payload && shl_place_find(payload, ret_place)) {
        enum block_state state = block_own_state(atom_load_relaxed(&ret_place->block->own));
        if (state == BLOCK_OWNED || state == BLOCK_SENDING || state == BLOCK_SHARED ||
            state == BLOCK_UNDER || state == BLOCK_LEASED)
            return true;
    }
    shl_error(-EFAULT, "not a payload");
    return false;
}

size_t shoal_size(const void *payload)
{
    struct shl_place place;
    if (!find_payload(payload, &place))
        return 0;
    /* Clamped: the header may have been overrun, and callers copy by what they are told. */
    uint64_t size = shl_under_size(&place), most = shl_room(&place);
    return size < most ? size : most;
}

shoal_ref shoal_ref_of(const void *payload)
{
    struct shl_place place;
    if (!find_payload(payload, &place))
        return (shoal_ref){ 0 };
    uint32_t generation = block_meta_generation(atom_load_relaxed(&place.block->meta));
    return (shoal_ref){ shl_ref_make(place.segment->id, generation,
                                     shl_offset(place.segment, payload)) };
}

void *shoal_deref(shoal_ref ref)
{
    struct shl_segment *segment = shl_segment_by_id(shl_ref_id(ref.ref));
    uint64_t offset = shl_ref_offset(ref.ref);
    if (!segment || offset >= segment->size) {
        shl_error(ref.ref == 0 ? -EINVAL : -ESTALE, "the reference's segment is not attached");
        return NULL;
    }
    struct shl_place place;
    void *payload = shl_at(segment, offset);
    if (find_payload(payload, &place) &&
        block_meta_generation(atom_load_relaxed(&place.block->meta)) == shl_ref_generation(ref.ref))
        return payload;
    shl_error(-ESTALE, "the reference's payload was freed");
    return NULL;
}
