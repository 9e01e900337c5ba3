/* The log, as a process hands it down to its children. */
#ifndef SHL_PROC_LOG_H
#define SHL_PROC_LOG_H

#include "proc/process_shm.h"

#include <shoal/log.h>

/* What the environment asks for. */
void shl_log_init(void);

/* The handler, as a process that is exec'd, or forked by the server, is told of it. */
enum shl_log_told {
    SHL_LOG_NO_HANDLER,
    SHL_LOG_HANDLER,    /* of the program itself, with a context of the family's or none */
    SHL_LOG_OWN_HANDLER /* any other: it keeps what the program sets before shoal_init() */
};
struct shl_log_settings {
    uint32_t level, to_stderr;
    uint32_t told;    /* of the handler */
    uint64_t at;      /* where in the program */
    uint64_t context; /* where in the family's memory; 0: NULL */
};
void shl_log_describe(bool same_program, struct shl_log_settings *ret_settings);
void shl_log_adopt(const struct shl_log_settings *settings);

#endif
