/*
 * A slot: one per attached process, which owns blocks, and one per attached thread, which owns
 * unfinished steps. A slot's number stands in the words it owns, so a slot is given to somebody
 * else only when no unfinished step names it any more.
 */
#ifndef SHL_MEM_PEER_SHM_H
#define SHL_MEM_PEER_SHM_H

#include "mem/segment_shm.h"

/*
 * word: {pid:32, generation:16, state:16}
 *   FREE -> LIVE          whoever claims it; the generation moves on
 *   LIVE -> FREE          its owner, with nothing left behind
 *   LIVE -> SETTLING      whoever found its owner dead, elected by this step; pid is now his, and
 *                         the generation moves on, so that a late rival's step fails
 *   SETTLING -> SETTLING  whoever found that one dead too
 *   SETTLING -> FREE      the elected one, when no word names the slot any more
 */
enum { PEER_FREE = 0, PEER_LIVE = 1, PEER_SETTLING = 2 };

struct peer_shm {
    atom64 word;
    atom64 start_time; /* of the LIVE process, in ticks; 0: not known, not written yet, not LIVE */
    atom64 sides[2];   /* the journal: offsets of the ring sides it takes or holds, tail and head */
    uint8_t padding[SHL_LINE - 32];
};

/*
 * An owner, as it stands in a ring side: {generation:6, slot:10}; 0 is nobody. The generation keeps
 * a late step against a dead owner from hitting the slot's next one.
 */
#define PEER_OWNER_SLOT(owner) ((owner) & (PEERS_COUNT - 1))
#define PEER_OWNER_MAKE(slot, generation) ((uint32_t)(slot) | ((uint32_t)(generation)&63) << 10)

/* A ring side: {owner:16, rest:48}. Releasing it for a dead owner leaves the rest as it was. */
#define SIDE_OWNER_SHIFT 48
#define SIDE_REST(word) ((word) & ((UINT64_C(1) << SIDE_OWNER_SHIFT) - 1))
#define SIDE_OWNER(word) ((uint32_t)((word) >> SIDE_OWNER_SHIFT))

static_assert(sizeof(struct peer_shm) == SHL_LINE, "one line a slot: its owner writes it");
static_assert(SEGMENT_PEERS_AT + PEERS_COUNT * sizeof(struct peer_shm) == SEGMENT_CHUNKS_AT,
              "the chunk words follow");

#endif
