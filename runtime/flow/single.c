#include "flow/single.h"

#include "os/chaos.h"

#define OWNER(word) ((uint32_t)(word))

/* The owner's name is the long one: who finds him gone, and is stopped, must not find the same name
 * again when he goes on. A place holds only queues, which the generation tells apart. */
static uint64_t word_make(uint64_t ref, uint32_t owner)
{
    return (uint64_t)shl_ref_generation(ref) << 32 | owner;
}

void shl_single_init(struct queue_shm *queue, unsigned side, bool single)
{
    uint64_t ref = atom_load_relaxed(&queue->object.self);
    atom_store_relaxed(&queue->singles[side], single ? word_make(ref, 0) : 0);
}

static bool is_free(const struct shl_segment *segment, uint64_t word)
{
    return OWNER(word) == 0 || SHL_MISTAKE("single.alive") ||
           shl_thread_is_gone(segment, shl_owner_long(OWNER(word)));
}

/* S1, of a word that was not mine. */
static SHL_COLD int claim(const struct ring_call *call, unsigned side, uint64_t mine)
{
    atom64 *word = &((struct queue_shm *)call->object)->singles[side];
    for (;;) {
        uint64_t seen = atom_load_relaxed(word);
        if (OWNER(seen ^ mine) != (seen ^ mine))
            return shl_object_is(call->object, call->ref)
                       ? shl_error(-EUCLEAN, "a process damaged the queue")
                       : shl_error(-ESTALE, "the queue was destroyed");
        if (!is_free(call->segment, seen))
            return shl_error(-EPERM, side == SHL_PUTS
                                         ? "the queue has another single producer, who lives"
                                         : "the queue has another single consumer, who lives");
        SHL_CHAOS("single.S1");
        /* [single.side] acquire, release. */
        if (atom_cas_acq_rel_64(word, seen, mine))
            return 0;
    }
}

int shl_single_enter(const struct ring_call *call, unsigned side)
{
    uint64_t seen = atom_load_relaxed(&((struct queue_shm *)call->object)->singles[side]);
    if (likely(seen == 0))
        return 0;
    uint64_t mine = word_make(call->ref, call->self->owner_long);
    int code = seen == mine ? 0 : claim(call, side, mine);
    if (code == 0)
        call->found->shortest[side] = call->found->items;
    return code;
}

void shl_single_settle(struct queue_shm *queue, const struct shl_dead *dead)
{
    for (unsigned side = 0; side < SHL_SIDES; side++) {
        uint64_t seen = atom_load_relaxed(&queue->singles[side]);
        if (shl_is_dead_thread_long(dead, OWNER(seen)))
            /* [single.side] release -> claim(). */
            atom_cas_release_64(&queue->singles[side], seen, seen - OWNER(seen));
    }
}
