#include "mem/sizes.h"

/* What a thread may keep: at first little memory, in the end enough for a burst of messages. */
#define KEPT_BYTES (UINT64_C(256) << 10)
#define KEPT_BYTES_MOST (UINT64_C(8) << 20)
#define KEPT_PLACES 4u
#define BETWEEN(least, count, most) \
    (uint16_t)((count) < (least) ? (least) : (count) > (most) ? (most) : (count))
#define KEPT(bytes, stride) BETWEEN(2, (bytes) / (stride), SHL_CACHE_BLOCKS_MAX)

/* So many of the smallest ones are in a page; checkers cut fewer: every step counts. */
#ifndef RUN_BLOCKS_MAX
#define RUN_BLOCKS_MAX 2048u
#endif
#define RUN_PLACES_MAX (RUN_BLOCKS_MAX / 4)

#define BLOCKS(size, run_pages, run_most)                      \
    (uint32_t)((run_pages)*PAGE_SIZE_SHM / (size) < (run_most) \
                   ? (run_pages)*PAGE_SIZE_SHM / (size)        \
                   : (run_most))
#define CUT(size, run_pages, run_most, least, most)                                             \
    {                                                                                           \
        .inverse = UINT64_MAX / (size) + 1, .stride = (size),                                   \
        .blocks = BLOCKS(size, run_pages, run_most), .pages = (run_pages),                      \
        .first_most = PAGES_PER_CHUNK - (run_pages),                                            \
        .end = BLOCKS(size, run_pages, run_most) * (size), .kept = (least), .kept_most = (most) \
    }
#define SIZE_OF(size, pages) \
    CUT(size, pages, RUN_BLOCKS_MAX, KEPT(KEPT_BYTES, size), KEPT(KEPT_BYTES_MOST, size))
#define SIZE(room, pages) SIZE_OF((room) + sizeof(struct block_shm), pages)
#define PLACE(pool, size) \
    [CLASS_OF_POOL(pool)] = CUT(size, 1, RUN_PLACES_MAX, KEPT_PLACES, KEPT_PLACES)

/*
 * 16-byte steps to 128 bytes, then four classes per doubling. The room is round, the header comes
 * on top: what people ask for is mostly a power of two. A run has the fewest pages that hold eight
 * blocks and of which a chunk full loses at most an eighth; or else those that lose least.
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
    SIZE(256, 1),
    SIZE(320, 1),
    SIZE(384, 1),
    SIZE(448, 1),
    SIZE(512, 1),
    SIZE(640, 1),
    SIZE(768, 1),
    SIZE(896, 1),
    SIZE(1024, 1),
    SIZE(1280, 1),
    SIZE(1536, 1),
    SIZE(1792, 1),
    SIZE(2048, 1),
    SIZE(2560, 1),
    SIZE(3072, 1),
    SIZE(3584, 1),
    SIZE(4096, 1),
    SIZE(5120, 1),
    SIZE(6144, 1),
    SIZE(7168, 1),
    SIZE(8192, 2),
    SIZE(10240, 2),
    SIZE(12288, 2),
    SIZE(14336, 2),
    SIZE(16384, 3),
    SIZE(20480, 3),
    SIZE(24576, 5),
    SIZE(28672, 4),
    SIZE(32768, 6),
    SIZE(40960, 6),
    SIZE(49152, 10),
    SIZE(57344, 10),
    SIZE(65536, 15),
    SIZE(81920, 14),
    SIZE(98304, 29),
    SIZE(114688, 15),
    SIZE(131072, 29),
    SIZE(163840, 28),
    SIZE(196608, 31),
    SIZE(229376, 29),
    SIZE(262144, 29),
    SIZE(327680, 31),
    SIZE(393216, 31),
    SIZE(458752, 15),
    SIZE(524288, 9),
    SIZE(655360, 31),
    SIZE(786432, 13),
    SIZE(917504, 15),
    SIZE(1048576, 17),
    SIZE(1310720, 21),
    SIZE(1572864, 25),
    SIZE(1835008, 29),

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
};
