/*
 * A wait with a cancel event sleeps at two bells, the object's and the event's, but only the
 * object's is pending: sync/park.c.
 *
 * The setter wakes all at the event's bell, then notes the generation in `told`. If it dies before,
 * the kernel wakes one there, who sees that `told` lags and does it. If that one dies as well, the
 * kernel wakes one at that one's object: enough if another waits there, else the others sleep on
 * until a tick. That is the only loss.
 */
#include "engine.h"
#include "models.h"

enum { CBELL = 1, CFLAG, EVENT, TOLD, OBJECTS }; /* words; an object: {bell, flag, tail, head} */
enum { FLAG = 1, TAIL, HEAD, OBJECT_WORDS };
enum { SET = 1 }; /* bit of the event's word; above it the generation */
enum { SEEN, SEEN_EVENT, SLEPT, OBJECT, WITHOUT }; /* registers */
enum { THREE_WAITERS = 1, TWO_OBJECTS = 2, ONE_WITHOUT_CANCEL = 4 };
enum { WAKE_ONE = 1, NO_TOLD = 2, WATCH_FLAG_ONLY = 4, NO_PENDING = 8 };

enum {
    W1 = 1,
    W1_CANCEL,
    W2,
    W2_CANCEL,
    W3,
    T1,
    T1_TOLD,
    T2,
    T3,
    W4,
    W4_WAKE,
    W5,
    N1,
    N2,
    N3,
    N4,
    S1,
    S2,
    S2_SWAP,
    S3,
    S4,
    S5,
};

static const char *const pcs[] = {
    [W1] = "W1 flag = 1",
    [W1_CANCEL] = "W1 event's flag = 1",
    [W2] = "W2 attempt",
    [W2_CANCEL] = "W2 is the event set?",
    [W3] = "W3 sleep",
    [T1] = "T1 awake: load the event",
    [T1_TOLD] = "T1 load told",
    [T2] = "T2 wake all at the event's bell",
    [T3] = "T3 told = generation",
    [W4] = "W4 would another succeed?",
    [W4_WAKE] = "W4 wake one",
    [W5] = "W5 pending = none",
    [N1] = "N1 commit",
    [N2] = "N2 flag = 0",
    [N3] = "N3 wake one",
    [N4] = "N4 pending = none",
    [S1] = "S1 set",
    [S2] = "S2 load event's flag",
    [S2_SWAP] = "S2 event's flag = 0",
    [S3] = "S3 wake all at the event's bell",
    [S4] = "S4 told = generation",
    [S5] = "S5 pending = none",
};

static unsigned waiters_of(const struct model *model)
{
    return model->variant & THREE_WAITERS ? 3 : 2;
}

/* With its bell pending: W0, N0, and the setter's likewise. */
static void begin(const struct model *model, struct state *state)
{
    unsigned waiters = waiters_of(model);
    for (unsigned i = 0; i < model->threads; i++) {
        struct thread *thread = &state->threads[i];
        thread->pc = i < waiters ? W1 : i == waiters ? S1 : N1;
        unsigned object = model->variant & TWO_OBJECTS && i == 2;
        thread->reg[OBJECT] = (uint8_t)(OBJECTS + object * OBJECT_WORDS);
        thread->reg[WITHOUT] = model->variant & ONE_WITHOUT_CANCEL && i == 0;
        thread->pending = i == waiters ? CBELL : thread->reg[OBJECT];
        if (model->bugs & NO_PENDING)
            thread->pending = 0;
    }
}

static bool has_item(const struct state *state, unsigned object)
{
    return state->word[object + TAIL] != state->word[object + HEAD];
}

static void step_waiter(struct step *step)
{
    struct state *state = step->state;
    struct thread *thread = step->thread;
    unsigned object = thread->reg[OBJECT];
    switch (thread->pc) {
    case W1:
        state->word[object + FLAG] = 1;
        go(step, thread->reg[WITHOUT] ? W2 : W1_CANCEL);
        break;
    case W1_CANCEL:
        state->word[CFLAG] = 1;
        go(step, W2);
        break;
    case W2:
        thread->reg[SEEN] = state->word[object + TAIL];
        go(step, has_item(state, object) ? W4 : thread->reg[WITHOUT] ? W3 : W2_CANCEL);
        state->word[object + HEAD] = state->word[object + TAIL]; /* there is one at most */
        break;
    case W2_CANCEL:
        thread->reg[SEEN_EVENT] = state->word[EVENT];
        go(step, state->word[EVENT] & SET ? W4 : W3);
        break;
    case W3:
        thread->reg[SLEPT] = 1;
        sleep_then(step, has_bug(step, NO_TOLD) || thread->reg[WITHOUT] ? W1 : T1);
        break;
    case W4:
        go(step, thread->reg[SLEPT] && has_item(state, object) ? W4_WAKE : W5);
        break;
    case W4_WAKE:
        wake_one(step, object);
        go(step, W5);
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
        thread->reg[SEEN_EVENT] = state->word[EVENT];
        go(step, T1_TOLD);
        break;
    case T1_TOLD:
        go(step, state->word[TOLD] == thread->reg[SEEN_EVENT] >> 1 ? W1 : T2);
        break;
    case T2:
        wake_all(step, CBELL);
        go(step, T3);
        break;
    case T3:
        state->word[TOLD] = thread->reg[SEEN_EVENT] >> 1;
        go(step, W1);
        break;
    }
}

static void step_notifier(struct step *step)
{
    struct state *state = step->state;
    unsigned object = step->thread->reg[OBJECT];
    switch (step->thread->pc) {
    case N1:
        state->word[object + TAIL]++;
        go(step, N2);
        break;
    case N2:
        go(step, state->word[object + FLAG] ? N3 : N4);
        state->word[object + FLAG] = 0;
        break;
    case N3:
        wake_one(step, object);
        go(step, N4);
        break;
    case N4:
        finish(step);
        break;
    }
}

static void step_setter(struct step *step)
{
    struct state *state = step->state;
    switch (step->thread->pc) {
    case S1:
        state->word[EVENT] = 1 << 1 | SET;
        go(step, S2);
        break;
    case S2:
        go(step, state->word[CFLAG] ? S2_SWAP : S4);
        break;
    case S2_SWAP:
        go(step, state->word[CFLAG] ? S3 : S4);
        state->word[CFLAG] = 0;
        break;
    case S3:
        wake_one(step, CBELL);
        step->wake_all = !has_bug(step, WAKE_ONE);
        go(step, S4);
        break;
    case S4:
        state->word[TOLD] = 1;
        go(step, S5);
        break;
    case S5:
        finish(step);
        break;
    }
}

static void step_any(struct step *step)
{
    unsigned pc = step->thread->pc;
    if (pc >= T1 && pc <= T3)
        step_tell(step);
    else if (pc < N1)
        step_waiter(step);
    else if (pc < S1)
        step_notifier(step);
    else
        step_setter(step);
}

static unsigned watches(const struct model *model, const struct state *state, unsigned thread,
                        struct watch *list)
{
    const struct thread *self = &state->threads[thread];
    uint8_t object = self->reg[OBJECT];
    list[0] = (struct watch){ object, 0 };
    list[1] = (struct watch){ object + FLAG, 1 };
    unsigned count = 2;
    if (!self->reg[WITHOUT]) {
        list[count++] = (struct watch){ CBELL, 0 };
        if (model->bugs & WATCH_FLAG_ONLY)
            list[count++] = (struct watch){ CFLAG, 1 };
        else
            list[count++] = (struct watch){ EVENT, self->reg[SEEN_EVENT] };
    }
    list[count++] = (struct watch){ object + TAIL, self->reg[SEEN] };
    return count;
}

static const char *judge(const struct model *model, const struct state *state)
{
    for (unsigned i = 0; i < waiters_of(model); i++) {
        if (is_asleep(state, i) && has_item(state, state->threads[i].reg[OBJECT]))
            return "lost wake-up of the object";
        if (is_asleep(state, i) && state->word[EVENT] & SET && !state->threads[i].reg[WITHOUT])
            return "lost wake-up of the event";
    }
    return NULL;
}

/* The setter died between setting and `told`, and who was woken died before it had told. */
static bool excuse(const struct model *model, const struct state *state)
{
    unsigned waiters = waiters_of(model);
    unsigned setter_pc = state->threads[waiters].pc;
    if (!is_dead(state, waiters) || setter_pc < S2 || setter_pc > S4 || state->word[TOLD])
        return false;
    for (unsigned i = 0; i < waiters; i++) {
        const struct thread *thread = &state->threads[i];
        if (thread->phase == DEAD && thread->woken && thread->pc >= T1 && thread->pc <= T3)
            return true;
    }
    return false;
}

void check_cancel(void)
{
    struct model same = { .name = "cancel,",
                          .threads = 4,
                          .kills = 2,
                          .alike = 2,
                          .pcs = pcs,
                          .begin = begin,
                          .step = step_any,
                          .watches = watches,
                          .judge = judge };
    prove(same, "2 waiters on an object, notifier, setter, 2 kills");
    refute(same, NO_PENDING, "without pending");
    refute(same, NO_TOLD, "without told");
    refute(same, WAKE_ONE, "with one woken instead of all");
    struct model mixed = same;
    mixed.variant = ONE_WITHOUT_CANCEL;
    mixed.alike = 0;
    mixed.kills = 1;
    prove(mixed, "2 waiters, one of them without an event, notifier, setter, 1 kill");
    struct model two = same;
    two.variant = THREE_WAITERS | TWO_OBJECTS;
    two.threads = 4;
    two.kills = 1;
    refute(two, WATCH_FLAG_ONLY, "without watching the event's word");
    prove(two, "3 waiters on 2 objects, setter, 1 kill");
    two.kills = 2;
    refute(two, 0, "3 waiters on 2 objects, setter, 2 kills,");
    two.excuse = excuse;
    prove(two, "3 waiters on 2 objects, 2 kills, but for setter and woken both killed");
    two.excuse = NULL;
    two.ticks = 3;
    prove(two, "3 waiters on 2 objects, 2 kills, with ticks");
}
