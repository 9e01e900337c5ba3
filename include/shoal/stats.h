/*
 * Statistics: where the memory of a segment is, who holds it, and what a queue has moved. They are
 * exact while nobody works there, and cost next to nothing to those who do.
 */
#ifndef SHOAL_STATS_H
#define SHOAL_STATS_H

#include <sys/types.h>

#include <shoal/base.h>

SHOAL_BEGIN_DECLS

/*
 * Bytes, but for the last: every byte of the segment is in exactly one of the first ten. What lies
 * under a payload is where that is, and is no payload in the count.
 */
typedef struct {
    uint64_t unused;    /* not taken from the system, or given back */
    uint64_t tables;    /* the library's own */
    uint64_t free;      /* for anybody */
    uint64_t kept;      /* free, and kept by threads for their next message */
    uint64_t owned;     /* payloads of processes */
    uint64_t queued;    /* payloads in queues, or on their way */
    uint64_t shared;    /* payloads that several processes and queues may hold */
    uint64_t objects;   /* queues, locks, processes, with what belongs to them */
    uint64_t lost;      /* of the dead: free again as soon as somebody notices */
    uint64_t damaged;   /* overwritten by somebody who did not own it */
    uint64_t size;      /* the sum of all these: what the segment may grow to */
    uint64_t committed; /* what the system has given for it */
    uint64_t payloads_count;
    uint64_t reserved[7];
} shoal_audit;

/* What one process holds. */
typedef struct {
    pid_t pid;
    uint64_t owned;  /* bytes of payloads */
    uint64_t shared; /* likewise of those that it holds with others */
    uint64_t payloads_count;
    char name[64];
    uint64_t reserved[3];
} shoal_holder;

/* Blocks of one size, of which payloads are made: each has 16 bytes of header, and lies in pages
 * that hold no other size. */
typedef struct {
    uint64_t size_max;   /* of a payload there */
    uint64_t pages_size; /* bytes of the pages that are cut into such blocks */
    uint64_t used_count; /* blocks that are somebody's */
    uint64_t kept_count; /* free, and kept by threads for their next message */
    uint64_t free_count; /* for anybody */
    uint64_t reserved[3];
} shoal_size_class;

/* What lies in one queue now. */
typedef struct {
    shoal_queue queue;
    uint64_t count; /* messages, or values */
    uint64_t size;  /* their bytes */
    uint64_t reserved[3];
} shoal_queue_load;

enum { SHOAL_HEAP_MALLOC = 0, SHOAL_HEAP_JEMALLOC = 1 };

/* What memory may grow to, and where it is. */
typedef struct {
    uint64_t size_max;   /* of the segment */
    uint64_t committed;  /* what the system has given for it */
    uint64_t group_max;  /* of the process's control group, or of that above it which leaves least;
                              UINT64_MAX: none, or none is seen */
    uint64_t group_used; /* what all processes of that group have; 0: that is not seen */
    uint64_t private_heap; /* SHOAL_HEAP_MALLOC or _JEMALLOC: for what is this process's alone */
    uint64_t reserved[7];
} shoal_limits;

/* What was moved through a queue since it was created; an end counts as a message. */
typedef struct {
    uint64_t puts;
    uint64_t gets;
    uint64_t count;       /* queued now */
    uint64_t size;        /* bytes of what is queued now */
    uint64_t put_waits;   /* puts that found it full, and had time to wait */
    uint64_t get_waits;   /* gets that found it empty, likewise */
    uint64_t copied_size; /* bytes that the library has copied: by put_bytes; values, in and out */
    uint64_t dropped;     /* delivered too often, and no room among the dead letters; one whose
                             getter is killed while he drops it may count twice */
    uint64_t reserved[7];
} shoal_queue_counters;

/*
 * shoal_segment_audit - accounts for every byte of a segment.
 * @segment: an attached one; none for the family's.
 * @ret_audit: the result.
 * Owns:    nothing.
 * Blocks:  no; it reads the header of every block.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -EINVAL; -ESTALE not attached; -ENOMEM; -EUCLEAN the sum is not the size: somebody
 *          worked meanwhile, or damaged the tables (@ret_audit is filled all the same).
 * Python:  none; test_heap's check of multiprocessing.heap.
 */
SHOAL_API int shoal_segment_audit(shoal_segment segment, shoal_audit *ret_audit);

/*
 * shoal_segment_holders - which processes hold payloads, and how much.
 * @segment: an attached one; none for the family's.
 * @ret_holders: who holds most comes first.
 * @holders_max: places there.
 * Owns:    nothing.
 * Blocks:  no; it reads the header of every block.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: how many were filled in; -EINVAL; -ESTALE not attached; -ENOMEM.
 * Python:  none.
 */
SHOAL_API int shoal_segment_holders(shoal_segment segment, shoal_holder *ret_holders,
                                    unsigned holders_max);

/*
 * shoal_segment_sizes - the payloads' blocks by size.
 * @segment: an attached one; none for the family's.
 * @ret_sizes: the sizes of which there are blocks, small ones first, then those for aligned
 *             payloads, at last whole chunks of 2 MiB.
 * @sizes_max: places there; 80 are enough.
 * Owns:    nothing.
 * Blocks:  no; it reads the header of every block.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: how many were filled in; -EINVAL; -ESTALE not attached.
 * Python:  none.
 */
SHOAL_API int shoal_segment_sizes(shoal_segment segment, shoal_size_class *ret_sizes,
                                  unsigned sizes_max);

/*
 * shoal_segment_queues - which queues there are, and how much is in each.
 * @segment: an attached one; none for the family's.
 * @ret_queues: in the order in which they lie in the segment.
 * @queues_max: places there.
 * Owns:    nothing.
 * Blocks:  no; it reads the header of every payload in a queue.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: how many were filled in; -EINVAL; -ESTALE not attached.
 * Python:  none.
 */
SHOAL_API int shoal_segment_queues(shoal_segment segment, shoal_queue_load *ret_queues,
                                   unsigned queues_max);

/*
 * shoal_segment_limits - what memory may grow to: by the segment, and by the control group.
 * @segment: an attached one; none for the family's.
 * @ret_limits: the result.
 * Owns:    nothing.
 * Blocks:  no; it reads a few files of the system.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave.
 * Returns: 0; -EINVAL; -EIO somebody has closed the segment's descriptor; -ESTALE not attached.
 * Python:  none.
 */
SHOAL_API int shoal_segment_limits(shoal_segment segment, shoal_limits *ret_limits);

/*
 * shoal_queue_stats - what a queue has moved, and what is in it.
 * @queue: as in shoal_queue_put().
 * @ret_counters: the result.
 * Owns:    nothing.
 * Blocks:  no; it reads the header of every payload in the queue.
 * Safe:    threads yes; after fork yes; signal handler no.
 * Death:   nothing to leave. A message counts from the instant on at which it is wholly put or got.
 * Returns: 0; -EINVAL; -ESTALE.
 * Python:  none.
 */
SHOAL_API int shoal_queue_stats(shoal_queue queue, shoal_queue_counters *ret_counters);

SHOAL_END_DECLS
#endif
