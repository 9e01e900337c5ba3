/* Which queues a segment has, and how much is in each. */
#include <shoal/stats.h>

#include "flow/chain.h"
#include "mem/object.h"

int shoal_segment_queues(shoal_segment handle, shoal_queue_load *ret_queues, unsigned queues_max)
{
    REQUIRE(ret_queues || queues_max == 0, -EINVAL, "no place for the queues");
    const struct shl_segment *segment = shl_segment_of_handle(handle);
    if (!segment || !shl_self(segment))
        return shl_error_code();
    struct shl_object_walk walk = { 0 };
    unsigned count = 0;
    for (struct object_shm *object;
         count < queues_max && (object = shl_object_next(segment, &walk));) {
        shoal_queue queue = { atom_load_relaxed(&object->self) };
        shoal_queue_counters counters;
        if (walk.kind != KIND_QUEUE || shl_chain_is_part(object) ||
            shoal_queue_stats(queue, &counters) < 0)
            continue;
        ret_queues[count] =
            (shoal_queue_load){ .queue = queue, .count = counters.count, .size = counters.size };
        count++;
    }
    return (int)count;
}
