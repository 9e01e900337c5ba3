/*
 * Purpose. Slots name who owns what. A slot of a dead owner is settled before it is used again.
 *
 * Until every thread has a word that the kernel marks at its death, dead means: the process is
 * gone from the process table, or is a zombie, or its pid belongs to a process that began later.
 * shl_peer_is_dead() is the only place that decides it.
 *
 * Layout and legal transitions: peer_shm.h.
 *
 * Settling is elected by one compare-and-set on the slot's word, does only steps that may be done
 * twice, and is taken over if the elected one dies as well.
 */
#include "mem/peer.h"

#include <unistd.h>

#include "os/child.h"

static uint64_t word_make(pid_t pid, uint32_t generation, uint32_t state)
{
    return (uint64_t)(uint32_t)pid << 32 | (uint64_t)(generation & 0xffff) << 16 | state;
}

static pid_t word_pid(uint64_t word)
{
    return (pid_t)(word >> 32);
}

static uint32_t word_generation(uint64_t word)
{
    return (uint32_t)(word >> 16) & 0xffff;
}

static uint32_t word_state(uint64_t word)
{
    return (uint32_t)word & 0xffff;
}

struct peer_shm *shl_peer(const struct shl_segment *segment, uint32_t slot)
{
    struct peer_shm *peers = shl_at(segment, SEGMENT_PEERS_AT);
    return &peers[slot & (PEERS_COUNT - 1)];
}

static bool holder_is_gone(struct peer_shm *peer, uint64_t word)
{
    pid_t pid = word_pid(word);
    if (word_state(word) == PEER_FREE || pid == getpid())
        return false;
    /* [peer.start] acquire <- shl_peer_claim(): belongs to this word, which is looked at again. */
    uint64_t start_time = word_state(word) == PEER_LIVE ? atom_load_acquire(&peer->start_time) : 0;
    /* [peer.word] acquire <- claim and settle(). */
    return shl_process_is_gone(pid, start_time) && atom_load_acquire(&peer->word) == word;
}

bool shl_peer_is_dead(const struct shl_segment *segment, uint32_t owner)
{
    struct peer_shm *peer = shl_peer(segment, PEER_OWNER_SLOT(owner));
    /* [peer.word] acquire <- claim and settle(). */
    uint64_t word = atom_load_acquire(&peer->word);
    bool same = PEER_OWNER_MAKE(PEER_OWNER_SLOT(owner), word_generation(word)) == owner;
    return !same || word_state(word) != PEER_LIVE || holder_is_gone(peer, word);
}

/* The only unfinished step a slot can leave behind: a ring side that it did not give back. */
static void release_side(const struct shl_segment *segment, uint64_t offset, uint32_t slot)
{
    if (offset == 0 || offset % sizeof(uint64_t) || offset >= segment->size)
        return;
    atom64 *side = shl_at(segment, offset);
    uint64_t word = atom_load_relaxed(side);
    if (PEER_OWNER_SLOT(SIDE_OWNER(word)) == slot)
        /* [ring.side] release -> ring_lock(): what the dead one had committed. */
        atom_cas_release_64(side, word, SIDE_REST(word));
}

static void clear(struct peer_shm *peer)
{
    atom_store_relaxed(&peer->sides[0], 0);
    atom_store_relaxed(&peer->sides[1], 0);
    atom_store_relaxed(&peer->start_time, 0);
}

static void settle(const struct shl_segment *segment, uint32_t slot, uint64_t word_seen)
{
    struct peer_shm *peer = shl_peer(segment, slot);
    uint64_t mine = word_make(getpid(), word_generation(word_seen) + 1, PEER_SETTLING);
    /* [peer.word] acq_rel: elected; from here on nobody else changes the slot while we live. */
    if (!atom_cas_acq_rel_64(&peer->word, word_seen, mine))
        return;
    for (int i = 0; i < 2; i++)
        /* [peer.sides] acquire <- ring_lock(): the journal is written before the side is taken. */
        release_side(segment, atom_load_acquire(&peer->sides[i]), slot);
    clear(peer);
    /* [peer.word] release -> claim: the slot is as new. */
    atom_store_release(&peer->word, word_make(0, word_generation(mine), PEER_FREE));
}

static bool claim(struct peer_shm *peer, uint32_t *ret_generation)
{
    /* [peer.word] acquire <- settle() and release: the slot is as new. */
    uint64_t word = atom_load_acquire(&peer->word);
    if (word_state(word) != PEER_FREE)
        return false;
    *ret_generation = word_generation(word) + 1;
    uint64_t mine = word_make(getpid(), *ret_generation, PEER_LIVE);
    /* [peer.word] acq_rel. */
    if (!atom_cas_acq_rel_64(&peer->word, word, mine))
        return false;
    /* [peer.start] release -> holder_is_gone(). */
    atom_store_release(&peer->start_time, shl_process_start_time());
    return true;
}

static int claim_any(const struct shl_segment *segment, struct shl_slot *ret_slot)
{
    uint32_t first = (uint32_t)atom_add_relaxed(&segment->shm->peer_hint, 1);
    for (uint32_t i = 0; i < PEERS_COUNT; i++) {
        uint32_t slot = (first + i) & (PEERS_COUNT - 1);
        if (slot == 0 || !claim(shl_peer(segment, slot), &ret_slot->generation))
            continue;
        ret_slot->number = slot;
        return 0;
    }
    return -EUSERS;
}

int shl_peer_claim(const struct shl_segment *segment, struct shl_slot *ret_slot)
{
    if (claim_any(segment, ret_slot) == 0)
        return 0;
    for (uint32_t slot = 1; slot < PEERS_COUNT; slot++) {
        struct peer_shm *peer = shl_peer(segment, slot);
        /* [peer.word] acquire <- claim and settle(). */
        uint64_t word = atom_load_acquire(&peer->word);
        if (holder_is_gone(peer, word))
            settle(segment, slot, word);
    }
    if (claim_any(segment, ret_slot) == 0)
        return 0;
    return shl_error(-EUSERS, "the segment has no slot for another process or thread");
}

void shl_peer_release(const struct shl_segment *segment, uint32_t slot)
{
    struct peer_shm *peer = shl_peer(segment, slot);
    uint32_t generation = word_generation(atom_load_relaxed(&peer->word));
    clear(peer);
    /* [peer.word] release -> claim: the slot is as new. */
    atom_store_release(&peer->word, word_make(0, generation, PEER_FREE));
}

void shl_peer_release_all(const struct shl_segment *segment)
{
    for (uint32_t slot = 1; slot < PEERS_COUNT; slot++) {
        uint64_t word = atom_load_relaxed(&shl_peer(segment, slot)->word);
        if (word_pid(word) == getpid() && word_state(word) == PEER_LIVE)
            shl_peer_release(segment, slot);
    }
}

void shl_peer_bury(const struct shl_segment *segment, pid_t pid)
{
    for (uint32_t slot = 1; slot < PEERS_COUNT; slot++) {
        struct peer_shm *peer = shl_peer(segment, slot);
        /* [peer.word] acquire <- claim and settle(). */
        uint64_t word = atom_load_acquire(&peer->word);
        if (word_pid(word) == pid && holder_is_gone(peer, word))
            settle(segment, slot, word);
    }
}
