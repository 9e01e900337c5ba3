/* mem/peer.c: what a dead one left is settled, and its slot free once, whoever else dies in it. */
#include <shoal/sync.h>

#include "mem/peer.h"
#include "search.h"
#include "sync/lock_shm.h"

enum { LOCK, DIED_HOLDING, CLAIMED }; /* ghosts */
enum { VICTIM = 2 };

static struct lock_shm *lock_shm;

static void begin(void)
{
    shoal_lock lock;
    if (shoal_lock_create(NULL, &lock) < 0)
        machine_bail_out("no lock");
    machine.ghosts[LOCK] = lock.ref;
    lock_shm = machine_add_object(lock.ref, KIND_LOCK, sizeof(struct lock_shm));
}

static bool has_ended(unsigned thread)
{
    return machine.threads[thread].phase == DONE || machine.threads[thread].phase == DEAD;
}

static bool victim_has_ended(void)
{
    return has_ended(VICTIM);
}

static bool first_has_ended(void)
{
    return has_ended(0);
}

/* The victim holds a lock; two settle it at once; the second looks again when the first has ended,
 * perhaps by being killed too. */
static void settle(unsigned self)
{
    shoal_lock lock = { machine.ghosts[LOCK] };
    if (self == VICTIM) {
        if (shoal_lock_acquire(lock, SHOAL_FOREVER) < 0)
            machine_fail("acquire failed");
        machine_pause();
        return;
    }
    machine_await(victim_has_ended);
    shl_peer_recover_all(shl_segment_family());
    if (self == 0)
        return;
    machine_await(first_has_ended);
    shl_peer_recover_all(shl_segment_family());
}

static void killed(unsigned victim)
{
    if (victim == VICTIM && LOCK_OWNER(lock_shm->word) == machine_owner_long(VICTIM))
        machine.ghosts[DIED_HOLDING] = 1;
}

static bool is_free(const struct peer_shm *peer)
{
    return (peer->word & 0xffff) == PEER_FREE;
}

static const char *judge(void)
{
    const struct shl_segment *family = shl_segment_family();
    const struct peer_shm *processes = shl_thread_peer(family, 0) + PEERS_MAX;
    unsigned alive = 0;
    for (unsigned i = 0; i < threads_count; i++) {
        struct shl_owner owner = shl_owner_long(machine_owner_long(i));
        const struct peer_shm *peer = shl_thread_peer(family, owner.number);
        alive += !is_dead(i);
        if (is_dead(1) && is_dead(i))
            continue; /* nobody was left to settle it */
        if (is_free(peer) != is_dead(i) ||
            is_free(&processes[PEER_OWNER_SLOT(peer->process)]) != is_dead(i))
            return is_dead(i) ? "a dead one's slot is not free"
                              : "the slot of a living one is free";
    }
    if (is_dead(1))
        return NULL;
    /* A hint that a kill may leave too high by one; too low it is only if one is freed twice. */
    uint64_t attached = family->shm->threads_attached;
    if (attached < alive || attached > alive + machine.kills)
        return "a slot was freed twice";
    if (machine.ghosts[DIED_HOLDING] && (lock_shm->word != 0 || !lock_shm->owner_died))
        return "the dead one's lock is not open, or the next one is not told";
    return NULL;
}

static uint32_t slot_of(unsigned thread)
{
    return machine_owner_long(thread) & 0xffff;
}

/* The next slot to be claimed is the victim's, then one that is free. */
static void begin_claim(void)
{
    begin();
    struct shl_segment *family = shl_segment_family();
    family->shm->peer_hint = slot_of(VICTIM);
    struct peer_shm *next = shl_thread_peer(family, slot_of(VICTIM) + 1);
    machine_add_region(next, offsetof(struct peer_shm, name));
    machine_add_region(&next->journal, sizeof next->journal);
}

/* While one settles the victim another one claims a slot, twice what it has. */
static void settle_or_claim(unsigned self)
{
    if (self != 1) {
        settle(self);
        return;
    }
    machine_await(victim_has_ended);
    struct shl_slot slot;
    if (shl_peer_claim_thread(shl_segment_family(), 1, &slot) < 0)
        machine_fail("no slot");
    machine.ghosts[CLAIMED] = slot.number;
}

/* It has a slot, for itself alone. */
static const char *judge_claim(void)
{
    if (is_dead(0) || is_dead(1))
        return NULL;
    const struct peer_shm *peer = shl_thread_peer(shl_segment_family(),
                                                  (uint32_t)machine.ghosts[CLAIMED]);
    uint32_t life = *(const atom32 *)(const void *)&peer->life;
    if (is_free(peer) || (life & FUTEX_TID_MASK) != peer->tid)
        return "the claimed slot is not its owner's";
    if (is_dead(VICTIM) && slot_of(VICTIM) != machine.ghosts[CLAIMED] &&
        !is_free(shl_thread_peer(shl_segment_family(), slot_of(VICTIM))))
        return "the dead one's slot is not free";
    return NULL;
}

/* It leaves nothing but its process's slot. */
static void leave_or_settle(unsigned self)
{
    if (self == VICTIM)
        shl_peer_release_thread(shl_segment_family(), slot_of(VICTIM));
    else
        settle(self);
}

/* None of its slots is left; nor is one of another. */
static const char *judge_process(void)
{
    const struct peer_shm *processes = shl_thread_peer(shl_segment_family(), 0) + PEERS_MAX;
    for (unsigned i = 0; i < threads_count && !is_dead(1); i++)
        if (is_free(&processes[PEER_OWNER_SLOT(machine_process_owner(i))]) != is_dead(i))
            return "a process's slot is not as it is alive or dead";
    return NULL;
}

/* The kernel does not mark the victim's life. */
static void begin_missed(void)
{
    machine_missed = 1 << VICTIM;
    begin();
}

void check_recovery(void)
{
    struct scenario recovery = { .name = "recovery, 2 settle, 2 kills",
                                 .threads = 3,
                                 .kills = 2,
                                 .victims = 1 << VICTIM | 1 << 0,
                                 .preemptions = 1,
                                 .preemptions_full = UNBOUNDED,
                                 .begin = begin,
                                 .thread = settle,
                                 .killed = killed,
                                 .judge = judge };
    holds(&recovery);
    fails(&recovery, "peer.order");
    fails(&recovery, "peer.R5");
    struct scenario missed = recovery;
    missed.name = "recovery, the kernel misses a death, 2 settle, 2 kills";
    missed.begin = begin_missed;
    holds(&missed);
    fails(&missed, "peer.missed");
    struct scenario process = missed;
    process.name = "recovery, a process without threads, 2 settle, 2 kills";
    process.begin = begin;
    process.thread = leave_or_settle;
    process.judge = judge_process;
    holds(&process);
    fails(&process, "peer.R1");
    struct scenario claim = recovery;
    claim.preemptions = UNBOUNDED;
    claim.name = "recovery, 1 settles, 1 claims a slot, 2 kills";
    claim.begin = begin_claim;
    claim.thread = settle_or_claim;
    claim.judge = judge_claim;
    holds(&claim);
    fails(&claim, "peer.claim");
}
