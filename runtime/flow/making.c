#include "flow/making.h"

#include "flow/chain.h"
#include "flow/queue.h"
#include "flow/single.h"
#include "mem/alloc.h"
#include "os/chaos.h"

int shl_queue_init(const struct shl_segment *segment, struct object_shm *object, uint64_t capacity)
{
    struct ring_call call = shl_queue_call(segment, object);
    if (!call.cells)
        return shl_ring_init(&call, capacity);
    void *cells = shl_alloc(segment, shl_cells_size(capacity));
    struct shl_place place;
    if (!cells || !shl_place_find(cells, &place))
        return shl_error_code();
    shl_object_part(&place, atom_load_relaxed(&object->self));
    shl_cells_init(segment, call.cells, shl_offset(segment, cells), capacity, 0);
    return 0;
}

/* How many messages a queue of these options may hold; 0: any number. */
static size_t choose_capacity(const shoal_queue_options *options)
{
    size_t count = options->capacity_count;
    if (options->value_size == 0 || options->capacity_size == 0)
        return count;
    size_t fits = options->capacity_size / options->value_size;
    return count > 0 && count < fits ? count : fits;
}

static int check_options(const shoal_queue_options *options)
{
    REQUIRE_RESERVED(options);
    REQUIRE(options->capacity_count <= SHOAL_QUEUE_CAPACITY_MAX, -EINVAL,
            "capacity_count is above SHOAL_QUEUE_CAPACITY_MAX");
    REQUIRE(options->value_size <= SHOAL_QUEUE_VALUE_SIZE_MAX, -EINVAL,
            "value_size is above SHOAL_QUEUE_VALUE_SIZE_MAX");
    REQUIRE(options->capacity_size == 0 || options->capacity_size >= options->value_size, -EINVAL,
            "capacity_size has no room for one value");
    REQUIRE(!options->joinable || options->value_size == 0, -ENOTSUP,
            "a queue of values cannot be joinable");
    REQUIRE(options->joinable || (!options->deliveries_max && SHOAL_IS_NONE(options->dead_letters)),
            -EINVAL, "deliveries_max and dead_letters are for joinable queues");
    return 0;
}

/* The queue for what is given up must be one of payloads in the same segment. */
static int check_dead_letters(const struct shl_segment *segment, shoal_queue dead_letters)
{
    struct ring_call other;
    int code = SHOAL_IS_NONE(dead_letters) ? 1 : shl_queue_find(dead_letters, SHOAL_NOW, &other);
    if (code != 0)
        return code < 0 ? code : 0;
    REQUIRE(other.is_owned, -EINVAL, "dead_letters is a queue of values");
    REQUIRE(!other.found->puts_alone, -EINVAL, "dead_letters has a single producer");
    REQUIRE(other.segment == segment, -EXDEV, "dead_letters lies in another segment");
    return 0;
}

void shl_queue_describe(struct object_shm *object, const shoal_queue_options *options,
                        enum ring_kind kind)
{
    struct queue_shm *queue = (struct queue_shm *)object;
    struct joinable_shm *joinable = &queue->joinable;
    queue->value_size = (uint32_t)options->value_size;
    queue->ring_kind = kind;
    queue->capacity_size = options->value_size > 0 ? 0 : options->capacity_size;
    atom_store_relaxed(&queue->copied_size, 0);
    unsigned deliveries_max = options->deliveries_max ? options->deliveries_max : 3;
    joinable->deliveries_max = options->joinable ? deliveries_max : 0;
    joinable->dead_letters = options->dead_letters.ref;
    atom_store_relaxed(&joinable->returned, 0);
    atom_store_relaxed(&joinable->dropped, 0);
    shl_single_init(queue, SHL_PUTS, options->single_producer);
    shl_single_init(queue, SHL_TAKES, options->single_consumer);
}

/* In cells what is moved one by one, unleased and unweighed. */
static enum ring_kind choose_ring(const shoal_queue_options *options)
{
    bool payloads = options->value_size == 0 && !options->joinable && !options->capacity_size;
    if ((!payloads && options->value_size != sizeof(uint64_t)) || options->bulk)
        return RING_DENSE;
    return options->capacity_count > 0 ? RING_CELLS : RING_CHAIN;
}

int shoal_queue_create(const shoal_queue_options *options, shoal_queue *ret_queue)
{
    REQUIRE(ret_queue, -EINVAL, "no place for the handle");
    shoal_queue_options chosen = options ? *options : (shoal_queue_options){ 0 };
    int code = check_options(&chosen);
    if (code < 0)
        return code;
    chosen.capacity_count = choose_capacity(&chosen);
    enum ring_kind kind = choose_ring(&chosen);
    if (kind == RING_CHAIN)
        chosen.capacity_count = CHAIN_CELLS_FIRST;
    struct shl_segment *segment = shl_segment_of_handle(chosen.segment);
    enum shl_pool pool = kind == RING_DENSE ? POOL_QUEUE : POOL_CELLS;
    code = segment ? check_dead_letters(segment, chosen.dead_letters) : shl_error_code();
    struct object_shm *object = code == 0 ? shl_object_create(segment, pool) : NULL;
    if (!object)
        return shl_error_code();
    shl_queue_describe(object, &chosen, kind);
    code = shl_queue_init(segment, object, chosen.capacity_count);
    if (code < 0) {
        if (!SHL_MISTAKE("queue.place"))
            shl_object_free(segment, object);
        return code;
    }
    if (chosen.ends_with_creator)
        shl_object_tie(segment, object);
    ret_queue->ref = shl_object_publish(object, KIND_QUEUE);
    return 0;
}
