/*
 * The event: word = {generation, set}. Each set from clear moves the generation on, wakes all at
 * the bell and then notes the generation in `told`. Who wakes and finds that `told` lags wakes all
 * and notes it. A setter that finds nobody's flag looks at `told` too: the flag may have been taken
 * by a setter that died before it woke anybody.
 */
#include "engine.h"
#include "models.h"

enum { BELL = 1, FLAG, EVENT, TOLD }; /* words */
enum { SET = 1 };                     /* bit of the event's word; above it the generation */
enum { SEEN, GENERATION, CALLS };     /* registers */
enum {
    WAKE_ONE = 1,
    NO_TOLD = 2,
    ONLY_SET_BIT = 4,
    NO_PENDING = 8,
    SETTER_IGNORES_TOLD = 16,
    TOLD_FIRST = 32,
};

enum { WAITER, W1, W2, W3, T1, T1_TOLD, T2, T3, W5, SETTER, S1, S2, S2_SWAP, S2_TOLD, S3, S4, S5 };

static const char *const pcs[] = {
    [WAITER] = "waiter: load the event",
    [W1] = "W1 flag = 1",
    [W2] = "W2 has it been set since?",
    [W3] = "W3 sleep",
    [T1] = "T1 awake: load the event",
    [T1_TOLD] = "T1 load told",
    [T2] = "T2 wake all",
    [T3] = "T3 told = generation",
    [W5] = "W5 pending = none",
    [SETTER] = "setter: next call",
    [S1] = "S1 set",
    [S2] = "S2 load flag",
    [S2_SWAP] = "S2 flag = 0",
    [S2_TOLD] = "S2 load told",
    [S3] = "S3 wake all",
    [S4] = "S4 told = generation",
    [S5] = "S5 pending = none",
};

/* model->variant: how many calls the two last threads make, a decimal digit each: set, clear, … */
static void begin(const struct model *model, struct state *state)
{
    for (unsigned i = 0; i < model->threads; i++)
        state->threads[i].pc = i < model->threads - 2 ? WAITER : SETTER;
    state->threads[model->threads - 2].reg[CALLS] = (uint8_t)(model->variant / 10);
    state->threads[model->threads - 1].reg[CALLS] = (uint8_t)(model->variant % 10);
}

static bool is_released(const struct state *state, const struct thread *thread)
{
    unsigned word = state->word[EVENT];
    return word & SET || word >> 1 != thread->reg[SEEN] >> 1;
}

static void step_waiter(struct step *step)
{
    struct state *state = step->state;
    struct thread *thread = step->thread;
    switch (thread->pc) {
    case WAITER:
        thread->reg[SEEN] = state->word[EVENT];
        thread->pending = has_bug(step, NO_PENDING) ? 0 : BELL;
        go(step, state->word[EVENT] & SET ? W5 : W1);
        break;
    case W1:
        state->word[FLAG] = 1;
        go(step, W2);
        break;
    case W2:
        if (has_bug(step, ONLY_SET_BIT))
            go(step, state->word[EVENT] & SET ? W5 : W3);
        else
            go(step, is_released(state, thread) ? W5 : W3);
        thread->reg[GENERATION] = state->word[EVENT];
        break;
    case W3:
        sleep_then(step, has_bug(step, NO_TOLD) ? W1 : T1);
        break;
    case W5:
        finish(step);
        break;
    }
}

/* After a sleep: the setter's duty, if it may have died. */
static void step_tell(struct step *step)
{
    struct state *state = step->state;
    struct thread *thread = step->thread;
    switch (thread->pc) {
    case T1:
        thread->slept = thread->woken = 0; /* known no longer: fewer states */
        thread->reg[GENERATION] = state->word[EVENT] >> 1;
        go(step, T1_TOLD);
        break;
    case T1_TOLD:
        go(step, state->word[TOLD] == thread->reg[GENERATION] ? W1 : T2);
        break;
    case T2:
        wake_all(step, BELL);
        go(step, T3);
        break;
    case T3:
        state->word[TOLD] = thread->reg[GENERATION];
        go(step, W1);
        break;
    }
}

static void call(struct step *step)
{
    struct state *state = step->state;
    struct thread *thread = step->thread;
    if (thread->reg[CALLS]-- == 0) {
        finish(step);
    } else if (thread->reg[GENERATION] == 0) {
        thread->pending = has_bug(step, NO_PENDING) ? 0 : BELL;
        go(step, S1);
    } else {
        state->word[EVENT] &= (uint8_t)~SET; /* clear */
        thread->reg[GENERATION] = 0;
    }
}

static void step_setter(struct step *step)
{
    struct state *state = step->state;
    struct thread *thread = step->thread;
    bool looks = !has_bug(step, SETTER_IGNORES_TOLD) && !has_bug(step, NO_TOLD);
    switch (thread->pc) {
    case SETTER:
        call(step);
        break;
    case S1:
        go(step, state->word[EVENT] & SET ? S5 : S2);
        if (!(state->word[EVENT] & SET))
            state->word[EVENT] = (uint8_t)((state->word[EVENT] + 2) | SET);
        thread->reg[GENERATION] = state->word[EVENT] >> 1;
        break;
    case S2:
        go(step, state->word[FLAG] ? S2_SWAP : looks ? S2_TOLD : S4);
        break;
    case S2_SWAP:
        go(step, state->word[FLAG] ? S3 : looks ? S2_TOLD : S4);
        state->word[FLAG] = 0;
        if (has_bug(step, TOLD_FIRST))
            state->word[TOLD] = thread->reg[GENERATION];
        break;
    case S2_TOLD:
        go(step, state->word[TOLD] == thread->reg[GENERATION] - 1 ? S4 : S3);
        break;
    case S3:
        wake_one(step, BELL);
        step->wake_all = !has_bug(step, WAKE_ONE);
        go(step, S4);
        break;
    case S4:
        state->word[TOLD] = thread->reg[GENERATION];
        go(step, S5);
        break;
    case S5:
        thread->pending = 0;
        go(step, SETTER);
        break;
    }
}

static void step_any(struct step *step)
{
    unsigned pc = step->thread->pc;
    if (pc >= T1 && pc <= T3)
        step_tell(step);
    else if (pc < SETTER)
        step_waiter(step);
    else
        step_setter(step);
}

static unsigned watches(const struct model *model, const struct state *state, unsigned thread,
                        struct watch *list)
{
    const struct thread *self = &state->threads[thread];
    uint8_t seen = model->bugs & ONLY_SET_BIT ? self->reg[GENERATION] : self->reg[SEEN];
    list[0] = (struct watch){ BELL, 0 };
    list[1] = (struct watch){ FLAG, 1 };
    list[2] = (struct watch){ EVENT, seen };
    return 3;
}

static const char *judge(const struct model *model, const struct state *state)
{
    for (unsigned i = 0; i < model->threads; i++)
        if (is_asleep(state, i) && is_released(state, &state->threads[i]))
            return "lost wake-up";
    return NULL;
}

void check_event(void)
{
    struct model pulse = { .name = "event,",
                           .threads = 4,
                           .kills = 2,
                           .variant = 20,
                           .alike = 2,
                           .pcs = pcs,
                           .begin = begin,
                           .step = step_any,
                           .watches = watches,
                           .judge = judge };
    struct model twice = pulse;
    twice.variant = 13;
    twice.kills = 1;
    struct model crowded = pulse;
    crowded.threads = 5;
    crowded.alike = 3;
    prove(pulse, "2 waiters, set and clear, 2 kills");
    prove(twice, "2 waiters, a setter, another that sets, clears and sets, 1 kill");
    prove(crowded, "3 waiters, set and clear, 2 kills");
    refute(pulse, NO_PENDING, "without pending");
    refute(pulse, NO_TOLD, "without told");
    refute(pulse, TOLD_FIRST, "with told before the wake");
    refute(pulse, WAKE_ONE, "with one woken instead of all");
    refute(pulse, ONLY_SET_BIT, "with waiters that compare the set bit");
    refute(twice, SETTER_IGNORES_TOLD, "with setters that do not look at told");
}
