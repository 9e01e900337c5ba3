/*
 * Who is who: names of processes, the calling one, its parent and its children.
 */
#ifndef SHOAL_IDENTITY_H
#define SHOAL_IDENTITY_H

#include <shoal/base.h>
#include <sys/types.h>

SHOAL_BEGIN_DECLS

#define SHOAL_PROCESS_NAME_MAX 63 /* bytes of a name, without the final zero */

/*
 * shoal_current_process - the calling process.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: in a child, its handle; in the family's root and in processes forked by other means a
 *          handle named MainProcess; none if there is no memory for it.
 * Python:  multiprocessing.current_process().
 */
SHOAL_API shoal_process shoal_current_process(void);

/*
 * shoal_parent_process - who created the calling process.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   its end can be asked for, and waited for by shoal_process_join().
 * Returns: its handle; none in the family's root and in processes forked by other means.
 * Python:  multiprocessing.parent_process().
 */
SHOAL_API shoal_process shoal_parent_process(void);

/*
 * shoal_active_children - the children that run.
 * @ret_children: as many handles as there is room for.
 * @count_max: handles.
 * Owns:    nothing; handles with auto_close may be stale at any time.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   those that ended are reaped, and are not among them.
 * Returns: how many there are, also if there is room for fewer.
 * Python:  multiprocessing.active_children().
 */
SHOAL_API size_t shoal_active_children(shoal_process *ret_children, size_t count_max);

/*
 * shoal_process_name - its name.
 * @process: any, in any process of the family.
 * Owns:    the text lives until the process is closed; shoal_process_set_name() changes it.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: never NULL; "?" for a stale handle.
 * Python:  Process.name.
 */
SHOAL_API const char *shoal_process_name(shoal_process process);

/*
 * shoal_process_set_name - call it something else.
 * @process: created by this process, or the calling process itself.
 * @name: copied; at most SHOAL_PROCESS_NAME_MAX bytes.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads one at a time, and none that reads the name meanwhile; after fork yes; signal
 *          handler no.
 * Death:   killed inside: others may read a name that is partly the old one.
 * Returns: 0; -EMSGSIZE; -ECHILD not the creator; -EINVAL; -ESTALE. A child that was started has
 *          a name of its own by then: neither sees what the other calls it.
 * Python:  Process.name = name.
 */
SHOAL_API int shoal_process_set_name(shoal_process process, const char *name);

/*
 * shoal_process_pid - its process id.
 * @process: any, in any process of the family.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   the number stays when the process ended.
 * Returns: the pid; 0 not started, or a stale handle.
 * Python:  Process.pid.
 */
SHOAL_API pid_t shoal_process_pid(shoal_process process);

/*
 * shoal_process_is_daemon - does its creator's exit end it?
 * @process: any.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: false for the main process, and for a stale handle.
 * Python:  Process.daemon.
 */
SHOAL_API bool shoal_process_is_daemon(shoal_process process);

/*
 * shoal_process_describe - all that is known of it, in a line.
 * @process: any.
 * @ret_text: as for snprintf(3): the text, cut off if need be.
 * @size: bytes there.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: the length of the whole text, such as
 *          <Process name='Process-2' pid=71 parent=70 stopped exitcode=-SIGTERM daemon>; instead of
 *          stopped: initial, started, or unknown elsewhere than in the creator. Of a stale handle:
 *          <Process closed>.
 * Python:  repr(process).
 */
SHOAL_API size_t shoal_process_describe(shoal_process process, char *ret_text, size_t size);

SHOAL_END_DECLS
#endif
