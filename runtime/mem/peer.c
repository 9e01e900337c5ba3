/*
 * Purpose. Slots name who owns what. What a dead owner left behind is settled by whoever notices.
 *
 * Death. A thread's slot holds a robust mutex, its life, which the thread keeps locked: the kernel
 * marks the mutex's word when the thread dies, whatever it was doing, and wakes a sleeper there. So
 * dead means: the word is marked. A second channel covers what the kernel can miss (an OOM kill
 * whose memory was taken before the list was read): the pid is gone, a zombie, or another
 * process's, by start time. Neither is ever a time-out: a stopped or traced thread is alive. A
 * process is dead when the second channel says so, or when threads of it are marked and none lives:
 * so after exec.
 *
 * Settling. All that are dead are settled in one walk, by who holds their lives: trylock answers
 * EOWNERDEAD to one, and again to the next if that one dies too. A process's slot has a life as
 * well, which its settler locks, who leaves the segment, and who claims the slot until it is his:
 * so no late step of another claimer hits what has become somebody's. A thread or process has one
 * settler, from before he looks what is dead until it is nobody's: nobody else settles it
 * meanwhile, even if he is stopped, since a late step of his would hit what was settled and used
 * anew. Who needs a slot takes another one.
 *   R1 holds the lives of some threads; and of processes none of whose threads lives
 *   R2 the messages they were putting or taking (journal.h); every object's settler frees what
 *      names them
 *   R3 likewise memory
 *   R4 the slots of processes are FREE, then those of threads
 *   R5 the lives are consistent and unlocked
 * Every step may be done twice: words are compared with the owner's slot and generation. A life
 * whose mark the kernel missed is marked in its stead, by who holds the life of the process: so no
 * other has marked it since he looked, and nobody alive stands in it. The process is gone, so the
 * kernel does not come any more.
 *
 * Limits. What a settler holds whose own death the kernel misses stays as it is.
 *
 * Order. [peer.word] claim and release against those who look; what was settled is published by the
 * words themselves and by the mutex.
 */
#include "mem/peer.h"

#include <linux/futex.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "mem/alloc.h"
#include "mem/journal.h"
#include "mem/object.h"
#include "os/chaos.h"
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

/* Threads first, then processes. */
static struct peer_shm *thread_at(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peers = shl_at(segment, SEGMENT_PEERS_AT);
    return &peers[number % PEERS_MAX];
}

static struct peer_shm *process_at(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peers = shl_at(segment, SEGMENT_PEERS_AT);
    return &peers[PEERS_MAX + number % PEERS_MAX];
}

/* A slot by its index among all. */
static struct peer_shm *peer_at(const struct shl_segment *segment, uint32_t index)
{
    return index < PEERS_MAX ? thread_at(segment, index) : process_at(segment, index - PEERS_MAX);
}

struct peer_shm *shl_thread_peer(const struct shl_segment *segment, uint32_t number)
{
    return thread_at(segment, number);
}

pid_t shl_process_pid(const struct shl_segment *segment, uint32_t number)
{
    uint64_t word = atom_load_relaxed(&process_at(segment, number)->word);
    return word_state(word) == PEER_LIVE ? word_pid(word) : 0;
}

void shl_process_who(const struct shl_segment *segment, uint32_t number, pid_t *ret_pid,
                     char *ret_name, size_t name_size)
{
    uint64_t word = atom_load_relaxed(&process_at(segment, number)->word);
    *ret_pid = shl_process_pid(segment, number);
    ret_name[0] = '\0';
    for (uint32_t i = 0; i < PEERS_MAX && *ret_pid; i++) {
        struct peer_shm *peer = thread_at(segment, i);
        if (atom_load_relaxed(&peer->process) != PEER_OWNER_MAKE(number, word_generation(word)))
            continue;
        snprintf(ret_name, name_size, "%.63s", peer->name);
        return;
    }
}

/* The four functions that know the mutex. */

/* A fresh one is all zero but for its kind. That is written before each lock: another process may
 * have damaged it, which would send the C library down other paths. */
static void life_make(struct peer_shm *peer)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t fresh;
    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutex_init(&fresh, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
    atom32 *kind = (atom32 *)(void *)&peer->life.mutex.__data.__kind;
    if (atom_load_relaxed(kind) != (uint32_t)fresh.__data.__kind)
        atom_store_relaxed(kind, (uint32_t)fresh.__data.__kind);
}

static atom32 *life_word(struct peer_shm *peer)
{
    return (atom32 *)(void *)&peer->life; /* glibc keeps it in the first four bytes */
}

/* 0 or EOWNERDEAD: it is ours now; EBUSY, also if another process has damaged it. */
static int life_trylock(struct peer_shm *peer)
{
    life_make(peer);
    int result = pthread_mutex_trylock(&peer->life.mutex);
    if (result != 0 && result != EOWNERDEAD)
        return EBUSY;
    /* Always: so that the kernel wakes who sleeps there, and sleepers need not ask it to. */
    atom_or_relaxed(life_word(peer), FUTEX_WAITERS);
    return result;
}

static void life_unlock(struct peer_shm *peer, int locked_with)
{
    if (locked_with == EOWNERDEAD && !SHL_MISTAKE("peer.R5"))
        pthread_mutex_consistent(&peer->life.mutex);
    pthread_mutex_unlock(&peer->life.mutex);
}

static bool same(uint64_t word, struct shl_owner owner)
{
    return word_state(word) == PEER_LIVE &&
           ((word_generation(word) ^ owner.generation) & owner.mask) == 0;
}

static bool life_is_marked(struct peer_shm *peer)
{
    return atom_load_relaxed(life_word(peer)) & FUTEX_OWNER_DIED;
}

/* The second channel. */
static bool process_is_gone(struct peer_shm *peer, uint64_t word)
{
    if (word_state(word) != PEER_LIVE || word_pid(word) == getpid())
        return false;
    /* [peer.start] acquire <- become(): belongs to this word, which is looked at again. */
    uint64_t start_time = atom_load_acquire(&peer->start_time);
    /* [peer.word] acquire <- become() and vacate(). */
    return shl_process_is_gone(word_pid(word), start_time) &&
           atom_load_acquire(&peer->word) == word;
}

bool shl_thread_slot_is_dead(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peer = thread_at(segment, number);
    /* [peer.word] acquire <- become() and vacate(). */
    uint64_t word = atom_load_acquire(&peer->word);
    return word_state(word) != PEER_LIVE || life_is_marked(peer) || process_is_gone(peer, word);
}

bool shl_thread_is_dead(const struct shl_segment *segment, struct shl_owner owner)
{
    struct peer_shm *peer = thread_at(segment, owner.number);
    /* [peer.word] acquire <- become() and vacate(). */
    return !same(atom_load_acquire(&peer->word), owner) || life_is_marked(peer) ||
           SHL_MISTAKE("peer.impatient");
}

static bool is_gone(struct peer_shm *peer, struct shl_owner owner)
{
    /* [peer.word] acquire <- become() and vacate(). */
    uint64_t word = atom_load_acquire(&peer->word);
    return !same(word, owner) || process_is_gone(peer, word);
}

/* Threads of it have died, and none lives: it was killed a moment ago, or runs another program. */
static bool has_only_dead_threads(const struct shl_segment *segment, uint32_t process)
{
    bool dead = false;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer_shm *peer = thread_at(segment, i);
        if (atom_load_relaxed(&peer->process) != process ||
            word_state(atom_load_relaxed(&peer->word)) != PEER_LIVE)
            continue;
        if (!life_is_marked(peer))
            return false;
        dead = true;
    }
    return dead;
}

bool shl_process_owner_is_gone(const struct shl_segment *segment, struct shl_owner owner)
{
    uint32_t process = PEER_OWNER_MAKE(owner.number, owner.generation);
    return is_gone(process_at(segment, owner.number), owner) ||
           has_only_dead_threads(segment, process);
}

bool shl_thread_is_gone(const struct shl_segment *segment, struct shl_owner owner)
{
    return shl_thread_is_dead(segment, owner) || is_gone(thread_at(segment, owner.number), owner);
}

/* Who sleeps at a life compares this value: the thread's id and the bit that asks for the wake. */
static atom32 *life_of(struct peer_shm *peer, uint32_t *ret_alive)
{
    *ret_alive = atom_load_relaxed(life_word(peer));
    return *ret_alive & FUTEX_OWNER_DIED ? NULL : life_word(peer);
}

atom32 *shl_thread_life(const struct shl_segment *segment, struct shl_owner owner,
                        uint32_t *ret_alive)
{
    return life_of(thread_at(segment, owner.number), ret_alive);
}

atom32 *shl_process_life(const struct shl_segment *segment, uint32_t owner, uint32_t *ret_alive)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer_shm *peer = thread_at(segment, i);
        if (atom_load_relaxed(&peer->process) != owner ||
            word_state(atom_load_relaxed(&peer->word)) != PEER_LIVE)
            continue;
        atom32 *life = life_of(peer, ret_alive);
        if (life)
            return life;
    }
    return NULL;
}

/* LIVE -> FREE, if it is still the same. */
static bool vacate(struct peer_shm *peer, uint64_t word)
{
    /* [peer.word] release -> become(): what it owned is settled. */
    return atom_cas_release_64(&peer->word, word, word_make(0, word_generation(word), PEER_FREE));
}

/* A kill beside a change of the count leaves it wrong for good: whoever settles puts it right,
 * unless somebody comes or goes meanwhile. */
static void count_threads(const struct shl_segment *segment)
{
    uint64_t live = 0, seen = atom_load_relaxed(&segment->shm->threads_attached);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        live += word_state(atom_load_relaxed(&thread_at(segment, i)->word)) == PEER_LIVE;
    atom_cas_relaxed_64(&segment->shm->threads_attached, seen, live);
}

/* Those that are settled together, and whose lives are held. */
struct recovery {
    struct shl_dead dead;
    bool any, others;
    uint8_t held[2 * PEERS_MAX];      /* by index: how the life was locked */
    uint8_t thread_states[PEERS_MAX]; /* a process: what threads it has */
};
enum { NOT_HELD = 0, HELD, HELD_DEAD };
enum { HAS_DEAD = 1, HAS_OTHER = 2 };

/* Until the end of the recovery; false if another one does. */
static bool hold(const struct shl_segment *segment, struct recovery *recovery, uint32_t index)
{
    uint8_t *held = &recovery->held[index];
    if (*held == NOT_HELD) {
        int locked = life_trylock(peer_at(segment, index));
        if (locked == EBUSY && index >= PEERS_MAX && SHL_MISTAKE("peer.R1"))
            locked = 0;
        *held = locked == 0 ? HELD : locked == EBUSY ? NOT_HELD : HELD_DEAD;
    }
    recovery->others = recovery->others || *held == NOT_HELD;
    return *held != NOT_HELD;
}

/* Does what the kernel has missed: see Settling. */
static void mark_missed(const struct shl_segment *segment, struct recovery *recovery,
                        struct peer_shm *peer)
{
    uint32_t process = PEER_OWNER_SLOT(atom_load_relaxed(&peer->process));
    /* [peer.word] acquire <- become(). */
    uint64_t word = atom_load_acquire(&peer->word);
    if (life_is_marked(peer) || SHL_MISTAKE("peer.missed") || !process_is_gone(peer, word) ||
        !hold(segment, recovery, PEERS_MAX + process))
        return;
    uint32_t seen = atom_load_relaxed(life_word(peer));
    /* [peer.word] acquire <- become(): the dead one stands there still, as he will. */
    if ((seen & FUTEX_TID_MASK) == atom_load_relaxed(&peer->tid) &&
        atom_load_acquire(&peer->word) == word)
        atom_store_relaxed(life_word(peer), (seen & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
}

/* R1 */
static void add_thread(const struct shl_segment *segment, struct recovery *recovery,
                       uint32_t number)
{
    mark_missed(segment, recovery, thread_at(segment, number));
    if (!hold(segment, recovery, number))
        return;
    /* [peer.word] acquire <- become(). */
    uint64_t word = atom_load_acquire(&thread_at(segment, number)->word);
    if (word_state(word) != PEER_LIVE)
        return;
    recovery->dead.threads[number] = (uint16_t)word_generation(word);
    /* Who settles him next would also finish what is begun in his name. */
    recovery->dead.deputy = PEER_OWNER_MAKE(number, word_generation(word));
    recovery->any = true;
}

/* Which processes have threads that are settled now, and others. */
static void look_at_threads(const struct shl_segment *segment, struct recovery *recovery)
{
    memset(recovery->thread_states, 0, sizeof recovery->thread_states);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer_shm *peer = thread_at(segment, i);
        struct shl_owner process = shl_owner_short(atom_load_relaxed(&peer->process));
        if (word_state(atom_load_relaxed(&peer->word)) != PEER_LIVE ||
            !same(atom_load_relaxed(&process_at(segment, process.number)->word), process))
            continue;
        recovery->thread_states[process.number] |= recovery->dead.threads[i] ? HAS_DEAD : HAS_OTHER;
    }
}

/* Its generation; 0 if it is not dead. */
static uint16_t dead_process(const struct shl_segment *segment, const struct recovery *recovery,
                             uint32_t number)
{
    struct peer_shm *peer = process_at(segment, number);
    /* [peer.word] acquire <- become(). */
    uint64_t word = atom_load_acquire(&peer->word);
    uint8_t threads = recovery->thread_states[number];
    /* Not before its last thread: whose messages are whose is known by their journals. */
    bool dead = threads == HAS_DEAD || (threads == 0 && process_is_gone(peer, word));
    return word_state(word) == PEER_LIVE && dead ? (uint16_t)word_generation(word) : 0;
}

static bool is_of(struct peer_shm *peer, pid_t pid)
{
    uint64_t word = atom_load_relaxed(&peer->word);
    return word_state(word) == PEER_LIVE && word_pid(word) == pid;
}

/* Of one process, or of all if pid is 0: looked at again when they are held. */
static void add_processes(const struct shl_segment *segment, struct recovery *recovery, pid_t pid)
{
    look_at_threads(segment, recovery);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if ((pid == 0 || is_of(process_at(segment, i), pid)) && dead_process(segment, recovery, i))
            hold(segment, recovery, PEERS_MAX + i);
    look_at_threads(segment, recovery);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (recovery->held[PEERS_MAX + i] != NOT_HELD)
            recovery->dead.processes[i] = dead_process(segment, recovery, i);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        recovery->any = recovery->any || recovery->dead.processes[i];
}

/* LIVE -> FREE, if the slot still is the dead one's. */
static void vacate_dead(struct peer_shm *peer, uint32_t generation)
{
    uint64_t word = atom_load_relaxed(&peer->word);
    if (generation != 0 && word_state(word) == PEER_LIVE && word_generation(word) == generation)
        vacate(peer, word);
}

/* R2, R3 */
static void settle(const struct shl_segment *segment, const struct recovery *recovery)
{
    const struct shl_attachment *self = shl_self_attached(segment);
    uint32_t owner = self ? self->owner : recovery->dead.deputy;
    for (uint32_t i = 0; i < PEERS_MAX && SHL_MISTAKE("peer.free_first"); i++)
        vacate_dead(thread_at(segment, i), recovery->dead.threads[i]);
    SHL_CHAOS("peer.R2");
    for (uint32_t i = 0; i < PEERS_MAX && SHL_MISTAKE("peer.order"); i++)
        vacate_dead(thread_at(segment, i), recovery->dead.threads[i]);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (recovery->dead.threads[i])
            shl_journal_settle(segment, owner, i);
    shl_objects_settle(segment, &recovery->dead);
    SHL_CHAOS("peer.R3");
    shl_alloc_settle(segment, &recovery->dead);
}

/* R4, R5 */
static void finish(const struct shl_segment *segment, const struct recovery *recovery)
{
    SHL_CHAOS("peer.R4");
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        vacate_dead(process_at(segment, i), recovery->dead.processes[i]);
    for (uint32_t i = 0; i < 2 * PEERS_MAX; i++) {
        if (recovery->held[i] == NOT_HELD)
            continue;
        if (i < PEERS_MAX)
            vacate_dead(thread_at(segment, i), recovery->dead.threads[i]);
        SHL_CHAOS("peer.R5");
        life_unlock(peer_at(segment, i), recovery->held[i] == HELD ? 0 : EOWNERDEAD);
    }
}

static bool is_dead(struct peer_shm *peer)
{
    /* [peer.word] acquire <- become(). */
    uint64_t word = atom_load_acquire(&peer->word);
    return word_state(word) == PEER_LIVE && (life_is_marked(peer) || process_is_gone(peer, word));
}

/* Of one process, or of all if pid is 0. True if others settle some of them. */
static bool recover(const struct shl_segment *segment, pid_t pid)
{
    struct recovery recovery = { .any = false };
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer_shm *peer = thread_at(segment, i);
        if (pid == 0 ? is_dead(peer) : is_of(peer, pid))
            add_thread(segment, &recovery, i);
    }
    add_processes(segment, &recovery, pid);
    if (!recovery.dead.deputy && !shl_self_attached(segment)) /* has no slot to work from */
        recovery.dead = (struct shl_dead){ .left = false };
    else if (recovery.any)
        settle(segment, &recovery);
    finish(segment, &recovery);
    count_threads(segment);
    return recovery.others;
}

void shl_peer_find_dead(const struct shl_segment *segment, struct shl_dead *ret_dead)
{
    struct recovery recovery = { .any = false };
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (is_dead(thread_at(segment, i)))
            recovery.dead.threads[i] = (uint16_t)word_generation(
                atom_load_relaxed(&thread_at(segment, i)->word));
    look_at_threads(segment, &recovery);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        recovery.dead.processes[i] = dead_process(segment, &recovery, i);
    *ret_dead = recovery.dead;
}

void shl_peer_recover_all(const struct shl_segment *segment)
{
    recover(segment, 0);
}

void shl_peer_bury(const struct shl_segment *segment, pid_t pid)
{
    recover(segment, pid);
}

/* FREE -> LIVE, by one. */
static bool become(struct peer_shm *peer, uint32_t *ret_generation)
{
    /* [peer.word] acquire <- vacate() and release: what the last one owned is settled. */
    uint64_t word = atom_load_acquire(&peer->word);
    if (word_state(word) != PEER_FREE)
        return false;
    *ret_generation = (word_generation(word) + 1) & 0xffff;
    if ((*ret_generation & PEER_GENERATION_SHORT) == 0)
        ++*ret_generation;
    SHL_CHAOS("peer.claiming");
    /* [peer.start] release -> process_is_gone(): first, so that no slot that is LIVE lacks it. */
    atom_store_release(&peer->start_time, shl_process_start_time());
    /* [peer.word] acq_rel. */
    return atom_cas_acq_rel_64(&peer->word, word, word_make(getpid(), *ret_generation, PEER_LIVE));
}

/* The life of a slot that is FREE: nobody else claims that. */
static bool lock_free_slot(struct peer_shm *peer)
{
    if (word_state(atom_load_relaxed(&peer->word)) != PEER_FREE)
        return false;
    int locked = life_trylock(peer);
    if (locked == EBUSY && !SHL_MISTAKE("peer.claim"))
        return false;
    if (locked == EOWNERDEAD) /* its last one died between R4 and R5, or between two steps here */
        pthread_mutex_consistent(&peer->life.mutex);
    if (word_state(atom_load_relaxed(&peer->word)) == PEER_FREE)
        return true;
    life_unlock(peer, 0);
    return false;
}

static bool claim_process(const struct shl_segment *segment, uint32_t number, uint32_t process,
                          uint32_t *ret_generation)
{
    (void)process;
    struct peer_shm *peer = process_at(segment, number);
    if (!lock_free_slot(peer))
        return false;
    bool claimed = become(peer, ret_generation);
    life_unlock(peer, 0);
    return claimed;
}

static bool claim_thread(const struct shl_segment *segment, uint32_t number, uint32_t process,
                         uint32_t *ret_generation)
{
    struct peer_shm *peer = thread_at(segment, number);
    if (!lock_free_slot(peer))
        return false;
    atom_store_relaxed(&peer->process, process);
    atom_store_relaxed(&peer->tid, (uint32_t)gettid());
    if (!become(peer, ret_generation)) {
        life_unlock(peer, 0);
        return false;
    }
    atom_add_relaxed(&segment->shm->threads_attached, 1);
    return true;
}

typedef bool (*claim_one)(const struct shl_segment *segment, uint32_t number, uint32_t process,
                          uint32_t *ret_generation);

/* The hint moves on with every claim, so that the first look mostly finds a free slot. */
static bool claim_any(const struct shl_segment *segment, claim_one claim, uint32_t process,
                      struct shl_slot *ret_slot)
{
    uint32_t first = (uint32_t)atom_add_relaxed(&segment->shm->peer_hint, 1);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        ret_slot->number = (first + i) % PEERS_MAX;
        if (claim(segment, ret_slot->number, process, &ret_slot->generation))
            return true;
    }
    return false;
}

/* How long to look for a slot while others settle the dead that have them all. */
#define SETTLING_NS SHL_NS_PER_S

static int claim_slot(const struct shl_segment *segment, claim_one claim, uint32_t process,
                      struct shl_slot *ret_slot)
{
    uint64_t give_up = 0;
    bool others = true;
    while (!claim_any(segment, claim, process, ret_slot)) {
        REQUIRE(others && (give_up == 0 || shl_clock_ns() < give_up), -EUSERS,
                "the segment has no slot for another process or thread");
        others = recover(segment, 0) || give_up == 0; /* once more after our own settling */
        if (give_up == 0)
            give_up = shl_clock_ns() + SETTLING_NS;
    }
    return 0;
}

int shl_peer_claim_process(const struct shl_segment *segment, struct shl_slot *ret_slot)
{
    return claim_slot(segment, claim_process, 0, ret_slot);
}

int shl_peer_claim_thread(const struct shl_segment *segment, uint32_t process_owner,
                          struct shl_slot *ret_slot)
{
    return claim_slot(segment, claim_thread, process_owner, ret_slot);
}

void shl_peer_release_thread(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peer = thread_at(segment, number);
    uint64_t word = atom_load_relaxed(&peer->word);
    struct shl_dead left = { .left = true };
    left.threads[number] = (uint16_t)word_generation(word);
    shl_objects_settle(segment, &left); /* locks it still holds */
    vacate(peer, word);
    atom_sub_relaxed(&segment->shm->threads_attached, 1);
    life_unlock(peer, 0);
}

/* What it still owns there is nobody's again, settled from a thread's slot. If none can be had, the
 * slot is settled when the process has ended. */
void shl_peer_release_process(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peer = process_at(segment, number);
    int locked = life_trylock(peer);
    if (locked == EBUSY)
        return;
    uint64_t word = atom_load_relaxed(&peer->word);
    struct shl_slot thread;
    if (word_pid(word) != getpid() ||
        shl_peer_claim_thread(segment, PEER_OWNER_MAKE(number, word_generation(word)), &thread)) {
        life_unlock(peer, locked);
        return;
    }
    struct shl_dead left = { .left = true,
                             .deputy = PEER_OWNER_MAKE(thread.number, thread.generation) };
    left.processes[number] = (uint16_t)word_generation(word);
    shl_objects_settle(segment, &left);
    SHL_CHAOS("peer.left");
    shl_alloc_settle(segment, &left);
    vacate(peer, word);
    life_unlock(peer, locked);
    shl_peer_release_thread(segment, thread.number);
}
