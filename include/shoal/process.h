/*
 * Processes managed like threads: create, start, join. A child runs one function of this program
 * and shares the family's segment; it dies with the process that created it, whichever thread
 * started it and however it ends, unless it may outlive it.
 *
 * No signal handler is installed and no SIGCHLD stolen: children are watched and reaped by pidfd.
 * A call that is for the creator alone says so and answers -ECHILD elsewhere.
 *
 * docs/examples/exitcodes.c and docs/examples/daemon.c are complete programs.
 */
#ifndef SHOAL_PROCESS_H
#define SHOAL_PROCESS_H

#include <limits.h>
#include <shoal/base.h>
#include <shoal/ending.h>
#include <shoal/identity.h>
#include <shoal/setup.h>
#include <sys/types.h>

SHOAL_BEGIN_DECLS

#define SHOAL_EXITCODE_NONE INT_MIN          /* not started, or running */
#define SHOAL_EXITCODE_UNKNOWN (INT_MIN + 1) /* somebody else took the status, before Linux 6.15 */
#define SHOAL_PROCESS_ARGUMENT_MAX 65536     /* bytes of an argument */
#define SHOAL_PROCESS_FDS_MAX 32             /* descriptors that a child is given */

/* A kind of process: what it runs, with a state that its creator sees too. */
#define SHOAL_PROCESS_TYPE_MAX 31
typedef struct {
    const char *name; /* Worker: its processes are Worker-N; at most SHOAL_PROCESS_TYPE_MAX bytes */
    void (*run)(shoal_process self, void *state);
    size_t state_size;    /* bytes, zero but for the argument, which it begins with */
    uint64_t reserved[4]; /* zero */
} shoal_process_type;

typedef struct {
    void (*target)(void *argument); /* runs in the child; its return is exit code 0 */
    const shoal_process_type *type; /* instead of a target; read at create */
    const void *argument;           /* copied at create into a block that both sides see */
    size_t argument_size;           /* bytes */
    const char *name;               /* copied; NULL: Process-N, or Process-N:M in Process-N */
    bool daemon;                    /* ended when its creator exits; false: as its creator is */
    bool auto_close;                /* nobody will close the handle */
    bool outlives_parent;           /* its creator's end, whatever it is, does not end it */
    enum shoal_start_method start_method;
    const int *fds;                   /* the child is given these: shoal_process_fd() */
    size_t fds_count;                 /* at most SHOAL_PROCESS_FDS_MAX */
    const shoal_process_setup *setup; /* environment, directory, limits and the like; or NULL */
    uint64_t reserved[5];             /* zero */
} shoal_process_options;
#define SHOAL_COPY_OF(object) .argument = &(object), .argument_size = sizeof(object)

/*
 * shoal_process_create - describe a process, without starting it.
 * @options: with at least a target or a type.
 * @ret_process: the handle.
 * Owns:    the caller, until shoal_process_close(); name and argument are copied now;
 *          descriptors must be open until it is started.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   the creator's ends it: its memory is free again and its handle stale.
 * Returns: 0; -EINVAL no target or type, or both, an argument without size or the reverse, a
 *          descriptor that is not open, a setup that makes no sense; -EMSGSIZE argument, state or
 *          name too long, or too many descriptors; -ENOTSUP nothing to exec: see shoal_init();
 *          -ENOMEM.
 * Python:  multiprocessing.Process(target, name, args).
 */
SHOAL_MUST int shoal_process_create(const shoal_process_options *options,
                                    shoal_process *ret_process);

/*
 * shoal_process_start - start it.
 * @process: created by this process, not started yet.
 * Owns:    the child shares the segment; its stdin is /dev/null. What else it has depends on the
 *          method: see enum shoal_start_method.
 * Blocks:  until the child begins: for the time of a fork, or of the program's way to shoal_init(),
 *          longer if it is stopped there; while another thread starts one; and while another thread
 *          holds the lock of stdout or stderr, which are flushed first. No other call waits for a
 *          start. A fork server that is stopped is ended, and another one started.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   the child is killed by the kernel when this process ends, however it ends; one that may
 *          outlive it only while this call has not returned. A process forked by other means delays
 *          that until it uses shoal, execs or ends; a child that execs or closes descriptors that
 *          are not its own is not killed.
 * Returns: 0; -EALREADY started before; -ECHILD not the creator; -EPERM a daemon where those may
 *          have no children; -EUSERS no process to be had; -EMFILE; -ENOMEM; -ESTALE; -EINVAL, also
 *          a target that is no function of a loaded file; -ENOTSUP a file without build id;
 *          -EPROTO the target's library was replaced; -ENOENT it is gone, or its name not known;
 *          -EIO the child ended on its way, or could not be tied to this process; what its setup
 *          asks for may also be refused with -EPERM, -ENOENT, -EINVAL or another code of errno's.
 * Python:  Process.start().
 */
SHOAL_MUST int shoal_process_start(shoal_process process);

/*
 * shoal_process_start_new - create and start in one call.
 * @options: as in shoal_process_create().
 * @ret_process: the handle; may be NULL with auto_close.
 * Owns:    as create and start; on failure nothing is left.
 * Blocks:  as shoal_process_start().
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_process_start().
 * Returns: as create and start.
 * Python:  Process(...).start().
 */
SHOAL_MUST int shoal_process_start_new(const shoal_process_options *options,
                                       shoal_process *ret_process);

/*
 * shoal_process_run - run its target here and now, without a process.
 * @process: created by this process; a type's run() gets it as self.
 * Owns:    the block that the target gets is the process's.
 * Blocks:  as the target does.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   as the target's.
 * Returns: 0; -ECHILD not the creator; -EINVAL; -ESTALE.
 * Python:  Process.run().
 */
SHOAL_API int shoal_process_run(shoal_process process);

/*
 * shoal_process_join - wait for its end.
 * @process: started by this process; or the parent.
 * @deadline: when to give up.
 * Owns:    unchanged; close it when nobody asks any more.
 * Blocks:  until the process ended, or @deadline; signals do not end it.
 * Safe:    threads yes, several may join one process; after fork creator only; signal handler no.
 * Death:   the process's death is what it waits for.
 * Returns: 0; -ETIMEDOUT still running; -ESRCH not started, or its start has not returned; -ECHILD
 *          not the creator; -EINVAL; -ESTALE; -ENOTSUP a cancel event.
 * Python:  Process.join(timeout).
 */
SHOAL_MUST int shoal_process_join(shoal_process process, shoal_deadline deadline);

/*
 * shoal_process_join_all - wait for the end of several.
 * @processes: @count handles.
 * @count: handles.
 * @deadline: for all of them together.
 * Owns:    unchanged.
 * Blocks:  until all ended, or @deadline.
 * Safe:    as shoal_process_join().
 * Death:   as shoal_process_join().
 * Returns: 0; the first failure in their order; -EINVAL.
 * Python:  for p in processes: p.join().
 */
SHOAL_MUST int shoal_process_join_all(const shoal_process *processes, size_t count,
                                      shoal_deadline deadline);

/*
 * shoal_process_set_daemon - say whether its creator's exit waits for it, or ends it.
 * @process: created by this process, not started yet.
 * @daemon: true: shoal_shutdown(), and so exit(), ends it.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -EALREADY started before; -ECHILD not the creator; -EINVAL, also for one that
 *          outlives_parent; -ESTALE.
 * Python:  Process.daemon = daemon.
 */
SHOAL_API int shoal_process_set_daemon(shoal_process process, bool daemon);

/*
 * shoal_process_close - give the handle and what belongs to it back.
 * @process: none is fine.
 * Owns:    nobody; the handle is stale everywhere afterwards.
 * Blocks:  no.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   killed inside: as the creator's death.
 * Returns: 0, also for a handle that is closed already; -EBUSY still running, or being started;
 *          -ECHILD not the creator; -EINVAL a handle of something else.
 * Python:  Process.close().
 */
SHOAL_API int shoal_process_close(shoal_process process);

/*
 * shoal_process_exitcode - how it ended.
 * @process: any; elsewhere than in the creator the answer is as old as the creator's last look.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   sticky.
 * Returns: 0 to 255; minus the signal that killed it; SHOAL_EXITCODE_NONE not started, running or
 *          a stale handle; SHOAL_EXITCODE_UNKNOWN when somebody else took the status.
 * Python:  Process.exitcode.
 */
SHOAL_API int shoal_process_exitcode(shoal_process process);

/*
 * shoal_process_is_alive - does it run?
 * @process: any.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   a stopped process is alive.
 * Returns: true from start to end; false for a stale handle.
 * Python:  Process.is_alive().
 */
SHOAL_API bool shoal_process_is_alive(shoal_process process);

/*
 * shoal_process_sentinel - a descriptor that is readable once the process ended.
 * @process: started by this process.
 * Owns:    borrowed: do not close it; it is valid until shoal_process_close().
 * Blocks:  no.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   the process's death makes it readable.
 * Returns: a pidfd for poll(2); -ESRCH not started; -ECHILD not the creator; -EINVAL; -ESTALE.
 * Python:  Process.sentinel.
 */
SHOAL_API int shoal_process_sentinel(shoal_process process);

/*
 * shoal_process_fd - a descriptor that this process was given by its creator.
 * @index: its place in shoal_process_options.fds.
 * Owns:    the caller, who may close it; the creator may close his at once. It is closed at exec.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler yes.
 * Death:   nothing to leave.
 * Returns: the descriptor, which may have another number than in the creator; -ERANGE.
 * Python:  multiprocessing.reduction.DupFd().
 */
SHOAL_API int shoal_process_fd(size_t index);

/*
 * shoal_process_argument - the block that its target gets.
 * @process: any.
 * Owns:    the process's, until it is closed: what it has written there can be read after its end.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   the block is as the process left it.
 * Returns: the block; NULL for none, or for a stale handle.
 * Python:  attributes of the process object.
 */
SHOAL_API void *shoal_process_argument(shoal_process process);

/*
 * shoal_register - name a target, for programs whose files have no build id.
 * @name: not copied: a constant.
 * @target: found by this name in processes that are started by exec, not by its place in its file.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads one at a time, before shoal_init(); after fork no; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0, also if it is known already; -EEXIST the name is another target's; -EMSGSIZE;
 *          -EINVAL; -ENOMEM.
 * Python:  a target that can be imported.
 */
SHOAL_MUST int shoal_register(const char *name, void (*target)(void *argument));

/*
 * shoal_fail - end this process with an error: "Process NAME:" and the text on stderr, exit code 1.
 * @format: as in printf(3).
 * Owns:    nothing.
 * Blocks:  as exit(3).
 * Safe:    threads as exit(3); after fork yes; signal handler no.
 * Death:   does not return.
 * Returns: never.
 * Python:  an uncaught exception in the target.
 */
SHOAL_API void shoal_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

SHOAL_END_DECLS
#endif
