/* What the kernel says of the process's own mappings. */
#ifndef SHL_OS_MAPS_H
#define SHL_OS_MAPS_H

#include <stdbool.h>
#include <stdint.h>

/* Does an address lie in memory that the process may write, and that no other process sees? */
bool shl_memory_is_private(uint64_t address);

#endif
