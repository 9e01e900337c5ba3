/*
 * The sides of a dense ring: who holds one alone works there. It is taken over from one who died
 * inside, as he had not committed anything: see ring.c, P2, P3 and P5.
 *
 * Who holds both has entered the tail first; nobody who holds the head waits for the tail.
 */
#ifndef SHL_FLOW_SIDE_H
#define SHL_FLOW_SIDE_H

#include "flow/ring.h"
#include "os/chaos.h"

enum side { TAIL, HEAD };

static inline struct ring_side_shm *shl_side(const struct ring_call *call, enum side which)
{
    return which == TAIL ? &call->ring->tail : &call->ring->head;
}

/* P2 once: true if we are in, with the word as it was but for the owner. */
static inline bool shl_side_claim(const struct ring_call *call, atom64 *word, uint64_t seen,
                                  uint64_t *ret_rest)
{
    *ret_rest = SIDE_REST(seen);
    uint64_t mine = *ret_rest | (uint64_t)call->self->owner << SIDE_OWNER_SHIFT;
    SHL_CHAOS("ring.P2");
    /* [ring.side] acquire <- P5 of the last owner. */
    return atom_cas_acquire_64(word, seen, mine);
}

/* Likewise of one that is held by a peer that lives, or is dead: then it is ours. 0, -ETIMEDOUT. */
int shl_side_claim_busy(const struct ring_call *call, atom64 *word, uint64_t *ret_rest);

/* P5, or leaving without a commit. */
static inline void shl_side_leave(const struct ring_call *call, enum side which, uint64_t rest)
{
    /* [ring.side] [ring.fill] [ring.drain] release; seq_cst for [park.flag]. */
    if (SHL_MISTAKE("ring.order"))
        atom_store_release(&shl_side(call, which)->word, rest);
    else
        atom_exchange_seq_cst(&shl_side(call, which)->word, rest);
}

/* Without a commit: with the reason. */
static inline int shl_side_leave_with(const struct ring_call *call, enum side which, uint64_t rest,
                                      int code)
{
    shl_side_leave(call, which, rest);
    return code;
}

/* P3. */
static inline int shl_side_check(const struct ring_call *call, enum side which, uint64_t rest)
{
    SHL_CHAOS("ring.P3");
    if (likely(shl_object_is(call->object, call->ref)))
        return 0;
    return shl_side_leave_with(call, which, rest, shl_error(-ESTALE, "the queue was destroyed"));
}

/* P2 and P3. 0, -ETIMEDOUT, -ESTALE. */
static inline int shl_side_enter(const struct ring_call *call, enum side which, uint64_t *ret_rest)
{
    atom64 *word = &shl_side(call, which)->word;
    uint64_t seen = atom_load_relaxed(word);
    int code = 0;
    if (unlikely(SIDE_OWNER(seen) != 0 || !shl_side_claim(call, word, seen, ret_rest)))
        code = shl_side_claim_busy(call, word, ret_rest);
    return unlikely(code < 0) ? code : shl_side_check(call, which, *ret_rest);
}

/* P2, unless somebody who lives is in. */
bool shl_side_claim_left(const struct ring_call *call, enum side which, uint64_t *ret_rest);
/* Likewise, with P3: 0, -EBUSY, -ESTALE. */
int shl_side_enter_left(const struct ring_call *call, enum side which, uint64_t *ret_rest);

/* One of the ways to enter. */
typedef int shl_way_in(const struct ring_call *call, enum side which, uint64_t *ret_rest);

#endif
