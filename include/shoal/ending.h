/*
 * Ending processes by signals: one, or with all that descends from it. shoal/process.h includes
 * this.
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
 *          milliseconds, or 100 if one cannot be stopped at once.
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

SHOAL_END_DECLS
#endif
