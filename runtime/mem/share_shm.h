/*
 * Who holds a shared payload: an object that belongs to it, and that its word names.
 *
 *   holders  each {generation:16, owner:16}: a process (short) that holds the payload. Of another
 *            generation than the object's: nobody, left by one who came too late
 *   changes  {generation:16, closed:1, count:47}: how often the holders changed; closed: nobody
 *            held it, and nobody will any more
 * The generation is the object's: nobody takes its place's next one for it, but who sleeps while
 * the place is used 4095 times. The count goes on from one object to the next, so that no
 * compare-and-set meets a value that was seen long ago.
 */
#ifndef SHL_MEM_SHARE_SHM_H
#define SHL_MEM_SHARE_SHM_H

#include "mem/object_shm.h"

#define HOLDERS_MAX 256u

struct share_shm {
    struct object_shm object;
    atom64 changes;
    uint64_t payload; /* its offset; written by: who made the object */
    atom32 holders[HOLDERS_MAX];
};

static_assert(sizeof(struct share_shm) == 1064, "it fits into its place");

#define SHARE_CLOSED (UINT64_C(1) << 47)

static inline uint64_t share_changes_make(uint32_t generation, uint64_t count)
{
    return (uint64_t)generation << 48 | count;
}

static inline uint32_t share_changes_generation(uint64_t changes)
{
    return (uint32_t)(changes >> 48);
}

static inline uint32_t share_holder_make(uint32_t generation, uint32_t owner)
{
    return generation << 16 | owner;
}

#endif
