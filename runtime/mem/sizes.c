#include "mem/sizes.h"

/* What a thread may keep of one size: at first little memory, in the end a burst of messages, which
 * is 64 of 64 KiB with their headers. Of all sizes together: see alloc.c. */
#define KEPT_BYTES (UINT64_C(64) << 10)
#define KEPT_BYTES_MOST (UINT64_C(65) << 16)
#define KEPT_PLACES 4u
#define BETWEEN(least, count, most) \
    (uint16_t)((count) < (least) ? (least) : (count) > (most) ? (most) : (count))
#define KEPT(bytes, stride) BETWEEN(1, (bytes) / (stride), SHL_CACHE_BLOCKS_MAX)

/* So many of the smallest ones are in a page; checkers cut fewer: every step counts. */
#ifndef RUN_BLOCKS_MAX
#define RUN_BLOCKS_MAX 2048u
#endif
#define RUN_PLACES_MAX (RUN_BLOCKS_MAX / 4)

#define BLOCKS(size, run_pages, at, run_most)                           \
    (uint32_t)(((run_pages)*PAGE_SIZE_SHM - (at)) / (size) < (run_most) \
                   ? ((run_pages)*PAGE_SIZE_SHM - (at)) / (size)        \
                   : (run_most))
#define CUT(size, run_pages, at, run_most, least, most)                         \
    {                                                                           \
        .inverse = UINT64_MAX / (size) + 1, .stride = (size),                   \
        .blocks = BLOCKS(size, run_pages, at, run_most), .pages = (run_pages),  \
        .first_most = PAGES_PER_CHUNK - (run_pages),                            \
        .end = BLOCKS(size, run_pages, at, run_most) * (size), .kept = (least), \
        .kept_most = (most)                                                     \
    }
#define PAGES(count) \
    (((count) * (PAGES_PER_CHUNK - 1) + 126) / 127) /* of the 127 that a chunk has */
#define STRIDE(size, pages)                                                    \
    CUT(size, PAGES(pages), BLOCKS_AT, RUN_BLOCKS_MAX, KEPT(KEPT_BYTES, size), \
        KEPT(KEPT_BYTES_MOST, size))
#define SIZE(room, pages) STRIDE((room) + sizeof(struct block_shm), pages)
#define LINES(room, pages) STRIDE((room) + PAYLOAD_LINE, pages)
#define PLACE(pool, size) \
    [CLASS_OF_POOL(pool)] = CUT(size, 1, 0, RUN_PLACES_MAX, KEPT_PLACES, KEPT_PLACES)

/*
 * 16-byte steps to 128 bytes, then four classes per doubling. The room is round, the header comes
 * on top: what people ask for is mostly a power of two. From 2 KiB on a line comes on top, so that
 * all these payloads are aligned to lines, for little. A run has the fewest pages that hold so
 * many blocks (64 up to 1 KiB, 2 up to 16 KiB, else 16) and of which a chunk full loses at most an
 * eighth; or else those that lose least. The shorter a run, the sooner it is free for other sizes;
 * the longer, the less it costs to take and give many of its blocks.
 */
const struct shl_size shl_sizes[CLASSES_COUNT] = {
    SIZE(16, 1),
    SIZE(32, 1),
    SIZE(48, 1),
    SIZE(64, 1),
    SIZE(80, 1),
    SIZE(96, 1),
    SIZE(112, 1),
    SIZE(128, 1),
    SIZE(160, 1),
    SIZE(192, 1),
    SIZE(224, 1),
    SIZE(256, 2),
    SIZE(320, 2),
    SIZE(384, 2),
    SIZE(448, 2),
    SIZE(512, 3),
    SIZE(640, 3),
    SIZE(768, 4),
    SIZE(896, 4),
    SIZE(1024, 5),
    SIZE(1280, 1),
    SIZE(1536, 1),
    SIZE(1792, 1),
    LINES(2048, 1),
    LINES(2560, 1),
    LINES(3072, 1),
    LINES(3584, 1),
    LINES(4096, 2),
    LINES(5120, 1),
    LINES(6144, 2),
    LINES(7168, 1),
    LINES(8192, 5),
    LINES(10240, 2),
    LINES(12288, 4),
    LINES(14336, 8),
    LINES(16384, 9),
    LINES(20480, 21),
    LINES(24576, 25),
    LINES(28672, 29),
    LINES(32768, 39),
    LINES(40960, 41),
    LINES(49152, 58),
    LINES(57344, 57),
    LINES(65536, 113),
    LINES(81920, 116),
    LINES(98304, 115),
    LINES(114688, 113),
    LINES(131072, 25),
    LINES(163840, 21),
    LINES(196608, 25),
    LINES(229376, 127),
    LINES(262144, 17),
    LINES(327680, 21),
    LINES(393216, 25),
    LINES(458752, 29),
    LINES(524288, 33),
    LINES(655360, 41),
    LINES(786432, 49),
    LINES(917504, 57),
    LINES(1048576, 65),
    LINES(1310720, 81),
    LINES(1572864, 97),
    LINES(1835008, 113),

    /* Aligned to lines: room for as much as people ask for, and the header. */
    STRIDE(64, 1),
    STRIDE(128, 1),
    STRIDE(192, 1),
    STRIDE(256, 2),
    STRIDE(320, 2),
    STRIDE(448, 2),
    STRIDE(576, 3),
    STRIDE(832, 4),
    STRIDE(1088, 1),
    STRIDE(1600, 1),

    PLACE(POOL_PROCESS, OBJECT_BIG_SIZE),
    PLACE(POOL_QUEUE, OBJECT_BIG_SIZE),
    PLACE(POOL_CELLS, OBJECT_BIG_SIZE),
    PLACE(POOL_LOCK, OBJECT_SMALL_SIZE),
    PLACE(POOL_SEMAPHORE, OBJECT_SMALL_SIZE),
    PLACE(POOL_EVENT, OBJECT_SMALL_SIZE),
    PLACE(POOL_OWNED_SEMAPHORE, OBJECT_HUGE_SIZE),
    PLACE(POOL_CONDITION, OBJECT_HUGE_SIZE),
    PLACE(POOL_BARRIER, OBJECT_HUGE_SIZE),
    PLACE(POOL_NAME, OBJECT_SMALL_SIZE),
    PLACE(POOL_SHARE, OBJECT_SHARE_SIZE),
    PLACE(POOL_CONNECTION, OBJECT_BIG_SIZE),
    PLACE(POOL_LEASE, OBJECT_SMALL_SIZE),
};

/* By sixteenths, rounded up. */
const uint8_t shl_classes_often[SIZES_OFTEN / 16 + 1] = {
    0,  0,  1,  2,  3,  4,  5,  6,  7,                              /* to 128 */
    8,  8,  9,  9,  10, 10, 11, 11,                                 /* to 256 */
    12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15, /* to 512 */
    16, 16, 16, 16, 16, 16, 16, 16, 17, 17, 17, 17, 17, 17, 17, 17,
    18, 18, 18, 18, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19,
};

uint32_t shl_class_of_lines(uint64_t size)
{
    for (uint32_t i = CLASS_LINES_FIRST; i <= CLASS_PAYLOAD_LAST; i++)
        if (size <= shl_sizes[i].stride - sizeof(struct block_shm))
            return i;
    uint32_t size_class = shl_class_of(size);
    return size_class < CLASS_LINES_FROM ? CLASS_LINES_FROM
           : size_class <= CLASS_LAST    ? size_class
                                         : CLASSES_COUNT;
}
