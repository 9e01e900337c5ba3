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

/* Likewise of one that is held by a peer that lives, or is dead: then it is ours. 0, -ETIMEDOUT,
 * -ECANCELED, -ESTALE. */
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

/* P2 and P3. 0, -ETIMEDOUT, -ECANCELED, -ESTALE. */
static inline int shl_side_enter(const struct ring_call *call, enum side which, uint64_t *ret_rest)
{
    atom64 *word = &shl_side(call, which)->word;
    uint64_t seen = atom_load_relaxed(word);
    int code = 0;
    if (unlikely(SIDE_OWNER(seen) != 0 || !shl_side_claim(call, word, seen, ret_rest)))
        code = shl_side_claim_busy(call, word, ret_rest);
    return unlikely(code < 0) ? code : shl_side_check(call, which, *ret_rest);
}

/* Looks without entering, so that those who wait do not take the side from those who work. */
static inline bool shl_side_seems_full(struct ring_shm *ring, uint64_t *ret_tail,
                                       uint64_t *ret_head)
{
    uint64_t tail = atom_load_relaxed(&ring->tail.word);
    uint64_t capacity = atom_load_relaxed(&ring->capacity);
    if (capacity == 0 || RING_POSITION(tail - atom_load_relaxed(&ring->tail.other)) < capacity)
        return false;
    /* [park.flag] seq_cst. */
    uint64_t head = RING_POSITION(atom_load_seq_cst(&ring->head.word));
    *ret_tail = tail;
    *ret_head = head;
    return RING_POSITION(tail - head) == capacity && !(tail & RING_SEALED);
}

static inline bool shl_side_seems_empty(struct ring_shm *ring, uint64_t *ret_tail)
{
    uint64_t head = RING_POSITION(atom_load_relaxed(&ring->head.word));
    if (head != atom_load_relaxed(&ring->head.other))
        return false;
    /* [park.flag] seq_cst. */
    *ret_tail = atom_load_seq_cst(&ring->tail.word);
    return head == SIDE_REST(*ret_tail);
}

/* For how many of the wanted items is there room at position t, whose owner asks? Looks at the head
 * only if the last look does not promise enough. */
static inline uint64_t shl_side_room(struct ring_shm *ring, uint64_t position, uint64_t wanted)
{
    /* relaxed: never ahead of the head, so that it errs on the safe side */
    uint64_t capacity = shl_ring_limit(ring);
    if (likely(RING_POSITION(position - atom_load_relaxed(&ring->tail.other)) + wanted <= capacity))
        return wanted;
    /* [ring.drain] acquire <- take's P5; seq_cst for [park.flag]. */
    uint64_t head = RING_POSITION(atom_load_seq_cst(&ring->head.word));
    atom_store_relaxed(&ring->tail.other, head);
    uint64_t used = RING_POSITION(position - head), room = used < capacity ? capacity - used : 0;
    return room < wanted ? room : wanted;
}

/* How many of the wanted items are there at position h? Likewise. False: more than there are cells,
 * another process has damaged the ring. */
static inline bool shl_side_items(struct ring_shm *ring, uint64_t position, uint64_t wanted,
                                  uint64_t *ret_count, bool *ret_sealed)
{
    uint64_t promised = RING_POSITION(atom_load_relaxed(&ring->head.other) - position);
    uint64_t mask = store_mask(atom_load_relaxed(&ring->store));
    *ret_count = wanted;
    *ret_sealed = false;
    if (likely(promised - wanted <= mask))
        return true;
    /* [ring.fill] acquire <- put's P5; seq_cst for [park.flag]. */
    uint64_t tail = atom_load_seq_cst(&ring->tail.word);
    atom_store_relaxed(&ring->head.other, RING_POSITION(tail));
    *ret_sealed = tail & RING_SEALED;
    uint64_t count = RING_POSITION(tail - position);
    *ret_count = count < wanted ? count : wanted;
    return likely(count <= mask + 1) || SHL_MISTAKE("ring.more");
}

/* P5 and P6: all before the position is filled, or drained. */
static inline void shl_side_commit(const struct ring_call *call, enum side which, uint64_t position)
{
    struct bell_shm *bell = which == TAIL ? &call->ring->not_empty : &call->ring->not_full;
    SHL_CHAOS("ring.P5");
    struct robust_list *pending = shl_pending_set(&bell->bell);
    if (SHL_MISTAKE("ring.P5"))
        shl_pending_clear(pending);
    shl_side_leave(call, which, RING_POSITION(position));
    SHL_CHAOS("ring.P6");
    if (likely(which == TAIL || call->size_max == 0))
        shl_park_ring(bell);
    else
        shl_park_ring_slow(bell, INT32_MAX);
    shl_pending_clear(pending);
}

/* P2, unless somebody who lives is in. */
bool shl_side_claim_left(const struct ring_call *call, enum side which, uint64_t *ret_rest);
/* Likewise, with P3: 0, -EBUSY, -ESTALE. */
int shl_side_enter_left(const struct ring_call *call, enum side which, uint64_t *ret_rest);

/* One of the ways to enter. */
typedef int shl_way_in(const struct ring_call *call, enum side which, uint64_t *ret_rest);

#endif
