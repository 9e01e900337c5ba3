/* The whole segment after a play: whoever was killed, it must look as if they had never been. */
#ifndef STEP_VALIDATE_H
#define STEP_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "step.h"

/* What there is before the first play; the others are compared with it. */
void validate_begin(void);

/* Reports each violation by step_failed(); answers how many bytes are lost, or owned or kept by
 * more or fewer than before. `living`: the processes that may have slots; the scenario says
 * which objects may have come, or have ended. */
uint64_t validate(const pid_t *living, unsigned count, const struct scenario *scenario);

#endif
