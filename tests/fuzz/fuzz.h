/*
 * The fuzzer of everything that reads a segment: what another process wrote there is input.
 *
 * An input is a list of steps of 16 bytes: words to write into a fresh copy of a prepared segment,
 * before it is attached or at any time after it, and calls to make. Numbers are taken modulo what
 * there is, so that every input means something. A value may be said relative to the segment (the
 * handle of an object, the owner in a slot): an input keeps its meaning when numbers change.
 *
 * What must hold, whatever is written:
 *   - every call ends, with a result or an error: at once, or soon after its short deadline;
 *   - nothing outside the segment is touched: outside it nothing is mapped, or it is poisoned;
 *   - nothing is asserted: no CHECK, no undefined behaviour;
 *   - a handle that differs from what stands in its place is not good;
 *   - a payload or a name that a call answers lies in the segment as a whole.
 * What may go wrong, and is left out here:
 *   - the life of the slot that the caller holds is not written: it is a mutex of the C library,
 *     which keeps pointers in it. All other lives may say anything.
 *   - a barrier's action is the address of a function: a barrier that has one is not waited at.
 *   - who is named as an owner and lives is waited for: shutdown and destroy of a queue, and close
 *     of a connection, have no deadline, so they are not called while a side names somebody who
 *     lives.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shoal.h>

enum { OP_WRITE_BEFORE, OP_WRITE, OP_CALL, OPS_COUNT };

/* How a step's value is to be read. */
enum {
    FORM_NUMBER,      /* as it is */
    FORM_HANDLE,      /* of the object {value} */
    FORM_OFFSET,      /* of the region {value}, plus {value >> 32} */
    FORM_OWNER_SHORT, /* of the slot {value}, as it stands in the slot's word */
    FORM_OWNER_LONG,
    FORM_PEER_DEAD, /* a LIVE slot's word, of a process that is gone */
    FORM_PEER_SELF, /* likewise, of this process */
    FORM_REFERENCE, /* to the offset {value:40}, of the generation 1 + {value >> 40} */
    FORM_SIDE,      /* of a ring: the slot {value} is in, at the position {value >> 8} */
    FORM_BLOCK,     /* a block's header: state {value >> 8}, owned by the process {value} */
    FORM_KEPT,      /* likewise, of a FREE block of the thread {value}; of none: nobody's */
    FORM_PART,      /* likewise: state {value >> 8}, of the object {value} */
    FORM_PAGE,      /* kind {value}, flags {value >> 8}, the thread {value >> 16}, class, first */
    FORM_CHUNK,     /* kind {value}, the thread {value >> 16}, {value >> 32} */
    FORM_MESSAGE,   /* of a journal: of the block, taking {value >> 8}, of the slot {value} */
    FORM_PROCESS,   /* a pipe's holder: the process {value}; given to the object {value >> 8} */
    FORM_HOLDER,    /* of a shared payload: the process {value} */
    FORM_LEASE,     /* state {value >> 8}, of the process {value}, deliveries {value >> 16} */
    FORM_DOOR,      /* of an end: the process {value}, the number {value >> 8} */
    FORMS_COUNT
};

struct step {
    uint8_t op, form;
    uint8_t what;  /* the region; the call */
    uint8_t width; /* 4 or 8 bytes: odd or even */
    uint32_t where;
    uint64_t value;
};
_Static_assert(sizeof(struct step) == 16, "as the corpus has them");

enum { STEPS_MAX = 24 };

/* The prepared segment. */
struct region {
    const char *name;
    uint64_t offset, size;
};
enum { REGIONS_MAX = 144, OBJECTS_MAX = 32, PAYLOADS_MAX = 12 };

struct scene {
    int fd;
    char *memory; /* a mapping of the harness's own, elsewhere */
    struct region regions[REGIONS_MAX];
    uint32_t regions_count;
    uint64_t objects[OBJECTS_MAX]; /* handles */
    uint32_t classes[OBJECTS_MAX]; /* of their places */
    const char *names[OBJECTS_MAX];
    uint32_t objects_count;
    uint64_t payloads[PAYLOADS_MAX]; /* offsets */
    const char *payload_names[PAYLOADS_MAX];
    uint32_t payloads_count;
    uint64_t message; /* the offset of one in the queue */
    shoal_segment segment;
    char *base; /* where it is attached */
};
/* Chunks of 2 MiB: the tables, one of pages, two of a large block, and a free one. */
enum { FUZZ_SEGMENT_SIZE = 10 << 20, FUZZ_VALUE_SIZE = 24 };

void scene_prepare(struct scene *scene);
void scene_restore(const struct scene *scene);
void scene_print(const struct scene *scene); /* its numbers, for regressions.py */

/* Ends the program if what must hold does not. */
void fuzz_must(bool holds, const char *what);

extern const uint32_t fuzz_calls_count;
void fuzz_calls_print(void);
void fuzz_call(const struct scene *scene, const struct step *step, uint64_t value);
void fuzz_calls_forget(void); /* what an input's calls have left in the process */

#endif
