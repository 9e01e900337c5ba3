/*
 * Purpose. R8, the dense ring with locked sides: a bounded queue of 8-byte items that any process
 * may die in.
 *
 * Layout. Cells without any state of their own; a word per side, {owner, position}: ring_shm.h.
 *
 * Invariants. I1 Cells [head, tail) hold items; nobody writes them. I2 tail - head <= capacity.
 *             I3 Only a side's owner changes its word, but for taking it over from a dead one.
 *             I4 Positions never go back, not even when the object's place is used anew.
 *
 * Protocol, put (take mirrors it on the head)
 *   P2 tail = {me, t}, by compare-and-set from {nobody or a dead one, t}
 *   P3 the handle still names the object, or leave
 *   P4 cell[t] = item
 *   P5 the bell of those who take is pending: the kernel rings it if we die before P6
 *      tail = {nobody, t + 1}: the commit, which also leaves the side
 *   P6 ring the bell; nothing is pending
 * Killed before P5 nothing was put, and the next one takes the side over by P2: there is nothing to
 * repair. Killed after P5 it was put.
 *
 * Order.
 *   [ring.side]  P5 release -> P2 acquire: the cells and `other` of the last owner
 *   [ring.fill]  tail's P5 release -> take's load of the tail: the cell
 *   [ring.drain] head's P5 release -> put's load of the head: the reader is done with the cell
 *   P5 is seq_cst for [park.flag], and so are the loads that decide empty and full.
 *
 * Progress. Not lock-free: who is stopped between P2 and P5 holds its side up. It is named in the
 * word, so that a dead one is told from a stopped one and nobody waits for the dead.
 *
 * Limits. 47 bits of position wrap after 8 days at 200 M items/s; only distances count.
 */
#include "flow/ring.h"

#include "mem/journal.h"

#include "os/chaos.h"

/* A poll does not give up on a busy side before its owner had a chance to run. */
#define BUSY_GRACE_NS (10 * SHL_NS_PER_MS)
#define NAP_NS (200 * SHL_NS_PER_US)

enum { TAIL, HEAD };

static atom32 *low_half(atom64 *word)
{
    return (atom32 *)(void *)word;
}

static atom32 *high_half(atom64 *word)
{
    return (atom32 *)(void *)word + 1;
}

/* NULL if it cannot be: another process may have damaged the ring. */
static atom64 *cell_at(const struct ring_call *call, uint64_t position)
{
    uint64_t offset = call->ring->cells + (position & call->ring->mask) * sizeof(uint64_t);
    bool possible = offset < call->segment->size && offset % sizeof(uint64_t) == 0;
    return likely(possible) ? shl_at(call->segment, offset) : NULL;
}

static const char damaged[] = "a process damaged the queue";

static struct ring_side_shm *side_at(const struct ring_call *call, int which)
{
    return which == TAIL ? &call->ring->tail : &call->ring->head;
}

/* P2 once: true if we are in, with the word as it was but for the owner. */
static bool enter(const struct ring_call *call, atom64 *word, uint64_t seen, uint64_t *ret_rest)
{
    *ret_rest = SIDE_REST(seen);
    uint64_t mine = *ret_rest | (uint64_t)call->self->owner << SIDE_OWNER_SHIFT;
    SHL_CHAOS("ring.P2");
    /* [ring.side] acquire <- P5 of the last owner. */
    return atom_cas_acquire_64(word, seen, mine);
}

static bool owner_is_gone(const struct shl_segment *segment, uint32_t owner)
{
    return !SHL_MISTAKE("ring.wait_for_dead") &&
           shl_thread_is_gone(segment, shl_owner_short(owner));
}

/* The side is held by a peer that lives, or is dead: then it is ours. Slow and rare. */
static SHL_COLD int enter_busy(const struct ring_call *call, atom64 *word, uint64_t *ret_rest)
{
    uint64_t give_up = shl_clock_ns() + BUSY_GRACE_NS;
    if (call->deadline.ns > give_up)
        give_up = call->deadline.ns;
    for (unsigned round = 0;; round++) {
        uint64_t seen = atom_load_relaxed(word);
        bool free = SIDE_OWNER(seen) == 0;
        bool spun = free || !shl_park_spin(round);
        if (free || (spun && owner_is_gone(call->segment, SIDE_OWNER(seen)))) {
            if (!free)
                shl_journal_void(call->segment, SIDE_OWNER(seen), call->ref);
            if (enter(call, word, seen, ret_rest))
                return 0;
            continue;
        }
        if (!spun)
            continue;
        if (give_up != UINT64_MAX && shl_clock_ns() >= give_up)
            return -ETIMEDOUT;
        shl_park_nap(high_half(word), (uint32_t)(seen >> 32), NAP_NS);
    }
}

/* P5, or leaving without a commit. */
static void leave(const struct ring_call *call, int which, uint64_t rest)
{
    /* [ring.side] [ring.fill] [ring.drain] release; seq_cst for [park.flag]. */
    if (SHL_MISTAKE("ring.order"))
        atom_store_release(&side_at(call, which)->word, rest);
    else
        atom_exchange_seq_cst(&side_at(call, which)->word, rest);
}

/* P2 and P3. */
static int enter_side(const struct ring_call *call, int which, uint64_t *ret_rest)
{
    atom64 *word = &side_at(call, which)->word;
    uint64_t seen = atom_load_relaxed(word);
    int code = 0;
    if (unlikely(SIDE_OWNER(seen) != 0 || !enter(call, word, seen, ret_rest)))
        code = enter_busy(call, word, ret_rest);
    if (unlikely(code < 0))
        return code;
    SHL_CHAOS("ring.P3");
    if (likely(shl_object_is(call->object, call->ref)))
        return 0;
    leave(call, which, *ret_rest);
    return shl_error(-ESTALE, "the queue was destroyed");
}

/* Is there room at position t? Looks at the head only if the last look does not say so. */
static bool has_room(struct ring_shm *ring, uint64_t position)
{
    /* relaxed: never ahead of the head, so that it errs on the safe side */
    uint64_t capacity = atom_load_relaxed(&ring->capacity);
    if (likely(RING_POSITION(position - atom_load_relaxed(&ring->tail.other)) < capacity))
        return true;
    /* [ring.drain] acquire <- take's P5; seq_cst for [park.flag]. */
    uint64_t head = RING_POSITION(atom_load_seq_cst(&ring->head.word));
    atom_store_relaxed(&ring->tail.other, head);
    return RING_POSITION(position - head) < capacity;
}

/* Is there an item at position h? Likewise. */
static bool has_item(struct ring_shm *ring, uint64_t position, bool *ret_sealed)
{
    *ret_sealed = false;
    if (likely(position != atom_load_relaxed(&ring->head.other)))
        return true;
    /* [ring.fill] acquire <- put's P5; seq_cst for [park.flag]. */
    uint64_t tail = atom_load_seq_cst(&ring->tail.word);
    atom_store_relaxed(&ring->head.other, RING_POSITION(tail));
    *ret_sealed = tail & RING_SEALED;
    return position != RING_POSITION(tail);
}

/* Who waits watches the position of the other side, and the seal: it is in the tail's high half. */
struct watches {
    struct shl_futex_watch *position, *seal;
};

static struct watches watch_side(struct shl_watches *watches, struct ring_shm *ring, int which)
{
    atom64 *word = which == TAIL ? &ring->tail.word : &ring->head.word;
    struct shl_futex_watch *position = shl_watch(watches, low_half(word));
    return (struct watches){ position, shl_watch(watches, high_half(&ring->tail.word)) };
}

static void expect(const struct watches *watches, uint64_t position, uint64_t tail)
{
    watches->position->expected = (uint32_t)position;
    watches->seal->expected = (uint32_t)(tail >> 32);
}

/*
 * Looks without entering, so that those who wait do not take the side from those who work: true if
 * nothing can be had now, with what would change that.
 */
static bool seems_full(const struct ring_call *call, const struct watches *ret_watches)
{
    struct ring_shm *ring = call->ring;
    uint64_t tail = atom_load_relaxed(&ring->tail.word);
    uint64_t capacity = atom_load_relaxed(&ring->capacity);
    if (RING_POSITION(tail - atom_load_relaxed(&ring->tail.other)) < capacity)
        return false;
    /* [park.flag] seq_cst. */
    uint64_t head = RING_POSITION(atom_load_seq_cst(&ring->head.word));
    expect(ret_watches, head, tail);
    return RING_POSITION(tail - head) == capacity && !(tail & RING_SEALED) &&
           shl_object_is(call->object, call->ref);
}

static bool seems_empty(const struct ring_call *call, const struct watches *ret_watches)
{
    struct ring_shm *ring = call->ring;
    uint64_t head = RING_POSITION(atom_load_relaxed(&ring->head.word));
    if (head != atom_load_relaxed(&ring->head.other))
        return false;
    /* [park.flag] seq_cst. */
    uint64_t tail = atom_load_seq_cst(&ring->tail.word);
    expect(ret_watches, tail, tail);
    return head == SIDE_REST(tail) && shl_object_is(call->object, call->ref);
}

struct attempt {
    const struct ring_call *call;
    uint64_t item;
};

static int attempt_put(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    const struct ring_call *call = attempt->call;
    struct ring_shm *ring = call->ring;
    struct watches watches = watch_side(ret_watches, ring, HEAD);
    if (unlikely(seems_full(call, &watches)))
        return -EAGAIN;
    uint64_t tail = 0;
    int code = enter_side(call, TAIL, &tail);
    if (unlikely(code < 0))
        return code;
    uint64_t position = RING_POSITION(tail);
    if (unlikely(tail & RING_SEALED)) {
        leave(call, TAIL, tail);
        return shl_error(-EPIPE, "the queue was shut down");
    }
    if (unlikely(!has_room(ring, position))) {
        expect(&watches, atom_load_relaxed(&ring->tail.other), tail);
        leave(call, TAIL, tail);
        return -EAGAIN;
    }
    atom64 *cell = cell_at(call, position);
    if (unlikely(!cell)) {
        leave(call, TAIL, tail);
        return shl_error(-EUCLEAN, damaged);
    }
    SHL_CHAOS("ring.P4");
    if (SHL_MISTAKE("ring.commit_first"))
        leave(call, TAIL, RING_POSITION(position + 1));
    if (!SHL_MISTAKE("ring.unwritten") || position % 8 != 7)
        atom_store_relaxed(cell, attempt->item); /* P4 */
    SHL_CHAOS("ring.P5");
    if (unlikely(ret_watches->slept))
        shl_futex_wake(&ring->not_full.bell, 1); /* while our own bell is pending: see W4 */
    struct robust_list *pending = shl_pending_set(&ring->not_empty.bell);
    if (SHL_MISTAKE("ring.P5"))
        shl_pending_clear(pending);
    leave(call, TAIL, RING_POSITION(position + 1));
    SHL_CHAOS("ring.P6");
    shl_park_ring(&ring->not_empty);
    shl_pending_clear(pending);
    return 0;
}

static int attempt_take(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    const struct ring_call *call = attempt->call;
    struct ring_shm *ring = call->ring;
    struct watches watches = watch_side(ret_watches, ring, TAIL);
    if (unlikely(seems_empty(call, &watches)))
        return -EAGAIN;
    uint64_t head = 0;
    int code = enter_side(call, HEAD, &head);
    if (unlikely(code < 0))
        return code;
    bool sealed;
    if (unlikely(!has_item(ring, head, &sealed))) {
        expect(&watches, head, head);
        leave(call, HEAD, head);
        return sealed ? shl_error(-EPIPE, "the queue was shut down and is empty") : -EAGAIN;
    }
    atom64 *cell = cell_at(call, head);
    if (unlikely(!cell)) {
        leave(call, HEAD, head);
        return shl_error(-EUCLEAN, damaged);
    }
    SHL_CHAOS("ring.P4");
    attempt->item = atom_load_relaxed(cell); /* P4 */
    shl_journal_taking(call->self, call->ref, attempt->item);
    SHL_CHAOS("ring.P5");
    if (unlikely(ret_watches->slept) && !SHL_MISTAKE("ring.slept"))
        shl_futex_wake(&ring->not_empty.bell, 1); /* likewise */
    struct robust_list *pending = shl_pending_set(&ring->not_full.bell);
    leave(call, HEAD, RING_POSITION(head + 1));
    SHL_CHAOS("ring.P6");
    shl_park_ring(&ring->not_full);
    shl_pending_clear(pending);
    return 0;
}

static bool ended_or_sealed(const struct ring_call *call)
{
    return !shl_object_is(call->object, call->ref) ||
           (atom_load_relaxed(&call->ring->tail.word) & RING_SEALED);
}

static bool ready_to_put(void *context)
{
    const struct ring_call *call = ((struct attempt *)context)->call;
    return ended_or_sealed(call) ||
           shl_ring_count(call->ring) < atom_load_relaxed(&call->ring->capacity);
}

static bool ready_to_take(void *context)
{
    const struct ring_call *call = ((struct attempt *)context)->call;
    return ended_or_sealed(call) || shl_ring_count(call->ring) > 0;
}

static const char stopped_inside[] = "another process is stopped inside a call on the queue";

int shl_ring_put(const struct ring_call *call, uint64_t item)
{
    struct attempt attempt = { call, item };
    struct shl_watches watches;
    shl_watches_init(&watches);
    int code = attempt_put(&attempt, &watches);
    if (unlikely(code == -EAGAIN)) {
        struct shl_park_for what = { .attempt = attempt_put,
                                     .ready = ready_to_put,
                                     .context = &attempt,
                                     .object = call->object,
                                     .ref = call->ref };
        code = shl_park(&call->ring->not_full, &what, call->deadline);
    }
    if (code == -ETIMEDOUT)
        shl_error(code, ready_to_put(&attempt) ? stopped_inside : "the queue is full");
    return code;
}

int shl_ring_take(const struct ring_call *call, uint64_t *ret_item)
{
    struct attempt attempt = { call, 0 };
    struct shl_watches watches;
    shl_watches_init(&watches);
    int code = attempt_take(&attempt, &watches);
    if (unlikely(code == -EAGAIN)) {
        struct shl_park_for what = { .attempt = attempt_take,
                                     .ready = ready_to_take,
                                     .context = &attempt,
                                     .object = call->object,
                                     .ref = call->ref };
        code = shl_park(&call->ring->not_empty, &what, call->deadline);
    }
    if (likely(code == 0))
        *ret_item = attempt.item;
    if (code == -ETIMEDOUT)
        shl_error(code, ready_to_take(&attempt) ? stopped_inside : "the queue is empty");
    return code;
}

/* Each pending until it is rung: killed before the second one, its sleepers look at a tick. */
static void ring_both_bells(struct ring_shm *ring)
{
    struct robust_list *before = shl_pending_set(&ring->not_empty.bell);
    shl_park_ring(&ring->not_empty);
    shl_pending_set(&ring->not_full.bell);
    shl_park_ring(&ring->not_full);
    shl_pending_clear(before);
}

int shl_ring_seal(const struct ring_call *call)
{
    uint64_t tail = 0;
    int code = enter_side(call, TAIL, &tail);
    if (code < 0)
        return code;
    struct robust_list *before = shl_pending_set(&call->ring->not_empty.bell);
    if (SHL_MISTAKE("ring.seal"))
        shl_pending_clear(before);
    leave(call, TAIL, tail | RING_SEALED);
    ring_both_bells(call->ring);
    shl_pending_clear(before);
    return 0;
}

int shl_ring_close(const struct ring_call *call)
{
    uint64_t tail = 0, head = 0;
    int code = enter_side(call, TAIL, &tail);
    if (code < 0)
        return code;
    code = enter_side(call, HEAD, &head);
    if (code < 0) {
        leave(call, TAIL, tail);
        return code;
    }
    if (shl_object_end(call->segment, call->object, call->ref))
        return 0;
    leave(call, HEAD, head);
    leave(call, TAIL, tail);
    return shl_error(-ESTALE, "the queue was destroyed");
}

static bool enter_left(const struct ring_call *call, int which, uint64_t *ret_rest)
{
    atom64 *word = &side_at(call, which)->word;
    uint64_t seen = atom_load_relaxed(word);
    bool free = SIDE_OWNER(seen) == 0;
    if (!free && !owner_is_gone(call->segment, SIDE_OWNER(seen)))
        return false;
    if (!free)
        shl_journal_void(call->segment, SIDE_OWNER(seen), call->ref);
    return enter(call, word, seen, ret_rest);
}

bool shl_ring_enter_ended(const struct ring_call *call, uint64_t own)
{
    uint64_t tail, head;
    if (!enter_left(call, TAIL, &tail))
        return false;
    if (enter_left(call, HEAD, &head)) {
        /* [object.own] acquire <- who finished it first, and who lives there now. */
        if (atom_load_acquire(&call->object->own) == own || SHL_MISTAKE("object.finisher"))
            return true;
        leave(call, HEAD, head);
    }
    leave(call, TAIL, tail);
    return false;
}

/* Of a damaged ring no more is freed than could lie in the segment. */
static bool is_possible(const struct ring_call *call, uint64_t count)
{
    uint64_t cells = call->ring->mask + 1;
    return (count <= cells && cells <= call->segment->size / sizeof(uint64_t)) ||
           SHL_MISTAKE("ring.cells");
}

bool shl_ring_first(const struct ring_call *call, uint64_t *ret_item)
{
    uint64_t head = RING_POSITION(atom_load_relaxed(&call->ring->head.word));
    uint64_t count = RING_POSITION(atom_load_relaxed(&call->ring->tail.word) - head);
    atom64 *cell = cell_at(call, head);
    if (count == 0 || !cell || !is_possible(call, count))
        return false;
    *ret_item = atom_load_relaxed(cell);
    return true;
}

void shl_ring_drop(const struct ring_call *call)
{
    uint64_t head = atom_load_relaxed(&call->ring->head.word);
    uint64_t owner = head - SIDE_REST(head);
    atom_store_relaxed(&call->ring->head.word, owner | RING_POSITION(head + 1));
}

void shl_ring_leave(const struct ring_call *call)
{
    uint64_t tail = RING_POSITION(atom_load_relaxed(&call->ring->tail.word));
    atom_store_relaxed(&call->ring->tail.other, tail);
    atom_store_relaxed(&call->ring->head.other, tail);
    leave(call, HEAD, tail);
    leave(call, TAIL, tail); /* without its seal: the place is as new */
    ring_both_bells(call->ring);
}

uint64_t shl_ring_count(const struct ring_shm *ring)
{
    uint64_t count = 0;
    for (int tries = 0; tries < 8; tries++) {
        /* [ring.drain] acquire <- take's P5: the tail below is not older than this head. */
        uint64_t head = atom_load_acquire(&ring->head.word);
        /* [ring.fill] acquire <- put's P5. */
        uint64_t tail = atom_load_acquire(&ring->tail.word);
        count = RING_POSITION(RING_POSITION(tail) - RING_POSITION(head));
        if (RING_POSITION(atom_load_relaxed(&ring->head.word)) == RING_POSITION(head))
            break;
    }
    return count < atom_load_relaxed(&ring->capacity) ? count : atom_load_relaxed(&ring->capacity);
}

bool shl_ring_visit(const struct ring_call *call, bool (*visitor)(void *context, uint64_t item),
                    void *context)
{
    /* [ring.drain] [ring.fill] acquire: as shl_ring_count(). */
    uint64_t head = RING_POSITION(atom_load_acquire(&call->ring->head.word));
    uint64_t count = RING_POSITION(atom_load_acquire(&call->ring->tail.word) - head);
    for (uint64_t i = 0; i < count && i <= call->ring->mask; i++) {
        atom64 *cell = cell_at(call, head + i);
        if (cell && visitor(context, atom_load_relaxed(cell)))
            return true;
    }
    return false;
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
