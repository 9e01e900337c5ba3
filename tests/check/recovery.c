/* mem/peer.c: what a dead one left is settled, and its slot free once, whoever else dies in it. */
#include <shoal/sync.h>

#include "mem/peer.h"
#include "search.h"
#include "sync/lock_shm.h"

enum { LOCK }; /* ghosts */
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
        machine.ghosts[LOCK + 1] = 1;
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
    if (machine.ghosts[LOCK + 1] && (lock_shm->word != 0 || !lock_shm->owner_died))
        return "the dead one's lock is not open, or the next one is not told";
    return NULL;
}

void check_recovery(void)
{
    struct scenario recovery = { .name = "recovery, 2 settle, 2 kills",
                                 .threads = 3,
                                 .kills = 2,
                                 .victims = 1 << VICTIM | 1 << 0,
                                 .preemptions = 2,
                                 .preemptions_full = 3,
                                 .begin = begin,
                                 .thread = settle,
                                 .killed = killed,
                                 .judge = judge };
    holds(&recovery);
    fails(&recovery, "peer.order");
    fails(&recovery, "peer.R5");
}
