/*
 * Runs all scenarios, or those whose name begins with the argument.
 *   --full               with the larger bounds
 *   -v                   also the schedules that refute mistakes
 *   --mistake NAME       only that mistake of the scenario
 *   --replay SCHEDULE    one schedule again, with every access that matters
 */
#include "search.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/object.h"
#include "os/chaos.h"
#include "sync/park.h"

enum { DEPTH_MAX = 20000, MOVES_MAX = 32, STATES_MAX = 1 << 25, LINES_MAX = 100000 };

enum kind { STEP, DIE, KERNEL, TIME_OUT, TICK, DRAIN, KINDS };
static const char kind_letters[KINDS] = { 's', 'K', 'k', 't', 'T', 'd' };

struct move {
    uint8_t kind, thread, choice;
    uint32_t accesses; /* of a step: as many as it made */
};

struct frame {
    size_t snapshot; /* where in the arena */
    unsigned next, count;
    struct move moves[MOVES_MAX];
};

static const struct scenario *scenario;
static unsigned kills_max, preemptions_max;
static struct frame root, *frames;
static struct move *path;
static unsigned depth, path_length;
static char *arena;
static size_t arena_size, arena_used, root_size;
static uint64_t rest_hash;
static uint64_t *table;
static uint64_t table_size, states, ends;

static bool full, verbose;
static const char *only = "", *only_mistake, *replayed;
static unsigned results, failures;

/* --- states --------------------------------------------------------------------------------- */

static void *must(void *memory)
{
    if (memory)
        return memory;
    machine_bail_out("no memory");
}

static void append(const void *start, size_t size)
{
    if (arena_used + size > arena_size) {
        arena_size = (arena_used + size) * 2;
        arena = must(realloc(arena, arena_size));
    }
    memcpy(arena + arena_used, start, size);
    arena_used += size;
}

static void save(struct frame *frame)
{
    frame->snapshot = arena_used;
    append(&machine, sizeof machine);
    for (unsigned i = 0; i < regions_count; i++)
        append(regions[i].start, regions[i].size);
    for (unsigned i = 0; i < threads_count; i++)
        append(machine.threads[i].stack_low, machine_stack_size(i));
}

static void take(void *start, size_t size, size_t *at)
{
    memcpy(start, arena + *at, size);
    *at += size;
}

static void restore(const struct frame *frame)
{
    size_t at = frame->snapshot;
    take(&machine, sizeof machine, &at);
    for (unsigned i = 0; i < regions_count; i++)
        take(regions[i].start, regions[i].size, &at);
    for (unsigned i = 0; i < threads_count; i++)
        take(machine.threads[i].stack_low, machine_stack_size(i), &at);
}

static uint64_t hash_state(void)
{
    uint64_t hash = hash_bytes(1, &machine, sizeof machine);
    for (unsigned i = 0; i < regions_count; i++)
        hash = hash_bytes(hash, regions[i].start, regions[i].size);
    return hash ? hash : 1;
}

static void grow_table(void)
{
    uint64_t *old = table, old_size = table_size;
    table_size = old_size ? old_size * 4 : 1 << 16;
    table = must(calloc(table_size, sizeof *table));
    for (uint64_t i = 0; i < old_size; i++)
        for (uint64_t at = old[i]; old[i]; at++)
            if (!table[at % table_size]) {
                table[at % table_size] = old[i];
                break;
            }
    free(old);
}

/* False if it was known. */
static bool is_new_state(void)
{
    if (states >= table_size / 2)
        grow_table();
    if (states >= STATES_MAX)
        machine_bail_out("too many states to search");
    uint64_t hash = hash_state(), at = hash;
    for (; table[at % table_size]; at++)
        if (table[at % table_size] == hash)
            return false;
    table[at % table_size] = hash;
    states++;
    return true;
}

/* --- moves ---------------------------------------------------------------------------------- */

static void add_move(struct frame *frame, enum kind kind, unsigned thread, unsigned choice)
{
    if (frame->count == MOVES_MAX)
        machine_bail_out("too many moves");
    frame->moves[frame->count++] = (struct move){ (uint8_t)kind, (uint8_t)thread, (uint8_t)choice,
                                                  0 };
}

static bool is_victim(unsigned thread)
{
    return machine.kills < kills_max && (!scenario->victims || scenario->victims >> thread & 1);
}

static bool may_be_killed(unsigned thread)
{
    const struct thread *victim = &machine.threads[thread];
    return is_victim(thread) && victim->phase == ALIVE && victim->op != OP_BEGIN;
}

static bool is_preempted(unsigned thread)
{
    return preemptions_max != UNBOUNDED && thread != machine.last &&
           machine.threads[machine.last].phase == ALIVE && kernel_can_step(machine.last);
}

static void list_moves_of(struct frame *frame, unsigned thread)
{
    const struct thread *self = &machine.threads[thread];
    bool allowed = self->phase == DYING || !is_preempted(thread) ||
                   machine.preemptions < preemptions_max;
    for (unsigned i = 0; allowed && kernel_can_step(thread) && i < kernel_choices(thread); i++)
        add_move(frame, self->phase == DYING ? KERNEL : STEP, thread, i);
    if (kernel_can_time_out(thread, SOON_NS))
        add_move(frame, TIME_OUT, thread, 0);
    if (self->stores_count > 0)
        add_move(frame, DRAIN, thread, 0);
    if (may_be_killed(thread))
        add_move(frame, DIE, thread, 0);
}

/* What only its death would show lets nobody else come before. */
static bool list_private_moves(struct frame *frame)
{
    for (unsigned i = 0; i < threads_count; i++)
        if (machine.threads[i].op == OP_PRIVATE) {
            add_move(frame, STEP, i, 0);
            if (may_be_killed(i))
                add_move(frame, DIE, i, 0);
            return true;
        }
    return false;
}

/* First of all, that it goes on as it is. */
static void list_moves(struct frame *frame)
{
    frame->next = frame->count = 0;
    if (list_private_moves(frame))
        return;
    list_moves_of(frame, machine.last);
    for (unsigned i = 0; i < threads_count; i++)
        if (i != machine.last)
            list_moves_of(frame, i);
    for (unsigned i = 0; frame->count == 0 && machine.ticks < scenario->ticks && i < threads_count;
         i++)
        if (kernel_can_time_out(i, TICK_NS))
            add_move(frame, TICK, i, 0);
}

static void count_preemption(unsigned thread)
{
    machine.preemptions += is_preempted(thread);
    if (preemptions_max != UNBOUNDED)
        machine.last = thread;
}

static void make(struct move *move, unsigned wanted)
{
    machine_may_die = is_victim(move->thread);
    switch ((enum kind)move->kind) {
    case STEP:
        count_preemption(move->thread);
        move->accesses = machine_resume(move->thread, move->choice, wanted);
        break;
    case TICK:
        machine.ticks++;
        __attribute__((fallthrough));
    case TIME_OUT:
        machine.last = preemptions_max == UNBOUNDED ? 0 : move->thread;
        kernel_time_out(move->thread);
        move->accesses = machine_resume(move->thread, move->choice, wanted);
        break;
    case DIE:
        if (scenario->killed)
            scenario->killed(move->thread);
        kernel_kill(move->thread);
        break;
    case KERNEL:
        kernel_die_on(move->thread, move->choice);
        break;
    case DRAIN:
        kernel_drain_one(move->thread);
        break;
    case KINDS:
        break;
    }
}

/* --- the search ----------------------------------------------------------------------------- */

static const char *judge(void)
{
    ends++;
    for (unsigned i = 0; i < threads_count; i++)
        if (machine.threads[i].phase == ALIVE && !is_asleep(i))
            return "a thread is stuck for ever";
    for (unsigned i = 0; !scenario->may_sleep && i < threads_count; i++)
        if (is_asleep(i))
            return "a sleeper that nobody will wake";
    return scenario->judge ? scenario->judge() : NULL;
}

/* A new state was reached. */
static void push(void)
{
    if (depth == DEPTH_MAX)
        machine_bail_out("too long a schedule");
    struct frame *frame = &frames[depth++];
    list_moves(frame);
    if (frame->count == 0)
        machine_failure = judge();
    frame->snapshot = arena_used;
    if (frame->count > 1)
        save(frame);
}

static void go_on(struct frame *frame)
{
    if (frame->next == frame->count) {
        arena_used = frame->snapshot;
        depth--;
        return;
    }
    if (frame->next > 0)
        restore(frame);
    path_length = depth;
    path[depth - 1] = frame->moves[frame->next++];
    make(&path[depth - 1], 0);
    if (!machine_failure && !machine_learned && is_new_state())
        push();
}

static void begin_anew(void)
{
    arena_used = root_size;
    restore(&root);
    depth = path_length = 0;
    machine_learned = false;
    machine_failure = NULL;
}

/* True if a failure was found: path[] leads there. */
static bool search(unsigned kills, unsigned preemptions)
{
    kills_max = kills;
    preemptions_max = preemptions;
    do {
        free(table);
        table = NULL;
        table_size = states = ends = 0;
        begin_anew();
        push();
        while (depth > 0 && !machine_failure && !machine_learned)
            go_on(&frames[depth - 1]);
    } while (machine_learned);
    return machine_failure;
}

/* --- telling a schedule --------------------------------------------------------------------- */

static struct trace *lines;
static unsigned lines_count;

static void remember(const struct trace *access)
{
    if (lines_count < LINES_MAX)
        lines[lines_count++] = *access;
}

static char letter(unsigned thread)
{
    return (char)('a' + thread);
}

static void print_access(const struct trace *access)
{
    const char *place = access->spot.place;
    printf("  %c  %-24s ", letter(access->thread), access->spot.function);
    switch (access->op) {
    case OP_LOAD:
        printf("%s is %#lx\n", place, access->before);
        break;
    case OP_STORE:
        printf("%s: %#lx -> %#lx%s\n", place, access->before, access->after,
               scenario->store_buffers ? ", in the store buffer" : "");
        break;
    case OP_CHANGE:
        if (access->changed)
            printf("%s: %#lx -> %#lx\n", place, access->before, access->after);
        else
            printf("%s is %#lx: not changed to %#lx\n", place, access->before, access->after);
        break;
    case OP_WATCH:
        printf("%s %p, which is %#lx%s\n", place, access->place, access->before,
               access->changed ? "" : ": no");
        break;
    case OP_WAKE:
        printf("%s %p, of %lu\n", place, access->place, access->before);
        break;
    case OP_BEGIN:
    case OP_PRIVATE:
    case OP_ASLEEP:
    case OP_AWAIT:
    case OP_MEMBARRIER:
        puts("");
        break;
    }
}

static void print_lines(void)
{
    for (unsigned i = 0; i < lines_count; i++)
        if (!lines[i].place || lines[i].op == OP_WAKE || machine_is_shared(lines[i].place))
            print_access(&lines[i]);
    lines_count = 0;
}

static void print_move(const struct move *move)
{
    static const char *const texts[KINDS] = { [DIE] = "is KILLED",
                                              [KERNEL] = "(kernel) goes on dying",
                                              [TIME_OUT] = "time has passed",
                                              [TICK] = "looks again, at a tick",
                                              [DRAIN] = "the oldest store leaves the buffer" };
    if (texts[move->kind])
        printf("  %c  %s\n", letter(move->thread), texts[move->kind]);
}

/* The path once more, from the beginning; with `wanted` each step is as long as it says. */
static void walk(bool exactly, bool print)
{
    unsigned length = path_length;
    begin_anew();
    path_length = length;
    machine_trace = print ? remember : NULL;
    for (unsigned i = 0; i < length && !machine_failure; i++) {
        if (print)
            print_move(&path[i]);
        make(&path[i], exactly ? path[i].accesses : 0);
        print_lines();
    }
    machine_trace = NULL;
}

/* A letter for the kind, one for the thread, then what is not the usual: s are steps. */
static void print_schedule(void)
{
    printf("  again: --replay '");
    for (unsigned i = 0; i < path_length; i++) {
        struct move move = path[i];
        /* Steps of one thread that leave nothing to choose are one. */
        while (move.kind == STEP && i + 1 < path_length && path[i + 1].kind == STEP &&
               path[i + 1].thread == move.thread && path[i + 1].choice == 0)
            move.accesses += path[++i].accesses;
        printf("%c%c", kind_letters[move.kind], letter(move.thread));
        if (move.accesses)
            printf("%u", move.accesses);
        if (move.choice)
            printf(":%u", move.choice);
        putchar(i + 1 < path_length ? '.' : '\'');
    }
    puts("");
}

static void parse_schedule(const char *text)
{
    for (path_length = 0; *text && path_length < DEPTH_MAX; path_length++) {
        const char *kind = memchr(kind_letters, text[0], KINDS);
        struct move move = { .kind = (uint8_t)(kind ? kind - kind_letters : KINDS) };
        char *end;
        if (!kind || text[1] < 'a' || text[1] >= letter(threads_count))
            machine_bail_out("not a schedule");
        move.thread = (uint8_t)(text[1] - 'a');
        move.accesses = (uint32_t)strtoul(text + 2, &end, 10);
        if (*end == ':')
            move.choice = (uint8_t)strtoul(end + 1, &end, 10);
        path[path_length] = move;
        text = end + (*end == '.');
    }
}

/* --- results -------------------------------------------------------------------------------- */

static void set_up(void)
{
    threads_count = scenario->threads;
    has_store_buffers = scenario->store_buffers;
    has_membarrier = !scenario->no_membarrier;
    frames = must(malloc(DEPTH_MAX * sizeof *frames));
    path = must(malloc(DEPTH_MAX * sizeof *path));
    lines = must(malloc(LINES_MAX * sizeof *lines));
    machine_begin(scenario->begin);
    machine_start(scenario->threads, scenario->thread);
    save(&root);
    root_size = arena_used;
    rest_hash = hash_bytes(0, shl_segment_family()->shm, shl_segment_family()->size);
}

static void on_crash(int number)
{
    printf("  crashed: %s\n", strsignal(number));
    walk(false, false);
    print_schedule();
    fflush(stdout);
    _exit(1);
}

static void describe(char *text, size_t size)
{
    if (machine_failure)
        snprintf(text, size, "%s, %u kills, %u steps", machine_failure, machine.kills, path_length);
    else if (preemptions_max == UNBOUNDED)
        snprintf(text, size, "%lu states, %lu ends", states, ends);
    else
        snprintf(text, size, "%lu states, %lu ends, at most %u preemptions", states, ends,
                 preemptions_max);
}

static unsigned bound(void)
{
    bool more = full && scenario->preemptions_full > scenario->preemptions;
    return more ? scenario->preemptions_full : scenario->preemptions;
}

/* What the searched code has written beside the regions would be missing in its states. */
static void check_rest(void)
{
    begin_anew();
    const struct shl_segment *family = shl_segment_family();
    if (hash_bytes(0, family->shm, family->size) != rest_hash)
        machine_bail_out("something was written that is no part of the checker's state");
}

/* With as few kills and preemptions as it takes. */
static bool search_shortest(void)
{
    bool found = false;
    unsigned most = bound();
    for (unsigned kills = 0; !found && kills <= scenario->kills; kills++)
        for (unsigned preemptions = 0; !found && preemptions <= 3 && preemptions < most;
             preemptions++)
            found = search(kills, preemptions);
    return found || search(scenario->kills, most);
}

static bool run_holds(void)
{
    char text[128];
    bool failed = search(scenario->kills, bound());
    if (failed)
        search_shortest();
    else
        check_rest();
    describe(text, sizeof text);
    printf("%sok %u - %s: %s\n", failed ? "not " : "", results, scenario->name, text);
    if (failed) {
        walk(false, true);
        print_schedule();
    }
    return !failed;
}

static bool run_fails(const char *mistake)
{
    char text[128];
    shl_mistake = mistake;
    bool failed = search_shortest();
    describe(text, sizeof text);
    printf("%sok %u - %s with %s is refuted: %s\n", failed ? "" : "not ", results, scenario->name,
           mistake, text);
    if (failed && verbose) {
        walk(false, true);
        print_schedule();
    }
    return failed;
}

static bool run_replay(const char *mistake)
{
    shl_mistake = mistake;
    kills_max = scenario->kills;
    preemptions_max = UNBOUNDED;
    parse_schedule(replayed);
    walk(true, false); /* which words are shared */
    walk(true, true);
    struct frame end;
    list_moves(&end);
    if (!machine_failure && end.count == 0)
        machine_failure = judge();
    printf("  %s\n", machine_failure ? machine_failure : "no failure on the way");
    return true;
}

/* Each in a process of its own: the runtime keeps state that no scenario may inherit. */
static void run(const struct scenario *chosen, const char *mistake)
{
    scenario = chosen;
    if (strncmp(scenario->name, only, strlen(only)) != 0 ||
        (only_mistake && (!mistake || strcmp(mistake, only_mistake) != 0)) ||
        (replayed && mistake && !only_mistake))
        return;
    results++;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, on_crash);
        signal(SIGSEGV, on_crash);
        set_up();
        bool good = replayed ? run_replay(mistake) : mistake ? run_fails(mistake) : run_holds();
        fflush(stdout);
        _exit(!good);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
        printf("not ok %u - %s ended with status %#x\n", results, scenario->name, (unsigned)status);
    failures += status != 0;
}

void holds(const struct scenario *chosen)
{
    run(chosen, NULL);
}

void fails(const struct scenario *chosen, const char *mistake)
{
    run(chosen, mistake);
}

static void read_arguments(char **arguments)
{
    for (char **argument = arguments; *argument; argument++)
        if (strcmp(*argument, "--full") == 0)
            full = true;
        else if (strcmp(*argument, "-v") == 0)
            verbose = true;
        else if (strcmp(*argument, "--mistake") == 0 && argument[1])
            only_mistake = *++argument;
        else if (strcmp(*argument, "--replay") == 0 && argument[1])
            replayed = *++argument;
        else
            only = *argument;
}

int main(int arguments_count, char **arguments)
{
    (void)arguments_count;
    read_arguments(arguments + 1);
    check_lock();
    check_semaphore();
    check_event();
    check_condition();
    check_barrier();
    check_ring();
    check_cells();
    check_chain();
    check_stores();
    check_recovery();
    check_destroy();
    check_memory();
    check_joinable();
    printf("1..%u\n", results);
    return failures > 0;
}
