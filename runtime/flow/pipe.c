/*
 * Purpose. Pipes: two ends, each held by one process, so that the death of the one ends the waiting
 * of the other.
 *
 * Layout. An end is a queue of payloads, of what comes in there, and knows the other end:
 * pipe_shm.h.
 *
 * Protocol. A send is a put into the other end, a receive a get from one's own. An end is closed by
 * ending its object: the other one then finds nobody there. So it does when the end's holder is
 * dead, for which it also sleeps at one of his threads' lives. Whoever settles the holder's death
 * ends the object too. After either, what had come before is received first. Who waits for room at
 * the other end is also told when another thread of his closes his own.
 *
 * Killed inside close before its object has ended, the holder is dead and so is his end; after it
 * the bell of the other end is pending.
 *
 * Limits. A holder that was given its end and never used it is known by its process object alone:
 * its end is noticed at the next tick.
 */
#include "flow/pipe.h"

#include <shoal/pipe.h>
#include <shoal/queue.h>
#include <string.h>

#include "flow/pipe_shm.h"
#include "flow/queue.h"
#include "flow/settle.h"
#include "mem/share.h"
#include "os/chaos.h"

static struct connection_shm *connection_of(struct object_shm *object)
{
    return (struct connection_shm *)object;
}

/* --- who holds it --------------------------------------------------------------------------- */

static uint64_t given_to(uint64_t process_ref)
{
    return HOLDER_GIVEN | (process_ref & BLOCK_REF_MASK);
}

static uint64_t given_ref(const struct shl_segment *segment, uint64_t holder)
{
    return (uint64_t)segment->id << 48 | (holder & BLOCK_REF_MASK);
}

/* At its first use an end that was given to this process names the process's slot. */
static int check_holder(struct connection_shm *end, const struct shl_attachment *self)
{
    uint64_t holder = atom_load_relaxed(&end->holder), own = self->process_owner;
    uint64_t ref = atom_load_relaxed(&shl_shared()->process_ref);
    bool given = ref != 0 && holder == given_to(ref);
    /* relaxed: the end was used by its giver before, as its handle came from there */
    REQUIRE(holder == own || (given && atom_cas_relaxed_64(&end->holder, holder, own)) ||
                atom_load_relaxed(&end->holder) == own,
            -EPERM, "another process holds this end: see shoal_connection_give()");
    return 0;
}

/* Is there nobody any more at an end? If there is, the watches tell of his death. */
static bool is_abandoned(const struct shl_segment *segment, struct connection_shm *end,
                         uint64_t ref, struct shl_watches *watches)
{
    if (!shl_object_is(&end->queue.object, ref))
        return true;
    uint64_t holder = atom_load_relaxed(&end->holder);
    if (SHL_MISTAKE("pipe.life"))
        return false;
    if (holder & HOLDER_GIVEN)
        return shl_process_ref_is_gone(segment, given_ref(segment, holder));
    uint32_t alive = 0, owner = (uint32_t)holder & 0xffff;
    atom32 *life = shl_process_life(segment, owner, &alive);
    if (life)
        shl_watch(watches, life)->expected = alive;
    else if (shl_process_owner_is_gone(segment, shl_owner_short(owner)))
        return true;
    else
        watches->soon = true;
    return false;
}

/* --- finding -------------------------------------------------------------------------------- */

/* A call on one's own end. */
struct end_call {
    struct ring_call ring; /* of this end for who receives, of the other one for who sends */
    struct connection_shm *own;
    uint64_t own_ref;
    struct connection_shm *other;
    uint64_t other_ref;
    size_t size_max;
};

static bool receiver_is_alone(const struct ring_call *call, struct shl_watches *watches)
{
    const struct end_call *end = (const struct end_call *)call;
    return !end->other || is_abandoned(call->segment, end->other, end->other_ref, watches);
}

/* Who waits at the other end for room is also told that another thread has closed his own. */
static bool sender_is_alone(const struct ring_call *call, struct shl_watches *watches)
{
    const struct end_call *end = (const struct end_call *)call;
    shl_watch_end(watches, &end->own->queue.object, end->own_ref);
    return !shl_object_is(&end->own->queue.object, end->own_ref) ||
           is_abandoned(call->segment, connection_of(call->object), call->ref, watches);
}

/* A message that does not fit its receiver's room. */
static int refuses(const struct ring_call *call, uint64_t descriptor)
{
    uint64_t size = shl_share_size(call->segment, 0, descriptor_offset(descriptor));
    if (size <= ((const struct end_call *)call)->size_max)
        return 0;
    return shl_errorf(-EMSGSIZE, "the message has %ju bytes", (uintmax_t)size);
}

static const struct ring_hooks receiver_hooks = { .is_alone = receiver_is_alone };
static const struct ring_hooks picky_hooks = { .is_alone = receiver_is_alone, .refuses = refuses };
static const struct ring_hooks sender_hooks = { .is_alone = sender_is_alone };

/* Else a message would be copied as a value, of a size that another process chose. */
static int check_items(const struct ring_call *call)
{
    REQUIRE((call->is_owned && !call->cells) || SHL_MISTAKE("pipe.items"), -EUCLEAN,
            "a process damaged the pipe");
    return 0;
}

static int find(shoal_connection handle, uint32_t way, shoal_deadline deadline,
                struct end_call *ret_call)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_CONNECTION);
    if (unlikely(!found))
        return shl_error_code();
    struct connection_shm *end = connection_of(found->object);
    int code = check_holder(end, found->self);
    if (code < 0)
        return code;
    REQUIRE((end->ways & way) == way, -EINVAL,
            way == CONNECTION_SENDS ? "this end only receives" : "this end only sends");
    struct object_shm *other = shl_object_at(found->segment, end->peer, KIND_CONNECTION);
    *ret_call = (struct end_call){ .ring = shl_queue_call(found->segment, found->object),
                                   .own = end,
                                   .own_ref = handle.ref,
                                   .other = connection_of(other),
                                   .other_ref = end->peer };
    ret_call->ring.self = found->self;
    ret_call->ring.ref = handle.ref;
    ret_call->ring.deadline = deadline;
    ret_call->ring.hooks = &receiver_hooks;
    return check_items(&ret_call->ring);
}

/* Likewise; the call is on the ring of the other end. */
static int find_other(shoal_connection handle, shoal_deadline deadline, struct end_call *ret_call)
{
    struct end_call own;
    int code = find(handle, CONNECTION_SENDS, deadline, &own);
    if (code < 0)
        return code;
    REQUIRE(own.other, -EPIPE, "the other end is closed");
    *ret_call = own;
    ret_call->ring = shl_queue_call(own.ring.segment, &own.other->queue.object);
    ret_call->ring.self = own.ring.self;
    ret_call->ring.ref = own.other_ref;
    ret_call->ring.deadline = deadline;
    ret_call->ring.hooks = &sender_hooks;
    return check_items(&ret_call->ring);
}

/* --- the public face ------------------------------------------------------------------------ */

static struct connection_shm *make_end(const struct shl_segment *segment, uint64_t capacity)
{
    struct object_shm *object = shl_object_create(segment, POOL_CONNECTION);
    if (!object)
        return NULL;
    struct connection_shm *end = connection_of(object);
    end->queue.value_size = 0;
    end->queue.has_cells = 0;
    end->queue.capacity_size = 0;
    if (shl_queue_init(segment, object, capacity) == 0)
        return end;
    shl_object_free(segment, object);
    return NULL;
}

static uint64_t publish(struct connection_shm *end, struct connection_shm *other, uint32_t ways,
                        uint32_t holder)
{
    atom_store_relaxed(&end->holder, holder);
    end->peer = atom_load_relaxed(&other->queue.object.self);
    end->ways = ways;
    return shl_object_publish(&end->queue.object, KIND_CONNECTION);
}

int shoal_pipe_create(const shoal_pipe_options *options, shoal_connection *ret_first,
                      shoal_connection *ret_second)
{
    shoal_pipe_options chosen = options ? *options : (shoal_pipe_options){ 0 };
    REQUIRE(ret_first && ret_second, -EINVAL, "no place for the handles");
    REQUIRE_RESERVED(&chosen);
    REQUIRE(chosen.capacity_count <= SHOAL_QUEUE_CAPACITY_MAX, -EINVAL,
            "capacity_count is above SHOAL_QUEUE_CAPACITY_MAX");
    if (chosen.capacity_count == 0)
        chosen.capacity_count = SHOAL_PIPE_CAPACITY_DEFAULT;
    struct shl_segment *segment = shl_segment_of_handle(chosen.segment);
    struct shl_attachment *self = segment ? shl_self(segment) : NULL;
    struct connection_shm *first = self ? make_end(segment, chosen.capacity_count) : NULL;
    struct connection_shm *second = first ? make_end(segment, chosen.capacity_count) : NULL;
    if (!second) {
        if (first)
            shl_queue_unmake(segment, &first->queue.object);
        return shl_error_code();
    }
    uint32_t both = CONNECTION_RECEIVES | CONNECTION_SENDS;
    uint32_t owner = self->process_owner;
    ret_second->ref = publish(second, first, chosen.one_way ? CONNECTION_SENDS : both, owner);
    ret_first->ref = publish(first, second, chosen.one_way ? CONNECTION_RECEIVES : both, owner);
    return 0;
}

int shoal_connection_give(shoal_connection connection, shoal_process process)
{
    struct end_call call;
    struct shl_segment *segment;
    int code = find(connection, 0, SHOAL_NOW, &call);
    if (code < 0)
        return code;
    if (!shl_object_find(process.ref, KIND_PROCESS, &segment))
        return shl_error_code();
    REQUIRE(segment == call.ring.segment, -EXDEV, "the pipe is not in the family's segment");
    struct connection_shm *end = connection_of(call.ring.object);
    /* relaxed: who gets it learns of it by its handle */
    REQUIRE(atom_cas_relaxed_64(&end->holder, call.ring.self->process_owner, given_to(process.ref)),
            -EPERM, "another thread gave it away");
    return 0;
}

/* Another thread may close this end, or the other one goes, in the middle of a call. */
static int send_code(const struct end_call *call, int code)
{
    if (code != -ESTALE && code != -EPIPE)
        return code;
    if (!shl_object_is(&call->own->queue.object, call->own_ref))
        return shl_error(-ESTALE, "this end was closed");
    if (!shl_object_is(&call->other->queue.object, call->other_ref))
        return shl_error(-EPIPE, "the other end is closed");
    return code; /* its holder died, or the deadline's event is gone */
}

int shoal_connection_send(shoal_connection connection, void *payload, shoal_deadline deadline)
{
    struct end_call call;
    int code = find_other(connection, deadline, &call);
    return code < 0 ? code : send_code(&call, shl_queue_put(&call.ring, payload));
}

int shoal_connection_send_bytes(shoal_connection connection, const void *data, size_t size,
                                shoal_deadline deadline)
{
    struct end_call call;
    int code = find_other(connection, deadline, &call);
    return code < 0 ? code : send_code(&call, shl_queue_put_copy(&call.ring, data, size));
}

int shoal_connection_recv(shoal_connection connection, void **ret_payload, shoal_deadline deadline)
{
    struct end_call call;
    int code = find(connection, CONNECTION_RECEIVES, deadline, &call);
    if (code < 0)
        return code;
    REQUIRE(ret_payload, -EINVAL, "no place for the payload");
    return shl_queue_get(&call.ring, ret_payload);
}

int shoal_connection_recv_bytes(shoal_connection connection, void *ret_data, size_t size_max,
                                size_t *ret_size, shoal_deadline deadline)
{
    struct end_call call;
    void *payload;
    int code = find(connection, CONNECTION_RECEIVES, deadline, &call);
    if (code < 0)
        return code;
    REQUIRE(ret_size && (ret_data || size_max == 0), -EINVAL, "no place for the message");
    call.ring.hooks = &picky_hooks;
    call.size_max = size_max;
    code = shl_queue_get(&call.ring, &payload);
    if (code < 0)
        return code;
    size_t size = shoal_size(payload);
    *ret_size = size < size_max ? size : size_max;
    if (*ret_size > 0)
        memcpy(ret_data, payload, *ret_size);
    shoal_free(payload);
    return 0;
}

int shoal_connection_poll(shoal_connection connection, shoal_deadline deadline)
{
    struct end_call call;
    int code = find(connection, CONNECTION_RECEIVES, deadline, &call);
    return code < 0 ? code : shl_ring_wait(&call.ring);
}

static void wake_all(struct bell_shm *bell)
{
    /* [park.flag] seq_cst: who is about to sleep sees the flag gone. */
    atom_exchange_seq_cst(&bell->flag, 0);
    shl_futex_wake(&bell->bell, INT32_MAX);
}

/* Wakes those who wait at the other end: who receives there, and our own who send to it. If it is a
 * dead one's, and was not settled, ends it. */
static void leave_other(const struct end_call *end)
{
    struct shl_watches none = { .count = 0 };
    wake_all(&end->other->queue.ring.not_empty);
    wake_all(&end->other->queue.ring.not_full);
    if (!is_abandoned(end->ring.segment, end->other, end->other_ref, &none))
        return;
    struct ring_call call = shl_queue_call(end->ring.segment, &end->other->queue.object);
    call.self = end->ring.self;
    call.ref = end->other_ref;
    call.deadline = SHOAL_FOREVER;
    (void)shl_queue_end(&call);
}

int shoal_connection_close(shoal_connection connection)
{
    struct end_call call;
    int code = SHOAL_IS_NONE(connection) ? -ESTALE : find(connection, 0, SHOAL_FOREVER, &call);
    if (code < 0)
        return code == -ESTALE ? 0 : code;
    struct robust_list *before = NULL;
    if (call.other)
        before = shl_pending_set(&call.other->queue.ring.not_empty.bell);
    code = shl_queue_end(&call.ring);
    if (call.other) {
        if (!SHL_MISTAKE("pipe.leave"))
            leave_other(&call);
        shl_pending_clear(before);
    }
    return code == -ESTALE ? 0 : code;
}

/* --- the dead ------------------------------------------------------------------------------- */

static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    struct connection_shm *end = connection_of(object);
    uint64_t holder = atom_load_relaxed(&end->holder), ref = atom_load_relaxed(&object->self);
    shl_queue_settler.settle(segment, object, dead);
    bool gone = (holder & HOLDER_GIVEN)
                    ? shl_process_ref_is_gone(segment, given_ref(segment, holder))
                    : shl_is_dead_process(dead, (uint32_t)holder & 0xffff);
    if (gone)
        shl_object_expire(object, ref);
}

static bool finish(const struct shl_segment *segment, struct shl_attachment *self,
                   struct object_shm *object, uint64_t own)
{
    return shl_queue_settler.finish(segment, self, object, own);
}

static bool visit(const struct shl_visit *visit, struct object_shm *object)
{
    return shl_queue_settler.visit(visit, object);
}

const struct shl_settler shl_connection_settler = { .settle = settle,
                                                    .finish = finish,
                                                    .visit = visit };
