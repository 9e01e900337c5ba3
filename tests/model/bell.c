/*
 * The bell: steps W0 to W5 and N0 to N4 of sync/park.c. Waiters take one item each; notifiers put
 * one each.
 *
 * Two kinds of state. A ring's word changes with every put. A counter may go from 0 over 1 to 0
 * again, so that its word looks as if nothing had happened.
 */
#include "engine.h"
#include "models.h"

enum { BELL = 1, FLAG, TAIL, HEAD }; /* words; a counter is in TAIL, HEAD is not used */
enum { IS_COUNTER = 1, MAY_TIME_OUT = 2 };
enum { SEEN, SLEPT }; /* registers */
enum { NO_PENDING = 1, NO_PASS_ON = 2, BELL_LAST = 4, NO_FLAG_CHECK = 8, SLEPT_LATE = 16 };

enum { WAITER, W0, W1, W2, W3, W3_AFTER, W4, W4_WAKE, W5, NOTIFIER, N1, N2, N2_SWAP, N3, N4 };

static const char *const pcs[] = {
    [WAITER] = "waiter: attempt",
    [W0] = "W0 pending = bell",
    [W1] = "W1 flag = 1",
    [W2] = "W2 attempt",
    [W3] = "W3 sleep",
    [W3_AFTER] = "W3 awake",
    [W4] = "W4 would another succeed?",
    [W4_WAKE] = "W4 wake one",
    [W5] = "W5 pending = none",
    [NOTIFIER] = "N0 pending = bell",
    [N1] = "N1 commit",
    [N2] = "N2 load flag",
    [N2_SWAP] = "N2 flag = 0",
    [N3] = "N3 wake one",
    [N4] = "N4 pending = none",
};

static void begin(const struct model *model, struct state *state)
{
    for (unsigned i = 0; i < model->threads; i++)
        state->threads[i].pc = i < model->threads - 2 ? WAITER : NOTIFIER;
}

static bool has_item(const struct state *state)
{
    return state->word[TAIL] != state->word[HEAD];
}

static bool attempt(struct step *step)
{
    struct state *state = step->state;
    step->thread->reg[SEEN] = state->word[TAIL];
    if (!has_item(state))
        return false;
    if (step->model->variant & IS_COUNTER)
        state->word[TAIL]--;
    else
        state->word[HEAD]++;
    return true;
}

static void step_waiter(struct step *step)
{
    struct thread *thread = step->thread;
    switch (thread->pc) {
    case WAITER:
        if (attempt(step))
            finish(step);
        else
            go(step, W0);
        break;
    case W0:
        thread->pending = has_bug(step, NO_PENDING) ? 0 : BELL;
        go(step, W1);
        break;
    case W1:
        step->state->word[FLAG] = 1;
        go(step, W2);
        break;
    case W2: {
        bool gives_up = step->model->variant & MAY_TIME_OUT && choose(step, 2);
        go(step, attempt(step) || gives_up ? W4 : W3);
        break;
    }
    case W3:
        thread->reg[SLEPT] |= !has_bug(step, SLEPT_LATE);
        sleep_then(step, W3_AFTER);
        break;
    case W3_AFTER:
        thread->reg[SLEPT] |= thread->slept;
        thread->slept = thread->woken = 0; /* known no longer: fewer states */
        go(step, W1);
        break;
    case W4:
        if (thread->reg[SLEPT] && has_item(step->state) && !has_bug(step, NO_PASS_ON))
            go(step, W4_WAKE);
        else
            go(step, W5);
        break;
    case W4_WAKE:
        wake_one(step, BELL);
        go(step, W5);
        break;
    case W5:
        finish(step);
        break;
    }
}

static void step_notifier(struct step *step)
{
    struct state *state = step->state;
    switch (step->thread->pc) {
    case NOTIFIER:
        step->thread->pending = has_bug(step, NO_PENDING) ? 0 : BELL;
        go(step, N1);
        break;
    case N1:
        state->word[TAIL]++;
        go(step, N2);
        break;
    case N2:
        go(step, state->word[FLAG] ? N2_SWAP : N4);
        break;
    case N2_SWAP:
        go(step, state->word[FLAG] ? N3 : N4);
        state->word[FLAG] = 0;
        break;
    case N3:
        wake_one(step, BELL);
        go(step, N4);
        break;
    case N4:
        finish(step);
        break;
    }
}

static void step_any(struct step *step)
{
    if (step->thread->pc < NOTIFIER)
        step_waiter(step);
    else
        step_notifier(step);
}

static unsigned watches(const struct model *model, const struct state *state, unsigned thread,
                        struct watch *list)
{
    unsigned count = 0;
    if (!(model->bugs & BELL_LAST))
        list[count++] = (struct watch){ BELL, 0 };
    if (!(model->bugs & NO_FLAG_CHECK))
        list[count++] = (struct watch){ FLAG, 1 };
    list[count++] = (struct watch){ TAIL, state->threads[thread].reg[SEEN] };
    if (model->bugs & BELL_LAST)
        list[count++] = (struct watch){ BELL, 0 };
    return count;
}

static const char *judge(const struct model *model, const struct state *state)
{
    for (unsigned i = 0; i < model->threads; i++)
        if (is_asleep(state, i) && has_item(state))
            return "lost wake-up";
    return NULL;
}

void check_bell(void)
{
    struct model ring = { .name = "bell of a ring,",
                          .threads = 4,
                          .kills = 2,
                          .alike = 2,
                          .alike_last = 2,
                          .pcs = pcs,
                          .begin = begin,
                          .step = step_any,
                          .watches = watches,
                          .judge = judge };
    struct model counter = ring;
    counter.name = "bell of a counter,";
    counter.variant = IS_COUNTER;
    struct model impatient = counter;
    impatient.variant |= MAY_TIME_OUT;
    prove(ring, "2 waiters 2 notifiers 2 kills");
    struct model crowded = ring;
    crowded.threads = 5;
    crowded.alike = 3;
    crowded.kills = 1;
    prove(crowded, "3 waiters 2 notifiers 1 kill");
    prove(counter, "2 waiters 2 notifiers 2 kills");
    prove(impatient, "2 waiters that may time out 2 notifiers 2 kills");
    refute(ring, NO_PENDING, "without pending");
    refute(ring, NO_PASS_ON, "without pass-on");
    refute(ring, BELL_LAST, "with the bell watched last");
    refute(counter, NO_FLAG_CHECK, "without watching the flag");
    refute(counter, SLEPT_LATE, "with slept noted after a real sleep");
}
