/*
 * A pipe carries messages between two ends, each of which belongs to one process. Payloads are
 * handed over as by a queue: nothing is copied, messages of any size stay apart, empty ones too.
 *
 * Both ends belong to their creator at first; shoal_connection_give() hands one to another process.
 * When an end is closed, or its process has died, the other one can still receive what was sent
 * before, and is then told -EPIPE. An end that a child shall have is given to it between
 * shoal_process_create() and shoal_process_start(): its handle alone is not enough.
 *
 * Open files, sockets and other descriptors are handed over beside the messages, in an order of
 * their own: shoal_connection_send_fd(). What one is for is said in a message.
 *
 * docs/examples/pipe.c and handover.c are complete programs.
 */
#ifndef SHOAL_PIPE_H
#define SHOAL_PIPE_H

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/* How many messages wait at an end of a pipe whose options do not say it. */
#define SHOAL_PIPE_CAPACITY_DEFAULT 1024

typedef struct {
    shoal_segment segment; /* none: the family's; ends in others cannot be given away */
    bool one_way;          /* the second end sends, and the first one receives */
    size_t capacity_count; /* messages each way; 0: SHOAL_PIPE_CAPACITY_DEFAULT */
    uint64_t reserved[4];  /* zero */
} shoal_pipe_options;

/*
 * shoal_pipe_create - two connected ends.
 * @options: NULL for the defaults.
 * @ret_first: an end.
 * @ret_second: the other one.
 * Owns:    the calling process holds both, until shoal_connection_close() or its death.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: no pipe; its memory goes with the segment.
 * Returns: 0; -EINVAL; -ENOMEM; -ESTALE the segment is not attached.
 * Python:  multiprocessing.Pipe(duplex).
 */
SHOAL_MUST int shoal_pipe_create(const shoal_pipe_options *options, shoal_connection *ret_first,
                                 shoal_connection *ret_second);

/*
 * shoal_connection_give - hand an end to another process.
 * @connection: held by the calling process.
 * @process: who holds it from now on; it need not have been started yet.
 * Owns:    @process holds the end; here its calls answer -EPERM. Messages that have come go with
 *          it, descriptors that have come are closed.
 * Blocks:  no.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: given or not. If @process ends without having used the end, the other end
 *          learns it within a second, else at once.
 * Returns: 0; -EINVAL; -EPERM another process holds it; -EXDEV it is not in the family's segment;
 *          -ESTALE.
 * Python:  passing the Connection to Process().
 */
SHOAL_API int shoal_connection_give(shoal_connection connection, shoal_process process);

/*
 * shoal_connection_send - hand a message to the other end.
 * @connection: held by the calling process.
 * @payload: the caller's, from shoal_alloc(); not NULL.
 * @deadline: when to give up.
 * Owns:    on success @payload is on its way; on failure it is still the caller's.
 * Blocks:  while as many messages wait there as may, until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the message was wholly sent or not at all. What is on its way to an end
 *          whose process dies is freed.
 * Returns: 0; -ETIMEDOUT; -ECANCELED; -EPIPE the other end is closed; -EPERM another process holds
 *          this end, or the payload; -EINVAL also for the receiving end of a one-way pipe; -EFAULT
 *          not a payload; -EXDEV of another segment; -ESTALE this end is closed, or the cancel
 *          event is gone.
 * Python:  Connection.send(obj).
 */
SHOAL_MUST int shoal_connection_send(shoal_connection connection, void *payload,
                                     shoal_deadline deadline);

/*
 * shoal_connection_send_bytes - hand a copy of some bytes to the other end.
 * @connection: as in shoal_connection_send().
 * @data: copied; may be NULL if @size is 0.
 * @size: bytes.
 * @deadline: when to give up.
 * Owns:    the caller keeps @data.
 * Blocks:  as shoal_connection_send().
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_connection_send().
 * Returns: as shoal_connection_send(); -ENOMEM no memory for the copy.
 * Python:  Connection.send_bytes(buffer, offset, size): a part of a buffer is @data + offset.
 */
SHOAL_MUST int shoal_connection_send_bytes(shoal_connection connection, const void *data,
                                           size_t size, shoal_deadline deadline);

/*
 * shoal_connection_recv - take the oldest message from the other end.
 * @connection: held by the calling process.
 * @ret_payload: the message, where its sender built it.
 * @deadline: when to give up.
 * Owns:    the calling process owns the message.
 * Blocks:  until one comes, the other end is closed or its process dies, or @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: the message is lost with the end.
 * Returns: 0; -ETIMEDOUT; -ECANCELED; -EPIPE the other end is closed and nothing is left; -EPERM
 *          another process holds this end; -EINVAL also for the sending end of a one-way pipe;
 *          -ESTALE this end is closed, or the cancel event is gone; -EUCLEAN.
 * Python:  Connection.recv(); -EPIPE where it raises EOFError.
 */
SHOAL_MUST int shoal_connection_recv(shoal_connection connection, void **ret_payload,
                                     shoal_deadline deadline);

/*
 * shoal_connection_recv_bytes - copy the oldest message from the other end.
 * @connection: as in shoal_connection_recv().
 * @ret_data: room for @size_max bytes.
 * @size_max: the largest message that is taken.
 * @ret_size: bytes of the message.
 * @deadline: when to give up.
 * Owns:    the copy is the caller's, the message is freed.
 * Blocks:  as shoal_connection_recv().
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   as shoal_connection_recv().
 * Returns: as shoal_connection_recv(); -EMSGSIZE the message is larger: it stays, for a call with
 *          more room or for shoal_connection_recv().
 * Python:  Connection.recv_bytes(maxlength), recv_bytes_into(); here neither is the message lost,
 *          nor does the end become unreadable.
 */
SHOAL_MUST int shoal_connection_recv_bytes(shoal_connection connection, void *ret_data,
                                           size_t size_max, size_t *ret_size,
                                           shoal_deadline deadline);

/*
 * shoal_connection_poll - would a receive answer at once?
 * @connection: as in shoal_connection_recv().
 * @deadline: until when to wait for it.
 * Owns:    nothing.
 * Blocks:  as shoal_connection_recv().
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0 something has come, or nothing will; else as shoal_connection_recv().
 * Python:  Connection.poll(timeout).
 */
SHOAL_MUST int shoal_connection_poll(shoal_connection connection, shoal_deadline deadline);

/*
 * shoal_connection_send_fd - hand an open file to the other end.
 * @connection: held by the calling process, in the family's segment.
 * @fd: any descriptor: of a file, a socket, a pipe, a terminal.
 * @deadline: when to give up.
 * Owns:    the caller keeps @fd, and may close it at once; the other end gets one of its own.
 * Blocks:  until the process at the other end has come to receive something there for the first
 *          time, and while about 64 descriptors wait there; until @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: it was sent or not. What was sent is received, though its sender be dead;
 *          what is on its way to an end whose process dies is closed.
 * Returns: 0; -ETIMEDOUT; -ECANCELED; -EPIPE the other end is closed; -EPERM another process holds
 *          this end; -EINVAL also if @fd is not open, or for the receiving end of a one-way pipe;
 *          -EXDEV the pipe is not in the family's segment; -EMFILE no descriptor is left, or more
 *          of this user are on their way than RLIMIT_NOFILE; -ENOTSUP the other process is in
 *          another network namespace; -ENOMEM; -ESTALE as shoal_connection_send().
 * Python:  multiprocessing.reduction.send_handle(), and sending a socket or a Connection.
 */
SHOAL_MUST int shoal_connection_send_fd(shoal_connection connection, int fd,
                                        shoal_deadline deadline);

/*
 * shoal_connection_recv_fd - take the oldest descriptor from the other end.
 * @connection: held by the calling process, in the family's segment.
 * @ret_fd: the descriptor, closed at exec.
 * @deadline: when to give up.
 * Owns:    the caller closes *@ret_fd.
 * Blocks:  until one comes, the other end is closed or its process dies, or @deadline.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   killed inside: it is closed with the process.
 * Returns: 0; -ETIMEDOUT; -ECANCELED; -EPIPE the other end is closed and nothing is left; -EPERM
 *          another process holds this end; -EINVAL also for the sending end of a one-way pipe;
 *          -EXDEV as shoal_connection_send_fd(); -EMFILE this process can have no more: the one
 *          that has come stays; -ENOMEM; -ESTALE this end is closed, or the cancel event is gone.
 * Python:  multiprocessing.reduction.recv_handle().
 */
SHOAL_MUST int shoal_connection_recv_fd(shoal_connection connection, int *ret_fd,
                                        shoal_deadline deadline);

/*
 * shoal_connection_close - end this end.
 * @connection: none and a closed one are fine.
 * Owns:    what has come and was not received is freed, or closed.
 * Blocks:  no longer than a send under way.
 * Safe:    threads yes; after fork yes; signal handler no. Calls under way in other threads end
 *          with -ESTALE.
 * Death:   killed inside: as if killed before.
 * Returns: 0; -EPERM another process holds it; -EINVAL a handle of something else.
 * Python:  Connection.close().
 */
SHOAL_API int shoal_connection_close(shoal_connection connection);

SHOAL_END_DECLS
#endif
