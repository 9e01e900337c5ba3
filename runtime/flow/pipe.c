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
 * Descriptors go beside the messages, in an order of their own: only the kernel can keep one whose
 * sender is dead. The holder of an end opens a door when he first receives a descriptor there, or
 * has come to know that one is wanted; the other one hands descriptors into it. That is the commit,
 * of which the counts and the bells only tell: who waits sleeps at the other one's life as well.
 *   D1 wanted = 1, and whoever receives at the other end is woken; wait until door is its holder's
 *   D2 hand it in; if as many wait there as may, wait until `taken` changes
 *   D3 handed + 1, wake those who wait for one, whose bell was pending meanwhile
 *   R1 open the door, unless it is open; wanted = 0, wake those who wait for it
 *   R2 take one, or wait until `handed` changes
 *   R3 taken + 1, wake those who wait for room; also if it was only a stranger who has gone
 * R1, and who gives the end up, whether he gives it away or closes it, have the doors of their
 * process locked: so an end never gets a door from a process that does not hold it any more.
 *
 * Killed inside close before its object has ended, the holder is dead or nobody, and so is his end;
 * after it the bell of the other end is pending.
 *
 * Limits. A holder that was given its end and never used it is known by its process object alone:
 * its end is noticed at the next tick.
 */
#include "flow/pipe.h"

#include <shoal/pipe.h>
#include <shoal/queue.h>
#include <string.h>

#include "flow/doors.h"
#include "flow/making.h"
#include "flow/pipe_shm.h"
#include "flow/queue.h"
#include "flow/settle.h"
#include "mem/share.h"
#include "os/chaos.h"
#include "os/door.h"
#include "os/fd.h"

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

/* The slot, short; 0 of one that was given. */
static uint32_t owner_of(uint64_t holder)
{
    return (holder & HOLDER_GIVEN) ? 0 : (uint32_t)holder & 0xffff;
}

/* At its first use an end that was given to this process names the process's slot. */
static int check_holder(struct connection_shm *end, const struct shl_attachment *self)
{
    uint64_t holder = atom_load_relaxed(&end->holder), own = self->process_owner;
    uint64_t ref = atom_load_relaxed(&shl_shared()->process_ref);
    bool given = ref != 0 && holder == given_to(ref);
    REQUIRE(holder != HOLDER_NOBODY, -ESTALE, "this end was closed");
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

/* --- doors ---------------------------------------------------------------------------------- */

/* After a change that those who wait at the bell watch. */
static void wake_all(struct bell_shm *bell)
{
    /* [park.flag] seq_cst: who is about to sleep sees the change. */
    if (atom_load_seq_cst(&bell->flag))
        shl_park_ring_slow(bell, INT32_MAX);
}

/* R1, of an end that stays this process's until the doors are unlocked. */
static int announce(struct connection_shm *end, uint64_t ref, uint32_t owner)
{
    uint32_t number;
    uint64_t secret;
    int code = shl_doors_open(ref, &number, &secret);
    uint64_t door = (uint64_t)owner << 48 | DOOR_OPEN | number;
    /* relaxed: our own */
    if (code < 0 || atom_load_relaxed(&end->door) == door)
        return code;
    atom_store_relaxed(&end->secret, secret);
    SHL_CHAOS("pipe.R1");
    /* [pipe.door] release -> D1: the secret. seq_cst for [park.flag]. */
    atom_exchange_seq_cst(&end->door, door);
    atom_store_relaxed(&end->wanted, 0);
    wake_all(&end->has_room);
    return 0;
}

/* With the doors locked: and does so until they are not. */
static bool holds(struct connection_shm *end, uint64_t ref, uint32_t owner)
{
    /* [pipe.holder] acquire <- publish(): before the look whether it is that end still. */
    return atom_load_acquire(&end->holder) == owner && shl_object_is(&end->queue.object, ref);
}

static int open_door(struct connection_shm *end, uint64_t ref, uint32_t owner)
{
    if (!shl_doors_lock())
        return shl_error_code();
    int code = holds(end, ref, owner) ? announce(end, ref, owner)
                                      : shl_error(-ESTALE, "this end was closed, or given away");
    shl_doors_unlock();
    return code;
}

/* From here on `holder` holds it, and this process has no door for it. False if it was not its. */
static bool give_up(struct connection_shm *end, uint64_t ref, uint32_t owner, uint64_t holder)
{
    if (!shl_doors_lock())
        return false;
    bool held = holds(end, ref, owner);
    if (held) {
        uint64_t door = atom_load_relaxed(&end->door);
        /* relaxed: who gets it learns of it by its handle */
        atom_store_relaxed(&end->holder, holder);
        if (DOOR_OWNER(door) == owner)
            atom_cas_relaxed_64(&end->door, door, 0); /* unless the next holder has opened one */
        shl_doors_close(ref);
    }
    shl_doors_unlock();
    return held;
}

/* If that fails now, it is tried again by the next one who waits here. */
static void open_if_wanted(struct connection_shm *end, uint64_t ref, uint32_t owner)
{
    /* [park.flag] seq_cst: who is about to sleep sees it, or is woken. */
    if (unlikely(atom_load_seq_cst(&end->wanted)))
        (void)open_door(end, ref, owner);
}

/* D1: true if the door is there, else with what tells of it. */
static bool find_door(struct connection_shm *end, uint64_t holder, struct shl_watches *watches,
                      uint64_t *ret_door)
{
    struct shl_futex_watch *watch = shl_watch(watches, (atom32 *)(void *)&end->door);
    /* [pipe.door] acquire <- R1; seq_cst for [park.flag]. */
    *ret_door = atom_load_seq_cst(&end->door);
    watch->expected = (uint32_t)*ret_door;
    if (*ret_door != 0 && DOOR_OWNER(*ret_door) == holder)
        return true;
    /* [park.flag] seq_cst: who is about to sleep there sees it. */
    if (atom_exchange_seq_cst(&end->wanted, 1) == 0)
        wake_all(&end->queue.ring.not_empty);
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

/* Whoever waits for messages also lets descriptors come. */
static bool receiver_is_alone(const struct ring_call *call, struct shl_watches *watches)
{
    const struct end_call *end = (const struct end_call *)call;
    open_if_wanted(end->own, end->own_ref, call->self->process_owner);
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
    end->queue.ring_kind = RING_DENSE;
    end->queue.capacity_size = 0;
    if (shl_queue_init(segment, object, capacity) == 0)
        return end;
    shl_object_free(segment, object);
    return NULL;
}

static uint64_t publish(struct connection_shm *end, struct connection_shm *other, uint32_t ways,
                        uint32_t holder)
{
    /* [pipe.holder] release -> holds(): an earlier end in this place has ended. */
    atom_store_release(&end->holder, holder);
    end->peer = atom_load_relaxed(&other->queue.object.self);
    end->ways = ways;
    atom_store_relaxed(&end->wanted, 0);
    atom_store_relaxed(&end->door, 0);
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
    REQUIRE(give_up(call.own, connection.ref, call.ring.self->process_owner, given_to(process.ref)),
            -EPERM, "another thread gave it away, or closed it");
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

/* --- descriptors ---------------------------------------------------------------------------- */

struct fd_call {
    struct end_call end;
    int fd;
};

/* Only who has been given an end can be another process: see shoal_connection_give(). */
static int check_family(const struct end_call *call)
{
    REQUIRE(call->ring.segment == shl_segment_family(), -EXDEV,
            "the pipe is not in the family's segment");
    return 0;
}

static int unreachable(const struct fd_call *call, struct shl_watches *watches, uint64_t door)
{
    struct connection_shm *other = call->end.other;
    if (sender_is_alone(&call->end.ring, watches))
        return shl_error(-EPIPE, "the other end is closed");
    /* relaxed: if it has changed, the watch tells so */
    if (watches->soon || atom_load_relaxed(&other->door) != door)
        return -EAGAIN;
    return shl_error(-ENOTSUP, "the other end's process cannot be reached from here: "
                               "is it in another network namespace?");
}

/* D2 and D3. */
static int hand_over(const struct fd_call *call, uint64_t door, struct shl_watches *watches)
{
    const struct shl_segment *segment = call->end.ring.segment;
    struct connection_shm *other = call->end.other;
    struct shl_futex_watch *watch = shl_watch(watches, &other->taken);
    /* [park.flag] seq_cst. */
    watch->expected = atom_load_seq_cst(&other->taken);
    pid_t pid = shl_process_pid(segment, PEER_OWNER_SLOT(DOOR_OWNER(door)));
    SHL_CHAOS("pipe.D2");
    if (!shl_doors_lock()) /* so that no child inherits what is open meanwhile */
        return shl_error_code();
    struct robust_list *before = shl_pending_set(&other->has_come.bell);
    int code = shl_door_hand(DOOR_NUMBER(door), pid, atom_load_relaxed(&other->secret), call->fd);
    shl_doors_unlock();
    if (code == 0) {
        SHL_CHAOS("pipe.D3");
        /* [park.flag] seq_cst. */
        atom_add_seq_cst(&other->handed, 1);
        wake_all(&other->has_come);
    }
    shl_pending_clear(before);
    return code;
}

/* D1 to D3. */
static int try_send_fd(void *context, struct shl_watches *watches)
{
    struct fd_call *call = context;
    struct connection_shm *other = call->end.other;
    uint32_t owner = call->end.ring.self->process_owner;
    if (sender_is_alone(&call->end.ring, watches))
        return shl_error(-EPIPE, "the other end is closed");
    uint64_t door, holder = atom_load_relaxed(&other->holder);
    int code = holder == owner ? open_door(other, call->end.other_ref, owner) : 0;
    if (code < 0)
        return code;
    if (!find_door(other, holder, watches, &door))
        return -EAGAIN;
    code = hand_over(call, door, watches);
    return code == -ENOENT ? unreachable(call, watches, door) : code;
}

/* R2 and R3. */
static int try_recv_fd(struct fd_call *call, struct shl_watches *watches)
{
    struct connection_shm *own = call->end.own;
    struct shl_futex_watch *watch = shl_watch(watches, &own->handed);
    /* [park.flag] seq_cst. */
    watch->expected = atom_load_seq_cst(&own->handed);
    uint32_t holder = call->end.other ? owner_of(atom_load_relaxed(&call->end.other->holder)) : 0;
    pid_t from = holder ? shl_process_pid(call->end.ring.segment, PEER_OWNER_SLOT(holder)) : 0;
    unsigned gone;
    if (!shl_doors_lock())
        return shl_error_code();
    int code = shl_doors_take(call->end.own_ref, from, &gone, &call->fd);
    shl_doors_unlock();
    watches->soon = watches->soon || gone >= SHL_DOOR_GUESTS_MAX;
    if (gone == 0)
        return code;
    SHL_CHAOS("pipe.R3");
    /* [park.flag] seq_cst. */
    atom_add_seq_cst(&own->taken, 1);
    wake_all(&own->has_room);
    return code;
}

/* Whoever finds himself alone tries once more, for what the other one did before he went. */
static int attempt_recv_fd(void *context, struct shl_watches *watches)
{
    struct fd_call *call = context;
    int code = try_recv_fd(call, watches);
    if (code != -EAGAIN || !receiver_is_alone(&call->end.ring, watches))
        return code;
    code = SHL_MISTAKE("pipe.once") ? code : try_recv_fd(call, watches);
    return code == -EAGAIN ? shl_error(-EPIPE, "the other end is closed") : code;
}

/* Attempts it until the deadline. */
static int wait_for(struct fd_call *call, int (*attempt)(void *, struct shl_watches *),
                    struct bell_shm *bell, const char *in_vain)
{
    const struct ring_call *ring = &call->end.ring;
    struct shl_park_for what = {
        .attempt = attempt, .context = call, .object = ring->object, .ref = ring->ref
    };
    struct shl_watches watches;
    shl_watches_init(&watches);
    int code = attempt(call, &watches);
    if (code == -EAGAIN)
        code = shl_park(bell, &what, ring->deadline);
    return code == -ETIMEDOUT ? shl_error(code, in_vain) : code;
}

int shoal_connection_send_fd(shoal_connection connection, int fd, shoal_deadline deadline)
{
    struct fd_call call = { .fd = fd };
    int code = find_other(connection, deadline, &call.end);
    if (code == 0)
        code = check_family(&call.end);
    if (code < 0)
        return code;
    REQUIRE(shl_fds_are_open(&fd, 1), -EINVAL, "the descriptor is not open");
    code = wait_for(&call, try_send_fd, &call.end.other->has_room,
                    "nobody took descriptors at the other end");
    return send_code(&call.end, code);
}

int shoal_connection_recv_fd(shoal_connection connection, int *ret_fd, shoal_deadline deadline)
{
    struct fd_call call;
    int code = find(connection, CONNECTION_RECEIVES, deadline, &call.end);
    if (code == 0)
        code = check_family(&call.end);
    if (code < 0)
        return code;
    REQUIRE(ret_fd, -EINVAL, "no place for the descriptor");
    code = open_door(call.end.own, connection.ref, call.end.ring.self->process_owner);
    if (code == 0)
        code = wait_for(&call, attempt_recv_fd, &call.end.own->has_come, "no descriptor has come");
    if (code == 0)
        *ret_fd = call.fd;
    return code;
}

/* --- closing -------------------------------------------------------------------------------- */

static void wake_for_good(struct bell_shm *bell)
{
    /* [park.flag] seq_cst: who is about to sleep sees the flag gone. */
    atom_exchange_seq_cst(&bell->flag, 0);
    shl_futex_wake(&bell->bell, INT32_MAX);
}

static void wake_all_at(struct connection_shm *end)
{
    wake_for_good(&end->queue.ring.not_empty);
    wake_for_good(&end->queue.ring.not_full);
    wake_for_good(&end->has_come);
    wake_for_good(&end->has_room);
}

/* Wakes those who wait at the other end: who receives there, and our own who send to it. If it is a
 * dead one's, and was not settled, ends it. */
static void leave_other(const struct end_call *end)
{
    struct shl_watches none = { .count = 0 };
    wake_all_at(end->other);
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
    if (!give_up(call.own, connection.ref, call.ring.self->process_owner, HOLDER_NOBODY))
        return check_holder(call.own, call.ring.self) == -ESTALE
                   ? 0
                   : shl_error(-EPERM, "another thread gave it away");
    SHL_CHAOS("pipe.nobody");
    struct robust_list *before = NULL;
    if (call.other)
        before = shl_pending_set(&call.other->queue.ring.not_empty.bell);
    code = shl_queue_end(&call.ring);
    wake_all_at(call.own);
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
