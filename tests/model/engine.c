#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

enum { STATES_MAX = 12000000, CHUNK = 1 << 16, WORDS_OF_STATE = sizeof(struct state) / 8 };
enum what { STEP, KERNEL, KILL, TICK };

_Static_assert(sizeof(struct state) % 8 == 0, "hashed by words");
_Static_assert(WORDS_MAX <= 16, "a bit each in thread.queued");

/* How a state was first reached. */
struct origin {
    uint32_t from;
    uint8_t thread, what;
};

struct run {
    const struct model *model;
    struct state *states; /* all that were found; those before `next` are expanded */
    struct origin *origins;
    uint32_t count, next, room;
    uint32_t *table; /* indices into states, from 1 */
    uint32_t table_mask;
    uint32_t ends, excused;
    struct origin origin; /* of what is being found now */
    const char *failure;
    uint32_t failed_at;
};

/* --- the set of states ---------------------------------------------------------------------- */

static void *must(void *memory)
{
    if (memory)
        return memory;
    puts("Bail out! no memory");
    exit(2);
}

static uint32_t hash_of(const struct state *state)
{
    uint64_t words[WORDS_OF_STATE], hash = 0;
    memcpy(words, state, sizeof(words));
    for (unsigned i = 0; i < WORDS_OF_STATE; i++) {
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 16);
}

static void grow_table(struct run *run)
{
    uint32_t size = run->table ? (run->table_mask + 1) * 2 : CHUNK * 2;
    free(run->table);
    run->table = must(calloc(size, sizeof(*run->table)));
    run->table_mask = size - 1;
    for (uint32_t i = 0; i < run->count; i++) {
        uint32_t at = hash_of(&run->states[i]) & run->table_mask;
        while (run->table[at])
            at = (at + 1) & run->table_mask;
        run->table[at] = i + 1;
    }
}

static void grow_states(struct run *run)
{
    if (run->count >= STATES_MAX) {
        puts("Bail out! too many states");
        exit(2);
    }
    run->room = run->room ? run->room + run->room / 2 : CHUNK;
    run->states = must(realloc(run->states, run->room * sizeof(*run->states)));
    run->origins = must(realloc(run->origins, run->room * sizeof(*run->origins)));
}

static void sort(struct thread *threads, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        for (unsigned j = i; j > 0 && memcmp(&threads[j - 1], &threads[j], sizeof(*threads)) > 0;
             j--) {
            struct thread swapped = threads[j];
            threads[j] = threads[j - 1];
            threads[j - 1] = swapped;
        }
}

/* Of states that differ by the names of interchangeable threads one is kept: answers its index. */
static uint32_t found(struct run *run, const struct state *any)
{
    struct state one = *any, *state = &one;
    sort(one.threads, run->model->alike);
    sort(one.threads + run->model->threads - run->model->alike_last, run->model->alike_last);
    if (run->count >= run->table_mask / 2)
        grow_table(run);
    uint32_t at = hash_of(state) & run->table_mask;
    for (; run->table[at]; at = (at + 1) & run->table_mask)
        if (memcmp(&run->states[run->table[at] - 1], state, sizeof(*state)) == 0)
            return run->table[at] - 1;
    if (run->count == run->room)
        grow_states(run);
    run->states[run->count] = *state;
    run->origins[run->count] = run->origin;
    run->table[at] = ++run->count;
    return run->count - 1;
}

/* --- the kernel ----------------------------------------------------------------------------- */

static void wake_thread(struct state *state, unsigned thread, unsigned word)
{
    state->threads[thread].queued &= (uint16_t) ~(1u << word);
    state->threads[thread].woken = 1;
}

/* All states that the wake may lead to. */
static void found_with_wake(struct run *run, const struct state *state, unsigned word, bool all)
{
    struct state next = *state;
    bool any = false;
    for (unsigned i = 0; word && i < run->model->threads; i++) {
        if (!(state->threads[i].queued >> word & 1))
            continue;
        any = true;
        wake_thread(&next, i, word);
        if (!all) {
            found(run, &next);
            next = *state;
        }
    }
    if (all || !any)
        found(run, &next);
}

static void leave_sleep(struct thread *thread)
{
    thread->queued = 0;
    thread->waiting = 0;
}

/* The next part of futex_waitv. False: asleep. */
static bool go_on_sleeping(const struct model *model, struct state *state, unsigned self)
{
    struct thread *thread = &state->threads[self];
    struct watch list[WATCHES_MAX];
    unsigned count = model->watches(model, state, self, list);
    if (thread->waiting > count) {
        if (!thread->woken)
            return false;
        leave_sleep(thread);
        return true;
    }
    const struct watch *watch = &list[thread->waiting - 1];
    if (state->word[watch->word] != watch->expected) {
        leave_sleep(thread);
        return true;
    }
    thread->queued |= (uint16_t)(1u << watch->word);
    thread->waiting++;
    thread->slept = thread->waiting > count;
    return true;
}

static void die(const struct model *model, struct state *state, unsigned self)
{
    struct thread *thread = &state->threads[self];
    *thread =
        (struct thread){ .pc = thread->pc, .pending = thread->pending, .woken = thread->woken };
    thread->phase = model->life ? DYING : thread->pending ? DYING_PENDING : DEAD;
    if (model->life)
        state->word[model->life + self] = 1;
    state->kills++;
}

static void go_on_dying(struct run *run, struct state *state, unsigned self)
{
    struct thread *thread = &state->threads[self];
    unsigned word = thread->phase == DYING ? run->model->life + self : thread->pending;
    if (thread->phase == DYING && thread->pending) {
        thread->phase = DYING_PENDING;
    } else {
        *thread = (struct thread){ .pc = thread->pc, .phase = DEAD, .woken = thread->woken };
    }
    found_with_wake(run, state, word, false);
}

/* --- exploration ---------------------------------------------------------------------------- */

static void set_origin(struct run *run, unsigned thread, enum what what)
{
    run->origin = (struct origin){ run->next, (uint8_t)thread, (uint8_t)what };
}

/* The thread's own step, for each choice that it has. */
static bool step_thread(struct run *run, const struct state *before, unsigned self)
{
    unsigned choices = 1;
    bool moved = false;
    set_origin(run, self, STEP);
    for (unsigned choice = 0; choice < choices && !run->failure; choice++) {
        struct state after = *before;
        struct step step = { .model = run->model,
                             .state = &after,
                             .self = self,
                             .thread = &after.threads[self],
                             .choice = choice,
                             .choices = 1 };
        run->model->step(&step);
        choices = step.choices;
        if (step.blocked)
            continue;
        moved = true;
        found_with_wake(run, &after, step.wake, step.wake_all);
        if (step.failure)
            run->failed_at = found(run, &after);
        run->failure = step.failure;
    }
    return moved;
}

static bool move_thread(struct run *run, const struct state *before, unsigned self)
{
    const struct thread *thread = &before->threads[self];
    struct state after = *before;
    if (thread->phase == DYING || thread->phase == DYING_PENDING) {
        set_origin(run, self, KERNEL);
        go_on_dying(run, &after, self);
        return true;
    }
    if (thread->phase != ALIVE)
        return false;
    if (before->kills < run->model->kills && thread->pc) {
        die(run->model, &after, self);
        set_origin(run, self, KILL);
        found(run, &after);
        after = *before;
    }
    if (!thread->waiting)
        return step_thread(run, before, self);
    if (!go_on_sleeping(run->model, &after, self))
        return false;
    set_origin(run, self, KERNEL);
    found(run, &after);
    return true;
}

static bool tick(struct run *run, const struct state *before)
{
    bool any = false;
    for (unsigned i = 0; before->ticks < run->model->ticks && i < run->model->threads; i++) {
        if (!is_asleep(before, i))
            continue;
        struct state after = *before;
        after.threads[i].woken = 1;
        after.ticks++;
        set_origin(run, i, TICK);
        found(run, &after);
        any = true;
    }
    return any;
}

static const char *judge(struct run *run, const struct state *state)
{
    for (unsigned i = 0; i < run->model->threads; i++)
        if (state->threads[i].phase == ALIVE && !state->threads[i].waiting)
            return "a thread is stuck for ever";
    const char *failure = run->model->judge(run->model, state);
    if (!failure || !run->model->excuse || !run->model->excuse(run->model, state))
        return failure;
    run->excused++;
    return NULL;
}

static void expand(struct run *run)
{
    struct state state = run->states[run->next];
    bool moved = false;
    for (unsigned i = 0; i < run->model->threads && !run->failure; i++)
        moved |= move_thread(run, &state, i);
    if (moved || run->failure || tick(run, &state))
        return;
    run->ends++;
    run->failure = judge(run, &state);
    run->failed_at = run->next;
}

static void explore(struct run *run)
{
    struct state state = { 0 };
    run->model->begin(run->model, &state);
    grow_table(run);
    found(run, &state);
    for (; run->next < run->count && !run->failure; run->next++)
        expand(run);
}

/* --- results -------------------------------------------------------------------------------- */

static void print_step(const struct run *run, uint32_t index)
{
    const struct origin *origin = &run->origins[index];
    const struct state *before = &run->states[origin->from];
    const struct thread *thread = &before->threads[origin->thread];
    const char *pc = run->model->pcs[thread->pc];
    printf("  thread %u: ", origin->thread);
    if (origin->what == KILL)
        printf("KILLED before: %s%s\n", pc, thread->waiting ? ", in its sleep" : "");
    else if (origin->what == TICK)
        printf("woken by the tick\n");
    else if (origin->what == STEP)
        printf("%s\n", pc);
    else if (thread->phase != ALIVE)
        printf("(kernel) rings for the dead\n");
    else
        printf("(kernel) sleep, word %u%s\n", thread->waiting, thread->woken ? ", woken" : "");
}

static uint32_t depth_of(const struct run *run, uint32_t index)
{
    uint32_t depth = 0;
    for (; index; index = run->origins[index].from)
        depth++;
    return depth;
}

static void print_schedule(const struct run *run)
{
    uint32_t depth = depth_of(run, run->failed_at);
    uint32_t *path = must(malloc((depth + 1) * sizeof(*path)));
    uint32_t index = run->failed_at;
    for (uint32_t i = depth; i > 0; i--) {
        path[i] = index;
        index = run->origins[index].from;
    }
    for (uint32_t i = 1; i <= depth; i++)
        print_step(run, path[i]);
    free(path);
}

static void report(struct run *run, bool ok, const char *what, bool schedule)
{
    char text[128];
    if (!run->failure)
        snprintf(text, sizeof(text), "%u states, %u ends", run->count, run->ends);
    else
        snprintf(text, sizeof(text), "%s, %u kills, %u steps", run->failure,
                 run->states[run->failed_at].kills, depth_of(run, run->failed_at));
    if (run->excused)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), ", %u excused", run->excused);
    tap_result(ok, "%s %s: %s", run->model->name, what, text);
    if (run->failure && schedule)
        print_schedule(run);
}

static void end(struct run *run)
{
    free(run->states);
    free(run->origins);
    free(run->table);
}

void prove(struct model model, const char *what)
{
    if (!tap_wants(model.name))
        return;
    struct run run = { .model = &model };
    explore(&run);
    report(&run, !run.failure, what, true);
    end(&run);
}

/* With as few kills as it takes. */
void refute(struct model model, unsigned bug, const char *what)
{
    if (!tap_wants(model.name))
        return;
    char text[96];
    snprintf(text, sizeof(text), "%s is refuted", what);
    unsigned kills = model.kills;
    model.bugs |= bug;
    model.kills = 0;
    struct run run = { .model = &model };
    explore(&run);
    while (!run.failure && model.kills < kills) {
        end(&run);
        model.kills++;
        run = (struct run){ .model = &model };
        explore(&run);
    }
    report(&run, run.failure, text, tap_verbose);
    end(&run);
}
