#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "mem/object.h"
#include "mem/runs.h"
#include "mem/sizes.h"
#include "os/robust.h"
#include "sync/event_shm.h"
#include "sync/park.h"

#include <shoal/sync.h>

enum { CLEARED_BELOW = 8192, WORDS_MAX = 16384, ACCESSES_MAX = 400000, KERNEL_BIT = 1 << 7 };

struct machine machine;
struct thread *current = machine.threads;
unsigned threads_count;
bool has_store_buffers, has_membarrier;
struct region regions[REGIONS_MAX];
unsigned regions_count;
const char *machine_failure;
bool machine_learned, machine_may_die;
void (*machine_trace)(const struct trace *access);

static _Alignas(64) char stacks[THREADS_MAX][STACK_SIZE];
static jmp_buf scheduler;
static bool running; /* a thread runs; else the scenario is being set up */
static unsigned accesses, accesses_wanted, chosen;
static void (*thread_body)(unsigned self);

static unsigned number_of(const struct thread *thread)
{
    return (unsigned)(thread - machine.threads);
}

/* --- which words more than one thread notices ----------------------------------------------- */

/* A word that nobody writes while another uses it is no reason to stop: who goes first there makes
 * no difference. Which these are is learnt; a search that learns anew is begun again. */
static struct word {
    uintptr_t key; /* of 8 bytes */
    uint8_t readers, writers;
} words[WORDS_MAX];
static unsigned words_count;

static struct word *word_of(const void *place)
{
    uintptr_t key = (uintptr_t)place >> 3;
    unsigned at = (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> 50);
    while (words[at].key && words[at].key != key)
        at = (at + 1) % WORDS_MAX;
    if (!words[at].key) {
        words[at].key = key;
        if (++words_count > WORDS_MAX / 2)
            machine_bail_out("the checker's table of words is full");
    }
    return &words[at];
}

static bool is_shared(const struct word *word)
{
    unsigned users = word->readers | word->writers;
    return word->writers && (users & (users - 1));
}

bool machine_is_shared(const void *place)
{
    return is_shared(word_of(place));
}

static void touch(struct word *word, unsigned bit, bool writes)
{
    bool was = is_shared(word);
    word->readers |= (uint8_t)bit;
    if (writes)
        word->writers |= (uint8_t)bit;
    machine_learned |= !was && is_shared(word);
}

void machine_touched_by_kernel(const void *place)
{
    touch(word_of(place), KERNEL_BIT, true);
}

/* --- hashing -------------------------------------------------------------------------------- */

uint64_t hash_bytes(uint64_t hash, const void *start, size_t size)
{
    __extension__ typedef unsigned __int128 wide;
    for (size_t at = 0; at < size; at += 2 * sizeof(uint64_t)) {
        uint64_t words2[2] = { 0 };
        memcpy(words2, (const char *)start + at, size - at < 16 ? 8 : 16);
        wide product = (wide)(words2[0] ^ hash ^ UINT64_C(0x9e3779b97f4a7c15)) *
                       (words2[1] ^ UINT64_C(0xe7037ed1a0b428db));
        hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ words2[1];
    }
    return hash;
}

/* --- stopping and going on ------------------------------------------------------------------ */

size_t machine_stack_size(unsigned thread)
{
    const char *low = machine.threads[thread].stack_low;
    return low ? (size_t)(stacks[thread] + STACK_SIZE - low) : 0;
}

static uint64_t hash_stack(const struct thread *thread)
{
    return hash_bytes(0, thread->stack_low, machine_stack_size(number_of(thread)));
}

static __attribute__((noinline)) void stop(void)
{
    enum { BELOW_FRAME = 256 }; /* this frame reaches below its own address */
    uintptr_t low = ((uintptr_t)__builtin_frame_address(0) - BELOW_FRAME) & ~(uintptr_t)63;
    current->stack_low = (char *)low;
    if (_setjmp(current->where) == 0)
        _longjmp(scheduler, 1);
}

_Noreturn void machine_fail(const char *what)
{
    machine_failure = what;
    if (running)
        _longjmp(scheduler, 1);
    machine_bail_out(what);
}

_Noreturn void machine_bail_out(const char *what)
{
    printf("Bail out! %s\n", what);
    fflush(stdout);
    _exit(2);
}

static bool is_always_seen(enum op op)
{
    return op == OP_PRIVATE ? machine_may_die : op == OP_BEGIN || op >= OP_ASLEEP;
}

void machine_arrive(enum op op, const void *place)
{
    if (!running)
        return;
    bool seen = is_always_seen(op);
    if (place) {
        struct word *word = word_of(place);
        touch(word, 1u << number_of(current), op == OP_STORE || op == OP_CHANGE);
        seen |= is_shared(word);
    }
    current->op = op;
    current->place = place;
    if (accesses_wanted ? accesses == accesses_wanted : seen)
        stop();
    current->op = OP_BEGIN;
    current->place = NULL;
    if (++accesses > ACCESSES_MAX)
        machine_fail("a loop without an end");
}

void machine_note(enum op op, const void *place, struct spot spot, uint64_t before, uint64_t after,
                  bool changed)
{
    if (!machine_trace || !running)
        return;
    struct trace trace = { spot, op, place, before, after, changed, (uint8_t)number_of(current) };
    machine_trace(&trace);
}

unsigned machine_choice(void)
{
    return running ? chosen : 0;
}

void machine_await(bool (*is_so)(void))
{
    struct spot spot = { "", is_so ? "goes on" : "pauses" };
    current->awaited = is_so;
    machine_arrive(OP_AWAIT, NULL);
    current->awaited = NULL;
    machine_note(OP_AWAIT, NULL, spot, 0, 0, false);
}

void machine_pause(void)
{
    machine_await(NULL);
}

static void run_thread(void)
{
    machine_arrive(OP_BEGIN, NULL);
    thread_body(number_of(current));
    machine_drain(current);
    *current = (struct thread){ .phase = DONE };
    _longjmp(scheduler, 1);
}

static void begin_thread(unsigned self)
{
    static ucontext_t context;
    getcontext(&context);
    context.uc_stack = (stack_t){ .ss_sp = stacks[self], .ss_size = STACK_SIZE };
    context.uc_link = NULL;
    makecontext(&context, run_thread, 0);
    current = &machine.threads[self];
    running = true;
    accesses = 0;
    if (_setjmp(scheduler) == 0)
        setcontext(&context);
    running = false;
    current->stack_hash = hash_stack(current);
}

void machine_start(unsigned count, void (*body)(unsigned self))
{
    threads_count = count;
    thread_body = body;
    memset(stacks, 0, sizeof stacks);
    for (unsigned i = 0; i < count; i++)
        begin_thread(i);
}

unsigned machine_resume(unsigned thread, unsigned choice, unsigned wanted)
{
    current = &machine.threads[thread];
    shl_robust_head = &current->robust;
    shl_self_pointer = current->self;
    chosen = choice;
    accesses = 0;
    accesses_wanted = wanted;
    /* What calls that have returned left there must not tell states apart. */
    memset(current->stack_low - CLEARED_BELOW, 0, CLEARED_BELOW);
    running = true;
    if (_setjmp(scheduler) == 0)
        _longjmp(current->where, 1);
    running = false;
    current->stack_hash = hash_stack(current);
    return accesses;
}

/* --- memory --------------------------------------------------------------------------------- */

static uint64_t read_word(const void *place, unsigned size)
{
    uint32_t word;
    uint64_t words64;
    memcpy(size == 4 ? (void *)&word : &words64, place, size);
    return size == 4 ? word : words64;
}

static void write_word(void *place, unsigned size, uint64_t value)
{
    uint32_t word = (uint32_t)value;
    memcpy(place, size == 4 ? (void *)&word : &value, size);
}

void kernel_drain_one(unsigned number)
{
    struct thread *thread = &machine.threads[number];
    write_word(thread->stores[0].place, (unsigned)thread->stores[0].size, thread->stores[0].value);
    memmove(&thread->stores[0], &thread->stores[1], sizeof thread->stores - sizeof(struct store));
    thread->stores[STORES_MAX - 1] = (struct store){ 0 };
    thread->stores_count--;
}

void machine_drain(struct thread *thread)
{
    while (thread->stores_count > 0)
        kernel_drain_one(number_of(thread));
}

static bool is_part_of_state(const void *place)
{
    for (unsigned i = 0; i < regions_count; i++)
        if ((uintptr_t)place - (uintptr_t)regions[i].start < regions[i].size)
            return true;
    return false;
}

static void must_be_part_of_state(const void *place)
{
    if (running && !is_part_of_state(place))
        machine_bail_out("something was written that is no part of the checker's state");
}

/* Its own youngest store there is seen by the thread; one that overlaps otherwise is drained. */
static uint64_t load(const void *place, unsigned size)
{
    for (unsigned i = current->stores_count; i-- > 0;) {
        struct store *store = &current->stores[i];
        if (store->place == place && store->size == size)
            return store->value;
        if ((uintptr_t)store->place >> 3 == (uintptr_t)place >> 3)
            machine_drain(current);
    }
    return read_word(place, size);
}

void check_private(void)
{
    machine_arrive(OP_PRIVATE, NULL);
}

uint64_t check_load(const void *place, unsigned size, struct spot spot)
{
    machine_arrive(OP_LOAD, place);
    uint64_t value = load(place, size);
    machine_note(OP_LOAD, place, spot, value, value, false);
    return value;
}

void check_store(void *place, unsigned size, uint64_t value, struct spot spot)
{
    must_be_part_of_state(place);
    machine_arrive(OP_STORE, place);
    machine_note(OP_STORE, place, spot, load(place, size), value, true);
    if (!has_store_buffers || !running) {
        write_word(place, size, value);
        return;
    }
    if (current->stores_count == STORES_MAX)
        kernel_drain_one(number_of(current));
    current->stores[current->stores_count++] = (struct store){ place, value, size };
}

uint64_t check_change(void *place, unsigned size, enum change change, uint64_t value,
                      struct spot spot)
{
    must_be_part_of_state(place);
    machine_arrive(OP_CHANGE, place);
    machine_drain(current);
    uint64_t before = read_word(place, size);
    uint64_t after = change == CHANGE_ADD   ? before + value
                     : change == CHANGE_SUB ? before - value
                     : change == CHANGE_OR  ? before | value
                     : change == CHANGE_AND ? before & value
                                            : value;
    write_word(place, size, after);
    machine_note(OP_CHANGE, place, spot, before, after, true);
    return before;
}

bool check_cas(void *place, unsigned size, uint64_t expected, uint64_t desired, struct spot spot)
{
    must_be_part_of_state(place);
    machine_arrive(OP_CHANGE, place);
    machine_drain(current);
    uint64_t before = read_word(place, size);
    bool same = before == expected;
    if (same)
        write_word(place, size, desired);
    machine_note(OP_CHANGE, place, spot, before, desired, same);
    return same;
}

bool check_cas_pair(uint64_t *first, uint64_t expected, uint64_t expected_second, uint64_t desired,
                    uint64_t desired_second, struct spot spot)
{
    must_be_part_of_state(first);
    if (running)
        touch(word_of(first + 1), 1u << number_of(current), true);
    machine_arrive(OP_CHANGE, first);
    machine_drain(current);
    uint64_t before = first[0];
    bool same = before == expected && first[1] == expected_second;
    if (same) {
        first[0] = desired;
        first[1] = desired_second;
    }
    machine_note(OP_CHANGE, first, spot, before, desired, same);
    return same;
}

/* --- the state ------------------------------------------------------------------------------ */

void machine_add_region(void *start, size_t size)
{
    if (regions_count == REGIONS_MAX)
        machine_bail_out("too many regions");
    regions[regions_count++] = (struct region){ start, size };
}

void machine_become(unsigned thread)
{
    current = &machine.threads[thread];
    shl_robust_head = &current->robust;
    shl_self_pointer = current->self;
}

void *machine_add_object(uint64_t ref, enum shl_kind kind, size_t size)
{
    struct thread *before = current;
    struct object_shm *object = NULL;
    for (unsigned i = 0; i < threads_count; i++) {
        machine_become(i);
        const struct shl_found *found = shl_find(ref, kind);
        if (!found)
            machine_bail_out("an object is not found");
        object = found->object;
    }
    machine_add_region(object, size);
    machine_become(number_of(before));
    return object;
}

static void add_hands_of(uint32_t size_class)
{
    for (unsigned i = 0; i < threads_count; i++) {
        struct shl_attachment *self = &machine.threads[i].self->attachments[SHL_FAMILY];
        machine_add_region(&self->caches[size_class], sizeof self->caches[size_class]);
        machine_add_region(self->kept[size_class], sizeof self->kept[size_class]);
    }
}

void machine_add_hands(uint64_t ref)
{
    const struct shl_segment *segment = shl_segment_family();
    int pool = shl_object_pool(segment, shl_ref_offset(ref));
    add_hands_of(CLASS_OF_POOL(pool));
}

void machine_add_block(void *block)
{
    struct shl_run at;
    struct shl_segment *segment = shl_segment_family();
    if (!shl_run_find(segment, shl_offset(segment, block) / PAGE_SIZE_SHM, &at))
        machine_bail_out("no block");
    machine_add_region(&segment->shm->classes[at.size_class], 3 * sizeof(atom64));
    machine_add_region(at.word, sizeof *at.word);
    machine_add_region(at.bits, sizeof *at.bits);
    add_hands_of(at.size_class);
}

shoal_event machine_make_event(struct event_shm **ret_shm)
{
    shoal_event event;
    if (shoal_event_create(NULL, &event) < 0)
        machine_bail_out("no event");
    *ret_shm = machine_add_object(event.ref, KIND_EVENT, sizeof(struct event_shm));
    return event;
}

static struct peer_shm *process_peer(const struct shl_segment *segment, uint32_t owner)
{
    struct peer_shm *peers = shl_at(segment, SEGMENT_PEERS_AT);
    return &peers[PEERS_MAX + PEER_OWNER_SLOT(owner)];
}

static uint32_t owners[THREADS_MAX], process_owners[THREADS_MAX];

uint32_t machine_owner_long(unsigned thread)
{
    return owners[thread];
}

uint32_t machine_process_owner(unsigned thread)
{
    return process_owners[thread];
}

/* A process of its own for each thread: none inherits the others' slot. */
static void attach(unsigned thread)
{
    struct shl_segment *segment = shl_segment_family();
    machine_become(thread);
    current->robust.futex_offset = -32; /* as glibc has it */
    memset(shl_shared()->process_slots, 0, sizeof shl_shared()->process_slots);
    struct shl_attachment *self = shl_self(segment);
    if (!self)
        machine_bail_out("a thread cannot attach");
    current->self = shl_self_pointer;
    owners[thread] = self->owner_long;
    process_owners[thread] = self->process_owner;
    size_t size = offsetof(struct peer_shm, name);
    machine_add_region(shl_thread_peer(segment, self->thread), size);
    machine_add_region(self->journal, sizeof *self->journal);
    machine_add_region(process_peer(segment, self->process_owner), size);
}

void machine_begin(void (*make_objects)(void))
{
    if (shl_segment_family_create(SEGMENT_SIZE_MIN) < 0)
        machine_bail_out("no segment");
    for (unsigned i = 0; i < threads_count; i++)
        attach(i);
    machine_add_region(&shl_segment_family()->shm->chunks_end, 5 * sizeof(atom64));
    machine_become(0);
    shl_park_spin(0); /* what it finds out once */
    make_objects();
    const struct shl_segment *family = shl_segment_family();
    if (machine_settles_memory) /* who settles tells where pages are free */
        machine_add_region(shl_chunk_words(family), shl_chunks_end(family) * sizeof(atom64));
}
