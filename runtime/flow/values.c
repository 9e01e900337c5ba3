/* Queues of values: nobody owns what is in them, and there is nothing to settle. */
#include <shoal/values.h>
#include <string.h>

#include "flow/cells.h"
#include "flow/queue.h"
#include "flow/single.h"

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
    struct shl_found *found = shl_queue_find_cells(queue, ITEMS_VALUES, SHL_PUTS);
    if (unlikely(!found || size != sizeof item || !value))
        return put_other_value(queue, value, size, deadline);
    memcpy(&item, value, sizeof item);
    return shl_cells_put(found, item, deadline);
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
    struct shl_found *found = shl_queue_find_cells(queue, ITEMS_VALUES, SHL_TAKES);
    if (unlikely(!found || size != sizeof(uint64_t) || !ret_value))
        return get_other_value(queue, ret_value, size, deadline);
    return shl_cells_take(found, false, deadline, ret_value);
}
