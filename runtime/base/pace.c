#include "base/pace.h"

#include "base/atom.h"

enum { PAUSES_MIN = 4, PAUSES_TRY = 32, PAUSES_MAX = 512, PATIENCE_MIN = 8, PATIENCE_MAX = 1024 };
enum { FEW = 2, MANY = 16 };

static uint16_t smaller(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

/* Nothing came of the last looks at once: every so often a pause is tried all the same. */
static void learn_without(struct shl_pace *pace)
{
    if (pace->patience < PATIENCE_MIN)
        pace->patience = PATIENCE_MIN;
    if (++pace->misses < pace->patience)
        return;
    pace->misses = 0;
    pace->pauses = PAUSES_TRY;
    pace->is_trying = 1;
}

static void learn(struct shl_pace *pace, uint32_t hits, uint64_t capacity)
{
    uint64_t many = capacity / 8 < MANY ? capacity / 8 : MANY;
    if (hits > capacity / 2) { /* the other side may have had to wait */
        pace->pauses = pace->pauses / 2 < PAUSES_MIN ? PAUSES_MIN : pace->pauses / 2;
        /* cppcheck-suppress knownConditionTrueFalse ; of a large capacity a few are less */
    } else if (hits >= many && hits > FEW) {
        if (hits < capacity / 4)
            pace->pauses = smaller((uint16_t)(pace->pauses * 2), PAUSES_MAX);
        pace->patience = PATIENCE_MIN;
        pace->is_trying = 0;
    } else if (hits <= FEW) {
        pace->pauses /= 2;
        if (pace->pauses >= PAUSES_MIN)
            return;
        pace->pauses = 0;
        if (pace->is_trying)
            pace->patience = smaller((uint16_t)(pace->patience * 2), PATIENCE_MAX);
    }
}

void shl_pace_miss(struct shl_pace *pace, uint64_t capacity)
{
    uint32_t hits = pace->hits;
    pace->hits = 0;
    if (pace->pauses == 0)
        learn_without(pace);
    else
        learn(pace, hits, capacity);
    for (unsigned i = 0; i < pace->pauses; i++)
        atom_pause();
}
