/*
 * Who holds a shared payload: an object that belongs to it, and that its word names.
 *
 *   holders  each {generation:12, envelope:1, zero:3, who:48}: one hold. who: a process (short), or
 *            the low bits of an envelope's reference. Of another generation than the object's:
 *            nobody, left by one who came too late
 *   changes  {generation:16, closed:1, count:47}: how often the holders changed; closed: nobody
 *            held it, and nobody will any more
 * The generation is the object's: nobody takes its place's next one for it, but who sleeps while
 * the place is used 4095 times. The count goes on from one object to the next, so that no
 * compare-and-set meets a value that was seen long ago.
 *
 * An envelope is a payload that stands in a queue for one hold of the shared one, which may lie in
 * several queues at once. It is made in put and freed in get; its meta has a bit that says so.
 */
#ifndef SHL_MEM_SHARE_SHM_H
#define SHL_MEM_SHARE_SHM_H

#include "mem/block_shm.h"
#include "mem/object_shm.h"

#define HOLDERS_MAX 256u

struct share_shm {
    struct object_shm object;
    atom64 changes;
    uint64_t payload; /* its offset; written by: who made the object */
    atom64 holders[HOLDERS_MAX];
};

struct envelope_shm {
    uint64_t share; /* the reference of the object; written by: the putter */
    uint64_t index; /* of the hold among the holders; likewise */
};

static_assert(sizeof(struct share_shm) == 2088, "it fits into its place");
static_assert(sizeof(struct envelope_shm) == 16, "in a block of the smallest class");

#define SHARE_CLOSED (UINT64_C(1) << 47)

static inline uint64_t share_changes_make(uint32_t generation, uint64_t count)
{
    return (uint64_t)generation << 48 | count;
}

static inline uint32_t share_changes_generation(uint64_t changes)
{
    return (uint32_t)(changes >> 48);
}

#define HOLDER_ENVELOPE (UINT64_C(1) << 51)

static inline uint64_t share_holder_process(uint32_t generation, uint32_t owner)
{
    return (uint64_t)generation << 52 | owner;
}

static inline uint64_t share_holder_envelope(uint32_t generation, uint64_t ref)
{
    return (uint64_t)generation << 52 | HOLDER_ENVELOPE | (ref & BLOCK_REF_MASK);
}

static inline uint32_t share_holder_generation(uint64_t holder)
{
    return (uint32_t)(holder >> 52);
}

/* Of a process. */
static inline uint32_t share_holder_owner(uint64_t holder)
{
    return (uint32_t)holder & 0xffff;
}

#endif
