/*
 * Names of objects within a segment: buckets by the name's hash in the segment's header, each a
 * chain of entries.
 *
 *   bucket = {tag:28, offset/16:36}     the tag changes with every change
 *   entry's word = {tag:16, generation:12, offset/16:36}   the object; likewise its tag
 *          offset 0, generation 0: EMPTY, nobody has the name; 1: TOMB, about to leave the chain
 *
 *   EMPTY -> object     publish, of an entry that has the name already; also object -> object, if
 *                       the old one is gone
 *   object -> EMPTY     unpublish
 *   EMPTY or gone -> TOMB   whoever finds it first in its chain, and takes it out then
 */
#ifndef SHL_MEM_NAME_SHM_H
#define SHL_MEM_NAME_SHM_H

#include "mem/object_shm.h"

#define NAME_WORDS 8u      /* of the name's bytes, with zeros at the end */
#define NAME_CHAIN_MAX 256 /* entries of a bucket; a longer chain is a damaged one */
#define NAME_PLACE_BITS 48
#define NAME_EMPTY UINT64_C(0)
#define NAME_TOMB (UINT64_C(1) << 36)

struct name_shm {
    struct object_shm object;
    atom64 next; /* in the chain: offset/16; written before the entry is in it */
    atom64 word;
    atom64 name[NAME_WORDS]; /* likewise */
    uint8_t padding[OBJECT_SMALL_SIZE - 104];
};

static_assert(sizeof(struct name_shm) == OBJECT_SMALL_SIZE, "a small place");

#endif
