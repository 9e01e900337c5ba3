/*
 * What the threads of a ring's scenario do, and what must be so, whichever ring it is: the file
 * that includes this says how one item is put and taken.
 */
#ifndef CHECK_PLAYERS_H
#define CHECK_PLAYERS_H

#include "search.h"

/* Ghosts: items as bits; the last one, by taker and putter. */
enum { PUT, TAKEN, LAST, MORE_GHOSTS = LAST + 9 };

static void put(unsigned self, unsigned number);
static void take(unsigned self);

/* The putter's number and which of its items it is. */
static inline uint64_t item_make(unsigned putter, unsigned number)
{
    return putter * 4 + number + 1;
}

static inline void had(unsigned self, uint64_t item)
{
    if (item == 0 || item > 16 || (machine.ghosts[TAKEN] >> item & 1))
        machine_fail("an item that was not put, or twice");
    uint64_t *last = &machine.ghosts[LAST + self * 3 % 9 + (item - 1) / 4 % 3];
    machine.ghosts[TAKEN] |= UINT64_C(1) << item;
    if (item < *last)
        machine_fail("not in the order in which they were put");
    *last = item;
}

static inline void one_and_one(unsigned self)
{
    for (unsigned i = 0; i < 2; i++)
        if (self == 0)
            put(self, i);
        else
            take(self);
}

static inline void two_putters(unsigned self)
{
    if (self < 2)
        put(self, 0);
    for (unsigned i = 0; self == 2 && i < 2; i++)
        take(self);
}

static inline void two_takers(unsigned self)
{
    if (self < 2)
        take(self);
    for (unsigned i = 0; self == 2 && i < 2; i++)
        put(self, i);
}

/* All but the last one, who comes behind them. */
static inline bool others_have_ended(void)
{
    for (unsigned i = 0; i + 1 < threads_count; i++)
        if (machine.threads[i].phase != DONE && machine.threads[i].phase != DEAD)
            return false;
    return true;
}

/* What was put was taken or is one of those there, but for what died with its taker; and who sleeps
 * must. */
static inline const char *judge_items(uint64_t there, uint64_t capacity, const atom32 *not_empty)
{
    int lost = __builtin_popcountll(machine.ghosts[PUT] & ~machine.ghosts[TAKEN]) - (int)there;
    if (lost > (int)machine.kills)
        return "an item was lost";
    for (unsigned i = 0; i < threads_count; i++) {
        bool takes = machine.threads[i].sleep.words[0] == not_empty;
        if (is_asleep(i) && (takes ? there > 0 : there < capacity))
            return takes ? "a sleeper though there is an item" : "a sleeper though there is room";
    }
    return NULL;
}

#endif
