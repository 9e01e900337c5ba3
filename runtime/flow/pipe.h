/* What the ends of pipes want to know of processes. */
#ifndef SHL_FLOW_PIPE_H
#define SHL_FLOW_PIPE_H

#include "mem/segment.h"

/* Has the process with this handle ended, as far as its object tells? Defined above, in
 * proc/settlers.c. */
bool shl_process_ref_is_gone(const struct shl_segment *segment, uint64_t ref);

#endif
