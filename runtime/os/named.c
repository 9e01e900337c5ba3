/*
 * A file gets its name when it is whole: it begins as a nameless one (O_TMPFILE), so that nobody
 * finds a half-made segment and whoever is killed while making one leaves nothing.
 *
 * Everybody may create files in /dev/shm: what is found under a name is believed only if it is a
 * regular file of this user that nobody else may open.
 */
#include "os/named.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/check.h"
#include "os/fd.h"

#define FOLDER "/dev/shm"

enum { MODE = 0600, PATH_SIZE = sizeof FOLDER "/shoal." + NAME_MAX };

static int system_error(const char *what)
{
    int code = shl_error_of_errno(errno);
    return shl_errorf(code, "%s: %s", what, shoal_strerror(code));
}

static void make_path(char *ret_path, const char *name)
{
    snprintf(ret_path, PATH_SIZE, FOLDER "/shoal.%s", name);
}

static int check_folder(int fd)
{
    struct statfs status;
    REQUIRE(fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC, -ENOTSUP,
            FOLDER " is no memory file system");
    return 0;
}

/* The exact mode, whatever the umask. */
static int prepare(int fd, uint64_t size)
{
    int code = check_folder(fd);
    if (code == 0 && (fchmod(fd, MODE) < 0 || ftruncate(fd, (off_t)size) < 0))
        code = system_error("sizing the segment");
    return code;
}

int shl_named_create(uint64_t size)
{
    int fd = shl_fd_above_stdio(open(FOLDER, O_TMPFILE | O_RDWR | O_CLOEXEC, MODE));
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOSPC || errno == ENOMEM
                   ? system_error("creating a file in " FOLDER)
                   : shl_error(-ENOTSUP, "no files can be created in " FOLDER);
    int code = prepare(fd, size);
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

int shl_named_link(int fd, const char *name)
{
    char from[32], path[PATH_SIZE];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    make_path(path, name);
    if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return errno == ENOENT ? shl_error(-ENOTSUP, "naming a segment needs /proc")
                           : system_error("naming the segment");
}

static int check_file(const struct stat *status)
{
    REQUIRE(S_ISREG(status->st_mode), -EPERM, "the name is not a file's");
    REQUIRE(status->st_uid == geteuid(), -EPERM, "the name is another user's");
    return 0;
}

static int check_opened(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return system_error("looking at the segment's file");
    int code = check_file(&status);
    if (code < 0)
        return code;
    REQUIRE((status.st_mode & 07777) == MODE, -EPERM, "other users may open the named file");
    return 0;
}

int shl_named_open(const char *name)
{
    char path[PATH_SIZE];
    make_path(path, name);
    int fd = shl_fd_above_stdio(open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (fd < 0)
        return errno == ELOOP ? shl_error(-EPERM, "the name is a link's")
                              : system_error("opening the named segment");
    int code = check_opened(fd);
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

int shl_named_unlink(const char *name)
{
    char path[PATH_SIZE];
    struct stat status;
    make_path(path, name);
    if (lstat(path, &status) < 0)
        return system_error("looking for the named segment");
    int code = check_file(&status);
    if (code == 0 && unlink(path) < 0)
        code = system_error("unlinking the segment");
    return code;
}
