#include "day.h"

#include "alone.h"
#include "crew.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIVE_MAX ((size_t)64 << 20)
#define BLOCKS_MAX 400000 /* that are alive at once */
#define PAGE 4096u
#define LOOK_EVERY 1024u /* operations */

/* Part of the day: the load, and sizes of 2^from to 2^to bytes, any power of two as often. */
static const struct watch {
    unsigned live_percent;
    unsigned from;
    unsigned to;
} watches[] = {
    { 30, 6, 16 }, { 15, 6, 18 },  { 60, 5, 14 }, { 100, 4, 14 },
    { 80, 4, 13 }, { 100, 5, 16 }, { 50, 4, 14 }, { 25, 6, 18 },
};
#define WATCHES (sizeof(watches) / sizeof(watches[0]))

struct block {
    char *at;
    size_t size;
};

/* All that is not the allocator's: mapped and touched before it begins. */
struct day {
    const struct heap_kind *kind;
    uint64_t operations;
    struct heap heap;
    shoal_segment segment; /* of shoal */
    uint64_t random;
    struct block *blocks;
    size_t count;
    size_t live;
    size_t live_most;
    uint64_t taken_at_first;
    uint64_t taken_most;
};

static uint64_t next_random(struct day *day)
{
    day->random ^= day->random << 13;
    day->random ^= day->random >> 7;
    day->random ^= day->random << 17;
    return day->random;
}

/* ---- memory that is taken */

/* Bytes of private pages of this process. */
static uint64_t taken_privately(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128] = "";
    char *at;
    unsigned long resident;
    unsigned long shared;

    if (file == NULL || fgets(line, sizeof(line), file) == NULL)
        crew_member_fail("cannot read /proc/self/statm");
    fclose(file);
    strtoul(line, &at, 10); /* the address space */
    resident = strtoul(at, &at, 10);
    shared = strtoul(at, NULL, 10);
    return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A segment takes memory before it is used: what the file has, touched or not. */
static uint64_t taken_by_segment(shoal_segment segment)
{
    struct stat file;

    if (fstat(shoal_segment_fd(segment), &file) < 0)
        crew_member_fail("cannot look at the segment");
    return (uint64_t)file.st_blocks * 512;
}

static uint64_t taken(const struct day *day)
{
    return day->kind->by_shoal ? taken_by_segment(day->segment) : taken_privately();
}

/* ---- what happens */

static void *alloc_block(struct day *day, size_t size)
{
    return day->kind->by_shoal ? shoal_alloc_in(day->segment, size) : day->heap.alloc(size);
}

static void begin_one(struct day *day, const struct watch *watch)
{
    unsigned order = watch->from + (unsigned)(next_random(day) % (watch->to - watch->from));
    size_t size = ((size_t)1 << order) + next_random(day) % ((size_t)1 << order);
    char *at = alloc_block(day, size);

    if (at == NULL)
        crew_member_fail("%s: no memory for %zu bytes", day->kind->name, size);
    for (size_t i = 0; i < size; i += PAGE)
        at[i] = 1;
    day->blocks[day->count++] = (struct block){ at, size };
    day->live += size;
    if (day->live > day->live_most)
        day->live_most = day->live;
}

static void end_one(struct day *day)
{
    struct block *block = &day->blocks[next_random(day) % day->count];

    day->heap.free(block->at);
    day->live -= block->size;
    *block = day->blocks[--day->count];
}

/* Around the load that the watch wants, blocks of any age end and others begin. */
static void keep_watch(struct day *day, const struct watch *watch)
{
    size_t wanted = LIVE_MAX / 100 * watch->live_percent;

    for (uint64_t i = 0; i < day->operations / WATCHES; i++) {
        if (day->live < wanted && day->count < BLOCKS_MAX)
            begin_one(day, watch);
        else
            end_one(day);
        if (i % LOOK_EVERY == 0 && taken(day) > day->taken_most)
            day->taken_most = taken(day);
    }
}

static double run_day(void *what)
{
    struct day *day = what;

    heap_load(day->kind, false, &day->heap);
    if (day->kind->by_shoal && shoal_segment_create(NULL, &day->segment) < 0)
        crew_member_fail("%s", shoal_error_message());
    day->blocks = mmap(NULL, BLOCKS_MAX * sizeof(day->blocks[0]), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (day->blocks == MAP_FAILED)
        crew_member_fail("no memory for the list of blocks");
    malloc_trim(
        0); /* what earlier rows have freed is nothing that this day could use for nothing */
    day->taken_at_first = taken(day);
    for (size_t i = 0; i < WATCHES; i++)
        keep_watch(day, &watches[i]);
    return (double)(day->taken_most - day->taken_at_first) / (double)day->live_most;
}

int day_run(const struct heap_kind *kind, uint64_t operations, double *ret_ratio)
{
    struct day day = { .kind = kind, .operations = operations, .random = 88172645463325252 };
    const struct alone alone = { kind->by_shoal, run_day, &day };
    int status = heap_find(kind);

    return status < 0 ? status : alone_run(&alone, ret_ratio);
}
