#include "os/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/error.h"
#include "os/chaos.h"
#include "os/fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW };

static int system_error(const char *what)
{
    int number = errno;
    return shl_errorf(shl_error_of_errno(number), "%s: %s", what,
                      shoal_strerror(shl_error_of_errno(number)));
}

static uint64_t limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

uint64_t shl_memory_limit(uint64_t wanted)
{
    uint64_t file = limit_of(RLIMIT_FSIZE), space = limit_of(RLIMIT_AS);
    if (file < wanted)
        wanted = file;
    return space < wanted ? space : wanted;
}

/* Newer kernels want to be told that it is not executable, older ones do not know the flag. */
static int create_file(void)
{
    int fd = memfd_create("shoal", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("shoal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

int shl_memfd_create(uint64_t size)
{
    /* ftruncate beyond the limit would raise SIGXFSZ. */
    if (size > limit_of(RLIMIT_FSIZE))
        return shl_error(-ENOMEM, "the segment's size_max is above the limit of file sizes");
    int fd = shl_fd_above_stdio(create_file());
    if (fd < 0)
        return system_error("memfd_create");
    if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0) {
        int code = system_error("sizing the segment");
        if (!SHL_MISTAKE("memfd.descriptor"))
            close(fd);
        return code;
    }
    return fd;
}

int shl_memfd_is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS); /* fails for files that know no seals */
    return seals >= 0 && (seals & SEALS) == SEALS;
}

int shl_file_identify(int fd, struct shl_file_identity *ret_identity)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return shl_error(-EINVAL, "not an open descriptor");
    if (!S_ISREG(status.st_mode))
        return shl_error(-EPROTO, "the descriptor is not a memory file");
    *ret_identity = (struct shl_file_identity){ .size = (uint64_t)status.st_size,
                                                .committed = (uint64_t)status.st_blocks * 512,
                                                .device = status.st_dev,
                                                .inode = status.st_ino };
    return 0;
}

int shl_file_peek(int fd, void *ret_data, size_t size)
{
    ssize_t done;
    do
        done = pread(fd, ret_data, size, 0);
    while (done < 0 && errno == EINTR);
    if (done < 0 && errno == EBADF)
        return shl_error(-EINVAL, "the descriptor is not open for reading");
    if (done < 0)
        return system_error("reading the segment's header");
    return done == (ssize_t)size ? 0 : shl_error(-EPROTO, "the file is too short to be a segment");
}

/* Small steps: on some kernels an interrupted fallocate undoes its work, and a timer may interrupt
 * every large one. */
#define COMMIT_STEP (UINT64_C(256) << 10)

static int commit_step(int fd, uint64_t offset, uint64_t size)
{
    int result;
    do
        result = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    while (result < 0 && errno == EINTR);
    bool failed = result < 0 && !SHL_MISTAKE("memfd.swallow");
    return failed ? system_error("no memory to grow the segment") : 0;
}

int shl_memfd_commit(int fd, uint64_t offset, uint64_t size)
{
    int code = 0;
    for (uint64_t done = 0; code == 0 && done < size; done += COMMIT_STEP) {
        uint64_t step = size - done < COMMIT_STEP ? size - done : COMMIT_STEP;
        code = commit_step(fd, offset + done, step);
    }
    return code;
}

bool shl_memory_decommit(void *address, uint64_t size)
{
    return madvise(address, size, MADV_REMOVE) == 0;
}

int shl_memfd_map(int fd, uint64_t size, void *address, void **ret_base)
{
    int flags = MAP_SHARED | MAP_NORESERVE | (address ? MAP_FIXED_NOREPLACE : 0);
    void *base = mmap(address, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (base == MAP_FAILED) {
        /* taken; or beyond what there is, for which valgrind's word is EINVAL */
        if (errno == EEXIST || (address && (errno == ENOMEM || errno == EINVAL)))
            return shl_error(-EADDRINUSE, "the segment's address is taken in this process");
        if (errno == EACCES || errno == EPERM) /* of the descriptor; a seal against writing */
            return shl_error(-EINVAL, "the descriptor is not open for reading and writing");
        return system_error("mapping the segment");
    }
    if (address && base != address) { /* kernels before 4.17 take the address as a hint */
        munmap(base, size);
        return shl_error(-EADDRINUSE, "the segment's address is taken in this process");
    }
    *ret_base = base;
    return 0;
}

void *shl_wiped_pages(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    if (madvise(pages, size, MADV_WIPEONFORK) < 0) { /* Linux 4.14 */
        if (!SHL_MISTAKE("memfd.mapping"))
            munmap(pages, size);
        return NULL;
    }
    return pages;
}

void shl_unmap(void *base, uint64_t size)
{
    munmap(base, size);
}
