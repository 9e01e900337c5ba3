/*
 * Purpose. Queues of payloads over the dense ring: who owns a message at each instant.
 *
 * A put marks the block SENDING and then commits the ring; a get commits the ring and then marks
 * the block OWNED. So a block whose header says SENDING is in a ring, or its putter or getter died
 * between the two steps: a sweep decides that by looking for its descriptor.
 */
#include <shoal/queue.h>

#include <string.h>

#include "flow/queue_shm.h"
#include "flow/ring.h"
#include "flow/settle.h"
#include "mem/alloc.h"
#include "mem/journal.h"
#include "mem/name.h"
#include "os/chaos.h"

static struct queue_shm *queue_of(const struct ring_call *call)
{
    return (struct queue_shm *)call->object;
}

/* The queue behind a handle, and the calling thread's slot in its segment. 0 or an error. */
static int find(shoal_queue handle, shoal_deadline deadline, struct ring_call *ret_call)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_QUEUE);
    if (unlikely(!found))
        return shl_error_code();
    *ret_call = (struct ring_call){ .segment = found->segment,
                                    .self = found->self,
                                    .object = found->object,
                                    .ref = handle.ref,
                                    .deadline = deadline };
    ret_call->ring = &queue_of(ret_call)->ring;
    return 0;
}

static uint64_t power_of_two_above(uint64_t count)
{
    return count <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(count - 1));
}

static int init_ring(const struct shl_segment *segment, struct object_shm *object,
                     uint64_t capacity)
{
    struct ring_shm *ring = &((struct queue_shm *)object)->ring;
    uint64_t cells_count = power_of_two_above(capacity);
    void *cells = shl_alloc(segment, cells_count * sizeof(uint64_t));
    struct shl_place place;
    if (!cells || !shl_place_find(cells, &place))
        return shl_error_code();
    shl_object_part(&place, object);
    atom_store_relaxed(&ring->capacity, capacity);
    ring->mask = cells_count - 1;
    ring->cells = shl_offset(segment, cells);
    return 0;
}

static int check_options(const shoal_queue_options *options)
{
    REQUIRE_RESERVED(options);
    REQUIRE(options->capacity_count <= SHOAL_QUEUE_CAPACITY_MAX, -EINVAL,
            "capacity_count is above SHOAL_QUEUE_CAPACITY_MAX");
    return 0;
}

int shoal_queue_create(const shoal_queue_options *options, shoal_queue *ret_queue)
{
    REQUIRE(ret_queue, -EINVAL, "no place for the handle");
    shoal_queue_options chosen = options ? *options : (shoal_queue_options){ 0 };
    int code = check_options(&chosen);
    if (code < 0)
        return code;
    if (chosen.capacity_count == 0)
        chosen.capacity_count = SHOAL_QUEUE_CAPACITY_DEFAULT;
    struct shl_segment *segment = shl_segment_of_handle(chosen.segment);
    struct object_shm *object = segment ? shl_object_create(segment, POOL_QUEUE) : NULL;
    if (!object)
        return shl_error_code();
    code = init_ring(segment, object, chosen.capacity_count);
    if (code < 0) {
        if (!SHL_MISTAKE("queue.place"))
            shl_object_free(segment, object);
        return code;
    }
    ret_queue->ref = shl_object_publish(object, KIND_QUEUE);
    return 0;
}

/* Is it a payload that the caller may put into this segment's queue? */
static int check_payload(const struct ring_call *call, const void *payload, uint64_t *ret_own)
{
    struct shl_place place;
    REQUIRE(payload, -EINVAL, "put: the payload is NULL");
    REQUIRE(shl_place_find(payload, &place), -EFAULT, "put: not a payload");
    REQUIRE(place.segment == call->segment, -EXDEV,
            "put: the payload lies in another segment than the queue");
    uint64_t own = atom_load_relaxed(&place.block->own);
    if (unlikely(block_own_state(own) != BLOCK_OWNED ||
                 block_own_owner(own) != call->self->process_owner))
        return shl_block_error(own);
    *ret_own = own;
    return 0;
}

static int put(const struct ring_call *call, void *payload)
{
    uint64_t own = 0;
    int code = check_payload(call, payload, &own);
    if (unlikely(code < 0))
        return code;
    struct block_shm *block = shl_block(payload);
    uint32_t seq = block_own_seq(own) + 1;
    uint64_t descriptor = descriptor_make(shl_offset(call->segment, payload), seq);
    shl_journal_putting(call->self, call->ref, descriptor);
    SHL_CHAOS("queue.journal");
    atom_store_relaxed(&block->own, block_own_make(BLOCK_SENDING, call->self->process_owner, seq));
    SHL_CHAOS("queue.sending");
    code = shl_ring_put(call, descriptor);
    SHL_CHAOS("queue.put");
    if (unlikely(code < 0))
        atom_store_relaxed(&block->own,
                           block_own_make(BLOCK_OWNED, call->self->process_owner, seq));
    shl_journal_done(call->self);
    return code;
}

int shoal_queue_put(shoal_queue queue, void *payload, shoal_deadline deadline)
{
    struct ring_call call;
    int code = find(queue, deadline, &call);
    return unlikely(code < 0) ? code : put(&call, payload);
}

int shoal_queue_put_bytes(shoal_queue queue, const void *data, size_t size, shoal_deadline deadline)
{
    struct ring_call call;
    int code = find(queue, deadline, &call);
    if (code < 0)
        return code;
    REQUIRE(data || size == 0, -EINVAL, "put_bytes: the data is NULL");
    void *payload = shl_alloc(call.segment, size);
    if (!payload)
        return shl_error_code();
    if (size > 0)
        memcpy(payload, data, size);
    code = put(&call, payload);
    if (code < 0)
        shoal_free(payload);
    return code;
}

/* The block a descriptor names, as long as it is SENDING so: false if it cannot be. */
static bool find_message(const struct ring_call *call, uint64_t descriptor,
                         struct shl_place *ret_place, uint64_t *ret_own)
{
    uint64_t offset = descriptor_offset(descriptor);
    if (unlikely(offset >= call->segment->size || !shl_place_at(call->segment, offset, ret_place)))
        return false;
    *ret_own = atom_load_relaxed(&ret_place->block->own);
    return block_own_state(*ret_own) == BLOCK_SENDING &&
           descriptor_make(offset, block_own_seq(*ret_own)) == descriptor;
}

/* Its payload, owned by the caller from now on; NULL with an error. */
static void *receive(const struct ring_call *call, uint64_t descriptor)
{
    uint64_t own;
    struct shl_place place;
    if (unlikely(!find_message(call, descriptor, &place, &own))) {
        shl_error(-EUCLEAN, "what was queued is no payload: a process damaged the queue");
        return NULL;
    }
    atom_store_relaxed(&place.block->own,
                       block_own_make(BLOCK_OWNED, call->self->process_owner, block_own_seq(own)));
    return shl_payload(place.block);
}

int shoal_queue_get(shoal_queue queue, void **ret_payload, shoal_deadline deadline)
{
    struct ring_call call;
    int code = find(queue, deadline, &call);
    if (unlikely(code < 0))
        return code;
    REQUIRE(ret_payload, -EINVAL, "no place for the payload");
    uint64_t descriptor;
    code = shl_ring_take(&call, &descriptor);
    if (code == 0 && SHL_MISTAKE("queue.overtaken") && shl_ring_put(&call, descriptor) == 0)
        code = shl_ring_take(&call, &descriptor);
    if (unlikely(code < 0))
        return code;
    SHL_CHAOS("queue.taken");
    void *payload = receive(&call, descriptor);
    SHL_CHAOS("queue.owned");
    shl_journal_done(call.self);
    if (unlikely(!payload))
        return shl_error_code();
    *ret_payload = payload;
    return 0;
}

int shoal_queue_shutdown(shoal_queue queue)
{
    struct ring_call call;
    int code = find(queue, SHOAL_FOREVER, &call);
    return code < 0 ? code : shl_ring_seal(&call);
}

/* Unless it is not that any more: who settles a death meanwhile may have freed it. */
static void free_block(const struct ring_call *call, const struct shl_place *place, uint64_t own)
{
    uint32_t seq = block_own_seq(own);
    /* [journal.message] acquire <- J3. */
    if (atom_cas_acquire_64(&place->block->own, own,
                            block_own_make(BLOCK_OWNED, call->self->process_owner, seq)))
        shl_free(place);
}

/* Both sides are ours and no handle is good any more. */
static void free_contents(const struct ring_call *call)
{
    uint64_t own, descriptor, cells = call->ring->cells;
    struct shl_place place;
    for (; shl_ring_first(call, &descriptor); shl_ring_drop(call))
        if (find_message(call, descriptor, &place, &own))
            free_block(call, &place, own);
    if (cells >= call->segment->size || !shl_place_at(call->segment, cells, &place))
        return;
    own = atom_load_relaxed(&place.block->own);
    /* Who finished it before may have freed them, and they may be another queue's. */
    if (block_own_state(own) == BLOCK_PART && ((own ^ call->ref) & BLOCK_REF_MASK) == 0)
        free_block(call, &place, own);
}

int shoal_queue_open(shoal_segment segment, const char *name, shoal_queue *ret_queue)
{
    return shl_name_open(segment, name, KIND_QUEUE, ret_queue ? &ret_queue->ref : NULL);
}

int shoal_queue_destroy(shoal_queue queue)
{
    if (SHOAL_IS_NONE(queue))
        return 0;
    struct ring_call call;
    int code = find(queue, SHOAL_FOREVER, &call);
    if (code == 0)
        code = shl_ring_close(&call);
    if (code < 0)
        return code == -ESTALE ? 0 : code;
    free_contents(&call);
    shl_ring_leave(&call);
    shl_object_free(call.segment, call.object);
    return 0;
}

size_t shoal_queue_qsize(shoal_queue queue)
{
    struct ring_call call;
    return find(queue, SHOAL_NOW, &call) == 0 ? shl_ring_count(call.ring) : 0;
}

bool shoal_queue_empty(shoal_queue queue)
{
    return shoal_queue_qsize(queue) == 0;
}

bool shoal_queue_full(shoal_queue queue)
{
    struct ring_call call;
    return find(queue, SHOAL_NOW, &call) == 0 &&
           shl_ring_count(call.ring) >= atom_load_relaxed(&call.ring->capacity);
}

static bool visit(const struct shl_segment *segment, struct object_shm *object,
                  bool (*visitor)(void *context, uint64_t descriptor), void *context)
{
    struct ring_call call = { .segment = segment, .object = object };
    call.ring = &queue_of(&call)->ring;
    return shl_ring_visit(&call, visitor, context);
}

static bool finish(const struct shl_segment *segment, struct shl_attachment *self,
                   struct object_shm *object, uint64_t own)
{
    struct ring_call call = { .segment = segment, .self = self, .object = object };
    call.ring = &queue_of(&call)->ring;
    call.ref = own & BLOCK_REF_MASK; /* of the queue that was */
    if (!shl_ring_enter_ended(&call, own))
        return false;
    free_contents(&call);
    shl_ring_leave(&call);
    return true;
}

static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    (void)segment;
    shl_ring_settle(&((struct queue_shm *)object)->ring, dead);
}

const struct shl_settler shl_queue_settler = { .settle = settle, .finish = finish, .visit = visit };
