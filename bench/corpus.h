/*
 * The texts that are counted: found and looked at once, before anything is measured.
 *
 * The look also warms the page cache, so that each way of counting then reads the same files from
 * the same place.
 */
#ifndef BENCH_CORPUS_H
#define BENCH_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct corpus {
    char **paths; /* readable regular files without NUL bytes, in a fixed order */
    size_t paths_count;
    size_t paths_room;
    uint64_t bytes;        /* of them all */
    size_t skipped_count;  /* missing, unreadable, binary, or no regular files */
    bool named_one_failed; /* one that the user named is missing or unreadable */
};

/*
 * Find the files: @roots is a NULL-terminated list of files and directories, which are walked.
 * Symbolic links are followed where they are named, not where they are found. Headers of rivals
 * under /usr/include do not count unless they are named. What is skipped is
 * named on stderr. @named: the user named the roots, so one that is missing is a failure in the
 * end. Returns 0, or -errno when the walk itself is impossible.
 */
int corpus_find(struct corpus *corpus, char *const *roots, bool named);

void corpus_close(struct corpus *corpus);

#endif
