/*
 * Purpose. R8, the dense ring with locked sides: a bounded queue of items of one size that any
 * process may die in.
 *
 * Layout. Cells without any state of their own, which hold the items themselves, in the ring's
 * store (store.h); a word per side, {owner, position}: ring_shm.h.
 *
 * Invariants. I1 Cells [head, tail) hold items; nobody writes them. I2 tail - head <= capacity.
 *             I3 Only a side's owner changes its word, but for taking it over from a dead one.
 *             I4 Positions never go back, not even when the object's place is used anew.
 *
 * Protocol, put (take mirrors it on the head); of several items the last steps move all at once
 *   P2 tail = {me, t}, by compare-and-set from {nobody or a dead one, t}
 *   P3 the handle still names the object, or leave
 *   P4 cell[t] = item, and its bit says so
 *   P5 the bell of those who take is pending: the kernel rings it if we die before P6
 *      tail = {nobody, t + 1}: the commit, which also leaves the side
 *   P6 ring the bell; nothing is pending
 * Killed before P5 nothing was put, and the next one takes the side over by P2: there is nothing to
 * repair. Killed after P5 it was put.
 *
 * Growth, without a capacity. A put that finds it full makes a store twice as large, a take that
 * finds it empty the smallest one, holding the tail; then it enters the head, too, and moves all
 * items there. Not so while the head's owner is stopped.
 *
 * Sizes, where bytes count. What lies before a position stands beside its side's word, in one of
 * two places by its last bit: the next position's is written before the commit, this one's stays.
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
 * Limits. Where bytes count each take wakes all putters, as a large message must not keep a small
 * one waiting; if the taker dies before, the kernel wakes one, and the others look at a tick.
 * 47 bits of position wrap after 8 days at 200 M items/s; only distances count.
 *
 * Sources. The queue of two locks (Michael, Scott) over an array; an owner in the word as in the
 * kernel's robust futexes; the other side's position noted as in FastForward and its successors.
 */
#include "flow/ring.h"

#include <string.h>

#include "flow/side.h"
#include "flow/store.h"
#include "mem/alloc.h"
#include "mem/journal.h"

/* How many cells a ring has: a power of two. One that grows begins small. */
#define BYTES_FIRST ((uint64_t)256 << 10)
#define CELLS_FIRST ((uint64_t)1024)
#define CELLS_MAX (UINT64_C(1) << 40)

static uint64_t cells_count(uint64_t capacity, uint64_t item_size)
{
    uint64_t least = BYTES_FIRST / item_size < CELLS_FIRST ? BYTES_FIRST / item_size : CELLS_FIRST;
    uint64_t count = capacity > 0 ? capacity : least;
    return count <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(count - 1));
}

/* A block of the caller's that is large enough; false: no memory. */
static bool make_store(const struct ring_call *call, uint64_t count, struct shl_place *ret_place)
{
    uint64_t size = count < CELLS_MAX ? shl_store_size(count, call->item_size) : SIZE_MAX;
    void *cells = shl_alloc(call->segment, size);
    return cells && shl_place_find(cells, ret_place);
}

int shl_ring_init(const struct ring_call *call, uint64_t capacity)
{
    struct ring_shm *ring = call->ring;
    uint64_t count = cells_count(capacity, call->item_size);
    struct shl_place place;
    if (!make_store(call, count, &place))
        return shl_error_code();
    shl_object_part(&place, atom_load_relaxed(&call->object->self));
    shl_store_init(call, count, shl_offset(call->segment, shl_payload(place.block)));
    atom_store_relaxed(&ring->capacity, capacity);
    ring->least = count;
    ring->first = RING_POSITION(atom_load_relaxed(&ring->tail.word));
    atom_store_relaxed(&ring->ends_put, 0);
    for (int i = 0; i < 2; i++) {
        atom_store_relaxed(&ring->tail.sizes[i], 0);
        atom_store_relaxed(&ring->head.sizes[i], 0);
    }
    atom_store_relaxed(&ring->put_waits, 0);
    atom_store_relaxed(&ring->take_waits, 0);
    return 0;
}

static const char damaged[] = "a process damaged the queue";

/* The low half, or the high one. */
static atom32 *half_of(atom64 *word, int which)
{
    return (atom32 *)(void *)word + which;
}

/* Who waits watches the position of the other side, and the seal: it is in the tail's high half. */
static void watch_side(const struct ring_call *call, enum side which, uint64_t position,
                       uint64_t tail, struct shl_watches *watches)
{
    shl_watch(watches, half_of(&shl_side(call, which)->word, 0))->expected = (uint32_t)position;
    shl_watch(watches, half_of(&call->ring->tail.word, 1))->expected = (uint32_t)(tail >> 32);
}

/* True if nothing can be had now, with what would change that. */
static bool seems_full(const struct ring_call *call, struct shl_watches *ret_watches)
{
    uint64_t tail, head;
    if (!shl_side_seems_full(call->ring, &tail, &head) || !shl_object_is(call->object, call->ref))
        return false;
    watch_side(call, HEAD, head, tail, ret_watches);
    return true;
}

static bool seems_empty(const struct ring_call *call, struct shl_watches *ret_watches)
{
    uint64_t tail;
    if (!shl_side_seems_empty(call->ring, &tail) || !shl_object_is(call->object, call->ref))
        return false;
    watch_side(call, TAIL, tail, tail, ret_watches);
    return true;
}

/* --- another store ---------------------------------------------------------------------------- */

static bool grows(const struct ring_shm *ring)
{
    return atom_load_relaxed(&ring->capacity) == 0;
}

/* To a store of the caller's, if so many items are there still; with the tail held. */
static int move_to(const struct ring_call *call, uint64_t tail, const struct shl_place *to,
                   uint64_t cells_count, uint64_t full, shl_way_in *way)
{
    uint64_t head = 0;
    int code = way(call, HEAD, &head);
    bool is_inside = code == 0, is_due = is_inside && RING_POSITION(tail - head) == full;
    if (is_due)
        code = shl_store_move(call, head, tail, to, cells_count);
    else
        shl_free(to);
    if (is_inside)
        shl_side_leave(call, HEAD, head);
    return code;
}

/* Of several who find it full one at a time makes a store: none lacks memory for another's. */
static int resize(const struct ring_call *call, uint64_t seen, uint64_t cells_count, uint64_t full,
                  shl_way_in *way)
{
    uint64_t tail;
    struct shl_place to;
    int code = way(call, TAIL, &tail);
    if (code < 0)
        return code;
    uint64_t count = RING_POSITION(tail - atom_load_relaxed(&call->ring->head.word));
    if (count > store_mask(shl_store_of(call->ring)) + 1) {
        code = shl_error(-EUCLEAN, damaged);
    } else if (shl_store_of(call->ring) == seen && count == full) {
        bool is_made = make_store(call, cells_count, &to);
        code = is_made ? move_to(call, tail, &to, cells_count, full, way) : shl_error_code();
    }
    return shl_side_leave_with(call, TAIL, tail, code);
}

/* It was found full. */
static SHL_COLD int grow(const struct ring_call *call)
{
    uint64_t store = shl_store_of(call->ring), count = store_mask(store) + 1;
    return resize(call, store, 2 * count, count, shl_side_enter);
}

/* Was it drained, and has grown, or one who made it small died with the larger store left? */
static bool is_too_large(const struct ring_shm *ring)
{
    bool is_larger = store_mask(shl_store_of(ring)) >= ring->least;
    return grows(ring) && (is_larger || atom_load_relaxed(&ring->spare) != 0) &&
           shl_ring_count(ring) == 0;
}

/* If that is possible now: the next one who finds it empty tries again. */
static SHL_COLD void shrink(const struct ring_call *call)
{
    uint64_t least = call->ring->least;
    if (least != 0 && (least & (least - 1)) == 0) /* else damaged */
        resize(call, shl_store_of(call->ring), least, 0, shl_side_enter_left);
}

/* --- once ------------------------------------------------------------------------------------- */

struct attempt {
    const struct ring_call *call;
    const char *from; /* what is put; NULL: an end */
    char *to;         /* room for what is taken; NULL: it is dropped */
    uint32_t count;   /* wanted; on success those that were moved: 0 is an end */
};

/* Of so many items those before the first end. */
static uint64_t items_before_end(const struct ring_call *call, uint64_t position, uint64_t count)
{
    /* relaxed: not older than the end, which was committed after it */
    if (likely(atom_load_relaxed(&call->ring->ends_put) == 0))
        return count;
    uint64_t store = shl_store_of(call->ring);
    for (uint64_t i = 0; i < count; i++)
        if (shl_store_is_end(call, store, position + i))
            return i;
    return count;
}

/* P4 of an end. */
static bool write_end(const struct ring_call *call, uint64_t store, uint64_t position)
{
    atom64 *cell = shl_store_cell(call, store, position);
    if (unlikely(!cell))
        return false;
    if (call->is_owned) /* what lies there from the last lap is not in the queue */
        atom_store_relaxed(cell, 0);
    atom_store_relaxed(&call->ring->ends_put, atom_load_relaxed(&call->ring->ends_put) + 1);
    atom_compiler_barrier(); /* if we die here, no bit is set that others do not know of */
    shl_store_mark_end(call, store, position, true);
    return true;
}

/* P4; false: damaged. */
static bool write_items(const struct attempt *attempt, uint64_t position, uint64_t count)
{
    const struct ring_call *call = attempt->call;
    uint64_t store = shl_store_of(call->ring);
    if (unlikely(!attempt->from))
        return write_end(call, store, position);
    for (uint64_t done = 0, run; done < count; done += run) {
        char *cells = shl_store_cells(call, store, position + done, count - done, &run);
        const char *from = attempt->from + done * call->item_size;
        if (unlikely(!cells))
            return false;
        if (likely(call->item_size == sizeof(uint64_t) && run == 1)) {
            uint64_t item;
            memcpy(&item, from, sizeof item);
            if (!SHL_MISTAKE("ring.unwritten") || position % 8 != 7)
                atom_store_relaxed((atom64 *)(void *)cells, item);
        } else {
            memcpy(cells, from, run * call->item_size);
        }
    }
    if (unlikely(atom_load_relaxed(&call->ring->ends_put) != 0 && !SHL_MISTAKE("ring.stale_end")))
        for (uint64_t i = 0; i < count; i++)
            shl_store_mark_end(call, store, position + i, false);
    return true;
}

/* P4; likewise. */
static bool read_items(const struct attempt *attempt, uint64_t position, uint64_t count)
{
    const struct ring_call *call = attempt->call;
    uint64_t store = shl_store_of(call->ring);
    for (uint64_t done = 0, run; done < count; done += run) {
        const char *cells = shl_store_cells(call, store, position + done, count - done, &run);
        if (unlikely(!cells))
            return false;
        if (likely(call->item_size == sizeof(uint64_t) && run == 1)) {
            uint64_t item = atom_load_relaxed((const atom64 *)(const void *)cells);
            if (call->is_owned)
                shl_journal_taking(call->self, call->ref, item);
            if (call->position)
                atom_store_relaxed(call->position, position + done);
            if (attempt->to)
                memcpy(attempt->to + done * sizeof item, &item, sizeof item);
        } else if (attempt->to) {
            memcpy(attempt->to + done * call->item_size, cells, run * call->item_size);
        }
    }
    return true;
}

static uint64_t size_before(struct ring_side_shm *side, uint64_t position)
{
    return atom_load_relaxed(&side->sizes[position & 1]);
}

/* Before the commit of the next position. */
static void count_size(struct ring_side_shm *side, uint64_t position, uint64_t size)
{
    atom_store_relaxed(&side->sizes[(position + 1) & 1], size_before(side, position) + size);
}

/* What is in the ring up to position t, whose owner asks; false if the head moves all the time. */
static bool measure(struct ring_shm *ring, uint64_t position, uint64_t *ret_head,
                    uint64_t *ret_size)
{
    for (int tries = 0; tries < 8; tries++) {
        /* [ring.drain] acquire <- take's P5; seq_cst for [park.flag]. */
        *ret_head = RING_POSITION(atom_load_seq_cst(&ring->head.word));
        uint64_t taken = size_before(&ring->head, *ret_head);
        *ret_size = *ret_head == position ? 0 : size_before(&ring->tail, position) - taken;
        /* [ring.drain] acquire: the sizes above are this head's, or it has moved on. */
        if (RING_POSITION(atom_load_acquire(&ring->head.word)) == *ret_head)
            return true;
    }
    return false;
}

/* Is there room for the bytes of an item at position t? One alone always fits. */
static bool fits(const struct attempt *attempt, uint64_t position, uint64_t *ret_weight)
{
    const struct ring_call *call = attempt->call;
    uint64_t item, size = 0, head = position;
    *ret_weight = 0;
    if (likely(call->size_max == 0 || !attempt->from))
        return true;
    memcpy(&item, attempt->from, sizeof item);
    *ret_weight = call->weigh(call, item);
    bool known = measure(call->ring, position, &head, &size);
    atom_store_relaxed(&call->ring->tail.other, head);
    return known && (head == position || size + *ret_weight <= call->size_max);
}

static uint64_t item_there(const struct ring_call *call, uint64_t position)
{
    atom64 *cell = shl_store_cell(call, shl_store_of(call->ring), position);
    return cell ? atom_load_relaxed(cell) : 0;
}

static int try_put(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    const struct ring_call *call = attempt->call;
    struct ring_shm *ring = call->ring;
    if (unlikely(seems_full(call, ret_watches)))
        return -EAGAIN;
    uint64_t tail = 0;
    int code = shl_side_enter(call, TAIL, &tail);
    if (unlikely(code < 0))
        return code;
    uint64_t position = RING_POSITION(tail);
    if (unlikely(tail & RING_SEALED))
        return shl_side_leave_with(call, TAIL, tail, shl_error(-EPIPE, "the queue was shut down"));
    uint64_t weight, count = shl_side_room(ring, position, attempt->count);
    if (unlikely(count == 0 && grows(ring)))
        return shl_side_leave_with(call, TAIL, tail, -ENOSPC);
    if (unlikely(count == 0 || !fits(attempt, position, &weight))) {
        watch_side(call, HEAD, atom_load_relaxed(&ring->tail.other), tail, ret_watches);
        return shl_side_leave_with(call, TAIL, tail, -EAGAIN);
    }
    SHL_CHAOS("ring.P4");
    if (SHL_MISTAKE("ring.commit_first"))
        shl_side_leave(call, TAIL, RING_POSITION(position + 1));
    if (unlikely(!write_items(attempt, position, count)))
        return shl_side_leave_with(call, TAIL, tail, shl_error(-EUCLEAN, damaged));
    if (unlikely(call->size_max > 0))
        count_size(&ring->tail, position, weight);
    if (unlikely(ret_watches->slept))
        shl_futex_wake(&ring->not_full.bell, 1); /* while our own bell is pending: see W4 */
    shl_side_commit(call, TAIL, position + count);
    attempt->count = (uint32_t)count;
    return 0;
}

static int try_take(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    const struct ring_call *call = attempt->call;
    struct ring_shm *ring = call->ring;
    if (unlikely(seems_empty(call, ret_watches)))
        return -EAGAIN;
    uint64_t head = 0;
    int code = shl_side_enter(call, HEAD, &head);
    if (unlikely(code < 0))
        return code;
    bool sealed;
    uint64_t there;
    if (unlikely(!shl_side_items(ring, head, attempt->count, &there, &sealed)))
        return shl_side_leave_with(call, HEAD, head, shl_error(-EUCLEAN, damaged));
    if (unlikely(there == 0)) {
        watch_side(call, TAIL, head, head, ret_watches);
        shl_side_leave(call, HEAD, head);
        return sealed ? shl_error(-EPIPE, "the queue was shut down and is empty") : -EAGAIN;
    }
    uint64_t count = items_before_end(call, head, there);
    if (unlikely(count == 0 && call->leaves_end))
        return shl_side_leave_with(call, HEAD, head, -EAGAIN);
    if (unlikely(call->hooks && call->hooks->refuses))
        code = call->hooks->refuses(call, item_there(call, head));
    if (unlikely(code < 0))
        return shl_side_leave_with(call, HEAD, head, code);
    SHL_CHAOS("ring.P4");
    if (unlikely(!read_items(attempt, head, count)))
        return shl_side_leave_with(call, HEAD, head, shl_error(-EUCLEAN, damaged));
    if (unlikely(call->size_max > 0))
        count_size(&ring->head, head, count > 0 ? call->weigh(call, item_there(call, head)) : 0);
    if (unlikely(ret_watches->slept) && !SHL_MISTAKE("ring.slept"))
        shl_futex_wake(&ring->not_empty.bell, 1); /* likewise */
    shl_side_commit(call, HEAD, head + (count > 0 ? count : 1));
    attempt->count = (uint32_t)count;
    return 0;
}

static bool is_alone(const struct ring_call *call, struct shl_watches *watches)
{
    return unlikely(call->hooks) && call->hooks->is_alone(call, watches);
}

/* Whoever finds himself alone tries once more, for what the other one did before he went. */
static int unless_alone(int (*attempt)(void *context, struct shl_watches *ret_watches),
                        struct attempt *context, struct shl_watches *ret_watches)
{
    int code = attempt(context, ret_watches);
    if (likely(code != -EAGAIN) || !is_alone(context->call, ret_watches))
        return code;
    code = attempt(context, ret_watches);
    return code == -EAGAIN ? shl_error(-EPIPE, "the other end is closed") : code;
}

static int attempt_put(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    int code;
    do
        code = unless_alone(try_put, attempt, ret_watches);
    while (unlikely(code == -ENOSPC) && (code = grow(attempt->call)) == 0);
    return code;
}

static int attempt_take(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    int code = unless_alone(try_take, attempt, ret_watches);
    if (unlikely(code == -EAGAIN && is_too_large(attempt->call->ring)))
        shrink(attempt->call);
    return code;
}

static int attempt_look(void *context, struct shl_watches *ret_watches)
{
    const struct attempt *attempt = context;
    bool over = !shl_object_is(attempt->call->object, attempt->call->ref);
    bool waits = seems_empty(attempt->call, ret_watches) && !is_alone(attempt->call, ret_watches);
    return over ? shl_error(-ESTALE, "it was destroyed") : waits ? -EAGAIN : 0;
}

static bool ended_or_sealed(const struct ring_call *call)
{
    struct shl_watches none = { .count = 0 };
    return !shl_object_is(call->object, call->ref) ||
           (atom_load_relaxed(&call->ring->tail.word) & RING_SEALED) || is_alone(call, &none);
}

static bool ready_to_put(void *context)
{
    const struct ring_call *call = ((struct attempt *)context)->call;
    return ended_or_sealed(call) || grows(call->ring) ||
           shl_ring_count(call->ring) < shl_ring_limit(call->ring);
}

static bool ready_to_take(void *context)
{
    const struct ring_call *call = ((struct attempt *)context)->call;
    return ended_or_sealed(call) || shl_ring_count(call->ring) > 0;
}

static const char stopped_inside[] = "another process is stopped inside a call on the queue";

static SHL_COLD int park(struct attempt *attempt,
                         int (*function)(void *context, struct shl_watches *ret_watches),
                         bool (*ready)(void *context), struct bell_shm *bell, atom64 *waits)
{
    const struct ring_call *call = attempt->call;
    struct shl_park_for what = { .attempt = function,
                                 .ready = ready,
                                 .context = attempt,
                                 .object = call->object,
                                 .ref = call->ref };
    if (waits && !shl_deadline_is_now(call->deadline))
        atom_add_relaxed(waits, 1);
    return shl_park(bell, &what, call->deadline);
}

/* Once; after a miss, if the thread has notes, again after a pause that has paid lately. */
static int try(struct attempt *attempt, unsigned side,
               int (*function)(void *context, struct shl_watches *ret_watches))
{
    const struct ring_call *call = attempt->call;
    struct shl_pace *pace = call->found ? &call->found->sides[side].pace : NULL;
    struct shl_watches watches;
    shl_watches_init(&watches);
    int code = function(attempt, &watches);
    if (unlikely(code == -EAGAIN) && pace && !shl_deadline_is_now(call->deadline)) {
        shl_pace_miss(pace, shl_ring_limit(call->ring));
        shl_watches_init(&watches);
        code = function(attempt, &watches);
    }
    if (likely(code == 0 && pace))
        shl_pace_hit(pace, attempt->count);
    return code;
}

static inline int move(struct attempt *attempt, unsigned side)
{
    struct ring_shm *ring = attempt->call->ring;
    bool puts = side == SHL_PUTS;
    bool (*ready)(void *context) = puts ? ready_to_put : ready_to_take;
    int (*function)(void *, struct shl_watches *) = puts ? attempt_put : attempt_take;
    int code = try(attempt, side, function);
    if (unlikely(code == -EAGAIN))
        code = park(attempt, function, ready, puts ? &ring->not_full : &ring->not_empty,
                    puts ? &ring->put_waits : &ring->take_waits);
    if (code == -ETIMEDOUT)
        shl_error(code, ready(attempt) ? stopped_inside : puts ? "it is full" : "it is empty");
    return unlikely(code < 0) ? code : (int)attempt->count;
}

int shl_ring_put(const struct ring_call *call, const void *items, uint32_t count)
{
    struct attempt attempt = { .call = call, .from = items, .count = count };
    return move(&attempt, SHL_PUTS);
}

int shl_ring_put_end(const struct ring_call *call)
{
    struct attempt attempt = { .call = call, .count = 1 };
    return move(&attempt, SHL_PUTS);
}

int shl_ring_take(const struct ring_call *call, void *ret_items, uint32_t count)
{
    struct attempt attempt = { .call = call, .to = ret_items, .count = count };
    return move(&attempt, SHL_TAKES);
}

int shl_ring_wait(const struct ring_call *call)
{
    struct attempt attempt = { .call = call };
    struct shl_watches watches;
    shl_watches_init(&watches);
    int code = attempt_look(&attempt, &watches);
    if (code == -EAGAIN)
        code = park(&attempt, attempt_look, ready_to_take, &call->ring->not_empty, NULL);
    return code == -ETIMEDOUT ? shl_error(code, "nothing has come") : code;
}

int shl_ring_try_take(const struct ring_call *call, void *ret_item, struct shl_watches *watches)
{
    struct attempt attempt = { .call = call, .to = ret_item, .count = 1 };
    int code = attempt_take(&attempt, watches);
    return code < 0 ? code : (int)attempt.count;
}

int shl_ring_seal(const struct ring_call *call)
{
    uint64_t tail = 0;
    int code = shl_side_enter(call, TAIL, &tail);
    if (code < 0)
        return code;
    struct robust_list *before = shl_pending_set(&call->ring->not_empty.bell);
    if (SHL_MISTAKE("ring.seal"))
        shl_pending_clear(before);
    shl_side_leave(call, TAIL, tail | RING_SEALED);
    shl_park_ring_both(&call->ring->not_empty, &call->ring->not_full);
    shl_pending_clear(before);
    return 0;
}

int shl_ring_close(const struct ring_call *call)
{
    uint64_t tail, head;
    int code = shl_side_enter(call, TAIL, &tail);
    if (code < 0)
        return code;
    code = shl_side_enter(call, HEAD, &head);
    if (code < 0)
        return shl_side_leave_with(call, TAIL, tail, code);
    if (shl_object_end(call->segment, call->object, call->ref))
        return 0;
    shl_side_leave(call, HEAD, head);
    return shl_side_leave_with(call, TAIL, tail, shl_error(-ESTALE, "the queue was destroyed"));
}

bool shl_ring_enter_ended(const struct ring_call *call, uint64_t own)
{
    uint64_t tail, head;
    if (!shl_side_claim_left(call, TAIL, &tail))
        return false;
    if (shl_side_claim_left(call, HEAD, &head)) {
        /* [object.own] acquire <- who finished it first, and who lives there now. */
        if (atom_load_acquire(&call->object->own) == own || SHL_MISTAKE("object.finisher"))
            return true;
        shl_side_leave(call, HEAD, head);
    }
    shl_side_leave(call, TAIL, tail);
    return false;
}

bool shl_ring_first(const struct ring_call *call, uint64_t *ret_item)
{
    uint64_t head = RING_POSITION(atom_load_relaxed(&call->ring->head.word));
    uint64_t count = RING_POSITION(atom_load_relaxed(&call->ring->tail.word) - head);
    uint64_t store = shl_store_of(call->ring);
    atom64 *cell = shl_store_cell(call, store, head);
    /* Of a damaged ring no more is freed than could lie in the segment. */
    if (count == 0 || !cell || !shl_store_holds(call, store, count))
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

bool shl_ring_full(const struct ring_call *call)
{
    struct ring_shm *ring = call->ring;
    return (!grows(ring) && shl_ring_count(ring) >= shl_ring_limit(ring)) ||
           (call->size_max > 0 && shl_ring_size(ring) >= call->size_max);
}

void shl_ring_leave(const struct ring_call *call)
{
    uint64_t tail = RING_POSITION(atom_load_relaxed(&call->ring->tail.word));
    atom_store_relaxed(&call->ring->tail.other, tail);
    atom_store_relaxed(&call->ring->head.other, tail);
    shl_side_leave(call, HEAD, tail);
    shl_side_leave(call, TAIL, tail); /* without its seal: the place is as new */
    shl_park_ring_both(&call->ring->not_empty, &call->ring->not_full);
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
    uint64_t limit = shl_ring_limit(ring);
    return count < limit ? count : limit;
}

uint64_t shl_ring_size(struct ring_shm *ring)
{
    uint64_t head, size;
    /* [ring.fill] acquire <- put's P5. */
    uint64_t position = RING_POSITION(atom_load_acquire(&ring->tail.word));
    return measure(ring, position, &head, &size) ? size : 0;
}
