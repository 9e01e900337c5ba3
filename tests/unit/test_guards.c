/* A library built with -Dguards=true: it notices what is written past the end of a payload. */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/segment.h"
#include "mem/under_shm.h"

TestSuite(guards, .timeout = 60);

static const size_t sizes[] = { 0, 1, 15, 16, 17, 64, 1000, 4096, 65536, 1 << 20, 3 << 20 };

Test(guards, writing_within_is_right, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t alignment = 16; alignment <= 64; alignment *= 4) {
            char *payload = shoal_alloc_aligned(alignment, sizes[i]);
            cr_assert_not_null(payload);
            memset(payload, 1, sizes[i]);
            for (int child = 0; child < 40; child++)
                memset(shoal_alloc_under(payload, 10), 2, 10);
            cr_assert_eq(shoal_size(payload), sizes[i]);
            shoal_free(payload);
            cr_assert_str_eq(shoal_error_message(), "");
        }
}

Test(guards, writing_past_the_end_is_told, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t behind = 0; behind < 16; behind++) {
            assert_code(shoal_unshare(NULL), -EINVAL); /* another message */
            char *payload = shoal_alloc(sizes[i]);
            payload[sizes[i] + behind] ^= 1;
            shoal_free(payload);
            cr_assert(strstr(shoal_error_message(), "past its end"), "%zu + %zu: %s", sizes[i],
                      behind, shoal_error_message());
        }
}

/* --- private pointers ------------------------------------------------------------------------ */

struct message {
    uint64_t number;
    const void *pointer;
    const void **under;
};

static shoal_queue queue;
static int variable;

static struct message *message_new(const void *pointer, const void *under)
{
    struct message *message = shoal_alloc(sizeof *message);
    const void **child = NULL;
    for (int i = 0; i < 30; i++) {
        child = shoal_alloc_under(message, sizeof *child);
        *child = NULL;
    }
    *child = under;
    *message = (struct message){ UINT64_C(5) << 32 | 3, pointer, child };
    return message;
}

static void assert_refused(const void *pointer, const void *under)
{
    struct message *message = message_new(pointer, under);
    assert_code(shoal_queue_put(queue, message, SHOAL_NOW), -EINVAL);
    cr_assert(strstr(shoal_error_message(), "private memory"), "%s", shoal_error_message());
    cr_assert_eq(shoal_size(message), sizeof *message); /* the caller's, as before */
    shoal_free(message);
}

Test(guards, private_pointers_in_messages_are_refused, .timeout = 60)
{
    int local;
    void *heap = malloc(100), *large = malloc(4 << 20);
    const void *const pointers[] = { &local, heap, large, &variable };
    assert_code(shoal_queue_create(NULL, &queue), 0);
    for (size_t i = 0; i < COUNT_OF(pointers); i++) {
        assert_refused(pointers[i], NULL);
        assert_refused(NULL, pointers[i]);
    }
    free(heap);
    free(large);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(guards, other_words_in_messages_are_put, .timeout = 60)
{
    void *got, *other = shoal_alloc(10);
    const void *const pointers[] = { NULL,         other,      "a constant",
                                     (void *)1000, (void *)-1, harness_shared(100) };
    assert_code(shoal_queue_create(NULL, &queue), 0);
    for (size_t i = 0; i < COUNT_OF(pointers); i++) {
        assert_code(shoal_queue_put(queue, message_new(pointers[i], pointers[i]), SHOAL_NOW), 0);
        assert_code(shoal_queue_get(queue, &got, SHOAL_NOW), 0);
        shoal_free(got);
    }
    shoal_free(other);
    assert_code(shoal_queue_destroy(queue), 0);
}

/* The table of what is under a payload is the library's, and its words no pointers. */
Test(guards, words_of_the_library_are_no_pointers, .timeout = 60)
{
    void *got;
    struct message *message = message_new(NULL, NULL);
    char *segment = (char *)message - shl_ref_offset(shoal_ref_of(message).ref);
    const uint64_t meta = atom_load_relaxed(&((struct block_shm *)(void *)message)[-1].meta);
    cr_assert(meta & BLOCK_META_PARENT);
    struct under_shm *table = (void *)(segment + (block_meta_size(meta) << 4));
    table->children[table->count] = (uintptr_t)&variable;
    assert_code(shoal_queue_create(NULL, &queue), 0);
    assert_code(shoal_queue_put(queue, message, SHOAL_NOW), 0);
    assert_code(shoal_queue_get(queue, &got, SHOAL_NOW), 0);
    shoal_free(got);
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(guards, freed_memory_is_overwritten, .timeout = 60)
{
    char *payload = shoal_alloc(100);
    memset(payload, 1, 100);
    shoal_free(payload);
    for (int i = 0; i < 100; i++)
        cr_assert_eq((unsigned char)payload[i], 0xdf);
}
