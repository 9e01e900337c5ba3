/* Descriptors of the library: never one that a program expects its standard streams at. */
#ifndef SHL_OS_FD_H
#define SHL_OS_FD_H

#include <stdbool.h>
#include <stddef.h>

/* The same open file at a descriptor above stderr, close-on-exec; `fd` is closed if it moves.
 * Passes a failed call's -1 on, with its errno. */
int shl_fd_above_stdio(int fd);

/* Are all of them open? */
bool shl_fds_are_open(const int *fds, size_t count);

#endif
