/*
 * A slot: one per attached process, which owns blocks and owned permits, and one per attached
 * thread, which owns locks and unfinished steps. A slot's number stands in the words it owns, so a
 * slot is given to somebody else only when no word names it any more.
 */
#ifndef SHL_MEM_PEER_SHM_H
#define SHL_MEM_PEER_SHM_H

#include <pthread.h>

#include "mem/segment_shm.h"

/*
 * word: {pid:32, generation:16, state:16}
 *   FREE -> LIVE          whoever claims it; the generation moves on
 *   LIVE -> FREE          its owner, with nothing left behind
 *   LIVE -> FREE          who settled it after its owner's death, and holds its life
 */
enum { PEER_FREE = 0, PEER_LIVE = 1 };

/*
 * Which message a thread is just putting into a queue or taking out of it, see journal.h: whoever
 * settles the thread's death decides by it whether the message is in the queue or was in the
 * thread's hands. And where it works in memory that is not its own, see pages.h. Written by: the
 * thread, or who settles it.
 */
struct journal_shm {
    atom64 queue;
    atom64 word;
    atom64 works_at; /* a page's number; 0: nowhere */
    atom64 looks_at; /* likewise, where it only reads meanwhile */
    atom64 inside;   /* the queue whose cells it may touch, see flow/cells.h; 0: none */
    atom64 is_light; /* it names it without a barrier: see flow/cells.h */
};

struct peer_shm {
    /*
     * A robust mutex that the slot's thread holds as long as it is attached: the kernel marks its
     * word at the thread's death, at once. Its first word is {owner died, waiters, tid}. Who
     * settles a thread or a process holds it too, until the slot is FREE. It is the one thing here
     * that knows the C library: mem/peer.c alone touches it.
     */
    union {
        pthread_mutex_t mutex;
        uint8_t bytes[48];
    } life;
    atom64 word;
    atom64 start_time; /* of the LIVE process, in ticks; 0: not known, not written yet, not LIVE */
    /* who it is, for people; written by: the owner, after the claim */
    atom32 tid;     /* of a thread */
    atom32 process; /* of a thread: its process, short */
    atom64 handle;  /* shoal_process, if it is known */
    char name[64];
    uint8_t padding_0[192 - 144];
    struct journal_shm journal; /* of a thread; a line of its own */
    uint8_t padding_1[64 - 48];
};

/*
 * An owner as it stands in a word: the slot's number among the threads' or the processes', and some
 * of its generation, which keeps a late step against a dead owner from hitting the slot's next one.
 *   short, in a ring side (a thread) or a block or permit (a process):
 *         {generation:6, slot:10}; 0 is nobody: generations whose last six bits are 0 are skipped
 *   long, in a lock, a condition, a barrier (a thread):
 *         {zero:2, one:1, generation:13, slot:16}, above every pid, so that the kernel never takes
 *         it for a dying thread's
 */
#define PEER_GENERATION_SHORT 0x3fu
#define PEER_GENERATION_LONG 0x1fffu
#define PEER_OWNER_MAKE(slot, generation) \
    ((uint32_t)(slot) | ((uint32_t)(generation)&PEER_GENERATION_SHORT) << 10)
#define PEER_OWNER_SLOT(owner) ((owner) & (PEERS_MAX - 1))
#define PEER_LONG_ONE (UINT32_C(1) << 29)
#define PEER_LONG_MAKE(slot, generation) \
    (PEER_LONG_ONE | ((uint32_t)(generation)&PEER_GENERATION_LONG) << 16 | (uint32_t)(slot))

/* A ring side: {owner:16, rest:48}. Releasing it for a dead owner leaves the rest as it was. */
#define SIDE_OWNER_SHIFT 48
#define SIDE_REST(word) ((word) & ((UINT64_C(1) << SIDE_OWNER_SHIFT) - 1))
#define SIDE_OWNER(word) ((uint32_t)((word) >> SIDE_OWNER_SHIFT))

static_assert(sizeof(struct peer_shm) == PEER_SIZE, "slots do not share lines");
static_assert(sizeof(struct journal_shm) == 48, "written before and after every message");
static_assert(offsetof(struct peer_shm, journal) == 192, "a line of its own");
static_assert(offsetof(struct peer_shm, word) == 48, "the words behind the mutex");

#endif
