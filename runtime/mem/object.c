#include "mem/object.h"

#include <string.h>

#include "mem/alloc.h"
#include "mem/closed.h"
#include "mem/readers.h"
#include "os/chaos.h"
#include "os/futex.h"

/* What lives in a pool's places: a word that says otherwise was damaged. */
static const enum shl_kind pool_kinds[POOLS_COUNT] = {
    [POOL_PROCESS] = KIND_PROCESS,
    [POOL_QUEUE] = KIND_QUEUE,
    [POOL_CELLS] = KIND_QUEUE,
    [POOL_LOCK] = KIND_LOCK,
    [POOL_SEMAPHORE] = KIND_SEMAPHORE,
    [POOL_EVENT] = KIND_EVENT,
    [POOL_OWNED_SEMAPHORE] = KIND_SEMAPHORE,
    [POOL_CONDITION] = KIND_CONDITION,
    [POOL_BARRIER] = KIND_BARRIER,
    [POOL_NAME] = KIND_NAME,
    [POOL_SHARE] = KIND_SHARE,
    [POOL_CONNECTION] = KIND_CONNECTION,
    [POOL_LEASE] = KIND_LEASE,
};

static struct block_shm *block_of(struct object_shm *object)
{
    return (struct block_shm *)(void *)object; /* both begin with the word that says whose it is */
}

static_assert(offsetof(struct object_shm, own) == offsetof(struct block_shm, own), "one layout");

struct object_shm *shl_object_create(const struct shl_segment *segment, enum shl_pool pool)
{
    struct object_shm *object = (void *)shl_alloc_place(segment, CLASS_OF_POOL(pool));
    if (!object)
        return NULL;
    atom_store_relaxed(&object->kind, KIND_NONE);
    atom_store_relaxed(&object->creator, 0);
    if (atom_load_relaxed(&object->self) == 0) /* the place was never used */
        atom_store_relaxed(&object->self,
                           shl_ref_make(segment->id, 1, shl_offset(segment, object)));
    return object;
}

void shl_object_tie(const struct shl_segment *segment, struct object_shm *object)
{
    if (!SHL_MISTAKE("object.tied"))
        atom_store_relaxed(&object->creator, shl_self(segment)->process_owner);
}

uint64_t shl_object_publish(struct object_shm *object, enum shl_kind kind)
{
    uint64_t ref = atom_load_relaxed(&object->self);
    /* [object.kind] release -> shl_object_find(): the object's fields. */
    atom_store_release(&object->kind, kind);
    SHL_CHAOS("object.published");
    /* [object.own] release -> shl_object_next(): likewise. */
    atom_store_release(&object->own, block_own_make_ref(BLOCK_OBJECT, ref));
    return ref;
}

/* Moves the generation on: true for the one who did. */
static bool move_on(struct object_shm *object, uint64_t ref)
{
    uint32_t generation = shl_ref_generation(ref) + 1;
    if ((generation & 0xfff) == 0)
        generation = 1; /* a handle is never zero */
    uint64_t next = shl_ref_make(shl_ref_id(ref), generation, shl_ref_offset(ref));
    /* [object.self] -> shl_object_is(); seq_cst for [cells.inside]. */
    return atom_cas_seq_cst_64(&object->self, ref, next);
}

bool shl_object_end(const struct shl_segment *segment, struct object_shm *object, uint64_t ref)
{
    struct shl_attachment *self = shl_self(segment);
    if (!self || !move_on(object, ref))
        return false;
    SHL_CHAOS("object.ended");
    /* [object.own] acq_rel: whoever settles a death may finish it instead. */
    return atom_cas_acq_rel_64(&object->own, block_own_make_ref(BLOCK_OBJECT, ref),
                               block_own_make(BLOCK_FREE, self->owner, 0));
}

void shl_object_abandon(struct object_shm *object, uint64_t ref)
{
    move_on(object, ref);
    SHL_CHAOS("object.abandoned");
    /* [object.own] acq_rel: who ended it may be freeing it; its free bit is made by
     * shl_runs_settle(). Its kind stays: somebody may have the place already. */
    atom_cas_acq_rel_64(&object->own, block_own_make_ref(BLOCK_OBJECT, ref), 0);
}

bool shl_object_expire(struct object_shm *object, uint64_t ref)
{
    return move_on(object, ref);
}

/* Whose places a page is cut into; negative: none. */
static int pool_of(uint64_t page)
{
    uint32_t size_class = page_word_class(page);
    bool is_pool = page_word_kind(page) == PAGE_RUN && size_class > CLASS_PAYLOAD_LAST &&
                   size_class < CLASS_OF_POOL(POOLS_COUNT);
    return is_pool ? (int)(size_class - CLASS_OF_POOL(0)) : -1;
}

int shl_object_pool(const struct shl_segment *segment, uint64_t offset)
{
    int pool = pool_of(shl_page_word(segment, offset));
    if (pool < 0)
        return -1;
    const struct shl_size *size = &shl_sizes[CLASS_OF_POOL(pool)];
    return offset % size->stride == 0 && offset % PAGE_SIZE_SHM < size->end ? pool : -1;
}

void shl_object_free(const struct shl_segment *segment, struct object_shm *object)
{
    int pool = shl_object_pool(segment, shl_offset(segment, object));
    atom_store_relaxed(&object->kind, KIND_NONE);
    if (pool >= 0)
        shl_free_place(segment, CLASS_OF_POOL(pool), block_of(object));
}

void shl_object_leave(const struct shl_segment *segment, struct object_shm *object, uint64_t ref)
{
    /* [object.own] acq_rel -> finish(). */
    atom_cas_acq_rel_64(&object->own, block_own_make(BLOCK_FREE, shl_self(segment)->owner, 0),
                        block_own_make_ref(BLOCK_OBJECT, ref));
}

void shl_object_part(const struct shl_place *place, uint64_t ref)
{
    uint64_t own = atom_load_relaxed(&place->block->own);
    /* relaxed: it is this process's until here, and an object's from here on */
    atom_store_relaxed(&place->block->own, block_own_lend(BLOCK_PART, ref, own));
}

void shl_object_free_part(const struct shl_segment *segment, uint64_t offset, uint64_t ref,
                          const struct shl_attachment *self)
{
    struct shl_place place;
    if (offset >= segment->size || !shl_place_at(segment, offset, &place))
        return;
    uint64_t own = atom_load_relaxed(&place.block->own);
    uint64_t mine = block_own_make(BLOCK_OWNED, self->process_owner, block_own_seq_lent(own));
    /* Who finished the object before may have freed it, and it may be another one's. */
    if (block_own_is_lent(own, BLOCK_PART, ref) &&
        /* [journal.message] acquire <- J3; [cells.freed] release -> shl_cells_visit(). */
        atom_cas_acq_rel_64(&place.block->own, own, mine))
        shl_free(&place);
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
    int pool = shl_object_pool(segment, shl_ref_offset(ref));
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

void shl_found_write(struct shl_found *found, struct shl_found notes)
{
    const uint16_t kind = notes.kind;
    found->kind = notes.kind = KIND_NONE; /* a signal handler may look meanwhile */
    atom_compiler_barrier();
    *found = notes;
    atom_compiler_barrier();
    found->kind = kind;
}

/* Notes it; unless `lasting`, for the call that asks alone. */
static struct shl_found *note(uint64_t ref, enum shl_kind kind, struct object_shm *object,
                              const struct shl_segment *segment, bool lasting)
{
    struct shl_found *found = &shl_self_pointer->found[shl_found_place(ref)];
    shl_found_write(found,
                    (struct shl_found){ .ref = ref,
                                        .object = object,
                                        .segment = segment,
                                        .self = shl_self_attached(segment),
                                        .kind = (uint16_t)kind,
                                        .epoch = shl_self_pointer->detach_epoch - !lasting });
    return found;
}

static struct shl_found *find_slow(uint64_t ref, enum shl_kind kind, bool even_closed)
{
    shl_self_leave_detached();
    struct shl_segment *segment;
    struct object_shm *object = shl_object_find(ref, kind, &segment);
    if (!object || !shl_self(segment))
        return NULL;
    bool closed = shl_closed_has(ref);
    if (unlikely(closed && !even_closed)) {
        shl_error(-EPIPE, "it is closed in this process");
        return NULL;
    }
    return note(ref, kind, object, segment, !closed);
}

struct shl_found *shl_find_slow(uint64_t ref, enum shl_kind kind)
{
    return find_slow(ref, kind, false);
}

struct shl_found *shl_find_even_closed(uint64_t ref, enum shl_kind kind)
{
    struct shl_found *found = shl_find_again(ref, kind);
    return found ? found : find_slow(ref, kind, true);
}

struct object_shm *shl_object_place(const struct shl_segment *segment, uint64_t ref,
                                    enum shl_kind kind)
{
    int pool = shl_object_pool(segment, shl_ref_offset(ref));
    return pool >= 0 && pool_kinds[pool] == kind ? shl_at(segment, shl_ref_offset(ref)) : NULL;
}

struct object_shm *shl_object_at(const struct shl_segment *segment, uint64_t ref,
                                 enum shl_kind kind)
{
    struct object_shm *object = shl_object_place(segment, ref, kind);
    /* [object.kind] acquire <- shl_object_publish(): the object's fields. */
    bool there = object && atom_load_acquire(&object->kind) == (uint32_t)kind &&
                 shl_object_is(object, ref);
    return there ? object : NULL;
}

enum { ANY_POOL = -1 };

/* Goes on to the next page that is cut into such places; false at the end. */
static bool next_page(const struct shl_segment *segment, uint64_t *offset, int wanted,
                      int *ret_pool)
{
    uint64_t chunk = *offset / CHUNK_SIZE, end = shl_chunks_end(segment);
    for (; chunk < end; *offset = ++chunk * CHUNK_SIZE) {
        if (chunk_word_kind(shl_chunk_word(segment, *offset)) != CHUNK_PAGES)
            continue;
        const atom64 *words = shl_page_words(segment, chunk);
        for (uint64_t page = *offset % CHUNK_SIZE / PAGE_SIZE_SHM; page < PAGES_PER_CHUNK;
             *offset = chunk * CHUNK_SIZE + ++page * PAGE_SIZE_SHM) {
            int pool = page == 0 ? -1 : pool_of(atom_load_relaxed(&words[page]));
            *ret_pool = pool;
            if (pool >= 0 && (wanted == ANY_POOL || pool == wanted))
                return true;
        }
    }
    return false;
}

/* The next place of its page, from an offset on, that is not free; NULL, and the offset is behind
 * the page, if no more are. */
static struct object_shm *next_taken(const struct shl_segment *segment, uint64_t *offset, int pool)
{
    const struct shl_size *size = &shl_sizes[CLASS_OF_POOL(pool)];
    uint64_t page = *offset - *offset % PAGE_SIZE_SHM, end = page + size->end;
    while (*offset < end) {
        struct object_shm *object = shl_at(segment, *offset);
        *offset += size->stride;
        if (!block_own_is_nobodys(atom_load_relaxed(&object->own))) /* most are */
            return object;
    }
    *offset = page + PAGE_SIZE_SHM;
    return NULL;
}

/* The next place from an offset on that is not free, and whose kind is not damaged; NULL at the
 * end. */
static struct object_shm *next_place(const struct shl_segment *segment, uint64_t *offset,
                                     int wanted, enum shl_kind *ret_kind)
{
    int pool;
    while (next_page(segment, offset, wanted, &pool)) {
        struct object_shm *object = next_taken(segment, offset, pool);
        uint32_t kind = object ? atom_load_relaxed(&object->kind) : KIND_NONE;
        *ret_kind = kind == KIND_NONE ? KIND_NONE : pool_kinds[pool];
        if (object && kind == (uint32_t)*ret_kind)
            return object;
    }
    return NULL;
}

static struct object_shm *next_object(const struct shl_segment *segment,
                                      struct shl_object_walk *walk, int wanted)
{
    if (walk->offset < segment->chunks_at * CHUNK_SIZE)
        walk->offset = segment->chunks_at * CHUNK_SIZE;
    for (struct object_shm *object;
         (object = next_place(segment, &walk->offset, wanted, &walk->kind));)
        /* [object.own] acquire <- shl_object_publish(): the object's fields. */
        if (block_own_state(atom_load_acquire(&object->own)) == BLOCK_OBJECT &&
            walk->kind != KIND_NONE)
            return object;
    return NULL;
}

struct object_shm *shl_object_next(const struct shl_segment *segment, struct shl_object_walk *walk)
{
    return next_object(segment, walk, ANY_POOL);
}

struct object_shm *shl_object_next_in(const struct shl_segment *segment,
                                      struct shl_object_walk *walk, enum shl_pool pool)
{
    return next_object(segment, walk, (int)pool);
}

/* The reference that was good for a place before this one. */
static uint64_t before(uint64_t self)
{
    uint32_t generation = (shl_ref_generation(self) - 1) & 0xfff;
    return shl_ref_make(shl_ref_id(self), generation ? generation : 0xfff, shl_ref_offset(self));
}

/* What a dead thread was ending here has ended: the place does not name him any more, but what he
 * had ended, as what belongs to that does; or, if he was just making one, nothing. */
static void end_for(struct object_shm *object, uint64_t own, const struct shl_dead *dead)
{
    uint64_t self = atom_load_relaxed(&object->self);
    if (block_own_state(own) == BLOCK_FREE && shl_is_dead_thread(dead, block_own_owner(own)))
        /* [object.own] acq_rel -> finish(). */
        atom_cas_acq_rel_64(
            &object->own, own,
            block_own_make_ref(BLOCK_OBJECT, SHL_MISTAKE("object.before") ? self : before(self)));
}

/* Frees what belongs to an object that has ended, and its place; later, if somebody is inside. One
 * of several who come here has the place: its next object may live there before they go on. */
static void finish(const struct shl_segment *segment, struct object_shm *object, uint64_t own,
                   const struct shl_settler *settler)
{
    struct shl_attachment *self = shl_self_attached(segment);
    if (!self || SHL_MISTAKE("object.settled") ||
        (settler->finish && !settler->finish(segment, self, object, own)))
        return;
    SHL_CHAOS("object.finished");
    /* [object.own] acq_rel: who goes on, and may write there. */
    if (!atom_cas_acq_rel_64(&object->own, own, block_own_make(BLOCK_FREE, self->owner, 0)) &&
        !SHL_MISTAKE("object.finisher"))
        return;
    atom_store_relaxed(&object->kind, KIND_NONE);
    if (settler->bell)
        shl_futex_wake((atom32 *)(void *)((char *)object + settler->bell), INT32_MAX);
    /* [object.own] release -> who takes the place; its free bit is made by shl_runs_settle(). */
    atom_store_release(&object->own, 0);
}

void shl_object_finish(const struct shl_segment *segment, enum shl_kind kind,
                       struct object_shm *object, uint64_t ref)
{
    struct shl_attachment *self = shl_self_attached(segment);
    uint64_t own = block_own_make_ref(BLOCK_OBJECT, ref);
    /* [object.own] acquire <- who freed it first. */
    if (!self || atom_load_acquire(&object->own) != own || shl_object_is(object, ref) ||
        !shl_settlers[kind]->finish(segment, self, object, own))
        return;
    SHL_CHAOS("object.finishes");
    /* [object.own] acq_rel: likewise. */
    if (atom_cas_acq_rel_64(&object->own, own, block_own_make(BLOCK_FREE, self->owner, 0)))
        shl_object_free(segment, object);
}

static bool has_ended(struct object_shm *object, uint64_t own)
{
    return own != block_own_make_ref(BLOCK_OBJECT, atom_load_relaxed(&object->self));
}

/* The kernel wakes one of those who sleep at the dead one's life: the others are woken here. */
static void end_with_creator(struct object_shm *object, uint64_t own,
                             const struct shl_settler *settler, const struct shl_dead *dead)
{
    uint64_t ref = atom_load_relaxed(&object->self);
    if (!shl_is_dead_process(dead, atom_load_relaxed(&object->creator)) ||
        own != block_own_make_ref(BLOCK_OBJECT, ref))
        return;
    shl_object_expire(object, ref);
    if (settler->wake)
        settler->wake(object);
    if (settler->bell)
        shl_futex_wake((atom32 *)(void *)((char *)object + settler->bell), INT32_MAX);
}

static void settle(const struct shl_segment *segment, struct object_shm *object, enum shl_kind kind,
                   const struct shl_dead *dead)
{
    static const struct shl_settler nothing;
    const struct shl_settler *settler = shl_settlers[kind] ? shl_settlers[kind] : &nothing;
    if (kind != KIND_NONE)
        end_for(object, atom_load_relaxed(&object->own), dead);
    /* [object.own] acquire <- shl_object_publish(): the object's fields. */
    uint64_t own = atom_load_acquire(&object->own);
    if (block_own_state(own) != BLOCK_OBJECT)
        return;
    if (!has_ended(object, own)) {
        if (settler->settle)
            settler->settle(segment, object, dead);
        end_with_creator(object, own, settler, dead);
    }
    if (has_ended(object, own) && !dead->left) /* who leaves takes nothing in his hands */
        finish(segment, object, own, settler);
}

/* Since the walk looked, the chunk may have become something else, whose user writes what he wants;
 * but one that holds a place never does. */
static bool is_place(const struct shl_segment *segment, uint32_t owner, struct object_shm *object)
{
    uint64_t offset = shl_offset(segment, object);
    if (owner == 0 || !shl_pages_enter(segment, owner, shl_page_number(offset / CHUNK_SIZE, 0)))
        return false;
    bool is = shl_object_pool(segment, offset) >= 0;
    shl_pages_leave(segment, owner);
    return is;
}

void shl_objects_settle(const struct shl_segment *segment, const struct shl_dead *dead)
{
    enum shl_kind kind;
    uint32_t owner = shl_settler_owner(segment, dead);
    uint64_t offset = segment->chunks_at * CHUNK_SIZE;
    for (struct object_shm *object; (object = next_place(segment, &offset, ANY_POOL, &kind));)
        if (is_place(segment, owner, object))
            settle(segment, object, kind, dead);
}
