/*
 * Purpose. Waiting without losing a wake-up, whoever is killed, and without a system call while
 * nobody sleeps.
 *
 * Layout. park_shm.h.
 *
 * Protocol.  waiter                                   notifier
 *   W0 the bell is pending                  N0 the bell is pending
 *   W1 flag = 1                             N1 commit the change
 *   W2 attempt; done if it succeeds         N2 if flag was 1: flag = 0
 *   W3 sleep while bell = 0, the watched    N3 and wake one sleeper at the bell
 *      words are as W2 saw them, flag = 1   N4 nothing is pending
 *   W4 again from W1; at the end, if it slept and another's attempt would succeed, or tell that
 *      the object is gone: wake one.
 *      An attempt that makes another bell pending, having slept, wakes one at its own before
 *   W5 nothing is pending
 * If a thread dies with a bell pending, the kernel wakes one sleeper there: who was to be woken, or
 * to wake. The bell is the first word of W3, so that the kernel finds the sleeper already there.
 *
 * A wait with a cancel event sleeps at two bells but only one can be pending: it is the object's.
 * So setting an event wakes all its sleepers, and `told` (event_shm.h) tells whether that was done;
 * at the cancel bell the event's word is watched instead of its flag, which another may set again.
 * If the setter and then the sleeper that the kernel woke for it are both killed before either has
 * woken the others, these look again at the next tick.
 *
 * Order.     W1 flag = 1                              N1 the change
 *            W2 load it                               N2 load flag
 * [park.flag] all four are seq_cst: not both can miss the other's store. So either the attempt sees
 * the change, or the notifier sees the flag.
 *
 * Progress. The tick looks after what the kernel cannot tell: a thread whose list it could not
 * read, kernels without futex_waitv.
 *
 * Sources. tests/model checks this protocol and its mistakes, with kills at every step; tests/check
 * this code.
 */
#include "sync/park.h"

#include <errno.h>
#include <sched.h>

#include "mem/object.h"
#include "os/chaos.h"
#include "os/child.h"
#include "sync/event_shm.h"

#define TICK_NS SHL_NS_PER_S
#define TICK_WITHOUT_LIST_NS (20 * SHL_NS_PER_MS)
#define TICK_SOON_NS SHL_NS_PER_MS

#ifndef SPIN_ROUNDS /* checkers spin less: every step counts */
#define SPIN_ROUNDS 20u
#endif
/* Who waits for a message looks again soon; who waits for a lock lets its owner work. */
enum { PAUSES_SOON = 1, PAUSES_BUSY = 4, PAUSES_MOST = 128 };

/* More threads than processors: who spins keeps the one it waits for from running. */
static bool is_crowded(void)
{
    static atom32 known; /* of the machine: a pinned thread's own one is not all there is */
    uint32_t cpus = atom_load_relaxed(&known);
    if (unlikely(cpus == 0)) {
        cpus = shl_cpu_online();
        atom_store_relaxed(&known, cpus);
    }
    const struct shl_segment *family = &shl_segments[SHL_FAMILY];
    return cpus == 1 || (shl_segment_attached(family) &&
                         atom_load_relaxed(&family->shm->threads_attached) > cpus);
}

/* Doubling, so that the line stays with who works; where it is crowded others run in between. */
static bool spin_once(unsigned round, unsigned pauses_first)
{
    bool crowded = is_crowded();
    if (round >= (crowded ? SPIN_ROUNDS / 2 : SPIN_ROUNDS))
        return false;
    unsigned pauses = pauses_first << round;
    for (unsigned i = 0; i < pauses && i < PAUSES_MOST; i++)
        atom_pause();
    if (crowded)
        sched_yield();
    return true;
}

bool shl_park_spin(unsigned round)
{
    return spin_once(round, PAUSES_BUSY);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int shl_cancel_find(shoal_deadline deadline, struct shl_cancel *ret_cancel)
{
    *ret_cancel = (struct shl_cancel){ .ref = deadline.cancel.ref };
    if (likely(deadline.cancel.ref == 0))
        return 0;
    const struct shl_found *found = shl_find_inside(deadline.cancel.ref, KIND_EVENT);
    if (!found)
        return shl_error_code();
    ret_cancel->event = (struct event_shm *)found->object;
    ret_cancel->generation = atom_load_relaxed(&ret_cancel->event->word) >> 1;
    return 0;
}

int shl_cancel_check(const struct shl_cancel *cancel, uint32_t *ret_word)
{
    if (likely(!cancel->event))
        return 0;
    /* [park.flag] seq_cst. */
    *ret_word = atom_load_seq_cst(&cancel->event->word);
    if (!shl_object_is(&cancel->event->object, cancel->ref))
        return shl_error(-ESTALE, "the deadline's event was destroyed");
    bool set = (*ret_word & EVENT_SET) || *ret_word >> 1 != cancel->generation;
    return set ? shl_error(-ECANCELED, "the deadline's event was set") : 0;
}

/* The setter's duty, if it may have died: see `told`. */
static void tell_again(struct event_shm *event)
{
    uint32_t word = atom_load_relaxed(&event->word);
    if (atom_load_relaxed(&event->told) == word >> 1 || SHL_MISTAKE("park.tell"))
        return;
    shl_futex_wake(&event->bell.bell, INT32_MAX);
    atom_store_relaxed(&event->told, word >> 1);
}

/* Of the word that its handles must equal, the half that the generation is in. */
void shl_watch_end(struct shl_watches *watches, struct object_shm *object, uint64_t ref)
{
    if (!SHL_MISTAKE("park.end"))
        shl_watch(watches, (atom32 *)(void *)&object->self + 1)->expected = (uint32_t)(ref >> 32);
}

/* Has the one died with whom the object ends? Then it does, and all that was his. */
static bool creator_is_gone(const struct shl_park_for *what, struct shl_watches *watches)
{
    uint32_t alive = 0, creator = atom_load_relaxed(&what->object->creator);
    if (likely(creator == 0) || SHL_MISTAKE("park.creator"))
        return false;
    const struct shl_segment *segment = shl_segment_by_id(shl_ref_id(what->ref));
    atom32 *life = segment ? shl_process_life(segment, creator, &alive) : NULL;
    if (life)
        shl_watch(watches, life)->expected = alive;
    if (life || !segment)
        return false;
    watches->soon = !shl_process_owner_is_gone(segment, shl_owner_short(creator));
    if (watches->soon)
        return false;
    shl_peer_recover_all(segment); /* which tells all who wait for something of his */
    shl_object_expire(what->object, what->ref);
    return true;
}

/* W1 at both bells, W2 and W3 once. */
static int attempt_or_sleep(struct bell_shm *bell, const struct shl_park_for *what,
                            shoal_deadline deadline, const struct shl_cancel *cancel,
                            bool *ret_slept)
{
    struct shl_watches watches;
    shl_watches_init(&watches);
    watches.slept = *ret_slept;
    SHL_CHAOS("park.W1");
    shl_watch(&watches, &bell->bell);
    if (!SHL_MISTAKE("park.watch"))
        shl_watch(&watches, &bell->flag)->expected = 1;
    /* [park.flag] seq_cst, acquire and release: see Order above. */
    atom_exchange_seq_cst(&bell->flag, 1);
    shl_watch_end(&watches, what->object, what->ref);
    struct shl_futex_watch *cancel_word = NULL;
    if (unlikely(cancel->event)) {
        shl_watch(&watches, &cancel->event->bell.bell);
        shl_watch_end(&watches, &cancel->event->object, cancel->ref);
        cancel_word = shl_watch(&watches, (atom32 *)&cancel->event->word);
        /* [park.flag] likewise. */
        atom_exchange_seq_cst(&cancel->event->bell.flag, 1);
    }
    SHL_CHAOS("park.W2");
    if (creator_is_gone(what, &watches))
        return shl_error(-ESTALE, "its creator has ended, and it with him");
    int code = what->attempt(what->context, &watches);
    if (code != -EAGAIN)
        return code;
    uint32_t none;
    code = shl_cancel_check(cancel, cancel_word ? &cancel_word->expected : &none);
    if (code < 0)
        return code;
    if (shl_deadline_passed(deadline))
        return -ETIMEDOUT;
    *ret_slept = true;
    SHL_CHAOS("park.W3");
    bool rung = shl_robust_head || SHL_MISTAKE("park.long_tick"); /* for the dead */
    uint64_t tick = watches.soon ? TICK_SOON_NS : rung ? TICK_NS : TICK_WITHOUT_LIST_NS;
    shl_futex_wait(watches.list, watches.count, earlier(deadline.ns, shl_clock_ns() + tick));
    SHL_CHAOS("park.W4");
    if (unlikely(cancel->event))
        tell_again(cancel->event);
    if (what->event)
        tell_again(what->event);
    return -EAGAIN;
}

static int spin(const struct shl_park_for *what, shoal_deadline deadline,
                const struct shl_cancel *cancel)
{
    for (unsigned round = 0; spin_once(round, PAUSES_SOON); round++) {
        struct shl_watches watches;
        shl_watches_init(&watches);
        int code = what->attempt(what->context, &watches);
        if (code != -EAGAIN)
            return code;
        uint32_t word;
        code = shl_cancel_check(cancel, &word);
        if (code < 0)
            return code;
        if (shl_deadline_passed(deadline))
            return -ETIMEDOUT;
    }
    return -EAGAIN;
}

int shl_park(struct bell_shm *bell, const struct shl_park_for *what, shoal_deadline deadline)
{
    struct shl_cancel cancel;
    uint32_t word;
    int code = shl_cancel_find(deadline, &cancel);
    if (code == 0)
        code = shl_cancel_check(&cancel, &word);
    if (code < 0)
        return code;
    if (shl_deadline_is_now(deadline))
        return -ETIMEDOUT;
    code = spin(what, deadline, &cancel);
    if (code != -EAGAIN)
        return code;
    struct robust_list *before = shl_pending_set(&bell->bell); /* W0 */
    if (SHL_MISTAKE("park.W0"))
        shl_pending_clear(before);
    bool slept = false;
    do
        code = attempt_or_sleep(bell, what, deadline, &cancel, &slept);
    while (code == -EAGAIN);
    bool pass_on = code == -ESTALE || (what->ready && what->ready(what->context));
    if (slept && pass_on && !SHL_MISTAKE("park.W4"))
        shl_futex_wake(&bell->bell, 1);
    SHL_CHAOS("park.W5");
    if (!what->keep_pending || code < 0)
        shl_pending_clear(before); /* W5 */
    return code;
}

void shl_park_ring_both(struct bell_shm *first, struct bell_shm *second)
{
    struct robust_list *before = shl_pending_set(&first->bell);
    shl_park_ring(first);
    shl_pending_set(&second->bell);
    shl_park_ring(second);
    shl_pending_clear(before);
}

bool shl_park_end(const struct shl_segment *segment, struct object_shm *object, uint64_t ref,
                  struct bell_shm *bell)
{
    struct robust_list *before = shl_pending_set(&bell->bell);
    bool ended = shl_object_end(segment, object, ref);
    /* [park.flag] seq_cst: who is about to sleep sees the flag gone. */
    atom_exchange_seq_cst(&bell->flag, 0);
    shl_futex_wake(&bell->bell, INT32_MAX);
    shl_pending_clear(before);
    if (ended)
        shl_object_free(segment, object);
    return ended;
}

void shl_park_nap(atom32 *word, uint32_t seen, uint64_t ns)
{
    struct shl_futex_watch watch = { word, seen };
    shl_futex_wait(&watch, 1, shl_clock_ns() + ns);
}
