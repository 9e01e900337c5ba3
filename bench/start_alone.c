/*
 * A program as small as can be that starts something again and again and prints the median of the
 * times it took, in microseconds.
 *
 * usage: start_alone shoal|fork|vfork|posix_spawn SAMPLES
 */
#include "starts.h"

#include <shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int (*once)(void);
} ways[] = { { "shoal", starts_by_default },
             { "fork", starts_fork },
             { "vfork", starts_vfork },
             { "posix_spawn", starts_posix_spawn } };

int main(int argc, char **argv)
{
    double median_us;
    size_t count;

    if (shoal_init(&argc, &argv, NULL) < 0 || argc != 3)
        return 2;
    count = strtoul(argv[2], NULL, 10);
    if (count == 0 || count > STARTS_SAMPLES_MAX)
        return 2;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(ways[i].name, argv[1]) == 0 &&
            starts_sample(ways[i].once, count, &median_us) == 0)
            return printf("%f\n", median_us) < 0;
    return 1;
}
