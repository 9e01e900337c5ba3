#include "flow/cells.h"

#include <shoal/queue.h>
#include <string.h>

#include "flow/chain.h"
#include "mem/alloc.h"
#include "mem/journal.h"
#include "os/chaos.h"
#include "os/membarrier.h"

/* Who is outrun by so many more cells than there are waits, as if it had found none. */
#define STEPS_MORE 1024
/* After a lost compare-and-set: the winner keeps the line for a moment. */
#define PAUSES_LOST 8
/* How long who ends a ring waits for those inside: not for one that is stopped. */
#define CLOSE_GRACE_NS SHL_NS_PER_S
#define NAP_NS (200 * SHL_NS_PER_US)

static const char damaged[] = "a process damaged the queue";

/* --- turns ----------------------------------------------------------------------------------- */

static uint64_t state_of(uint64_t turn)
{
    return turn & CELL_STATE_MASK;
}

/* Somebody has put something there that nobody has taken. */
static bool is_filled(uint64_t turn)
{
    return state_of(turn) == CELL_FULL || state_of(turn) == CELL_END;
}

static uint64_t index_of(const struct shl_found *found, uint64_t turn)
{
    return turn >> CELL_STATE_BITS & found->mask;
}

static uint64_t lap_of(const struct shl_found *found)
{
    return (found->mask + 1) << CELL_STATE_BITS;
}

/* The position after that of a turn, FREE. */
static uint64_t next_of(const struct shl_found *found, uint64_t turn)
{
    uint64_t next = (turn | CELL_STATE_MASK) + 1;
    bool is_beyond = index_of(found, next) == found->capacity;
    return unlikely(is_beyond) ? (next | (lap_of(found) - 1)) + 1 : next;
}

/* How many positions lie between two turns. */
static uint64_t distance(const struct shl_found *found, uint64_t from, uint64_t to)
{
    uint64_t from_index = index_of(found, from), to_index = index_of(found, to);
    uint64_t laps = ((to - to_index * CELL_ONE) - (from - from_index * CELL_ONE)) / lap_of(found);
    return laps * found->capacity + to_index - from_index;
}

static bool is_later(uint64_t one, uint64_t two)
{
    return (int64_t)(one - two) > 0;
}

/* NULL if it cannot be: another process may have damaged the ring. */
static struct cell_shm *cell_at(const struct shl_found *found, uint64_t turn)
{
    uint64_t index = index_of(found, turn);
    return likely(index < found->capacity) ? &found->cells[index] : NULL;
}

/* Who is outrun so often has found nothing. */
static uint64_t steps_max(const struct shl_found *found)
{
    return found->capacity + STEPS_MORE;
}

/* P2: where a turn's cell says that the ring has come to; the turn itself if the cell is as the one
 * who stands there wants to find it. */
static uint64_t step_on(const struct shl_found *found, uint64_t seen)
{
    /* What is FREE or CLOSED was emptied a lap ago: all before that was filled, and emptied. */
    return next_of(found, is_filled(seen) ? seen : seen - lap_of(found));
}

/* --- hints ----------------------------------------------------------------------------------- */

static atom64 *hint_of(const struct shl_found *found, unsigned side)
{
    return side == SHL_PUTS ? &found->ring->tail : &found->ring->head;
}

/* Who has found that it lags goes on from there, or from the hint that all share. */
static uint64_t further(const struct shl_found *found, unsigned side, uint64_t turn)
{
    /* [cells.hint] acquire <- remember(): likewise. */
    uint64_t hint = atom_load_acquire(hint_of(found, side));
    return is_later(hint, turn) ? hint : turn;
}

/* P5. The hint that all share changes with every fourth position: with each cache line of cells. */
static void remember(struct shl_found *found, unsigned side, uint64_t turn)
{
    found->sides[side].turn = turn;
    shl_pace_hit(&found->sides[side].pace, 1);
    if ((turn & 3 * CELL_ONE) == 0)
        /* [cells.hint] release -> further(), shl_cells_learn(): all before is behind. */
        atom_store_release(hint_of(found, side), turn);
}

/* --- who is inside --------------------------------------------------------------------------- */

static int enter(const struct shl_found *found)
{
    atom64 *inside = &found->self->journal->inside;
    if (likely(found->self->is_light || SHL_MISTAKE("cells.inside"))) {
        /* [cells.inside] release; who ends the queue pays for the order: are_seen(). */
        atom_store_release(inside, found->ref);
        atom_compiler_barrier();
    } else {
        /* [cells.inside] seq_cst: named before the handle is looked at. */
        atom_exchange_seq_cst(inside, found->ref);
    }
    SHL_CHAOS("cells.P1");
    /* [cells.inside] seq_cst, acquire <- shl_cells_close(). */
    if (likely(atom_load_seq_cst(&found->object->self) == found->ref))
        return 0;
    atom_store_relaxed(inside, 0); /* nothing was touched */
    return shl_error(-ESTALE, "the queue was destroyed");
}

static void leave(const struct shl_found *found)
{
    /* [cells.inside] release -> who_is_inside(): the last look at a cell. */
    atom_store_release(&found->self->journal->inside, 0);
}

/* Behind the end of the object: from here on others that are inside are seen to be, and those that
 * have left, and saw no end, to have left. False: the kernel does not help. */
static bool are_seen(const struct ring_call *call)
{
    if (SHL_MISTAKE("cells.unseen") || shl_membarrier())
        return true;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        /* [cells.inside] seq_cst <- shl_self_attach_at(). */
        if (atom_load_seq_cst(&shl_thread_peer(call->segment, i)->journal.is_light) &&
            i != call->self->thread && !shl_thread_slot_is_dead(call->segment, i))
            return false;
    return true;
}

/* The word of another live thread that is inside; NULL: nobody is. */
static atom64 *who_is_inside(const struct ring_call *call)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        atom64 *inside = &shl_thread_peer(call->segment, i)->journal.inside;
        /* [cells.inside] seq_cst, acquire <- enter() and leave(). */
        uint64_t named = atom_load_seq_cst(inside);
        if (named && ((named ^ call->ref) & BLOCK_REF_MASK) == 0 && i != call->self->thread &&
            !shl_thread_slot_is_dead(call->segment, i))
            return inside;
    }
    return NULL;
}

/* --- put and take ---------------------------------------------------------------------------- */

struct attempt {
    struct shl_found *found;
    uint64_t item;
    enum cell_state state; /* FULL or END: of the item */
    bool leaves_end;       /* an end is not taken: there is nothing to take */
    struct cell_shm *cell; /* where it has come to, */
    uint64_t seen;         /* and the turn there */
};

/* P4 of a put. Where one puts alone, nobody else writes the item. */
static inline bool commit(const struct attempt *attempt)
{
    struct cell_shm *cell = attempt->cell;
    uint64_t turn = attempt->seen, filled = turn | attempt->state;
    if (attempt->found->puts_alone || SHL_MISTAKE("cells.two_steps")) {
        /* [cells.fill] release -> item_in(): the cell was free. */
        atom_store_release(&cell->item, attempt->item);
        SHL_CHAOS("cells.item");
        if (SHL_MISTAKE("cells.unasked"))
            turn = atom_load_relaxed(&cell->turn);
        /* [cells.fill] release; seq_cst for [park.flag]. */
        return atom_cas_seq_cst_64(&cell->turn, turn, filled);
    }
    uint64_t before = atom_load_relaxed(&cell->item);
    /* [cells.fill] release; seq_cst for [park.flag]. */
    return atom_cas_seq_cst_pair(&cell->turn, turn, before, filled, attempt->item);
}

/* P3 to P5 for a cell that is free: true if it was ours. */
static inline bool fill(const struct attempt *attempt, bool slept)
{
    struct shl_found *found = attempt->found;
    if (unlikely(slept))
        shl_futex_wake(&found->ring->not_full.bell, 1); /* while our own bell is pending: see W4 */
    struct robust_list *pending = shl_pending_set(&found->ring->not_empty.bell);
    if (SHL_MISTAKE("cells.P3"))
        shl_pending_clear(pending);
    SHL_CHAOS("cells.P4");
    bool done = commit(attempt);
    if (likely(done)) {
        SHL_CHAOS("cells.P5");
        remember(found, SHL_PUTS, next_of(found, attempt->seen));
        shl_park_ring(&found->ring->not_empty);
    }
    shl_pending_clear(pending);
    return done;
}

/* Likewise for a cell that holds something. */
static inline bool empty(struct attempt *attempt, uint64_t turn, enum cell_state state, bool slept)
{
    struct shl_found *found = attempt->found;
    struct cell_shm *cell = attempt->cell;
    uint64_t lap = SHL_MISTAKE("cells.same_turn") ? 0 : lap_of(found);
    attempt->item = atom_load_relaxed(&cell->item);
    attempt->state = state;
    bool is_message = found->items == ITEMS_PAYLOADS && state == CELL_FULL;
    if (is_message)
        shl_journal_taking(found->self, found->ref, attempt->item);
    if (unlikely(slept) && !SHL_MISTAKE("cells.slept"))
        shl_futex_wake(&found->ring->not_empty.bell, 1); /* likewise */
    struct robust_list *pending = shl_pending_set(&found->ring->not_full.bell);
    SHL_CHAOS("cells.P4");
    /* [cells.drain] release; seq_cst for [park.flag]. */
    bool done = atom_cas_seq_cst_64(&cell->turn, turn | state, turn + lap);
    if (likely(done)) {
        SHL_CHAOS("cells.P5");
        remember(found, SHL_TAKES, next_of(found, turn));
        shl_park_ring(&found->ring->not_full);
    }
    shl_pending_clear(pending);
    if (unlikely(!done) && is_message)
        shl_journal_lost(found->segment, found->self, attempt->item);
    return done;
}

static void pause_lost(void)
{
    for (int i = 0; i < PAUSES_LOST; i++)
        atom_pause();
}

static bool is_sealed(const struct shl_found *found)
{
    /* relaxed: behind the load of the turn, which is an acquire; see seal */
    return atom_load_relaxed(&found->ring->end) != 0;
}

/* The one look of P2: the attempt's cell and its turn. False: another process has damaged the
 * ring. */
static inline bool look_at(struct attempt *attempt, uint64_t turn)
{
    attempt->cell = cell_at(attempt->found, turn);
    if (unlikely(!attempt->cell))
        return false;
    /* [cells.fill] [cells.drain] acquire <- P4; seq_cst for [park.flag]. */
    attempt->seen = atom_load_seq_cst(&attempt->cell->turn);
    return true;
}

/* P2 to P5 in a straight line: the thread's notes are right, and nothing is in the way. */
static inline bool put_next(struct attempt *attempt)
{
    uint64_t turn = attempt->found->sides[SHL_PUTS].turn;
    return likely(look_at(attempt, turn) && attempt->seen == turn + CELL_FREE &&
                  !is_sealed(attempt->found)) &&
           fill(attempt, false);
}

/* P2 to P5 as far as one comes without waiting: 0 or an error, -EAGAIN if the ring is full. */
static int put_once(struct attempt *attempt, bool slept)
{
    const struct shl_found *found = attempt->found;
    uint64_t turn = found->sides[SHL_PUTS].turn;
    for (uint64_t steps = 0; steps < steps_max(found); steps++) {
        if (!look_at(attempt, turn))
            return shl_error(-EUCLEAN, damaged);
        uint64_t seen = attempt->seen;
        if (seen == turn + CELL_FREE) {
            if (is_sealed(found))
                return -EPIPE;
            if (fill(attempt, slept))
                return 0;
            pause_lost();
        } else if (seen == turn + CELL_CLOSED) {
            return -EPIPE;
        } else if (is_later(seen, turn)) {
            turn = further(found, SHL_PUTS, step_on(found, seen));
        } else if (is_filled(seen) && seen - state_of(seen) == turn - lap_of(found)) {
            return is_sealed(found) ? -EPIPE : -EAGAIN;
        } else {
            return shl_error(-EUCLEAN, damaged);
        }
    }
    return -EAGAIN;
}

/* Nothing is there, and if the ring is sealed nothing will be: -EPIPE; -EAGAIN also if somebody has
 * put something just before. */
static int end_at(const struct attempt *attempt, uint64_t turn)
{
    struct cell_shm *cell = attempt->cell;
    if (!is_sealed(attempt->found))
        return -EAGAIN;
    uint64_t item = atom_load_relaxed(&cell->item);
    SHL_CHAOS("cells.closes");
    if (SHL_MISTAKE("cells.closes"))
        return -EPIPE;
    /* [cells.drain] release: as a take. seq_cst because it is the pair's only one. */
    return atom_cas_seq_cst_pair(&cell->turn, turn, item, turn | CELL_CLOSED, 0) ? -EPIPE : -EBUSY;
}

static inline bool take_next(struct attempt *attempt)
{
    uint64_t turn = attempt->found->sides[SHL_TAKES].turn;
    return likely(look_at(attempt, turn) && attempt->seen == turn + CELL_FULL) &&
           empty(attempt, turn, CELL_FULL, false);
}

static int take_once(struct attempt *attempt, bool slept)
{
    const struct shl_found *found = attempt->found;
    uint64_t turn = found->sides[SHL_TAKES].turn;
    for (uint64_t steps = 0; steps < steps_max(found); steps++) {
        if (!look_at(attempt, turn))
            return shl_error(-EUCLEAN, damaged);
        uint64_t seen = attempt->seen;
        if (seen == turn + CELL_FULL || seen == turn + CELL_END) {
            if (attempt->leaves_end && state_of(seen) == CELL_END)
                return -EAGAIN;
            if (empty(attempt, turn, (enum cell_state)state_of(seen), slept))
                return 0;
            pause_lost();
        } else if (seen == turn + CELL_CLOSED) {
            return -EPIPE;
        } else if (seen == turn + CELL_FREE) {
            int code = end_at(attempt, turn);
            if (code != -EBUSY)
                return code;
        } else if (is_later(seen, turn)) {
            turn = further(found, SHL_TAKES, next_of(found, seen - lap_of(found)));
        } else {
            return shl_error(-EUCLEAN, damaged);
        }
    }
    return -EAGAIN;
}

/* --- waiting --------------------------------------------------------------------------------- */

/* Who waits watches the cell that kept it from going on, and the seal. */
static void watch_cell(const struct attempt *attempt, struct shl_watches *watches)
{
    atom32 *half = (atom32 *)(void *)&attempt->cell->turn;
    shl_watch(watches, half)->expected = (uint32_t)attempt->seen;
    shl_watch(watches, (atom32 *)(void *)&attempt->found->ring->end);
}

/* What the caller is told of a failure, if it has not been already. */
static SHL_COLD int tell(unsigned side, int code)
{
    if (code == -EPIPE)
        return shl_error(code, side == SHL_PUTS ? "the queue was shut down"
                                                : "the queue was shut down and is empty");
    if (code == -ETIMEDOUT)
        return shl_error(code, side == SHL_PUTS ? "it is full" : "it is empty");
    return code;
}

static int try(struct attempt *attempt, unsigned side, bool slept)
{
    return side == SHL_TAKES ? take_once(attempt, slept) : put_once(attempt, slept);
}

static int try_again(struct attempt *attempt, unsigned side, struct shl_watches *ret_watches)
{
    if (unlikely(!shl_object_is(attempt->found->object, attempt->found->ref) ||
                 shl_chain_is_over(attempt->found, ret_watches)))
        return shl_error(-ESTALE, "the queue was destroyed");
    int code = try(attempt, side, ret_watches->slept);
    if (code == -EAGAIN)
        watch_cell(attempt, ret_watches);
    return code;
}

static int attempt_put(void *context, struct shl_watches *ret_watches)
{
    return try_again(context, SHL_PUTS, ret_watches);
}

static int attempt_take(void *context, struct shl_watches *ret_watches)
{
    return try_again(context, SHL_TAKES, ret_watches);
}

static uint64_t count_inside(struct shl_found *found);

static bool ended_or_sealed(const struct shl_found *found)
{
    return !shl_object_is(found->object, found->ref) || is_sealed(found);
}

static bool ready_to_put(void *context)
{
    struct shl_found *found = ((struct attempt *)context)->found;
    return ended_or_sealed(found) || count_inside(found) < found->capacity;
}

static bool ready_to_take(void *context)
{
    struct shl_found *found = ((struct attempt *)context)->found;
    return ended_or_sealed(found) || count_inside(found) > 0;
}

/* As everybody waits, with notes of his own: the thread may look for an event, and find it in the
 * same place. */
static int sleep_for(struct attempt *attempt, unsigned side, shoal_deadline deadline)
{
    struct shl_found *found = attempt->found, apart = *found;
    struct cells_shm *ring = found->ring;
    struct shl_park_for what = { .attempt = side == SHL_PUTS ? attempt_put : attempt_take,
                                 .ready = side == SHL_PUTS ? ready_to_put : ready_to_take,
                                 .context = attempt,
                                 .object = found->object,
                                 .ref = found->ref };
    attempt->found = &apart;
    int code = shl_park(side == SHL_PUTS ? &ring->not_full : &ring->not_empty, &what, deadline);
    attempt->found = found;
    shl_found_write(found, apart);
    return code;
}

/* After a miss: waits as long as has paid lately, then sleeps. */
static int wait_for(struct attempt *attempt, unsigned side, shoal_deadline deadline)
{
    struct shl_found *found = attempt->found;
    if (shl_deadline_is_now(deadline))
        return -ETIMEDOUT;
    atom_add_relaxed(
        side == SHL_PUTS ? &found->ring->put_waits : &shl_chain_home(found)->take_waits, 1);
    shl_pace_miss(&found->sides[side].pace, found->capacity);
    int code = try(attempt, side, false);
    return code == -EAGAIN ? sleep_for(attempt, side, deadline) : code;
}

/* Whatever else there is to it, for who is inside, and leaves. */
static SHL_COLD int move(struct attempt *attempt, unsigned side, shoal_deadline deadline)
{
    int code = try(attempt, side, false);
    if (code == -EAGAIN)
        code = wait_for(attempt, side, deadline);
    leave(attempt->found);
    return code == 0 ? 0 : tell(side, code);
}

static int take_inside(struct shl_found *found, bool leaves_end, shoal_deadline deadline,
                       void *ret_item)
{
    struct attempt attempt = { .found = found, .leaves_end = leaves_end };
    int code = move(&attempt, SHL_TAKES, deadline);
    if (code < 0 || attempt.state == CELL_END)
        return code;
    memcpy(ret_item, &attempt.item, sizeof attempt.item);
    return 1;
}

static SHL_COLD int put_slowly(struct shl_found *found, uint64_t item, enum cell_state state,
                               shoal_deadline deadline)
{
    struct attempt attempt = { .found = found, .item = item, .state = state };
    if (!found->is_chained)
        return move(&attempt, SHL_PUTS, deadline);
    int code = move(&attempt, SHL_PUTS, SHOAL_NOW);
    return code == -ETIMEDOUT || code == -EPIPE ? shl_chain_put(found, item, state) : code;
}

/* What a take answers that has taken so many items, or failed. */
static int taken(int code)
{
    if (unlikely(code == 0))
        return shl_error(-EPIPE, "an end was put for this consumer");
    return code < 0 ? code : 0;
}

static SHL_COLD int take_slowly(struct shl_found *found, bool leaves_end, shoal_deadline deadline,
                                void *ret_item)
{
    int code = take_inside(found, leaves_end, deadline, ret_item);
    if (code == -EPIPE && found->is_chained)
        code = shl_chain_take(found, leaves_end, deadline, ret_item);
    return taken(code);
}

/* Enters, and moves an item if nothing is in the way: 0, and has left again; -EAGAIN, and is still
 * inside; or why it did not enter. */
static inline int put_straight(struct attempt *attempt)
{
    int code = enter(attempt->found);
    if (unlikely(code < 0))
        return code;
    if (unlikely(!put_next(attempt)))
        return -EAGAIN;
    leave(attempt->found);
    return 0;
}

static inline int take_straight(struct attempt *attempt, void *ret_item)
{
    int code = enter(attempt->found);
    if (unlikely(code < 0))
        return code;
    if (unlikely(!take_next(attempt)))
        return -EAGAIN;
    leave(attempt->found);
    memcpy(ret_item, &attempt->item, sizeof attempt->item);
    return 0;
}

int shl_cells_put_here(struct shl_found *found, uint64_t item, enum cell_state state)
{
    struct attempt attempt = { .found = found, .item = item, .state = state };
    int code = put_straight(&attempt);
    return likely(code != -EAGAIN) ? code : move(&attempt, SHL_PUTS, SHOAL_NOW);
}

int shl_cells_take_here(struct shl_found *found, bool leaves_end, shoal_deadline deadline,
                        void *ret_item)
{
    struct attempt attempt = { .found = found };
    int code = take_straight(&attempt, ret_item);
    if (unlikely(code == -EAGAIN))
        return take_inside(found, leaves_end, deadline, ret_item);
    return code == 0 ? 1 : code;
}

int shl_cells_put(struct shl_found *found, uint64_t item, shoal_deadline deadline)
{
    struct attempt attempt = { .found = found, .item = item, .state = CELL_FULL };
    if (unlikely(found->is_chained && is_sealed(found)))
        return shl_chain_put(found, item, CELL_FULL);
    int code = put_straight(&attempt);
    return likely(code != -EAGAIN) ? code : put_slowly(found, item, CELL_FULL, deadline);
}

int shl_cells_put_end(struct shl_found *found, shoal_deadline deadline)
{
    int code = enter(found);
    return code < 0 ? code : put_slowly(found, 0, CELL_END, deadline);
}

int shl_cells_take(struct shl_found *found, bool leaves_end, shoal_deadline deadline,
                   void *ret_item)
{
    struct attempt attempt = { .found = found };
    if (unlikely(found->is_chained && shl_chain_has_passed(found->ring)))
        return taken(shl_chain_take(found, leaves_end, deadline, ret_item));
    int code = take_straight(&attempt, ret_item);
    return likely(code != -EAGAIN) ? code : take_slowly(found, leaves_end, deadline, ret_item);
}

/* --- beginning and end ----------------------------------------------------------------------- */

static uint64_t mask_of(uint64_t capacity)
{
    return capacity <= 1 ? 0 : UINT64_MAX >> __builtin_clzll(capacity - 1);
}

void shl_cells_init(const struct shl_segment *segment, struct cells_shm *ring, uint64_t cells,
                    uint64_t capacity, uint64_t laps)
{
    ring->capacity = capacity;
    ring->cells = cells;
    atom_store_relaxed(&ring->number, atom_load_relaxed(&ring->number) + 1);
    uint64_t first = laps * ((mask_of(capacity) + 1) << CELL_STATE_BITS);
    ring->first = first;
    atom_store_relaxed(&ring->end, 0);
    shl_chain_init(&ring->chain);
    atom_store_relaxed(&ring->closer, 0);
    atom_store_relaxed(&ring->tail, first);
    atom_store_relaxed(&ring->head, first);
    atom_store_relaxed(&ring->put_waits, 0);
    atom_store_relaxed(&ring->take_waits, 0);
    struct cell_shm *cell = shl_at(segment, cells);
    for (uint64_t i = 0; i < capacity; i++)
        atom_store_relaxed(&cell[i].turn, first + i * CELL_ONE);
}

void shl_cells_learn(struct shl_found *found, struct cells_shm *ring, enum shl_items items)
{
    uint64_t capacity = ring->capacity, cells = ring->cells, size = found->segment->size;
    bool possible = capacity <= SHOAL_QUEUE_CAPACITY_MAX && shl_cells_size(capacity) <= size &&
                    cells <= size - shl_cells_size(capacity) &&
                    cells % sizeof(struct cell_shm) == 0;
    found->ring = ring;
    found->number = atom_load_relaxed(&ring->number);
    found->capacity = possible ? (uint32_t)capacity : 0;
    found->mask = mask_of(found->capacity);
    found->cells = shl_at(found->segment, possible ? cells : 0);
    found->items = (uint8_t)items;
    for (unsigned side = 0; side < SHL_SIDES; side++)
        /* [cells.hint] acquire <- remember(): what its writer had seen. */
        found->sides[side].turn = atom_load_acquire(hint_of(found, side));
}

int shl_cells_seal(const struct shl_found *found, uint64_t end)
{
    int code = enter(found);
    if (code < 0)
        return code;
    struct cells_shm *ring = found->ring;
    struct robust_list *before = shl_pending_set(&ring->not_empty.bell);
    if (SHL_MISTAKE("cells.seal"))
        shl_pending_clear(before);
    /* [park.flag] seq_cst. [chain.end] release -> shl_chain_put() and the like. */
    atom_cas_seq_cst_64(&ring->end, 0, end);
    SHL_CHAOS("cells.sealed");
    shl_park_ring_both(&ring->not_empty, &ring->not_full);
    shl_pending_clear(before);
    leave(found);
    return 0;
}

/* Waits for those who are in the middle of a call, but not for long. */
static bool wait_for_others(const struct ring_call *call)
{
    uint64_t give_up = shl_clock_ns() + CLOSE_GRACE_NS;
    atom64 *inside;
    if (!are_seen(call))
        return false;
    for (unsigned round = 0; (inside = who_is_inside(call)); round++) {
        if (shl_park_spin(round))
            continue;
        if (shl_clock_ns() >= give_up)
            return false;
        shl_park_nap((atom32 *)(void *)inside, (uint32_t)call->ref, NAP_NS);
    }
    return true;
}

int shl_cells_close(const struct ring_call *call)
{
    struct cells_shm *ring = call->cells;
    struct robust_list *before = shl_pending_set(&ring->not_empty.bell);
    bool ended = shl_object_end(call->segment, call->object, call->ref);
    SHL_CHAOS("cells.ended");
    if (ended)
        shl_park_ring_both(&ring->not_empty, &ring->not_full);
    shl_pending_clear(before);
    if (!ended)
        return shl_error(-ESTALE, "the queue was destroyed");
    return wait_for_others(call) ? 0 : -EAGAIN;
}

static bool become_closer(const struct ring_call *call)
{
    atom64 *closer = &call->cells->closer;
    /* [cells.closer] seq_cst: behind the thread's own leave. */
    uint64_t seen = atom_load_seq_cst(closer);
    if (seen && !shl_thread_is_gone(call->segment, shl_owner_long((uint32_t)seen)))
        return false;
    SHL_CHAOS("cells.closer");
    /* [cells.closer] acquire <- shl_cells_leave(). */
    return atom_cas_acquire_64(closer, seen, call->self->owner_long);
}

bool shl_cells_enter_ended(const struct ring_call *call, uint64_t own)
{
    for (;;) {
        if (!become_closer(call))
            return false;
        /* [object.own] acquire <- who finished it first, and who lives there now. */
        bool is_its = SHL_MISTAKE("object.finisher") ||
                      atom_load_acquire(&call->object->own) == own;
        bool is_sure = is_its && are_seen(call);
        if (is_sure && !who_is_inside(call))
            return true;
        shl_cells_leave(call);
        /* Who was inside, and tried meanwhile, has left it to this thread. */
        if (!is_sure || who_is_inside(call) || SHL_MISTAKE("cells.closer"))
            return false;
    }
}

void shl_cells_leave(const struct ring_call *call)
{
    /* [cells.closer] release -> become_closer(): what was freed; seq_cst before a look inside. */
    atom_cas_seq_cst_64(&call->cells->closer, call->self->owner_long, 0);
}

void shl_cells_settle(struct cells_shm *ring, const struct shl_dead *dead)
{
    uint64_t seen = atom_load_relaxed(&ring->closer);
    if (shl_is_dead_thread_long(dead, (uint32_t)seen))
        /* [cells.closer] release. */
        atom_cas_release_64(&ring->closer, seen, 0);
}

/* The first position that is not filled, or not emptied. */
static uint64_t walk(struct shl_found *found, unsigned side)
{
    struct attempt attempt = { .found = found };
    uint64_t turn = further(found, side, found->sides[side].turn);
    for (uint64_t step = steps_max(found); step > 0 && look_at(&attempt, turn); step--) {
        uint64_t seen = attempt.seen;
        if (!is_later(seen, side == SHL_TAKES ? turn | CELL_STATE_MASK : turn) ||
            seen == turn + CELL_CLOSED)
            break;
        turn = side == SHL_TAKES ? next_of(found, seen - lap_of(found)) : step_on(found, seen);
    }
    return turn;
}

static uint64_t count_inside(struct shl_found *found)
{
    uint64_t count = 0;
    for (int tries = 0; tries < 8; tries++) {
        uint64_t head = walk(found, SHL_TAKES), tail = walk(found, SHL_PUTS);
        count = distance(found, head, tail);
        if (walk(found, SHL_TAKES) == head)
            break;
    }
    return count < found->capacity ? count : found->capacity;
}

uint64_t shl_cells_count(struct shl_found *found)
{
    if (enter(found) < 0)
        return 0;
    uint64_t count = count_inside(found);
    leave(found);
    return count;
}

bool shl_cells_full(struct shl_found *found)
{
    if (enter(found) < 0)
        return false;
    bool full = count_inside(found) >= found->capacity;
    leave(found);
    return full;
}

void shl_cells_counters(struct shl_found *found, uint64_t *ret_put, uint64_t *ret_taken)
{
    if (enter(found) < 0)
        return;
    *ret_taken = distance(found, found->ring->first, walk(found, SHL_TAKES));
    *ret_put = distance(found, found->ring->first, walk(found, SHL_PUTS));
    leave(found);
}

/* The item of a cell, if it holds one. */
static bool item_in(struct cell_shm *cell, uint64_t *ret_item)
{
    /* [cells.fill] acquire <- P4. */
    uint64_t seen = atom_load_acquire(&cell->turn);
    /* [cells.fill] acquire: before the second look. */
    *ret_item = atom_load_acquire(&cell->item);
    return state_of(seen) == CELL_FULL && atom_load_relaxed(&cell->turn) == seen;
}

/* The block of the cells is the queue's, as long as there is anything in them. */
static bool has_cells(const struct shl_place *place, uint64_t ref)
{
    /* [cells.freed] acquire: before and behind the looks at the cells. */
    return block_own_is_lent(atom_load_acquire(&place->block->own), BLOCK_PART, ref) &&
           !SHL_MISTAKE("cells.visit");
}

bool shl_cells_visit(const struct cells_shm *ring, const struct shl_visit *visit)
{
    struct shl_place place;
    uint64_t cells = ring->cells, capacity = ring->capacity, item;
    if (!shl_place_enter(visit->segment, visit->owner, cells, &place))
        return false;
    uint64_t most = shl_room(&place) / sizeof(struct cell_shm);
    struct cell_shm *cell = shl_at(visit->segment, cells);
    bool found = false;
    for (uint64_t i = 0; !found && has_cells(&place, visit->ref) && i < capacity && i < most; i++)
        found = item_in(&cell[i], &item) && visit->visitor(visit->context, item);
    found = found && has_cells(&place, visit->ref);
    if (visit->owner)
        shl_pages_leave(visit->segment, visit->owner);
    return found;
}
