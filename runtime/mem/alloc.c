#include "mem/alloc.h"

#include "base/clock.h"
#include "mem/runs.h"
#include "os/chaos.h"

#define DECAY_NS SHL_NS_PER_S

/* A large block's sends are numbered from here on, not from 0: chunks forget what they were, but a
 * dead thread's journal (journal.h) may still name a send of the block that lay there before. */
#define LARGE_SENDS_BITS 8

/* ---- what lies where */

bool shl_place_large(const struct shl_segment *segment, struct block_shm *block,
                     struct shl_place *ret_place)
{
    uint64_t offset = shl_offset(segment, block) - BLOCKS_AT;
    *ret_place = (struct shl_place){ segment, block, CLASS_LARGE, 0 };
    return offset % CHUNK_SIZE == 0 &&
           chunk_word_kind(shl_chunk_word(segment, offset)) == CHUNK_LARGE;
}

bool shl_place_find(const void *payload, struct shl_place *ret_place)
{
    const struct shl_segment *segment = shl_segment_by_address(payload);
    return segment && shl_place_at(segment, shl_offset(segment, payload), ret_place);
}

bool shl_place_enter(const struct shl_segment *segment, uint32_t owner, uint64_t payload_offset,
                     struct shl_place *ret_place)
{
    uint64_t chunk = payload_offset / CHUNK_SIZE;
    if (payload_offset >= segment->size)
        return false;
    if (owner && !shl_pages_enter(segment, owner, shl_page_number(chunk, 0)) &&
        !shl_large_enter(segment, owner, chunk))
        return false;
    bool found = shl_place_at(segment, payload_offset, ret_place);
    if (owner && !found)
        shl_pages_leave(segment, owner);
    return found;
}

bool shl_place_look(const struct shl_segment *segment, uint32_t owner, uint64_t payload_offset,
                    struct shl_place *ret_place)
{
    if (payload_offset >= segment->size ||
        (owner && !shl_pages_look(segment, owner, payload_offset)))
        return false;
    bool found = shl_place_at(segment, payload_offset, ret_place);
    if (!found)
        shl_place_look_away(segment, owner);
    return found;
}

void shl_place_look_away(const struct shl_segment *segment, uint32_t owner)
{
    if (owner)
        shl_pages_look_away(segment, owner);
}

uint64_t shl_room(const struct shl_place *place)
{
    if (place->size_class != CLASS_LARGE)
        return shl_sizes[place->size_class].stride - sizeof(struct block_shm);
    uint64_t offset = shl_offset(place->segment, place->block);
    uint64_t count = chunk_word_value(shl_chunk_word(place->segment, offset));
    uint64_t left = shl_chunks_count(place->segment) - offset / CHUNK_SIZE;
    bool possible = count - 1 < left || SHL_MISTAKE("payload.room");
    return (possible ? count : left) * CHUNK_SIZE - PAYLOAD_LINE;
}

/* ---- the thread's hands */

/* What a thread may keep of all sizes together, and at least one of each that it uses. */
#define KEPT_BYTES_ALL (UINT64_C(5) << 20)

static void set_limit(struct shl_attachment *self, uint32_t size_class, uint32_t limit)
{
    struct shl_cache *cache = &self->caches[size_class];
    self->kept_bytes += ((uint64_t)limit - cache->limit) * shl_sizes[size_class].stride;
    cache->limit = (uint16_t)limit;
}

/* The oldest go to everybody. True if a run seems to be whole by that. */
static bool give(const struct shl_segment *segment, struct shl_attachment *self,
                 uint32_t size_class, uint32_t given)
{
    uint32_t count = self->caches[size_class].count;
    struct block_shm **blocks = self->kept[size_class] + 1;
    bool whole = shl_runs_give(segment, self->owner, size_class, blocks, given);
    for (uint32_t i = given; i < count; i++)
        blocks[i - given] = blocks[i];
    shl_hands_set_count(self, size_class, count - given);
    return whole;
}

static void let_go(const struct shl_segment *segment, struct shl_attachment *self,
                   uint32_t size_class)
{
    give(segment, self, size_class, self->caches[size_class].count);
    set_limit(self, size_class, 0);
}

/* Memory in the hands is for the sizes that are wanted: one that was not since its last turn has to
 * let go. One turn each time that there is not enough for all. */
static void take_turn(const struct shl_segment *segment, struct shl_attachment *self)
{
    uint32_t size_class = self->kept_turn++ % CLASSES_COUNT;
    struct shl_cache *cache = &self->caches[size_class];
    if (!cache->wanted && cache->limit > 0)
        let_go(segment, self, size_class);
    cache->wanted = false;
}

/* The hands were empty, or full: they may hold twice as many from now on, if there is enough. */
static void raise_limit(const struct shl_segment *segment, struct shl_attachment *self,
                        uint32_t size_class)
{
    const struct shl_size *size = &shl_sizes[size_class];
    struct shl_cache *cache = &self->caches[size_class];
    uint32_t more = cache->limit * 2u < size->kept ? size->kept : cache->limit * 2u;
    more = more < size->kept_most ? more : size->kept_most;
    cache->wanted = true;
    if (more == cache->limit)
        return;
    if (self->kept_bytes + (more - cache->limit) * (uint64_t)size->stride <= KEPT_BYTES_ALL)
        set_limit(self, size_class, more);
    else
        take_turn(segment, self);
    if (cache->limit == 0)
        set_limit(self, size_class, 1);
}

/* False with an error if there is no memory. */
static bool refill(const struct shl_segment *segment, struct shl_attachment *self,
                   uint32_t size_class)
{
    struct shl_cache *cache = &self->caches[size_class];
    struct block_shm *taken[SHL_CACHE_BLOCKS_MAX];
    raise_limit(segment, self, size_class);
    uint32_t limit = cache->limit; /* to take may flush the hands */
    uint32_t count = shl_runs_take(segment, self->owner, size_class, taken, (limit + 1) / 2);
    if (cache->limit == 0)
        set_limit(self, size_class, limit);
    for (uint32_t i = 0; i < count; i++) /* the first is used first */
        self->kept[size_class][count - i] = taken[i];
    shl_hands_set_count(self, size_class, count);
    return count > 0;
}

static struct block_shm *take(const struct shl_segment *segment, struct shl_attachment *self,
                              uint32_t size_class)
{
    struct block_shm *block = shl_hands_take(self, size_class);
    if (likely(block))
        return block;
    return refill(segment, self, size_class) ? shl_hands_take(self, size_class) : NULL;
}

void shl_alloc_flush(const struct shl_segment *segment, struct shl_attachment *self)
{
    for (uint32_t size_class = 0; size_class < CLASSES_COUNT; size_class++)
        let_go(segment, self, size_class);
}

/* To the system, also what the thread has kept from earlier work, as each block holds its whole
 * run. True if there was any. */
static bool give_back(const struct shl_segment *segment, struct shl_attachment *self)
{
    shl_alloc_flush(segment, self);
    return shl_runs_collect(segment, self->owner, true);
}

atom64 shl_decayed_ns;

/* Memory is given back now and then, when runs become empty. Not at the first time: whoever has
 * just begun would fetch it again at once. */
static SHL_COLD void decay(const struct shl_segment *segment, struct shl_attachment *self)
{
    uint64_t now = shl_clock_ns(), last = atom_load_relaxed(&shl_decayed_ns);
    if (now - last < DECAY_NS || !atom_cas_relaxed_64(&shl_decayed_ns, last, now) || last == 0)
        return;
    give_back(segment, self);
}

/* The older half goes to everybody. */
static void make_room(const struct shl_segment *segment, struct shl_attachment *self,
                      uint32_t size_class)
{
    uint32_t count = self->caches[size_class].count;
    bool whole = give(segment, self, size_class, (count + 1) / 2);
    raise_limit(segment, self, size_class);
    if (unlikely(whole))
        decay(segment, self);
}

static void keep(const struct shl_segment *segment, struct shl_attachment *self,
                 uint32_t size_class, struct block_shm *block, uint64_t seq)
{
    while (!shl_hands_keep(self, size_class, block, seq))
        make_room(segment, self, size_class);
}

/* ---- blocks */

static SHL_COLD void *alloc_large(const struct shl_segment *segment, struct shl_attachment *self,
                                  size_t size)
{
    uint64_t chunk, bytes = PAYLOAD_LINE + shl_guarded(size);
    uint64_t count = (bytes + CHUNK_SIZE - 1) / CHUNK_SIZE;
    int code = shl_chunks_take(segment, self->owner, count, bytes, &chunk);
    if (code == -ENOMEM && give_back(segment, self))
        code = shl_chunks_take(segment, self->owner, count, bytes, &chunk);
    if (code < 0)
        return NULL;
    uint32_t generation = (uint32_t)atom_add_relaxed(&segment->shm->large_count, 1);
    void *payload = shl_hand_out(self, shl_large(segment, chunk), block_meta_make(generation, size),
                                 generation << LARGE_SENDS_BITS);
    shl_chunks_publish(segment, chunk, count);
    return payload;
}

void *shl_alloc(const struct shl_segment *segment, size_t size)
{
    struct shl_attachment *self = shl_self(segment);
    void *payload = likely(self) ? shl_hands_alloc(self, size) : NULL;
    if (likely(payload) || !self)
        return payload;
    if (size >= segment->size) {
        shl_error(-ENOMEM, "larger than the segment's size_max");
        return NULL;
    }
    uint32_t size_class = shl_class_of(shl_guarded(size));
    if (size_class > CLASS_LAST)
        return alloc_large(segment, self, size);
    return refill(segment, self, size_class) ? shl_hands_alloc(self, size) : NULL;
}

void *shl_alloc_line(const struct shl_segment *segment, size_t size)
{
    struct shl_attachment *self = shl_self(segment);
    uint32_t size_class = size < segment->size ? shl_class_of_lines(shl_guarded(size))
                                               : CLASSES_COUNT;
    if (!self || size_class >= CLASSES_COUNT)
        return self ? shl_alloc(segment, size) : NULL; /* whole chunks are aligned anyway */
    struct block_shm *block = take(segment, self, size_class);
    return block ? shl_hands_give_out(self, block, size) : NULL;
}

void shl_free(const struct shl_place *place)
{
    struct block_shm *block = place->block;
    struct shl_attachment *self = shl_self(place->segment);
    uint32_t seq = block_own_seq(atom_load_relaxed(&block->own));
    if (unlikely(!self))
        return; /* no slot, so no hands: it is settled with its owner */
    shl_poison(shl_payload(block), place->size_class == CLASS_LARGE ? 0 : shl_room(place));
    if (likely(place->size_class != CLASS_LARGE)) {
        keep(place->segment, self, place->size_class, block, seq);
        return;
    }
    /* [runs.free] release -> claim_large(): what the last user did. */
    atom_store_release(&block->own, block_own_make(BLOCK_FREE, 0, seq));
    SHL_CHAOS("alloc.large");
    shl_chunks_give(place->segment, self->owner, shl_offset(place->segment, block) / CHUNK_SIZE);
}

struct block_shm *shl_alloc_place(const struct shl_segment *segment, uint32_t size_class)
{
    struct shl_attachment *self = shl_self(segment);
    return self ? take(segment, self, size_class) : NULL;
}

void shl_free_place(const struct shl_segment *segment, uint32_t size_class, struct block_shm *place)
{
    struct shl_attachment *self = shl_self(segment);
    if (self)
        keep(segment, self, size_class, place, 0);
}

/* ---- settling */

/* A large block that nobody has any more, or whose end somebody did not finish. */
static void settle_large(const struct shl_segment *segment, uint32_t owner, uint64_t chunk,
                         const struct shl_dead *dead)
{
    if (!shl_large_enter(segment, owner, chunk))
        return;
    SHL_CHAOS("alloc.settling");
    struct block_shm *block = shl_large(segment, chunk);
    uint64_t own = atom_load_relaxed(&block->own);
    if (shl_block_is_lost(segment, owner, own, dead))
        /* [runs.free] release -> claim_large(). */
        atom_cas_release_64(&block->own, own, block_own_make(BLOCK_FREE, 0, 0));
    shl_pages_leave(segment, owner);
    shl_chunks_give(segment, owner, chunk);
}

void shl_alloc_settle(const struct shl_segment *segment, const struct shl_dead *dead)
{
    uint32_t owner = shl_settler_owner(segment, dead);
    shl_runs_settle(segment, owner, dead);
    shl_pages_settle(segment, owner, dead);
    for (uint64_t chunk = segment->chunks_at; chunk < shl_chunks_end(segment); chunk++)
        if (chunk_word_kind(shl_chunk_word(segment, chunk * CHUNK_SIZE)) == CHUNK_LARGE)
            settle_large(segment, owner, chunk, dead);
}
