/*
 * The calling thread's own context: which slots it holds in which segment, and its cache of free
 * blocks. It lies in pages that fork wipes, so that a child, however it was forked, finds itself
 * not attached at its first call and never believes that its parent's slots or blocks are its own.
 */
#ifndef SHL_MEM_SELF_H
#define SHL_MEM_SELF_H

#include <pthread.h>

#include "base/pace.h"
#include "mem/peer.h"
#include "mem/segment.h"

#ifndef SHL_CACHE_BLOCKS_MAX /* checkers keep fewer: every step counts */
#define SHL_CACHE_BLOCKS_MAX 64u
#endif

/* Of the free blocks of one size class in this thread's hands. The one to be taken next stands here
 * too: who frees and allocates by turns then waits for one load, not for the count and what lies
 * there. */
struct shl_cache {
    struct block_shm *last; /* NULL: there is none */
    uint32_t count;
    uint16_t limit; /* how many may be kept for now: more, the more they are wanted */
    bool wanted;    /* lately: the hands were empty or full */
};

/* A run that the thread has found: where its blocks begin, see mem/hands.h. A cache. */
struct shl_known_run {
    uintptr_t begin;  /* the address of the first one */
    uint64_t inverse; /* of the class, as in mem/sizes.h */
    uint64_t given;   /* it is this run as long as no more pages were given back */
    uint32_t end;     /* bytes of it that are blocks; 0: none is known */
    uint32_t size_class;
};

enum { SHL_KNOWN_RUNS = 256 }; /* so many pages: 64 blocks of 64 KiB lie in different ones */

struct object_shm;
struct cells_shm;
struct cell_shm;

struct shl_attachment {
    uint32_t epoch;         /* of the segment it belongs to; 0: not attached */
    uint32_t thread;        /* this thread's slot */
    uint32_t owner;         /* the same with its generation, short: as in a ring side */
    uint32_t owner_long;    /* the same, long: as in a lock */
    uint32_t process_owner; /* its process, short: as in a block's header */
    bool is_light;          /* others pay for its order of stores and loads: see os/membarrier.h */
    struct journal_shm *journal;
    uint64_t own_of_process; /* a header, but for the sends, of a payload of the process's, */
    uint64_t own_of_thread;  /* and of a free block in the thread's hands */
    struct shl_known_run known[SHL_KNOWN_RUNS];
    struct shl_cache caches[CLASSES_COUNT];
    uint64_t kept_bytes; /* what the limits of all sizes allow */
    uint32_t kept_turn;  /* the size that is next asked to let go: see alloc.c */
    /* Last in, first out, from the second place on: the first is NULL. */
    struct block_shm *kept[CLASSES_COUNT][1 + SHL_CACHE_BLOCKS_MAX];
};

/* Of a ring that the thread puts into or takes from: where it was last, and how it waits there. */
struct shl_side {
    uint64_t turn;
    struct shl_pace pace;
};
enum { SHL_PUTS, SHL_TAKES, SHL_SIDES };

/* What a queue's ring is made for, and so what may be done with it by the shortest way. */
enum shl_items {
    ITEMS_UNKNOWN = 0, /* nobody has looked */
    ITEMS_DENSE,       /* not cells: what follows does not matter */
    ITEMS_PAYLOADS,    /* descriptors of them, in cells */
    ITEMS_VALUES       /* of eight bytes, in cells */
};

/* An object that the thread has found by its handle: a cache, any entry may go at any time. */
struct shl_found {
    uint64_t ref;
    struct object_shm *object;
    const struct shl_segment *segment;
    struct shl_attachment *self;
    uint32_t epoch; /* the thread's detach_epoch of then: a detach makes all of them unsure */
    uint16_t kind;

    /* of a queue */
    uint8_t items;               /* enum shl_items */
    bool is_chained;             /* other rings may be behind this one: see flow/chain.h */
    uint8_t shortest[SHL_SIDES]; /* likewise: what the thread may move there by the shortest way */
    bool puts_alone;             /* nobody else puts: see flow/single.h */
    uint32_t capacity;
    uint64_t mask;
    struct cells_shm *ring;
    uint64_t number;        /* of the ring: see flow/cells_shm.h */
    struct cell_shm *cells; /* so many as the capacity says lie in the segment */
    struct shl_side sides[SHL_SIDES];
} SHL_ALIGNED(64);

static_assert(sizeof(struct shl_found) == 128, "two lines of the thread's own");

enum { SHL_FOUND_PLACES = 64 };

static inline uint32_t shl_found_place(uint64_t ref)
{
    return (uint32_t)(ref >> 3 ^ ref >> 9) % SHL_FOUND_PLACES;
}

struct shl_self {
    bool robust;           /* the kernel's list of this thread was found */
    uint32_t detach_epoch; /* it has left every segment that was detached before this */
    uint32_t inside;       /* it is in the middle of calls: nothing may be left */
    struct shl_found found[SHL_FOUND_PLACES];
    struct shl_attachment attachments[SHL_SEGMENTS_MAX];
};

/* What the threads of this process share, in wiped pages too: a child starts with open locks and
 * without its parent's claims. */
struct shl_shared {
    pthread_mutex_t lock;            /* the table of segments, and claims of process slots */
    uint32_t pins[SHL_SEGMENTS_MAX]; /* threads that are in a segment, or are about to be */
    bool readers_known;              /* mem/readers.c */
    struct shl_slot process_slots[SHL_SEGMENTS_MAX];
    uint64_t *closed; /* mem/closed.c */
    atom32 closed_count;

    /* of flow/doors.c */
    pthread_mutex_t doors_lock;
    bool doors_own; /* the table of doors is this process's, not its parent's */

    /* of proc/ */
    pthread_mutex_t starts_lock, children_lock; /* locked in this order */
    bool children_own;     /* the table of children is this process's, not its parent's */
    atom32 process_count;  /* processes described so far, for their names */
    atom64 process_ref;    /* the calling process's own handle, once it is known */
    char process_name[64]; /* empty: MainProcess */
};

/* NULL with an error if there is no memory. */
struct shl_shared *shl_shared(void);

extern SHL_HIDDEN atom32 shl_detach_epoch; /* detaches so far */
extern SHL_HIDDEN _Thread_local struct shl_self *shl_self_pointer SHL_TLS_FAST;

/* Takes a slot in the segment that had this epoch when it was looked up; NULL with an error, which
 * is -ESTALE if it was detached since. */
struct shl_attachment *shl_self_attach_at(const struct shl_segment *segment, uint32_t epoch);
struct shl_attachment *shl_self_attach(const struct shl_segment *segment); /* as it is now */

/* The calling thread in a segment, attached now if need be; NULL with an error. */
static inline struct shl_attachment *shl_self(const struct shl_segment *segment)
{
    struct shl_self *self = shl_self_pointer;
    if (likely(self && self->attachments[segment->index].epoch == segment->epoch))
        return &self->attachments[segment->index];
    return shl_self_attach(segment);
}

/* Likewise in the family's, which never goes: NULL, or all zero with empty hands that may keep
 * nothing, if it is not attached. */
static inline struct shl_attachment *shl_self_in_family(void)
{
    struct shl_self *self = shl_self_pointer;
    return likely(self) ? &self->attachments[SHL_FAMILY] : NULL;
}

/* Likewise in any; NULL (no error told) if it is not attached. */
static inline struct shl_attachment *shl_self_attached(const struct shl_segment *segment)
{
    struct shl_self *self = shl_self_pointer;
    bool attached = self && self->attachments[segment->index].epoch == segment->epoch;
    return attached ? &self->attachments[segment->index] : NULL;
}

/* Who settles deaths names in his own slot what he looks at, or in that of the dead one for whom he
 * may act: its thread, short. */
static inline uint32_t shl_settler_owner(const struct shl_segment *segment,
                                         const struct shl_dead *dead)
{
    const struct shl_attachment *self = shl_self_attached(segment);
    return self ? self->owner : dead->deputy;
}

/* The calling thread leaves every segment, as at its end: its cache goes to everybody. */
void shl_self_leave(void);

/* It leaves those that another thread has detached, unless it is in the middle of a call: the
 * outermost calls on objects do so first. */
void shl_self_leave_detached_slow(struct shl_self *self, uint32_t epoch);
static inline void shl_self_leave_detached(void)
{
    struct shl_self *self = shl_self_pointer;
    /* [segment.detach] acquire <- shoal_segment_detach(): which places are closing. */
    uint32_t epoch = atom_load_acquire(&shl_detach_epoch);
    if (unlikely(self && self->detach_epoch != epoch && self->inside == 0))
        shl_self_leave_detached_slow(self, epoch);
}

/* With the table locked, and none of the process's threads in the segment: gives back its slot. */
void shl_self_leave_process(const struct shl_segment *segment);

/* With the table locked: no thread believes any more that it knows what its handles name. */
void shl_self_forget_found(void);

/* Settles what a reaped process left behind, in every segment. */
void shl_self_bury(pid_t pid);

/* Called before the process takes its slot in a segment, perhaps by several threads: it may have
 * to let go of what is its parent's. Set by proc/. */
extern SHL_HIDDEN void (*shl_process_begins)(void);

#endif
