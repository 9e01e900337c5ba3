/* Who is in a segment: slots, their claim and release, and whether an owner is dead. */
#ifndef SHL_MEM_PEER_H
#define SHL_MEM_PEER_H

#include <sys/types.h>

#include "mem/peer_shm.h"
#include "mem/segment.h"

struct shl_slot {
    uint32_t number; /* 1 to PEERS_COUNT - 1; 0: none */
    uint32_t generation;
};

/* A slot for the calling process or thread. 0 or -EUSERS. */
int shl_peer_claim(const struct shl_segment *segment, struct shl_slot *ret_slot);

/* The caller's own slot, which no word names any more. */
void shl_peer_release(const struct shl_segment *segment, uint32_t slot);

/* Every slot of the calling process, none of whose threads is in the segment any more. */
void shl_peer_release_all(const struct shl_segment *segment);

/* Settles the slots of a process that has been reaped. */
void shl_peer_bury(const struct shl_segment *segment, pid_t pid);

struct peer_shm *shl_peer(const struct shl_segment *segment, uint32_t slot);

/* Is the owner that stands in a ring side gone for certain? Never guessed by time. */
bool shl_peer_is_dead(const struct shl_segment *segment, uint32_t owner);

#endif
