/* Objects in a segment: places for them, and the check of a handle. */
#ifndef SHL_MEM_OBJECT_H
#define SHL_MEM_OBJECT_H

#include "mem/object_shm.h"
#include "mem/pages.h"
#include "mem/self.h"

/* A place that no handle names yet: zero behind the head, or as its last object left it. NULL with
 * an error. */
struct object_shm *shl_object_create(const struct shl_segment *segment, enum shl_pool pool);

/* Before that: it ends with the calling process, which is in the segment. */
void shl_object_tie(const struct shl_segment *segment, struct object_shm *object);

/* Makes it visible: answers its handle's reference. */
uint64_t shl_object_publish(struct object_shm *object, enum shl_kind kind);

/* Ends it: true for the one caller who did. Every handle is stale from here on, and the place is in
 * the thread's hands. */
bool shl_object_end(const struct shl_segment *segment, struct object_shm *object, uint64_t ref);

/* Ends it for nobody: what belongs to it is freed by whoever settles a death. */
bool shl_object_expire(struct object_shm *object, uint64_t ref);

/* After that: what belongs to it cannot be freed yet, and is left to whoever settles a death. */
void shl_object_leave(const struct shl_segment *segment, struct object_shm *object, uint64_t ref);

/* Frees what has ended, but not been freed because somebody was inside: for one who was. Leaves it
 * if there still is somebody. */
void shl_object_finish(const struct shl_segment *segment, enum shl_kind kind,
                       struct object_shm *object, uint64_t ref);

/* The same for a settler, who has no hands: the place is nobody's. */
void shl_object_abandon(struct object_shm *object, uint64_t ref);

/* Makes a block of this process's that object's: it lives as long, and no longer. */
struct shl_place;
void shl_object_part(const struct shl_place *place, uint64_t ref);

/* The pool of the place at an offset, by the words of its chunk and page; -1: none is there. */
int shl_object_pool(const struct shl_segment *segment, uint64_t offset);

/* Frees the block at an offset, if it is such a one of that object's, which has ended, or needs it
 * no more. */
void shl_object_free_part(const struct shl_segment *segment, uint64_t offset, uint64_t ref,
                          const struct shl_attachment *self);

/* Gives the ended object's place back. */
void shl_object_free(const struct shl_segment *segment, struct object_shm *object);

/* Does the handle still name it? For those who have waited since they found it. */
static inline bool shl_object_is(struct object_shm *object, uint64_t ref)
{
    /* [object.self] acquire <- publish and end. */
    return atom_load_acquire(&object->self) == ref;
}

/* Remembers it there; a signal handler that looks meanwhile finds nothing. */
void shl_found_write(struct shl_found *found, struct shl_found notes);

/* Finds it by the words of its page, and remembers it. */
struct shl_found *shl_find_slow(uint64_t ref, enum shl_kind kind);

/* Likewise if this process has closed it: then it is remembered for this call alone. */
struct shl_found *shl_find_even_closed(uint64_t ref, enum shl_kind kind);

/* What the thread has found lately, an object of any kind, and ended or not: for who looks at both
 * himself; not for signal handlers. NULL (no error told) if it has not. */
static inline struct shl_found *shl_found_lately(uint64_t ref)
{
    struct shl_self *self = shl_self_pointer;
    if (unlikely(!self))
        return NULL;
    struct shl_found *found = &self->found[shl_found_place(ref)];
    bool good = found->ref == ref && found->epoch == atom_load_relaxed(&shl_detach_epoch);
    return likely(good) ? found : NULL;
}

static inline struct shl_found *shl_find_again(uint64_t ref, enum shl_kind kind)
{
    struct shl_found *found = shl_found_lately(ref);
    bool good = found && found->kind == (uint32_t)kind && shl_object_is(found->object, ref);
    return likely(good) ? found : NULL;
}

/*
 * The object behind a handle of that kind, its segment and the calling thread in it; NULL with an
 * error, -EPIPE if this process has closed it. What the thread has found lately it finds again by
 * one look at the object's own line.
 */
static inline struct shl_found *shl_find(uint64_t ref, enum shl_kind kind)
{
    struct shl_found *found = shl_find_again(ref, kind);
    return likely(found) ? found : shl_find_slow(ref, kind);
}

/* Likewise, in the middle of a call that has found something before: which it keeps. */
static inline struct shl_found *shl_find_inside(uint64_t ref, enum shl_kind kind)
{
    shl_self_pointer->inside++;
    struct shl_found *found = shl_find(ref, kind);
    shl_self_pointer->inside--;
    return found;
}

/* The object behind a handle of that kind, also for a thread without a slot in the family; NULL
 * with an error. */
struct object_shm *shl_object_find(uint64_t ref, enum shl_kind kind,
                                   struct shl_segment **ret_segment);

/* For a signal handler, which takes no slot anywhere: what is found stays mapped until
 * shl_object_find_end(), which is due in any case. */
struct object_shm *shl_object_find_begin(uint64_t ref, enum shl_kind kind, bool *ret_reading);
void shl_object_find_end(bool reading);

/* What objects do about a dead owner, by the registry; and what has ended, but was left half freed,
 * is freed. */
void shl_objects_settle(const struct shl_segment *segment, const struct shl_dead *dead);

/* The object of that kind with exactly this handle; NULL (no error told) if it is gone. */
struct object_shm *shl_object_at(const struct shl_segment *segment, uint64_t ref,
                                 enum shl_kind kind);

/* Likewise, also if it has ended, or another one lives in its place. */
struct object_shm *shl_object_place(const struct shl_segment *segment, uint64_t ref,
                                    enum shl_kind kind);

/* Every object of a segment and its kind, one after the other; NULL at the end. */
struct shl_object_walk {
    uint64_t offset;
    enum shl_kind kind;
};
struct object_shm *shl_object_next(const struct shl_segment *segment, struct shl_object_walk *walk);
/* Likewise of one pool, whose pages alone are looked into. */
struct object_shm *shl_object_next_in(const struct shl_segment *segment,
                                      struct shl_object_walk *walk, enum shl_pool pool);

#endif
