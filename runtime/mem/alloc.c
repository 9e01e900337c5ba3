/*
 * Purpose. A simple size-class allocator with the final block header.
 *
 * Layout. Blocks of a class are cut from runs of pages. A thread keeps free blocks of each class in
 * an array of its own; when that is full, the older half goes, linked to a chain, on the class's
 * stack in the segment, and an empty array takes a whole chain from there. Blocks above the largest
 * class are whole chunks.
 *
 * Invariants. I1 A block's header says who owns it; only its owner changes it.
 *             I2 A block on a stack or in a cache is FREE.
 *             I3 A chain belongs to the stack, or to the one thread that took it.
 *
 * Order. [alloc.stack] push releases what the freer did, pop acquires it. The stack's top carries a
 * tag against ABA; the next pointer may be read while another thread already uses the block, so it
 * lies in the header and is atomic, and the tag rejects what was read.
 *
 * Progress. Lock-free. A process killed in here leaves FREE blocks that no list holds, or blocks
 * with its name: they are lost until its death is swept.
 */
#include "mem/alloc.h"

#include <string.h>

#include "mem/pages.h"
#include "os/chaos.h"

#define CACHE_BYTES_MAX (UINT64_C(256) << 10)
#define STACK_OFFSET_MASK ((UINT64_C(1) << 36) - 1)

/* A size class: bytes of a block, header included, and pages of the runs it is cut from: about
 * eight blocks to a run, at least a page, at most a chunk. */
struct size_class {
    uint32_t size, pages;
};
#define PAGES_FOR(bytes) (((uint64_t)(bytes) + PAGE_SIZE_SHM - 1) / PAGE_SIZE_SHM)
#define CLASS(bytes)                                                                              \
    {                                                                                             \
        bytes,                                                                                    \
            PAGES_FOR((bytes)*8u) < PAGES_PER_CHUNK ? PAGES_FOR((bytes)*8u) : PAGES_PER_CHUNK - 1 \
    }
#define QUARTERS(power) \
    CLASS((power) / 4 * 5), CLASS((power) / 2 * 3), CLASS((power) / 4 * 7), CLASS((power)*2)
#define KIB(count) ((count) << 10)

/* 16-byte steps to 128 bytes, then four classes per doubling. */
static const struct size_class size_classes[CLASSES_COUNT] = {
    CLASS(16u),          CLASS(32u),           CLASS(48u),          CLASS(64u),
    CLASS(80u),          CLASS(96u),           CLASS(112u),         CLASS(128u),
    QUARTERS(128u),      QUARTERS(256u),       QUARTERS(512u),      QUARTERS(KIB(1u)),
    QUARTERS(KIB(2u)),   QUARTERS(KIB(4u)),    QUARTERS(KIB(8u)),   QUARTERS(KIB(16u)),
    QUARTERS(KIB(32u)),  QUARTERS(KIB(64u)),   QUARTERS(KIB(128u)), QUARTERS(KIB(256u)),
    QUARTERS(KIB(512u)), QUARTERS(KIB(1024u)),
};
#define CLASS_LAST 62u /* 1.75 MiB: the largest that fits beside the page words */

static uint32_t class_of(uint64_t block_size)
{
    if (block_size <= 128)
        return (uint32_t)((block_size + 15) / 16 - 1);
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(block_size - 1);
    uint32_t quarter = (uint32_t)((block_size - 1 - (UINT64_C(1) << shift)) >> (shift - 2));
    return 8 + (shift - 7) * 4 + quarter;
}

static uint32_t cache_capacity(uint32_t size_class)
{
    uint64_t count = CACHE_BYTES_MAX / size_classes[size_class].size;
    return count > SHL_CACHE_BLOCKS_MAX ? SHL_CACHE_BLOCKS_MAX : count < 2 ? 2 : (uint32_t)count;
}

/*
 * The size class of the block that begins at an offset, by the words of its page or chunk, which no
 * payload's overrun reaches; BLOCK_CLASS_LARGE; -1 if none begins there.
 */
static int block_class(const struct shl_segment *segment, uint64_t offset)
{
    uint64_t page = shl_page_word(segment, offset);
    uint32_t size_class = page_word_class(page);
    if (unlikely(page_word_kind(page) != PAGE_BLOCKS || size_class > CLASS_LAST)) {
        bool large = offset % CHUNK_SIZE == 0 &&
                     chunk_word_kind(shl_chunk_word(segment, offset)) == CHUNK_LARGE;
        return large ? (int)BLOCK_CLASS_LARGE : -1;
    }
    uint32_t size = size_classes[size_class].size;
    if (unlikely(page_word_first(page) + size_classes[size_class].pages > PAGES_PER_CHUNK) &&
        !SHL_MISTAKE("alloc.run"))
        return -1; /* damaged: the run would reach beyond its chunk */
    uint32_t inside = (uint32_t)(offset % CHUNK_SIZE - page_word_first(page) * PAGE_SIZE_SHM);
    bool fits = inside < CHUNK_SIZE && inside % size == 0 &&
                inside + size <= size_classes[size_class].pages * PAGE_SIZE_SHM;
    return fits ? (int)size_class : -1;
}

/* What a link names, if it is a free block of the class: links may have been overwritten. */
static struct block_shm *free_block_at(const struct shl_segment *segment, uint64_t offset,
                                       uint32_t size_class)
{
    if (offset == 0 || offset >= segment->size || offset % sizeof(struct block_shm) ||
        block_class(segment, offset) != (int)size_class)
        return NULL;
    struct block_shm *block = shl_at(segment, offset);
    return block_own_state(atom_load_relaxed(&block->own)) == BLOCK_FREE ? block : NULL;
}

/* The link from one block of a chain to the next lies in the payload: the chain is one thread's. */
static void chain_link(const struct shl_segment *segment, struct block_shm *block,
                       struct block_shm *next)
{
    *(uint64_t *)shl_payload(block) = next ? shl_offset(segment, next) : 0;
}

/* An end also if the link was overwritten: what hung on it is lost until the sweep. */
static struct block_shm *chain_next(const struct shl_segment *segment, struct block_shm *block,
                                    uint32_t size_class)
{
    return free_block_at(segment, *(uint64_t *)shl_payload(block), size_class);
}

static void stack_push(const struct shl_segment *segment, uint32_t size_class,
                       struct block_shm *chain)
{
    atom64 *top = &segment->shm->classes[size_class].top;
    for (;;) {
        uint64_t seen = atom_load_relaxed(top);
        uint32_t generation = block_meta_generation(atom_load_relaxed(&chain->meta));
        atom_store_relaxed(&chain->meta,
                           block_meta_make(size_class, generation, seen & STACK_OFFSET_MASK));
        uint64_t pushed = ((seen >> 36) + 1) << 36 | shl_offset(segment, chain) >> 4;
        /* [alloc.stack] release -> stack_pop(): the chain and all that its freer did. */
        if (atom_cas_release_64(top, seen, pushed))
            return;
    }
}

static struct block_shm *stack_pop(const struct shl_segment *segment, uint32_t size_class)
{
    atom64 *top = &segment->shm->classes[size_class].top;
    for (;;) {
        /* [alloc.stack] acquire <- stack_push(): the block's link. */
        uint64_t seen = atom_load_acquire(top);
        uint64_t offset = (seen & STACK_OFFSET_MASK) << 4;
        if (offset == 0 || offset >= segment->size ||
            block_class(segment, offset) != (int)size_class)
            return NULL;
        struct block_shm *chain = shl_at(segment, offset);
        uint64_t next = block_meta_value(atom_load_relaxed(&chain->meta)) & STACK_OFFSET_MASK;
        /* [alloc.stack] acquire <- stack_push(): the whole chain. */
        if (atom_cas_acquire_64(top, seen, (seen >> 36) << 36 | next))
            return chain;
    }
}

static struct block_shm *cut_fresh(struct shl_cache *cache, uint32_t size_class)
{
    uint64_t size = size_classes[size_class].size;
    if (!cache->bump || (uint64_t)(cache->bump_end - cache->bump) < size)
        return NULL;
    struct block_shm *block = (struct block_shm *)cache->bump;
    cache->bump += size;
    return block;
}

/* The array is empty: the chain at hand, fresh memory at hand, somebody's chain, a new run. */
static struct block_shm *take_slow(const struct shl_segment *segment, struct shl_attachment *self,
                                   uint32_t size_class)
{
    struct shl_cache *cache = &self->caches[size_class];
    if (!cache->chain)
        cache->chain = stack_pop(segment, size_class);
    struct block_shm *block = cache->chain;
    if (block) {
        cache->chain = chain_next(segment, block, size_class);
        return block;
    }
    block = cut_fresh(cache, size_class);
    if (block)
        return block;
    uint64_t offset;
    uint32_t pages = size_classes[size_class].pages;
    if (shl_pages_take(segment, self->process_owner, PAGE_BLOCKS, size_class, pages, &offset) < 0)
        return NULL;
    cache->bump = shl_at(segment, offset);
    cache->bump_end = cache->bump + pages * PAGE_SIZE_SHM;
    return cut_fresh(cache, size_class);
}

static void *hand_out(struct block_shm *block, uint32_t size_class, uint32_t generation,
                      size_t size, uint64_t own)
{
    uint32_t seq = block_own_seq(atom_load_relaxed(&block->own));
    atom_store_relaxed(&block->meta, block_meta_make(size_class, generation, size));
    atom_store_relaxed(&block->own, own | seq);
    return shl_payload(block);
}

static void *alloc_large(const struct shl_segment *segment, size_t size, uint32_t owner,
                         uint64_t own)
{
    uint64_t offset, count = (size + sizeof(struct block_shm) + CHUNK_SIZE - 1) / CHUNK_SIZE;
    if (shl_chunks_take(segment, owner, count, &offset) < 0)
        return NULL;
    uint32_t generation = (uint32_t)atom_add_relaxed(&segment->shm->large_count, 1);
    return hand_out(shl_at(segment, offset), BLOCK_CLASS_LARGE, generation, size, own);
}

void *shl_alloc(const struct shl_segment *segment, size_t size, enum block_state state)
{
    struct shl_attachment *self = shl_self(segment);
    if (unlikely(!self))
        return NULL;
    if (unlikely(size >= segment->size)) {
        shl_error(-ENOMEM, "larger than the segment's size_max");
        return NULL;
    }
    uint64_t own = block_own_make(state, self->process_owner, 0);
    uint64_t block_size = size + sizeof(struct block_shm);
    if (block_size < 2 * sizeof(struct block_shm))
        block_size = 2 * sizeof(struct block_shm); /* room for the link of a chain */
    uint32_t size_class = class_of(block_size);
    if (unlikely(size_class > CLASS_LAST))
        return alloc_large(segment, size, self->process_owner, own);
    struct shl_cache *cache = &self->caches[size_class];
    struct block_shm *block = likely(cache->count) ? cache->blocks[--cache->count]
                                                   : take_slow(segment, self, size_class);
    if (unlikely(!block))
        return NULL;
    uint32_t generation = block_meta_generation(atom_load_relaxed(&block->meta)) + 1;
    return hand_out(block, size_class, generation, size, own);
}

/* The oldest `count` blocks of the array, as one chain for everybody. */
static void push_oldest(const struct shl_segment *segment, struct shl_cache *cache,
                        uint32_t size_class, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        chain_link(segment, cache->blocks[i], i + 1 < count ? cache->blocks[i + 1] : NULL);
    stack_push(segment, size_class, cache->blocks[0]);
    cache->count -= count;
    memmove(cache->blocks, cache->blocks + count, cache->count * sizeof(struct block_shm *));
}

void shl_free(const struct shl_segment *segment, struct block_shm *block)
{
    uint32_t seq = block_own_seq(atom_load_relaxed(&block->own));
    int found_class = block_class(segment, shl_offset(segment, block));
    atom_store_relaxed(&block->own, block_own_make(BLOCK_FREE, 0, seq));
    if (unlikely(found_class == (int)BLOCK_CLASS_LARGE)) {
        shl_chunks_give(segment, shl_offset(segment, block));
        return;
    }
    struct shl_attachment *self = shl_self(segment);
    if (unlikely(!self || found_class < 0))
        return; /* no slot, so no cache: FREE in no list, for the sweep */
    uint32_t size_class = (uint32_t)found_class;
    struct shl_cache *cache = &self->caches[size_class];
    uint32_t capacity = cache_capacity(size_class);
    if (unlikely(cache->count >= capacity))
        push_oldest(segment, cache, size_class, capacity / 2);
    cache->blocks[cache->count++] = block;
}

static void flush_class(const struct shl_segment *segment, struct shl_cache *cache,
                        uint32_t size_class)
{
    if (cache->chain)
        stack_push(segment, size_class, cache->chain);
    cache->chain = NULL;
    for (struct block_shm *block = cut_fresh(cache, size_class); block || cache->count;) {
        while (block && cache->count < SHL_CACHE_BLOCKS_MAX) {
            cache->blocks[cache->count++] = block;
            block = cut_fresh(cache, size_class);
        }
        push_oldest(segment, cache, size_class, cache->count);
    }
}

void shl_alloc_flush(const struct shl_segment *segment, struct shl_attachment *self)
{
    for (uint32_t size_class = 0; size_class <= CLASS_LAST; size_class++)
        flush_class(segment, &self->caches[size_class], size_class);
}

struct block_shm *shl_block_find(const void *payload, struct shl_segment **ret_segment)
{
    struct shl_segment *segment = shl_segment_by_address(payload);
    if (!segment || (uintptr_t)payload % sizeof(struct block_shm))
        return NULL;
    uint64_t offset = shl_offset(segment, payload);
    if (offset < CHUNK_SIZE || block_class(segment, offset - sizeof(struct block_shm)) < 0)
        return NULL;
    *ret_segment = segment;
    return shl_block(payload);
}

void *shoal_alloc_in(shoal_segment handle, size_t size)
{
    struct shl_segment *segment = shl_segment_of_handle(handle);
    return likely(segment) ? shl_alloc(segment, size, BLOCK_OWNED) : NULL;
}

void *shoal_alloc(size_t size)
{
    struct shl_segment *family = shl_segment_family();
    return likely(family) ? shl_alloc(family, size, BLOCK_OWNED) : NULL;
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

void shoal_free(void *payload)
{
    if (!payload)
        return;
    struct shl_segment *segment;
    struct block_shm *block = shl_block_find(payload, &segment);
    struct shl_attachment *self = block ? shl_self(segment) : NULL;
    if (unlikely(!self)) {
        if (!block)
            shl_error(-EFAULT, "free: not a payload");
        return;
    }
    uint64_t own = atom_load_relaxed(&block->own);
    if (likely(block_own_state(own) == BLOCK_OWNED && block_own_owner(own) == self->process_owner))
        shl_free(segment, block);
    else
        shl_block_error(own);
}

int shl_block_error(uint64_t own)
{
    switch (block_own_state(own)) {
    case BLOCK_FREE:
        return shl_error(-EFAULT, "the payload was freed before");
    case BLOCK_OWNED:
        return shl_errorf(-EPERM, "the payload belongs to another process (slot %u)",
                          PEER_OWNER_SLOT(block_own_owner(own)));
    case BLOCK_SENDING:
        return shl_error(-EPERM, "the payload is in a queue");
    case BLOCK_OBJECT:
        return shl_error(-EFAULT, "not a payload but the library's own memory");
    }
    return shl_error(-EUCLEAN, "the payload's header is damaged");
}

/* A block that is somebody's payload at this instant. */
static struct block_shm *payload_block(const void *payload, struct shl_segment **ret_segment)
{
    struct block_shm *block = payload ? shl_block_find(payload, ret_segment) : NULL;
    enum block_state state = block ? block_own_state(atom_load_relaxed(&block->own)) : BLOCK_FREE;
    if (state == BLOCK_OWNED || state == BLOCK_SENDING)
        return block;
    shl_error(-EFAULT, "not a payload");
    return NULL;
}

/* Bytes behind the header of a block. */
static uint64_t block_room(const struct shl_segment *segment, uint64_t offset)
{
    int size_class = block_class(segment, offset);
    if (size_class < 0)
        return 0;
    uint64_t count = chunk_word_count(shl_chunk_word(segment, offset));
    uint64_t chunks = segment->size / CHUNK_SIZE - offset / CHUNK_SIZE;
    uint64_t size = size_class == (int)BLOCK_CLASS_LARGE
                        ? (count < chunks ? count : chunks) * CHUNK_SIZE
                        : size_classes[size_class].size;
    return size - sizeof(struct block_shm);
}

size_t shoal_size(const void *payload)
{
    struct shl_segment *segment;
    struct block_shm *block = payload_block(payload, &segment);
    if (!block)
        return 0;
    /* Clamped: the header may have been overrun, and callers copy by what they are told. */
    uint64_t size = block_meta_value(atom_load_relaxed(&block->meta));
    uint64_t room = block_room(segment, shl_offset(segment, block));
    return size < room ? size : room;
}

shoal_ref shoal_ref_of(const void *payload)
{
    struct shl_segment *segment;
    struct block_shm *block = payload_block(payload, &segment);
    if (!block)
        return (shoal_ref){ 0 };
    uint32_t generation = block_meta_generation(atom_load_relaxed(&block->meta));
    return (shoal_ref){ shl_ref_make(segment->id, generation, shl_offset(segment, payload)) };
}

void *shoal_deref(shoal_ref ref)
{
    struct shl_segment *segment = shl_segment_by_id(shl_ref_id(ref.ref));
    uint64_t offset = shl_ref_offset(ref.ref);
    if (!segment || offset >= segment->size) {
        shl_error(ref.ref == 0 ? -EINVAL : -ESTALE, "the reference's segment is not attached");
        return NULL;
    }
    void *payload = shl_at(segment, offset);
    struct block_shm *block = payload_block(payload, &segment);
    if (block &&
        block_meta_generation(atom_load_relaxed(&block->meta)) == shl_ref_generation(ref.ref))
        return payload;
    shl_error(-ESTALE, "the reference's payload was freed");
    return NULL;
}
