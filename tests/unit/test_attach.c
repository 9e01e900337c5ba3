/*
 * What attach_fd refuses: everything that is not a whole segment of this layout. Each refusal is
 * a clear error that leaves the file, the mappings and the descriptors as they were.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(attach, .timeout = 60);

enum { IMAGE_SIZE = 2 << 20, HEADER_SIZE = 256, F_SEAL_EXEC_BIT = 0x20 };

/* The bytes of a segment that nobody has attached any more, and what its file is like. */
static struct image {
    unsigned char bytes[IMAGE_SIZE];
    off_t file_size;
    int seals;
} image;

/* A segment with a payload in it, copied and then left. */
static void image_take(void)
{
    shoal_segment segment;
    struct stat status;
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 16 << 20 }, &segment),
                0);
    char *payload = shoal_alloc_in(segment, 100);
    cr_assert_not_null(payload);
    shoal_free(payload);
    const int fd = shoal_segment_fd(segment);
    cr_assert_eq(fstat(fd, &status), 0);
    image.file_size = status.st_size;
    /* Sealing an executable file against execution would seal it against writing too. */
    image.seals = fcntl(fd, F_GET_SEALS) & ~F_SEAL_EXEC_BIT;
    cr_assert_eq(pread(fd, image.bytes, IMAGE_SIZE, 0), IMAGE_SIZE);
    assert_code(shoal_segment_detach(segment), 0);
    cr_assert_eq(harness_segments_count(), 0);
}

/* A memory file with the given start; holes up to its size. */
static int file_of(const void *bytes, size_t bytes_size, off_t file_size, int seals)
{
    const int fd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert(fd >= 0 && ftruncate(fd, file_size) == 0);
    cr_assert_eq(pwrite(fd, bytes, bytes_size, 0), (ssize_t)bytes_size);
    if (seals)
        cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static uint64_t checksum_of(int fd)
{
    static unsigned char buffer[IMAGE_SIZE];
    uint64_t sum = 1469598103934665603u;
    const ssize_t size = pread(fd, buffer, sizeof buffer, 0);
    for (ssize_t i = 0; i < size; i++)
        sum = (sum ^ buffer[i]) * 1099511628211u;
    return sum;
}

/* Attaching answers one of two codes and changes nothing. */
static void refused(int fd, int code, int or_code, const char *what)
{
    const unsigned segments = harness_segments_count(), fds = harness_fds_count();
    const uint64_t sum = checksum_of(fd);
    const off_t position = lseek(fd, 0, SEEK_CUR);
    shoal_segment segment = { 4711 };
    const int got = shoal_segment_attach_fd(fd, &segment);
    cr_assert(got == code || got == or_code, "%s: %d (%s: %s)", what, got, shoal_strerror(got),
              shoal_error_message());
    cr_assert(shoal_error_message()[0]);
    cr_assert_eq(segment.ref, 4711, "%s: the output was written", what);
    cr_assert_eq(checksum_of(fd), sum, "%s: the file was changed", what);
    cr_assert_eq(lseek(fd, 0, SEEK_CUR), position, "%s: the position moved", what);
    cr_assert_eq(harness_segments_count(), segments, "%s: a mapping remains", what);
    cr_assert_eq(harness_fds_count(), fds, "%s: descriptors", what);
}

static void refused_and_closed(int fd, int code, int or_code, const char *what)
{
    cr_assert(fd >= 0, "%s", what);
    refused(fd, code, or_code, what);
    cr_assert_eq(close(fd), 0, "%s: the descriptor was closed by attach", what);
}

Test(attach, whole_copy_is_accepted, .timeout = 60)
{
    /* So that the refusals below are for what each of them spoils. */
    shoal_segment segment;
    image_take();
    const int fd = file_of(image.bytes, IMAGE_SIZE, image.file_size, image.seals);
    assert_code(shoal_segment_attach_fd(fd, &segment), 0);
    char *payload = shoal_alloc_in(segment, 1000);
    cr_assert_not_null(payload, "%s", shoal_error_message());
    memset(payload, 1, 1000);
    shoal_free(payload);
    assert_code(shoal_segment_detach(segment), 0);
    close(fd);
}

Test(attach, no_descriptor_is_refused, .timeout = 60)
{
    const int closed = dup(STDIN_FILENO);
    close(closed);
    refused(-1, -EINVAL, -EINVAL, "-1");
    refused(-4096, -EINVAL, -EINVAL, "-4096");
    refused(closed, -EINVAL, -EINVAL, "closed");
    refused(0x7fffffff, -EINVAL, -EINVAL, "huge");
    assert_code(shoal_segment_attach_fd(0, NULL), -EINVAL);
}

Test(attach, other_kinds_of_files_are_refused, .timeout = 60)
{
    int ends[2], sockets[2];
    cr_assert(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    refused_and_closed(open("/", O_RDONLY | O_DIRECTORY), -EPROTO, -EINVAL, "directory");
    refused_and_closed(ends[0], -EPROTO, -EINVAL, "pipe to read");
    refused_and_closed(ends[1], -EPROTO, -EINVAL, "pipe to write");
    refused_and_closed(sockets[0], -EPROTO, -EINVAL, "socket");
    close(sockets[1]);
    refused_and_closed(open("/dev/null", O_RDWR), -EPROTO, -EINVAL, "/dev/null");
    refused_and_closed(open("/dev/zero", O_RDWR), -EPROTO, -EINVAL, "/dev/zero");
    refused_and_closed(open("/proc/self/maps", O_RDONLY), -EPROTO, -EINVAL, "/proc file");
    refused_and_closed(open("/", O_PATH), -EPROTO, -EINVAL, "O_PATH");
    char path[] = "/tmp/shoal-test-XXXXXX";
    const int fd = mkstemp(path);
    unlink(path);
    refused(fd, -EPROTO, -EINVAL, "empty file");
    image_take();
    cr_assert_eq(pwrite(fd, image.bytes, IMAGE_SIZE, 0), IMAGE_SIZE);
    cr_assert_eq(ftruncate(fd, image.file_size), 0);
    refused_and_closed(fd, -EPROTO, -EINVAL, "copy on a disk, which knows no seals");
}

Test(attach, random_bytes_are_refused, .timeout = 60)
{
    static unsigned char bytes[IMAGE_SIZE];
    image_take();
    uint64_t state = harness_seed("random_bytes_are_refused");
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof bytes; i += 8) {
            const uint64_t word = harness_random(&state);
            memcpy(bytes + i, &word, 8);
        }
        refused_and_closed(file_of(bytes, IMAGE_SIZE, image.file_size, image.seals), -EPROTO,
                           -EPROTO, "random bytes");
    }
    memset(bytes, 0, sizeof bytes);
    refused_and_closed(file_of(bytes, IMAGE_SIZE, image.file_size, image.seals), -EPROTO, -EPROTO,
                       "zeros");
}

Test(attach, truncated_and_lengthened_files_are_refused, .timeout = 60)
{
    image_take();
    static const off_t sizes[] = { 0, 1, 8, 63, 64, 127, 128, 4096, IMAGE_SIZE - 1, IMAGE_SIZE };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const int fd = file_of(image.bytes, (size_t)sizes[i], sizes[i], image.seals);
        refused_and_closed(fd, -EPROTO, -EUCLEAN, "truncated");
    }
    for (off_t more = -4096; more <= 4096; more += 8192) {
        const off_t size = image.file_size + more;
        refused_and_closed(file_of(image.bytes, IMAGE_SIZE, size, image.seals), -EPROTO, -EUCLEAN,
                           "another size than its header says");
    }
}

Test(attach, unsealed_and_unwritable_files_are_refused, .timeout = 60)
{
    image_take();
    refused_and_closed(file_of(image.bytes, IMAGE_SIZE, image.file_size, 0), -EPROTO, -EINVAL,
                       "unsealed");
    refused_and_closed(file_of(image.bytes, IMAGE_SIZE, image.file_size, F_SEAL_GROW), -EPROTO,
                       -EINVAL, "it could shrink");
    refused_and_closed(
        file_of(image.bytes, IMAGE_SIZE, image.file_size, image.seals | F_SEAL_WRITE), -EPROTO,
        -EINVAL, "sealed against writing");
    const int fd = file_of(image.bytes, IMAGE_SIZE, image.file_size, image.seals);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    refused_and_closed(open(path, O_RDONLY), -EINVAL, -EINVAL, "open for reading only");
    refused_and_closed(open(path, O_WRONLY), -EINVAL, -EINVAL, "open for writing only");
    close(fd);
}

Test(attach, another_layout_is_refused, .timeout = 60)
{
    image_take();
    /* The first 16 bytes say what it is: magic, layout version, feature bits. */
    for (size_t at = 0; at < 16; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            image.bytes[at] ^= (unsigned char)(1u << bit);
            refused_and_closed(file_of(image.bytes, IMAGE_SIZE, image.file_size, image.seals),
                               -EPROTO, -EPROTO, "another magic, layout or feature");
            image.bytes[at] ^= (unsigned char)(1u << bit);
        }
}

/* Any other bit of the header may be wrong too: an error, or a segment that can be left again. */
Test(attach, damaged_header_is_an_error_or_harmless, .timeout = 60)
{
    image_take();
    for (size_t at = 16; at < HEADER_SIZE; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            shoal_segment segment = { 4711 };
            image.bytes[at] ^= (unsigned char)(1u << bit);
            const int fd = file_of(image.bytes, HEADER_SIZE, image.file_size, image.seals);
            image.bytes[at] ^= (unsigned char)(1u << bit);
            const int code = shoal_segment_attach_fd(fd, &segment);
            if (code == 0)
                assert_code(shoal_segment_detach(segment), 0);
            cr_assert(code == 0 || (harness_code_listed(code) && segment.ref == 4711),
                      "byte %zu bit %u: %d", at, bit, code);
            cr_assert_eq(harness_segments_count(), 0);
            close(fd);
        }
}

Test(attach, damaged_size_number_and_place_are_refused, .timeout = 60)
{
    image_take();
    static const size_t fields[] = { 16, 24 }; /* size, base */
    static const uint64_t values[] = {
        0, 1, 4095, UINT64_C(1) << 47, UINT64_MAX, UINT64_MAX - 4095
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        for (size_t k = 0; k < COUNT_OF(values); k++) {
            uint64_t before;
            memcpy(&before, image.bytes + fields[i], 8);
            memcpy(image.bytes + fields[i], &values[k], 8);
            shoal_segment segment = { 4711 };
            const int fd = file_of(image.bytes, IMAGE_SIZE, image.file_size, image.seals);
            const int code = shoal_segment_attach_fd(fd, &segment);
            /* A foreign segment may lie anywhere: only its size has to be right. */
            cr_assert(fields[i] != 16 || code < 0, "size %llu", (unsigned long long)values[k]);
            cr_assert(harness_code_listed(code));
            if (code == 0)
                assert_code(shoal_segment_detach(segment), 0);
            cr_assert_eq(harness_segments_count(), 0);
            memcpy(image.bytes + fields[i], &before, 8);
            close(fd);
        }
}

/* A second file with the number of an attached segment cannot be told apart in handles. */
Test(attach, copy_of_an_attached_segment_is_refused, .timeout = 60)
{
    shoal_segment segment;
    image_take();
    const int one = file_of(image.bytes, IMAGE_SIZE, image.file_size, image.seals);
    const int other = file_of(image.bytes, IMAGE_SIZE, image.file_size, image.seals);
    assert_code(shoal_segment_attach_fd(one, &segment), 0);
    refused(other, -EADDRINUSE, -EADDRINUSE, "a second one with its number");
    assert_code(shoal_segment_detach(segment), 0);
    close(one);
    close(other);
}

/* --- what a peer wrote is input ------------------------------------------------------------- */

static void segment_used(shoal_segment segment)
{
    void *payloads[64];
    shoal_queue queue = { 0 };
    for (size_t i = 0; i < COUNT_OF(payloads); i++)
        payloads[i] = shoal_alloc_in(segment, (i % 16 + 1) * 1000);
    const int code = shoal_queue_create(
        &(shoal_queue_options){ .segment = segment, .capacity_count = 100 }, &queue);
    CHILD_CHECK(harness_code_listed(code));
    for (size_t i = 0; i < COUNT_OF(payloads); i++) {
        if (!payloads[i])
            continue;
        if (code < 0 || shoal_queue_put(queue, payloads[i], SHOAL_NOW) < 0)
            shoal_free(payloads[i]);
    }
    void *payload = NULL;
    while (code == 0 && shoal_queue_get(queue, &payload, SHOAL_NOW) == 0)
        shoal_free(payload);
}

static int damaged_segment_used(void *argument)
{
    shoal_segment segment;
    const int code = shoal_segment_attach_fd(*(int *)argument, &segment);
    CHILD_CHECK(harness_code_listed(code));
    if (code == 0)
        segment_used(segment);
    return 0;
}

/* Whatever stands in the tables behind the header: codes, never a signal, and never for ever. */
Test(attach, damaged_tables_never_crash, .timeout = 300)
{
    image_take();
    static unsigned char whole[IMAGE_SIZE];
    memcpy(whole, image.bytes, IMAGE_SIZE);
    uint64_t state = harness_seed("damaged_tables_never_crash");
    for (int round = 0; round < 60; round++) {
        memcpy(image.bytes, whole, IMAGE_SIZE);
        const size_t damages = round < 30 ? 10000 : 40;
        for (size_t i = 0; i < damages; i++) {
            const uint64_t word = harness_random(&state) >> harness_random(&state) % 64;
            const size_t at = HEADER_SIZE + harness_random(&state) % (IMAGE_SIZE - HEADER_SIZE - 8);
            memcpy(image.bytes + at / 8 * 8, &word, 8);
        }
        int fd = file_of(image.bytes, IMAGE_SIZE, image.file_size, image.seals);
        const int status = harness_wait(harness_child(damaged_segment_used, &fd));
        cr_assert_eq(status, 0, "round %d: %d", round, status);
        close(fd);
    }
}
