/* Queues of values: nobody owns what is in them, and there is nothing to settle. */
#include <shoal/values.h>
#include <string.h>

#include "flow/cells.h"
#include "flow/queue.h"
#include "flow/side.h"
#include "flow/single.h"
#include "flow/store.h"

/* Of a call that is good in itself. The caller's own word for a value's size: the queue's may be
 * damaged. */
static int find_values(shoal_queue handle, unsigned side, size_t size, shoal_deadline deadline,
                       struct ring_call *ret_call)
{
    int code = shl_queue_find(handle, deadline, ret_call);
    if (unlikely(code < 0))
        return code;
    REQUIRE(!ret_call->is_owned, -EINVAL, "it is a queue of payloads: see value_size");
    REQUIRE(ret_call->item_size == size, -EINVAL, "the size is not the queue's value_size");
    return shl_single_enter(ret_call, side);
}

#define BYTES_AT_ONCE ((size_t)64 << 10)

/* So many values are moved at once: a side is held no longer than copying them takes. */
static uint32_t batch(const struct ring_call *call, size_t count)
{
    size_t most = call->item_size < BYTES_AT_ONCE ? BYTES_AT_ONCE / call->item_size : 1;
    return (uint32_t)(count < most ? count : most);
}

int shoal_queue_put_values(shoal_queue queue, const void *values, size_t size, size_t count,
                           size_t *ret_count, shoal_deadline deadline)
{
    REQUIRE(values && ret_count, -EINVAL, "put_values: a place is NULL");
    struct ring_call call;
    int code = find_values(queue, SHL_PUTS, size, deadline, &call);
    if (unlikely(code < 0))
        return code;
    size_t done = 0;
    for (; done < count; done += (size_t)code) {
        const char *from = (const char *)values + done * call.item_size;
        code = shl_queue_put_items(&call, from, batch(&call, count - done));
        if (unlikely(code < 0))
            break;
    }
    return shl_queue_some_of(done, code, ret_count);
}

int shoal_queue_get_values(shoal_queue queue, void *ret_values, size_t size, size_t count_max,
                           size_t *ret_count, shoal_deadline deadline)
{
    REQUIRE(ret_values && ret_count, -EINVAL, "get_values: a place is NULL");
    struct ring_call call;
    int code = find_values(queue, SHL_TAKES, size, deadline, &call);
    if (unlikely(code < 0))
        return code;
    size_t done = 0;
    for (; done < count_max; done += (size_t)code) {
        char *to = (char *)ret_values + done * call.item_size;
        code = shl_queue_take_items(&call, to, batch(&call, count_max - done));
        if (unlikely(code < 0))
            break;
        shl_queue_take_no_more(&call);
    }
    return shl_queue_some_of(done, code, ret_count);
}

/* --- one value, by the shortest way -------------------------------------------------------- */

/* What a call on a dense ring needs for one value. */
static inline void describe(const struct shl_found *found, size_t size, struct ring_call *ret_call)
{
    ret_call->segment = found->segment;
    ret_call->self = found->self;
    ret_call->object = found->object;
    ret_call->ref = found->ref;
    ret_call->ring = &((struct queue_shm *)found->object)->ring;
    ret_call->item_size = (uint32_t)size;
    ret_call->size_max = 0;
}

/* May the thread use that side of a dense ring of such values? */
static inline bool has_dense(const struct shl_found *found, size_t size, unsigned side)
{
    return found->shortest[side] == ITEMS_DENSE && size > 0 && size <= SHOAL_QUEUE_VALUE_SIZE_MAX &&
           ((const struct queue_shm *)found->object)->value_size == size;
}

/* P2 and P3 of a side that nobody holds. */
static inline bool enter(const struct ring_call *call, enum side which, uint64_t *ret_rest)
{
    atom64 *word = &shl_side(call, which)->word;
    uint64_t seen = atom_load_relaxed(word);
    return likely(SIDE_OWNER(seen) == 0 && shl_side_claim(call, word, seen, ret_rest)) &&
           shl_side_check(call, which, *ret_rest) == 0;
}

/* P4, where no end was ever put, of a value that there is room for, or that is there; else NULL. */
static inline char *cell_at(const struct ring_call *call, uint64_t position, bool is_there)
{
    uint64_t count;
    bool is_plain = is_there && atom_load_relaxed(&call->ring->ends_put) == 0;
    SHL_CHAOS("ring.P4");
    return likely(is_plain) ? shl_store_cells(call, shl_store_of(call->ring), position, 1, &count)
                            : NULL;
}

/* False: nothing was put, and the long way shows why. */
static inline bool put_dense(struct shl_found *found, const void *value, size_t size)
{
    uint64_t tail, head;
    struct ring_call call;
    describe(found, size, &call);
    if (unlikely(shl_side_seems_full(call.ring, &tail, &head) || !enter(&call, TAIL, &tail)))
        return false;
    bool has_room = !(tail & RING_SEALED) && shl_side_room(call.ring, tail, 1) > 0;
    char *cell = cell_at(&call, tail, has_room);
    if (likely(cell)) {
        if (SHL_MISTAKE("values.commit_first"))
            shl_side_leave(&call, TAIL, RING_POSITION(tail + 1));
        memcpy(cell, value, size);
        shl_side_commit(&call, TAIL, tail + 1);
        shl_pace_hit(&found->sides[SHL_PUTS].pace, 1);
    } else {
        shl_side_leave(&call, TAIL, tail);
    }
    return cell;
}

/* The lines of a value come from the processor that has put it: those of the next but one set out
 * while this one is dealt with. For one line alone it brings nothing. */
static inline void fetch_ahead(const struct ring_call *call, uint64_t position)
{
    enum { AHEAD = 2, LINE = 64 };
    uint64_t count, there = RING_POSITION(atom_load_relaxed(&call->ring->head.other) - position);
    if (call->item_size <= LINE || there <= AHEAD)
        return;
    const char *cell = shl_store_cells(call, shl_store_of(call->ring), position + AHEAD, 1, &count);
    for (uint32_t at = 0; cell && at < call->item_size; at += LINE)
        __builtin_prefetch(cell + at);
}

/* As put_dense(), of a get. */
static inline bool get_dense(struct shl_found *found, void *ret_value, size_t size)
{
    bool sealed;
    uint64_t tail, head, count;
    struct ring_call call;
    describe(found, size, &call);
    if (unlikely(shl_side_seems_empty(call.ring, &tail) || !enter(&call, HEAD, &head)))
        return false;
    bool is_there = shl_side_items(call.ring, head, 1, &count, &sealed) && count > 0;
    const char *cell = cell_at(&call, head, is_there);
    if (likely(cell)) {
        memcpy(ret_value, cell, size);
        fetch_ahead(&call, head);
        shl_side_commit(&call, HEAD, head + 1);
        shl_pace_hit(&found->sides[SHL_TAKES].pace, 1);
    } else {
        shl_side_leave(&call, HEAD, head);
    }
    return cell;
}

/* --- one value ------------------------------------------------------------------------------- */

static SHL_COLD int put_other_value(shoal_queue queue, const void *value, size_t size,
                                    shoal_deadline deadline)
{
    REQUIRE(value, -EINVAL, "put_value: the value is NULL");
    struct ring_call call;
    int code = find_values(queue, SHL_PUTS, size, deadline, &call);
    if (unlikely(code < 0))
        return code;
    code = shl_queue_put_items(&call, value, 1);
    return unlikely(code < 0) ? code : 0;
}

int shoal_queue_put_value(shoal_queue queue, const void *value, size_t size,
                          shoal_deadline deadline)
{
    uint64_t item;
    struct shl_found *found = shl_found_lately(queue.ref);
    if (unlikely(!found || !value))
        return put_other_value(queue, value, size, deadline);
    if (likely(size == sizeof item && shl_queue_has_cells(found, ITEMS_VALUES, SHL_PUTS))) {
        memcpy(&item, value, sizeof item);
        return shl_cells_put(found, item, deadline);
    }
    bool done = has_dense(found, size, SHL_PUTS) && put_dense(found, value, size);
    return likely(done) ? 0 : put_other_value(queue, value, size, deadline);
}

static SHL_COLD int get_other_value(shoal_queue queue, void *ret_value, size_t size,
                                    shoal_deadline deadline)
{
    REQUIRE(ret_value, -EINVAL, "get_value: no place for the value");
    struct ring_call call;
    int code = find_values(queue, SHL_TAKES, size, deadline, &call);
    if (unlikely(code < 0))
        return code;
    code = shl_queue_take_items(&call, ret_value, 1);
    return unlikely(code < 0) ? code : 0;
}

int shoal_queue_get_value(shoal_queue queue, void *ret_value, size_t size, shoal_deadline deadline)
{
    struct shl_found *found = shl_found_lately(queue.ref);
    if (unlikely(!found || !ret_value))
        return get_other_value(queue, ret_value, size, deadline);
    if (likely(size == sizeof(uint64_t) && shl_queue_has_cells(found, ITEMS_VALUES, SHL_TAKES)))
        return shl_cells_take(found, false, deadline, ret_value);
    bool done = has_dense(found, size, SHL_TAKES) && get_dense(found, ret_value, size);
    return likely(done) ? 0 : get_other_value(queue, ret_value, size, deadline);
}
