/*
 * What every other header uses: handles, deadlines, and the library as a whole.
 *
 * Thread safety, once for all: any thread of any attached process may call any function at any
 * time, unless its comment says otherwise. The bytes of a payload are their owner's alone.
 * Results: `< 0` is failure, nothing happened and outputs are untouched; shoal_error_message()
 * says why in words. The codes are the closed list in error.h.
 */
#ifndef SHOAL_BASE_H
#define SHOAL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SHOAL_BEGIN_DECLS extern "C" {
#define SHOAL_END_DECLS }
#else
#define SHOAL_BEGIN_DECLS
#define SHOAL_END_DECLS
#endif
#define SHOAL_API __attribute__((visibility("default")))
#define SHOAL_MUST SHOAL_API __attribute__((warn_unused_result)) /* ignoring it is always a bug */

#define SHOAL_VERSION_MAJOR 0
#define SHOAL_VERSION_MINOR 1
#define SHOAL_VERSION_PATCH 0

SHOAL_BEGIN_DECLS

/*
 * Handles: one 8-byte reference into a segment, the same bits in every attached process, so that
 * passing one to a child is passing 8 bytes. Zero is none. A handle of another type does not
 * compile; one whose object is gone answers -ESTALE.
 */
/* clang-format off */
typedef struct { uint64_t ref; } shoal_segment;
typedef struct { uint64_t ref; } shoal_process;
typedef struct { uint64_t ref; } shoal_lock;
typedef struct { uint64_t ref; } shoal_semaphore;
typedef struct { uint64_t ref; } shoal_event;
typedef struct { uint64_t ref; } shoal_condition;
typedef struct { uint64_t ref; } shoal_barrier;
typedef struct { uint64_t ref; } shoal_queue;
typedef struct { uint64_t ref; } shoal_connection;
typedef struct { uint64_t ref; } shoal_any; /* any of the above */
typedef struct { uint64_t ref; } shoal_ref; /* a payload, by position: see shoal_ref_of() */
/* clang-format on */

static inline shoal_any shoal_any_of_ref(uint64_t ref)
{
    shoal_any any;
    any.ref = ref;
    return any;
}
#define SHOAL_ANY(handle) shoal_any_of_ref((handle).ref)
#define SHOAL_IS_NONE(handle) ((handle).ref == 0)
#define SHOAL_SAME(a, b) ((a).ref == (b).ref)

/*
 * When to give up: an absolute CLOCK_MONOTONIC time in nanoseconds, and an event whose setting
 * ends the call before that with -ECANCELED: see shoal_until(). What can be had at once is had
 * even if the event is set. Every wait can be cancelled but that for the end of processes, which
 * answers -ENOTSUP to a cancel event. SHOAL_NOW tries once; it waits at most 10 ms, for a process
 * that is inside the same object and does not run. SHOAL_FOREVER has no limit.
 * A thread must not be cancelled (pthread_cancel) inside a call.
 */
typedef struct {
    uint64_t ns;
    shoal_event cancel;
} shoal_deadline;

static inline shoal_deadline shoal_at_ns(uint64_t monotonic_ns)
{
    shoal_deadline deadline;
    deadline.ns = monotonic_ns;
    deadline.cancel.ref = 0;
    return deadline;
}
#define SHOAL_NOW shoal_at_ns(0)
#define SHOAL_FOREVER shoal_at_ns(UINT64_MAX)

/*
 * shoal_after_us - the deadline so many microseconds from now.
 * @microseconds: zero and negative ones poll, as in Python; too large ones are for ever.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: the deadline.
 * Python:  the timeout argument of every blocking call.
 */
SHOAL_API shoal_deadline shoal_after_us(int64_t microseconds);

/*
 * shoal_after_ms - the deadline so many milliseconds from now.
 * @milliseconds: as in shoal_after_us().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: the deadline.
 * Python:  the timeout argument of every blocking call.
 */
SHOAL_API shoal_deadline shoal_after_ms(int64_t milliseconds);

/*
 * shoal_after_s - the deadline so many seconds from now.
 * @seconds: as in shoal_after_us().
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: the deadline.
 * Python:  the timeout argument of every blocking call.
 */
SHOAL_API shoal_deadline shoal_after_s(int64_t seconds);

/*
 * shoal_until - a deadline that ends also when an event is set.
 * @deadline: any; a cancel event that it has is replaced.
 * @cancel: an event, in any attached segment; none for a deadline that nothing cancels.
 * Owns:    nothing: the event must exist as long as somebody waits.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: the deadline. A call that waits with it answers -ECANCELED once the event is set, and
 *          -ESTALE if the event is gone.
 * Python:  none.
 */
SHOAL_API shoal_deadline shoal_until(shoal_deadline deadline, shoal_event cancel);

/*
 * shoal_remaining_ms - how long until a deadline, as poll(2) wants it.
 * @deadline: any; its cancel event does not count.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: milliseconds, rounded up; 0 when it has passed; -1 for SHOAL_FOREVER.
 * Python:  none.
 */
SHOAL_API int shoal_remaining_ms(shoal_deadline deadline);

/*
 * How a child begins.
 *
 * FORK        a copy of this process, by fork(2). In a program with several threads the child may
 *             call only what is safe after fork(2); the cost grows with the program's memory.
 * SPAWN       the program anew, by exec: main() runs up to shoal_init(), which runs the target and
 *             does not return. Safe in any program, and the slowest.
 * FORKSERVER  the program anew once, as a server that shoal_init() makes of it; each child is a
 *             fork of that. Safe in any program, at the same small cost however large it is.
 *
 * A child of the latter two has nothing of its creator's memory but the segment, and none of his
 * descriptors but stdout and stderr; environment, working directory, limits and the like are those
 * of now with SPAWN, those of the first start with FORKSERVER, whose server is replaced when the
 * caller has become another user; shoal_process_options.setup says otherwise for a single child.
 * The server is a child of this process, which shoal_shutdown() ends; if it is killed, the next
 * start makes another. From the second start on it has one child ready, forked before it is wanted,
 * which waits and is no process of shoal's yet: the next start makes it one (no_ready_child in
 * shoal_init_options: none). It ends with the server.
 */
enum shoal_start_method {
    SHOAL_START_DEFAULT = 0, /* FORKSERVER if shoal_init() was given main's arguments, else FORK */
    SHOAL_START_FORK,
    SHOAL_START_SPAWN,
    SHOAL_START_FORKSERVER
};

/* All zero is what a program wants. */
typedef struct {
    enum shoal_start_method start_method;
    size_t size_max; /* bytes the family segment may grow to; 0: 64 GiB, less under a limit */
    bool daemons_without_children; /* as in Python; else daemons may start others, as all may */
    bool no_exit_hook;    /* embedders: exit() must not join children; call shoal_shutdown() */
    bool no_ready_child;  /* FORKSERVER forks when a process is started, and not before */
    uint64_t reserved[8]; /* zero */
} shoal_init_options;

/*
 * shoal_init - make this process the root of a family and say how it shall behave.
 * Without it a family begins at the first other call, with the defaults: children are forked, and
 * exit() joins none of them, so that those who do not outlive their parent are killed with it.
 * @argc: main's, unchanged; or NULL.
 * @argv: main's, unchanged: it says that main() itself calls, so that children can be exec'd, which
 *        come by here too; NULL: there is only FORK.
 * @options: NULL for the defaults.
 * Owns:    the options are read, not kept; *argv must stay as long as children are started.
 * Blocks:  no. In a child that was exec'd it does not return: it runs the target, and exits.
 * Safe:    threads one at a time, before other calls; after fork no; signal handler no.
 * Death:   nothing to leave: the family's memory has no name and goes with its last process.
 * Returns: 0; -EALREADY called before, or after another call; -EINVAL; -ENOMEM a limit; -EMFILE;
 *          -EUSERS; -EADDRINUSE; -ENOTSUP a method other than FORK without main's arguments;
 *          -ECHILD in what a child that is being exec'd has started before it came to its own.
 * Python:  the main module, with multiprocessing.set_start_method().
 */
SHOAL_MUST int shoal_init(int *argc, char ***argv, const shoal_init_options *options);

/*
 * shoal_shutdown - the exit sequence, now: end this process's daemons, join its other children, end
 * its fork server; and run finalizers before and after that (shoal/hooks.h). Daemons get SIGTERM
 * first of all; those that are still there a second later, and when the others have ended or at the
 * deadline, SIGKILL.
 * @deadline: for all of them together.
 * Owns:    the handles stay the caller's; exit codes can still be asked for.
 * Blocks:  until every child that this process started has ended, or @deadline; but neither for
 *          those that may outlive it, nor for a start that another thread has begun.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   the children die with their creator.
 * Returns: 0; -ETIMEDOUT a child still runs; -ENOTSUP a cancel event.
 * Python:  what multiprocessing does at exit.
 */
SHOAL_API int shoal_shutdown(shoal_deadline deadline);

/*
 * shoal_cpu_count - processors this process may run on.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: at least 1; the affinity mask counts.
 * Python:  os.process_cpu_count().
 */
SHOAL_API unsigned shoal_cpu_count(void);

/*
 * shoal_version - the version of the library that is linked.
 * Owns:    a constant text.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: "MAJOR.MINOR.PATCH".
 * Python:  multiprocessing.__version__ (long gone).
 */
SHOAL_API const char *shoal_version(void);

SHOAL_END_DECLS
#endif
