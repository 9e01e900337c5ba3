#include "mem/object.h"

#include "mem/readers.h"
#include "mem/self.h"
#include "os/chaos.h"

static const uint32_t place_sizes[POOLS_COUNT] = {
    [POOL_PROCESS] = OBJECT_BIG_SIZE,    [POOL_QUEUE] = OBJECT_BIG_SIZE,
    [POOL_LOCK] = OBJECT_SMALL_SIZE,     [POOL_SEMAPHORE] = OBJECT_SMALL_SIZE,
    [POOL_EVENT] = OBJECT_SMALL_SIZE,    [POOL_OWNED_SEMAPHORE] = OBJECT_HUGE_SIZE,
    [POOL_CONDITION] = OBJECT_HUGE_SIZE, [POOL_BARRIER] = OBJECT_HUGE_SIZE,
    [POOL_NAME] = OBJECT_SMALL_SIZE,
};

/* What lives in a pool's places: a word that says otherwise was damaged. */
static const enum shl_kind pool_kinds[POOLS_COUNT] = {
    [POOL_PROCESS] = KIND_PROCESS,     [POOL_QUEUE] = KIND_QUEUE,
    [POOL_LOCK] = KIND_LOCK,           [POOL_SEMAPHORE] = KIND_SEMAPHORE,
    [POOL_EVENT] = KIND_EVENT,         [POOL_OWNED_SEMAPHORE] = KIND_SEMAPHORE,
    [POOL_CONDITION] = KIND_CONDITION, [POOL_BARRIER] = KIND_BARRIER,
    [POOL_NAME] = KIND_NAME,
};
static_assert(sizeof(((struct segment_shm *)0)->objects) == POOLS_COUNT * sizeof(struct stack_shm),
              "a stack for each pool");

/* -1: no place is there, by the words of its chunk and page. */
static int place_pool(const struct shl_segment *segment, uint64_t offset)
{
    uint64_t page = shl_page_word(segment, offset);
    uint32_t pool = page_word_class(page);
    if (page_word_kind(page) != PAGE_OBJECTS || pool >= POOLS_COUNT ||
        offset % place_sizes[pool] != 0)
        return -1;
    return (int)pool;
}

#define STACK_OFFSET_MASK ((UINT64_C(1) << 36) - 1)

/* Places are type-stable, so that a rival may read `next` of a place that is in use by now: the
 * tag in the top then rejects it. */
static void push(const struct shl_segment *segment, uint32_t pool, struct object_shm *object)
{
    atom64 *top = &segment->shm->objects[pool].top;
    for (;;) {
        uint64_t seen = atom_load_relaxed(top);
        atom_store_relaxed(&object->next, seen & STACK_OFFSET_MASK);
        uint64_t pushed = ((seen >> 36) + 1) << 36 | shl_offset(segment, object) >> 4;
        /* [object.stack] release -> pop(): the head, and all that its last user did. */
        if (atom_cas_release_64(top, seen, pushed))
            return;
    }
}

static struct object_shm *pop(const struct shl_segment *segment, uint32_t pool)
{
    atom64 *top = &segment->shm->objects[pool].top;
    for (;;) {
        /* [object.stack] acquire <- push(): `next`. */
        uint64_t seen = atom_load_acquire(top);
        uint64_t offset = (seen & STACK_OFFSET_MASK) << 4;
        int found = place_pool(segment, offset);
        if (found < 0 || (uint32_t)found != pool)
            return NULL; /* none; or damaged */
        struct object_shm *object = shl_at(segment, offset);
        uint64_t next = atom_load_relaxed(&object->next) & STACK_OFFSET_MASK;
        /* [object.stack] acquire <- push(): the place. */
        if (atom_cas_acquire_64(top, seen, (seen >> 36) << 36 | next))
            return object;
    }
}

/* Takes a page for objects, keeps its first place and gives the others to everybody. */
static struct object_shm *add_page(const struct shl_segment *segment, uint32_t pool)
{
    uint64_t offset, size = place_sizes[pool];
    struct shl_attachment *self = shl_self(segment);
    if (!self || shl_pages_take(segment, self->process_owner, PAGE_OBJECTS, pool, 1, &offset) < 0)
        return NULL;
    for (uint64_t at = offset + PAGE_SIZE_SHM - size;; at -= size) {
        struct object_shm *object = shl_at(segment, at);
        atom_store_relaxed(&object->self, shl_ref_make(segment->id, 1, at));
        if (at == offset)
            return object;
        push(segment, pool, object);
    }
}

struct object_shm *shl_object_create(const struct shl_segment *segment, uint32_t pool)
{
    struct object_shm *object = pop(segment, pool);
    return object ? object : add_page(segment, pool);
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

int shl_object_pool(const struct shl_segment *segment, const struct object_shm *object)
{
    return place_pool(segment, shl_offset(segment, object));
}

void shl_object_free(const struct shl_segment *segment, struct object_shm *object)
{
    int pool = shl_object_pool(segment, object);
    atom_store_relaxed(&object->kind, KIND_NONE);
    if (pool >= 0 && !SHL_MISTAKE("object.place_lost"))
        push(segment, (uint32_t)pool, object);
}

/* The object of that kind in the segment that its handle names, if it is attached. */
static struct object_shm *find_in(const struct shl_segment *segment, uint64_t ref,
                                  enum shl_kind kind)
{
    if (unlikely(shl_ref_id(ref) == 0)) {
        shl_error(-EINVAL, ref == 0 ? "the handle is none" : "not a handle");
        return NULL;
    }
    if (unlikely(!segment))
        return NULL;
    int pool = place_pool(segment, shl_ref_offset(ref));
    if (unlikely(pool < 0)) {
        shl_error(-EINVAL, "not a handle");
        return NULL;
    }
    struct object_shm *object = shl_at(segment, shl_ref_offset(ref));
    /* [object.kind] acquire <- shl_object_publish(): the object's fields. */
    uint32_t found = atom_load_acquire(&object->kind);
    bool stale = !shl_object_is(object, ref) && !SHL_MISTAKE("object.generation");
    if (unlikely(stale || found == KIND_NONE)) {
        shl_error(-ESTALE, "the object is gone");
        return NULL;
    }
    if (unlikely(found != (uint32_t)kind)) {
        shl_error(-EINVAL, "the handle is of another type");
        return NULL;
    }
    if (unlikely(found != pool_kinds[pool] && !SHL_MISTAKE("object.pool"))) {
        shl_error(-EUCLEAN, "a process damaged the object");
        return NULL;
    }
    return object;
}

struct object_shm *shl_object_find(uint64_t ref, enum shl_kind kind,
                                   struct shl_segment **ret_segment)
{
    *ret_segment = shl_segment_by_id(shl_ref_id(ref));
    return find_in(*ret_segment, ref, kind);
}

struct object_shm *shl_object_find_begin(uint64_t ref, enum shl_kind kind, bool *ret_reading)
{
    const struct shl_segment *family = &shl_segments[SHL_FAMILY];
    *ret_reading = !shl_segment_attached(family) || family->id != shl_ref_id(ref);
    if (!*ret_reading)
        return find_in(family, ref, kind);
    struct shl_segment segment;
    shl_readers_enter();
    return find_in(shl_segment_peek(shl_ref_id(ref), &segment) ? &segment : NULL, ref, kind);
}

void shl_object_find_end(bool reading)
{
    if (reading)
        shl_readers_leave();
}

const struct shl_found *shl_find_slow(uint64_t ref, enum shl_kind kind)
{
    shl_self_leave_detached();
    struct shl_segment *segment;
    struct object_shm *object = shl_object_find(ref, kind, &segment);
    struct shl_attachment *self = object ? shl_self(segment) : NULL;
    if (!self)
        return NULL;
    struct shl_found *found = &shl_self_pointer->found[shl_found_place(ref)];
    found->kind = KIND_NONE; /* a signal handler may look meanwhile */
    atom_compiler_barrier();
    found->ref = ref;
    found->object = object;
    found->segment = segment;
    found->self = self;
    found->epoch = shl_self_pointer->detach_epoch;
    atom_compiler_barrier();
    found->kind = kind;
    return found;
}

struct object_shm *shl_object_next(const struct shl_segment *segment, struct shl_object_walk *walk)
{
    uint64_t offset = walk->offset;
    if (offset < segment->chunks_at * CHUNK_SIZE)
        offset = segment->chunks_at * CHUNK_SIZE;
    while (offset < segment->size) {
        uint64_t page = shl_page_word(segment, offset);
        if (chunk_word_kind(shl_chunk_word(segment, offset)) != CHUNK_PAGES)
            offset += CHUNK_SIZE - offset % CHUNK_SIZE;
        else if (page_word_kind(page) != PAGE_OBJECTS || page_word_class(page) >= POOLS_COUNT)
            offset += PAGE_SIZE_SHM - offset % PAGE_SIZE_SHM;
        else {
            uint32_t pool = page_word_class(page);
            struct object_shm *object = shl_at(segment, offset);
            offset += place_sizes[pool];
            walk->offset = offset;
            walk->kind = pool_kinds[pool];
            if (atom_load_relaxed(&object->kind) == walk->kind)
                return object;
        }
    }
    return NULL;
}
