/* The layout of the ring of cells: see cells.h. */
#ifndef SHL_FLOW_CELLS_SHM_H
#define SHL_FLOW_CELLS_SHM_H

#include "mem/peer_shm.h"
#include "sync/park_shm.h"

/*
 * turn = {position:61, state:3}
 *   FREE   the position may be filled, by a compare-and-set of turn and item to {same, FULL}
 *   FULL   the item is there, and is taken by a compare-and-set of the turn to {a lap on, FREE}
 *   END    likewise, but there is no item: one taker is told the end
 *   CLOSED from FREE, by whoever found the ring empty and sealed: nothing is put here or later
 * position = {lap, index}: the index of the cell in as many low bits as the capacity needs.
 */
enum cell_state { CELL_FREE = 0, CELL_FULL = 1, CELL_END = 2, CELL_CLOSED = 3 };
#define CELL_STATE_BITS 3
#define CELL_STATE_MASK ((UINT64_C(1) << CELL_STATE_BITS) - 1)
#define CELL_ONE (UINT64_C(1) << CELL_STATE_BITS) /* the next position */

struct cell_shm {
    atom64 turn;
    atom64 item;
} SHL_ALIGNED(16);

#define CELLS_SHUT UINT64_C(1)

/* Of a ring in a chain: see chain.h. Rings are named by their objects' references; 0: the first. */
struct chain_shm {
    /* of the queue. The first two change together */
    atom64 oldest; /* the first ring that is not drained */
    atom64 passed; /* items that were in the rings before it */
    atom64 newest; /* a hint: where to put */
    /* of the others */
    uint64_t home; /* their queue's reference; 0: a queue's own ring. Written once */
    atom64 maker;  /* until it is linked: who is making it, short */
    uint64_t zero;
} SHL_ALIGNED(16);

struct cells_shm {
    /* written once, before the ring is visible */
    uint64_t capacity; /* cells */
    uint64_t cells;    /* their offset in the segment */
    atom64 number;     /* of rings that were in this place: notes of an earlier one are void */
    uint64_t first;    /* the turn at which both sides began: what was moved since counts itself */
    /* written once: by who seals the ring */
    atom64 end;    /* 0; CELLS_SHUT: nothing more is put; or what is, is put there: see chain.h */
    atom64 closer; /* written by: who frees what an ended queue left; his name, long; 0: nobody */
    struct chain_shm chain;
    uint8_t padding[SHL_LINE - 48 - sizeof(struct chain_shm)];

    /* Hints: every position before it was filled, or was emptied, once. They may lag. */
    atom64 tail; /* written by: producers */
    uint8_t padding_1[SHL_LINE - 8];
    atom64 head; /* written by: consumers */
    uint8_t padding_2[SHL_LINE - 8];
    struct bell_shm not_empty; /* written by: consumers that sleep, and producers that wake them */
    atom64 take_waits;         /* how often a take had to wait */
    uint8_t padding_3[SHL_LINE - sizeof(struct bell_shm) - 8];
    struct bell_shm not_full; /* likewise */
    atom64 put_waits;
    uint8_t padding_4[SHL_LINE - sizeof(struct bell_shm) - 8];
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a futex watches a turn's low half");
static_assert(sizeof(struct chain_shm) == 48, "beside what is written once");
static_assert(sizeof(struct cell_shm) == 16, "one compare-and-set fills a cell");
static_assert(offsetof(struct cells_shm, tail) == SHL_LINE, "the hints on lines of their own");
static_assert(sizeof(struct cells_shm) == (size_t)5 * SHL_LINE, "nothing shares a line");

#endif
