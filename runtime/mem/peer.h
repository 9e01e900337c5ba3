/*
 * Who is in a segment: slots, their claim and release, whether an owner is dead, and the settling
 * of what a dead one left behind.
 */
#ifndef SHL_MEM_PEER_H
#define SHL_MEM_PEER_H

#include <sys/types.h>

#include "mem/peer_shm.h"
#include "mem/segment.h"

struct object_shm;

/* A slot among the threads' or among the processes'. */
struct shl_slot {
    uint32_t number;
    uint32_t generation; /* 0: none */
};

/* The slots of a new segment, before anybody else sees it. */
void shl_peers_init(struct segment_shm *shm);

/* A slot for the calling process, or for the calling thread of it. 0 or -EUSERS. */
int shl_peer_claim_process(const struct shl_segment *segment, struct shl_slot *ret_slot);
int shl_peer_claim_thread(const struct shl_segment *segment, uint32_t process_owner,
                          struct shl_slot *ret_slot);

/* The calling thread's own slot; and its process's, which none of its threads has any more. */
void shl_peer_release_thread(const struct shl_segment *segment, uint32_t number);
void shl_peer_release_process(const struct shl_segment *segment, uint32_t number);

/* Who somebody is, for people: a thread's slot. */
struct peer_shm *shl_thread_peer(const struct shl_segment *segment, uint32_t number);

/* An owner as a word names it. */
struct shl_owner {
    uint32_t number, generation, mask;
};

static inline struct shl_owner shl_owner_short(uint32_t owner)
{
    return (struct shl_owner){ PEER_OWNER_SLOT(owner), owner >> 10, PEER_GENERATION_SHORT };
}

static inline struct shl_owner shl_owner_long(uint32_t owner)
{
    return (struct shl_owner){ owner & 0xffff, owner >> 16, PEER_GENERATION_LONG };
}

/*
 * Is a thread gone for certain? Never guessed by time. Dead is the kernel's mark in its slot; gone
 * asks the process table too, for what the kernel may have missed.
 */
bool shl_thread_is_dead(const struct shl_segment *segment, struct shl_owner owner);
bool shl_thread_is_gone(const struct shl_segment *segment, struct shl_owner owner);
/* Likewise a process, by the process table. */
bool shl_process_owner_is_gone(const struct shl_segment *segment, struct shl_owner owner);

/* The word to sleep at for a thread's death, and its value while it lives; NULL if it does not. */
atom32 *shl_thread_life(const struct shl_segment *segment, struct shl_owner owner,
                        uint32_t *ret_alive);
/* Likewise for a process, named short: one of its threads. */
atom32 *shl_process_life(const struct shl_segment *segment, uint32_t owner, uint32_t *ret_alive);

/* Settles every dead slot, or those of a process that has been reaped. */
void shl_peer_recover_all(const struct shl_segment *segment);
void shl_peer_bury(const struct shl_segment *segment, pid_t pid);

/* A dead owner, in the forms in which words name it. */
struct shl_dead {
    uint32_t owner;      /* short */
    uint32_t owner_long; /* of a thread; 0 for a process */
    bool process;        /* the process as a whole: what it owns, not what its threads held */
    bool left;           /* the thread is not dead but leaves, and has no step unfinished */
};

/*
 * The registry: what each kind of object does about a dead owner, by kind. A settler is called for
 * every object of the segment, changes only words that name the dead one, each by one
 * compare-and-set, and may be called any number of times and be killed anywhere. Defined above, in
 * proc/settlers.c.
 */
typedef void (*shl_settler)(const struct shl_segment *segment, struct object_shm *object,
                            const struct shl_dead *dead);
extern SHL_HIDDEN const shl_settler shl_settlers[];

#endif
