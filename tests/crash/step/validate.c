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

/* Who lives may keep it. */
static void check_singles(const struct queue_shm *queue, uint64_t at)
{
    for (unsigned side = 0; side < 2; side++) {
        const uint32_t owner = (uint32_t)atom_load_relaxed(&queue->singles[side]);
        if (owner && shl_thread_is_gone(family(), shl_owner_long(owner)))
            expect_nobody("a single side of a queue", at, owner);
    }
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
        const struct queue_shm *queue = (struct queue_shm *)object;
        const struct ring_shm *ring = &queue->ring;
        check_singles(queue, at);
        if (queue->ring_kind != RING_DENSE) {
            expect_nobody("the closer of a queue", at,
                          (uint32_t)atom_load_relaxed(&queue->cells.closer));
            break;
        }
        expect_nobody("the tail of a queue", at, SIDE_OWNER(atom_load_relaxed(&ring->tail.word)));
        expect_nobody("the head of a queue", at, SIDE_OWNER(atom_load_relaxed(&ring->head.word)));
        break;
    }
    }
}

/* --- memory --------------------------------------------------------------------------------- */

/* An object that has ended is finished by those who settle its ender, at the latest. */
static void check_place(const struct object_shm *object)
{
    const uint64_t self = atom_load_relaxed(&object->self);
    if (atom_load_relaxed(&object->own) != block_own_make_ref(BLOCK_OBJECT, self))
        step_failed("the place at %#llx is still that of an object which has ended",
                    (unsigned long long)shl_offset(family(), object));
}

static shoal_audit account(void)
{
    shoal_audit audit;
    struct shl_object_walk walk = { 0 };
    for (struct object_shm *object; (object = shl_object_next(family(), &walk));) {
        check_place(object);
        check_words(object);
    }
    if (shoal_segment_audit((shoal_segment){ 0 }, &audit) < 0 || audit.damaged > 0)
        step_failed("the segment's memory is not accounted for");
    return audit;
}

/* --- all ------------------------------------------------------------------------------------ */

static shoal_audit before;

void validate_begin(void)
{
    before = account();
}

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

uint64_t validate(const pid_t *living, unsigned count, const struct scenario *scenario)
{
    check_slots(living, count);
    const shoal_audit now = account();
    const uint64_t least = scenario->objects_end ? 0 : before.objects - scenario->objects_vary;
    const uint64_t most = scenario->object_bytes * (uint64_t)board->deaths;
    if (now.objects < least || now.objects - least > most + 2 * scenario->objects_vary)
        step_failed("%llu bytes are of objects, and were %llu", (unsigned long long)now.objects,
                    (unsigned long long)before.objects);
    return now.lost + difference(now.owned, before.owned) + difference(now.kept, before.kept);
}
