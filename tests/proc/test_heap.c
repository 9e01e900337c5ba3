/* The runtime's private memory, in programs with jemalloc and without. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(heap, .timeout = 60);

/* What heap_helper says with this allocator in front. */
static void says(const char *preload, const char *expected)
{
    char command[1000], line[100] = "";
    snprintf(command, sizeof command, "LD_PRELOAD='%s' exec '%s'", preload,
             harness_program("heap_helper"));
    FILE *output = popen(command, "r");
    cr_assert_not_null(output);
    cr_assert_not_null(fgets(line, sizeof line, output), "no word from the helper");
    cr_assert_eq(pclose(output), 0);
    line[strcspn(line, "\n")] = '\0';
    cr_assert_str_eq(line, expected);
}

Test(heap, is_malloc_where_there_is_no_jemalloc, .timeout = 60)
{
    says("", "malloc");
}

Test(heap, is_an_arena_of_its_own_where_there_is_jemalloc, .timeout = 60)
{
    if (HARNESS_SANITIZED)
        cr_skip("a sanitizer is the allocator already");
    says("libjemalloc.so.2", "an arena of its own");
}
