#include "os/group.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 4096 };

static bool read_text(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, buffer, size - 1);
    close(fd);
    buffer[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* Of version 2, and of version 1, whose lines are told by the word between colons. */
static const struct version {
    const char *line, *folder, *most, *used;
} versions[] = {
    { ":memory:", "/memory", "memory.limit_in_bytes", "memory.usage_in_bytes" },
    { "0::", "", "memory.max", "memory.current" },
};

/* "max", which is no number, says that there is no limit; so does version 1 by one that no machine
 * has. */
static uint64_t read_number(const char *folder, const struct version *version, const char *group,
                            const char *file, uint64_t otherwise)
{
    char path[TEXT_MAX + 256], text[32], *end;
    snprintf(path, sizeof path, "%s%s%s/%s", folder, version->folder, group, file);
    if (!read_text(path, text, sizeof text))
        return otherwise;
    uint64_t number = strtoull(text, &end, 10);
    return end == text || number >= INT64_MAX / 4096 * 4096 ? otherwise : number;
}

static uint64_t left_in(const struct shl_group_memory *memory)
{
    if (memory->most == UINT64_MAX)
        return UINT64_MAX;
    return memory->most > memory->used ? memory->most - memory->used : 0;
}

/* Of a group and those above it, whose names are shorter, the one that leaves least; the lowest if
 * several do. */
static struct shl_group_memory least_of(const char *folder, const struct version *version,
                                        char *group)
{
    struct shl_group_memory least = { .most = UINT64_MAX };
    for (bool first = true;; first = false) {
        struct shl_group_memory seen = {
            .most = read_number(folder, version, group, version->most, UINT64_MAX),
            .used = read_number(folder, version, group, version->used, 0),
        };
        if (first || left_in(&seen) < left_in(&least))
            least = seen;
        char *end = strrchr(group, '/');
        if (!end)
            return least;
        *end = '\0';
    }
}

struct shl_group_memory shl_group_memory(const char *groups, const char *folder)
{
    char text[TEXT_MAX];
    if (!read_text(groups, text, sizeof text))
        return (struct shl_group_memory){ .most = UINT64_MAX };
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char *group = strstr(text, versions[i].line);
        if (!group)
            continue;
        group += strlen(versions[i].line);
        group[strcspn(group, "\n")] = '\0';
        return least_of(folder, &versions[i], group);
    }
    return (struct shl_group_memory){ .most = UINT64_MAX };
}
