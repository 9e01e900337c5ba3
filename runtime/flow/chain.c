#include "flow/chain.h"

#include "flow/making.h"
#include "flow/queue.h"
#include "mem/alloc.h"
#include "mem/journal.h"
#include "os/chaos.h"

/* Of a damaged chain no more rings are gone through; nor do others end so many meanwhile. */
#define ROUNDS_MAX 65536
/* How often rings are counted anew, if others drain them meanwhile. */
#define TRIES 8

static const char damaged[] = "a process damaged the queue";
static const char destroyed[] = "the queue was destroyed";

static struct cells_shm *cells_of(struct object_shm *object)
{
    return &((struct queue_shm *)object)->cells;
}

static struct chain_shm *chain_of(const struct ring_call *call)
{
    return &cells_of(call->object)->chain;
}

/* Not none, and not the end of all. */
static bool is_ring(uint64_t end)
{
    return end > CELLS_SHUT;
}

void shl_chain_init(struct chain_shm *chain)
{
    atom_store_relaxed(&chain->oldest, 0);
    atom_store_relaxed(&chain->passed, 0);
    atom_store_relaxed(&chain->newest, 0);
    atom_store_relaxed(&chain->maker, 0);
    chain->home = 0;
}

/* --- one ring -------------------------------------------------------------------------------- */

/* A call on a queue that has grown, member by member: clearing it all takes longer. */
static inline void describe(struct shl_found *home, struct ring_call *ret_call)
{
    ret_call->segment = home->segment;
    ret_call->self = home->self;
    ret_call->found = home;
    ret_call->cells = home->ring;
    ret_call->object = home->object;
    ret_call->ref = home->ref;
    ret_call->is_owned = home->items == ITEMS_PAYLOADS;
    ret_call->item_size = sizeof(uint64_t);
}

/* The notes on a ring of the chain; NULL (an error may have been told) if it is gone. */
static inline struct shl_found *reach(const struct ring_call *call, uint64_t ref)
{
    struct shl_found *found = call->found;
    if (shl_ref_id(ref) != shl_ref_id(call->ref) && ref != 0)
        return NULL; /* damaged: what is noted stays of one segment */
    if (ref != 0 || found->ref != call->ref) {
        shl_self_pointer->inside++;
        found = ref ? shl_find(ref, KIND_QUEUE) : shl_find_even_closed(call->ref, KIND_QUEUE);
        shl_self_pointer->inside--;
    }
    if (unlikely(!found))
        return NULL;
    if (unlikely(found->items == ITEMS_UNKNOWN ||
                 (found->items != ITEMS_DENSE && !shl_cells_are_known(found))))
        shl_queue_learn(found);
    bool is_its = found->items != ITEMS_DENSE && (ref == 0 || found->ring->chain.home == call->ref);
    return likely(is_its) ? found : NULL;
}

/* E3, behind every call on a ring. */
static inline void left(const struct shl_found *ring)
{
    if (likely(shl_object_is(ring->object, ring->ref)) || SHL_MISTAKE("chain.left"))
        return;
    /* [cells.closer] seq_cst: the leave, before the look at who else frees it. */
    atom_exchange_seq_cst(&ring->self->journal->inside, 0);
    shl_object_finish(ring->segment, KIND_QUEUE, ring->object, ring->ref);
}

static uint64_t oldest_of(const struct ring_call *call)
{
    /* [chain.oldest] acquire <- E1. */
    return atom_load_acquire(&chain_of(call)->oldest);
}

static uint64_t end_of(const struct cells_shm *ring)
{
    /* [chain.end] acquire <- shl_cells_seal(): the ring that it names. */
    return atom_load_acquire(&ring->end);
}

/* Where to go on behind the ring at `*ret_at`, which is at its end (NULL: is gone): 0, or why
 * nowhere. What is gone was passed and does not come again: `*gone` is the last one that a call
 * has met. */
static SHL_COLD int go_on(const struct ring_call *call, const struct shl_found *ring,
                          uint64_t *gone, uint64_t *ret_at)
{
    uint64_t end = ring ? end_of(ring->ring) : 0, oldest = oldest_of(call);
    bool is_over = !shl_object_is(call->object, call->ref);
    bool is_good = ring && shl_object_is(ring->object, ring->ref);
    if (is_over && ring && ring->ref != call->ref)
        shl_object_expire(ring->object, ring->ref);
    if (ring)
        left(ring);
    if (is_over)
        return shl_error(-ESTALE, destroyed);
    if (is_good && end == CELLS_SHUT)
        return -EPIPE;
    if (!ring && *ret_at == *gone)
        return shl_error(-EUCLEAN, damaged);
    *gone = ring ? *gone : *ret_at;
    *ret_at = is_good && is_ring(end) ? end : oldest;
    return 0;
}

/* --- put ------------------------------------------------------------------------------------- */

/* C1. A ring that nobody but those who settle deaths will see before C2. */
static int make(const struct ring_call *call, uint64_t capacity, struct ring_call *ret_ring)
{
    struct object_shm *object = shl_object_create(call->segment, POOL_CELLS);
    if (!object)
        return shl_error_code();
    struct cells_shm *cells = cells_of(object);
    const shoal_queue_options options = { .value_size = call->is_owned ? 0 : call->item_size };
    shl_queue_describe(object, &options, RING_CELLS);
    int code = shl_queue_init(call->segment, object, capacity);
    if (code < 0) {
        shl_object_free(call->segment, object);
        return code;
    }
    cells->chain.home = call->ref;
    atom_store_relaxed(&cells->chain.maker, call->self->owner);
    /* It ends with whom the queue ends: who sleeps there watches his life. */
    atom_store_relaxed(&object->creator, atom_load_relaxed(&call->object->creator));
    uint64_t ref = shl_object_publish(object, KIND_QUEUE);
    *ret_ring = (struct ring_call){ .segment = call->segment,
                                    .self = call->self,
                                    .cells = cells,
                                    .object = object,
                                    .ref = ref,
                                    .is_owned = call->is_owned };
    return 0;
}

/* As large as there is memory for, but no smaller than rings begin. */
static int make_some(const struct ring_call *call, const struct shl_found *full,
                     struct ring_call *ret_ring)
{
    uint64_t capacity = 2 * (uint64_t)full->capacity;
    capacity = capacity < CHAIN_CELLS_MAX ? capacity : CHAIN_CELLS_MAX;
    int code;
    while ((code = make(call, capacity, ret_ring)) == -ENOMEM && capacity > CHAIN_CELLS_FIRST)
        capacity /= 2;
    return code;
}

/* Behind a full ring there is another one: -EPIPE, as where somebody else was the first. */
static SHL_COLD int lengthen(const struct ring_call *call, const struct shl_found *full)
{
    struct ring_call next;
    int code = make_some(call, full, &next);
    if (code < 0)
        return code;
    SHL_CHAOS("chain.C2");
    code = shl_cells_seal(full, next.ref);
    SHL_CHAOS("chain.C3");
    if (code < 0 || atom_load_relaxed(&full->ring->end) != next.ref) {
        if (!SHL_MISTAKE("chain.unmade"))
            shl_queue_end(&next);
        return code < 0 ? code : -EPIPE;
    }
    /* [chain.maker] release -> shl_chain_settle(): it is linked. Fails if the ring is gone. */
    atom_cas_release_64(&next.cells->chain.maker, call->self->owner, 0);
    atom_store_relaxed(&chain_of(call)->newest, next.ref);
    return -EPIPE;
}

static int put_at(const struct ring_call *call, struct shl_found *ring, uint64_t item,
                  enum cell_state state)
{
    if (call->is_owned && state == CELL_FULL)
        shl_journal_moves(call->self, ring->ref);
    return shl_cells_put_here(ring, item, state);
}

int shl_chain_put(struct shl_found *home, uint64_t item, enum cell_state state)
{
    struct ring_call call;
    describe(home, &call);
    REQUIRE(shl_object_is(call.object, call.ref), -ESTALE, destroyed);
    uint64_t at = atom_load_relaxed(&chain_of(&call)->newest), gone = UINT64_MAX;
    for (int rounds = 0; rounds < ROUNDS_MAX; rounds++) {
        struct shl_found *ring = reach(&call, at);
        int code = ring ? put_at(&call, ring, item, state) : -ESTALE;
        if (unlikely(code == -ETIMEDOUT))
            code = lengthen(&call, ring);
        if (likely(code != -EPIPE && code != -ESTALE)) {
            left(ring);
            return code;
        }
        code = go_on(&call, ring, &gone, &at);
        if (code < 0)
            return code;
    }
    return shl_error(-EUCLEAN, damaged);
}

/* --- take ------------------------------------------------------------------------------------ */

/* E1 and E2, if it has a successor: a ring that is drained and closed. */
static SHL_COLD void pass(const struct ring_call *call, struct shl_found *ring)
{
    struct chain_shm *chain = chain_of(call);
    uint64_t passed = atom_load_relaxed(&chain->passed), put, taken = UINT64_MAX;
    uint64_t end = end_of(ring->ring);
    shl_cells_counters(ring, &put, &taken);
    if (taken == UINT64_MAX || !is_ring(end))
        return;
    uint64_t before = ring->ref == call->ref ? 0 : ring->ref;
    SHL_CHAOS("chain.E1");
    /* [chain.oldest] release; seq_cst because it is the pair's only one. */
    if (!atom_cas_seq_cst_pair(&chain->oldest, before, passed, end, passed + taken) || before == 0)
        return;
    SHL_CHAOS("chain.E2");
    shl_object_expire(ring->object, ring->ref);
    SHL_CHAOS("chain.E3");
}

int shl_chain_take(struct shl_found *home, bool leaves_end, shoal_deadline deadline, void *ret_item)
{
    struct ring_call call;
    describe(home, &call);
    REQUIRE(shl_object_is(call.object, call.ref), -ESTALE, destroyed);
    uint64_t at = oldest_of(&call), gone = UINT64_MAX;
    for (int rounds = 0; rounds < ROUNDS_MAX; rounds++) {
        struct shl_found *ring = reach(&call, at);
        int code = ring ? shl_cells_take_here(ring, leaves_end, deadline, ret_item) : -ESTALE;
        if (likely(code != -EPIPE && code != -ESTALE)) {
            left(ring);
            return code;
        }
        if (code == -EPIPE)
            pass(&call, ring);
        code = go_on(&call, ring, &gone, &at);
        if (code < 0)
            return code;
    }
    return shl_error(-EUCLEAN, damaged);
}

/* --- all rings ------------------------------------------------------------------------------- */

int shl_chain_seal(const struct ring_call *call)
{
    uint64_t at = oldest_of(call), gone = UINT64_MAX;
    for (int rounds = 0; rounds < ROUNDS_MAX; rounds++) {
        struct shl_found *ring = reach(call, at);
        if (ring)
            shl_cells_seal(ring, CELLS_SHUT);
        int code = go_on(call, ring, &gone, &at);
        if (code < 0)
            return code == -EPIPE ? 0 : code;
    }
    return shl_error(-EUCLEAN, damaged);
}

typedef void ring_visitor(struct shl_found *ring, void *context);

/* Calls it for each ring that is not drained, from the first one on; false if one was drained
 * meanwhile. */
static bool walk(const struct ring_call *call, ring_visitor *visitor, void *context)
{
    struct shl_found *ring;
    uint64_t at = oldest_of(call);
    for (int rounds = 0; rounds < ROUNDS_MAX && (ring = reach(call, at)); rounds++) {
        visitor(ring, context);
        at = end_of(ring->ring);
        bool is_good = shl_object_is(ring->object, ring->ref);
        left(ring);
        if (!is_good || !is_ring(at))
            return is_good;
    }
    return false;
}

struct sums {
    uint64_t count, put, taken;
};

static void add(struct shl_found *ring, void *context)
{
    struct sums *sums = context;
    uint64_t put = 0, taken = 0;
    sums->count += shl_cells_count(ring);
    shl_cells_counters(ring, &put, &taken);
    sums->put += put;
    sums->taken += taken;
}

/* What there is, as of some instant if others do not drain ring after ring meanwhile. */
static struct sums sum(const struct ring_call *call)
{
    struct sums sums;
    bool is_whole = false;
    for (int tries = 0; !is_whole && tries < TRIES; tries++) {
        uint64_t oldest = oldest_of(call), passed = atom_load_relaxed(&chain_of(call)->passed);
        sums = (struct sums){ .put = passed, .taken = passed };
        is_whole = walk(call, add, &sums) && oldest_of(call) == oldest;
    }
    return sums;
}

uint64_t shl_chain_count(const struct ring_call *call)
{
    return sum(call).count;
}

void shl_chain_counters(const struct ring_call *call, uint64_t *ret_put, uint64_t *ret_taken)
{
    struct sums sums = sum(call);
    *ret_put = sums.put;
    *ret_taken = sums.taken;
}

static void visit_ring(struct shl_found *ring, void *context)
{
    struct shl_visit visit = *(const struct shl_visit *)context;
    visit.ref = ring->ref;
    shl_cells_visit(ring->ring, &visit);
}

void shl_chain_visit(const struct ring_call *call, const struct shl_visit *visit)
{
    struct shl_visit copy = *visit;
    walk(call, visit_ring, &copy);
}

/* --- the end --------------------------------------------------------------------------------- */

bool shl_chain_is_part(struct object_shm *object)
{
    const struct queue_shm *queue = (const struct queue_shm *)object;
    return queue->ring_kind != RING_DENSE && queue->cells.chain.home != 0;
}

static struct object_shm *home_of(const struct shl_found *ring)
{
    uint64_t home = ring->ring->chain.home;
    return home ? shl_object_place(ring->segment, home, KIND_QUEUE) : NULL;
}

struct cells_shm *shl_chain_home(const struct shl_found *ring)
{
    struct object_shm *queue = home_of(ring);
    return queue ? cells_of(queue) : ring->ring;
}

bool shl_chain_is_over(const struct shl_found *ring, struct shl_watches *watches)
{
    struct object_shm *queue = home_of(ring);
    if (queue && !SHL_MISTAKE("chain.over"))
        shl_watch_end(watches, queue, ring->ring->chain.home);
    return queue && !shl_object_is(queue, ring->ring->chain.home);
}

static void note_last(struct shl_found *ring, void *context)
{
    ((struct ring_call *)context)->cells = ring->ring;
}

int shl_chain_close(const struct ring_call *call)
{
    struct ring_call last = *call;
    walk(call, note_last, &last); /* only there is anybody asleep */
    return shl_cells_close(&last);
}

void shl_chain_end_rings(const struct ring_call *call)
{
    uint64_t first = end_of(call->cells), at = oldest_of(call);
    at = at ? at : first;
    for (int rounds = 0; is_ring(at) && rounds < ROUNDS_MAX; rounds++) {
        struct object_shm *object = shl_object_place(call->segment, at, KIND_QUEUE);
        if (!object || cells_of(object)->chain.home != call->ref)
            return;
        struct shl_found ring = { .ref = at,
                                  .object = object,
                                  .segment = call->segment,
                                  .self = call->self,
                                  .ring = cells_of(object) };
        shl_cells_seal(&ring, CELLS_SHUT);
        at = end_of(ring.ring);
        /* Others end it, too, who find its home gone; once it is freed it leads elsewhere. */
        /* [object.own] acquire <- who freed it. */
        if (atom_load_acquire(&object->own) != block_own_make_ref(BLOCK_OBJECT, ring.ref))
            return;
        struct ring_call its = shl_queue_call(call->segment, object);
        its.self = call->self;
        its.ref = ring.ref;
        if (shl_queue_end(&its) < 0)
            left(&ring);
    }
}

/* --- what the dead leave --------------------------------------------------------------------- */

/* Does the chain of a queue that is there lead to the ring? */
static bool is_reached(const struct shl_segment *segment, uint64_t home, uint64_t ref)
{
    struct object_shm *queue = shl_object_place(segment, home, KIND_QUEUE);
    uint64_t at = 0;
    bool goes_on = false;
    for (int rounds = 0; queue && rounds < ROUNDS_MAX; rounds++) {
        /* [chain.oldest] acquire <- E1. */
        at = goes_on ? at : atom_load_acquire(&cells_of(queue)->chain.oldest);
        struct object_shm *ring = at ? shl_object_place(segment, at, KIND_QUEUE) : queue;
        if (at == ref || !ring || !shl_object_is(queue, home))
            return at == ref && shl_object_is(queue, home);
        uint64_t end = end_of(cells_of(ring));
        goes_on = shl_object_is(ring, at ? at : home); /* else it was drained meanwhile */
        if (goes_on && !is_ring(end))
            return false;
        at = end;
    }
    return true;
}

void shl_chain_settle(const struct shl_segment *segment, struct object_shm *object)
{
    /* [object.own] acquire <- shl_object_publish(): home and maker. */
    uint64_t own = atom_load_acquire(&object->own), ref = atom_load_relaxed(&object->self);
    struct chain_shm *chain = &cells_of(object)->chain;
    uint64_t home = chain->home;
    /* [chain.maker] acquire <- C3: it is linked. */
    uint32_t maker = (uint32_t)atom_load_acquire(&chain->maker);
    if (own != block_own_make_ref(BLOCK_OBJECT, ref) || home == 0 || SHL_MISTAKE("chain.settle"))
        return;
    bool is_made = !maker || shl_thread_is_gone(segment, shl_owner_short(maker));
    if (is_made && !is_reached(segment, home, ref))
        shl_object_expire(object, ref);
}
