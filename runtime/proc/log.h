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

/* The handler, as a process that is exec'd is told of it. */
enum shl_log_told {
    SHL_LOG_NO_HANDLER,
    SHL_LOG_HANDLER,    /* of the program itself, with a context of the family's or none */
    SHL_LOG_OWN_HANDLER /* any other: it keeps what the program sets before shoal_init() */
};
struct shl_log_handler {
    uint32_t told;
    uint64_t at;      /* where in the program */
    uint64_t context; /* where in the family's memory; 0: NULL */
};
void shl_log_describe(bool same_program, struct shl_log_handler *ret_handler);
void shl_log_adopt(const struct shl_log_handler *handler);

#endif
