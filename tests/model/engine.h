/*
 * Explicit-state exploration of small protocols: every interleaving of a few threads, with a kill
 * of any thread between any two of its steps.
 *
 * A model's threads share `word[]` and make one atomic action a step; memory is sequentially
 * consistent. The kernel is part of the engine:
 *   sleep  futex_waitv: for each watched word in order, compares it and stands in its queue, one
 *          step a word; who is woken meanwhile does not sleep, who finds another value leaves
 *   wake   one sleeper at a word, whichever, or all; a woken thread stays in its other queues until
 *          it runs, and may swallow another wake-up there
 *   death  the thread leaves all queues and its life word changes; then one sleeper at its life
 *          word is woken; then one sleeper at the word it had named as pending
 * End states, in which nobody can move, are shown to the model's judge. States are kept in the
 * order in which they are found, so that the schedule of a failure is a shortest one.
 */
#ifndef MODEL_ENGINE_H
#define MODEL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { THREADS_MAX = 5, WORDS_MAX = 16, REGS_MAX = 6, WATCHES_MAX = 8 };

enum phase { ALIVE, DONE, DYING, DYING_PENDING, DEAD };

struct thread {
    uint16_t queued; /* words in whose queues it stands, a bit each */
    uint8_t pc;      /* its next step */
    uint8_t phase;
    uint8_t pending; /* the word named to the kernel; 0: none */
    uint8_t waiting; /* in a sleep: which of the watched words is next, from 1; else 0 */
    uint8_t woken;   /* in a sleep, and after it: was chosen by a wake; in the dead: as they died */
    uint8_t slept;   /* the last sleep got as far as sleeping */
    uint8_t reg[REGS_MAX];
};

struct state {
    uint8_t word[WORDS_MAX]; /* word 0 is none */
    struct thread threads[THREADS_MAX];
    uint8_t kills, ticks;
};

struct watch {
    uint8_t word, expected;
};

struct step;

struct model {
    const char *name;
    unsigned threads, kills;
    unsigned ticks;      /* how often, once nobody can move, a sleeper wakes by itself */
    unsigned alike;      /* so many threads, the first ones, are interchangeable among themselves */
    unsigned alike_last; /* and so many, the last ones */
    unsigned life;       /* the life word of thread 0; 0: nobody watches them */
    unsigned bugs;       /* seeded mistakes, one bit each */
    unsigned variant;    /* which of the forms that the model has */
    const char *const *pcs;
    void (*begin)(const struct model *model, struct state *state);
    void (*step)(struct step *step);
    /* Fills in what the thread sleeps on, answers how many. */
    unsigned (*watches)(const struct model *model, const struct state *state, unsigned thread,
                        struct watch *list);
    /* What is wrong with an end state; NULL: nothing. */
    const char *(*judge)(const struct model *model, const struct state *state);
    /* A loss that is known and tolerated; may be NULL. */
    bool (*excuse)(const struct model *model, const struct state *state);
};

/* A step while it is being made. */
struct step {
    const struct model *model;
    struct state *state;
    struct thread *thread;
    unsigned self;
    unsigned choice, choices; /* see choose() */
    uint8_t wake;             /* the word to wake at; 0: none */
    bool wake_all, blocked;
    const char *failure;
};

static inline bool has_bug(const struct step *step, unsigned bug)
{
    return step->model->bugs & bug;
}

/* Any number below `count`; once a step. */
static inline unsigned choose(struct step *step, unsigned count)
{
    step->choices = count;
    return step->choice;
}

static inline void go(struct step *step, unsigned pc)
{
    step->thread->pc = (uint8_t)pc;
}

/* Wakes at the end of this step. */
static inline void wake_one(struct step *step, unsigned word)
{
    step->wake = (uint8_t)word;
}

static inline void wake_all(struct step *step, unsigned word)
{
    step->wake = (uint8_t)word;
    step->wake_all = true;
}

/* Sleeps on watches(); goes on at `pc`, whatever ended the sleep. */
static inline void sleep_then(struct step *step, unsigned pc)
{
    step->thread->waiting = 1;
    step->thread->woken = 0;
    step->thread->slept = 0;
    go(step, pc);
}

static inline void finish(struct step *step)
{
    *step->thread = (struct thread){ .pc = step->thread->pc, .phase = DONE };
}

/* Compare-and-set. */
static inline bool cas(struct state *state, unsigned word, unsigned expected, unsigned value)
{
    if (state->word[word] != expected)
        return false;
    state->word[word] = (uint8_t)value;
    return true;
}

static inline bool is_dead(const struct state *state, unsigned thread)
{
    return state->threads[thread].phase >= DYING;
}

/* In an end state. */
static inline bool is_asleep(const struct state *state, unsigned thread)
{
    return state->threads[thread].phase == ALIVE && state->threads[thread].waiting;
}

/* Must hold in every schedule. */
void prove(struct model model, const char *what);

/* Must fail in some schedule: with the seeded bug, or as it is if `bug` is 0. */
void refute(struct model model, unsigned bug, const char *what);

#endif
