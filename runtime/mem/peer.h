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
struct shl_attachment;

/* A slot among the threads' or among the processes'. */
struct shl_slot {
    uint32_t number;
    uint32_t generation; /* 0: none */
};

/* A slot for the calling process, or for the calling thread of it. 0 or -EUSERS. */
int shl_peer_claim_process(const struct shl_segment *segment, struct shl_slot *ret_slot);
int shl_peer_claim_thread(const struct shl_segment *segment, uint32_t process_owner,
                          struct shl_slot *ret_slot);

/* The calling thread's own slot; and its process's, which none of its threads has any more. */
void shl_peer_release_thread(const struct shl_segment *segment, uint32_t number);
void shl_peer_release_process(const struct shl_segment *segment, uint32_t number);

/* Who somebody is, for people: a thread's slot. */
struct peer_shm *shl_thread_peer(const struct shl_segment *segment, uint32_t number);

/* Likewise a process's slot: its pid, 0 if it has none, and the name of its first thread. */
void shl_process_who(const struct shl_segment *segment, uint32_t number, pid_t *ret_pid,
                     char *ret_name, size_t name_size);

/* Likewise its pid alone. */
pid_t shl_process_pid(const struct shl_segment *segment, uint32_t number);

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
bool shl_thread_slot_is_dead(const struct shl_segment *segment, uint32_t number);
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

/* The dead that are settled together: of each slot the generation that is dead, or 0, which none
 * has. */
struct shl_dead {
    uint16_t threads[PEERS_MAX];
    uint16_t processes[PEERS_MAX];
    uint32_t deputy; /* a thread, short, for whom the settler may act; 0: none */
    bool left;       /* a thread or process that is not dead but leaves, between two steps */
};

static inline bool shl_names_dead(const uint16_t *dead, struct shl_owner owner)
{
    uint32_t generation = dead[owner.number % PEERS_MAX];
    return generation && ((generation ^ owner.generation) & owner.mask) == 0;
}

/* Is the owner that a word names one of them? Nobody (0) never is. */
static inline bool shl_is_dead_thread(const struct shl_dead *dead, uint32_t owner)
{
    return owner && shl_names_dead(dead->threads, shl_owner_short(owner));
}

static inline bool shl_is_dead_thread_long(const struct shl_dead *dead, uint32_t owner)
{
    return (owner & PEER_LONG_ONE) && (owner & 0xffff) < PEERS_MAX &&
           shl_names_dead(dead->threads, shl_owner_long(owner));
}

static inline bool shl_is_dead_process(const struct shl_dead *dead, uint32_t owner)
{
    return owner && shl_names_dead(dead->processes, shl_owner_short(owner));
}

/* Who is dead at the moment and not settled yet; nothing is changed. */
void shl_peer_find_dead(const struct shl_segment *segment, struct shl_dead *ret_dead);

/* A look at the messages that lie in a queue, or an end of a pipe. */
struct shl_visit {
    const struct shl_segment *segment;
    uint32_t owner; /* in whose slot (short) memory is named meanwhile; 0: in nobody's */
    uint64_t ref;   /* the queue: one with cells may have ended, while they are there */
    bool (*visitor)(void *context, uint64_t descriptor);
    void *context;
};

/*
 * The registry: what each kind of object does about deaths, by kind. All of it may be called any
 * number of times, by several at once, and be killed anywhere. Defined above, in proc/settlers.c.
 */
struct shl_settler {
    /* For every object: changes words that name the dead one, each by one compare-and-set. */
    void (*settle)(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead);
    /* For one that has ended, whose place said `own`: frees what belongs to it; false if somebody
     * else is inside, or it is another's place by now. */
    bool (*finish)(const struct shl_segment *segment, struct shl_attachment *self,
                   struct object_shm *object, uint64_t own);
    /* Of a queue or an end of a pipe: calls the visitor for every message in it, until that answers
     * true, which it then does. */
    bool (*visit)(const struct shl_visit *visit, struct object_shm *object);
    /* Of a queue: a lease of it (mem/lease.h) gets its last word, or was given back; who waits for
     * that is told. */
    void (*lease_over)(struct object_shm *object, atom64 *lease, uint64_t word);
    void (*lease_returned)(struct object_shm *object);
    /* Wakes all who wait at an object that has more bells than one. */
    void (*wake)(struct object_shm *object);
    uint32_t bell; /* where the object's bell lies, if its waiters are to be told of its end */
};
extern SHL_HIDDEN const struct shl_settler *const shl_settlers[]; /* NULL: nothing to do */

#endif
