/*
 * Memory that is this process's alone: malloc's, or an arena of its own of the host's jemalloc, so
 * that what the host measures and tunes there is its own. Nobody's allocator is replaced.
 */
#ifndef SHL_BASE_HEAP_H
#define SHL_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* As realloc(), but for size 0, which is not valid. */
void *shl_heap_resize(void *memory, size_t size);
void shl_heap_free(void *memory);

/* A list with room for one more thing of this size behind `count`: moved, perhaps. NULL without
 * memory; then it is as it was. */
void *shl_heap_grow(void *list, size_t count, size_t *capacity, size_t size);

/* Is it jemalloc's? Else malloc's. */
bool shl_heap_is_jemalloc(void);

#endif
