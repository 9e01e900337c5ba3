/*
 * Segments as this process sees them: which are attached, where they lie, and what an 8-byte
 * reference names.
 *
 * A reference is {segment:16, generation:12, offset/16:36}. The table of attached segments is
 * private to the process and inherited by fork. Place 0 is the family's, which never goes.
 *
 * Every thread that uses another segment has a slot in it, which pins the mapping: a detach only
 * marks the place as closing, so that nobody enters any more. Each thread leaves by itself, since
 * the kernel's list of its robust mutexes leads through its slot: at its next call on an object,
 * or at its end. The last one unmaps. A place is read without a pin only among the readers of
 * mem/readers.h.
 */
#ifndef SHL_MEM_SEGMENT_H
#define SHL_MEM_SEGMENT_H

#include <stdbool.h>

#include "base/check.h"
#include "mem/segment_shm.h"

#include <shoal/segment.h>

enum { SHL_SEGMENTS_MAX = 16, SHL_FAMILY = 0 };

struct shl_segment {
    struct segment_shm *shm; /* NULL: the place is free */
    uint64_t size;
    uint64_t device, inode; /* which file it is */
    uint32_t id;
    uint64_t chunks_at;   /* the first chunk behind the tables, */
    uint64_t chunks_most; /* and how many may follow */
    uint32_t index;       /* its place in the table */
    uint32_t epoch; /* which attachment of this process it is: tells the place's users apart */
    int fd;
    atom32 closing; /* detached, but threads of this process are in it; under the table's lock */
};

extern SHL_HIDDEN struct shl_segment shl_segments[SHL_SEGMENTS_MAX];

static inline uint64_t shl_ref_make(uint32_t id, uint32_t generation, uint64_t offset)
{
    return (uint64_t)id << 48 | (uint64_t)(generation & 0xfff) << 36 | offset >> 4;
}

static inline uint32_t shl_ref_id(uint64_t ref)
{
    return (uint32_t)(ref >> 48);
}

static inline uint32_t shl_ref_generation(uint64_t ref)
{
    return (uint32_t)(ref >> 36) & 0xfff;
}

static inline uint64_t shl_ref_offset(uint64_t ref)
{
    return (ref & ((UINT64_C(1) << 36) - 1)) << 4;
}

/* No bounds are checked: the offset is the library's own. */
static inline void *shl_at(const struct shl_segment *segment, uint64_t offset)
{
    return (char *)segment->shm + offset;
}

static inline uint64_t shl_offset(const struct shl_segment *segment, const void *place)
{
    return (uint64_t)((const char *)place - (const char *)segment->shm);
}

/* Makes the family with a limit of its own; -EALREADY if it exists. */
int shl_segment_family_create(uint64_t size_max);

/* The family that another process has made, by its descriptor, which is the segment's from then on;
 * at the same address, or not at all. */
int shl_segment_family_adopt(int fd);

/* A place in the table is published by its shm pointer. */
static inline bool shl_segment_attached(const struct shl_segment *segment)
{
    /* [segment.place] acquire <- publish(): the rest of the place. */
    return atom_load_acquire_pointer(&segment->shm) != NULL;
}

/* What its file is now; -EIO if the host has closed our descriptor, whose number may be a file of
 * its own by now. */
struct shl_file_identity;
int shl_segment_file(const struct shl_segment *segment, struct shl_file_identity *ret_file);

/* Was it detached? For who has pinned it. */
static inline bool shl_segment_is_closing(const struct shl_segment *segment)
{
    return atom_load_relaxed(&segment->closing);
}

/* Keeps the segment that had this epoch from going. 0; -ESTALE if it was detached since. */
int shl_segment_pin(const struct shl_segment *segment, uint32_t epoch);
/* The last one unmaps a segment that was detached. */
void shl_segment_unpin(const struct shl_segment *segment);

/* A copy of an attached segment's place, for those among the readers, as long as they are: false
 * with an error. */
bool shl_segment_peek(uint32_t id, struct shl_segment *ret_segment);

/* Likewise, pinned by the calling thread's slot, which it takes now if need be; NULL with an
 * error. */
struct shl_segment *shl_segment_by_id_slow(uint32_t id);
static inline struct shl_segment *shl_segment_by_id(uint32_t id)
{
    struct shl_segment *family = &shl_segments[SHL_FAMILY];
    if (likely(shl_segment_attached(family) && family->id == id))
        return family;
    return shl_segment_by_id_slow(id);
}

/* Likewise by an address inside. */
struct shl_segment *shl_segment_by_address_slow(const void *address);
static inline struct shl_segment *shl_segment_by_address(const void *address)
{
    struct shl_segment *family = &shl_segments[SHL_FAMILY];
    if (likely(shl_segment_attached(family) &&
               (uintptr_t)address - (uintptr_t)family->shm < family->size))
        return family;
    return shl_segment_by_address_slow(address);
}

/* The family's segment, made now if need be; NULL with an error if that fails. */
struct shl_segment *shl_segment_family_slow(void);
static inline struct shl_segment *shl_segment_family(void)
{
    struct shl_segment *family = &shl_segments[SHL_FAMILY];
    return likely(shl_segment_attached(family)) ? family : shl_segment_family_slow();
}

/* What options name: none is the family's. NULL with an error. For outermost calls: the calling
 * thread leaves what was detached. */
struct shl_segment *shl_segment_of_handle(shoal_segment handle);

#endif
