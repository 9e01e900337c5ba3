/* The doors of this process: one for each end of a pipe where it waits for descriptors. */
#ifndef SHL_FLOW_DOORS_H
#define SHL_FLOW_DOORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Their lock. Whoever has it changes what the segment says of a door of this process as well, so
 * that it is only said of an end that the process holds, and opens no descriptor that a child
 * would inherit unseen. Nobody waits or takes another lock meanwhile. False with an error if there
 * is no memory.
 */
bool shl_doors_lock(void);
void shl_doors_unlock(void);

/* The following ones with the lock. The door of the end with this reference, opened now if need
 * be. 0 or an error. */
int shl_doors_open(uint64_t ref, uint32_t *ret_number, uint64_t *ret_secret);

/* What was handed into it: as shl_door_take(); -ESTALE if there is none. */
int shl_doors_take(uint64_t ref, pid_t from, unsigned *ret_gone, int *ret_fd);

/* With what waits there. */
void shl_doors_close(uint64_t ref);

/* Without the lock, in a forked child: closes those that are its parent's. */
void shl_doors_leave(void);

#endif
