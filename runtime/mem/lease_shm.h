/*
 * The record of a message that was got from a joinable queue and is not finished: an object that
 * the message's block names (block_shm.h).
 *
 *   word = {generation:12, deliveries:32, state:4, owner:16}
 *          TAKING    owner: a thread (short) that is getting; the lease counts once its block names
 *                    it
 *          HELD      owner: the process (short) whose the message is
 *          RETURNED  nobody's: the next one who gets has it
 *          OVER      owner: the process that has finished it
 *          generation: the object's, so that no compare-and-set meets the place's next one
 *
 *   TAKING -> HELD            by the thread, once the block names it
 *   TAKING, HELD -> RETURNED  by who settles the owner's death
 *   RETURNED -> HELD          by who gets it; that is one more delivery
 *   HELD -> OVER              by the owner; the block does not name it any more
 */
#ifndef SHL_MEM_LEASE_SHM_H
#define SHL_MEM_LEASE_SHM_H

#include "mem/object_shm.h"

enum lease_state { LEASE_OVER = 0, LEASE_TAKING, LEASE_HELD, LEASE_RETURNED };

struct lease_shm {
    struct object_shm object;
    atom64 word;
    atom64 queue;      /* the handle's reference */
    atom64 descriptor; /* of its payload, in the send by which it came, or goes; 0: none yet */
    atom64 order;      /* where in the queue it lay */
    uint8_t padding[OBJECT_SMALL_SIZE - sizeof(struct object_shm) - 32];
};

static_assert(sizeof(struct lease_shm) == OBJECT_SMALL_SIZE, "it fills its place");

static inline uint64_t lease_word_make(uint64_t ref, uint32_t deliveries, enum lease_state state,
                                       uint32_t owner)
{
    uint64_t generation = ref >> 36 & 0xfff; /* shl_ref_generation() */
    return generation << 52 | (uint64_t)deliveries << 20 | (uint64_t)state << 16 | owner;
}

static inline enum lease_state lease_word_state(uint64_t word)
{
    return (enum lease_state)(word >> 16 & 0xf);
}

static inline uint32_t lease_word_deliveries(uint64_t word)
{
    return (uint32_t)(word >> 20);
}

static inline uint32_t lease_word_owner(uint64_t word)
{
    return (uint32_t)word & 0xffff;
}

#endif
