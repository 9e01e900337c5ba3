/* What memcheck must notice, in a worker of the test framework like every other test. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

Test(memcheck, a_word_that_nobody_wrote_is_read, .timeout = 60)
{
    int *words = malloc(2 * sizeof *words);
    cr_assert(words);
    words[0] = 1;
    if (words[getpid() > 0] == 7)
        puts("seven");
    free(words);
}
