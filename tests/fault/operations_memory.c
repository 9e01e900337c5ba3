/* Operations on memory, segments and objects. */
#include "operations.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "chain.h"

shoal_queue queue;
static int fd_kept;

void prepare_family(void)
{
    CHILD_CHECK(!SHOAL_IS_NONE(shoal_segment_family()));
}

/* First uses have rows of their own. */
void prepare_thread(void)
{
    void *payload = shoal_alloc(1);
    CHILD_CHECK(payload);
    shoal_free(payload);
}

/* --- memory --------------------------------------------------------------------------------- */

static int alloc_of(size_t size)
{
    void *payload = shoal_alloc(size);
    if (payload)
        output.payload = payload;
    return code_of(payload);
}

static int alloc_small(void)
{
    return alloc_of(100);
}

static int alloc_large(void)
{
    return alloc_of(3 << 20);
}

static void free_payload(void)
{
    shoal_free(output.payload);
}

static int alloc_and_free(void)
{
    void *payload = shoal_alloc(3 << 20);
    const int code = code_of(payload);
    shoal_free(payload);
    return code;
}

static int audit_family(void)
{
    shoal_audit audit;
    const int code = shoal_segment_audit((shoal_segment){ 0 }, &audit);
    if (code == 0)
        output.ref = 1;
    return code;
}

static int holders_of_family(void)
{
    shoal_holder holder;
    const int code = shoal_segment_holders((shoal_segment){ 0 }, &holder, 1);
    if (code >= 0)
        output.ref = 1;
    return code < 0 ? code : 0;
}

static int limits_of_family(void)
{
    shoal_limits limits;
    const int code = shoal_segment_limits((shoal_segment){ 0 }, &limits);
    if (code == 0)
        output.ref = 1;
    return code;
}

static const struct operation memory[] = {
    { .name = "segment_audit", .prepare = prepare_thread, .run = audit_family },
    { .name = "segment_holders", .prepare = prepare_thread, .run = holders_of_family },
    { .name = "segment_limits", .prepare = prepare_thread, .run = limits_of_family },
    { .name = "first alloc", .run = alloc_small, .undo = free_payload },
    { .name = "first alloc in a fork",
      .inherited = prepare_family,
      .run = alloc_small,
      .undo = free_payload },
    { .name = "alloc", .prepare = prepare_family, .run = alloc_small, .undo = free_payload },
    { .name = "alloc large", .prepare = prepare_thread, .run = alloc_large, .undo = free_payload },
    { .name = "free large", .prepare = prepare_thread, .run = alloc_and_free },
};

const struct table memory_table = { memory, COUNT_OF(memory) };

/* --- segments ------------------------------------------------------------------------------- */

static shoal_segment segment;

static int segment_create(void)
{
    return shoal_segment_create(NULL, &output.segment);
}

static int segment_create_fixed(void)
{
    const shoal_segment_options options = { .fixed_address = true, .size_max = 64 << 20 };
    return shoal_segment_create(&options, &output.segment);
}

static void segment_detach(void)
{
    CHILD_CHECK(shoal_segment_detach(output.segment) == 0);
}

/* Used and left by a thread that had no slot in it. */
static int segment_use(void)
{
    int code = shoal_segment_create(NULL, &segment);
    if (code < 0)
        return code;
    void *payload = shoal_alloc_in(segment, 100);
    code = code_of(payload);
    shoal_free(payload);
    CHILD_CHECK(shoal_segment_detach(segment) == 0);
    return code;
}

static void prepare_attach(void)
{
    CHILD_CHECK(shoal_segment_create(NULL, &segment) == 0);
    fd_kept = fcntl(shoal_segment_fd(segment), F_DUPFD_CLOEXEC, 400);
    CHILD_CHECK(fd_kept >= 400);
    CHILD_CHECK(shoal_segment_detach(segment) == 0);
}

static int segment_attach(void)
{
    return shoal_segment_attach_fd(fd_kept, &output.segment);
}

static char segment_name[SHOAL_NAME_MAX + 1];

static int segment_create_named(void)
{
    snprintf(segment_name, sizeof segment_name, "harness-%d", (int)getpid());
    return shoal_segment_create(&(shoal_segment_options){ .name = segment_name }, &output.segment);
}

static void segment_detach_and_unlink(void)
{
    segment_detach();
    CHILD_CHECK(shoal_segment_unlink(segment_name) == 0);
}

static void prepare_named(void)
{
    CHILD_CHECK(segment_create_named() == 0);
    segment_detach();
}

static int segment_attach_named(void)
{
    return shoal_segment_attach(segment_name, &output.segment);
}

static int segment_unlink(void)
{
    return shoal_segment_unlink(segment_name);
}

static void finish_named(void)
{
    CHILD_CHECK(shoal_segment_unlink(segment_name) == 0);
}

static void close_kept(void)
{
    close(fd_kept);
}

/* What the library opens comes where a standard stream was, and must move. */
void close_stdin(void)
{
    prepare_thread();
    fd_kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 400);
    CHILD_CHECK(fd_kept >= 400);
    close(STDIN_FILENO);
}

void restore_stdin(void)
{
    CHILD_CHECK(dup2(fd_kept, STDIN_FILENO) == STDIN_FILENO);
    close(fd_kept);
}

static int init(void)
{
    return shoal_init(NULL, NULL, NULL);
}

static const struct operation segments[] = {
    { .name = "init", .run = init, .once = true },
    { .name = "segment_create", .run = segment_create, .undo = segment_detach },
    { .name = "segment_create fixed", .run = segment_create_fixed, .undo = segment_detach },
    { .name = "segment_create without stdin",
      .prepare = close_stdin,
      .run = segment_create,
      .undo = segment_detach,
      .finish = restore_stdin },
    { .name = "segment_create named",
      .run = segment_create_named,
      .undo = segment_detach_and_unlink },
    { .name = "segment_attach",
      .prepare = prepare_named,
      .run = segment_attach_named,
      .undo = segment_detach,
      .finish = finish_named },
    { .name = "segment_unlink",
      .prepare = prepare_named,
      .run = segment_unlink,
      .undo = prepare_named,
      .finish = finish_named },
    { .name = "segment_attach_fd",
      .prepare = prepare_attach,
      .run = segment_attach,
      .undo = segment_detach,
      .finish = close_kept },
    { .name = "alloc_in and segment_detach", .run = segment_use },
};

const struct table segments_table = { segments, COUNT_OF(segments) };

/* --- objects -------------------------------------------------------------------------------- */

static shoal_lock lock;

static int create_lock(void)
{
    return shoal_lock_create(NULL, &output.lock);
}
static int create_rlock(void)
{
    return shoal_rlock_create(&output.lock);
}
static void destroy_the_lock(void)
{
    CHILD_CHECK(shoal_lock_destroy(output.lock) == 0);
}

static int create_semaphore(void)
{
    return shoal_semaphore_create(1, NULL, &output.semaphore);
}
static int create_owned(void)
{
    const shoal_semaphore_options options = { .owned = true };
    return shoal_semaphore_create(1, &options, &output.semaphore);
}
static void destroy_the_semaphore(void)
{
    CHILD_CHECK(shoal_semaphore_destroy(output.semaphore) == 0);
}

static int create_event(void)
{
    return shoal_event_create(NULL, &output.event);
}
static void destroy_the_event(void)
{
    CHILD_CHECK(shoal_event_destroy(output.event) == 0);
}

static int create_condition(void)
{
    return shoal_condition_create(NULL, &output.condition);
}
static void prepare_lock(void)
{
    CHILD_CHECK(shoal_lock_create(NULL, &lock) == 0);
}
static int create_condition_with(void)
{
    return shoal_condition_create(&(shoal_condition_options){ .lock = lock }, &output.condition);
}
static void destroy_the_condition(void)
{
    CHILD_CHECK(shoal_condition_destroy(output.condition) == 0);
}
static void finish_lock(void)
{
    CHILD_CHECK(shoal_lock_destroy(lock) == 0);
}

static int create_barrier(void)
{
    return shoal_barrier_create(2, NULL, &output.barrier);
}
static void destroy_the_barrier(void)
{
    CHILD_CHECK(shoal_barrier_destroy(output.barrier) == 0);
}

static int create_queue(void)
{
    return shoal_queue_create(&(shoal_queue_options){ .capacity_count = 4 }, &output.queue);
}
static int create_large_queue(void)
{
    return shoal_queue_create(&(shoal_queue_options){ .capacity_count = 1 << 18 }, &output.queue);
}
static int create_queue_of_values(void)
{
    return shoal_queue_create(&(shoal_queue_options){ .value_size = 4096 }, &output.queue);
}
static void destroy_the_queue(void)
{
    CHILD_CHECK(shoal_queue_destroy(output.queue) == 0);
}

void prepare_queue(void)
{
    CHILD_CHECK(shoal_queue_create(&(shoal_queue_options){ .capacity_count = 4 }, &queue) == 0);
}
static int put_small(void)
{
    return shoal_queue_put_bytes(queue, "text", 5, SHOAL_NOW);
}
static int put_large(void)
{
    static const char text[2 << 20];
    return shoal_queue_put_bytes(queue, text, sizeof text, SHOAL_NOW);
}
void get_one(void)
{
    void *payload;
    CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0);
    shoal_free(payload);
}
static int create_pipe(void)
{
    return shoal_pipe_create(NULL, &output.pipe.first, &output.pipe.second);
}
static void close_pipe(void)
{
    CHILD_CHECK(shoal_connection_close(output.pipe.first) == 0);
    CHILD_CHECK(shoal_connection_close(output.pipe.second) == 0);
}

/* It has no capacity, and room for one message in its ring. */
static void prepare_full_ring(void)
{
    CHILD_CHECK(shoal_queue_create(NULL, &queue) == 0 && chain_shrink(queue.ref));
    CHILD_CHECK(shoal_queue_put_bytes(queue, "first", 6, SHOAL_NOW) == 0);
}
static void make_full_ring_again(void)
{
    get_one();
    get_one();
    CHILD_CHECK(shoal_queue_destroy(queue) == 0);
    prepare_full_ring();
}
static void finish_full_ring(void)
{
    get_one();
    finish_queue();
}

static int destroy_queue(void)
{
    return shoal_queue_destroy(queue);
}
static void destroy_it_again(void)
{
    CHILD_CHECK(shoal_queue_destroy(queue) == 0);
}

static int close_queue(void)
{
    return shoal_queue_close(queue);
}
static void open_another_queue(void)
{
    CHILD_CHECK(shoal_queue_destroy(queue) == 0);
    prepare_queue();
}
void finish_queue(void)
{
    CHILD_CHECK(shoal_queue_qsize(queue) == 0);
    CHILD_CHECK(shoal_queue_destroy(queue) == 0);
}

static const struct operation objects[] = {
    { .name = "lock_create",
      .prepare = prepare_thread,
      .run = create_lock,
      .undo = destroy_the_lock },
    { .name = "rlock_create",
      .prepare = prepare_thread,
      .run = create_rlock,
      .undo = destroy_the_lock },
    { .name = "semaphore_create",
      .prepare = prepare_thread,
      .run = create_semaphore,
      .undo = destroy_the_semaphore },
    { .name = "semaphore_create owned",
      .prepare = prepare_thread,
      .run = create_owned,
      .undo = destroy_the_semaphore },
    { .name = "event_create",
      .prepare = prepare_thread,
      .run = create_event,
      .undo = destroy_the_event },
    { .name = "condition_create",
      .prepare = prepare_thread,
      .run = create_condition,
      .undo = destroy_the_condition },
    { .name = "condition_create with a lock",
      .prepare = prepare_lock,
      .run = create_condition_with,
      .undo = destroy_the_condition,
      .finish = finish_lock },
    { .name = "barrier_create",
      .prepare = prepare_thread,
      .run = create_barrier,
      .undo = destroy_the_barrier },
    { .name = "queue_create",
      .prepare = prepare_thread,
      .run = create_queue,
      .undo = destroy_the_queue },
    { .name = "queue_create large",
      .prepare = prepare_thread,
      .run = create_large_queue,
      .undo = destroy_the_queue },
    { .name = "queue_create of values",
      .prepare = prepare_thread,
      .run = create_queue_of_values,
      .undo = destroy_the_queue },
    { .name = "queue_destroy",
      .prepare = prepare_queue,
      .run = destroy_queue,
      .undo = prepare_queue,
      .finish = destroy_it_again },
    { .name = "queue_close",
      .prepare = prepare_queue,
      .run = close_queue,
      .undo = open_another_queue,
      .finish = finish_queue },
    { .name = "pipe_create", .prepare = prepare_thread, .run = create_pipe, .undo = close_pipe },
    { .name = "queue_put_bytes",
      .prepare = prepare_queue,
      .run = put_small,
      .undo = get_one,
      .finish = finish_queue },
    { .name = "queue_put_bytes that lengthens it",
      .prepare = prepare_full_ring,
      .run = put_small,
      .undo = make_full_ring_again,
      .finish = finish_full_ring },
    { .name = "queue_put_bytes large",
      .prepare = prepare_queue,
      .run = put_large,
      .undo = get_one,
      .finish = finish_queue },
};

const struct table objects_table = { objects, COUNT_OF(objects) };
