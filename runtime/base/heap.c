#include "base/heap.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/atom.h"
#include "base/attr.h"

/* jemalloc's, if the program has it: found by the dynamic linker, or NULL. */
extern void *rallocx(void *memory, size_t size, int flags) __attribute__((weak));
extern void *mallocx(size_t size, int flags) __attribute__((weak));
extern void dallocx(void *memory, int flags) __attribute__((weak));
extern int mallctl(const char *name, void *ret_old, size_t *ret_old_size, void *new,
                   size_t new_size) __attribute__((weak));

/* As in <jemalloc/jemalloc.h>, which need not be there. No thread's cache: it would be kept in an
 * arena of the host's. */
#define FLAGS_OF_ARENA(arena) ((int)((arena) + 1) << 20)
#define FLAGS_NO_CACHE (1 << 8)
#define FLAGS_ARENA_ANY FLAGS_NO_CACHE /* of the host's, if there can be no more arenas */

static int make_flags(void)
{
    unsigned arena;
    size_t size = sizeof arena;
    if (mallctl("arenas.create", &arena, &size, NULL, 0) != 0)
        return FLAGS_ARENA_ANY;
    return FLAGS_OF_ARENA(arena) | FLAGS_NO_CACHE;
}

/* Two threads at once make two arenas, of which one stays empty. */
static int flags(void)
{
    static atom32 known;
    uint32_t seen = atom_load_relaxed(&known);
    if (likely(seen != 0))
        return (int)seen;
    int fresh = make_flags();
    atom_store_relaxed(&known, (uint32_t)fresh);
    return fresh;
}

bool shl_heap_is_jemalloc(void)
{
    return mallocx && rallocx && dallocx && mallctl;
}

void *shl_heap_resize(void *memory, size_t size)
{
    if (!shl_heap_is_jemalloc())
        return realloc(memory, size);
    return memory ? rallocx(memory, size, flags()) : mallocx(size, flags());
}

void *shl_heap_grow(void *list, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    size_t more = *capacity ? *capacity * 2 : 16;
    void *moved = shl_heap_resize(list, more * size);
    if (moved)
        *capacity = more;
    return moved;
}

void shl_heap_free(void *memory)
{
    if (!shl_heap_is_jemalloc())
        free(memory);
    else if (memory)
        dallocx(memory, FLAGS_NO_CACHE);
}
