/* The sequential objects. */
#include "history.h"

#include <errno.h>
#include <shoal/lock.h>
#include <string.h>

static bool unfinished(const struct operation *operation)
{
    return operation->returned == 0;
}

/* --- queue ---------------------------------------------------------------------------------- */

static void init_nothing(uint32_t size, union state *ret_state)
{
    (void)size;
    memset(ret_state, 0, sizeof *ret_state);
}

static bool put(uint32_t size, union state *state, const struct operation *operation)
{
    if (operation->result == -EPIPE)
        return state->queue.closed;
    const bool full = state->queue.count == size;
    if (operation->result == -ETIMEDOUT)
        return full && !state->queue.closed;
    if (operation->result != 0 || full || state->queue.closed)
        return false;
    state->queue.values[state->queue.count++] = operation->value;
    return true;
}

static bool get(union state *state, const struct operation *operation)
{
    const bool empty = state->queue.count == 0;
    if (operation->result != 0)
        return empty && operation->result == (state->queue.closed ? -EPIPE : -ETIMEDOUT);
    if (empty || (!unfinished(operation) && operation->value != state->queue.values[0]))
        return false;
    memmove(state->queue.values, state->queue.values + 1,
            sizeof state->queue.values - sizeof state->queue.values[0]);
    state->queue.values[--state->queue.count] = 0;
    return true;
}

static bool queue_apply(uint32_t size, union state *state, const struct operation *operation)
{
    switch (operation->verb) {
    case PUT:
        return put(size, state, operation);
    case GET:
        return get(state, operation);
    case SHUTDOWN:
        state->queue.closed = 1;
        return operation->result == 0;
    default:
        return operation->verb == DIE;
    }
}

static void queue_print(const union state *state, FILE *file)
{
    fprintf(file, "the queue holds");
    for (uint32_t i = 0; i < state->queue.count; i++)
        fprintf(file, " %u", state->queue.values[i]);
    fprintf(file, "%s%s", state->queue.count == 0 ? " nothing" : "",
            state->queue.closed ? ", shut down" : "");
}

const struct model model_queue = { "queue", init_nothing, queue_apply, queue_print };

/* --- locks ---------------------------------------------------------------------------------- */

static bool acquire_lock(bool recursive, union state *state, const struct operation *operation)
{
    const uint32_t me = operation->track + 1;
    const bool mine = recursive && state->lock.holder == me;
    const bool to_be_had = mine || state->lock.holder == 0;
    if (operation->result == -ETIMEDOUT)
        return !to_be_had;
    const int expected = state->lock.died ? SHOAL_OWNER_DIED : 0;
    if (!to_be_had || (!unfinished(operation) && operation->result != expected))
        return false;
    state->lock.holder = me;
    state->lock.depth++;
    return true;
}

static bool release_lock(bool recursive, union state *state, const struct operation *operation)
{
    const bool held = recursive ? state->lock.holder == operation->track + 1
                                : state->lock.holder != 0;
    if (operation->result != 0)
        return !held && operation->result == (recursive ? -EPERM : -EOVERFLOW);
    if (!held)
        return false;
    if (--state->lock.depth == 0)
        state->lock.holder = 0;
    return true;
}

static bool clear_died(union state *state, const struct operation *operation)
{
    const bool mine = state->lock.holder == operation->track + 1;
    if (operation->result != 0)
        return !mine && operation->result == -EPERM;
    if (mine)
        state->lock.died = 0;
    return mine;
}

/* The next one, and all after him until one clears it, are told: died. */
static void die_with_lock(union state *state, const struct operation *operation)
{
    if (state->lock.holder != operation->track + 1)
        return;
    state->lock.holder = 0;
    state->lock.depth = 0;
    state->lock.died = 1;
}

static bool any_lock_apply(bool recursive, union state *state, const struct operation *operation)
{
    switch (operation->verb) {
    case ACQUIRE:
        return acquire_lock(recursive, state, operation);
    case RELEASE:
        return release_lock(recursive, state, operation);
    case CLEAR_DIED:
        return clear_died(state, operation);
    default:
        die_with_lock(state, operation);
        return operation->verb == DIE;
    }
}

static bool lock_apply(uint32_t size, union state *state, const struct operation *operation)
{
    (void)size;
    return any_lock_apply(false, state, operation);
}

static bool rlock_apply(uint32_t size, union state *state, const struct operation *operation)
{
    (void)size;
    return any_lock_apply(true, state, operation);
}

static void lock_print(const union state *state, FILE *file)
{
    if (state->lock.holder)
        fprintf(file, "%u has the lock", state->lock.holder - 1);
    else
        fprintf(file, "the lock is free");
    fprintf(file, "%s", state->lock.died ? ", a holder died" : "");
}

const struct model model_lock = { "lock", init_nothing, lock_apply, lock_print };
const struct model model_rlock = { "rlock", init_nothing, rlock_apply, lock_print };

/* --- semaphores ----------------------------------------------------------------------------- */

static void init_semaphore(uint32_t size, union state *ret_state)
{
    init_nothing(size, ret_state);
    ret_state->semaphore.value = size;
}

static bool acquire_permit(union state *state, const struct operation *operation)
{
    const bool none = state->semaphore.value == 0;
    if (operation->result != 0)
        return none && operation->result == -ETIMEDOUT;
    if (none)
        return false;
    state->semaphore.value--;
    return true;
}

static bool semaphore_apply(uint32_t size, union state *state, const struct operation *operation)
{
    (void)size;
    switch (operation->verb) {
    case ACQUIRE:
        return acquire_permit(state, operation);
    case RELEASE:
        state->semaphore.value++;
        return operation->result == 0;
    case VALUE:
        return unfinished(operation) || operation->value == state->semaphore.value;
    default:
        return operation->verb == DIE;
    }
}

static bool bounded_apply(uint32_t size, union state *state, const struct operation *operation)
{
    const bool most = operation->verb == RELEASE && state->semaphore.value == size;
    if (operation->verb == RELEASE && operation->result != 0)
        return most && operation->result == -EOVERFLOW;
    return !most && semaphore_apply(size, state, operation);
}

/* Who holds how many counts here alone: of the others, who releases need not have acquired. */
static bool owned_apply(uint32_t size, union state *state, const struct operation *operation)
{
    uint8_t *held = &state->semaphore.held[operation->track];
    if (operation->verb == DIE)
        state->semaphore.value += *held;
    if ((operation->verb == RELEASE && *held == 0) || !semaphore_apply(size, state, operation))
        return false;
    if (operation->verb == RELEASE)
        --*held;
    if (operation->verb == ACQUIRE && operation->result == 0)
        ++*held;
    return true;
}

static void semaphore_print(const union state *state, FILE *file)
{
    fprintf(file, "the value is %u", state->semaphore.value);
}

const struct model model_semaphore = { "semaphore", init_semaphore, semaphore_apply,
                                       semaphore_print };
const struct model model_bounded = { "bounded", init_semaphore, bounded_apply, semaphore_print };
const struct model model_owned = { "owned", init_semaphore, owned_apply, semaphore_print };

/* --- event ---------------------------------------------------------------------------------- */

static bool event_apply(uint32_t size, union state *state, const struct operation *operation)
{
    (void)size;
    switch (operation->verb) {
    case SET:
        state->event.set = 1;
        return operation->result == 0;
    case CLEAR:
        state->event.set = 0;
        return operation->result == 0;
    case IS_SET:
        return unfinished(operation) || operation->value == state->event.set;
    case WAIT:
        return unfinished(operation) || operation->result == (state->event.set ? 0 : -ETIMEDOUT);
    default:
        return operation->verb == DIE;
    }
}

static void event_print(const union state *state, FILE *file)
{
    fprintf(file, "the event is %s", state->event.set ? "set" : "clear");
}

const struct model model_event = { "event", init_nothing, event_apply, event_print };
