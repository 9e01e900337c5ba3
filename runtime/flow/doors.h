/* The doors of this process: one for each end of a pipe where it waits for descriptors. */
#ifndef SHL_FLOW_DOORS_H
#define SHL_FLOW_DOORS_H

#include <stdint.h>
#include <sys/types.h>

/* The door of the end with this reference, opened now if need be. 0 or an error. */
int shl_doors_open(uint64_t ref, uint32_t *ret_number, uint64_t *ret_secret);

/* What was handed into it: as shl_door_take(); -ESTALE if there is none. */
int shl_doors_take(uint64_t ref, pid_t from, int *ret_fd);

/* With what waits there. */
void shl_doors_close(uint64_t ref);

/* In a forked child: closes those that are its parent's. */
void shl_doors_leave(void);

#endif
