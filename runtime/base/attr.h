/* Compiler attributes and facts of the platform that everything else relies on. */
#ifndef SHL_BASE_ATTR_H
#define SHL_BASE_ATTR_H

#include <stddef.h>
#include <stdint.h>

#define SHL_LINE 128 /* two cache lines: the prefetcher fetches them in pairs */

#define SHL_ALIGNED(bytes) __attribute__((aligned(bytes)))
#define SHL_TLS_FAST __attribute__((tls_model("initial-exec"))) /* no call to find it */
#define SHL_HIDDEN __attribute__((visibility("hidden")))        /* no detour through a table */
#define SHL_NOINLINE __attribute__((noinline))
#define SHL_COLD __attribute__((cold, noinline))
#define SHL_PRINTF(text, first) __attribute__((format(printf, text, first)))

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

_Static_assert(sizeof(void *) == 8, "references and the family's address need 64 bits");
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "sizes cross the segment as 64 bits");

#endif
