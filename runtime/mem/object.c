#include "mem/object.h"

#include "mem/self.h"

#define PLACES_PER_PAGE (PAGE_SIZE_SHM / OBJECT_SIZE)
#define STACK_OFFSET_MASK ((UINT64_C(1) << 36) - 1)

/* Places are type-stable, so that a rival may read `next` of a place that is in use by now: the
 * tag in the top then rejects it. */
static void push(const struct shl_segment *segment, struct object_shm *object)
{
    atom64 *top = &segment->shm->objects.top;
    for (;;) {
        uint64_t seen = atom_load_relaxed(top);
        atom_store_relaxed(&object->next, seen & STACK_OFFSET_MASK);
        uint64_t pushed = ((seen >> 36) + 1) << 36 | shl_offset(segment, object) >> 4;
        /* [object.stack] release -> pop(): the head, and all that its last user did. */
        if (atom_cas_release_64(top, seen, pushed))
            return;
    }
}

static struct object_shm *pop(const struct shl_segment *segment)
{
    atom64 *top = &segment->shm->objects.top;
    for (;;) {
        /* [object.stack] acquire <- push(): `next`. */
        uint64_t seen = atom_load_acquire(top);
        uint64_t offset = (seen & STACK_OFFSET_MASK) << 4;
        if (offset == 0 || offset >= segment->size)
            return NULL;
        struct object_shm *object = shl_at(segment, offset);
        uint64_t next = atom_load_relaxed(&object->next) & STACK_OFFSET_MASK;
        /* [object.stack] acquire <- push(): the place. */
        if (atom_cas_acquire_64(top, seen, (seen >> 36) << 36 | next))
            return object;
    }
}

/* Takes a page for objects, keeps its first place and gives the others to everybody. */
static struct object_shm *add_page(const struct shl_segment *segment)
{
    uint64_t offset;
    struct shl_attachment *self = shl_self(segment);
    if (!self || shl_pages_take(segment, self->process_owner, PAGE_OBJECTS, 0, 1, &offset) < 0)
        return NULL;
    for (uint64_t i = PLACES_PER_PAGE; i-- > 0;) {
        struct object_shm *object = shl_at(segment, offset + i * OBJECT_SIZE);
        atom_store_relaxed(&object->self, shl_ref_make(segment->id, 1, offset + i * OBJECT_SIZE));
        if (i > 0)
            push(segment, object);
    }
    return shl_at(segment, offset);
}

struct object_shm *shl_object_create(const struct shl_segment *segment)
{
    struct object_shm *object = pop(segment);
    if (!object)
        object = add_page(segment);
    return object;
}

uint64_t shl_object_publish(struct object_shm *object, enum shl_kind kind)
{
    uint64_t ref = atom_load_relaxed(&object->self);
    /* [object.kind] release -> shl_object_find(): the object's fields. */
    atom_store_release(&object->kind, kind);
    return ref;
}

bool shl_object_end(struct object_shm *object, uint64_t ref)
{
    uint32_t generation = shl_ref_generation(ref) + 1;
    if ((generation & 0xfff) == 0)
        generation = 1; /* a handle is never zero */
    uint64_t next = shl_ref_make(shl_ref_id(ref), generation, shl_ref_offset(ref));
    /* [object.self] acq_rel -> shl_object_is(). */
    return atom_cas_acq_rel_64(&object->self, ref, next);
}

void shl_object_free(const struct shl_segment *segment, struct object_shm *object)
{
    atom_store_relaxed(&object->kind, KIND_NONE);
    push(segment, object);
}

/* Is it the offset of a place, by the words of its chunk and page? */
static bool is_place(const struct shl_segment *segment, uint64_t offset)
{
    return offset % OBJECT_SIZE == 0 &&
           page_word_kind(shl_page_word(segment, offset)) == PAGE_OBJECTS;
}

struct object_shm *shl_object_find(uint64_t ref, enum shl_kind kind,
                                   struct shl_segment **ret_segment)
{
    struct shl_segment *segment = shl_segment_by_id(shl_ref_id(ref));
    if (unlikely(!segment || !is_place(segment, shl_ref_offset(ref)))) {
        if (segment || shl_ref_id(ref) == 0)
            shl_error(-EINVAL, ref == 0 ? "the handle is none" : "not a handle");
        else
            shl_error(-ESTALE, "the handle's segment is not attached");
        return NULL;
    }
    struct object_shm *object = shl_at(segment, shl_ref_offset(ref));
    /* [object.kind] acquire <- shl_object_publish(): the object's fields. */
    uint32_t found = atom_load_acquire(&object->kind);
    if (unlikely(!shl_object_is(object, ref) || found == KIND_NONE)) {
        shl_error(-ESTALE, "the object is gone");
        return NULL;
    }
    if (unlikely(found != (uint32_t)kind)) {
        shl_error(-EINVAL, "the handle is of another type");
        return NULL;
    }
    *ret_segment = segment;
    return object;
}
