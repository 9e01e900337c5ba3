/*
 * What a child runs, so that another process of the program can find it: never an address, which
 * differs from process to process, but a registered name, or the module by its build id and where
 * in it the function is.
 */
#ifndef SHL_PROC_TARGET_H
#define SHL_PROC_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum { SHL_BUILD_ID_MAX = 64, SHL_TARGET_NAME_SIZE = 64 };

struct shl_build_id {
    uint32_t size; /* 0: none */
    unsigned char bytes[SHL_BUILD_ID_MAX];
};

struct shl_target {
    uint64_t offset; /* from where its module lies */
    struct shl_build_id id;
    char name[SHL_TARGET_NAME_SIZE]; /* as registered; empty: by module */
    char path[PATH_MAX];             /* of the module's file; empty: the program itself. Last */
};

/* Looks once where the program lies: the children of who has done so need not. */
void shl_target_find_program(void);

/* Is it in the program itself, where every process of it finds it? */
static inline bool shl_target_is_certain(const struct shl_target *target)
{
    return !target->name[0] && !target->path[0];
}

/* 0, or an error: -EINVAL no function, -ENOTSUP its module has no build id. */
int shl_target_describe(void (*function)(void *), struct shl_target *ret_target);

/* 0; -ENOENT if this process knows no such function; -EPROTO if its module is another one. */
int shl_target_find(const struct shl_target *target, void (**ret_function)(void *));

#endif
