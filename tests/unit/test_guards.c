/* A library built with -Dguards=true: it notices what is written past the end of a payload. */
#include "harness.h"

#include <errno.h>
#include <string.h>

TestSuite(guards, .timeout = 60);

static const size_t sizes[] = { 0, 1, 15, 16, 17, 64, 1000, 4096, 65536, 1 << 20, 3 << 20 };

Test(guards, writing_within_is_right, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t alignment = 16; alignment <= 64; alignment *= 4) {
            char *payload = shoal_alloc_aligned(alignment, sizes[i]);
            cr_assert_not_null(payload);
            memset(payload, 1, sizes[i]);
            for (int child = 0; child < 40; child++)
                memset(shoal_alloc_under(payload, 10), 2, 10);
            cr_assert_eq(shoal_size(payload), sizes[i]);
            shoal_free(payload);
            cr_assert_str_eq(shoal_error_message(), "");
        }
}

Test(guards, writing_past_the_end_is_told, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t behind = 0; behind < 16; behind++) {
            assert_code(shoal_unshare(NULL), -EINVAL); /* another message */
            char *payload = shoal_alloc(sizes[i]);
            payload[sizes[i] + behind] ^= 1;
            shoal_free(payload);
            cr_assert(strstr(shoal_error_message(), "past its end"), "%zu + %zu: %s", sizes[i],
                      behind, shoal_error_message());
        }
}

Test(guards, freed_memory_is_overwritten, .timeout = 60)
{
    char *payload = shoal_alloc(100);
    memset(payload, 1, 100);
    shoal_free(payload);
    for (int i = 0; i < 100; i++)
        cr_assert_eq((unsigned char)payload[i], 0xdf);
}
