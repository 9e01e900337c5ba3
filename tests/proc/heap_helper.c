/* Says whose memory the runtime's private memory is; with jemalloc, whether it is of an arena that
 * the program's own memory is not of. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"

extern int mallctl(const char *name, void *ret_old, size_t *ret_old_size, void *new,
                   size_t new_size) __attribute__((weak));

static unsigned arena_of(void *memory)
{
    unsigned arena = UINT32_MAX;
    size_t size = sizeof arena;
    if (mallctl("arenas.lookup", &arena, &size, &memory, sizeof memory) != 0)
        exit(2);
    return arena;
}

int main(void)
{
    char *theirs = malloc(100), *ours = shl_heap_resize(NULL, 100);
    if (!theirs || !ours || shl_heap_is_jemalloc() != (mallctl != NULL))
        return 1;
    memset(ours, 'x', 100);
    ours = shl_heap_resize(ours, 100000);
    if (!ours || ours[99] != 'x')
        return 1;
    if (!mallctl)
        puts("malloc");
    else
        puts(arena_of(ours) != arena_of(theirs) ? "an arena of its own" : "the program's arena");
    shl_heap_free(ours);
    free(theirs);
    return 0;
}
