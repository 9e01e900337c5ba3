/*
 * The table of a parent's children: a block UNDER the parent, whose header says where it lies.
 * Written by: the parent's owner, who alone allocates and frees under it.
 *
 * It is a cache: a child's own word says whose it is. A table may name blocks that are no children
 * any more. It lacks one only if the owner was killed, and then a settler finds that one.
 */
#ifndef SHL_MEM_UNDER_SHM_H
#define SHL_MEM_UNDER_SHM_H

#include "mem/block_shm.h"

struct under_shm {
    uint64_t size; /* of the parent: its header has no room for it any more */
    uint64_t next; /* an older table, or 0 */
    uint64_t count;
    uint64_t children[]; /* offsets of payloads, as many as the block has room for */
};

static_assert(sizeof(struct under_shm) == 24, "the children follow");

#endif
