/* Memory from the kernel: sealed memory files that processes share, and private pages. */
#ifndef SHL_OS_MEMFD_H
#define SHL_OS_MEMFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest file and mapping that RLIMIT_FSIZE and RLIMIT_AS leave room for; at most `wanted`. */
uint64_t shl_memory_limit(uint64_t wanted);

/* A memory file of `size` bytes, all holes, that keeps its size: descriptor or -errno. */
int shl_memfd_create(uint64_t size);

/* Is it a file that can neither shrink nor grow, so that a mapping of it cannot fault? */
int shl_memfd_is_sealed(int fd);

/* Its size in bytes, how many of them the system has given, and numbers that tell it from every
 * other file. 0 or -errno. */
struct shl_file_identity {
    uint64_t size, committed, device, inode;
};
int shl_file_identify(int fd, struct shl_file_identity *ret_identity);

/* Reads exactly `size` bytes at the start, touching nothing. 0, -EPROTO if they are not there. */
int shl_file_peek(int fd, void *ret_data, size_t size);

/* Gives [offset, offset + size) memory, so that no later access can fail. 0 or -errno. */
int shl_memfd_commit(int fd, uint64_t offset, uint64_t size);

/* Gives the memory of a part of a mapping back; it reads as zeros when it is committed again. False
 * if the system keeps it: a cost, not a fault. */
bool shl_memory_decommit(void *address, uint64_t size);

/* Maps it shared at `address`, or anywhere for NULL. Never over another mapping: -EADDRINUSE. */
int shl_memfd_map(int fd, uint64_t size, void *address, void **ret_base);

/* Private zeroed pages that a forked child finds zeroed again; NULL if there are none. */
void *shl_wiped_pages(size_t size);

void shl_unmap(void *base, uint64_t size);

#endif
