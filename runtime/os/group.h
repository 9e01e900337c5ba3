/* The memory of the control group that the process is in, or of one above that leaves less, as far
 * as it can be seen. */
#ifndef SHL_OS_GROUP_H
#define SHL_OS_GROUP_H

#include <stdint.h>

struct shl_group_memory {
    uint64_t most; /* that all its processes together may have; UINT64_MAX: no limit is seen */
    uint64_t used; /* that they have; 0: it is not seen */
};

/* By the list of the process's groups, /proc/self/cgroup, and the folder they lie in,
 * /sys/fs/cgroup. */
struct shl_group_memory shl_group_memory(const char *groups, const char *folder);

#endif
