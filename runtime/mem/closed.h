/* Handles that this process has closed: here they name nothing any more, elsewhere they do. */
#ifndef SHL_MEM_CLOSED_H
#define SHL_MEM_CLOSED_H

#include <stdbool.h>
#include <stdint.h>

/* 0, also the second time, or -ENOMEM. Calls that are under way go on. */
int shl_closed_add(uint64_t ref);
bool shl_closed_has(uint64_t ref);
/* The object is gone: nobody asks any more. */
void shl_closed_remove(uint64_t ref);

#endif
