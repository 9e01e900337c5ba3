/*
 * Files in /dev/shm by which unrelated processes of one user find each other's memory. A name is a
 * file name: the caller has checked it.
 */
#ifndef SHL_OS_NAMED_H
#define SHL_OS_NAMED_H

#include <stdint.h>

/* A file of `size` bytes, all holes, that has no name yet: descriptor or an error. */
int shl_named_create(uint64_t size);

/* Gives it its name, in one step. 0; -EEXIST. */
int shl_named_link(int fd, const char *name);

/* The file of a name, if nobody but this user can have made or can read it: descriptor or an
 * error. */
int shl_named_open(const char *name);

/* 0; -ENOENT. */
int shl_named_unlink(const char *name);

#endif
