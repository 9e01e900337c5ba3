/* The whole segment after a play: whoever was killed, it must look as if they had never been. */
#ifndef STEP_VALIDATE_H
#define STEP_VALIDATE_H

#include <sys/types.h>

/* What there is before the first play; the others are compared with it. */
void validate_begin(void);

/* Reports each violation by step_failed(); answers how many places and blocks are lost. `living`:
 * the processes that may still own something. */
unsigned validate(const pid_t *living, unsigned count);

#endif
