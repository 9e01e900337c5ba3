#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int shl_fd_above_stdio(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int number = errno;
    close(fd);
    errno = number;
    return moved;
}

bool shl_fds_are_open(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fcntl(fds[i], F_GETFD) < 0)
            return false;
    return true;
}
