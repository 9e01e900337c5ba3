#include "os/membarrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool call(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

bool shl_membarrier_register(void)
{
    return call(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

bool shl_membarrier(void)
{
    return call(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}
