/*
 * A bounded ring (flow/ring.c) whose putters wait for room and whose takers wait for items: who
 * waits at one bell rings the other when it succeeds, but only one can be pending.
 *
 * From the commit on the other side's bell is pending. So a caller that has slept and may have
 * swallowed a wake-up passes it on before that, while its own bell is still pending: A1. It must do
 * so even for a single item, which it would leave behind if it died between A2 and A3.
 *
 * The side's lock is left out: the commit is one action, and attempts again if it was overtaken.
 */
#include "engine.h"
#include "models.h"

enum { TAIL = 1, HEAD, BELLS };  /* words; then {bell, flag} of the takers, and of the putters */
enum { SEEN, SLEPT, IS_PUTTER }; /* registers */
enum { PASS_ON_LATE = 1, PASS_ON_IF_MORE = 2 };
enum { CAPACITY = 2 };

enum { CALL, W0, W1, A0, A1, A1_WAKE, A2, A3, A4, A4_SWAP, A5, A6, W3, W4, W4_WAKE, W5 };

static const char *const pcs[] = {
    [CALL] = "attempt 0: empty or full?",
    [W0] = "W0 pending = own bell",
    [W1] = "W1 own flag = 1",
    [A0] = "A0 empty or full?",
    [A1] = "A1 has it slept?",
    [A1_WAKE] = "A1 wake one at the own bell",
    [A2] = "A2 pending = other bell",
    [A3] = "A3 commit",
    [A4] = "A4 load other flag",
    [A4_SWAP] = "A4 other flag = 0",
    [A5] = "A5 wake one at the other bell",
    [A6] = "A6 pending as before",
    [W3] = "W3 sleep",
    [W4] = "W4 would another succeed?",
    [W4_WAKE] = "W4 wake one at the own bell",
    [W5] = "W5 pending = none",
};

static void begin(const struct model *model, struct state *state)
{
    for (unsigned i = 0; i < model->threads; i++)
        state->threads[i].reg[IS_PUTTER] = i >= 2;
}

static unsigned bell_of(unsigned is_putter)
{
    return BELLS + 2 * is_putter;
}

/* How many attempts of this side would succeed. */
static unsigned room_for(const struct state *state, unsigned is_putter)
{
    unsigned items = (unsigned)(state->word[TAIL] - state->word[HEAD]);
    return is_putter ? CAPACITY - items : items;
}

static bool commit(struct state *state, unsigned is_putter)
{
    if (room_for(state, is_putter) == 0)
        return false;
    state->word[is_putter ? TAIL : HEAD]++;
    return true;
}

static void step_attempt(struct step *step, unsigned own, unsigned other)
{
    struct state *state = step->state;
    struct thread *thread = step->thread;
    unsigned side = thread->reg[IS_PUTTER];
    switch (thread->pc) {
    case A0:
        thread->reg[SEEN] = state->word[side ? HEAD : TAIL];
        go(step, room_for(state, side) == 0 ? W3 : has_bug(step, PASS_ON_LATE) ? A2 : A1);
        break;
    case A1:
        if (!thread->reg[SLEPT] || (has_bug(step, PASS_ON_IF_MORE) && room_for(state, side) == 1))
            go(step, A2);
        else
            go(step, A1_WAKE);
        break;
    case A1_WAKE:
        wake_one(step, own);
        go(step, A2);
        break;
    case A2:
        thread->pending = (uint8_t)other;
        go(step, A3);
        break;
    case A3:
        go(step, commit(state, side) ? A4 : A6);
        thread->reg[SEEN] = thread->pc == A6; /* overtaken */
        break;
    case A4:
        go(step, state->word[other + 1] ? A4_SWAP : A6);
        break;
    case A4_SWAP:
        go(step, state->word[other + 1] ? A5 : A6);
        state->word[other + 1] = 0;
        break;
    case A5:
        wake_one(step, other);
        go(step, A6);
        break;
    case A6:
        thread->pending = (uint8_t)own;
        go(step, thread->reg[SEEN] == 1 ? W1 : W4);
        break;
    }
}

static void step_wait(struct step *step, unsigned own)
{
    struct thread *thread = step->thread;
    switch (thread->pc) {
    case CALL:
        go(step, room_for(step->state, thread->reg[IS_PUTTER]) ? A2 : W0);
        break;
    case W0:
        thread->pending = (uint8_t)own;
        go(step, W1);
        break;
    case W1:
        thread->slept = thread->woken = 0; /* known no longer: fewer states */
        step->state->word[own + 1] = 1;
        go(step, A0);
        break;
    case W3:
        thread->reg[SLEPT] = 1;
        sleep_then(step, W1);
        break;
    case W4:
        if (thread->reg[SLEPT] && room_for(step->state, thread->reg[IS_PUTTER]) &&
            has_bug(step, PASS_ON_LATE))
            go(step, W4_WAKE);
        else
            go(step, W5);
        break;
    case W4_WAKE:
        wake_one(step, own);
        go(step, W5);
        break;
    case W5:
        finish(step);
        break;
    }
}

static void step_any(struct step *step)
{
    unsigned side = step->thread->reg[IS_PUTTER], pc = step->thread->pc;
    if (pc >= A0 && pc <= A6)
        step_attempt(step, bell_of(side), bell_of(!side));
    else
        step_wait(step, bell_of(side));
}

static unsigned watches(const struct model *model, const struct state *state, unsigned thread,
                        struct watch *list)
{
    (void)model;
    const struct thread *self = &state->threads[thread];
    unsigned bell = bell_of(self->reg[IS_PUTTER]);
    list[0] = (struct watch){ (uint8_t)bell, 0 };
    list[1] = (struct watch){ (uint8_t)(bell + 1), 1 };
    list[2] = (struct watch){ self->reg[IS_PUTTER] ? HEAD : TAIL, self->reg[SEEN] };
    return 3;
}

static const char *judge(const struct model *model, const struct state *state)
{
    for (unsigned i = 0; i < model->threads; i++)
        if (is_asleep(state, i) && room_for(state, state->threads[i].reg[IS_PUTTER]))
            return "lost wake-up";
    return NULL;
}

void check_ring(void)
{
    struct model model = { .name = "ring,",
                           .threads = 4,
                           .kills = 2,
                           .alike = 2,
                           .alike_last = 2,
                           .pcs = pcs,
                           .begin = begin,
                           .step = step_any,
                           .watches = watches,
                           .judge = judge };
    prove(model, "2 takers 2 putters 2 kills");
    refute(model, PASS_ON_LATE, "with pass-on only after the other bell was pending");
    refute(model, PASS_ON_IF_MORE, "with pass-on only if another would succeed too");
}
