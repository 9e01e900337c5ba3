/* Who a process is: its name, its number among its creator's, and who its creator is. */
#ifndef SHL_PROC_IDENTITY_H
#define SHL_PROC_IDENTITY_H

#include "proc/process_shm.h"

#include <shoal/process.h>

/* 0, or -EMSGSIZE. */
int shl_identity_check(const char *name);

/* To a process with a type. Counts every described one, named or not, as Python does. */
void shl_identity_give(struct process_shm *process, shoal_process creator, const char *name);

#endif
