/* Names: of segments and, within one, of objects. */
#ifndef SHL_MEM_NAME_H
#define SHL_MEM_NAME_H

#include "mem/object_shm.h"

#include <shoal/segment.h>

/* 0; -EINVAL, -EMSGSIZE. */
int shl_name_check(const char *name);

/* What shoal_<noun>_open() does, for each noun. */
int shl_name_open(shoal_segment handle, const char *text, enum shl_kind kind, uint64_t *ret_ref);

#endif
