/*
 * What a scenario says: who does what. The harness (play.c) kills the victim at every state of its
 * operation, or leaves it stopped there, and lets the others go on.
 */
#ifndef STEP_STEP_H
#define STEP_STEP_H

#include <shoal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The players, each a process, in the order in which they begin. */
enum role {
    ROLE_DEAD,  /* acts until it sleeps, if it can act, and is killed before the victim begins */
    ROLE_WAKER, /* acts when the victim sleeps, or behind it: does what the victim waits for */
    ROLE_VICTIM,
    ROLE_SURVIVOR,
    ROLE_SURVIVOR_2,
    ROLE_SURVIVOR_3,
    ROLE_SURVIVOR_4,
    ROLE_CHECKER, /* the harness's own: buries the dead and runs the scenario's check */
    ROLES_COUNT
};

/* When a survivor acts. The first one who acts behind the victim is killed as well. */
enum turn {
    TURN_BEHIND, /* one after the other, once the victim is dead or done */
    TURN_BEFORE, /* until it sleeps, before the victim begins */
    TURN_BESIDE  /* until it sleeps, when the victim sleeps, before the waker; or behind it */
};

struct actor {
    int (*prepare)(void); /* 0, or an error; may be NULL */
    int (*act)(void);     /* the operation: the same; runs again if it answered -ETIMEDOUT */
    enum turn turn;
    bool helped; /* of one who sleeps: what those behind the victim do may be needed to wake it */
};

struct scenario {
    const char *name;
    void (*set_up)(void); /* makes the objects; its process goes on living, as a bystander */
    struct actor actors[ROLE_CHECKER];
    void (*check)(void);    /* when all have done what they were to do, in a process of its own */
    unsigned object_bytes;  /* of objects that each of the dead may have made and not ended */
    unsigned objects_vary;  /* bytes of objects by which there may be more or fewer in the end */
    bool objects_end;       /* those of the set-up end with the players */
    const char *late_known; /* a documented gap: where only the library's tick ends a wait */
    bool takes_long;        /* its recoverers are killed with --full only, */
    unsigned only_every;    /* and behind each n-th of the victim's states alone; 0: each */
};

enum { BOARD_WORDS = 16 };

/* What all players of a play share. */
struct board {
    int deaths;             /* so many were killed so far */
    bool stopped;           /* the victim is stopped: nobody waits for ever */
    bool over;              /* who acts now ends instead */
    int codes[ROLES_COUNT]; /* what the operations answered */
    pid_t pids[ROLES_COUNT];
    pid_t companion; /* the victim's other thread, if it has one */
    bool killed[ROLES_COUNT];
    uint64_t words[BOARD_WORDS]; /* the scenario's own, zero at first; part of a state */
    unsigned failures;
    char failure[200]; /* the first one */
};
extern struct board *board;

/* Unlimited, but short while the victim is stopped. */
shoal_deadline step_deadline(void);

/* A prepare function: makes the process known to the segment, and does nothing else. */
int step_attach(void);

/* An act: does for those who were killed what their creator does when it joins them. */
int step_bury(void);

/* A condition that must hold whoever was killed and whenever. */
#define STEP_CHECK(condition) \
    ((condition) ? (void)0 : step_failed("%s:%d: %s does not hold", __FILE__, __LINE__, #condition))
__attribute__((format(printf, 1, 2))) void step_failed(const char *format, ...);

#endif
