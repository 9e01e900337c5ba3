#include "mem/sizes.h"

/* What a thread may keep: enough for a burst of messages, and of large ones a little memory. */
#define CACHED_BYTES (UINT64_C(1) << 20)
#define CACHED_PLACES 4u
#define AT_MOST(count, limit) ((count) < (limit) ? (count) : (limit))
#define CACHED(stride)           \
    (CACHED_BYTES / (stride) < 2 \
         ? 2                     \
         : (uint32_t)AT_MOST(CACHED_BYTES / (stride), SHL_CACHE_BLOCKS_MAX))

#define CUT(stride, pages, cached)                                                 \
    {                                                                              \
        (stride), (pages), (uint32_t)((pages)*PAGE_SIZE_SHM / (stride)), (cached), \
            (UINT64_C(1) << SIZE_INVERSE_SHIFT) / (stride) + 1                     \
    }
#define SIZE(room, pages) \
    CUT((room) + sizeof(struct block_shm), pages, CACHED((room) + sizeof(struct block_shm)))
#define PLACE(pool, size) [CLASS_OF_POOL(pool)] = CUT(size, 1, CACHED_PLACES)

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
    PLACE(POOL_LOCK, OBJECT_SMALL_SIZE),
    PLACE(POOL_SEMAPHORE, OBJECT_SMALL_SIZE),
    PLACE(POOL_EVENT, OBJECT_SMALL_SIZE),
    PLACE(POOL_OWNED_SEMAPHORE, OBJECT_HUGE_SIZE),
    PLACE(POOL_CONDITION, OBJECT_HUGE_SIZE),
    PLACE(POOL_BARRIER, OBJECT_HUGE_SIZE),
    PLACE(POOL_NAME, OBJECT_SMALL_SIZE),
};
