/*
 * Allocators: shoal's and its rivals'.
 *
 * A rival from a shared object is loaded in the process that measures it and nowhere else, and its
 * names stay its own, so that what this program itself allocates always comes from the C library.
 */
#ifndef BENCH_HEAP_H
#define BENCH_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* Those of this program and of shared objects are called in the same way. */
struct heap {
    void *(*alloc)(size_t size);
    void (*free)(void *block);
};

struct heap_kind {
    const char *name;
    bool by_shoal;        /* its processes are started by shoal, not by fork(2) */
    void (*tune)(void);   /* before it is loaded: make it as fast as it can be */
    struct heap own;      /* of one that is in this program */
    const char *file;     /* of one that is not: its shared object, and its functions there */
    const char *names[2]; /* alloc, free */
};

extern const struct heap_kind heap_shoal;
extern const struct heap_kind heap_glibc;
extern const struct heap_kind heap_jemalloc;
extern const struct heap_kind heap_mimalloc;
extern const struct heap_kind heap_boost;

/* Returns 0, or -ELIBACC when it cannot be loaded (said on stderr). Leaves this process alone. */
int heap_find(const struct heap_kind *kind);

/* In a member of a crew, which ends if that fails. @tuned: for speed, whatever it costs. */
void heap_load(const struct heap_kind *kind, bool tuned, struct heap *ret_heap);

#endif
