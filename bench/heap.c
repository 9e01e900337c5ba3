#include "heap.h"

#include "alone.h"
#include "crew.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <shoal.h>
#include <stdlib.h>

static void tune_glibc(void)
{
    /* Else it gives memory back, and takes it again, for every 64 blocks of 64 KiB. */
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
}

static void tune_jemalloc(void)
{
    /* Room for the blocks of a burst in a thread's cache, which is never aged. */
    setenv("MALLOC_CONF",
           "tcache_max:131072,tcache_nslots_large:256,tcache_nslots_small_max:256,"
           "lg_tcache_nslots_mul:4,tcache_gc_incr_bytes:1099511627776,"
           "dirty_decay_ms:-1,muzzy_decay_ms:-1",
           1);
}

static void tune_mimalloc(void)
{
    setenv("MIMALLOC_ALLOW_DECOMMIT", "0", 1);
}

const struct heap_kind heap_shoal = { .name = "shoal",
                                      .by_shoal = true,
                                      .own = { shoal_alloc, shoal_free } };
const struct heap_kind heap_glibc = { .name = "glibc",
                                      .tune = tune_glibc,
                                      .own = { malloc, free } };
const struct heap_kind heap_jemalloc = { .name = "jemalloc",
                                         .tune = tune_jemalloc,
                                         .file = "libjemalloc.so.2",
                                         .names = { "malloc", "free" } };
const struct heap_kind heap_mimalloc = { .name = "mimalloc",
                                         .tune = tune_mimalloc,
                                         .file = "libmimalloc.so.2",
                                         .names = { "mi_malloc", "mi_free" } };
const struct heap_kind heap_boost = { .name = "boost shared memory",
                                      .file = RIVAL_BOOST, /* said by meson.build */
                                      .names = { "boost_alloc", "boost_free" } };

void heap_load(const struct heap_kind *kind, bool tuned, struct heap *ret_heap)
{
    void *library;

    if (tuned && kind->tune != NULL)
        kind->tune();
    *ret_heap = kind->own;
    if (kind->file == NULL)
        return;
    library = dlopen(kind->file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == NULL)
        crew_member_fail("%s", dlerror());
    *(void **)&ret_heap->alloc = dlsym(library, kind->names[0]);
    *(void **)&ret_heap->free = dlsym(library, kind->names[1]);
    if (ret_heap->alloc == NULL || ret_heap->free == NULL)
        crew_member_fail("%s: not the functions that were expected", kind->file);
}

static double try_to_load(void *what)
{
    struct heap heap;

    heap_load(what, false, &heap);
    return 0;
}

int heap_find(const struct heap_kind *kind)
{
    const struct alone alone = { false, try_to_load, (void *)(uintptr_t)kind };
    double nothing;

    if (kind->file == NULL)
        return 0;
    return alone_run(&alone, &nothing) == 0 ? 0 : -ELIBACC;
}
