/*
 * Guards, in builds with -Dguards=true: bytes behind each payload that are looked at when it is
 * freed, a pattern over what was freed, and a look for private pointers in what is put. Elsewhere
 * none of them is anything at all.
 */
#ifndef SHL_MEM_GUARD_H
#define SHL_MEM_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define GUARD_BYTE 0xfd
#define POISON_BYTE 0xdf

#ifdef SHL_GUARDS
#define GUARD_SIZE UINT64_C(16)
#else
#define GUARD_SIZE UINT64_C(0)
#endif

/* A size with its guard; what is too large stays so. */
static inline uint64_t shl_guarded(uint64_t size)
{
    return size > UINT64_MAX - GUARD_SIZE ? size : size + GUARD_SIZE;
}

static inline void shl_guard_set(void *payload, uint64_t size)
{
    if (GUARD_SIZE)
        memset((char *)payload + size, GUARD_BYTE, sizeof(uint64_t) * 2);
}

/* Is what lies behind the payload as it was? */
static inline bool shl_guard_holds(const void *payload, uint64_t size, uint64_t room)
{
    static const unsigned char guard[] = { GUARD_BYTE, GUARD_BYTE, GUARD_BYTE, GUARD_BYTE,
                                           GUARD_BYTE, GUARD_BYTE, GUARD_BYTE, GUARD_BYTE,
                                           GUARD_BYTE, GUARD_BYTE, GUARD_BYTE, GUARD_BYTE,
                                           GUARD_BYTE, GUARD_BYTE, GUARD_BYTE, GUARD_BYTE };
    return GUARD_SIZE == 0 || (size + GUARD_SIZE <= room &&
                               memcmp((const char *)payload + size, guard, GUARD_SIZE) == 0);
}

/* Is there a pointer to what is this process's alone, in a payload of its own that it puts or in
 * what is under it? 0 or -EINVAL. What is no pointer may look like one. */
struct shl_place;
int shl_guard_look(const struct shl_place *payload);

static inline void shl_poison(void *payload, uint64_t room)
{
    if (GUARD_SIZE)
        memset(payload, POISON_BYTE, room);
}

#endif
