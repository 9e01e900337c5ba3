#include "flow/side.h"

#include "mem/journal.h"

/* A poll does not give up on a busy side before its owner had a chance to run. */
#define BUSY_GRACE_NS (10 * SHL_NS_PER_MS)
#define NAP_NS (200 * SHL_NS_PER_US)

static bool owner_is_gone(const struct shl_segment *segment, uint32_t owner)
{
    return !SHL_MISTAKE("ring.wait_for_dead") &&
           shl_thread_is_gone(segment, shl_owner_short(owner));
}

/* Of an owner who is gone, if his word still stands: else he may have committed in between. */
static void void_journal(const struct ring_call *call, const atom64 *word, uint64_t seen)
{
    /* relaxed: behind the look at him, which is an acquire */
    if (SIDE_OWNER(seen) != 0 && (atom_load_relaxed(word) == seen || SHL_MISTAKE("ring.void")))
        shl_journal_void(call->segment, SIDE_OWNER(seen), call->ref);
}

/* Why a caller should wait no more: 0, -ETIMEDOUT, -ECANCELED, -ESTALE. */
static int gives_up(const struct ring_call *call, uint64_t give_up, const struct shl_cancel *cancel)
{
    uint32_t word;
    if (give_up != UINT64_MAX && shl_clock_ns() >= give_up)
        return -ETIMEDOUT;
    if (unlikely(!shl_object_is(call->object, call->ref)))
        return shl_error(-ESTALE, "the queue was destroyed");
    return shl_cancel_check(cancel, &word);
}

SHL_COLD int shl_side_claim_busy(const struct ring_call *call, atom64 *word, uint64_t *ret_rest)
{
    struct shl_cancel cancel;
    int code = shl_cancel_find(call->deadline, &cancel);
    uint64_t give_up = shl_clock_ns() + BUSY_GRACE_NS;
    if (call->deadline.ns > give_up)
        give_up = call->deadline.ns;
    for (unsigned round = 0; code == 0; round++) {
        uint64_t seen = atom_load_relaxed(word);
        bool free = SIDE_OWNER(seen) == 0;
        bool spun = free || !shl_park_spin(round);
        if (free || (spun && owner_is_gone(call->segment, SIDE_OWNER(seen)))) {
            void_journal(call, word, seen);
            if (shl_side_claim(call, word, seen, ret_rest))
                return 0;
            continue;
        }
        if (!spun)
            continue;
        code = gives_up(call, give_up, &cancel);
        if (code == 0)
            shl_park_nap((atom32 *)(void *)word + 1, (uint32_t)(seen >> 32), NAP_NS);
    }
    return code;
}

bool shl_side_claim_left(const struct ring_call *call, enum side which, uint64_t *ret_rest)
{
    atom64 *word = &shl_side(call, which)->word;
    uint64_t seen = atom_load_relaxed(word);
    if (SIDE_OWNER(seen) != 0 && !owner_is_gone(call->segment, SIDE_OWNER(seen)))
        return false;
    void_journal(call, word, seen);
    return shl_side_claim(call, word, seen, ret_rest);
}

int shl_side_enter_left(const struct ring_call *call, enum side which, uint64_t *ret_rest)
{
    return shl_side_claim_left(call, which, ret_rest) ? shl_side_check(call, which, *ret_rest)
                                                      : -EBUSY;
}

static void release_for(struct ring_side_shm *side, const struct shl_dead *dead)
{
    uint64_t word = atom_load_relaxed(&side->word);
    if (shl_is_dead_thread(dead, SIDE_OWNER(word)))
        /* [ring.side] release -> P2: what the dead one had committed. */
        atom_cas_release_64(&side->word, word, SIDE_REST(word));
}

void shl_ring_settle(struct ring_shm *ring, const struct shl_dead *dead)
{
    release_for(&ring->tail, dead);
    release_for(&ring->head, dead);
}
