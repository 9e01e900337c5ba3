/*
 * Limits of the system: each is an error at the call that asked, never a signal, and what was
 * there before stays whole.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(limits, .timeout = 120);

/* Limits are for good: each scenario runs in a child of its own. */
static void in_a_child(int (*scenario)(void *argument))
{
    const int status = harness_wait(harness_child(scenario, NULL));
    cr_assert_eq(status, 0, "ended with %d", status);
}

static void limit_set(__rlimit_resource_t resource, rlim_t value)
{
    const struct rlimit limit = { value, value };
    CHILD_CHECK(setrlimit(resource, &limit) == 0);
}

static void never(void *argument)
{
    (void)argument;
}

enum { BLOCKS_MAX = 4096 };

static unsigned char *blocks[BLOCKS_MAX];

static unsigned blocks_fill(size_t size)
{
    unsigned count = 0;
    while (count < BLOCKS_MAX && (blocks[count] = shoal_alloc(size)) != NULL) {
        memset(blocks[count], (int)count + 1, size);
        count++;
    }
    return count;
}

static bool blocks_hold(unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++)
        for (size_t k = 0; k < size; k++)
            if (blocks[i][k] != (unsigned char)(i + 1))
                return false;
    return true;
}

/* Until nothing is left; then all is intact, and freeing makes room for as much again. */
static void filled_to_the_limit(size_t size, unsigned blocks_min)
{
    const unsigned count = blocks_fill(size);
    CHILD_CHECK(count >= blocks_min && count < BLOCKS_MAX);
    CHILD_CHECK(shoal_error_message()[0]);
    for (int again = 0; again < 3; again++)
        CHILD_CHECK(!shoal_alloc(size));
    CHILD_CHECK(blocks_hold(count, size));
    for (unsigned i = 0; i < count; i++)
        shoal_free(blocks[i]);
    const unsigned second = blocks_fill(size);
    CHILD_CHECK(second >= count - count / 8);
    CHILD_CHECK(blocks_hold(second, size));
    for (unsigned i = 0; i < second; i++)
        shoal_free(blocks[i]);
}

/* --- size_max ------------------------------------------------------------------------------- */

static int small_size_max(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_init(NULL, NULL,
                           &(shoal_init_options){ .size_max = 32 << 20, .no_exit_hook = true }) ==
                0);
    filled_to_the_limit(60000, 300);
    return 0;
}

Test(limits, size_max_is_out_of_memory_and_freeing_makes_room, .timeout = 120)
{
    in_a_child(small_size_max);
}

static int small_size_max_large_blocks(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_init(NULL, NULL,
                           &(shoal_init_options){ .size_max = 64 << 20, .no_exit_hook = true }) ==
                0);
    filled_to_the_limit(3 << 20, 10);
    return 0;
}

Test(limits, size_max_holds_for_large_blocks_too, .timeout = 120)
{
    in_a_child(small_size_max_large_blocks);
}

/* What was freed serves other sizes too: small after large and large after small. */
static int sizes_change(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_init(NULL, NULL,
                           &(shoal_init_options){ .size_max = 32 << 20, .no_exit_hook = true }) ==
                0);
    static const size_t sizes[] = { 3 << 20, 8 << 20, 3 << 20, 5 << 20 };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const unsigned count = blocks_fill(sizes[i]);
        CHILD_CHECK(count >= 2 && blocks_hold(count, sizes[i]));
        for (unsigned k = 0; k < count; k++)
            shoal_free(blocks[k]);
    }
    return 0;
}

Test(limits, large_blocks_of_other_sizes_take_the_place_of_freed_ones, .timeout = 120)
{
    in_a_child(sizes_change);
}

static int queue_survives_full_segment(void *argument)
{
    (void)argument;
    shoal_queue queue, second = { 77 };
    CHILD_CHECK(shoal_init(NULL, NULL,
                           &(shoal_init_options){ .size_max = 16 << 20, .no_exit_hook = true }) ==
                0);
    CHILD_CHECK(shoal_queue_create(&(shoal_queue_options){ .capacity_count = 8 }, &queue) == 0);
    CHILD_CHECK(shoal_queue_put_bytes(queue, "before", 7, SHOAL_NOW) == 0);
    const unsigned count = blocks_fill(60000);
    while (shoal_alloc(16)) {}
    static char bytes[60000];
    CHILD_CHECK(shoal_queue_put_bytes(queue, bytes, sizeof bytes, SHOAL_NOW) == -ENOMEM);
    CHILD_CHECK(shoal_queue_create(NULL, &second) == -ENOMEM && second.ref == 77);
    CHILD_CHECK(shoal_queue_qsize(queue) == 1);
    CHILD_CHECK(shoal_queue_put(queue, blocks[0], SHOAL_NOW) == 0);
    void *payload = NULL;
    CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0);
    CHILD_CHECK(strcmp(payload, "before") == 0);
    CHILD_CHECK(shoal_queue_get(queue, &payload, SHOAL_NOW) == 0 && payload == blocks[0]);
    CHILD_CHECK(blocks_hold(count, 60000));
    return 0;
}

Test(limits, queues_work_on_in_a_full_segment, .timeout = 120)
{
    in_a_child(queue_survives_full_segment);
}

static int process_start_in_full_segment(void *argument)
{
    (void)argument;
    static char large[60000];
    shoal_process process = { 77 };
    CHILD_CHECK(shoal_init(NULL, NULL,
                           &(shoal_init_options){ .size_max = 16 << 20, .no_exit_hook = true }) ==
                0);
    blocks_fill(60000);
    while (shoal_alloc(16)) {}
    const shoal_process_options options = { .target = never, SHOAL_COPY_OF(large) };
    CHILD_CHECK(shoal_process_start_new(&options, &process) == -ENOMEM);
    CHILD_CHECK(process.ref == 77);
    CHILD_CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    return 0;
}

Test(limits, start_without_memory_starts_nothing, .timeout = 120)
{
    in_a_child(process_start_in_full_segment);
}

/* --- limits of the process ------------------------------------------------------------------ */

static int file_size_limited(void *argument)
{
    (void)argument;
    limit_set(RLIMIT_FSIZE, 32 << 20);
    filled_to_the_limit(60000, 100);
    return 0;
}

/* No SIGXFSZ. */
Test(limits, file_size_limit_is_out_of_memory, .timeout = 120)
{
    in_a_child(file_size_limited);
}

/* Below what the file has already: it may grow or not, but no signal comes. */
static int file_size_limited_later(void *argument)
{
    (void)argument;
    unsigned count = 0;
    unsigned char *early = shoal_alloc(1000);
    CHILD_CHECK(early);
    memset(early, 'e', 1000);
    limit_set(RLIMIT_FSIZE, 8 << 20);
    while (count < 500 && (blocks[count] = shoal_alloc(60000)) != NULL) {
        memset(blocks[count], (int)count + 1, 60000);
        count++;
    }
    CHILD_CHECK(count > 0 && blocks_hold(count, 60000));
    CHILD_CHECK(early[0] == 'e' && early[999] == 'e');
    return 0;
}

Test(limits, file_size_limit_set_later_raises_no_signal, .timeout = 120)
{
    in_a_child(file_size_limited_later);
}

static int file_size_limited_to_nothing(void *argument)
{
    (void)argument;
    shoal_segment segment = { 77 };
    shoal_queue queue = { 77 };
    shoal_process process = { 77 };
    limit_set(RLIMIT_FSIZE, 4096);
    const shoal_process_options options = { .target = never };
    CHILD_CHECK(!shoal_alloc(100) && shoal_error_message()[0]);
    CHILD_CHECK(SHOAL_IS_NONE(shoal_segment_family()));
    CHILD_CHECK(shoal_segment_create(NULL, &segment) == -ENOMEM && segment.ref == 77);
    CHILD_CHECK(shoal_queue_create(NULL, &queue) == -ENOMEM && queue.ref == 77);
    CHILD_CHECK(shoal_process_create(&options, &process) == -ENOMEM && process.ref == 77);
    CHILD_CHECK(shoal_init(NULL, NULL, NULL) == -ENOMEM);
    CHILD_CHECK(SHOAL_IS_NONE(shoal_current_process()));
    CHILD_CHECK(harness_segments_count() == 0);
    return 0;
}

Test(limits, no_room_for_a_segment_is_out_of_memory_everywhere, .timeout = 120)
{
    in_a_child(file_size_limited_to_nothing);
}

static size_t address_space_used(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHILD_CHECK(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

static int address_space_limited(void *argument)
{
    (void)argument;
    limit_set(RLIMIT_AS, address_space_used() + (128u << 20));
    filled_to_the_limit(60000, 100);
    return 0;
}

Test(limits, address_space_limit_is_out_of_memory, .timeout = 120)
{
    if (HARNESS_SANITIZED)
        cr_skip_test("a sanitizer's shadow needs the address space");
    in_a_child(address_space_limited);
}

static int address_space_too_small(void *argument)
{
    (void)argument;
    limit_set(RLIMIT_AS, address_space_used() + (1u << 20));
    CHILD_CHECK(!shoal_alloc(100) && shoal_error_message()[0]);
    CHILD_CHECK(SHOAL_IS_NONE(shoal_segment_family()));
    CHILD_CHECK(harness_segments_count() == 0);
    return 0;
}

Test(limits, no_address_space_at_all_is_out_of_memory, .timeout = 120)
{
    if (HARNESS_SANITIZED)
        cr_skip_test("a sanitizer's shadow needs the address space");
    in_a_child(address_space_too_small);
}

/* --- descriptors ---------------------------------------------------------------------------- */

static rlim_t fds_top(void)
{
    const int fd = dup(0);
    CHILD_CHECK(fd >= 0);
    close(fd);
    return (rlim_t)fd;
}

static int no_descriptors(void *argument)
{
    (void)argument;
    shoal_segment segment = { 77 };
    limit_set(RLIMIT_NOFILE, fds_top());
    CHILD_CHECK(shoal_segment_create(NULL, &segment) == -EMFILE && segment.ref == 77);
    CHILD_CHECK(SHOAL_IS_NONE(shoal_segment_family()) && shoal_error_message()[0]);
    CHILD_CHECK(shoal_init(NULL, NULL, NULL) == -EMFILE);
    CHILD_CHECK(!shoal_alloc(10));
    CHILD_CHECK(harness_segments_count() == 0);
    return 0;
}

Test(limits, no_descriptor_for_a_segment, .timeout = 120)
{
    in_a_child(no_descriptors);
}

/* --- processes ------------------------------------------------------------------------------ */

static int no_processes(void *argument)
{
    (void)argument;
    shoal_process process = { 77 };
    const shoal_process_options options = { .target = never };
    limit_set(RLIMIT_NPROC, 0);
    if (setgid(65534) < 0 || setuid(65534) < 0)
        return 0;
    CHILD_CHECK(shoal_process_start_new(&options, &process) == -EUSERS);
    CHILD_CHECK(process.ref == 77);
    CHILD_CHECK(shoal_process_create(&options, &process) == 0);
    CHILD_CHECK(shoal_process_start(process) == -EUSERS);
    CHILD_CHECK(shoal_process_pid(process) == 0 && !shoal_process_is_alive(process));
    CHILD_CHECK(shoal_process_join(process, SHOAL_NOW) == -ESRCH);
    CHILD_CHECK(shoal_process_close(process) == 0);
    return 0;
}

Test(limits, no_process_to_be_had, .timeout = 120)
{
    in_a_child(no_processes);
}
