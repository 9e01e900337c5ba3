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
