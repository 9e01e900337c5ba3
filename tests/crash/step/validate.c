#include "validate.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "flow/queue_shm.h"
#include "mem/alloc.h"
#include "mem/object.h"
#include "mem/pages.h"
#include "mem/peer.h"
#include "step.h"
#include "sync/barrier_shm.h"
#include "sync/condition_shm.h"
#include "sync/lock_shm.h"
#include "sync/semaphore_shm.h"

static const struct shl_segment *family(void)
{
    return &shl_segments[SHL_FAMILY];
}

/* --- slots ---------------------------------------------------------------------------------- */

static bool is_living(pid_t pid, const pid_t *living, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (living[i] == pid)
            return true;
    return false;
}

static void check_slots(const pid_t *living, unsigned count)
{
    const struct peer_shm *peers = shl_at(family(), SEGMENT_PEERS_AT);
    uint64_t threads = 0;
    for (uint32_t i = 0; i < 2 * PEERS_MAX; i++) {
        const uint64_t word = atom_load_relaxed(&peers[i].word);
        const uint32_t life = *(const uint32_t *)peers[i].life.bytes;
        const bool live = (word & 0xffff) == PEER_LIVE;
        if (live && !is_living((pid_t)(word >> 32), living, count))
            step_failed("slot %u still belongs to process %d, which is dead", i, (int)(word >> 32));
        if (!live && (life & FUTEX_TID_MASK) != 0 && !(life & FUTEX_OWNER_DIED))
            step_failed("slot %u is free, but its life is held: %#x", i, life);
        threads += live && i < PEERS_MAX;
    }
    if (atom_load_relaxed(&family()->shm->threads_attached) != threads)
        step_failed("the count of threads is not %u", (unsigned)threads);
}

/* --- objects -------------------------------------------------------------------------------- */

static void expect_nobody(const char *what, uint64_t place, uint64_t word)
{
    if (word != 0)
        step_failed("%s at %#llx still names somebody: %#llx", what, (unsigned long long)place,
                    (unsigned long long)word);
}

static void check_words(struct object_shm *object)
{
    const uint64_t at = shl_offset(family(), object);
    switch (atom_load_relaxed(&object->kind)) {
    case KIND_LOCK:
        expect_nobody("a lock", at, atom_load_relaxed(&((struct lock_shm *)object)->word));
        break;
    case KIND_SEMAPHORE:
        for (uint32_t i = 0; i < ((struct semaphore_shm *)object)->limit; i++)
            if (((struct semaphore_shm *)object)->owned)
                expect_nobody("a permit", at,
                              atom_load_relaxed(&((struct owned_semaphore_shm *)object)->cells[i]));
            else
                break;
        break;
    case KIND_CONDITION:
        for (uint32_t i = 0; i < CONDITION_WAITERS_MAX; i++)
            expect_nobody("an entry of a condition", at,
                          atom_load_relaxed(&((struct condition_shm *)object)->entries[i]));
        break;
    case KIND_BARRIER:
        for (uint32_t i = 0; i < BARRIER_PARTIES_MAX; i++)
            expect_nobody(
                "a place of a barrier", at,
                PLACE_OWNER(atom_load_relaxed(&((struct barrier_shm *)object)->places[i])));
        break;
    case KIND_QUEUE: {
        const struct ring_shm *ring = &((struct queue_shm *)object)->ring;
        expect_nobody("the tail of a queue", at, SIDE_OWNER(atom_load_relaxed(&ring->tail.word)));
        expect_nobody("the head of a queue", at, SIDE_OWNER(atom_load_relaxed(&ring->head.word)));
        break;
    }
    }
}

/* How many free places the stacks hold; a chain that comes back to itself is cut short. */
static unsigned places_on_stacks(void)
{
    unsigned places = 0;
    for (unsigned pool = 0; pool < POOLS_COUNT; pool++) {
        const uint64_t mask = (UINT64_C(1) << 36) - 1;
        uint64_t link = atom_load_relaxed(&family()->shm->objects[pool].top) & mask;
        for (unsigned i = 0; link != 0 && link << 4 < family()->size; i++) {
            struct object_shm *object = shl_at(family(), link << 4);
            if (atom_load_relaxed(&object->kind) != KIND_NONE)
                step_failed("a free place at %#llx is in use", (unsigned long long)(link << 4));
            if (i > CHUNK_SIZE / OBJECT_SMALL_SIZE) {
                step_failed("the stack of free places of pool %u has no end", pool);
                break;
            }
            places++;
            link = atom_load_relaxed(&object->next) & mask;
        }
    }
    return places;
}

/* Bytes of a place of each pool, as in object.c. */
static uint64_t place_size(uint32_t pool)
{
    switch (pool) {
    case POOL_PROCESS:
    case POOL_QUEUE:
        return OBJECT_BIG_SIZE;
    case POOL_LOCK:
    case POOL_SEMAPHORE:
    case POOL_EVENT:
        return OBJECT_SMALL_SIZE;
    default:
        return OBJECT_HUGE_SIZE;
    }
}

/* Places in which nothing lives. */
static unsigned empty_places(void)
{
    unsigned places = 0;
    for (uint64_t at = family()->chunks_at * CHUNK_SIZE; at < family()->size; at += PAGE_SIZE_SHM) {
        const uint64_t page = shl_page_word(family(), at);
        if (page_word_kind(page) != PAGE_OBJECTS)
            continue;
        for (uint64_t i = 0; i < PAGE_SIZE_SHM; i += place_size(page_word_class(page))) {
            struct object_shm *object = shl_at(family(), at + i);
            places += atom_load_relaxed(&object->kind) == KIND_NONE;
        }
    }
    return places;
}

/* Places that are neither free nor anybody's object. */
static unsigned lost_places(void)
{
    struct shl_object_walk walk = { 0 };
    for (struct object_shm *object; (object = shl_object_next(family(), &walk));)
        check_words(object);
    const unsigned places = empty_places(), free = places_on_stacks();
    if (free > places)
        step_failed("%u places are free twice", free - places);
    return free < places ? places - free : 0;
}

/* --- blocks --------------------------------------------------------------------------------- */

/* As in alloc.c: 16-byte steps to 128 bytes, then four classes per doubling. */
static uint64_t class_size(uint32_t size_class)
{
    if (size_class < 8)
        return (size_class + 1) * UINT64_C(16);
    return (UINT64_C(128) << (size_class - 8) / 4) / 4 * (5 + (size_class - 8) % 4);
}

static bool is_queued(const struct block_shm *block)
{
    struct shl_object_walk walk = { 0 };
    const uint64_t payload = shl_offset(family(), block) + sizeof *block;
    for (struct object_shm *object; (object = shl_object_next(family(), &walk));) {
        const struct ring_shm *ring = &((struct queue_shm *)object)->ring;
        if (atom_load_relaxed(&object->kind) != KIND_QUEUE)
            continue;
        const atom64 *cells = shl_at(family(), ring->cells);
        for (uint64_t i = RING_POSITION(atom_load_relaxed(&ring->head.word));
             i != RING_POSITION(atom_load_relaxed(&ring->tail.word)); i++)
            if (descriptor_offset(atom_load_relaxed(&cells[i & ring->mask])) == payload)
                return true;
    }
    return false;
}

/* Payloads that nobody living can ever reach. Free blocks in a dead one's cache look like those in
 * a living one's: they are not counted. */
static unsigned lost_in_run(uint64_t offset, uint32_t size_class, const uint32_t *owners,
                            unsigned count)
{
    unsigned lost = 0;
    const uint64_t size = class_size(size_class);
    const uint64_t run_end = offset + PAGE_SIZE_SHM; /* the first page of a run will do */
    for (; offset + size <= run_end; offset += size) {
        const struct block_shm *block = shl_at(family(), offset);
        const uint64_t own = atom_load_relaxed(&block->own);
        bool reached = block_own_state(own) == BLOCK_FREE || block_own_state(own) == BLOCK_OBJECT;
        for (unsigned i = 0; i < count && block_own_state(own) == BLOCK_OWNED; i++)
            reached = reached || block_own_owner(own) == owners[i];
        if (block_own_state(own) == BLOCK_SENDING)
            reached = is_queued(block);
        lost += !reached;
    }
    return lost;
}

static unsigned owners_living(uint32_t *owners)
{
    const struct peer_shm *peers = shl_at(family(), SEGMENT_PEERS_AT);
    unsigned count = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const uint64_t word = atom_load_relaxed(&peers[PEERS_MAX + i].word);
        if ((word & 0xffff) == PEER_LIVE)
            owners[count++] = PEER_OWNER_MAKE(i, word >> 16);
    }
    return count;
}

static unsigned lost_blocks(void)
{
    uint32_t owners[PEERS_MAX];
    const unsigned count = owners_living(owners);
    unsigned lost = 0;
    for (uint64_t at = family()->chunks_at * CHUNK_SIZE; at < family()->size; at += PAGE_SIZE_SHM) {
        if (chunk_word_kind(shl_chunk_word(family(), at)) != CHUNK_PAGES)
            continue;
        const uint64_t page = shl_page_word(family(), at);
        if (page_word_kind(page) == PAGE_BLOCKS &&
            page_word_first(page) == at % CHUNK_SIZE / PAGE_SIZE_SHM)
            lost += lost_in_run(at, page_word_class(page), owners, count);
    }
    return lost;
}

/* --- all ------------------------------------------------------------------------------------ */

static unsigned lost_before;

void validate_begin(void)
{
    lost_before = lost_places() + lost_blocks();
}

unsigned validate(const pid_t *living, unsigned count)
{
    check_slots(living, count);
    const unsigned lost = lost_places() + lost_blocks();
    return lost > lost_before ? lost - lost_before : 0;
}
