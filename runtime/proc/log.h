/* The log, as a process hands it down to its children. */
#ifndef SHL_PROC_LOG_H
#define SHL_PROC_LOG_H

#include "proc/process_shm.h"

#include <shoal/log.h>

/* What the environment asks for. */
void shl_log_init(void);

/* To a process that is about to be started, and there. */
void shl_log_hand_down(struct process_shm *process);
void shl_log_take_over(const struct process_shm *process);

#endif
