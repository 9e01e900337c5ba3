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
 * Settling a thread. Elected by its life: trylock answers EOWNERDEAD to one, and again to the next
 * if that one dies too.
 *   R1 elected
 *   R2 every object's settler frees what names the thread
 *   R3 no other live thread has its process: likewise what names the process; its slot is FREE
 *   R4 the slot is FREE
 *   R5 the life is consistent and unlocked
 * Every step may be done twice: words are compared with the owner's slot and generation. A life
 * that the kernel missed cannot be locked any more: its words are settled all the same, and the
 * slot is lost.
 *
 * Order. [peer.word] claim and release against those who look; what was settled is published by the
 * words themselves and by the mutex.
 */
#include "mem/peer.h"

#include <linux/futex.h>
#include <unistd.h>

#include "base/clock.h"
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

struct peer_shm *shl_thread_peer(const struct shl_segment *segment, uint32_t number)
{
    return thread_at(segment, number);
}

/* The four functions that know the mutex. */

static void life_init(struct peer_shm *peer)
{
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutex_init(&peer->life.mutex, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
}

static atom32 *life_word(struct peer_shm *peer)
{
    return (atom32 *)(void *)&peer->life; /* glibc keeps it in the first four bytes */
}

/* The kind that life_init() gave it: another would send the C library down other paths. */
static bool life_is_whole(struct peer_shm *peer)
{
    struct peer_shm fresh = { .life.mutex = PTHREAD_MUTEX_INITIALIZER };
    life_init(&fresh);
    return peer->life.mutex.__data.__kind == fresh.life.mutex.__data.__kind;
}

/* 0 or EOWNERDEAD: it is ours now; EBUSY, also if another process has damaged it. */
static int life_trylock(struct peer_shm *peer)
{
    int result = life_is_whole(peer) ? pthread_mutex_trylock(&peer->life.mutex) : EBUSY;
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

static void settle_objects(const struct shl_segment *segment, const struct shl_dead *dead)
{
    struct shl_object_walk walk = { 0 };
    for (struct object_shm *object; (object = shl_object_next(segment, &walk));)
        if (shl_settlers[walk.kind])
            shl_settlers[walk.kind](segment, object, dead);
}

/* R2, or R3, for the owner that a slot's word names. */
static void settle_thread_objects(const struct shl_segment *segment, uint32_t number, uint64_t word,
                                  bool left)
{
    uint32_t generation = word_generation(word);
    struct shl_dead dead = { .owner = PEER_OWNER_MAKE(number, generation),
                             .owner_long = PEER_LONG_MAKE(number, generation),
                             .left = left };
    settle_objects(segment, &dead);
}

/* LIVE -> FREE, if it is still the same. */
static bool vacate(struct peer_shm *peer, uint64_t word)
{
    /* [peer.word] release -> become(): what it owned is settled. */
    return atom_cas_release_64(&peer->word, word, word_make(0, word_generation(word), PEER_FREE));
}

/* A kill beside a change of the count leaves it wrong for good: whoever settles puts it right. */
static void count_threads(const struct shl_segment *segment)
{
    uint64_t live = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        live += word_state(atom_load_relaxed(&thread_at(segment, i)->word)) == PEER_LIVE;
    atom_store_relaxed(&segment->shm->threads_attached, live);
}

static void vacate_thread(const struct shl_segment *segment, struct peer_shm *peer, uint64_t word)
{
    if (vacate(peer, word))
        atom_sub_relaxed(&segment->shm->threads_attached, 1);
}

static void settle_process(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peer = process_at(segment, number);
    /* [peer.word] acquire <- become(). */
    uint64_t word = atom_load_acquire(&peer->word);
    uint32_t owner = PEER_OWNER_MAKE(number, word_generation(word));
    if (word_state(word) != PEER_LIVE ||
        !(process_is_gone(peer, word) || has_only_dead_threads(segment, owner)))
        return;
    struct shl_dead dead = { .owner = owner, .process = true };
    settle_objects(segment, &dead);
    vacate(peer, word);
}

/* R2 to R4, with the slot's life ours. */
static void settle_thread(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peer = thread_at(segment, number);
    uint64_t word = atom_load_relaxed(&peer->word);
    if (word_state(word) != PEER_LIVE)
        return;
    if (SHL_MISTAKE("peer.free_first"))
        vacate_thread(segment, peer, word);
    SHL_CHAOS("peer.R2");
    if (SHL_MISTAKE("peer.order"))
        vacate_thread(segment, peer, word);
    settle_thread_objects(segment, number, word, false);
    SHL_CHAOS("peer.R3");
    settle_process(segment, PEER_OWNER_SLOT(atom_load_relaxed(&peer->process)));
    SHL_CHAOS("peer.R4");
    vacate_thread(segment, peer, word);
    SHL_CHAOS("peer.R5");
}

static void recover(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peer = thread_at(segment, number);
    int locked = life_trylock(peer); /* R1 */
    if (locked == EBUSY) {
        /* [peer.word] acquire <- become(). */
        uint64_t word = atom_load_acquire(&peer->word);
        if (process_is_gone(peer, word)) /* the kernel did not mark it */
            settle_thread_objects(segment, number, word, false);
        return;
    }
    settle_thread(segment, number);
    life_unlock(peer, locked); /* R5 */
}

void shl_peer_recover_all(const struct shl_segment *segment)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer_shm *peer = thread_at(segment, i);
        /* [peer.word] acquire <- become(). */
        uint64_t word = atom_load_acquire(&peer->word);
        if (word_state(word) == PEER_LIVE && (life_is_marked(peer) || process_is_gone(peer, word)))
            recover(segment, i);
    }
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        settle_process(segment, i);
    count_threads(segment);
}

static bool is_of(struct peer_shm *peer, pid_t pid)
{
    uint64_t word = atom_load_relaxed(&peer->word);
    return word_state(word) == PEER_LIVE && word_pid(word) == pid;
}

void shl_peer_bury(const struct shl_segment *segment, pid_t pid)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (is_of(thread_at(segment, i), pid))
            recover(segment, i);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (is_of(process_at(segment, i), pid))
            settle_process(segment, i);
    count_threads(segment);
}

void shl_peers_init(struct segment_shm *shm)
{
    struct peer_shm *peers = (struct peer_shm *)((char *)shm + SEGMENT_PEERS_AT);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        life_init(&peers[i]);
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
    atom_store_relaxed(&peer->start_time, 0);
    /* [peer.word] acq_rel. */
    if (!atom_cas_acq_rel_64(&peer->word, word, word_make(getpid(), *ret_generation, PEER_LIVE)))
        return false;
    /* [peer.start] release -> process_is_gone(). */
    atom_store_release(&peer->start_time, shl_process_start_time());
    return true;
}

static bool claim_process(const struct shl_segment *segment, uint32_t number, uint32_t process,
                          uint32_t *ret_generation)
{
    (void)process;
    return become(process_at(segment, number), ret_generation);
}

static bool claim_thread(const struct shl_segment *segment, uint32_t number, uint32_t process,
                         uint32_t *ret_generation)
{
    struct peer_shm *peer = thread_at(segment, number);
    if (word_state(atom_load_relaxed(&peer->word)) != PEER_FREE)
        return false;
    int locked = life_trylock(peer);
    if (locked == EBUSY && !SHL_MISTAKE("peer.claim"))
        return false;
    if (locked == EOWNERDEAD) /* its last one died between R4 and R5, or between two steps here */
        pthread_mutex_consistent(&peer->life.mutex);
    if (!become(peer, ret_generation)) {
        life_unlock(peer, 0);
        return false;
    }
    atom_store_relaxed(&peer->process, process);
    atom_store_relaxed(&peer->tid, (uint32_t)gettid());
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

static int claim_slot(const struct shl_segment *segment, claim_one claim, uint32_t process,
                      struct shl_slot *ret_slot)
{
    if (claim_any(segment, claim, process, ret_slot))
        return 0;
    shl_peer_recover_all(segment);
    REQUIRE(claim_any(segment, claim, process, ret_slot), -EUSERS,
            "the segment has no slot for another process or thread");
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
    settle_thread_objects(segment, number, word, true); /* locks it still holds */
    vacate_thread(segment, peer, word);
    life_unlock(peer, 0);
}

void shl_peer_release_process(const struct shl_segment *segment, uint32_t number)
{
    struct peer_shm *peer = process_at(segment, number);
    vacate(peer, atom_load_relaxed(&peer->word));
}
