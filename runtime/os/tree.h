/* A process and all that descends from it, whoever started them and how. */
#ifndef SHL_OS_TREE_H
#define SHL_OS_TREE_H

#include <sys/types.h>

/*
 * Sends a signal to a child of this process, by its descriptor, and to all that descend from it.
 * 0; -EPERM if there are some of another user, who are left out; or another error, and nobody has
 * got it: -ENOTSUP without /proc, -EMFILE, -ENOMEM, -EIO.
 */
int shl_tree_signal(pid_t pid, int pidfd, int signal_number);

#endif
