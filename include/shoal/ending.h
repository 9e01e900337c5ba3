/*
 * Ending processes: by signals, one or with all that descends from it; or several in good order, by
 * a deadline. shoal/process.h includes this.
 *
 * docs/examples/ending.c is a complete program.
 */
#ifndef SHOAL_ENDING_H
#define SHOAL_ENDING_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/*
 * shoal_process_terminate - send SIGTERM.
 * @process: started by this process.
 * Owns:    unchanged.
 * Blocks:  no; join afterwards.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   an ended process is no error, and never is a recycled pid hit.
 * Returns: 0; -ESRCH not started; -ECHILD not the creator; -EPERM; -EINVAL; -ESTALE.
 * Python:  Process.terminate().
 */
SHOAL_API int shoal_process_terminate(shoal_process process);

/*
 * shoal_process_kill - send SIGKILL; whatever it was doing, the shared objects stay usable.
 * @process: started by this process.
 * Owns:    unchanged.
 * Blocks:  no; join afterwards.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   as shoal_process_terminate().
 * Returns: as shoal_process_terminate().
 * Python:  Process.kill().
 */
SHOAL_API int shoal_process_kill(shoal_process process);

/*
 * shoal_process_signal - send any signal.
 * @process: started by this process.
 * @signal_number: as in signal(7); 0 sends none.
 * Owns:    unchanged.
 * Blocks:  no.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   as shoal_process_terminate().
 * Returns: as shoal_process_terminate().
 * Python:  os.kill(process.pid, signal_number); Process.interrupt().
 */
SHOAL_API int shoal_process_signal(shoal_process process, int signal_number);

/*
 * shoal_process_terminate_tree - send SIGTERM to it and to all that descends from it.
 * @process: started by this process.
 * Owns:    unchanged.
 * Blocks:  until all were found: all are stopped (SIGSTOP) meanwhile, so that nobody starts others;
 *          milliseconds; but a tenth of a second and more if one cannot be stopped, and then what
 *          that one starts still is left out.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   killed inside: descendants that do not die with this process may be left stopped.
 * Returns: as shoal_process_kill_tree().
 * Python:  psutil's Process.children(recursive=True), and terminate() each.
 */
SHOAL_API int shoal_process_terminate_tree(shoal_process process);

/*
 * shoal_process_kill_tree - send SIGKILL to it and to all that descends from it, by whatever means
 * they were started. Children that were started by this library die with their creator anyway,
 * unless they may outlive it.
 * @process: started by this process.
 * Owns:    unchanged.
 * Blocks:  as shoal_process_terminate_tree().
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   as shoal_process_terminate_tree(). An ended process is no error, but who descends from
 *          it is not known any more; nor is a descendant whose own parent has ended.
 * Returns: 0; -EPERM some are another user's, and were left out; -ESRCH not started; -ECHILD not
 *          the creator; -ENOTSUP without /proc; -EMFILE; -ENOMEM; -EIO; -EINVAL; -ESTALE.
 * Python:  loky.backend.utils.kill_process_tree().
 */
SHOAL_API int shoal_process_kill_tree(shoal_process process);

/* What shoal_process_end_all() did last to a process while it still ran; in this order. */
enum shoal_end_step {
    SHOAL_END_NOTHING = 0, /* it had ended before */
    SHOAL_END_QUEUE,       /* its queue was shut down: it gets what is left, and then -EPIPE */
    SHOAL_END_EVENT,       /* the event was set that it waits for, or that cancels its waits */
    SHOAL_END_TERMINATE,   /* SIGTERM */
    SHOAL_END_KILL         /* SIGKILL */
};

typedef struct {
    shoal_queue queue;    /* none: this step is left out */
    shoal_event event;    /* likewise */
    uint64_t reserved[4]; /* zero */
} shoal_end_options;

/*
 * shoal_process_end_all - end several processes by one deadline: ask them, and make those who do
 * not listen. The steps are those of enum shoal_end_step: each is taken for all that still run, and
 * then they are waited for. The time to the deadline is shared out equally among the steps that are
 * not left out.
 * @processes: @count handles, all started by this process.
 * @count: handles.
 * @options: how they are asked; NULL: they are not, SIGTERM comes first.
 * @ret_steps: @count of them, which one each process needed; or NULL.
 * @deadline: for all of it; with SHOAL_NOW all steps are taken at once, with SHOAL_FOREVER the
 *            first one alone, as its time does not run out.
 * Owns:    unchanged; exit codes can be asked for, and handles are to be closed.
 * Blocks:  until all have ended, or @deadline. What is left in queues holds up nobody.
 * Safe:    threads yes; after fork creator only; signal handler no.
 * Death:   killed inside, between two steps: those processes die with this one, unless they may
 *          outlive it.
 * Returns: 0 all have ended; -ETIMEDOUT one has not gone yet, though killed; what a step answers
 *          that could not be taken, such as -ESTALE for the queue, though the others were; or, and
 *          nothing was done: -ESRCH not started; -ECHILD not the creator; -EINVAL; -ESTALE a
 *          process; -ENOTSUP a cancel event.
 * Python:  event.set(), then join(), terminate(), join() and kill() for p in processes.
 */
SHOAL_MUST int shoal_process_end_all(const shoal_process *processes, size_t count,
                                     const shoal_end_options *options,
                                     enum shoal_end_step *ret_steps, shoal_deadline deadline);

SHOAL_END_DECLS
#endif
