/* Ending several processes in good order, by one deadline. */
#include "base/clock.h"
#include "proc/process.h"

#include <shoal/event.h>
#include <shoal/queue.h>

/* What is to be ended, and how. */
struct ending {
    const shoal_process *processes;
    size_t count;
    shoal_end_options options;
    enum shoal_end_step *steps; /* NULL: nobody asks */
};

static bool is_left_out(const struct ending *ending, enum shoal_end_step step)
{
    return (step == SHOAL_END_QUEUE && SHOAL_IS_NONE(ending->options.queue)) ||
           (step == SHOAL_END_EVENT && SHOAL_IS_NONE(ending->options.event));
}

/* Another thread may have joined and closed it. */
static bool runs(shoal_process process)
{
    return shoal_process_join(process, SHOAL_NOW) == -ETIMEDOUT;
}

/* Answers whether one runs still. */
static bool note(const struct ending *ending, enum shoal_end_step step)
{
    bool any = false;
    for (size_t i = 0; i < ending->count; i++) {
        if (!runs(ending->processes[i]))
            continue;
        any = true;
        if (ending->steps)
            ending->steps[i] = step;
    }
    return any;
}

static int signal_all(const struct ending *ending, int (*send)(shoal_process process))
{
    int first = 0;
    for (size_t i = 0; i < ending->count; i++) {
        int code = runs(ending->processes[i]) ? send(ending->processes[i]) : 0;
        first = first < 0 || code == -ESTALE ? first : code;
    }
    return first;
}

static int take(const struct ending *ending, enum shoal_end_step step)
{
    switch (step) {
    case SHOAL_END_QUEUE:
        return shoal_queue_shutdown(ending->options.queue);
    case SHOAL_END_EVENT:
        return shoal_event_set(ending->options.event);
    case SHOAL_END_TERMINATE:
        return signal_all(ending, shoal_process_terminate);
    default:
        return signal_all(ending, shoal_process_kill);
    }
}

/* As much of what is left as falls to each of so many steps. */
static shoal_deadline share_of(shoal_deadline deadline, unsigned steps)
{
    uint64_t now = shl_clock_ns();
    return deadline.ns > now ? shoal_at_ns(now + (deadline.ns - now) / steps) : SHOAL_NOW;
}

static int take_steps(const struct ending *ending, shoal_deadline deadline)
{
    int first = 0;
    unsigned left = 0;
    for (enum shoal_end_step step = SHOAL_END_QUEUE; step <= SHOAL_END_KILL; step++)
        left += !is_left_out(ending, step);
    for (enum shoal_end_step step = SHOAL_END_QUEUE; step <= SHOAL_END_KILL; step++) {
        if (is_left_out(ending, step))
            continue;
        if (!note(ending, step))
            return first;
        int code = take(ending, step);
        first = first < 0 ? first : code;
        shoal_deadline share = share_of(deadline, left--);
        for (size_t i = 0; i < ending->count; i++)
            (void)!shoal_process_join(ending->processes[i], share); /* note() looks */
    }
    REQUIRE(!note(ending, SHOAL_END_KILL), -ETIMEDOUT, "a process has been killed and still runs");
    return first;
}

/* 0, or why not all of them can be ended by this process. */
static int check(const struct ending *ending)
{
    REQUIRE(ending->processes || ending->count == 0, -EINVAL, "no processes");
    REQUIRE_RESERVED(&ending->options);
    for (size_t i = 0; i < ending->count; i++) {
        int code = shoal_process_signal(ending->processes[i], 0);
        if (code < 0 && code != -EPERM)
            return code;
    }
    return 0;
}

int shoal_process_end_all(const shoal_process *processes, size_t count,
                          const shoal_end_options *options, enum shoal_end_step *ret_steps,
                          shoal_deadline deadline)
{
    const shoal_end_options chosen = options ? *options : (shoal_end_options){ 0 };
    const struct ending ending = { processes, count, chosen, ret_steps };
    int code = shl_join_check(deadline);
    if (code == 0)
        code = check(&ending);
    if (code < 0)
        return code;
    for (size_t i = 0; ret_steps && i < count; i++)
        ret_steps[i] = SHOAL_END_NOTHING;
    return take_steps(&ending, deadline);
}
