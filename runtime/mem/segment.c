/*
 * Purpose. Creates, attaches and names segments. A segment is complete before anybody can see it;
 * a file that is attached is checked without being mapped, so that a wrong one is not touched.
 *
 * The family's address lies where neither the kernel's mappings nor a sanitizer's shadow come: it
 * serves plain, ASan, TSan and valgrind programs alike. Further segments use the places after it.
 */
#include "mem/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "mem/name.h"
#include "mem/pages.h"
#include "mem/readers.h"
#include "mem/self.h"
#include "os/chaos.h"
#include "os/memfd.h"
#include "os/named.h"

#define PLACE_FIRST UINT64_C(0x7e8000000000)
#define PLACE_SIZE (UINT64_C(64) << 30)
#ifndef SIZE_DEFAULT /* tests/aarch64 says less: an emulator keeps a note of each page */
#define SIZE_DEFAULT PLACE_SIZE
#endif

struct shl_segment shl_segments[SHL_SEGMENTS_MAX];

/* With the table locked, or among its readers. */
static struct shl_segment *find_id(uint32_t id)
{
    for (uint32_t i = 0; i < SHL_SEGMENTS_MAX; i++)
        if (shl_segment_attached(&shl_segments[i]) && shl_segments[i].id == id)
            return &shl_segments[i];
    return NULL;
}

/* Likewise. */
static struct shl_segment *find_address(const void *address)
{
    for (uint32_t i = 0; i < SHL_SEGMENTS_MAX; i++) {
        struct shl_segment *segment = &shl_segments[i];
        /* [segment.place] acquire <- publish(); looked at once, it may go meanwhile. */
        uintptr_t base = (uintptr_t)atom_load_acquire_pointer(&segment->shm);
        if (base && (uintptr_t)address - base < segment->size)
            return segment;
    }
    return NULL;
}

static const char not_attached[] = "the segment is not attached";

/* What a reader has found, entered by the calling thread if it is not in already. */
static struct shl_segment *enter(struct shl_segment *found, uint32_t epoch)
{
    struct shl_self *self = shl_self_pointer;
    if (!found)
        shl_error(-ESTALE, not_attached);
    else if ((self && self->attachments[found - shl_segments].epoch == epoch) ||
             shl_self_attach_at(found, epoch))
        return found;
    return NULL;
}

bool shl_segment_peek(uint32_t id, struct shl_segment *ret_segment)
{
    struct shl_segment *found = find_id(id);
    /* [segment.place] acquire <- publish(). Not looked at again: unmapping may begin. */
    struct segment_shm *shm = found ? atom_load_acquire_pointer(&found->shm) : NULL;
    if (!shm || (shl_segment_is_closing(found) && !shl_self_attached(found))) {
        shl_error(-ESTALE, not_attached);
        return false;
    }
    *ret_segment = (struct shl_segment){ .shm = shm,
                                         .size = found->size,
                                         .id = found->id,
                                         .chunks_at = found->chunks_at,
                                         .chunks_most = found->chunks_most,
                                         .index = found->index,
                                         .epoch = found->epoch,
                                         .fd = found->fd };
    return true;
}

struct shl_segment *shl_segment_by_id_slow(uint32_t id)
{
    shl_readers_enter();
    struct shl_segment *found = find_id(id);
    uint32_t epoch = found ? found->epoch : 0;
    shl_readers_leave();
    return enter(found, epoch);
}

struct shl_segment *shl_segment_by_address_slow(const void *address)
{
    shl_readers_enter();
    struct shl_segment *found = find_address(address);
    uint32_t epoch = found ? found->epoch : 0;
    shl_readers_leave();
    return enter(found, epoch);
}

static bool is_there(const struct shl_segment *segment, uint32_t epoch)
{
    return shl_segment_attached(segment) && segment->epoch == epoch &&
           !shl_segment_is_closing(segment);
}

int shl_segment_pin(const struct shl_segment *segment, uint32_t epoch)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return shl_error_code();
    pthread_mutex_lock(&shared->lock);
    bool there = is_there(segment, epoch);
    if (there)
        shared->pins[segment - shl_segments]++;
    pthread_mutex_unlock(&shared->lock);
    return there ? 0 : shl_error(-ESTALE, not_attached);
}

/* With the table locked. */
static void unmap_if_left(struct shl_segment *segment)
{
    struct segment_shm *shm = segment->shm;
    if (!shm || !shl_segment_is_closing(segment) || shl_shared()->pins[segment->index] > 0)
        return;
    shl_self_leave_process(segment);
    /* [segment.place] release -> shl_segment_attached(). */
    atom_store_release_pointer(&segment->shm, NULL);
    shl_readers_wait();
    shl_unmap(shm, segment->size);
    close(segment->fd);
}

void shl_segment_unpin(const struct shl_segment *segment)
{
    struct shl_shared *shared = shl_shared();
    pthread_mutex_lock(&shared->lock);
    shared->pins[segment->index]--;
    unmap_if_left(&shl_segments[segment->index]);
    pthread_mutex_unlock(&shared->lock);
}

/* Without options: as much as the limits leave room for, but not the whole address space. */
static int choose_size(uint64_t wanted, uint64_t *ret_size)
{
    if (wanted == 0) {
        uint64_t limit = shl_memory_limit(SIZE_DEFAULT * 2) / 2;
        wanted = limit < SIZE_DEFAULT ? limit : SIZE_DEFAULT;
    } else {
        REQUIRE(wanted >= SEGMENT_SIZE_MIN && wanted <= SEGMENT_SIZE_MAX, -EINVAL,
                "size_max must be between 4 MiB and 1 TiB");
        REQUIRE(shl_memory_limit(wanted) == wanted, -ENOMEM,
                "size_max is above RLIMIT_FSIZE or RLIMIT_AS");
    }
    *ret_size = wanted & ~(CHUNK_SIZE - 1);
    REQUIRE(*ret_size >= SEGMENT_SIZE_MIN, -ENOMEM,
            "RLIMIT_FSIZE or RLIMIT_AS is too low for a segment");
    return 0;
}

static uint32_t choose_id(void)
{
    uint16_t id = 0;
    while (id == 0 || find_id(id))
        if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
            id++; /* early at boot: any number that is free here will do */
    return id;
}

static uint64_t tables_size(uint64_t size)
{
    return SEGMENT_CHUNKS_AT + size / CHUNK_SIZE * sizeof(uint64_t);
}

static void write_header(struct segment_shm *shm, uint64_t size)
{
    shm->layout = SEGMENT_LAYOUT;
    shm->features = SEGMENT_FEATURES;
    shm->size = size;
    shm->base = (uint64_t)(uintptr_t)shm;
    shm->id = choose_id();
    shm->chunks_at = (uint32_t)((tables_size(size) + CHUNK_SIZE - 1) / CHUNK_SIZE);
    snprintf(shm->build, sizeof shm->build, "shoal %s", shoal_version());
    shm->magic = SEGMENT_MAGIC;
}

/* Is what was read from a file a header of ours, and does it fit the file? */
static int check_header(const struct segment_shm *header, uint64_t file_size)
{
    REQUIRE(header->magic == SEGMENT_MAGIC, -EPROTO, "the file is not a segment");
    if (header->layout != SEGMENT_LAYOUT || (header->features & ~SEGMENT_FEATURES))
        return shl_errorf(-EPROTO,
                          "the segment has layout %u, features %x (made by %.31s), not layout %u",
                          header->layout, header->features, header->build, SEGMENT_LAYOUT);
    REQUIRE(header->size == file_size, -EPROTO,
            "the segment's file has not the size its header names");
    REQUIRE(header->size >= SEGMENT_SIZE_MIN && header->size <= SEGMENT_SIZE_MAX &&
                header->size % CHUNK_SIZE == 0 && header->id > 0 && header->id <= UINT16_MAX &&
                header->base % CHUNK_SIZE == 0 &&
                (uint64_t)header->chunks_at * CHUNK_SIZE >= tables_size(header->size) &&
                header->chunks_at < header->size / CHUNK_SIZE,
            -EUCLEAN, "the segment's header is damaged");
    return 0;
}

/* Tries the family's place and those after it; anywhere if all are taken and that is allowed. */
static int map_somewhere(int fd, uint64_t size, bool fixed_address, void **ret_base)
{
    int code = -EADDRINUSE;
    uint32_t places = fixed_address ? 1 : SHL_SEGMENTS_MAX;
    for (uint32_t i = 0; i < places && code == -EADDRINUSE; i++)
        code = shl_memfd_map(fd, size, (void *)(uintptr_t)(PLACE_FIRST + i * PLACE_SIZE), ret_base);
    if (code == -EADDRINUSE && !fixed_address)
        code = shl_memfd_map(fd, size, NULL, ret_base);
    return code;
}

static struct shl_segment *free_place(bool family)
{
    for (uint32_t i = family ? SHL_FAMILY : SHL_FAMILY + 1; i < SHL_SEGMENTS_MAX; i++) {
        unmap_if_left(&shl_segments[i]); /* left by threads that a fork did not copy */
        if (!shl_segments[i].shm)
            return &shl_segments[i];
    }
    shl_error(-EUSERS, "this process has as many segments attached as it can have");
    return NULL;
}

/* `header` was checked; what lies in the segment by now may be another's. */
static void publish(struct shl_segment *place, const struct segment_shm *header,
                    struct segment_shm *shm, const struct shl_file_identity *identity, int fd)
{
    static uint32_t epochs; /* under the table's lock */
    place->size = header->size;
    place->device = identity->device;
    place->inode = identity->inode;
    place->id = header->id;
    place->chunks_at = header->chunks_at;
    place->chunks_most = header->size / CHUNK_SIZE - header->chunks_at;
    place->index = (uint32_t)(place - shl_segments);
    place->epoch = ++epochs;
    place->fd = fd;
    atom_store_relaxed(&place->closing, 0);
    /* [segment.place] release -> shl_segment_attached(). */
    atom_store_release_pointer(&place->shm, shm);
}

int shl_segment_file(const struct shl_segment *segment, struct shl_file_identity *ret_file)
{
    int code = shl_file_identify(segment->fd, ret_file);
    REQUIRE(code == 0 && ret_file->device == segment->device && ret_file->inode == segment->inode,
            -EIO, "the segment's descriptor was closed by somebody else");
    return 0;
}

/* A name appears when all behind it is whole. */
static int create_mapped(struct shl_segment *place, uint64_t size,
                         const shoal_segment_options *options, int fd)
{
    void *base = NULL;
    struct shl_file_identity identity;
    int code = shl_file_identify(fd, &identity);
    if (code == 0)
        code = shl_memfd_commit(fd, 0, tables_size(size));
    if (code == 0)
        code = map_somewhere(fd, size, options->fixed_address, &base);
    if (code < 0 || !base)
        return code;
    write_header(base, size);
    SHL_CHAOS("segment.link");
    if (options->name)
        code = shl_named_link(fd, options->name);
    SHL_CHAOS("segment.publish");
    if (code == 0)
        publish(place, base, base, &identity, fd);
    else
        shl_unmap(base, size);
    return code;
}

/* With the table locked. */
static int create(struct shl_segment *place, const shoal_segment_options *options)
{
    uint64_t size = 0;
    int code = choose_size(options->size_max, &size);
    if (code < 0)
        return code;
    int fd = options->name ? shl_named_create(size) : shl_memfd_create(size);
    if (fd < 0)
        return fd;
    code = create_mapped(place, size, options, fd);
    if (code < 0)
        close(fd);
    return code;
}

int shl_segment_family_create(uint64_t size_max)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return shl_error_code();
    const shoal_segment_options options = { .size_max = size_max };
    pthread_mutex_lock(&shared->lock);
    struct shl_segment *family = &shl_segments[SHL_FAMILY];
    int code = family->shm
                   ? shl_error(-EALREADY, "shoal_init() was called, or comes after other calls")
                   : create(family, &options);
    pthread_mutex_unlock(&shared->lock);
    return code;
}

struct shl_segment *shl_segment_family_slow(void)
{
    int code = shl_segment_family_create(0);
    return code == 0 || code == -EALREADY ? &shl_segments[SHL_FAMILY] : NULL;
}

static shoal_segment handle_of(uint32_t id)
{
    return (shoal_segment){ shl_ref_make(id, 1, 0) };
}

/* A segment was found by the handle's number, or not. */
static int check_handle(shoal_segment handle, bool found)
{
    uint32_t id = shl_ref_id(handle.ref);
    if (likely(found && SHOAL_SAME(handle, handle_of(id))))
        return 0;
    return found || id == 0 ? shl_error(-EINVAL, "not the handle of a segment")
                            : shl_error(-ESTALE, not_attached);
}

struct shl_segment *shl_segment_of_handle(shoal_segment handle)
{
    if (SHOAL_IS_NONE(handle))
        return shl_segment_family();
    shl_self_leave_detached();
    struct shl_segment *segment = shl_segment_by_id(shl_ref_id(handle.ref));
    if (!segment && shl_ref_id(handle.ref) != 0)
        return NULL; /* it was told why */
    return check_handle(handle, segment) == 0 ? segment : NULL;
}

int shoal_segment_create(const shoal_segment_options *options, shoal_segment *ret_segment)
{
    REQUIRE(ret_segment, -EINVAL, "no place for the handle");
    shoal_segment_options chosen = options ? *options : (shoal_segment_options){ 0 };
    REQUIRE_RESERVED(&chosen);
    int code = chosen.name ? shl_name_check(chosen.name) : 0;
    struct shl_shared *shared = code == 0 ? shl_shared() : NULL;
    if (!shared)
        return shl_error_code();
    pthread_mutex_lock(&shared->lock);
    struct shl_segment *place = free_place(false);
    code = place ? create(place, &chosen) : -EUSERS;
    if (code == 0)
        *ret_segment = handle_of(place->id);
    pthread_mutex_unlock(&shared->lock);
    return code;
}

static struct shl_segment *find_file(const struct shl_file_identity *identity)
{
    for (uint32_t i = 0; i < SHL_SEGMENTS_MAX; i++) {
        struct shl_segment *segment = &shl_segments[i];
        if (segment->shm && segment->device == identity->device &&
            segment->inode == identity->inode)
            return segment;
    }
    return NULL;
}

/* The checked header's segment at its own address or, if that is taken here, anywhere. */
static int map_attached(const struct segment_shm *header, const struct shl_file_identity *identity,
                        int fd_borrowed, struct shl_segment *place)
{
    int fd = fcntl(fd_borrowed, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0)
        return shl_error(-EMFILE, "no descriptor for the segment");
    void *base;
    int code = -EADDRINUSE; /* a header may name any address: only the known places are tried */
    if (header->base >= PLACE_FIRST && header->base < PLACE_FIRST + SHL_SEGMENTS_MAX * PLACE_SIZE)
        code = shl_memfd_map(fd, header->size, (void *)(uintptr_t)header->base, &base);
    if (code == -EADDRINUSE)
        code = shl_memfd_map(fd, header->size, NULL, &base);
    if (code == 0)
        publish(place, header, base, identity, fd);
    else
        close(fd);
    return code;
}

/* What is `named` nobody but this user can reach; anything else must be sealed. */
static int read_header(int fd, bool named, const struct shl_file_identity *identity,
                       struct segment_shm *ret_header)
{
    REQUIRE(named || shl_memfd_is_sealed(fd), -EPROTO,
            "the file is not sealed, hence not a segment");
    int code = shl_file_peek(fd, ret_header, sizeof *ret_header);
    return code < 0 ? code : check_header(ret_header, identity->size);
}

/* With the table locked. */
static int attach(int fd, bool named, struct shl_segment **ret_segment)
{
    struct shl_file_identity identity;
    int code = shl_file_identify(fd, &identity);
    if (code < 0)
        return code;
    *ret_segment = find_file(&identity);
    if (*ret_segment) {
        atom_store_relaxed(&(*ret_segment)->closing, 0); /* those who are in may stay */
        return 0;
    }
    struct segment_shm header;
    code = read_header(fd, named, &identity, &header);
    if (code < 0)
        return code;
    REQUIRE(!find_id(header.id), -EADDRINUSE, "another attached segment has the same number");
    *ret_segment = free_place(false);
    return *ret_segment ? map_attached(&header, &identity, fd, *ret_segment) : -EUSERS;
}

/* With the table locked. */
static int adopt(int fd)
{
    struct shl_segment *family = &shl_segments[SHL_FAMILY];
    REQUIRE(!family->shm, -EALREADY, "the family's segment exists already");
    struct shl_file_identity identity;
    struct segment_shm header;
    int code = shl_file_identify(fd, &identity);
    if (code == 0)
        code = read_header(fd, false, &identity, &header);
    void *base;
    if (code == 0)
        code = shl_memfd_map(fd, header.size, (void *)(uintptr_t)header.base, &base);
    if (code == 0)
        publish(family, &header, base, &identity, fd);
    return code;
}

int shl_segment_family_adopt(int fd)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return shl_error_code();
    pthread_mutex_lock(&shared->lock);
    int code = adopt(fd);
    pthread_mutex_unlock(&shared->lock);
    return code;
}

static int attach_locked(int fd, bool named, shoal_segment *ret_segment)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return shl_error_code();
    pthread_mutex_lock(&shared->lock);
    struct shl_segment *segment;
    int code = attach(fd, named, &segment);
    if (code == 0)
        *ret_segment = handle_of(segment->id);
    pthread_mutex_unlock(&shared->lock);
    return code;
}

int shoal_segment_attach_fd(int fd, shoal_segment *ret_segment)
{
    REQUIRE(ret_segment, -EINVAL, "no place for the handle");
    return attach_locked(fd, false, ret_segment);
}

int shoal_segment_attach(const char *name, shoal_segment *ret_segment)
{
    REQUIRE(ret_segment, -EINVAL, "no place for the handle");
    int code = shl_name_check(name);
    int fd = code == 0 ? shl_named_open(name) : code;
    if (fd < 0)
        return fd;
    code = attach_locked(fd, true, ret_segment);
    close(fd);
    return code;
}

int shoal_segment_unlink(const char *name)
{
    int code = shl_name_check(name);
    return code < 0 ? code : shl_named_unlink(name);
}

/* With the table locked. The pin stands for who detaches: else there might be nobody to unmap. */
static int close_place(struct shl_shared *shared, shoal_segment handle,
                       struct shl_segment **ret_segment)
{
    struct shl_segment *segment = find_id(shl_ref_id(handle.ref));
    int code = check_handle(handle, segment);
    if (code < 0)
        return code;
    REQUIRE(!shl_segment_is_closing(segment), -ESTALE, not_attached);
    REQUIRE(segment->index != SHL_FAMILY, -EINVAL, "the family's segment is never unmapped");
    atom_store_relaxed(&segment->closing, 1);
    shared->pins[segment->index]++;
    shl_self_forget_found(); /* and to each thread that the place is closing */
    *ret_segment = segment;
    return 0;
}

int shoal_segment_detach(shoal_segment handle)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return shl_error_code();
    struct shl_segment *segment;
    pthread_mutex_lock(&shared->lock);
    int code = close_place(shared, handle, &segment);
    pthread_mutex_unlock(&shared->lock);
    if (code < 0)
        return code;
    shl_self_leave_detached();
    shl_segment_unpin(segment);
    return 0;
}

int shoal_segment_fd(shoal_segment handle)
{
    shl_readers_enter();
    struct shl_segment segment;
    int code = check_handle(handle, shl_segment_peek(shl_ref_id(handle.ref), &segment));
    shl_readers_leave();
    return code < 0 ? code : segment.fd;
}

shoal_segment shoal_segment_family(void)
{
    struct shl_segment *family = shl_segment_family();
    return family ? handle_of(family->id) : (shoal_segment){ 0 };
}

shoal_segment shoal_segment_of(shoal_any object)
{
    uint32_t id = shl_ref_id(object.ref);
    if (id == 0) {
        shl_error(-EINVAL, "not a handle");
        return (shoal_segment){ 0 };
    }
    shl_readers_enter();
    struct shl_segment segment;
    bool attached = shl_segment_peek(id, &segment);
    shl_readers_leave();
    return attached ? handle_of(id) : (shoal_segment){ 0 };
}
