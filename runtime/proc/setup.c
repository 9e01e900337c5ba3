#include "proc/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/heap.h"
#include "mem/alloc.h"
#include "proc/setup_shm.h"

/* --- its creator ---------------------------------------------------------------------------- */

int shl_setup_check(const shoal_process_setup *setup, enum shoal_start_method method)
{
    REQUIRE_RESERVED(setup);
    REQUIRE(!setup->processors == (setup->processors_count == 0), -EINVAL,
            "processors need a count, and a count processors");
    REQUIRE(!setup->limits == (setup->limits_count == 0), -EINVAL,
            "limits need a count, and a count limits");
    for (size_t i = 0; i < setup->processors_count; i++)
        REQUIRE(setup->processors[i] < CPU_SETSIZE, -EINVAL, "no such processor");
    bool other_program = setup->executable || setup->argv;
    REQUIRE(!other_program || method == SHOAL_START_SPAWN, -EINVAL,
            "another program, or arguments of its own, are for SHOAL_START_SPAWN alone");
    return 0;
}

/* Where the next record goes: nowhere, while one only wants to know how long all will be. */
struct writer {
    char *at;
    size_t size;
};

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* The bytes of a record that is begun. */
static void write_bytes(struct writer *writer, const void *bytes, size_t size)
{
    if (writer->at)
        memcpy(writer->at + writer->size, bytes, size);
    writer->size += size;
}

static void begin_record(struct writer *writer, uint32_t kind, size_t size)
{
    writer->size = padded(writer->size);
    write_bytes(writer, &(struct setup_shm){ kind, (uint32_t)size }, sizeof(struct setup_shm));
}

static void write_record(struct writer *writer, uint32_t kind, const void *bytes, size_t size)
{
    begin_record(writer, kind, size);
    write_bytes(writer, bytes, size);
}

static void write_text(struct writer *writer, uint32_t kind, const char *text)
{
    if (text)
        write_record(writer, kind, text, strlen(text) + 1);
}

static void write_strings(struct writer *writer, uint32_t kind, const char *const *strings)
{
    size_t size = 0;
    if (!strings)
        return;
    for (size_t i = 0; strings[i]; i++)
        size += strlen(strings[i]) + 1;
    begin_record(writer, kind, size);
    for (size_t i = 0; strings[i]; i++)
        write_bytes(writer, strings[i], strlen(strings[i]) + 1);
}

static void write_all(struct writer *writer, const shoal_process_setup *setup)
{
    const int32_t niceness = setup->niceness;
    write_text(writer, SETUP_CGROUP, setup->cgroup);
    if (niceness != 0)
        write_record(writer, SETUP_NICENESS, &niceness, sizeof niceness);
    if (setup->processors_count > 0)
        write_record(writer, SETUP_PROCESSORS, setup->processors,
                     setup->processors_count * sizeof(uint32_t));
    for (size_t i = 0; i < setup->limits_count; i++) {
        const struct setup_limit_shm limit = { .soft = setup->limits[i].soft,
                                               .hard = setup->limits[i].hard,
                                               .resource = (uint32_t)setup->limits[i].resource };
        write_record(writer, SETUP_LIMIT, &limit, sizeof limit);
    }
    write_text(writer, SETUP_DIRECTORY, setup->directory);
    write_strings(writer, SETUP_ENVIRONMENT, setup->environment);
    write_text(writer, SETUP_EXECUTABLE, setup->executable);
    write_strings(writer, SETUP_ARGV, setup->argv);
    begin_record(writer, 0, 0);
}

static_assert(sizeof(unsigned) == sizeof(uint32_t), "processors are copied");

int shl_setup_write(const struct shl_segment *segment, const shoal_process_setup *setup,
                    uint64_t *ret_offset)
{
    struct writer writer = { 0 };
    write_all(&writer, setup);
    REQUIRE(writer.size <= UINT32_MAX, -EMSGSIZE, "the setup is too large");
    char *copy = shl_alloc(segment, writer.size);
    if (!copy)
        return shl_error_code();
    memset(copy, 0, writer.size);
    writer = (struct writer){ .at = copy };
    write_all(&writer, setup);
    *ret_offset = shl_offset(segment, copy);
    return 0;
}

/* --- reading it: what another process may have damaged --------------------------------------- */

struct reader {
    const char *at, *end;
};

static struct reader begin_reading(const struct shl_segment *segment, uint64_t offset)
{
    struct shl_place place;
    if (!offset || !shl_place_at(segment, offset, &place))
        return (struct reader){ 0 };
    const char *at = shl_at(segment, offset);
    return (struct reader){ at, at + shl_room(&place) };
}

struct record {
    uint32_t kind, size;
    const char *bytes;
};

/* The next one; kind 0 at the end, or at one that reaches beyond it. */
static struct record next_record(struct reader *reader)
{
    struct setup_shm head;
    if ((size_t)(reader->end - reader->at) < sizeof head)
        return (struct record){ 0 };
    memcpy(&head, reader->at, sizeof head);
    const char *bytes = reader->at + sizeof head;
    if (padded(head.size) > (size_t)(reader->end - bytes))
        return (struct record){ 0 };
    reader->at = bytes + padded(head.size);
    return (struct record){ head.kind, head.size, bytes };
}

static struct record find_record(const struct shl_segment *segment, uint64_t offset, uint32_t kind)
{
    struct reader reader = begin_reading(segment, offset);
    struct record record;
    do
        record = next_record(&reader);
    while (record.kind != 0 && record.kind != kind);
    return record;
}

static bool is_text(const struct record *record)
{
    return record->size > 0 && record->bytes[record->size - 1] == '\0';
}

const char *shl_setup_text(const struct shl_segment *segment, uint64_t offset, uint32_t kind)
{
    struct record record = find_record(segment, offset, kind);
    return is_text(&record) ? record.bytes : NULL;
}

/* A copy, with a pointer to each and NULL behind them. NULL without memory. */
static char **strings_of(const struct record *record)
{
    size_t count = 0, next = 0;
    for (size_t i = 0; i < record->size; i++)
        count += record->bytes[i] == '\0';
    char **strings = shl_heap_resize(NULL, (count + 1) * sizeof *strings + record->size + 1);
    if (!strings)
        return NULL;
    char *copy = (char *)(strings + count + 1);
    memcpy(copy, record->bytes, record->size); /* where a zero may be missing by now */
    copy[record->size] = '\0';
    for (size_t i = 0; next < count && i < record->size; next++, i += strlen(copy + i) + 1)
        strings[next] = copy + i;
    strings[next] = NULL;
    return strings;
}

int shl_setup_strings(const struct shl_segment *segment, uint64_t offset, uint32_t kind,
                      char ***ret_strings)
{
    struct record record = find_record(segment, offset, kind);
    *ret_strings = NULL;
    if (record.kind != kind)
        return 0;
    *ret_strings = strings_of(&record);
    REQUIRE(*ret_strings, -ENOMEM, "no memory for the strings of a new process");
    return 0;
}

/* --- the child: each answers 0, or -1 with errno --------------------------------------------- */

static int enter_cgroup(const struct record *record)
{
    static const char name[] = "/cgroup.procs";
    char file[PATH_MAX];
    size_t length = record->size - 1;
    if (length + sizeof name > sizeof file) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(file, record->bytes, length); /* not as a string: its end may be gone by now */
    memcpy(file + length, name, sizeof name);
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    int result = fd < 0 || pwrite(fd, "0", 1, 0) != 1 ? -1 : 0; /* 0: who writes it */
    int number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return result;
}

static int be_nice(const struct record *record)
{
    int32_t niceness;
    if (record->size != sizeof niceness)
        return -1;
    memcpy(&niceness, record->bytes, sizeof niceness);
    errno = 0;
    return nice(niceness) == -1 && errno != 0 ? -1 : 0;
}

static int run_on(const struct record *record)
{
    cpu_set_t set;
    uint32_t processor;
    CPU_ZERO(&set);
    for (size_t i = 0; i < record->size / sizeof processor; i++) {
        memcpy(&processor, record->bytes + i * sizeof processor, sizeof processor);
        if (processor < CPU_SETSIZE)
            CPU_SET(processor, &set);
    }
    return sched_setaffinity(0, sizeof set, &set);
}

static int be_limited(const struct record *record)
{
    struct setup_limit_shm limit;
    if (record->size != sizeof limit)
        return -1;
    memcpy(&limit, record->bytes, sizeof limit);
    return setrlimit(limit.resource, &(struct rlimit){ limit.soft, limit.hard });
}

/* Never freed: it is what environ names for the rest of the process. */
static int live_with(const struct record *record)
{
    char **strings = strings_of(record);
    if (!strings) {
        errno = ENOMEM; /* which jemalloc does not say */
        return -1;
    }
    environ = strings;
    return 0;
}

static int apply(const struct record *record)
{
    errno = EUCLEAN; /* if it is not what it says */
    switch (record->kind) {
    case SETUP_CGROUP:
        return is_text(record) ? enter_cgroup(record) : -1;
    case SETUP_NICENESS:
        return be_nice(record);
    case SETUP_PROCESSORS:
        return run_on(record);
    case SETUP_LIMIT:
        return be_limited(record);
    case SETUP_DIRECTORY:
        return is_text(record) ? chdir(record->bytes) : -1;
    case SETUP_ENVIRONMENT:
        return live_with(record);
    default:
        return 0; /* read by the creator */
    }
}

int shl_setup_apply(const struct shl_segment *segment, struct process_shm *process)
{
    struct reader reader = begin_reading(segment, process->setup);
    for (;;) {
        struct record record = next_record(&reader);
        if (record.kind == 0)
            return 0;
        if (apply(&record) == 0)
            continue;
        int code = shl_error_of_errno(errno);
        atom_store_relaxed(&process->refused, record.kind);
        return code;
    }
}

const char *shl_setup_word(uint32_t kind)
{
    static const char *const words[SETUP_KINDS] = {
        [SETUP_CGROUP] = "cgroup",         [SETUP_NICENESS] = "niceness",
        [SETUP_PROCESSORS] = "processors", [SETUP_LIMIT] = "limits",
        [SETUP_DIRECTORY] = "directory",   [SETUP_ENVIRONMENT] = "environment",
        [SETUP_EXECUTABLE] = "executable", [SETUP_ARGV] = "argv",
    };
    return kind < SETUP_KINDS && words[kind] ? words[kind] : "setup";
}
