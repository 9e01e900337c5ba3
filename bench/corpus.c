#include "corpus.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char look_buffer[256 * 1024];

static void skip(struct corpus *corpus, const char *path, const char *why)
{
    fprintf(stderr, "shoal-bench: %s: %s, skipped\n", path, why);
    corpus->skipped_count++;
}

/* A file or directory that is not there or cannot be read. */
static void skip_failed(struct corpus *corpus, const char *path, int error, bool named)
{
    skip(corpus, path, strerror(error));
    corpus->named_one_failed |= named;
}

static int keep(struct corpus *corpus, const char *path, uint64_t bytes)
{
    if (corpus->paths_count == corpus->paths_room) {
        size_t room = corpus->paths_room == 0 ? 1024 : corpus->paths_room * 2;
        char **paths = realloc(corpus->paths, room * sizeof(paths[0]));

        if (paths == NULL)
            return -ENOMEM;
        corpus->paths = paths;
        corpus->paths_room = room;
    }
    corpus->paths[corpus->paths_count] = strdup(path);
    if (corpus->paths[corpus->paths_count] == NULL)
        return -ENOMEM;
    corpus->paths_count++;
    corpus->bytes += bytes;
    return 0;
}

/* Read a file to its end. Returns its size, -errno, or -EILSEQ when it holds a NUL byte. */
static int64_t look_through(int fd)
{
    int64_t bytes = 0;
    ssize_t got;

    while ((got = read(fd, look_buffer, sizeof(look_buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (memchr(look_buffer, '\0', (size_t)got) != NULL)
            return -EILSEQ;
        bytes += got;
    }
    return bytes;
}

static int look_at_file(struct corpus *corpus, const char *path, bool named)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int64_t bytes = fd < 0 ? -errno : look_through(fd);

    if (fd >= 0)
        close(fd);
    if (bytes >= 0)
        return keep(corpus, path, (uint64_t)bytes);
    if (bytes == -EILSEQ)
        skip(corpus, path, "binary (it holds NUL bytes)");
    else
        skip_failed(corpus, path, (int)-bytes, named);
    return 0;
}

static int look_at(struct corpus *corpus, const FTSENT *entry, bool named)
{
    named = named && entry->fts_level == FTS_ROOTLEVEL;
    switch (entry->fts_info) {
    case FTS_F:
        return look_at_file(corpus, entry->fts_path, named);
    case FTS_NS:
    case FTS_DNR:
    case FTS_ERR:
        skip_failed(corpus, entry->fts_path, entry->fts_errno, named);
        return 0;
    case FTS_SLNONE: /* named, and its target is missing */
        skip_failed(corpus, entry->fts_path, ENOENT, named);
        return 0;
    case FTS_DEFAULT:
        skip(corpus, entry->fts_path, "not a regular file");
        corpus->named_one_failed |= named;
        return 0;
    default: /* directories on the way in and out; links that were found, not named */
        return 0;
    }
}

static int compare_names(const FTSENT **left, const FTSENT **right)
{
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

/* What is installed only for this benchmark's rivals would change its own text. */
static bool is_rival(const FTSENT *entry)
{
    static const char *const rivals[] = { "/usr/include/boost", "/usr/include/dpdk" };

    for (size_t i = 0; i < sizeof(rivals) / sizeof(rivals[0]); i++)
        if (entry->fts_level > FTS_ROOTLEVEL && strcmp(entry->fts_path, rivals[i]) == 0)
            return true;
    return false;
}

int corpus_find(struct corpus *corpus, char *const *roots, bool named)
{
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, compare_names);
    FTSENT *entry;
    int status = 0;

    if (walk == NULL)
        return -errno;
    while (status == 0 && (errno = 0, entry = fts_read(walk)) != NULL)
        if (is_rival(entry))
            fts_set(walk, entry, FTS_SKIP);
        else
            status = look_at(corpus, entry, named);
    if (status == 0 && errno != 0)
        status = -errno;
    fts_close(walk);
    return status;
}

void corpus_close(struct corpus *corpus)
{
    for (size_t i = 0; i < corpus->paths_count; i++)
        free(corpus->paths[i]);
    free(corpus->paths);
    *corpus = (struct corpus){ 0 };
}
