/*
 * The machine on which the runtime's own code is checked: a few threads, each a process of its own,
 * on coroutines of one thread of the system. They stop before every access to shared memory that
 * another could notice, so that search.c decides who goes on.
 *
 * Its kernel
 *   sleep   for each watched word in order: compares it and stands in its queue, one step a word;
 *           who is woken meanwhile does not sleep, who finds another value leaves
 *   wake    one sleeper at a word, whichever, or all; a woken thread stays in its other queues
 *           until it runs, and may swallow another wake-up there
 *   death   the thread leaves all queues; each robust mutex that it holds is marked and one sleeper
 *           there woken, the youngest first; then one sleeper at the word named as pending, if that
 *           is 0; then the process is gone from the table
 *   time    does not pass. A sleep until SOON may end at any instant; one that is a nap (shorter)
 *           ends when a watched word has changed, or somebody has died since its last one, since a
 *           look at the same things finds the same; a tick comes only where a scenario says so
 * Its processor may have store buffers (x86): stores wait in the order of the program, and anything
 * but a load drains them; shl_membarrier() those of all threads.
 */
#ifndef CHECK_MACHINE_H
#define CHECK_MACHINE_H

#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <shoal/base.h>

#include "base/atom.h"
#include "mem/object.h"
#include "mem/self.h"

enum { THREADS_MAX = 4, WATCHES_MAX = 12, HELD_MAX = 8, STORES_MAX = 4, GHOSTS_MAX = 16 };
enum { STACK_SIZE = 32768, REGIONS_MAX = 96 };

enum phase { ALIVE, DONE, DYING, DEAD };

/* What a thread is about to do. */
enum op {
    OP_BEGIN,
    OP_LOAD,
    OP_STORE,
    OP_CHANGE,
    OP_WATCH,
    OP_ASLEEP,
    OP_WAKE,
    OP_AWAIT,
    OP_MEMBARRIER,
    OP_PRIVATE
};

struct sleep {
    atom32 *words[WATCHES_MAX];
    uint32_t expected[WATCHES_MAX];
    uint64_t until_ns;
    uint32_t queued; /* a bit each */
    uint32_t count;
    bool woken;
};

struct store {
    void *place;
    uint64_t value;
    uint64_t size;
};

struct thread {
    jmp_buf where;   /* it goes on here */
    char *stack_low; /* NULL: it ended */
    uint64_t stack_hash;
    enum phase phase;
    enum op op;
    const void *place;
    uint32_t wake_count;
    bool (*awaited)(void);
    uint32_t stores_count;
    struct store stores[STORES_MAX];
    struct sleep sleep;
    pthread_mutex_t *held[HELD_MAX]; /* lives, the youngest first */
    uint32_t held_count;
    uint32_t deaths_seen; /* steps of dying that there had been when its last nap ended */
    uint32_t dying_step;
    uint32_t settles; /* the slots, a bit each: of threads, from 16 on of their processes */
    struct robust_list_head robust;
    struct shl_self *self;
    int error;
    const char *error_text;
    bool late; /* SOON has passed for it */
};

/* All that distinguishes one state from another, but for the regions and the stacks. */
struct machine {
    struct thread threads[THREADS_MAX];
    uint64_t ghosts[GHOSTS_MAX]; /* the scenario's own, seen by no other */
    uint32_t deaths, kills, ticks;
    uint32_t last, preemptions; /* of a search that bounds them */
};

extern struct machine machine;
extern struct thread *current;
extern unsigned threads_count;
extern bool has_store_buffers, has_membarrier;

/* --- for search.c --- */

struct region {
    void *start;
    size_t size;
};
extern struct region regions[REGIONS_MAX];
extern unsigned regions_count;

/* One access as it was made. */
struct trace {
    struct spot spot;
    enum op op;
    const void *place;
    uint64_t before, after;
    bool changed;
    uint8_t thread;
};

/* Of whole words, two at a time, as wyhash does it. */
uint64_t hash_bytes(uint64_t hash, const void *start, size_t size);

/* What it has on its stack, from stack_low; none if it ended. */
size_t machine_stack_size(unsigned thread);

/* A segment in which all threads are, and what the scenario makes in it. */
void machine_begin(void (*make_objects)(void));
/* Starts the threads; each stops before its first step. */
void machine_start(unsigned count, void (*body)(unsigned self));
/* Lets it go on to its next stop; with `accesses` above 0 until it has made so many. Answers how
 * many it made. */
unsigned machine_resume(unsigned thread, unsigned choice, unsigned accesses);
/* What is wrong, told by machine_fail() since the start. */
extern const char *machine_failure;
/* A word turned out to be shared that was not known to be: the search begins anew. */
extern bool machine_learned;
/* The thread that goes on may be killed: then it stops too before what only its death shows. */
extern bool machine_may_die;
/* If set, called for every access. */
extern void (*machine_trace)(const struct trace *access);
/* Is the word noticed by another thread? */
bool machine_is_shared(const void *place);

bool kernel_can_step(unsigned thread);
/* A sleep until then, which is SOON or a TICK. */
bool kernel_can_time_out(unsigned thread, uint64_t until_ns);
/* In how many ways its next step can go on. */
unsigned kernel_choices(unsigned thread);
void kernel_time_out(unsigned thread);
void kernel_kill(unsigned thread);
void kernel_die_on(unsigned thread, unsigned choice);
void kernel_drain_one(unsigned thread);

/* --- for kernel.c --- */

/* A step of the current thread begins: perhaps another one comes first. */
void machine_arrive(enum op op, const void *place);
void machine_note(enum op op, const void *place, struct spot spot, uint64_t before, uint64_t after,
                  bool changed);
/* Whatever touches a word on behalf of nobody. */
void machine_touched_by_kernel(const void *place);
unsigned machine_choice(void);
void machine_drain(struct thread *thread);

/* --- for scenarios --- */

/* A deadline that may pass at any time. */
#define SOON_NS (UINT64_C(10500) * 1000000)
#define NOW_NS (UINT64_C(10000) * 1000000)
#define TICK_NS (NOW_NS + UINT64_C(1000000000))
#define SOON shoal_at_ns(SOON_NS)

/* A property is violated. Does not come back. */
_Noreturn void machine_fail(const char *what);

/* The checker itself has come to a limit. */
_Noreturn void machine_bail_out(const char *what);

/* A step that touches nothing: the others may run here; and one that needs a fact to be true. */
void machine_pause(void);
void machine_await(bool (*is_so)(void));

/* Its name in words that it owns, also once it is dead. */
uint32_t machine_owner_long(unsigned thread);
uint32_t machine_process_owner(unsigned thread);

/* Set by a scenario: threads whose lives the kernel does not mark, a bit each. */
extern uint32_t machine_missed;

/* Set by a scenario of memory: who settles the dead does so with their memory too. */
extern bool machine_settles_memory;
/* Likewise: called when memory goes to the system. */
extern void (*machine_decommits)(void);

/* Memory that is part of the state. */
void machine_add_region(void *start, size_t size);

/* Makes an object's memory part of the state, and known to every thread. Answers where it is. */
void *machine_add_object(uint64_t ref, enum shl_kind kind, size_t size);
/* Likewise what the threads have in hand of free places like this object's. */
void machine_add_hands(uint64_t ref);
/* Likewise what is known of the run in which a block lies, and what they have of its class; not the
 * block. */
void machine_add_block(void *block);
/* What follows is done in its name, before all of them run. */
void machine_become(unsigned thread);
struct event_shm;
shoal_event machine_make_event(struct event_shm **ret_shm);

#endif
