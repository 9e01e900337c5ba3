#include "flow/joinable.h"

#include <shoal/joinable.h>

#include "flow/queue_shm.h"
#include "mem/journal.h"
#include "mem/lease.h"
#include "os/chaos.h"

static struct queue_shm *queue_of(const struct ring_call *call)
{
    return (struct queue_shm *)call->object;
}

/* --- telling ---------------------------------------------------------------------------------- */

static bool is_empty(struct ring_shm *ring)
{
    /* [park.flag] seq_cst: see joinable.h. */
    uint64_t tail = atom_load_seq_cst(&ring->tail.word);
    return RING_POSITION(tail) == RING_POSITION(atom_load_seq_cst(&ring->head.word));
}

static void ring_all(struct bell_shm *bell)
{
    /* [park.flag] seq_cst. */
    if (atom_load_seq_cst(&bell->flag))
        shl_park_ring_slow(bell, INT32_MAX);
}

void shl_joinable_wake(struct object_shm *object)
{
    struct bell_shm *done = &((struct queue_shm *)object)->joinable.done;
    struct robust_list *before = shl_pending_set(&done->bell);
    ring_all(done);
    shl_pending_clear(before);
}

void shl_joinable_over(struct object_shm *object, atom64 *lease, uint64_t word)
{
    struct queue_shm *queue = (struct queue_shm *)object;
    struct robust_list *before = shl_pending_set(&queue->joinable.done.bell);
    if (SHL_MISTAKE("joinable.pending"))
        shl_pending_clear(before);
    /* [lease.word] seq_cst -> shl_lease_next(), and for [park.flag]. */
    atom_exchange_seq_cst(lease, word);
    SHL_CHAOS("joinable.over");
    if (is_empty(&queue->ring))
        ring_all(&queue->joinable.done);
    shl_pending_clear(before);
}

void shl_joinable_returned(struct object_shm *object)
{
    struct queue_shm *queue = (struct queue_shm *)object;
    struct robust_list *before = shl_pending_set(&queue->ring.not_empty.bell);
    /* [joinable.returned] seq_cst -> claim(): the lease; and for [park.flag]. */
    if (!SHL_MISTAKE("joinable.returned"))
        atom_add_seq_cst(&queue->joinable.returned, 1);
    SHL_CHAOS("joinable.returned");
    shl_park_ring(&queue->ring.not_empty);
    shl_pending_set(&queue->joinable.done.bell);
    ring_all(&queue->joinable.done);
    shl_pending_clear(before);
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* A call that waits, at one of the queue's two bells, and what it has found. */
struct waiting {
    struct ring_call call;
    struct lease_shm *lease; /* what was claimed */
    uint64_t descriptor;     /* what was taken, if nothing was claimed */
    int taken;               /* 0: an end */
    bool looks;              /* for deaths: it is about to sleep, or to give up */
    bool dead;               /* one who has a lease, or is taking */
    int (*once)(struct waiting *waiting, struct shl_watches *watches);
};

/* A change of the word's low half is reason enough to look again. */
static void watch_word(struct shl_watches *watches, void *word, uint64_t seen)
{
    if (!SHL_MISTAKE("joinable.watch"))
        shl_watch(watches, word)->expected = (uint32_t)seen;
}

static void watch_life(struct waiting *waiting, struct shl_watches *watches, atom32 *life,
                       uint32_t alive, bool gone)
{
    if (life)
        shl_watch(watches, life)->expected = alive;
    else if (gone)
        waiting->dead = true;
    else
        watches->soon = true;
}

/* Is anybody taking? Of the first one the journal is watched. */
static bool look_at_takers(struct waiting *waiting, struct shl_watches *watches)
{
    const struct ring_call *call = &waiting->call;
    bool any = false;
    for (uint32_t i = 0; i < PEERS_MAX && !SHL_MISTAKE("joinable.takers"); i++) {
        atom64 *journal = &shl_thread_peer(call->segment, i)->journal.word;
        uint64_t word = atom_load_relaxed(journal); /* before it is known what it says */
        uint32_t alive = 0, taker = shl_journal_taker(call->segment, i, call->ref);
        if (taker == 0 || taker == call->self->owner)
            continue;
        if (!any)
            watch_word(watches, journal, word);
        any = true;
        if (!waiting->looks)
            break;
        struct shl_owner owner = shl_owner_short(taker);
        atom32 *life = shl_thread_life(call->segment, owner, &alive);
        watch_life(waiting, watches, life, alive,
                   !life && shl_thread_is_gone(call->segment, owner));
    }
    return any;
}

/* Is any lease out? Likewise. */
static bool look_at_leases(struct waiting *waiting, struct shl_watches *watches)
{
    const struct ring_call *call = &waiting->call;
    struct shl_object_walk walk = { 0 };
    uint64_t word;
    bool any = false;
    uint32_t last = call->self->process_owner;
    for (struct lease_shm *lease;
         (lease = shl_lease_next(call->segment, &walk, call->ref, &word));) {
        uint32_t alive = 0, owner = lease_word_owner(word);
        if (!any)
            watch_word(watches, &lease->word, word);
        any = true;
        if (!waiting->looks)
            break;
        if (lease_word_state(word) != LEASE_HELD || owner == last)
            continue;
        last = owner;
        atom32 *life = shl_process_life(call->segment, owner, &alive);
        watch_life(waiting, watches, life, alive,
                   !life && shl_process_owner_is_gone(call->segment, shl_owner_short(owner)));
    }
    return any;
}

/* Is anything out? In this order: see joinable.h. */
static bool look_around(struct waiting *waiting, struct shl_watches *watches)
{
    bool is_taken = look_at_takers(waiting, watches);
    return look_at_leases(waiting, watches) || is_taken;
}

/* The lease that was returned first, and of so many deliveries at least: now the caller's. */
static struct lease_shm *claim(const struct ring_call *call, uint32_t deliveries_min,
                               struct shl_watches *watches)
{
    struct joinable_shm *joinable = &queue_of(call)->joinable;
    /* [joinable.returned] seq_cst <- shl_joinable_returned(). */
    uint32_t seen = atom_load_seq_cst(&joinable->returned);
    watch_word(watches, &joinable->returned, seen);
    if (likely(seen == 0))
        return NULL;
    struct lease_shm *lease = shl_lease_take_returned(call->segment, call->self, call->ref,
                                                      deliveries_min);
    if (lease || deliveries_min > 0)
        return lease;
    if (SHL_MISTAKE("joinable.lowered"))
        atom_store_relaxed(&joinable->returned, 0);
    else
        atom_cas_seq_cst_32(&joinable->returned, seen, 0); /* [joinable.returned] seq_cst */
    return NULL;
}

/* Once; and again, if somebody's death explains why there is nothing yet. */
static int attempt_and_look(struct waiting *waiting, struct shl_watches *ret_watches)
{
    waiting->looks = true;
    for (unsigned count = ret_watches->count, tries = 0; tries < 2; tries++) {
        ret_watches->count = count;
        waiting->dead = false;
        int code = waiting->once(waiting, ret_watches);
        if (code != -EAGAIN || !waiting->dead)
            return code;
        shl_peer_recover_all(waiting->call.segment);
    }
    ret_watches->soon = true; /* others settle it */
    return -EAGAIN;
}

static int attempt(void *context, struct shl_watches *ret_watches)
{
    struct waiting *waiting = context;
    waiting->looks = ret_watches->count > 0; /* else it spins */
    return waiting->looks ? attempt_and_look(waiting, ret_watches)
                          : waiting->once(waiting, ret_watches);
}

static bool ready_to_get(void *context)
{
    const struct ring_call *call = &((struct waiting *)context)->call;
    return atom_load_relaxed(&queue_of(call)->joinable.returned) ||
           !shl_object_is(call->object, call->ref) || shl_ring_count(call->ring) > 0 ||
           (atom_load_relaxed(&call->ring->tail.word) & RING_SEALED);
}

static bool always_ready(void *context)
{
    (void)context;
    return true; /* it looks again itself, and passes it on */
}

static int wait_at(struct waiting *waiting, struct bell_shm *bell, bool (*ready)(void *context))
{
    struct shl_watches watches;
    shl_watches_init(&watches);
    int code = attempt(waiting, &watches);
    if (code != -EAGAIN)
        return code;
    struct shl_park_for what = { .attempt = attempt,
                                 .ready = ready,
                                 .context = waiting,
                                 .object = waiting->call.object,
                                 .ref = waiting->call.ref };
    code = shl_park(bell, &what, waiting->call.deadline);
    if (code != -ETIMEDOUT)
        return code;
    shl_watches_init(&watches);
    code = attempt_and_look(waiting, &watches);
    return code == -EAGAIN ? -ETIMEDOUT : code;
}

/* --- getting ---------------------------------------------------------------------------------- */

static int take_once(struct waiting *waiting, struct shl_watches *watches)
{
    waiting->lease = claim(&waiting->call, 0, watches);
    if (waiting->lease)
        return 0;
    waiting->taken = shl_ring_try_take(&waiting->call, &waiting->descriptor, watches);
    if (waiting->taken == -EAGAIN && waiting->looks)
        look_around(waiting, watches);
    return waiting->taken < 0 ? waiting->taken : 0;
}

/* Behind the last message of a queue that was shut down. */
static int take_rest_once(struct waiting *waiting, struct shl_watches *watches)
{
    if (!shl_object_is(waiting->call.object, waiting->call.ref))
        return shl_error(-ESTALE, "the queue was destroyed");
    waiting->lease = claim(&waiting->call, 0, watches);
    if (waiting->lease)
        return 0;
    return look_around(waiting, watches) && !SHL_MISTAKE("joinable.end")
               ? -EAGAIN
               : shl_error(-EPIPE, "the queue was shut down, and all is finished");
}

static int take(struct waiting *waiting)
{
    struct queue_shm *queue = queue_of(&waiting->call);
    waiting->once = take_once;
    int code = wait_at(waiting, &queue->ring.not_empty, ready_to_get);
    if (code == -EPIPE) {
        waiting->once = take_rest_once;
        code = wait_at(waiting, &queue->joinable.done, always_ready);
    }
    return code == -ETIMEDOUT ? shl_error(code, "it is empty") : code;
}

/* What was taken, leased to the caller. */
static int begin(const struct waiting *waiting, struct lease_shm *lease, void **ret_payload)
{
    const struct ring_call *call = &waiting->call;
    struct shl_place place;
    uint64_t own;
    SHL_CHAOS("joinable.taken");
    bool found = shl_message_find(call->segment, waiting->descriptor, &place, &own);
    if (likely(found))
        shl_lease_begin(lease, call->self, &place, own);
    shl_journal_done(call->self);
    if (unlikely(!found)) {
        shl_lease_unused(call->segment, lease);
        return shl_error(-EUCLEAN, "what was queued is no payload: a process damaged the queue");
    }
    *ret_payload = shl_payload(place.block);
    return 0;
}

/* A message that was delivered too often goes elsewhere, or is dropped: killed before that is done,
 * it comes back, and is given up and counted once more. */
static void give_up(const struct ring_call *call, void *payload)
{
    struct joinable_shm *joinable = &queue_of(call)->joinable;
    shoal_queue dead_letters = { joinable->dead_letters };
    shl_self_pointer->inside++;
    if (SHOAL_IS_NONE(dead_letters) || shoal_queue_put(dead_letters, payload, SHOAL_NOW) < 0) {
        atom_add_relaxed(&joinable->dropped, 1);
        shoal_free(payload);
    }
    shl_self_pointer->inside--;
}

/* True if the lease that was claimed is to be delivered once more. */
static bool deliver(const struct ring_call *call, struct lease_shm *lease, void **ret_payload)
{
    struct shl_place place;
    uint32_t deliveries = lease_word_deliveries(atom_load_relaxed(&lease->word));
    if (unlikely(!shl_lease_place(call->segment, lease, &place))) {
        shl_lease_over(call->segment, lease); /* damaged */
        return false;
    }
    *ret_payload = shl_payload(place.block);
    if (deliveries <= queue_of(call)->joinable.deliveries_max || SHL_MISTAKE("joinable.deliver"))
        return true;
    give_up(call, *ret_payload);
    return false;
}

int shl_joinable_get(const struct ring_call *call, void **ret_payload)
{
    struct lease_shm *lease = shl_lease_prepare(call->segment, call->self, call->ref);
    if (unlikely(!lease))
        return shl_error_code();
    struct waiting waiting = { .call = *call };
    waiting.call.position = &lease->order;
    void *payload = NULL;
    int code;
    do
        code = take(&waiting);
    while (code == 0 && waiting.lease && !deliver(call, waiting.lease, &payload));
    if (likely(code == 0 && !waiting.lease && waiting.taken > 0))
        return begin(&waiting, lease, ret_payload);
    shl_lease_unused(call->segment, lease);
    if (code == 0 && waiting.lease)
        *ret_payload = payload;
    else if (code == 0) { /* an end, which counts until it is taken */
        if (is_empty(call->ring))
            shl_joinable_wake(call->object);
        return shl_error(-EPIPE, "an end was put for this consumer");
    }
    return code;
}

uint64_t shl_joinable_returned_count(const struct ring_call *call)
{
    uint64_t word, count = 0;
    struct shl_object_walk walk = { 0 };
    if (atom_load_relaxed(&queue_of(call)->joinable.returned) == 0)
        return 0;
    while (shl_lease_next(call->segment, &walk, call->ref, &word))
        count += lease_word_state(word) == LEASE_RETURNED;
    return count;
}

void shl_joinable_drop_returned(const struct ring_call *call)
{
    struct shl_place place;
    for (struct lease_shm *lease;
         (lease = shl_lease_take_returned(call->segment, call->self, call->ref, 0));) {
        if (shl_lease_place(call->segment, lease, &place))
            shoal_free(shl_payload(place.block));
        else
            shl_lease_over(call->segment, lease);
    }
}

/* --- joining ---------------------------------------------------------------------------------- */

static bool is_done(struct waiting *waiting, struct shl_watches *watches)
{
    struct ring_shm *ring = waiting->call.ring;
    /* [park.flag] seq_cst: see joinable.h. */
    uint64_t tail = RING_POSITION(atom_load_seq_cst(&ring->tail.word));
    uint64_t head = RING_POSITION(atom_load_seq_cst(&ring->head.word));
    watch_word(watches, &ring->head.word, head);
    bool is_out = (head != tail && !waiting->looks) || look_around(waiting, watches);
    if (SHL_MISTAKE("joinable.order"))
        return !is_out && is_empty(ring);
    return head == tail && !is_out &&
           RING_POSITION(atom_load_seq_cst(&ring->tail.word)) == tail; /* [park.flag] likewise */
}

/* Those that were delivered too often wait for no consumer. */
static int join_once(struct waiting *waiting, struct shl_watches *watches)
{
    const struct ring_call *call = &waiting->call;
    if (!shl_object_is(call->object, call->ref))
        return shl_error(-ESTALE, "the queue was destroyed");
    waiting->lease = claim(call, queue_of(call)->joinable.deliveries_max, watches);
    return waiting->lease || is_done(waiting, watches) ? 0 : -EAGAIN;
}

static int find_joinable(shoal_queue handle, shoal_deadline deadline, struct ring_call *ret_call)
{
    struct shl_segment *segment;
    struct object_shm *object = shl_object_find(handle.ref, KIND_QUEUE, &segment);
    struct shl_attachment *self = object ? shl_self(segment) : NULL;
    if (!self)
        return shl_error_code();
    struct queue_shm *queue = (struct queue_shm *)object;
    REQUIRE(queue->joinable.deliveries_max && queue->ring_kind == RING_DENSE, -EINVAL,
            "the queue is not joinable");
    *ret_call = (struct ring_call){ .segment = segment,
                                    .self = self,
                                    .ring = &queue->ring,
                                    .object = object,
                                    .ref = handle.ref,
                                    .deadline = deadline };
    return 0;
}

int shoal_queue_join(shoal_queue queue, shoal_deadline deadline)
{
    struct waiting waiting = { .once = join_once };
    void *payload;
    int code = find_joinable(queue, deadline, &waiting.call);
    if (code < 0)
        return code;
    do {
        code = wait_at(&waiting, &queue_of(&waiting.call)->joinable.done, always_ready);
        if (code == 0 && waiting.lease)
            deliver(&waiting.call, waiting.lease, &payload);
    } while (code == 0 && waiting.lease);
    return code == -ETIMEDOUT ? shl_error(code, "not all that was put is finished") : code;
}

/* --- what is leased --------------------------------------------------------------------------- */

/* The block of a payload that the caller's process has leased, and its word. */
static int find_leased(const void *payload, struct shl_place *ret_place, uint64_t *ret_own,
                       struct lease_shm **ret_lease)
{
    REQUIRE(payload, -EINVAL, "the payload is NULL");
    REQUIRE(shl_place_find(payload, ret_place), -EFAULT, "not a payload");
    const struct shl_attachment *self = shl_self(ret_place->segment);
    if (!self)
        return shl_error_code();
    /* [lease.word] acquire <- shl_lease_begin(). */
    *ret_own = atom_load_acquire(&ret_place->block->own);
    REQUIRE(block_own_state(*ret_own) == BLOCK_LEASED, -EOVERFLOW,
            "the payload is not leased: freed, or task_done() called too many times");
    *ret_lease = shl_lease_mine(ret_place->segment, *ret_own, self);
    return *ret_lease ? 0 : shl_error_code();
}

int shoal_queue_task_done(shoal_queue queue, void *payload)
{
    struct ring_call call;
    struct shl_place place;
    struct lease_shm *lease;
    uint64_t own;
    int code = find_joinable(queue, SHOAL_NOW, &call);
    if (code == 0)
        code = find_leased(payload, &place, &own, &lease);
    if (code < 0)
        return code;
    REQUIRE(atom_load_relaxed(&lease->queue) == queue.ref, -EINVAL,
            "the payload is leased from another queue");
    code = shl_lease_finish(&place, own, shl_self(place.segment));
    if (code == 0)
        shoal_free(payload);
    return code;
}

int shoal_queue_deliveries(const void *payload)
{
    struct shl_place place;
    struct lease_shm *lease;
    uint64_t own;
    int code = find_leased(payload, &place, &own, &lease);
    return code < 0 ? code : (int)lease_word_deliveries(atom_load_relaxed(&lease->word));
}
