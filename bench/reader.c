#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOM_MIN 1024 /* with less than this left a chunk is full */

void reader_open(struct reader *reader, const struct corpus *corpus)
{
    *reader = (struct reader){ .corpus = corpus, .fd = -1 };
}

void reader_close(struct reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
}

static int fail(const struct reader *reader, size_t path)
{
    fprintf(stderr, "shoal-bench: %s: %s (it was readable a moment ago)\n",
            reader->corpus->paths[path], strerror(errno));
    return -1;
}

/* Returns 1 when a file is open, 0 after the last one, -1 on failure. */
static int need_file(struct reader *reader)
{
    if (reader->fd >= 0)
        return 1;
    if (reader->next == reader->corpus->paths_count)
        return 0;
    reader->fd = open(reader->corpus->paths[reader->next], O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0)
        return fail(reader, reader->next);
    reader->next++;
    reader->offset = 0;
    reader->in_long_word = false;
    return 1;
}

/* The end of a file ends its last word, too. */
static void finish_file(struct reader *reader, struct chunk *chunk)
{
    close(reader->fd);
    reader->fd = -1;
    chunk->text[chunk->len++] = '\n';
    chunk->files++;
}

/* Go over what is left of a word that has been counted. @len: bytes of text at the offset. */
static size_t skip_long_word(struct reader *reader, const char *text, size_t len)
{
    size_t skipped = 0;

    while (skipped < len && word_has(text[skipped]))
        skipped++;
    reader->in_long_word = skipped == len;
    reader->offset += (off_t)skipped;
    return skipped;
}

/* How much of @len bytes, which fill the chunk, can be kept without splitting a word. */
static size_t cut(struct reader *reader, const char *text, size_t len, bool chunk_is_empty)
{
    size_t kept = len;

    while (kept > 0 && word_has(text[kept - 1]))
        kept--;
    if (kept > 0 || !chunk_is_empty)
        return kept;
    reader->in_long_word = true;
    return len;
}

/* Append a piece of the open file. Returns 1 to go on, 0 when the chunk is full, -1 on failure. */
static int append_piece(struct reader *reader, struct chunk *chunk)
{
    size_t room = CHUNK_TEXT_MAX - chunk->len;
    char *text = chunk->text + chunk->len;
    ssize_t got = pread(reader->fd, text, room, reader->offset);
    size_t len;

    if (got < 0)
        return errno == EINTR ? 1 : fail(reader, reader->next - 1);
    if (got == 0) {
        finish_file(reader, chunk);
        return 1;
    }
    if (reader->in_long_word) {
        chunk->bytes += skip_long_word(reader, text, (size_t)got);
        return 1;
    }
    len = (size_t)got < room ? (size_t)got : cut(reader, text, room, chunk->len == 0);
    chunk->len += (uint32_t)len;
    chunk->bytes += len;
    reader->offset += (off_t)len;
    return (size_t)got < room;
}

int reader_fill(struct reader *reader, struct chunk *chunk)
{
    int more = 1;

    chunk->len = 0;
    chunk->files = 0;
    chunk->bytes = 0;
    while (more == 1 && CHUNK_TEXT_MAX - chunk->len >= ROOM_MIN) {
        more = need_file(reader);
        if (more == 1)
            more = append_piece(reader, chunk);
    }
    if (more < 0)
        return -1;
    return chunk->len > 0 || chunk->bytes > 0;
}
