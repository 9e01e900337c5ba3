#include "os/robust.h"

#include <sys/syscall.h>
#include <unistd.h>

_Thread_local struct robust_list_head *shl_robust_head;

void shl_robust_begin(void)
{
    struct robust_list_head *head;
    size_t size;
    shl_robust_head = NULL;
    if (syscall(SYS_get_robust_list, 0, &head, &size) < 0 || !head || size != sizeof *head)
        return;
    shl_robust_head = head;
}
