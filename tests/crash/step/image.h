/*
 * The family's segment as bytes: kept, put back, and told apart. The harness maps it at the same
 * address as everybody else, and looks only while all others stand still.
 */
#ifndef STEP_IMAGE_H
#define STEP_IMAGE_H

#include <stdint.h>
#include <sys/types.h>

/* Of these bytes a state knows only whether they are zero: they differ from play to play. */
void image_hide(uint64_t offset, uint64_t size);

/* As it is now, for image_restore(). */
void image_save(void);
void image_restore(void);

/* From here on these process ids stand for the players with the same numbers, so that a state of
 * one play is found again in the next one. */
void image_begin(const pid_t *pids, unsigned count);

/* Tells the segment's states apart; cheap while nothing changes. */
uint64_t image_hash(void);

#endif
