#include "flow/cells.h"

#include "mem/alloc.h"
#include "mem/journal.h"
#include "os/chaos.h"

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

static uint64_t index_of(const struct cells_shm *ring, uint64_t turn)
{
    return turn >> CELL_STATE_BITS & ring->mask;
}

static uint64_t lap_of(const struct cells_shm *ring)
{
    return (ring->mask + 1) << CELL_STATE_BITS;
}

/* The position after that of a turn, FREE. */
static uint64_t next_of(const struct cells_shm *ring, uint64_t turn)
{
    uint64_t last_in_lap = ring->mask << CELL_STATE_BITS | CELL_STATE_MASK;
    bool is_last = index_of(ring, turn) + 1 >= ring->capacity;
    return unlikely(is_last) ? (turn | last_in_lap) + 1 : (turn | CELL_STATE_MASK) + 1;
}

/* How many positions lie between two turns. */
static uint64_t distance(const struct cells_shm *ring, uint64_t from, uint64_t to)
{
    uint64_t laps = (to - index_of(ring, to) * CELL_ONE) - (from - index_of(ring, from) * CELL_ONE);
    uint64_t lap = lap_of(ring);
    if (unlikely(lap == 0))
        return 0; /* damaged */
    return laps / lap * ring->capacity + index_of(ring, to) - index_of(ring, from);
}

static bool is_later(uint64_t one, uint64_t two)
{
    return (int64_t)(one - two) > 0;
}

/* NULL if it cannot be: another process may have damaged the ring. */
static struct cell_shm *cell_at(const struct ring_call *call, uint64_t turn)
{
    const struct cells_shm *ring = call->cells;
    uint64_t index = index_of(ring, turn);
    uint64_t offset = ring->cells + index * sizeof(struct cell_shm);
    bool possible = index < ring->capacity && offset < call->segment->size &&
                    offset % sizeof(struct cell_shm) == 0;
    return likely(possible) ? shl_at(call->segment, offset) : NULL;
}

/* Of a damaged ring no more is walked than could lie in the segment. */
static uint64_t steps_max(const struct ring_call *call)
{
    uint64_t most = call->segment->size / sizeof(struct cell_shm);
    return (call->cells->capacity < most ? call->cells->capacity : most) + STEPS_MORE;
}

/* P2: where a turn's cell says that the ring has come to; the turn itself if the cell is as the one
 * who stands there wants to find it. */
static uint64_t step_on(const struct cells_shm *ring, uint64_t seen)
{
    /* What is FREE or CLOSED was emptied a lap ago: all before that was filled, and emptied. */
    return is_filled(seen) ? next_of(ring, seen) : next_of(ring, seen - lap_of(ring));
}

/* --- hints ----------------------------------------------------------------------------------- */

static atom64 *hint_of(const struct ring_call *call, unsigned side)
{
    return side == SHL_PUTS ? &call->cells->tail : &call->cells->head;
}

/* The thread's notes, unless others have come into their place during the call. */
static struct shl_side *side_of(const struct ring_call *call, unsigned side)
{
    bool ours = call->found && call->found->ref == call->ref;
    return likely(ours) ? &call->found->sides[side] : NULL;
}

/* The thread's own, as long as it has one: the other's line is left alone. */
static uint64_t first_turn(const struct ring_call *call, unsigned side)
{
    const struct shl_side *own = side_of(call, side);
    /* [cells.hint] acquire <- remember(): what its writer had seen. */
    return likely(own && own->turn) ? own->turn : atom_load_acquire(hint_of(call, side));
}

/* Who has found that it lags goes on from there, or from the hint that all share. */
static uint64_t further(const struct ring_call *call, unsigned side, uint64_t turn)
{
    /* [cells.hint] acquire <- remember(): likewise. */
    uint64_t hint = atom_load_acquire(hint_of(call, side));
    return is_later(hint, turn) ? hint : turn;
}

/* P5. The hint that all share changes with every fourth position: with each cache line of cells. */
static void remember(const struct ring_call *call, unsigned side, uint64_t turn)
{
    struct shl_side *own = side_of(call, side);
    if (likely(own)) {
        own->turn = turn;
        shl_pace_hit(&own->pace);
    }
    if ((turn & 3 * CELL_ONE) == 0)
        /* [cells.hint] release -> first_turn(): all before it is filled, or emptied. */
        atom_store_release(hint_of(call, side), turn);
}

/* --- who is inside --------------------------------------------------------------------------- */

static int enter(const struct ring_call *call)
{
    atom64 *inside = &call->self->journal->inside;
    /* [cells.inside] seq_cst, release: named before the handle is looked at. */
    if (SHL_MISTAKE("cells.inside"))
        atom_store_release(inside, call->ref);
    else
        atom_exchange_seq_cst(inside, call->ref);
    SHL_CHAOS("cells.P1");
    /* [cells.inside] seq_cst, acquire <- shl_cells_close(). */
    if (likely(atom_load_seq_cst(&call->object->self) == call->ref))
        return 0;
    atom_store_relaxed(inside, 0); /* nothing was touched */
    return shl_error(-ESTALE, "the queue was destroyed");
}

static void leave(const struct ring_call *call)
{
    /* [cells.inside] release -> who_is_inside(): the last look at a cell. */
    atom_store_release(&call->self->journal->inside, 0);
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
    const struct ring_call *call;
    uint64_t item;
    enum cell_state state; /* of the cell with the item */
    struct cell_shm *cell; /* which kept it from succeeding */
    uint64_t seen;         /* as it was then */
};

/* P3 to P5 for a cell that is free. False: overtaken. */
static inline bool fill(struct attempt *attempt, uint64_t turn, bool slept)
{
    struct cells_shm *ring = attempt->call->cells;
    struct cell_shm *cell = attempt->cell;
    uint64_t before = atom_load_relaxed(&cell->item);
    if (unlikely(slept))
        shl_futex_wake(&ring->not_full.bell, 1); /* while our own bell is pending: see W4 */
    struct robust_list *pending = shl_pending_set(&ring->not_empty.bell);
    if (SHL_MISTAKE("cells.P3"))
        shl_pending_clear(pending);
    SHL_CHAOS("cells.P4");
    if (SHL_MISTAKE("cells.two_steps"))
        atom_store_relaxed(&cell->item, before = attempt->item);
    /* [cells.fill] release; seq_cst for [park.flag]. */
    bool done = atom_cas_seq_cst_pair(&cell->turn, turn, before, turn | attempt->state,
                                      attempt->item);
    if (likely(done)) {
        SHL_CHAOS("cells.P5");
        remember(attempt->call, SHL_PUTS, next_of(ring, turn));
        shl_park_ring(&ring->not_empty);
    }
    shl_pending_clear(pending);
    return done;
}

/* Likewise for a cell that is full. */
static inline bool empty(struct attempt *attempt, uint64_t turn, bool slept)
{
    const struct ring_call *call = attempt->call;
    struct cells_shm *ring = call->cells;
    struct cell_shm *cell = attempt->cell;
    uint64_t lap = SHL_MISTAKE("cells.same_turn") ? 0 : lap_of(ring);
    attempt->item = atom_load_relaxed(&cell->item);
    attempt->state = (enum cell_state)state_of(attempt->seen);
    bool is_message = call->is_owned && attempt->state == CELL_FULL;
    if (is_message)
        shl_journal_taking(call->self, call->ref, attempt->item);
    if (unlikely(slept) && !SHL_MISTAKE("cells.slept"))
        shl_futex_wake(&ring->not_empty.bell, 1); /* likewise */
    struct robust_list *pending = shl_pending_set(&ring->not_full.bell);
    SHL_CHAOS("cells.P4");
    /* [cells.drain] release; seq_cst for [park.flag]. */
    bool done = atom_cas_seq_cst_64(&cell->turn, attempt->seen, turn + lap);
    if (likely(done)) {
        SHL_CHAOS("cells.P5");
        remember(call, SHL_TAKES, next_of(ring, turn));
        shl_park_ring(&ring->not_full);
    }
    shl_pending_clear(pending);
    if (unlikely(!done) && is_message)
        shl_journal_lost(call->segment, call->self, attempt->item);
    return done;
}

static void pause_lost(void)
{
    for (int i = 0; i < PAUSES_LOST; i++)
        atom_pause();
}

static bool is_sealed(const struct ring_call *call)
{
    /* relaxed: behind the load of the turn, which is an acquire; see seal */
    return atom_load_relaxed(&call->cells->sealed);
}

/* The one step of P2: the attempt's cell, and what its turn says about a position. */
enum look { LOOK_OK, LOOK_BEHIND, LOOK_AHEAD, LOOK_DAMAGED };

static inline enum look look_at(struct attempt *attempt, uint64_t turn)
{
    attempt->cell = cell_at(attempt->call, turn);
    if (unlikely(!attempt->cell))
        return LOOK_DAMAGED;
    /* [cells.fill] [cells.drain] acquire <- P4; seq_cst for [park.flag]. */
    attempt->seen = atom_load_seq_cst(&attempt->cell->turn);
    uint64_t there = attempt->seen - state_of(attempt->seen);
    return there == turn ? LOOK_OK : is_later(there, turn) ? LOOK_AHEAD : LOOK_BEHIND;
}

static inline int put_once(struct attempt *attempt, bool slept)
{
    const struct cells_shm *ring = attempt->call->cells;
    uint64_t turn = first_turn(attempt->call, SHL_PUTS);
    for (uint64_t steps = 0; likely(steps == 0) || steps < steps_max(attempt->call); steps++) {
        enum look look = look_at(attempt, turn);
        if (look == LOOK_BEHIND && is_filled(attempt->seen) &&
            attempt->seen - state_of(attempt->seen) == turn - lap_of(ring))
            return is_sealed(attempt->call) ? -EPIPE : -EAGAIN;
        if (unlikely(look == LOOK_BEHIND || look == LOOK_DAMAGED))
            return shl_error(-EUCLEAN, damaged);
        if (unlikely(look == LOOK_OK && state_of(attempt->seen) == CELL_CLOSED))
            return -EPIPE;
        if (look == LOOK_AHEAD || is_filled(attempt->seen))
            turn = further(attempt->call, SHL_PUTS, step_on(ring, attempt->seen));
        else if (unlikely(is_sealed(attempt->call)))
            return -EPIPE;
        else if (likely(fill(attempt, turn, slept)))
            return 0;
        else
            pause_lost();
    }
    return -EAGAIN;
}

/* Nothing is there, and if the ring is sealed nothing will be: -EPIPE; -EAGAIN also if somebody has
 * put something just before. */
static int end_at(const struct attempt *attempt, uint64_t turn)
{
    struct cell_shm *cell = attempt->cell;
    if (!is_sealed(attempt->call))
        return -EAGAIN;
    uint64_t item = atom_load_relaxed(&cell->item);
    SHL_CHAOS("cells.closes");
    if (SHL_MISTAKE("cells.closes"))
        return -EPIPE;
    /* [cells.drain] release: as a take. seq_cst because it is the pair's only one. */
    return atom_cas_seq_cst_pair(&cell->turn, turn, item, turn | CELL_CLOSED, 0) ? -EPIPE : -EBUSY;
}

static inline int take_once(struct attempt *attempt, bool slept)
{
    const struct cells_shm *ring = attempt->call->cells;
    uint64_t turn = first_turn(attempt->call, SHL_TAKES);
    for (uint64_t steps = 0; likely(steps == 0) || steps < steps_max(attempt->call); steps++) {
        enum look look = look_at(attempt, turn);
        if (unlikely(look == LOOK_BEHIND || look == LOOK_DAMAGED))
            return shl_error(-EUCLEAN, damaged);
        if (look == LOOK_AHEAD) {
            turn = further(attempt->call, SHL_TAKES, next_of(ring, attempt->seen - lap_of(ring)));
        } else if (is_filled(attempt->seen)) {
            if (unlikely(attempt->call->leaves_end && state_of(attempt->seen) == CELL_END))
                return -EAGAIN;
            if (likely(empty(attempt, turn, slept)))
                return 0;
            pause_lost();
        } else {
            int code = state_of(attempt->seen) == CELL_CLOSED ? -EPIPE : end_at(attempt, turn);
            if (code != -EBUSY)
                return code;
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
    shl_watch(watches, &attempt->call->cells->sealed);
}

/* What the caller is told of a failure, if it has not been already. */
static SHL_COLD int tell(unsigned side, int code)
{
    if (code == -EPIPE)
        return shl_error(code, side == SHL_PUTS ? "the queue was shut down"
                                                : "the queue was shut down and is empty");
    if (code == -ETIMEDOUT)
        return shl_error(code, side == SHL_PUTS ? "the queue is full" : "the queue is empty");
    return code;
}

static inline int try(struct attempt *attempt, unsigned side, bool slept)
{
    return side == SHL_TAKES ? take_once(attempt, slept) : put_once(attempt, slept);
}

static int try_again(struct attempt *attempt, unsigned side, struct shl_watches *ret_watches)
{
    if (unlikely(!shl_object_is(attempt->call->object, attempt->call->ref)))
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

static uint64_t count_inside(const struct ring_call *call);

static bool ended_or_sealed(const struct ring_call *call)
{
    return !shl_object_is(call->object, call->ref) || is_sealed(call);
}

static bool ready_to_put(void *context)
{
    const struct ring_call *call = ((struct attempt *)context)->call;
    return ended_or_sealed(call) || count_inside(call) < call->cells->capacity;
}

static bool ready_to_take(void *context)
{
    const struct ring_call *call = ((struct attempt *)context)->call;
    return ended_or_sealed(call) || count_inside(call) > 0;
}

/* After a miss: waits as long as has paid lately, then as everybody waits. */
static SHL_COLD int wait_for(struct attempt *attempt, unsigned side)
{
    const struct ring_call *call = attempt->call;
    struct cells_shm *ring = call->cells;
    struct shl_park_for what = { .attempt = side == SHL_PUTS ? attempt_put : attempt_take,
                                 .ready = side == SHL_PUTS ? ready_to_put : ready_to_take,
                                 .context = attempt,
                                 .object = call->object,
                                 .ref = call->ref };
    struct shl_side *own = side_of(call, side);
    if (shl_deadline_is_now(call->deadline))
        return -ETIMEDOUT;
    atom_add_relaxed(side == SHL_PUTS ? &ring->put_waits : &ring->take_waits, 1);
    if (own) {
        shl_pace_miss(&own->pace, ring->capacity);
        int code = try(attempt, side, false);
        if (code != -EAGAIN)
            return code;
    }
    return shl_park(side == SHL_PUTS ? &ring->not_full : &ring->not_empty, &what, call->deadline);
}

static inline int move(struct attempt *attempt, unsigned side)
{
    int code = enter(attempt->call);
    if (unlikely(code < 0))
        return code;
    code = try(attempt, side, false);
    if (unlikely(code == -EAGAIN)) {
        struct attempt copy = *attempt; /* so that the first one stays in registers */
        code = wait_for(&copy, side);
        *attempt = copy;
    }
    leave(attempt->call);
    return likely(code == 0) ? 1 : tell(side, code);
}

int shl_cells_put(const struct ring_call *call, uint64_t item)
{
    struct attempt attempt = { .call = call, .item = item, .state = CELL_FULL };
    return move(&attempt, SHL_PUTS);
}

int shl_cells_put_end(const struct ring_call *call)
{
    struct attempt attempt = { .call = call, .state = CELL_END };
    return move(&attempt, SHL_PUTS);
}

int shl_cells_take(const struct ring_call *call, uint64_t *ret_item)
{
    struct attempt attempt = { .call = call };
    int code = move(&attempt, SHL_TAKES);
    if (unlikely(code < 0))
        return code;
    *ret_item = attempt.item;
    return attempt.state == CELL_FULL;
}

/* --- beginning and end ----------------------------------------------------------------------- */

void shl_cells_init(const struct shl_segment *segment, struct cells_shm *ring, uint64_t cells,
                    uint64_t capacity, uint64_t laps)
{
    ring->capacity = capacity;
    ring->mask = capacity <= 1 ? 0 : UINT64_MAX >> __builtin_clzll(capacity - 1);
    ring->cells = cells;
    uint64_t first = laps * lap_of(ring);
    ring->first = first;
    atom_store_relaxed(&ring->sealed, 0);
    atom_store_relaxed(&ring->closer, 0);
    atom_store_relaxed(&ring->tail, first);
    atom_store_relaxed(&ring->head, first);
    atom_store_relaxed(&ring->put_waits, 0);
    atom_store_relaxed(&ring->take_waits, 0);
    struct cell_shm *cell = shl_at(segment, cells);
    for (uint64_t i = 0; i < capacity; i++)
        atom_store_relaxed(&cell[i].turn, first + i * CELL_ONE);
}

int shl_cells_seal(const struct ring_call *call)
{
    int code = enter(call);
    if (code < 0)
        return code;
    struct cells_shm *ring = call->cells;
    struct robust_list *before = shl_pending_set(&ring->not_empty.bell);
    if (SHL_MISTAKE("cells.seal"))
        shl_pending_clear(before);
    /* [park.flag] seq_cst. */
    atom_exchange_seq_cst(&ring->sealed, 1);
    SHL_CHAOS("cells.sealed");
    shl_park_ring_both(&ring->not_empty, &ring->not_full);
    shl_pending_clear(before);
    leave(call);
    return 0;
}

/* Waits for those who are in the middle of a call, but not for long. */
static bool wait_for_others(const struct ring_call *call)
{
    uint64_t give_up = shl_clock_ns() + CLOSE_GRACE_NS;
    atom64 *inside;
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

bool shl_cells_enter_ended(const struct ring_call *call, uint64_t own)
{
    atom64 *closer = &call->cells->closer;
    uint64_t seen = atom_load_relaxed(closer);
    if (seen && !shl_thread_is_gone(call->segment, shl_owner_short((uint32_t)seen)))
        return false;
    SHL_CHAOS("cells.closer");
    /* [cells.closer] acquire <- shl_cells_leave(). */
    if (!atom_cas_acquire_64(closer, seen, call->self->owner))
        return false;
    /* [object.own] acquire <- who finished it first, and who lives there now. */
    uint64_t lives = SHL_MISTAKE("object.finisher") ? own : atom_load_acquire(&call->object->own);
    if (lives == own && !who_is_inside(call))
        return true;
    shl_cells_leave(call);
    return false;
}

void shl_cells_leave(const struct ring_call *call)
{
    /* [cells.closer] release -> shl_cells_enter_ended(): what was freed. */
    atom_cas_release_64(&call->cells->closer, call->self->owner, 0);
}

void shl_cells_settle(struct cells_shm *ring, const struct shl_dead *dead)
{
    uint64_t seen = atom_load_relaxed(&ring->closer);
    if (shl_is_dead_thread(dead, (uint32_t)seen))
        /* [cells.closer] release. */
        atom_cas_release_64(&ring->closer, seen, 0);
}

/* The first position that is not filled, or not emptied. */
static uint64_t walk(const struct ring_call *call, unsigned side)
{
    struct attempt attempt = { .call = call };
    uint64_t turn = first_turn(call, side);
    for (uint64_t step = steps_max(call); step > 0; step--) {
        enum look look = look_at(&attempt, turn);
        bool filled = look == LOOK_OK && is_filled(attempt.seen);
        if (look == LOOK_AHEAD && side == SHL_TAKES)
            turn = next_of(call->cells, attempt.seen - lap_of(call->cells));
        else if (look == LOOK_AHEAD || (filled && side == SHL_PUTS))
            turn = step_on(call->cells, attempt.seen);
        else
            break;
    }
    return turn;
}

static uint64_t count_inside(const struct ring_call *call)
{
    uint64_t count = 0;
    for (int tries = 0; tries < 8; tries++) {
        uint64_t head = walk(call, SHL_TAKES), tail = walk(call, SHL_PUTS);
        count = distance(call->cells, head, tail);
        if (walk(call, SHL_TAKES) == head)
            break;
    }
    return count < call->cells->capacity ? count : call->cells->capacity;
}

uint64_t shl_cells_count(const struct ring_call *call)
{
    if (enter(call) < 0)
        return 0;
    uint64_t count = count_inside(call);
    leave(call);
    return count;
}

bool shl_cells_full(const struct ring_call *call)
{
    if (enter(call) < 0)
        return false;
    bool full = count_inside(call) >= call->cells->capacity;
    leave(call);
    return full;
}

void shl_cells_counters(const struct ring_call *call, uint64_t *ret_put, uint64_t *ret_taken)
{
    if (enter(call) < 0)
        return;
    *ret_taken = distance(call->cells, call->cells->first, walk(call, SHL_TAKES));
    *ret_put = distance(call->cells, call->cells->first, walk(call, SHL_PUTS));
    leave(call);
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
