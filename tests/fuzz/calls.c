/* The calls a step can make, and what must hold of their results. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow/doors.h"
#include "flow/pipe_shm.h"
#include "mem/alloc.h"
#include "mem/closed.h"
#include "mem/object.h"
#include "mem/peer.h"
#include "mem/self.h"
#include "sync/barrier_shm.h"

static const struct scene *scene;
static uint32_t number; /* of the step: a count, a size */

static shoal_deadline soon(void)
{
    return number & 1 ? shoal_after_us(200) : SHOAL_NOW;
}

static void payload_must_lie_inside(const char *payload)
{
    if (!payload)
        return;
    size_t size = shoal_size(payload);
    fuzz_must(payload >= scene->base && payload <= scene->base + FUZZ_SEGMENT_SIZE &&
                  size <= (size_t)(scene->base + FUZZ_SEGMENT_SIZE - payload),
              "a payload lies in the segment");
    if (size > 0)
        (void)*(const volatile char *)(payload + size - 1);
}

static bool side_is_held_by(const struct shl_segment *segment, uint64_t side)
{
    return SIDE_OWNER(side) != 0 && !shl_thread_is_gone(segment, shl_owner_short(SIDE_OWNER(side)));
}

/* What stands in the handle's place, if that is good: whatever the tables say of the place, the
 * library may remember it. */
static const void *object_at(uint64_t ref, size_t size)
{
    uint64_t offset = shl_ref_offset(ref);
    const struct object_shm *object = (const void *)(scene->memory + offset);
    return offset <= FUZZ_SEGMENT_SIZE - size && object->self == ref ? object : NULL;
}

/* Does somebody who lives stand in a side? Then who wants to shut the queue down waits for him: if
 * its ring has sides, which the library may remember, whatever the place says now. */
static bool ring_is_held(uint64_t ref)
{
    const struct shl_segment *segment = shl_segment_of_handle(scene->segment);
    const struct queue_shm *queue = object_at(ref, sizeof *queue);
    return queue && (side_is_held_by(segment, atom_load_relaxed(&queue->ring.tail.word)) ||
                     side_is_held_by(segment, atom_load_relaxed(&queue->ring.head.word)));
}

static bool end_is_held(uint64_t ref)
{
    const struct connection_shm *end = object_at(ref, sizeof *end);
    return end && (ring_is_held(ref) || ring_is_held(end->peer));
}

#define HANDLE(kind) ((shoal_##kind){ value })

/* Calls whose success says that the handle was good. */
#define CALL(name, expression)             \
    static int call_##name(uint64_t value) \
    {                                      \
        return expression;                 \
    }
CALL(lock_acquire, shoal_lock_acquire(HANDLE(lock), soon()))
CALL(lock_release, shoal_lock_release(HANDLE(lock)))
CALL(lock_clear, shoal_lock_clear_owner_died(HANDLE(lock)))
CALL(lock_owner, shoal_lock_owner(HANDLE(lock), &(shoal_owner){ 0 }))
CALL(semaphore_acquire, shoal_semaphore_acquire(HANDLE(semaphore), soon()))
CALL(semaphore_release, shoal_semaphore_release(HANDLE(semaphore)))
CALL(event_set, shoal_event_set(HANDLE(event)))
CALL(event_clear, shoal_event_clear(HANDLE(event)))
CALL(event_wait, shoal_event_wait(HANDLE(event), soon()))
CALL(condition_acquire, shoal_condition_acquire(HANDLE(condition), soon()))
CALL(condition_release, shoal_condition_release(HANDLE(condition)))
CALL(condition_wait, shoal_condition_wait(HANDLE(condition), soon()))
CALL(condition_notify, shoal_condition_notify(HANDLE(condition), number))
CALL(barrier_abort, shoal_barrier_abort(HANDLE(barrier)))
CALL(barrier_reset, shoal_barrier_reset(HANDLE(barrier)))
CALL(queue_put, shoal_queue_put_bytes(HANDLE(queue), "another", 8, soon()))
CALL(queue_shutdown, ring_is_held(value) ? -EBUSY : shoal_queue_shutdown(HANDLE(queue)))
CALL(process_sentinel, shoal_process_sentinel(HANDLE(process)))

/* Who joins his parent need not find its object any more. */
static int call_process_join(uint64_t value)
{
    int code = shoal_process_join(HANDLE(process), soon());
    return SHOAL_SAME(HANDLE(process), shoal_parent_process()) ? -ENODATA : code;
}

static int call_barrier_wait(uint64_t value)
{
    const struct barrier_shm *barrier = object_at(value, sizeof *barrier);
    if (barrier && barrier->action != 0)
        return -EBUSY;
    return shoal_barrier_wait(HANDLE(barrier), NULL, soon());
}

static int call_queue_get(uint64_t value)
{
    void *payload = NULL;
    int code = shoal_queue_get(HANDLE(queue), &payload, soon());
    payload_must_lie_inside(payload);
    shoal_free(payload);
    return code;
}

static int call_queue_pass(uint64_t value)
{
    void *payload = scene->base + scene->payloads[0];
    int code = shoal_queue_put(HANDLE(queue), payload, soon());
    return code < 0 ? code : call_queue_get(value);
}

static int call_queue_put_many(uint64_t value)
{
    void *payloads[3];
    size_t count = 0;
    for (int i = 0; i < 3; i++)
        payloads[i] = shoal_alloc_in(scene->segment, 8);
    int code = shoal_queue_put_many(HANDLE(queue), payloads, 3, &count, soon());
    fuzz_must(count <= 3 && (code < 0) == (count == 0), "so many were put");
    for (size_t i = count; i < 3; i++)
        shoal_free(payloads[i]);
    return code;
}

static int call_queue_get_many(uint64_t value)
{
    void *payloads[3];
    size_t count = 0;
    int code = shoal_queue_get_many(HANDLE(queue), payloads, 3, &count, soon());
    fuzz_must(count <= 3 && (code < 0) == (count == 0), "so many were got");
    for (size_t i = 0; i < count; i++) {
        payload_must_lie_inside(payloads[i]);
        shoal_free(payloads[i]);
    }
    return code;
}

static char values[3 * FUZZ_VALUE_SIZE];
CALL(queue_put_values,
     shoal_queue_put_values(HANDLE(queue), values, FUZZ_VALUE_SIZE, 3, &(size_t){ 0 }, soon()))
CALL(queue_get_values,
     shoal_queue_get_values(HANDLE(queue), values, FUZZ_VALUE_SIZE, 3, &(size_t){ 0 }, soon()))
CALL(queue_put_end, shoal_queue_put_end(HANDLE(queue), soon()))
CALL(queue_shutdown_now, ring_is_held(value) ? -EBUSY : shoal_queue_shutdown_now(HANDLE(queue)))

/* Calls that answer without one, or whether the handle is good or not. */
#define CALL_ANY(name, statement)          \
    static int call_##name(uint64_t value) \
    {                                      \
        (void)value;                       \
        statement;                         \
        return -ENODATA;                   \
    }
CALL_ANY(lock_owner_died, (void)shoal_lock_owner_died(HANDLE(lock)))
CALL_ANY(semaphore_value, (void)shoal_semaphore_value(HANDLE(semaphore)))
CALL_ANY(event_cancels, (void)!shoal_lock_acquire((shoal_lock){ scene->objects[0] },
                                                  shoal_until(soon(), HANDLE(event))))
CALL_ANY(event_is_set, (void)shoal_event_is_set(HANDLE(event)))
CALL_ANY(barrier_looks, (void)shoal_barrier_waiting(HANDLE(barrier));
         (void)shoal_barrier_parties(HANDLE(barrier)))
CALL_ANY(queue_full, (void)shoal_queue_full(HANDLE(queue)))
CALL_ANY(lock_destroy, shoal_lock_destroy(HANDLE(lock)))
CALL_ANY(semaphore_destroy, shoal_semaphore_destroy(HANDLE(semaphore)))
CALL_ANY(event_destroy, shoal_event_destroy(HANDLE(event)))
CALL_ANY(condition_destroy, shoal_condition_destroy(HANDLE(condition)))
CALL_ANY(barrier_destroy, shoal_barrier_destroy(HANDLE(barrier)))
CALL_ANY(queue_destroy, if (!ring_is_held(value)) shoal_queue_destroy(HANDLE(queue)))
CALL_ANY(process_looks, (void)shoal_process_pid(HANDLE(process));
         (void)shoal_process_exitcode(HANDLE(process));
         (void)shoal_process_is_alive(HANDLE(process)); shoal_process_close(HANDLE(process)))
CALL_ANY(process_name, fuzz_must(strnlen(shoal_process_name(HANDLE(process)),
                                         SHOAL_PROCESS_NAME_MAX + 1) <= SHOAL_PROCESS_NAME_MAX,
                                 "a name ends"))
CALL_ANY(segment_of, (void)shoal_segment_of((shoal_any){ value }))
CALL_ANY(deref, payload_must_lie_inside(shoal_deref((shoal_ref){ value })))
CALL_ANY(free, shoal_free(scene->base + value % FUZZ_SEGMENT_SIZE))
CALL_ANY(recover, shl_peer_recover_all(shl_segment_of_handle(scene->segment)))
CALL_ANY(bury, shl_peer_bury(shl_segment_of_handle(scene->segment), (pid_t)value))

static int call_alloc(uint64_t value)
{
    char *payload = shoal_alloc_in(scene->segment, value % (FUZZ_SEGMENT_SIZE / 2));
    payload_must_lie_inside(payload);
    if (payload)
        memset(payload, 0xff, shoal_size(payload));
    if (number & 1)
        shoal_free(payload);
    return -ENODATA;
}

static int call_ref_of(uint64_t value)
{
    shoal_ref ref = shoal_ref_of(scene->base + value % FUZZ_SEGMENT_SIZE);
    payload_must_lie_inside(SHOAL_IS_NONE(ref) ? NULL : shoal_deref(ref));
    return -ENODATA;
}

/* More objects: from places that were given back, or said to be. */
static int call_create(uint64_t value)
{
    shoal_segment in = scene->segment;
    (void)value;
    int codes[] = {
        shoal_lock_create(&(shoal_lock_options){ .segment = in }, &(shoal_lock){ 0 }),
        shoal_semaphore_create(number % 100,
                               &(shoal_semaphore_options){ .segment = in, .owned = true },
                               &(shoal_semaphore){ 0 }),
        shoal_event_create(&(shoal_event_options){ .segment = in }, &(shoal_event){ 0 }),
        shoal_condition_create(&(shoal_condition_options){ .segment = in },
                               &(shoal_condition){ 0 }),
        shoal_barrier_create(2, &(shoal_barrier_options){ .segment = in }, &(shoal_barrier){ 0 }),
        shoal_queue_create(&(shoal_queue_options){ .segment = in, .capacity_count = number % 64 },
                           &(shoal_queue){ 0 }),
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fuzz_must(codes[i] <= 0, "create answers 0 or an error");
    return -ENODATA;
}

static int call_publish(uint64_t value)
{
    return shoal_publish((shoal_any){ value }, number & 1 ? "lock" : "another");
}

static int call_open(uint64_t value)
{
    shoal_lock lock = { 0 };
    (void)value;
    if (shoal_lock_open(scene->segment, number & 1 ? "lock" : "another", &lock) == 0)
        fuzz_must(shl_ref_offset(lock.ref) < FUZZ_SEGMENT_SIZE, "a name leads into the segment");
    return -ENODATA;
}

CALL_ANY(unpublish, shoal_unpublish(scene->segment, number & 1 ? "lock" : "another"))
CALL_ANY(audit, shoal_segment_audit(scene->segment, &(shoal_audit){ 0 }))

static int call_sizes(uint64_t value)
{
    shoal_size_class sizes[80];
    (void)value;
    fuzz_must(shoal_segment_sizes(scene->segment, sizes, 80) < 80, "there are as many sizes");
    return -ENODATA;
}

static int call_queues(uint64_t value)
{
    shoal_queue_load loads[8];
    (void)value;
    shoal_segment_queues(scene->segment, loads, 8);
    return -ENODATA;
}

static int call_holders(uint64_t value)
{
    shoal_holder holders[4];
    int count = shoal_segment_holders(scene->segment, holders, 4);
    (void)value;
    for (int i = 0; i < count; i++)
        fuzz_must(strnlen(holders[i].name, sizeof holders[i].name) < sizeof holders[i].name,
                  "a holder's name ends");
    return -ENODATA;
}

/* --- payloads that others may hold ------------------------------------------------------------ */

static void *kept; /* what this input's last get has left to the caller */

/* By the number of the step: a prepared one, or what was got. */
static void *payload(void)
{
    uint32_t which = (number >> 1) % (scene->payloads_count + 1);
    return which < scene->payloads_count ? scene->base + scene->payloads[which] : kept;
}

static int keep(int code, void *got)
{
    payload_must_lie_inside(got);
    kept = got ? got : kept;
    return code;
}

static int call_queue_keep(uint64_t value)
{
    void *got = NULL;
    return keep(shoal_queue_get(HANDLE(queue), &got, soon()), got);
}

static int call_connection_recv(uint64_t value)
{
    void *got = NULL;
    return keep(shoal_connection_recv(HANDLE(connection), &got, soon()), got);
}

static int call_connection_recv_bytes(uint64_t value)
{
    char bytes[64];
    size_t size = 0, room = number % sizeof bytes;
    int code = shoal_connection_recv_bytes(HANDLE(connection), bytes, room, &size, soon());
    fuzz_must(size <= room, "so many bytes were received");
    return code;
}

CALL(queue_put_payload, shoal_queue_put(HANDLE(queue), payload(), soon()))
CALL(connection_send, shoal_connection_send(HANDLE(connection), payload(), soon()))
CALL(connection_send_bytes, shoal_connection_send_bytes(HANDLE(connection), "bytes", 5, soon()))
CALL(connection_poll, shoal_connection_poll(HANDLE(connection), soon()))
CALL(connection_give,
     shoal_connection_give(HANDLE(connection),
                           (shoal_process){ scene->objects[number % scene->objects_count] }))
CALL_ANY(connection_close, if (!end_is_held(value)) shoal_connection_close(HANDLE(connection)))
CALL_ANY(share, (void)!shoal_share(payload()))
CALL_ANY(unshare, shoal_unshare(payload()))
CALL_ANY(free_payload, shoal_free(payload()))
CALL_ANY(alloc_under, kept = shoal_alloc_under(payload(), value % 4096);
         payload_must_lie_inside(kept))
CALL_ANY(deliveries, shoal_queue_deliveries(payload()))
CALL(task_done, shoal_queue_task_done(HANDLE(queue), payload()))
CALL(queue_join, shoal_queue_join(HANDLE(queue), soon()))

/* --- and the rest of the queues --------------------------------------------------------------- */

static uint64_t closed[STEPS_MAX]; /* handles; a process remembers them */
static uint32_t closed_count;

static int call_queue_close(uint64_t value)
{
    int code = shoal_queue_close(HANDLE(queue));
    fuzz_must(code <= 0, "close answers 0 or an error");
    closed[closed_count++ % STEPS_MAX] = value;
    return -ENODATA;
}

CALL(queue_join_thread, shoal_queue_join_thread(HANDLE(queue)))
CALL(queue_stats, shoal_queue_stats(HANDLE(queue), &(shoal_queue_counters){ 0 }))
CALL(queue_put_word,
     shoal_queue_put_value(HANDLE(queue), &(uint64_t){ number }, sizeof(uint64_t), soon()))
CALL(queue_get_word,
     shoal_queue_get_value(HANDLE(queue), &(uint64_t){ 0 }, sizeof(uint64_t), soon()))

static int call_create_more(uint64_t value)
{
    shoal_segment in = scene->segment;
    shoal_queue_options leased = { .segment = in, .joinable = true, .capacity_count = number % 64 };
    leased.dead_letters = HANDLE(queue);
    shoal_queue_options words = { .segment = in, .value_size = 8, .capacity_count = number % 64 };
    int codes[] = { shoal_queue_create(&leased, &(shoal_queue){ 0 }),
                    shoal_queue_create(&words, &(shoal_queue){ 0 }),
                    shoal_pipe_create(&(shoal_pipe_options){ .segment = in, .one_way = true },
                                      &(shoal_connection){ 0 }, &(shoal_connection){ 0 }) };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fuzz_must(codes[i] <= 0, "create answers 0 or an error");
    return -ENODATA;
}

/* --- descriptors ------------------------------------------------------------------------------ */

/* The prepared segment is the family's, in which alone processes and descriptors are known; but for
 * who asks by the handle of none. */
struct shl_segment *__wrap_shl_segment_family_slow(void);
struct shl_segment *__wrap_shl_segment_family_slow(void)
{
    fuzz_must(scene, "what is prepared is no family's");
    return shl_segment_of_handle(scene->segment);
}

CALL(connection_send_fd, shoal_connection_send_fd(HANDLE(connection), scene->fd, soon()))

static int call_connection_recv_fd(uint64_t value)
{
    int fd = -1;
    int code = shoal_connection_recv_fd(HANDLE(connection), &fd, soon());
    fuzz_must((code == 0) == (fd >= 0), "a descriptor is received, or an error");
    fuzz_must(code < 0 || close(fd) == 0, "what is received is a descriptor");
    return code;
}

/* As a forked child does: the next input's process has no doors, and no object. */
static void forget_family(void)
{
    struct shl_shared *shared = shl_shared();
    shared->doors_own = false;
    shl_doors_leave();
    atom_store_relaxed(&shared->process_ref, 0);
    shared->process_name[0] = 0;
}

/* --- processes, of whom none is a child ------------------------------------------------------- */

#define PROCESSES(value) \
    ((shoal_process[]){ HANDLE(process), { scene->objects[number % scene->objects_count] } })
CALL(process_start, shoal_process_start(HANDLE(process)))
CALL(process_run, shoal_process_run(HANDLE(process)))
CALL(process_signal, shoal_process_signal(HANDLE(process), 0))
CALL(process_terminate, shoal_process_terminate(HANDLE(process)))
CALL(process_kill, shoal_process_kill(HANDLE(process)))
CALL(process_terminate_tree, shoal_process_terminate_tree(HANDLE(process)))
CALL(process_kill_tree, shoal_process_kill_tree(HANDLE(process)))
CALL(process_end_all, shoal_process_end_all(PROCESSES(value), 2, NULL, NULL, soon()))
CALL(process_set_daemon, shoal_process_set_daemon(HANDLE(process), number & 1))
CALL(process_set_name, shoal_process_set_name(HANDLE(process), "another"))
CALL_ANY(process_join_all, (void)!shoal_process_join_all(PROCESSES(value), 2, soon()))
CALL_ANY(process_argument, payload_must_lie_inside(shoal_process_argument(HANDLE(process))))
CALL_ANY(process_family, (void)shoal_active_children(NULL, 0);
         (void)shoal_process_is_daemon(HANDLE(process)))

static int call_process_describe(uint64_t value)
{
    char text[64];
    shoal_process_describe(HANDLE(process), text, sizeof text);
    fuzz_must(memchr(text, 0, sizeof text), "a description ends");
    return -ENODATA;
}

/* --- and the rest ----------------------------------------------------------------------------- */

static int call_open_more(uint64_t value)
{
    shoal_segment in = scene->segment;
    const char *name = number & 1 ? "lock" : "another";
    (void)value;
    int codes[] = { shoal_semaphore_open(in, name, &(shoal_semaphore){ 0 }),
                    shoal_event_open(in, name, &(shoal_event){ 0 }),
                    shoal_condition_open(in, name, &(shoal_condition){ 0 }),
                    shoal_barrier_open(in, name, &(shoal_barrier){ 0 }),
                    shoal_queue_open(in, name, &(shoal_queue){ 0 }) };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fuzz_must(codes[i] <= 0, "open answers 0 or an error");
    return -ENODATA;
}

/* Objects that end with this process. */
static int call_create_tied(uint64_t value)
{
    shoal_segment in = scene->segment;
    (void)value;
    int codes[] = {
        shoal_event_create(&(shoal_event_options){ .segment = in, .ends_with_creator = true },
                           &(shoal_event){ 0 }),
        shoal_queue_create(&(shoal_queue_options){ .segment = in, .ends_with_creator = true },
                           &(shoal_queue){ 0 }),
        shoal_lock_create(&(shoal_lock_options){ .segment = in, .ends_with_creator = true },
                          &(shoal_lock){ 0 }),
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fuzz_must(codes[i] <= 0, "create answers 0 or an error");
    return -ENODATA;
}

static int call_alloc_in_family(uint64_t value)
{
    void *payloads[] = { shoal_calloc(value % 64, number % 64), shoal_alloc(value % 4096),
                         shoal_alloc_aligned(64, value % 4096), shoal_strdup("text") };
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        payload_must_lie_inside(payloads[i]);
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        shoal_free(payloads[i]);
    return -ENODATA;
}

static bool is_number_odd(void *context)
{
    (void)context;
    return number & 1;
}

CALL(condition_wait_for, shoal_condition_wait_for(HANDLE(condition), is_number_odd, NULL, soon()))
CALL(condition_notify_all, shoal_condition_notify_all(HANDLE(condition)))
CALL_ANY(condition_lock, (void)shoal_condition_lock(HANDLE(condition)))
CALL_ANY(barrier_is_broken, (void)shoal_barrier_is_broken(HANDLE(barrier)))
CALL_ANY(queue_looks, (void)shoal_queue_empty(HANDLE(queue));
         (void)shoal_queue_qsize(HANDLE(queue)))
CALL_ANY(limits, shoal_segment_limits(scene->segment, &(shoal_limits){ 0 }))

void fuzz_calls_forget(void)
{
    forget_family();
    for (uint32_t i = 0; i < closed_count && i < STEPS_MAX; i++)
        shl_closed_remove(closed[i]);
    closed_count = 0;
    kept = NULL;
}

/* A named file with the segment's header, of the size that it says or of another. */
static void make_file(const char *path, uint64_t size)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    bool made = fd >= 0 && write(fd, scene->memory, 4096) == 4096 &&
                ftruncate(fd, (off_t)(size % (2 * SEGMENT_SIZE_MAX))) == 0;
    fuzz_must(made, "there is a named file");
    close(fd);
}

static int call_attach_named(uint64_t value)
{
    const struct segment_shm *header = (const void *)scene->memory;
    char path[64], *name = path + sizeof "/dev/shm/shoal." - 1;
    shoal_segment segment;
    snprintf(path, sizeof path, "/dev/shm/shoal.harness-%d", getpid());
    make_file(path, number & 1 ? value : header->size);
    int code = shoal_segment_attach(name, &segment);
    fuzz_must(shoal_segment_unlink(name) == 0, "the named file is removed");
    if (code < 0)
        return -ENODATA;
    shoal_free(shoal_alloc_in(segment, 100));
    shoal_segment_audit(segment, &(shoal_audit){ 0 });
    fuzz_must(shoal_segment_detach(segment) == 0, "a named segment is detached");
    return -ENODATA;
}

#define NAMED(name)        \
    {                      \
#name, call_##name \
    }
static const struct {
    const char *name;
    int (*function)(uint64_t value);
} calls[] = {
    NAMED(lock_acquire),
    NAMED(lock_release),
    NAMED(lock_clear),
    NAMED(lock_owner),
    NAMED(semaphore_acquire),
    NAMED(event_set),
    NAMED(semaphore_release),
    NAMED(event_clear),
    NAMED(event_wait),
    NAMED(event_cancels),
    NAMED(condition_acquire),
    NAMED(condition_release),
    NAMED(condition_wait),
    NAMED(barrier_wait),
    NAMED(condition_notify),
    NAMED(barrier_abort),
    NAMED(barrier_reset),
    NAMED(queue_put),
    NAMED(queue_shutdown),
    NAMED(process_join),
    NAMED(process_sentinel),
    NAMED(queue_get),
    NAMED(queue_pass),
    NAMED(lock_owner_died),
    NAMED(semaphore_value),
    NAMED(event_is_set),
    NAMED(barrier_looks),
    NAMED(queue_full),
    NAMED(lock_destroy),
    NAMED(event_destroy),
    NAMED(semaphore_destroy),
    NAMED(condition_destroy),
    NAMED(barrier_destroy),
    NAMED(queue_destroy),
    NAMED(process_looks),
    NAMED(process_name),
    NAMED(segment_of),
    NAMED(deref),
    NAMED(free),
    NAMED(recover),
    NAMED(bury),
    NAMED(alloc),
    NAMED(ref_of),
    NAMED(create),
    NAMED(publish),
    NAMED(open),
    NAMED(unpublish),
    NAMED(audit),
    NAMED(holders),
    NAMED(attach_named),
    NAMED(queue_put_many),
    NAMED(queue_get_many),
    NAMED(queue_put_end),
    NAMED(queue_shutdown_now),
    NAMED(queue_put_values),
    NAMED(queue_get_values),
    NAMED(queue_keep),
    NAMED(queue_put_payload),
    NAMED(connection_send),
    NAMED(connection_send_bytes),
    NAMED(connection_recv),
    NAMED(connection_recv_bytes),
    NAMED(connection_poll),
    NAMED(connection_give),
    NAMED(connection_close),
    NAMED(share),
    NAMED(unshare),
    NAMED(free_payload),
    NAMED(alloc_under),
    NAMED(task_done),
    NAMED(deliveries),
    NAMED(queue_join),
    NAMED(queue_close),
    NAMED(queue_join_thread),
    NAMED(queue_stats),
    NAMED(queue_put_word),
    NAMED(queue_get_word),
    NAMED(create_more),
    NAMED(sizes),
    NAMED(queues),
    NAMED(connection_send_fd),
    NAMED(connection_recv_fd),
    NAMED(process_start),
    NAMED(process_run),
    NAMED(process_signal),
    NAMED(process_terminate),
    NAMED(process_kill),
    NAMED(process_terminate_tree),
    NAMED(process_kill_tree),
    NAMED(process_end_all),
    NAMED(process_set_daemon),
    NAMED(process_set_name),
    NAMED(process_join_all),
    NAMED(process_argument),
    NAMED(process_family),
    NAMED(process_describe),
    NAMED(open_more),
    NAMED(create_tied),
    NAMED(alloc_in_family),
    NAMED(condition_wait_for),
    NAMED(condition_notify_all),
    NAMED(condition_lock),
    NAMED(barrier_is_broken),
    NAMED(queue_looks),
    NAMED(limits),
};
const uint32_t fuzz_calls_count = sizeof calls / sizeof *calls;

void fuzz_calls_print(void)
{
    for (uint32_t i = 0; i < fuzz_calls_count; i++)
        printf("call %u 0 %s\n", i, calls[i].name);
}

/* Is the handle what stands in its place? */
static bool is_good(uint64_t ref)
{
    uint64_t word = 0, offset = shl_ref_offset(ref) + offsetof(struct object_shm, self);
    if (offset <= FUZZ_SEGMENT_SIZE - sizeof word)
        memcpy(&word, scene->memory + offset, sizeof word);
    return word == ref;
}

void fuzz_call(const struct scene *of, const struct step *step, uint64_t value)
{
    scene = of;
    number = step->where;
    bool good = is_good(value);
    int code = calls[step->what % fuzz_calls_count].function(value);
    /* In damaged memory the call itself may make a thing there: the main process, when it is first
     * asked for. */
    fuzz_must(good || is_good(value) || code < 0, "a stale handle is refused");
}
