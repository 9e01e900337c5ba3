#include "mem/closed.h"

#include <errno.h>

#include "base/check.h"
#include "base/heap.h"
#include "mem/self.h"

/* With the table locked; NULL: it is not there. */
static uint64_t *find(struct shl_shared *shared, uint64_t ref)
{
    for (uint32_t i = 0; i < atom_load_relaxed(&shared->closed_count); i++)
        if (shared->closed[i] == ref)
            return &shared->closed[i];
    return NULL;
}

static int add(struct shl_shared *shared, uint64_t ref)
{
    uint32_t count = atom_load_relaxed(&shared->closed_count);
    if (find(shared, ref))
        return 0;
    uint64_t *closed = shl_heap_resize(shared->closed, (count + 1) * sizeof *closed);
    REQUIRE(closed, -ENOMEM, "no memory for the table of what is closed");
    closed[count] = ref;
    shared->closed = closed;
    atom_store_relaxed(&shared->closed_count, count + 1);
    shl_self_forget_found();
    return 0;
}

int shl_closed_add(uint64_t ref)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return shl_error_code();
    pthread_mutex_lock(&shared->lock);
    int code = add(shared, ref);
    pthread_mutex_unlock(&shared->lock);
    return code;
}

bool shl_closed_has(uint64_t ref)
{
    struct shl_shared *shared = shl_shared();
    /* relaxed: who learned of the close learned of the count */
    if (likely(!shared || atom_load_relaxed(&shared->closed_count) == 0))
        return false;
    pthread_mutex_lock(&shared->lock);
    bool has = find(shared, ref);
    pthread_mutex_unlock(&shared->lock);
    return has;
}

void shl_closed_remove(uint64_t ref)
{
    struct shl_shared *shared = shl_shared();
    if (likely(!shared || atom_load_relaxed(&shared->closed_count) == 0))
        return;
    pthread_mutex_lock(&shared->lock);
    uint64_t *place = find(shared, ref);
    if (place) {
        uint32_t last = atom_load_relaxed(&shared->closed_count) - 1;
        *place = shared->closed[last];
        atom_store_relaxed(&shared->closed_count, last);
    }
    if (place && atom_load_relaxed(&shared->closed_count) == 0) {
        shl_heap_free(shared->closed);
        shared->closed = NULL;
    }
    pthread_mutex_unlock(&shared->lock);
}
