/*
 * Purpose. Queues over a ring, of one of two kinds: who owns a message at each instant. Payloads
 * and values of eight bytes are in a ring of cells, unless the options ask for bulk, leases or a
 * sum of bytes, and without a capacity in a chain of them; all else is in a dense one.
 *
 * A put marks the block SENDING and then commits the ring; a get commits the ring and then marks
 * the block OWNED. So a block whose header says SENDING is in a ring, or its putter or getter died
 * between the two steps: that thread's journal tells which (mem/journal.h).
 */
#include "flow/queue.h"

#include <shoal/queue.h>
#include <shoal/stats.h>
#include <string.h>

#include "flow/cells.h"
#include "flow/chain.h"
#include "flow/joinable.h"
#include "flow/settle.h"
#include "flow/single.h"
#include "flow/store.h"
#include "mem/alloc.h"
#include "mem/closed.h"
#include "mem/journal.h"
#include "mem/lease.h"
#include "mem/name.h"
#include "mem/share.h"
#include "os/chaos.h"

static struct queue_shm *queue_of(const struct ring_call *call)
{
    return (struct queue_shm *)call->object;
}

/* The bytes of a message on its way. */
static uint64_t weigh(const struct ring_call *call, uint64_t descriptor)
{
    return shl_share_size(call->segment, 0, descriptor_offset(descriptor));
}

static void set_items(struct ring_call *call)
{
    struct queue_shm *queue = queue_of(call);
    uint32_t value_size = queue->value_size;
    /* What was noted decides: there are no cells to go to if another process says otherwise now. */
    bool has_cells = call->found ? call->found->items != ITEMS_DENSE
                                 : queue->ring_kind != RING_DENSE;
    call->ring = has_cells ? NULL : &queue->ring;
    call->cells = has_cells ? &queue->cells : NULL;
    call->is_chain = call->found && call->found->is_chained;
    call->is_owned = value_size == 0;
    call->item_size = call->is_owned || has_cells ? sizeof(uint64_t) : value_size;
    if (unlikely(call->is_owned && queue->capacity_size > 0)) {
        call->size_max = queue->capacity_size;
        call->weigh = weigh;
    }
}

struct ring_call shl_queue_call(const struct shl_segment *segment, struct object_shm *object)
{
    struct ring_call call = { .segment = segment, .object = object };
    set_items(&call);
    return call;
}

static int check_items(const struct ring_call *call)
{
    REQUIRE(call->item_size <= SHOAL_QUEUE_VALUE_SIZE_MAX, -EUCLEAN, "a process damaged the queue");
    return 0;
}

SHL_COLD void shl_queue_learn(struct shl_found *found)
{
    struct queue_shm *queue = (struct queue_shm *)found->object;
    if (queue->ring_kind == RING_DENSE)
        found->items = ITEMS_DENSE;
    else
        shl_cells_learn(found, &queue->cells,
                        queue->value_size == 0 ? ITEMS_PAYLOADS : ITEMS_VALUES);
    found->is_chained = queue->ring_kind == RING_CHAIN;
    for (unsigned side = 0; side < SHL_SIDES; side++)
        /* Also void what was noted of another queue to which the same handle led. */
        found->shortest[side] = atom_load_relaxed(&queue->singles[side]) == 0 ? found->items
                                                                              : ITEMS_UNKNOWN;
    found->puts_alone = atom_load_relaxed(&queue->singles[SHL_PUTS]) != 0;
}

/* A call on the queue that was found, by the calling thread. 0 or an error. */
static int call_on(struct shl_found *found, shoal_deadline deadline, struct ring_call *ret_call)
{
    if (unlikely(!found))
        return shl_error_code();
    bool has_cells = found->items == ITEMS_PAYLOADS || found->items == ITEMS_VALUES;
    if (unlikely(found->items == ITEMS_UNKNOWN || (has_cells && !shl_cells_are_known(found))))
        shl_queue_learn(found);
    /* Member by member: clearing it all takes longer. */
    ret_call->segment = found->segment;
    ret_call->self = found->self;
    ret_call->found = found;
    ret_call->object = found->object;
    ret_call->ref = found->ref;
    ret_call->leaves_end = false;
    ret_call->position = NULL;
    ret_call->deadline.ns = deadline.ns;
    ret_call->hooks = NULL;
    ret_call->size_max = 0;
    /* Else the two words are moved as one, which waits for their stores. */
    atom_compiler_barrier();
    ret_call->deadline.cancel = deadline.cancel;
    set_items(ret_call);
    return check_items(ret_call);
}

int shl_queue_find(shoal_queue handle, shoal_deadline deadline, struct ring_call *ret_call)
{
    return call_on(shl_find(handle.ref, KIND_QUEUE), deadline, ret_call);
}

/* Likewise for those who do not mind that it is closed here. */
static int find_even_closed(shoal_queue handle, struct ring_call *ret_call)
{
    return call_on(shl_find_even_closed(handle.ref, KIND_QUEUE), SHOAL_FOREVER, ret_call);
}

/* Likewise for a call that puts payloads, or takes them. */
static int find_payloads(shoal_queue handle, shoal_deadline deadline, struct ring_call *ret_call)
{
    int code = call_on(shl_find(handle.ref, KIND_QUEUE), deadline, ret_call);
    if (unlikely(code < 0))
        return code;
    REQUIRE(ret_call->is_owned, -EINVAL, "it is a queue of values");
    return 0;
}

/* --- either ring ---------------------------------------------------------------------------- */

static bool is_joinable(const struct ring_call *call)
{
    /* Cells and ends of pipes never are, whatever another process has written there. */
    return call->ring && queue_of(call)->joinable.deliveries_max != 0 && !call->hooks;
}

/* In a ring of cells items have eight bytes, and are moved one by one. */
int shl_queue_put_items(const struct ring_call *call, const void *items, uint32_t count)
{
    uint64_t item;
    if (!call->cells)
        return shl_ring_put(call, items, count);
    memcpy(&item, items, sizeof item);
    int code = shl_cells_put(call->found, item, call->deadline);
    return code < 0 ? code : 1;
}

int shl_queue_take_items(const struct ring_call *call, void *ret_items, uint32_t count)
{
    uint64_t item = 0;
    if (!call->cells) {
        int taken = shl_ring_take(call, ret_items, count);
        return taken == 0 ? shl_error(-EPIPE, "an end was put for this consumer") : taken;
    }
    void *to = ret_items ? ret_items : &item;
    int code = shl_cells_take(call->found, call->leaves_end, call->deadline, to);
    return code < 0 ? code : 1;
}

static int ring_seal(const struct ring_call *call)
{
    if (call->is_chain)
        return shl_chain_seal(call);
    return call->cells ? shl_cells_seal(call->found, CELLS_SHUT) : shl_ring_seal(call);
}

static uint64_t ring_count(const struct ring_call *call)
{
    if (call->is_chain)
        return shl_chain_count(call);
    return call->cells ? shl_cells_count(call->found) : shl_ring_count(call->ring);
}

static void ring_counters(const struct ring_call *call, shoal_queue_counters *ret_counters)
{
    atom64 *put_waits = call->cells ? &call->cells->put_waits : &call->ring->put_waits;
    atom64 *take_waits = call->cells ? &call->cells->take_waits : &call->ring->take_waits;
    ret_counters->put_waits = atom_load_relaxed(put_waits);
    ret_counters->get_waits = atom_load_relaxed(take_waits);
    if (call->is_chain)
        shl_chain_counters(call, &ret_counters->puts, &ret_counters->gets);
    else if (call->cells)
        shl_cells_counters(call->found, &ret_counters->puts, &ret_counters->gets);
    else
        shl_ring_counters(call->ring, &ret_counters->puts, &ret_counters->gets);
}

static int ring_close(const struct ring_call *call)
{
    if (call->is_chain)
        return shl_chain_close(call);
    return call->cells ? shl_cells_close(call) : shl_ring_close(call);
}

static bool ring_enter_ended(const struct ring_call *call, uint64_t own)
{
    return call->cells ? shl_cells_enter_ended(call, own) : shl_ring_enter_ended(call, own);
}

static void ring_leave(const struct ring_call *call)
{
    if (call->cells)
        shl_cells_leave(call);
    else
        shl_ring_leave(call);
}

/* Is it a payload that the caller may put into this segment's queue? */
static int check_payload(const struct ring_call *call, const void *payload, uint64_t *ret_own)
{
    struct shl_place place;
    REQUIRE(payload, -EINVAL, "the payload is NULL");
    REQUIRE(shl_place_find(payload, &place), -EFAULT, "put: not a payload, as shoal_alloc() makes");
    REQUIRE(place.segment == call->segment, -EXDEV,
            "put: the payload lies in another segment than the queue");
    uint64_t own = atom_load_relaxed(&place.block->own);
    *ret_own = own;
    if (likely(block_own_is_mine(own, call->self->process_owner)))
        return GUARD_SIZE ? shl_guard_look(&place) : 0;
    if (block_own_state(own) == BLOCK_LEASED)
        return shl_lease_mine(call->segment, own, call->self) ? 0 : shl_error_code();
    if (block_own_state(own) != BLOCK_SHARED)
        return shl_block_error(call->segment, own);
    REQUIRE(!is_joinable(call), -ENOTSUP, "put: a shared payload, and the queue is joinable");
    return 0;
}

/* A block of the process's goes on its way, for the time since that its header counts. */
static inline void begin_put(const struct shl_attachment *self, uint64_t queue,
                             struct block_shm *block, uint32_t seq, uint64_t descriptor)
{
    shl_journal_putting(self, queue, descriptor);
    SHL_CHAOS("queue.journal");
    atom_store_relaxed(&block->own, block_own_make(BLOCK_SENDING, self->process_owner, seq));
    SHL_CHAOS("queue.sending");
}

/* It is in the queue, or with an error it is what it was. */
static inline void end_put(const struct shl_attachment *self, struct block_shm *block,
                           uint64_t own_before, int code)
{
    SHL_CHAOS("queue.put");
    if (unlikely(code < 0))
        atom_store_relaxed(&block->own, own_before);
    shl_journal_done(self);
}

static int put_own(const struct ring_call *call, void *payload, uint64_t own)
{
    struct block_shm *block = shl_block(payload);
    struct lease_shm *lease = NULL;
    if (unlikely(block_own_state(own) == BLOCK_LEASED))
        lease = shl_lease_of(call->segment, own);
    uint32_t seq = (lease ? block_own_seq_lent(own) : block_own_seq(own)) + 1;
    uint64_t descriptor = descriptor_make(shl_offset(call->segment, payload), seq);
    uint64_t before = block_own_make(BLOCK_OWNED, call->self->process_owner, seq);
    if (unlikely(lease)) {
        before = block_own_lend(BLOCK_LEASED, own, before);
        shl_lease_goes(lease, descriptor);
    }
    begin_put(call->self, call->ref, block, seq, descriptor);
    int code = shl_queue_put_items(call, &descriptor, 1);
    end_put(call->self, block, before, code);
    if (unlikely(lease && code >= 0))
        shl_lease_over(call->segment, lease);
    return code < 0 ? code : 0;
}

/* Of a shared one an envelope is put. */
static SHL_COLD int put_shared(const struct ring_call *call, uint64_t own)
{
    void *envelope = shl_share_wrap(call->segment, own, call->self);
    if (!envelope)
        return shl_error_code();
    int code = put_own(call, envelope, atom_load_relaxed(&shl_block(envelope)->own));
    if (code < 0)
        shl_share_unwrap(call->segment, envelope, call->self);
    return code;
}

/* Is it a payload of the process's that is like most? Then `*ret_seq` counts its sends. */
static inline bool is_plain(const struct shl_found *found, void *payload, uint64_t *ret_seq)
{
    struct shl_place place;
    return GUARD_SIZE == 0 && shl_place_in_run(found->segment, shl_block(payload), &place) &&
           shl_block_is_owned(found->self, place.block, ret_seq);
}

/* The shortest way. */
static inline int put_plain(struct shl_found *found, void *payload, uint32_t seq,
                            shoal_deadline deadline)
{
    const struct shl_attachment *self = found->self;
    struct block_shm *block = shl_block(payload);
    uint64_t descriptor = descriptor_make(shl_offset(found->segment, payload), seq);
    begin_put(self, found->ref, block, seq, descriptor);
    int code = shl_cells_put(found, descriptor, deadline);
    end_put(self, block, self->own_of_process | seq, code);
    return code;
}

int shl_queue_put(const struct ring_call *call, void *payload)
{
    uint64_t own = 0, seq = 0;
    bool plain = call->cells && is_plain(call->found, payload, &seq);
    int code = plain ? 0 : check_payload(call, payload, &own);
    if (likely(code == 0))
        code = shl_single_enter(call, SHL_PUTS);
    if (unlikely(code < 0))
        return code;
    if (plain)
        return put_plain(call->found, payload, (uint32_t)seq + 1, call->deadline);
    return unlikely(block_own_state(own) == BLOCK_SHARED) ? put_shared(call, own)
                                                          : put_own(call, payload, own);
}

static SHL_COLD int put_other(shoal_queue queue, void *payload, shoal_deadline deadline)
{
    struct ring_call call;
    int code = find_payloads(queue, deadline, &call);
    return unlikely(code < 0) ? code : shl_queue_put(&call, payload);
}

int shoal_queue_put(shoal_queue queue, void *payload, shoal_deadline deadline)
{
    uint64_t seq;
    struct shl_found *found = shl_queue_find_cells(queue, ITEMS_PAYLOADS, SHL_PUTS);
    if (likely(found && is_plain(found, payload, &seq)))
        return put_plain(found, payload, (uint32_t)seq + 1, deadline);
    return put_other(queue, payload, deadline);
}

int shl_queue_put_copy(const struct ring_call *call, const void *data, size_t size)
{
    REQUIRE(data || size == 0, -EINVAL, "the data is NULL");
    void *payload = shl_alloc(call->segment, size);
    if (!payload)
        return shl_error_code();
    if (size > 0)
        memcpy(payload, data, size);
    atom_add_relaxed(&queue_of(call)->copied_size, size);
    int code = shl_queue_put(call, payload);
    if (code < 0)
        shoal_free(payload);
    return code;
}

int shoal_queue_put_bytes(shoal_queue queue, const void *data, size_t size, shoal_deadline deadline)
{
    struct ring_call call;
    int code = find_payloads(queue, deadline, &call);
    return code < 0 ? code : shl_queue_put_copy(&call, data, size);
}

int shoal_queue_put_many(shoal_queue queue, void *const *payloads, size_t count, size_t *ret_count,
                         shoal_deadline deadline)
{
    REQUIRE(payloads && ret_count, -EINVAL, "put_many: a place is NULL");
    struct ring_call call;
    int code = find_payloads(queue, deadline, &call);
    if (unlikely(code < 0))
        return code;
    size_t done = 0;
    while (done < count && (code = shl_queue_put(&call, payloads[done])) == 0)
        done++;
    return shl_queue_some_of(done, code, ret_count);
}

/* The payload of a message that was taken, owned by the caller from now on; NULL with an error. */
static inline void *receive(const struct shl_segment *segment, const struct shl_attachment *self,
                            uint64_t descriptor)
{
    uint64_t own;
    struct shl_place place;
    if (unlikely(!shl_message_find(segment, descriptor, &place, &own))) {
        shl_error(-EUCLEAN, "what was queued is no payload: a process damaged the queue");
        return NULL;
    }
    atom_store_relaxed(&place.block->own, self->own_of_process | block_own_seq(own));
    return shl_payload(place.block);
}

/* Likewise, with all that is to be done about it. 0 or an error. */
static inline int end_get(const struct shl_segment *segment, struct shl_attachment *self,
                          uint64_t descriptor, void **ret_payload)
{
    SHL_CHAOS("queue.taken");
    void *payload = receive(segment, self, descriptor);
    SHL_CHAOS("queue.owned");
    shl_journal_done(self);
    if (payload && unlikely(atom_load_relaxed(&shl_block(payload)->meta) & BLOCK_META_ENVELOPE))
        payload = shl_share_unwrap(segment, payload, self);
    if (unlikely(!payload))
        return shl_error_code();
    *ret_payload = payload;
    return 0;
}

/* The shortest way. */
static inline int get_from_cells(struct shl_found *found, bool leaves_end, shoal_deadline deadline,
                                 void **ret_payload)
{
    uint64_t descriptor;
    int code = shl_cells_take(found, leaves_end, deadline, &descriptor);
    if (unlikely(code < 0))
        return code;
    if (SHL_MISTAKE("queue.overtaken") && shl_cells_put(found, descriptor, deadline) == 0)
        shl_cells_take(found, false, deadline, &descriptor);
    return end_get(found->segment, found->self, descriptor, ret_payload);
}

int shl_queue_get(const struct ring_call *call, void **ret_payload)
{
    uint64_t descriptor;
    if (call->cells)
        return get_from_cells(call->found, call->leaves_end, call->deadline, ret_payload);
    if (unlikely(is_joinable(call)))
        return shl_joinable_get(call, ret_payload);
    int code = shl_queue_take_items(call, &descriptor, 1);
    if (unlikely(code < 0))
        return code;
    return end_get(call->segment, call->self, descriptor, ret_payload);
}

static SHL_COLD int get_other(shoal_queue queue, void **ret_payload, shoal_deadline deadline)
{
    REQUIRE(ret_payload, -EINVAL, "no place for the payload");
    struct ring_call call;
    int code = find_payloads(queue, deadline, &call);
    if (likely(code == 0))
        code = shl_single_enter(&call, SHL_TAKES);
    return unlikely(code < 0) ? code : shl_queue_get(&call, ret_payload);
}

int shoal_queue_get(shoal_queue queue, void **ret_payload, shoal_deadline deadline)
{
    struct shl_found *found = shl_queue_find_cells(queue, ITEMS_PAYLOADS, SHL_TAKES);
    if (likely(found && ret_payload))
        return get_from_cells(found, false, deadline, ret_payload);
    return get_other(queue, ret_payload, deadline);
}

int shoal_queue_get_many(shoal_queue queue, void **ret_payloads, size_t count_max,
                         size_t *ret_count, shoal_deadline deadline)
{
    REQUIRE(ret_payloads && ret_count, -EINVAL, "get_many: a place is NULL");
    struct ring_call call;
    int code = find_payloads(queue, deadline, &call);
    if (likely(code == 0))
        code = shl_single_enter(&call, SHL_TAKES);
    if (unlikely(code < 0))
        return code;
    size_t done = 0;
    for (; done < count_max && (code = shl_queue_get(&call, &ret_payloads[done])) == 0; done++)
        shl_queue_take_no_more(&call);
    return shl_queue_some_of(done, code, ret_count);
}

int shoal_queue_put_end(shoal_queue queue, shoal_deadline deadline)
{
    struct ring_call call;
    int code = shl_queue_find(queue, deadline, &call);
    if (likely(code == 0))
        code = shl_single_enter(&call, SHL_PUTS);
    if (unlikely(code < 0))
        return code;
    code = call.cells ? shl_cells_put_end(call.found, deadline) : shl_ring_put_end(&call);
    return code < 0 ? code : 0;
}

int shoal_queue_shutdown(shoal_queue queue)
{
    struct ring_call call;
    int code = find_even_closed(queue, &call);
    return code < 0 ? code : ring_seal(&call);
}

static int drop_some(const struct ring_call *call)
{
    void *payload = NULL;
    if (!call->is_owned)
        return shl_queue_take_items(call, NULL, UINT16_MAX);
    int code = shl_queue_get(call, &payload);
    if (code == 0)
        shoal_free(payload);
    return code;
}

/* Positive if something was dropped; 0 if nothing was there, whatever a damaged ring may count. */
static int drop_next(const struct ring_call *call)
{
    shoal_queue_counters before = { 0 }, after = { 0 }; /* as they stay if it is destroyed */
    ring_counters(call, &before);
    int code = drop_some(call);
    if (code != -EPIPE)
        return code < 0 ? code : 1;
    ring_counters(call, &after);
    return after.gets != before.gets; /* an end is -EPIPE too, but was taken */
}

/* Nothing comes any more: it is taken, here or by others, until nothing is left. */
int shoal_queue_shutdown_now(shoal_queue queue)
{
    struct ring_call call;
    int code = find_even_closed(queue, &call);
    if (code == 0)
        code = ring_seal(&call);
    if (code < 0)
        return code;
    call.deadline = SHOAL_NOW;
    do
        code = ring_count(&call) > 0 ? drop_next(&call) : 0;
    while (code > 0);
    if (code == 0 && is_joinable(&call))
        shl_joinable_drop_returned(&call);
    return code;
}

static bool free_message(void *context, uint64_t descriptor)
{
    const struct ring_call *call = context;
    shl_message_free(call->segment, call->self, descriptor);
    return false;
}

/* Nobody is inside and no handle is good any more. */
static void free_contents(struct ring_call *call)
{
    uint64_t descriptor;
    struct shl_visit all = { call->segment, 0, call->ref, free_message, call };
    if (call->is_owned && call->cells)
        shl_cells_visit(call->cells, &all);
    else if (call->is_owned)
        for (; shl_ring_first(call, &descriptor); shl_ring_drop(call))
            free_message(call, descriptor);
    if (is_joinable(call))
        shl_joinable_drop_returned(call);
    if (!call->cells)
        shl_store_free(call);
    else
        shl_object_free_part(call->segment, call->cells->cells, call->ref, call->self);
}

void shl_queue_unmake(const struct shl_segment *segment, struct object_shm *object)
{
    struct ring_call call = shl_queue_call(segment, object);
    call.self = shl_self(segment);
    call.ref = atom_load_relaxed(&object->self);
    free_contents(&call);
    shl_object_free(segment, object);
}

int shoal_queue_open(shoal_segment segment, const char *name, shoal_queue *ret_queue)
{
    return shl_name_open(segment, name, KIND_QUEUE, ret_queue ? &ret_queue->ref : NULL);
}

int shl_queue_end(struct ring_call *call)
{
    int code = ring_close(call);
    if (call->is_chain && code != -ESTALE)
        shl_chain_end_rings(call);
    if (code == -EAGAIN)
        shl_object_leave(call->segment, call->object, call->ref);
    if (code < 0)
        return code == -EAGAIN ? 0 : code;
    free_contents(call);
    ring_leave(call);
    shl_joinable_wake(call->object);
    shl_object_free(call->segment, call->object);
    return 0;
}

int shoal_queue_destroy(shoal_queue queue)
{
    if (SHOAL_IS_NONE(queue))
        return 0;
    struct ring_call call;
    int code = find_even_closed(queue, &call);
    if (code == 0)
        code = shl_queue_end(&call);
    if (code == 0)
        shl_closed_remove(queue.ref);
    return code == -ESTALE ? 0 : code;
}

int shoal_queue_close(shoal_queue queue)
{
    struct ring_call call;
    int code = SHOAL_IS_NONE(queue) ? -ESTALE : find_even_closed(queue, &call);
    if (code == 0)
        return shl_closed_add(queue.ref);
    return code == -ESTALE ? 0 : code;
}

int shoal_queue_join_thread(shoal_queue queue)
{
    struct ring_call call;
    int code = find_even_closed(queue, &call);
    if (code == 0)
        REQUIRE(shl_closed_has(queue.ref), -EBUSY, "the queue is not closed in this process");
    return code;
}

size_t shoal_queue_qsize(shoal_queue queue)
{
    struct ring_call call;
    if (shl_queue_find(queue, SHOAL_NOW, &call) < 0)
        return 0;
    return ring_count(&call) + (is_joinable(&call) ? shl_joinable_returned_count(&call) : 0);
}

bool shoal_queue_empty(shoal_queue queue)
{
    return shoal_queue_qsize(queue) == 0;
}

bool shoal_queue_full(shoal_queue queue)
{
    struct ring_call call;
    return shl_queue_find(queue, SHOAL_NOW, &call) == 0 && !call.is_chain &&
           (call.cells ? shl_cells_full(call.found) : shl_ring_full(&call));
}

/* Values name no payloads. */
static bool visit(const struct shl_visit *visit, struct object_shm *object)
{
    struct ring_call call = shl_queue_call(visit->segment, object);
    if (!call.is_owned)
        return false;
    if (call.cells)
        return shl_cells_visit(call.cells, visit);
    return shl_object_is(object, visit->ref) && shl_store_visit(&call, visit);
}

struct measure {
    const struct ring_call *call;
    uint64_t size;
};

static bool add_size(void *context, uint64_t descriptor)
{
    struct measure *measure = context;
    const struct ring_call *call = measure->call;
    measure->size += shl_share_size(call->segment, call->self->owner,
                                    descriptor_offset(descriptor));
    return false;
}

int shoal_queue_stats(shoal_queue queue, shoal_queue_counters *ret_counters)
{
    struct ring_call call;
    int code = find_even_closed(queue, &call);
    if (code < 0)
        return code;
    REQUIRE(ret_counters, -EINVAL, "no place for the counters");
    struct measure measure = { .call = &call };
    shoal_queue_counters counters = { .count = ring_count(&call) };
    counters.dropped = atom_load_relaxed(&queue_of(&call)->joinable.dropped);
    ring_counters(&call, &counters);
    if (call.is_owned) {
        struct shl_visit all = { call.segment, call.self->owner, call.ref, add_size, &measure };
        if (call.is_chain)
            shl_chain_visit(&call, &all);
        else
            visit(&all, call.object);
        counters.size = measure.size;
        counters.copied_size = atom_load_relaxed(&queue_of(&call)->copied_size);
    } else {
        counters.size = counters.count * call.item_size;
        counters.copied_size = (counters.puts + counters.gets) * call.item_size;
    }
    *ret_counters = counters;
    return 0;
}

static bool finish(const struct shl_segment *segment, struct shl_attachment *self,
                   struct object_shm *object, uint64_t own)
{
    struct ring_call call = shl_queue_call(segment, object);
    call.self = self;
    call.ref = own & BLOCK_REF_MASK; /* of the queue that was */
    if (!ring_enter_ended(&call, own))
        return false;
    free_contents(&call);
    ring_leave(&call);
    shl_joinable_wake(object);
    return true;
}

static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    struct queue_shm *queue = (struct queue_shm *)object;
    shl_single_settle(queue, dead);
    if (queue->ring_kind == RING_DENSE) {
        shl_ring_settle(&queue->ring, dead);
        return;
    }
    shl_cells_settle(&queue->cells, dead);
    shl_chain_settle(segment, object);
}

static void wake(struct object_shm *object)
{
    struct queue_shm *queue = (struct queue_shm *)object;
    bool cells = queue->ring_kind != RING_DENSE;
    struct bell_shm *not_empty = cells ? &queue->cells.not_empty : &queue->ring.not_empty;
    struct bell_shm *not_full = cells ? &queue->cells.not_full : &queue->ring.not_full;
    shl_park_ring_slow(not_empty, INT32_MAX);
    shl_park_ring_slow(not_full, INT32_MAX);
    shl_joinable_wake(object);
}

const struct shl_settler shl_queue_settler = { .settle = settle,
                                               .wake = wake,
                                               .finish = finish,
                                               .visit = visit,
                                               .lease_over = shl_joinable_over,
                                               .lease_returned = shl_joinable_returned };
