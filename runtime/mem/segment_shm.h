/*
 * The layout of a segment, as it lies in the file.
 *
 *   0        header                  who made it, how large it may grow, where it wants to lie
 *   4 KiB    classes                 hints where free blocks are to be found, by size class
 *   32 KiB   peers                   a slot per attached thread, then per process
 *   544 KiB  chunk words             one per 2 MiB chunk: what it is used for, and by whom
 *   (next chunk boundary) chunks     pages of blocks and objects, or large blocks
 *
 * Everything is found by its offset: a segment may lie anywhere. Words that tell truth (chunk and
 * page words, block headers, object heads, ring sides) are changed by one atomic store or
 * compare-and-set and carry their owner's slot where a step is unfinished; bits and hints are
 * caches.
 */
#ifndef SHL_MEM_SEGMENT_SHM_H
#define SHL_MEM_SEGMENT_SHM_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atom.h"
#include "base/attr.h"

#define SEGMENT_MAGIC UINT64_C(0x316c616f6873feff) /* no text, little endian: ff fe "shoal1" */
#define SEGMENT_LAYOUT 15u                         /* changes with any layout in a *_shm.h */
#define SEGMENT_FEATURES 0u                        /* bits; an unknown one must not be attached */

#define SEGMENT_SIZE_MIN (UINT64_C(4) << 20)
#define SEGMENT_SIZE_MAX (UINT64_C(1) << 40) /* a handle's offset has 36 bits of 16 bytes */

#define CHUNK_SIZE (UINT64_C(2) << 20)
#ifndef PAGES_PER_CHUNK      /* checkers have fewer: every step counts */
#define PAGES_PER_CHUNK 128u /* page 0 holds the page words */
#endif
#define PAGE_SIZE_SHM (CHUNK_SIZE / PAGES_PER_CHUNK)
#define CLASSES_COUNT 86u
#define NAME_BUCKETS 256u
#ifndef PEERS_MAX
#define PEERS_MAX 1024u /* threads, and as many processes; a power of two */
#endif

#define PEER_SIZE 256u
#define SEGMENT_PEERS_AT (UINT64_C(32) << 10)
#define SEGMENT_CHUNKS_AT (SEGMENT_PEERS_AT + UINT64_C(2) * PEERS_MAX * PEER_SIZE)

/* Where free blocks of a class may be found. Hints. */
struct class_shm {
    atom64 page;    /* of the run that was given the last ones: its number in the segment */
    atom64 gives;   /* how often a run was left or given with some, and */
    atom64 in_vain; /* how often that was before somebody looked and found none: see runs.h */
    uint8_t padding[SHL_LINE - 24];
};

struct segment_shm {
    /* written once, by the creator, before anybody else looks */
    uint64_t magic;
    uint32_t layout;
    uint32_t features;
    uint64_t size;      /* of the file, in bytes */
    uint64_t base;      /* where the creator mapped it */
    uint32_t id;        /* the segment number in handles */
    uint32_t chunks_at; /* the first chunk after the tables */
    char build[32];     /* the library that made it, for people */
    uint8_t padding_0[SHL_LINE - 72];

    /* written by: whoever takes memory or attaches. All hints. */
    atom64 chunks_end; /* behind the last chunk that was ever taken */
    atom64 peer_hint;
    atom64 threads_attached; /* for the decision to spin */
    atom64 large_count;  /* large blocks handed out: their generation, as their chunks forget it */
    atom64 pages_wanted; /* when none with memory were found */
    uint8_t padding_1[SHL_LINE - 40];

    atom64 names[NAME_BUCKETS]; /* of objects: name_shm.h. No hints but truth */

    /* written by: whoever gives pages back */
    atom64 pages_given; /* how often: a run that was seen before may be gone since, see hands.h */
    uint8_t padding_2[4096 - 2 * SHL_LINE - 8 * NAME_BUCKETS - 8];

    struct class_shm classes[CLASSES_COUNT];
};

static_assert(sizeof(struct class_shm) == SHL_LINE, "a class on a line of its own");
static_assert(offsetof(struct segment_shm, chunks_end) == SHL_LINE, "hints on a line of their own");
static_assert(offsetof(struct segment_shm, classes) == 4096, "classes start at 4 KiB");
static_assert(sizeof(struct segment_shm) <= SEGMENT_PEERS_AT, "the peers follow");

#endif
