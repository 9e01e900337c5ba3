/* sync/event.c: a set releases all who wait, also if it is cleared at once. */
#include <shoal/sync.h>

#include "search.h"
#include "sync/event_shm.h"

enum { EVENT, DONE_BEFORE, RELEASED }; /* ghosts */

static struct event_shm *shm;

static void begin(void)
{
    machine.ghosts[EVENT] = machine_make_event(&shm).ref;
}

static shoal_event event(void)
{
    return (shoal_event){ machine.ghosts[EVENT] };
}

static void wait(void)
{
    if (shoal_event_wait(event(), SHOAL_FOREVER) < 0)
        machine_fail("wait failed");
    if (!machine.ghosts[DONE_BEFORE])
        machine_fail("released before it was set");
}

static void set(void)
{
    machine.ghosts[DONE_BEFORE] = 1;
    if (shoal_event_set(event()) < 0)
        machine_fail("set failed");
}

static void set_once(unsigned self)
{
    if (self < 2)
        wait();
    else
        set();
}

static void set_and_clear(unsigned self)
{
    if (self < 2) {
        wait();
        return;
    }
    set();
    if (shoal_event_clear(event()) < 0)
        machine_fail("clear failed");
}

static void two_set(unsigned self)
{
    if (self < 1)
        wait();
    else
        set_and_clear(2);
}

/* Who began to wait after the last set sleeps rightly: it has seen the word as it is. */
static const char *judge(void)
{
    for (unsigned i = 0; i < threads_count; i++) {
        const struct sleep *sleep = &machine.threads[i].sleep;
        for (unsigned j = 0; is_asleep(i) && j < sleep->count; j++)
            if (sleep->words[j] == &shm->word && sleep->expected[j] != shm->word)
                return "a sleeper that was there when the event was set";
    }
    return NULL;
}

void check_event(void)
{
    struct scenario once = { .name = "event, 2 waiters, 1 setter, 2 kills",
                             .threads = 3,
                             .kills = 2,
                             .preemptions = UNBOUNDED,
                             .begin = begin,
                             .thread = set_once,
                             .judge = judge,
                             .may_sleep = true };
    holds(&once);
    fails(&once, "event.S3");
    fails(&once, "park.tell");
    struct scenario clear = once;
    clear.name = "event, 2 waiters, set and clear, 2 kills";
    clear.thread = set_and_clear;
    holds(&clear);
    struct scenario two = once;
    two.name = "event, 1 waiter, 2 that set and clear, 2 kills";
    two.thread = two_set;
    holds(&two);
    struct scenario buffered = clear;
    buffered.name = "event, 1 waiter, 1 that sets and clears, store buffers, 1 kill";
    buffered.threads = 2;
    buffered.kills = 1;
    buffered.preemptions = UNBOUNDED;
    buffered.store_buffers = true;
    buffered.thread = two_set;
    holds(&buffered);
}
