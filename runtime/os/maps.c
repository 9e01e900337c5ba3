#include "os/maps.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* BEGIN-END PERMISSIONS and more, of which "rw-p" is looked for. */
static bool is_private_line(const char *line, uint64_t address)
{
    char *end;
    uint64_t first = strtoull(line, &end, 16),
             behind = *end == '-' ? strtoull(end + 1, &end, 16) : 0;
    return first <= address && address < behind && strncmp(end, " rw", 3) == 0 && end[4] == 'p';
}

bool shl_memory_is_private(uint64_t address)
{
    char text[8192];
    size_t kept = 0;
    bool found = false;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    for (ssize_t length = 1; fd >= 0 && length > 0 && !found;) {
        length = read(fd, text + kept, sizeof text - 1 - kept);
        text[kept + (size_t)(length > 0 ? length : 0)] = '\0';
        char *line = text;
        for (char *end; (end = strchr(line, '\n')); line = end + 1)
            found = found || is_private_line(line, address);
        kept = strlen(line);
        memmove(text, line, kept);
    }
    if (fd >= 0)
        close(fd);
    return found;
}
