#include "mem/guard.h"

#include "mem/under.h"
#include "os/maps.h"

/* Lower ones are mostly numbers; higher ones are no user's. */
#define POINTER_MIN (UINT64_C(1) << 32)
#define POINTER_MAX (UINT64_C(1) << 47)

struct search {
    const uint64_t *found; /* NULL: none yet */
};

static bool is_private(uint64_t word)
{
    return word >= POINTER_MIN && word < POINTER_MAX &&
           !shl_segment_by_address((const void *)(uintptr_t)word) && shl_memory_is_private(word);
}

static void look(void *context, const struct shl_place *place, bool is_table)
{
    struct search *search = context;
    const uint64_t *words = shl_payload(place->block);
    uint64_t size = shl_under_size(place), room = shl_room(place);
    for (uint64_t i = 0;
         !is_table && !search->found && i < (size < room ? size : room) / sizeof *words; i++)
        if (is_private(words[i]))
            search->found = &words[i];
}

int shl_guard_look(const struct shl_place *payload)
{
    struct search search = { NULL };
    look(&search, payload, false);
    shl_under_visit(payload, look, &search);
    if (!search.found)
        return 0;
    return shl_errorf(-EINVAL, "put: at %p the payload %p has a pointer to private memory, %#llx",
                      (const void *)search.found, shl_payload(payload->block),
                      (unsigned long long)*search.found);
}
