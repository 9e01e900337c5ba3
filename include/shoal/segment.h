/*
 * A segment is the memory that processes share: a memory file, mapped by every attached process;
 * nameless and sealed, unless it was given a name by which unrelated programs find it. The
 * family's segment is made at first use and inherited by the children; it lies at one address in
 * all of them, so that pointers inside payloads are valid everywhere.
 * It grows while in use, 2 MiB at a time, and a limit that is reached is -ENOMEM at the call that
 * asked, never a signal.
 *
 * docs/examples/named.c is a complete program.
 */
#ifndef SHOAL_SEGMENT_H
#define SHOAL_SEGMENT_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

#define SHOAL_NAME_MAX 63 /* bytes of a name */

typedef struct {
    const char *name;     /* for shoal_segment_attach(); NULL: nameless */
    size_t size_max;      /* bytes it may grow to, 4 MiB to 1 TiB; 0: as in shoal_init_options */
    bool fixed_address;   /* -EADDRINUSE rather than another place than the family's */
    uint64_t reserved[8]; /* zero */
} shoal_segment_options;

/*
 * shoal_segment_create - a further segment, beside the family's.
 * @options: NULL for the defaults. A name has 1 to SHOAL_NAME_MAX bytes and no slash.
 * @ret_segment: the handle.
 * Owns:    the caller; it lives until its last process detached or ended, and with a name at least
 *          until shoal_segment_unlink(). A named one is a file that only this user can open, but it
 *          cannot be sealed: another process of the same user that shortens the file kills, by
 *          SIGBUS, who touches what is gone. A nameless one keeps its promises against everybody.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no name, or the name of a whole segment. The name of a killed creator
 *          stays until somebody unlinks it.
 * Returns: 0; -EINVAL; -ENOMEM a limit; -EMFILE; -EUSERS 16 are attached; -EADDRINUSE; -EEXIST the
 *          name; -EMSGSIZE the name is too long; -ENOTSUP there is no /dev/shm or no /proc.
 * Python:  multiprocessing.shared_memory.SharedMemory(create=True).
 */
SHOAL_MUST int shoal_segment_create(const shoal_segment_options *options,
                                    shoal_segment *ret_segment);

/*
 * shoal_segment_attach - join the segment of that name.
 * @name: given to it at its creation, by a program of the same user.
 * @ret_segment: the handle; a segment that is attached already answers its handle again.
 * Owns:    as shoal_segment_attach_fd().
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -ENOENT no such name; -EPERM another user's file, a link, or one that others may
 *          open; -EMSGSIZE the name is too long; else as shoal_segment_attach_fd().
 * Python:  multiprocessing.shared_memory.SharedMemory(name).
 */
SHOAL_MUST int shoal_segment_attach(const char *name, shoal_segment *ret_segment);

/*
 * shoal_segment_unlink - take a segment's name away.
 * @name: as in shoal_segment_attach().
 * Owns:    nobody can attach by the name from now on; who is attached keeps the segment.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   done or not done.
 * Returns: 0; -ENOENT no such name (any more); -EPERM another user's, or not a file; -EINVAL;
 *          -EMSGSIZE.
 * Python:  SharedMemory.unlink().
 */
SHOAL_API int shoal_segment_unlink(const char *name);

/*
 * shoal_segment_attach_fd - join a segment that another program made.
 * @fd: a descriptor of a nameless one, by inheritance, SCM_RIGHTS or /proc/PID/fd; duplicated, not
 *      kept.
 * @ret_segment: the handle; a segment that is attached already answers its handle again.
 * Owns:    the attachment is this process's; children made by fork inherit it.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -EINVAL not a descriptor open for reading and writing; -EPROTO not a segment, or
 *          one of another layout, untouched; -EUCLEAN its header is damaged; -EADDRINUSE its place
 *          or number is taken here; -EUSERS; -ENOMEM; -EMFILE; -EIO it could not be read.
 * Python:  none; multiprocessing.reduction.DupFd.
 */
SHOAL_MUST int shoal_segment_attach_fd(int fd, shoal_segment *ret_segment);

/*
 * shoal_segment_detach - leave a segment.
 * @segment: not the family's, which is never unmapped.
 * Owns:    from now on new calls with its handles and objects answer -ESTALE in every thread of the
 *          process. A thread that has used it leaves at its next call on any object, or at its
 *          end; until then its own pointers stay valid, and a call that waits inside goes on. The
 *          locks it held there are released. The last one to leave frees what the process still
 *          owned there, as if it had ended, and unmaps the segment. Attached again before that, it
 *          is as if never left.
 * Blocks:  no, but for look-ups of other threads, which are short.
 * Safe:    threads yes, also while others use the segment; after fork yes; signal handler no.
 * Death:   as if it had ended before or after.
 * Returns: 0; -EINVAL none, or the family's; -ESTALE not attached.
 * Python:  SharedMemory.close().
 */
SHOAL_API int shoal_segment_detach(shoal_segment segment);

/*
 * shoal_segment_fd - the descriptor of a segment, to be passed on.
 * @segment: an attached one.
 * Owns:    borrowed: do not close it.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: the descriptor; -EINVAL; -ESTALE.
 * Python:  none.
 */
SHOAL_API int shoal_segment_fd(shoal_segment segment);

/*
 * shoal_segment_family - the segment that is used where none is named.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: its handle, made now if need be; none if that failed (shoal_error_message() says why).
 * Python:  none.
 */
SHOAL_API shoal_segment shoal_segment_family(void);

/*
 * shoal_segment_of - the segment an object lies in.
 * @object: SHOAL_ANY(handle).
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: its handle; none if the segment is not attached here.
 * Python:  none.
 */
SHOAL_API shoal_segment shoal_segment_of(shoal_any object);

/*
 * shoal_publish - give an object a name within its segment.
 * @object: SHOAL_ANY(handle) of a queue, lock, semaphore, event, condition or barrier.
 * @name: 1 to SHOAL_NAME_MAX bytes without a slash; copied. An object may have several.
 * Owns:    the object is not kept: once it is destroyed, the name is as good as free.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   published or not.
 * Returns: 0; -EEXIST another object has the name; -ESTALE the object is gone; -EINVAL; -EMSGSIZE
 *          the name is too long; -ENOMEM; -EUCLEAN.
 * Python:  BaseManager.register().
 */
SHOAL_API int shoal_publish(shoal_any object, const char *name);

/*
 * shoal_unpublish - take an object's name away.
 * @segment: where it lies; none for the family's.
 * @name: of the object.
 * Owns:    the object stays; nobody can open it by the name any more.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   done or not done.
 * Returns: 0; -ENOENT no such name (any more); -ESTALE the segment is not attached; -EINVAL;
 *          -EMSGSIZE; -EUCLEAN.
 * Python:  none.
 */
SHOAL_API int shoal_unpublish(shoal_segment segment, const char *name);

SHOAL_END_DECLS
#endif
