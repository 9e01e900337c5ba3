/*
 * Two grades of check. REQUIRE answers a caller's mistake with an error. CHECK guards our own
 * private state: if it fails, this process's memory is broken and going on would harm others.
 * What another process wrote is input: it gets an error code, never a CHECK.
 */
#ifndef SHL_BASE_CHECK_H
#define SHL_BASE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

/* Leaves the function with shl_error(code, text). */
#define REQUIRE(condition, code, text)    \
    do {                                  \
        if (unlikely(!(condition)))       \
            return shl_error(code, text); \
    } while (0)

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (unlikely(!(condition))) {                                                      \
            fprintf(stderr, "shoal: %s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* The reserved words of options: zero, so that they can get a meaning later. */
#define REQUIRE_RESERVED(options)                                                            \
    do {                                                                                     \
        for (size_t i_ = 0; i_ < sizeof(options)->reserved / sizeof(uint64_t); i_++)         \
            REQUIRE((options)->reserved[i_] == 0, -EINVAL, "reserved options must be zero"); \
    } while (0)

#endif
