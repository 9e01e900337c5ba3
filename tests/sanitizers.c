/*
 * What Criterion 2.4.1 needs to run under the sanitizers. Linked into every test program; without
 * sanitizers nobody calls it.
 */
#include <stdlib.h>

const char *__lsan_default_suppressions(void);
int __lsan_is_turned_off(void);

/* A failing assertion's message is never freed: the failure is reported, the leak is noise. */
const char *__lsan_default_suppressions(void)
{
    return "leak:_IO_mem_finish\n";
}

/* Only the processes that run tests are searched: the main one leaks, but nothing of ours. */
int __lsan_is_turned_off(void)
{
    return getenv("BXFI_MAP") == NULL;
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
/*
 * Criterion maps its arena at 0x200000000000 + (rand_r() & 0x3fffff) * 16 MiB and gives up after
 * three tries: "Could not initialize inheritable arena". On x86-64 nearly all of that range is
 * ThreadSanitizer's; a program may use 0x550000000000 to 0x568000000000 of it, where its own code
 * lies above 0x555500000000. This rand_r() takes precedence over the C library's and answers with
 * numbers that lead to the free part below.
 */
#define ARENA_BASE 0x200000000000u
#define ARENA_STEP 0x1000000u
#define FREE_BEGIN 0x550000000000u
#define FREE_END 0x555000000000u

int rand_r(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    unsigned steps = (FREE_END - FREE_BEGIN) / ARENA_STEP;
    return (int)((FREE_BEGIN - ARENA_BASE) / ARENA_STEP + (*seed >> 8) % steps);
}
#endif
#endif
