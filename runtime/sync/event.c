/*
 * Purpose. An event: set releases all who wait, also if it is cleared at once.
 *
 * Layout. event_shm.h.
 *
 * Protocol. set    S1 the bell is pending  S2 word: {g, clear} -> {g + 1, set}
 *                  S3 if the flag was 1 or told lags: wake all  S4 told = g + 1
 *                  S5 nothing is pending
 *           wait   read the word; done if set; else sleep (park.c) until its generation has moved;
 *                  whoever wakes and finds told behind the word does S3 and S4 for the setter
 *
 * Order. [event.word] set's S2 release -> wait: what was done before the set. seq_cst for
 * [park.flag].
 *
 * Progress. Killed between S2 and S4 the kernel wakes one, who wakes the others. Nothing but atomic
 * operations and a futex wake: set may be called in a signal handler.
 *
 * Limits. A waiter that sleeps through 2^31 sets may take the last for none.
 */
#include "sync/event_shm.h"

#include "mem/name.h"
#include "mem/object.h"
#include "os/chaos.h"
#include "sync/park.h"
#include "sync/settle.h"

#include <shoal/sync.h>

static struct event_shm *event_of(const struct shl_found *found)
{
    return (struct event_shm *)found->object;
}

int shoal_event_create(const shoal_event_options *options, shoal_event *ret_event)
{
    REQUIRE(ret_event, -EINVAL, "no place for the handle");
    shoal_event_options chosen = options ? *options : (shoal_event_options){ 0 };
    REQUIRE_RESERVED(&chosen);
    struct shl_segment *segment = shl_segment_of_handle(chosen.segment);
    struct object_shm *object = segment ? shl_object_create(segment, POOL_EVENT) : NULL;
    if (!object)
        return shl_error_code();
    struct event_shm *event = (struct event_shm *)object;
    /* The generation goes on where the place's last event ended. */
    uint32_t word = atom_load_relaxed(&event->word) & ~EVENT_SET;
    atom_store_relaxed(&event->word, word);
    atom_store_relaxed(&event->told, word >> 1);
    if (chosen.ends_with_creator)
        shl_object_tie(segment, object);
    ret_event->ref = shl_object_publish(object, KIND_EVENT);
    return 0;
}

/* S3 and S4. A setter before us may have taken the flag and died before its wake. */
static void wake_all(struct event_shm *event, uint32_t generation)
{
    bool told = atom_load_relaxed(&event->told) == ((generation - 1) & (UINT32_MAX >> 1));
    if (SHL_MISTAKE("event.told_first"))
        atom_store_relaxed(&event->told, generation);
    /* [park.flag] seq_cst. */
    if (unlikely(!told || atom_load_seq_cst(&event->bell.flag))) {
        atom_exchange_seq_cst(&event->bell.flag, 0); /* [park.flag] seq_cst */
        shl_futex_wake(&event->bell.bell, SHL_MISTAKE("event.S3") ? 1 : INT32_MAX);
    }
    SHL_CHAOS("event.S4");
    atom_store_relaxed(&event->told, generation);
}

static void set(struct event_shm *event)
{
    struct robust_list *before = shl_pending_set(&event->bell.bell);
    uint32_t seen = atom_load_relaxed(&event->word);
    while (!(seen & EVENT_SET) && !(SHL_MISTAKE("event.lost") && (seen >> 1) % 4 == 3)) {
        /* [event.word] release -> wait; seq_cst for [park.flag]. */
        if (likely(atom_cas_seq_cst_32(&event->word, seen, (seen + 2) | EVENT_SET))) {
            SHL_CHAOS("event.S3");
            wake_all(event, (seen + 2) >> 1);
            break;
        }
        seen = atom_load_relaxed(&event->word);
    }
    shl_pending_clear(before);
}

/* For a signal handler too: what the thread has found is read but not changed. */
int shoal_event_set(shoal_event handle)
{
    const struct shl_found *found = shl_find_again(handle.ref, KIND_EVENT);
    if (likely(found)) {
        set(event_of(found));
        return 0;
    }
    bool reading;
    struct object_shm *object = shl_object_find_begin(handle.ref, KIND_EVENT, &reading);
    if (object)
        set((struct event_shm *)object);
    shl_object_find_end(reading);
    return object ? 0 : shl_error_code();
}

int shoal_event_clear(shoal_event handle)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_EVENT);
    if (unlikely(!found))
        return shl_error_code();
    struct event_shm *event = event_of(found);
    uint32_t seen = atom_load_relaxed(&event->word);
    /* [event.word] release: a failed compare-and-set means that another has cleared it, and maybe
     * set it again: then that set came after this clear. */
    if (seen & EVENT_SET)
        atom_cas_release_32(&event->word, seen, seen & ~EVENT_SET);
    return 0;
}

bool shoal_event_is_set(shoal_event handle)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_EVENT);
    /* [event.word] acquire <- set: what was done before it. */
    return found && (atom_load_acquire(&event_of(found)->word) & EVENT_SET);
}

struct attempt {
    struct event_shm *event;
    uint64_t ref;
    uint32_t generation; /* when the wait began */
};

static int attempt_wait(void *context, struct shl_watches *ret_watches)
{
    struct attempt *attempt = context;
    /* [event.word] acquire <- set; seq_cst for [park.flag]. */
    uint32_t word = atom_load_seq_cst(&attempt->event->word);
    if (!shl_object_is(&attempt->event->object, attempt->ref))
        return shl_error(-ESTALE, "the event was destroyed");
    if ((word & EVENT_SET) || word >> 1 != attempt->generation)
        return 0;
    shl_watch(ret_watches, &attempt->event->word)->expected = word;
    return -EAGAIN;
}

int shoal_event_wait(shoal_event handle, shoal_deadline deadline)
{
    const struct shl_found *found = shl_find(handle.ref, KIND_EVENT);
    if (unlikely(!found))
        return shl_error_code();
    struct event_shm *event = event_of(found);
    /* [event.word] acquire <- set: what was done before it. */
    uint32_t word = atom_load_acquire(&event->word);
    if (likely(word & EVENT_SET))
        return 0;
    struct attempt attempt = { event, handle.ref, word >> 1 };
    struct shl_park_for what = { .attempt = attempt_wait,
                                 .context = &attempt,
                                 .object = &event->object,
                                 .ref = handle.ref,
                                 .event = event };
    int code = shl_park(&event->bell, &what, deadline);
    return code == -ETIMEDOUT ? shl_error(code, "the event is not set") : code;
}

int shoal_event_open(shoal_segment segment, const char *name, shoal_event *ret_event)
{
    return shl_name_open(segment, name, KIND_EVENT, ret_event ? &ret_event->ref : NULL);
}

int shoal_event_destroy(shoal_event handle)
{
    if (SHOAL_IS_NONE(handle))
        return 0;
    const struct shl_found *found = shl_find(handle.ref, KIND_EVENT);
    if (!found)
        return shl_error_code() == -ESTALE ? 0 : shl_error_code();
    struct event_shm *event = event_of(found);
    shl_park_end(found->segment, found->object, handle.ref, &event->bell);
    return 0;
}

const struct shl_settler shl_event_settler = { .bell = SHL_BELL_AT(event_shm) };
