/* Objects in a segment: places for them, and the check of a handle. */
#ifndef SHL_MEM_OBJECT_H
#define SHL_MEM_OBJECT_H

#include "mem/object_shm.h"
#include "mem/pages.h"

/* A place that no handle names yet: zero behind the head, or as its last object left it. NULL with
 * an error. */
struct object_shm *shl_object_create(const struct shl_segment *segment);

/* Makes it visible: answers its handle's reference. */
uint64_t shl_object_publish(struct object_shm *object, enum shl_kind kind);

/* Ends it: true for the one caller who did. Every handle is stale from here on. */
bool shl_object_end(struct object_shm *object, uint64_t ref);

/* Gives the ended object's place back. */
void shl_object_free(const struct shl_segment *segment, struct object_shm *object);

/* The object behind a handle of that kind, and its segment; NULL with an error. */
struct object_shm *shl_object_find(uint64_t ref, enum shl_kind kind,
                                   struct shl_segment **ret_segment);

/* Does the handle still name it? For those who have waited since they found it. */
static inline bool shl_object_is(struct object_shm *object, uint64_t ref)
{
    /* [object.self] acquire <- publish and end. */
    return atom_load_acquire(&object->self) == ref;
}

#endif
