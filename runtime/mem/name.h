/* Names: of segments and, within one, of objects. */
#ifndef SHL_MEM_NAME_H
#define SHL_MEM_NAME_H

/* 0; -EINVAL, -EMSGSIZE. */
int shl_name_check(const char *name);

#endif
