#include "cpython.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCRIPT "python3 '" BENCH_FOLDER "/cpython.py' " /* the folder is said by meson.build */

/* It prints seconds and a number. */
static int run(const char *command, double *ret_seconds, uint64_t *ret_number)
{
    /* NOLINTNEXTLINE(cert-env33-c): the command is ours */
    FILE *output = popen(command, "r");
    char line[128];
    char *end = line;
    bool read;

    if (output == NULL)
        return -ENOMEM;
    read = fgets(line, sizeof(line), output) != NULL;
    pclose(output);
    if (read) {
        *ret_seconds = strtod(line, &end);
        *ret_number = strtoull(end, NULL, 10);
    }
    return read && end != line ? 0 : -ENOENT;
}

int cpython_words(const struct corpus *corpus, unsigned workers, double *ret_seconds,
                  uint64_t *ret_words)
{
    FILE *list = tmpfile();
    char command[512];
    int status;

    if (list == NULL)
        return -errno;
    for (size_t i = 0; i < corpus->paths_count; i++)
        fprintf(list, "%s\n", corpus->paths[i]);
    fflush(list);
    snprintf(command, sizeof(command), SCRIPT "words %u </proc/%d/fd/%d", workers, (int)getpid(),
             fileno(list));
    status = run(command, ret_seconds, ret_words);
    fclose(list);
    return status;
}

int cpython_pipeline(const char *link, uint64_t records, double *ret_seconds, uint64_t *ret_digest)
{
    char command[512];

    snprintf(command, sizeof(command), SCRIPT "%s %llu", link, (unsigned long long)records);
    return run(command, ret_seconds, ret_digest);
}
