/* The table of size classes obeys its rules, and what is computed from it is exact. */
#include "harness.h"

#include "mem/sizes.h"

TestSuite(sizes, .timeout = 120);

enum { PAGES_MOST = PAGES_PER_CHUNK - 1 }; /* the first one holds the words of the others */

/* What a class is for: the last line of those that lie on lines of their own is not counted on. */
static uint64_t room_of(uint32_t size_class)
{
    const bool lines = size_class >= CLASS_LINES_FROM && size_class <= CLASS_LAST;
    return shl_sizes[size_class].stride - (lines ? PAYLOAD_LINE : sizeof(struct block_shm));
}

static uint64_t begins_at(uint32_t size_class)
{
    return size_class <= CLASS_PAYLOAD_LAST ? BLOCKS_AT : 0;
}

Test(sizes, rooms_are_sixteens_and_then_four_to_a_doubling, .timeout = 120)
{
    for (uint32_t i = 0; i < 8; i++)
        cr_assert_eq(room_of(i), 16 * (i + 1), "class %u", i);
    for (uint32_t i = 8; i <= CLASS_LAST; i++) {
        const uint64_t octave = UINT64_C(128) << (i - 8) / 4;
        cr_assert_eq(room_of(i), octave + octave / 4 * ((i - 8) % 4 + 1), "class %u", i);
    }
}

/* Bytes of a chunk full of such runs that are no block's. */
static uint64_t loses(uint64_t stride, uint64_t pages)
{
    const uint64_t blocks = PAGES_MOST / pages * ((pages * PAGE_SIZE_SHM - BLOCKS_AT) / stride);
    return PAGES_MOST * PAGE_SIZE_SHM - blocks * stride;
}

static uint64_t pages_by_the_rule(uint64_t stride)
{
    const uint64_t wanted = stride <= 1024 + 16 ? 64 : stride <= (16 << 10) + PAYLOAD_LINE ? 2 : 16;
    uint64_t least = 0;
    for (uint64_t pages = 1; pages <= PAGES_MOST; pages++) {
        const uint64_t lost = loses(stride, pages);
        if ((pages * PAGE_SIZE_SHM - BLOCKS_AT) / stride >= wanted &&
            lost <= PAGES_MOST * PAGE_SIZE_SHM / 8)
            return pages;
        if (least == 0 || lost < loses(stride, least))
            least = pages;
    }
    return least;
}

Test(sizes, a_run_has_the_fewest_pages_that_lose_little, .timeout = 120)
{
    for (uint32_t i = 0; i <= CLASS_LAST; i++)
        cr_assert_eq(shl_sizes[i].pages, pages_by_the_rule(shl_sizes[i].stride), "class %u", i);
}

Test(sizes, blocks_fill_their_run_and_keep_the_alignment, .timeout = 120)
{
    for (uint32_t i = 0; i < CLASS_OF_POOL(POOLS_COUNT); i++) {
        const struct shl_size *size = &shl_sizes[i];
        const uint64_t bytes = size->pages * PAGE_SIZE_SHM;
        cr_assert_eq(size->blocks, (bytes - begins_at(i)) / size->stride, "class %u", i);
        cr_assert(size->blocks >= 1 && size->stride % 16 == 0, "class %u", i);
        cr_assert_eq(size->end, size->blocks * size->stride, "class %u", i);
        cr_assert_eq(size->first_most + size->pages, PAGES_PER_CHUNK, "class %u", i);
        cr_assert(size->kept >= 1 && size->kept <= size->kept_most, "class %u", i);
        cr_assert(size->kept_most <= SHL_CACHE_BLOCKS_MAX, "class %u", i);
        cr_assert(i > CLASS_PAYLOAD_LAST || size->kept_most == 1 ||
                      (uint64_t)size->kept_most * size->stride <= 8 << 20,
                  "class %u: a thread keeps too much", i);
    }
}

Test(sizes, the_class_is_the_smallest_with_room, .timeout = 120)
{
    for (uint32_t i = 0; i <= CLASS_LAST; i++) {
        cr_assert_eq(shl_class_of(room_of(i)), i);
        cr_assert_eq(shl_class_of(room_of(i) + 1), i + 1);
    }
    uint32_t expected = 0;
    for (uint64_t size = 0; size <= room_of(CLASS_LAST); size++) {
        expected += size > room_of(expected);
        cr_assert(shl_class_of(size) == expected, "%llu bytes", (unsigned long long)size);
        cr_assert(size > SIZES_OFTEN || shl_classes_often[(size + 15) / 16] == expected);
    }
    for (unsigned bits = 21; bits < 64; bits++)
        cr_assert_gt(shl_class_of(UINT64_C(1) << bits), CLASS_LAST);
}

Test(sizes, classes_on_lines_are_aligned_and_the_smallest, .timeout = 120)
{
    for (uint32_t i = CLASS_LINES_FROM; i <= CLASS_PAYLOAD_LAST; i++)
        cr_assert_eq(shl_sizes[i].stride % PAYLOAD_LINE, 0, "class %u", i);
    for (uint64_t size = 0; size <= room_of(CLASS_LAST); size++) {
        const uint32_t found = shl_class_of_lines(size);
        const bool small = found >= CLASS_LINES_FIRST && found <= CLASS_PAYLOAD_LAST;
        cr_assert(small || (found >= CLASS_LINES_FROM && found <= CLASS_LAST), "%llu",
                  (unsigned long long)size);
        cr_assert(size <= room_of(found) &&
                      (!small || found == CLASS_LINES_FIRST || size > room_of(found - 1)),
                  "%llu", (unsigned long long)size);
    }
    cr_assert_eq(shl_class_of_lines(room_of(CLASS_LAST) + 1), CLASSES_COUNT);
}

Test(sizes, the_index_of_a_block_and_its_beginning_are_found_by_division, .timeout = 120)
{
    for (uint32_t i = 0; i < CLASS_OF_POOL(POOLS_COUNT); i++) {
        const struct shl_size *size = &shl_sizes[i];
        uint32_t index = 0;
        uint64_t next = size->stride;
        for (uint64_t inside = 0; inside < CHUNK_SIZE; inside++) {
            if (inside == next) {
                index++;
                next += size->stride;
            }
            cr_assert(shl_block_index(size, inside) == index, "class %u at %llu", i,
                      (unsigned long long)inside);
            const bool begins = inside == index * (uint64_t)size->stride && index < size->blocks;
            cr_assert(shl_block_begins(size, inside) == begins, "class %u at %llu", i,
                      (unsigned long long)inside);
        }
    }
}
