/* What the machine's threads ask the system for: in place of runtime/os and of the C library. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#include "base/clock.h"
#include "os/chaos.h"
#include "os/child.h"
#include "os/futex.h"
#include "os/membarrier.h"
#include "os/robust.h"

enum { PID_FIRST = 1000 };

/* --- store buffers --------------------------------------------------------------------------- */

bool shl_membarrier_register(void)
{
    return has_membarrier;
}

bool shl_membarrier(void)
{
    if (!has_membarrier)
        return false;
    machine_arrive(OP_MEMBARRIER, NULL);
    for (unsigned i = 0; i < threads_count; i++)
        machine_drain(&machine.threads[i]);
    machine_note(OP_MEMBARRIER, NULL, (struct spot){ "barrier", __func__ }, 0, 0, false);
    return true;
}

/* --- futexes -------------------------------------------------------------------------------- */

_Thread_local struct robust_list_head *shl_robust_head;

void shl_robust_begin(void)
{
    shl_robust_head = &current->robust;
}

int shl_futex_wait(const struct shl_futex_watch *watches, unsigned count, uint64_t deadline_ns)
{
    struct sleep *sleep = &current->sleep;
    machine_drain(current);
    *sleep = (struct sleep){ .until_ns = deadline_ns };
    if (count > WATCHES_MAX)
        machine_bail_out("too many words are watched");
    for (unsigned i = 0; i < count; i++) {
        struct spot spot = { "sleep at", __func__ };
        machine_arrive(OP_WATCH, watches[i].word);
        bool same = *watches[i].word == watches[i].expected;
        machine_note(OP_WATCH, watches[i].word, spot, *watches[i].word, watches[i].expected, same);
        if (!same) {
            *sleep = (struct sleep){ 0 };
            return 0;
        }
        sleep->words[i] = watches[i].word;
        sleep->expected[i] = watches[i].expected;
        sleep->queued |= 1u << i;
        sleep->count = i + 1;
    }
    machine_arrive(OP_ASLEEP, NULL);
    bool late = !sleep->woken;
    if (late)
        current->deaths_seen = machine.deaths;
    machine_note(OP_ASLEEP, NULL, (struct spot){ "", late ? "time" : "woken" }, 0, 0, false);
    *sleep = (struct sleep){ 0 };
    return late ? -ETIMEDOUT : 0;
}

static bool is_nap(const struct sleep *sleep)
{
    return sleep->until_ns < SOON_NS;
}

static bool something_changed(const struct thread *thread)
{
    const struct sleep *sleep = &thread->sleep;
    for (unsigned i = 0; i < sleep->count; i++)
        if (*sleep->words[i] != sleep->expected[i])
            return true;
    return thread->deaths_seen != machine.deaths;
}

bool kernel_can_step(unsigned number)
{
    const struct thread *thread = &machine.threads[number];
    if (thread->phase != ALIVE)
        return thread->phase == DYING;
    if (thread->op == OP_AWAIT)
        return !thread->awaited || thread->awaited();
    return thread->op != OP_ASLEEP || thread->sleep.woken ||
           (is_nap(&thread->sleep) && something_changed(thread));
}

bool kernel_can_time_out(unsigned number, uint64_t until_ns)
{
    const struct thread *thread = &machine.threads[number];
    return thread->phase == ALIVE && thread->op == OP_ASLEEP && !thread->sleep.woken &&
           thread->sleep.until_ns == until_ns;
}

void kernel_time_out(unsigned number)
{
    struct thread *thread = &machine.threads[number];
    thread->late |= thread->sleep.until_ns == SOON_NS;
}

static bool stands_at(const struct thread *thread, const void *word)
{
    for (unsigned i = 0; thread->phase == ALIVE && i < thread->sleep.count; i++)
        if (thread->sleep.words[i] == word && (thread->sleep.queued >> i & 1))
            return true;
    return false;
}

static unsigned sleepers_at(const void *word)
{
    unsigned count = 0;
    for (unsigned i = 0; i < threads_count; i++)
        count += stands_at(&machine.threads[i], word);
    return count;
}

static void wake(struct thread *thread, const void *word)
{
    for (unsigned i = 0; i < thread->sleep.count; i++)
        if (thread->sleep.words[i] == word)
            thread->sleep.queued &= ~(1u << i);
    thread->sleep.woken = true;
}

/* The chosen one, or all. */
static void wake_at(const void *word, bool all, unsigned choice)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (stands_at(&machine.threads[i], word) && (choice-- == 0 || all))
            wake(&machine.threads[i], word);
}

void shl_futex_wake(atom32 *word, int count)
{
    struct spot spot = { count == 1 ? "wake one at" : "wake all at", __func__ };
    machine_drain(current);
    current->wake_count = (uint32_t)count;
    machine_arrive(OP_WAKE, word);
    current->wake_count = 0;
    machine_note(OP_WAKE, word, spot, sleepers_at(word), 0, false);
    wake_at(word, count > 1, machine_choice());
}

unsigned kernel_choices(unsigned number)
{
    const struct thread *thread = &machine.threads[number];
    const void *word = NULL;
    if (thread->phase == ALIVE && thread->op == OP_WAKE && thread->wake_count == 1)
        word = thread->place;
    else if (thread->phase == DYING)
        word = thread->place;
    unsigned count = word ? sleepers_at(word) : 1;
    return count > 0 ? count : 1;
}

/* --- death ---------------------------------------------------------------------------------- */

static atom32 *life_word(pthread_mutex_t *life)
{
    return (atom32 *)(void *)life;
}

/* Where the next step of dying wakes; NULL: nowhere. */
static const void *next_death(const struct thread *thread)
{
    if (thread->dying_step < thread->held_count)
        return thread->held[thread->dying_step];
    if (!thread->robust.list_op_pending)
        return NULL;
    return (const char *)thread->robust.list_op_pending + thread->robust.futex_offset;
}

uint32_t machine_missed;

void kernel_kill(unsigned number)
{
    struct thread *thread = &machine.threads[number];
    machine_drain(thread);
    struct thread dying = { .phase = DYING,
                            .robust = thread->robust,
                            .self = thread->self,
                            .held_count = thread->held_count };
    memcpy(dying.held, thread->held, sizeof dying.held);
    if (machine_missed >> number & 1) {
        dying.held_count = 0;
        dying.robust.list_op_pending = NULL;
    }
    *thread = dying;
    thread->place = next_death(thread);
    machine.kills++;
    machine.deaths++;
}

/* handle_futex_death() of the kernel. */
static void mark(struct thread *thread, unsigned tid, bool is_pending, unsigned choice)
{
    atom32 *word = (atom32 *)(uintptr_t)thread->place;
    if (is_pending && *word == 0) {
        wake_at(word, false, choice);
        return;
    }
    if ((*word & FUTEX_TID_MASK) != tid)
        return;
    machine_touched_by_kernel(word);
    uint32_t before = *word;
    *word = (before & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (before & FUTEX_WAITERS)
        wake_at(word, false, choice);
}

void kernel_die_on(unsigned number, unsigned choice)
{
    struct thread *thread = &machine.threads[number];
    machine.deaths++;
    if (thread->place) {
        bool is_pending = thread->dying_step >= thread->held_count;
        mark(thread, PID_FIRST + number, is_pending, choice);
        thread->dying_step++;
        thread->place = is_pending ? NULL : next_death(thread);
        if (thread->place)
            return;
    }
    machine_touched_by_kernel(&thread->phase);
    *thread = (struct thread){ .phase = DEAD };
}

/* --- robust mutexes, as the C library has them ---------------------------------------------- */

enum { INCONSISTENT = 0x7fffffff };

int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *life);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *life);
int __wrap_pthread_mutex_consistent(pthread_mutex_t *life);

static void enqueue(pthread_mutex_t *life)
{
    if (current->held_count == HELD_MAX)
        machine_bail_out("too many lives are held");
    memmove(&current->held[1], &current->held[0], sizeof current->held - sizeof life);
    current->held[0] = life;
    current->held_count++;
}

static void dequeue(pthread_mutex_t *life)
{
    for (unsigned i = 0; i < current->held_count; i++)
        if (current->held[i] == life) {
            memmove(&current->held[i], &current->held[i + 1],
                    (HELD_MAX - 1 - i) * sizeof *current->held);
            current->held[HELD_MAX - 1] = NULL;
            current->held_count--;
            return;
        }
}

static bool is_held(const pthread_mutex_t *life)
{
    for (unsigned i = 0; i < current->held_count; i++)
        if (current->held[i] == life)
            return true;
    return false;
}

static struct robust_list *entry_of(pthread_mutex_t *life)
{
    return (struct robust_list *)((char *)life - current->robust.futex_offset);
}

static int trylock(pthread_mutex_t *life)
{
    uint32_t tid = (uint32_t)gettid();
    for (;;) {
        uint32_t seen = atom_load_relaxed(life_word(life));
        if (seen & FUTEX_OWNER_DIED) {
            uint32_t mine = tid | (seen & FUTEX_WAITERS);
            if (!atom_cas_acquire_32(life_word(life), seen, mine))
                continue;
            life->__data.__owner = INCONSISTENT;
            return EOWNERDEAD;
        }
        if (seen != 0)
            return EBUSY;
        if (atom_cas_acquire_32(life_word(life), 0, tid))
            return 0;
    }
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *life)
{
    current->robust.list_op_pending = entry_of(life);
    int result = trylock(life);
    check_private();
    if (result != EBUSY)
        enqueue(life);
    check_private();
    current->robust.list_op_pending = NULL;
    return result;
}

int __wrap_pthread_mutex_consistent(pthread_mutex_t *life)
{
    life->__data.__owner = 0;
    return 0;
}

/* Others than lives are private to a process and never contended here. */
int __wrap_pthread_mutex_unlock(pthread_mutex_t *life)
{
    if (!is_held(life))
        return __real_pthread_mutex_unlock(life);
    if (life->__data.__owner == INCONSISTENT)
        machine_fail("a life is unlocked before it is consistent");
    current->robust.list_op_pending = entry_of(life);
    dequeue(life);
    uint32_t before = atom_exchange_seq_cst(life_word(life), 0);
    if (before & FUTEX_WAITERS)
        shl_futex_wake(life_word(life), 1);
    check_private();
    current->robust.list_op_pending = NULL;
    return 0;
}

/* --- who and when --------------------------------------------------------------------------- */

pid_t __wrap_getpid(void);
pid_t __wrap_gettid(void);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
void __wrap_shl_error_set(int code, const char *text);
int __wrap_shl_error_last(void);

pid_t __wrap_getpid(void)
{
    return PID_FIRST + (pid_t)(current - machine.threads);
}

/* Each thread is a process of its own. */
pid_t __wrap_gettid(void)
{
    return __wrap_getpid();
}

uint64_t shl_process_start_time(void)
{
    return 1;
}

bool shl_process_is_gone(pid_t pid, uint64_t start_time)
{
    (void)start_time;
    const struct thread *thread = &machine.threads[pid - PID_FIRST];
    struct spot spot = { "process", __func__ };
    machine_arrive(OP_LOAD, &thread->phase);
    machine_note(OP_LOAD, &thread->phase, spot, thread->phase, thread->phase, false);
    return thread->phase == DEAD;
}

/* So that nobody yields. */
unsigned shl_cpu_online(void)
{
    return 64;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    uint64_t now = current->late ? SOON_NS : NOW_NS;
    *ret_now = (struct timespec){ .tv_sec = (time_t)(now / SHL_NS_PER_S),
                                  .tv_nsec = (long)(now % SHL_NS_PER_S) };
    return 0;
}

void __wrap_shl_error_set(int code, const char *text)
{
    current->error = code;
    current->error_text = text;
}

int __wrap_shl_error_last(void)
{
    return current->error;
}

const char *shoal_version(void)
{
    return "checked";
}

const struct shl_settler shl_process_settler; /* there are no process objects here */

const char *shl_mistake;

bool shl_mistake_is(const char *name)
{
    return strcmp(name, shl_mistake) == 0;
}

void shl_chaos_reach(const char *point)
{
    (void)point;
}

int shl_chaos_check(void)
{
    return 0;
}

void shl_chaos_begin(uint32_t slot, bool started)
{
    (void)slot;
    (void)started;
}

/* A thread or process has one settler, however slow. */
static void begin_settling(const struct shl_dead *dead)
{
    uint32_t settles = 0;
    for (unsigned i = 0; i < threads_count; i++) {
        settles |= (uint32_t)shl_is_dead_thread_long(dead, machine_owner_long(i)) << i;
        settles |= (uint32_t)shl_is_dead_process(dead, machine_process_owner(i)) << (16 + i);
    }
    for (unsigned i = 0; i < threads_count; i++)
        if (machine.threads[i].settles & settles)
            machine_fail("two settle the same dead one");
    current->settles = settles;
}

/* Elsewhere memory is no part of the state: what the dead had of it stays theirs. */
bool machine_settles_memory;
void (*machine_decommits)(void);
void __real_shl_alloc_settle(const struct shl_segment *segment, const struct shl_dead *dead);
void __wrap_shl_alloc_settle(const struct shl_segment *segment, const struct shl_dead *dead);
void __wrap_shl_alloc_settle(const struct shl_segment *segment, const struct shl_dead *dead)
{
    begin_settling(dead);
    if (machine_settles_memory)
        __real_shl_alloc_settle(segment, dead);
    else
        machine_pause();
    current->settles = 0;
}

/* The system takes nothing back: it stays part of the state. */
bool __wrap_shl_memory_decommit(void *address, uint64_t size);
bool __wrap_shl_memory_decommit(void *address, uint64_t size)
{
    (void)address;
    (void)size;
    if (machine_decommits)
        machine_decommits();
    return false;
}
