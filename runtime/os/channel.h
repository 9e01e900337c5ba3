/* Packets between processes, with descriptors: each arrives whole or not at all. */
#ifndef SHL_OS_CHANNEL_H
#define SHL_OS_CHANNEL_H

#include <stddef.h>
#include <sys/socket.h>

enum { SHL_CHANNEL_FDS_MAX = 253 }; /* the kernel's limit */

/* Two ends, closed at exec. 0 or an error. */
int shl_channel_open(int ret_ends[2]);

/* 0; -EPIPE if nobody has the other end any more; or an error. */
int shl_channel_send(int end, const void *data, size_t size, const int *fds, size_t fds_count);

/* The size of the next packet, at most `size`, and its descriptors, closed at exec and none of them
 * a standard one. 0 if the other end is gone; -EMFILE if there is no room for its descriptors, none
 * of which is kept; -ENOMEM, -EIO. */
long shl_channel_receive(int end, void *ret_data, size_t size, int *ret_fds, size_t *ret_fds_count);

/* recvmsg(), whatever signals come, and 0 only if there is no packet, nor will be: none is empty,
 * and there must be room for its first byte. */
ssize_t shl_channel_recvmsg(int end, struct msghdr *message, int flags);

/* Waits for a packet, or the end of the other side; or until nobody writes to the pipe `line` any
 * more: then nothing more can be sent here, and what was sent is received still. */
void shl_channel_wait(int end, int line);

#endif
