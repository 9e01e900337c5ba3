/*
 * Purpose. Runs: pages cut into blocks of one class. Here are the free blocks that are nobody's,
 * for whoever needs some or has some to give; mem/alloc.c keeps a few in each thread's hands.
 *
 * Layout. A run is named by its first page's word (pages.h), with these flags:
 *     SOME   perhaps it has free blocks of nobody
 *     AGAIN  its free bits are to be made again from the blocks' headers: somebody died
 *     WHOLE  perhaps all its blocks are free and nobody's
 *     ENDING its owner, who has seen that they are, is about to free its pages
 * In the chunk's first page each run has a row of free bits, one a block.
 *
 * Invariants. I1 A block's header decides whose it is; nobody's are taken by the run's owner alone.
 *             I2 A block of nobody has its free bit set; or a live thread is about to set it, or to
 *                take it as the run's owner; or the run's AGAIN is set, or its owner is dead.
 *             I3 A free bit may be set without need: who takes looks at the header.
 *
 * Protocol. give: name the run (pages.h); header FREE, thread -> FREE, nobody; set the bit; set
 *             SOME; name none.
 *           take: become the run's owner by compare-and-set, which clears SOME; if AGAIN, make the
 *             bits again; take words of bits by exchange; for each bit header FREE, nobody -> FREE,
 *             thread, or drop the bit; put the rest back; leave the run, with SOME if bits are
 *             left.
 *           settle, for a dead thread or process: name the run, and pass it by if a live owner is
 *             ENDING it; every header that names the dead -> FREE, nobody, by compare-and-set; a
 *             run of the dead is made nobody's; where a bit may be missing the run gets AGAIN.
 *           collect: as the owner of a run all of whose headers are FREE, nobody: set ENDING; if
 *             anybody names the run, or a journal names a block of it, leave it with AGAIN and
 *             WHOLE; else its pages are free.
 * Nobody walks again and again for a class that has none: whoever leaves SOME behind counts that in
 * `gives`; who walks in vain notes in `in_vain` what the count was before; while the two are equal
 * there is nothing to be found. Only what is just being counted is missed, by who makes a new run
 * instead; who can make none walks all the same. A settler counts for the dead.
 * Bits are set by or, which may be done twice: nobody needs to know what a dead one had done
 * already. Whatever is between two steps names a thread, in a header or in a run's word.
 *
 * Order. [runs.free] give's or -> take's exchange: what the last user did with the block; seq_cst
 * together with SOME: a giver who sees SOME set skips setting it, so the owner who has cleared it
 * sees the bit. [runs.gives] SOME before its count.
 */
#ifndef SHL_MEM_RUNS_H
#define SHL_MEM_RUNS_H

#include "mem/pages.h"
#include "mem/peer.h"
#include "mem/sizes.h"

#define RUN_SOME (UINT64_C(1) << 8)
#define RUN_AGAIN (UINT64_C(1) << 9)
#define RUN_WHOLE (UINT64_C(1) << 10)
#define RUN_ENDING (UINT64_C(1) << 11)

struct shl_run {
    const struct shl_segment *segment;
    atom64 *word;
    atom64 *bits;
    char *blocks;
    uint64_t number; /* of its first page */
    uint32_t size_class;
};

/* The run that a page belongs to; false if it belongs to none. */
bool shl_run_find(const struct shl_segment *segment, uint64_t page_number, struct shl_run *ret_run);

static inline struct block_shm *shl_run_block(const struct shl_run *run, uint32_t index)
{
    return (struct block_shm *)(void *)(run->blocks +
                                        (uint64_t)index * shl_sizes[run->size_class].stride);
}

/* Up to `count` free blocks of a class, now the thread's; fewer if a run has no more. 0 with an
 * error if there is no memory. */
uint32_t shl_runs_take(const struct shl_segment *segment, uint32_t owner, uint32_t size_class,
                       struct block_shm **ret_blocks, uint32_t count);

/* Gives the thread's free blocks of a class to everybody. True if all of a run seem free now. */
bool shl_runs_give(const struct shl_segment *segment, uint32_t owner, uint32_t size_class,
                   struct block_shm *const *blocks, uint32_t count);

/* Gives runs that are all free back to the other classes; and to the system, if `decommit`, chunks
 * that are all free, and free pages. True if there was any of them. */
bool shl_runs_collect(const struct shl_segment *segment, uint32_t owner, bool decommit);

/* Does a block's word name the dead one, or an object or payload that is no more? By `owner`, who
 * looks at the payload (shl_place_look). */
bool shl_block_is_lost(const struct shl_segment *segment, uint32_t owner, uint64_t own,
                       const struct shl_dead *dead);

/* What a dead thread or process had in its hands is nobody's again; by `owner`. */
void shl_runs_settle(const struct shl_segment *segment, uint32_t owner,
                     const struct shl_dead *dead);

#endif
