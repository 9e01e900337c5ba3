/* What a process has otherwise than its start method gives it: written down by its creator, in a
 * block of the process's, and applied by the child. */
#ifndef SHL_PROC_SETUP_H
#define SHL_PROC_SETUP_H

#include <stdbool.h>

#include "mem/segment.h"
#include "proc/process_shm.h"

#include <shoal/process.h>

/* 0, or why these cannot go together. */
int shl_setup_check(const shoal_process_setup *setup, enum shoal_start_method method);

/* Writes it down: the block's payload, as an offset. 0 or an error. */
int shl_setup_write(const struct shl_segment *segment, const shoal_process_setup *setup,
                    uint64_t *ret_offset);

/* The text of such a record; NULL if there is none. */
const char *shl_setup_text(const struct shl_segment *segment, uint64_t offset, uint32_t kind);

/* The strings of such a record, in one block of the heap: *ret_strings is NULL if there is none. 0
 * or -ENOMEM. */
int shl_setup_strings(const struct shl_segment *segment, uint64_t offset, uint32_t kind,
                      char ***ret_strings);

/* In the child. 0; or an error, and what could not be had is noted in the process. */
int shl_setup_apply(const struct shl_segment *segment, struct process_shm *process);

/* What a record of that kind is, in words. */
const char *shl_setup_word(uint32_t kind);

#endif
