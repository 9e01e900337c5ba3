/* Segments: making, limits, leaving, passing on. What attach refuses is in test_attach.c. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(segment, .timeout = 60);

enum { SEGMENTS_MAX = 16 };

static shoal_segment created(void)
{
    shoal_segment segment = { 0 };
    assert_code(shoal_segment_create(NULL, &segment), 0);
    cr_assert_not(SHOAL_IS_NONE(segment));
    return segment;
}

Test(segment, family_is_made_once_and_is_one, .timeout = 60)
{
    cr_assert_eq(harness_segments_count(), 0, "nothing is mapped before the first use");
    const shoal_segment family = shoal_segment_family();
    cr_assert_not(SHOAL_IS_NONE(family), "%s", shoal_error_message());
    cr_assert(SHOAL_SAME(family, shoal_segment_family()));
    cr_assert_eq(harness_segments_count(), 1);
    void *payload = shoal_alloc(10);
    cr_assert_not_null(payload);
    cr_assert_eq(harness_segments_count(), 1);
    shoal_free(payload);
}

static void *family_of_a_thread(void *ret)
{
    *(shoal_segment *)ret = shoal_segment_family();
    return NULL;
}

Test(segment, family_is_one_for_threads_that_race_to_make_it, .timeout = 60)
{
    pthread_t threads[8];
    shoal_segment seen[8];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, family_of_a_thread, &seen[i]), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        cr_assert(!SHOAL_IS_NONE(seen[i]) && SHOAL_SAME(seen[i], seen[0]));
    cr_assert_eq(harness_segments_count(), 1);
}

Test(segment, family_cannot_be_left, .timeout = 60)
{
    const shoal_segment family = shoal_segment_family();
    char *payload = shoal_alloc(10);
    memcpy(payload, "unchanged", 10);
    assert_code(shoal_segment_detach(family), -EINVAL);
    cr_assert_str_eq(payload, "unchanged");
    cr_assert(SHOAL_SAME(family, shoal_segment_family()));
    shoal_free(payload);
}

Test(segment, create_and_detach_leave_nothing, .timeout = 60)
{
    const unsigned fds = harness_fds_count();
    for (int i = 0; i < 100; i++) {
        const shoal_segment segment = created();
        cr_assert_eq(harness_segments_count(), 1);
        assert_code(shoal_segment_detach(segment), 0);
        cr_assert_eq(harness_segments_count(), 0);
        assert_code(shoal_segment_detach(segment), -ESTALE);
    }
    cr_assert_eq(harness_fds_count(), fds);
}

Test(segment, create_refuses_absurd_options, .timeout = 60)
{
    shoal_segment segment = { 77 };
    static const size_t sizes[] = { 1, 4096, (4 << 20) - 1, (UINT64_C(1) << 40) + 1, SIZE_MAX };
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        assert_code(
            shoal_segment_create(&(shoal_segment_options){ .size_max = sizes[i] }, &segment),
            -EINVAL);
    for (size_t i = 0; i < 8; i++) {
        shoal_segment_options options = { .size_max = 0 };
        options.reserved[i] = 1;
        assert_code(shoal_segment_create(&options, &segment), -EINVAL);
    }
    assert_code(shoal_segment_create(NULL, NULL), -EINVAL);
    cr_assert_eq(segment.ref, 77, "a failure wrote its output");
    cr_assert_eq(harness_segments_count(), 0);
}

Test(segment, smallest_segment_holds_something_and_then_no_more, .timeout = 60)
{
    shoal_segment segment;
    assert_code(shoal_segment_create(&(shoal_segment_options){ .size_max = 4 << 20 }, &segment), 0);
    cr_assert_not_null(shoal_alloc_in(segment, 1000));
    cr_assert_null(shoal_alloc_in(segment, 5 << 20));
    cr_assert_not_null(shoal_alloc_in(segment, 1000));
    assert_code(shoal_segment_detach(segment), 0);
}

Test(segment, seventeenth_segment_is_refused, .timeout = 60)
{
    shoal_segment segments[SEGMENTS_MAX], one_more = { 77 };
    size_t count = 0;
    int code = 0;
    while (count < COUNT_OF(segments) && (code = shoal_segment_create(NULL, &segments[count])) == 0)
        count++;
    cr_assert(count >= SEGMENTS_MAX - 1, "only %zu", count);
    if (count == COUNT_OF(segments))
        code = shoal_segment_create(NULL, &one_more);
    cr_assert_eq(code, -EUSERS, "%s", shoal_strerror(code));
    cr_assert_eq(one_more.ref, 77);
    for (size_t i = 0; i < count; i++)
        assert_code(shoal_segment_detach(segments[i]), 0);
    assert_code(shoal_segment_create(NULL, &one_more), 0);
    assert_code(shoal_segment_detach(one_more), 0);
}

Test(segment, fd_is_sealed_nameless_and_borrowed, .timeout = 60)
{
    const shoal_segment segment = created();
    const int fd = shoal_segment_fd(segment);
    cr_assert(fd > STDERR_FILENO);
    cr_assert_eq(shoal_segment_fd(segment), fd);
    cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct stat status;
    cr_assert(fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 0);
    const int seals = fcntl(fd, F_GET_SEALS);
    cr_assert(seals >= 0 && (seals & F_SEAL_SHRINK));
    cr_assert(ftruncate(fd, 4096) < 0 && errno == EPERM);
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_segment_fd(segment), -ESTALE);
}

Test(segment, attached_twice_is_one, .timeout = 60)
{
    const shoal_segment segment = created();
    const unsigned fds = harness_fds_count();
    shoal_segment again = { 0 };
    const int copy = dup(shoal_segment_fd(segment));
    assert_code(shoal_segment_attach_fd(copy, &again), 0);
    cr_assert(SHOAL_SAME(segment, again));
    cr_assert_eq(close(copy), 0, "attach kept the caller's descriptor");
    assert_code(shoal_segment_attach_fd(shoal_segment_fd(segment), &again), 0);
    cr_assert_eq(harness_segments_count(), 1);
    cr_assert_eq(harness_fds_count(), fds);
    assert_code(shoal_segment_detach(segment), 0);
    cr_assert_eq(harness_segments_count(), 0);
}

Test(segment, family_can_be_attached_by_its_descriptor, .timeout = 60)
{
    shoal_segment again = { 0 };
    assert_code(shoal_segment_attach_fd(shoal_segment_fd(shoal_segment_family()), &again), 0);
    cr_assert(SHOAL_SAME(again, shoal_segment_family()));
    cr_assert_eq(harness_segments_count(), 1);
}

Test(segment, detached_and_attached_again_keeps_its_contents, .timeout = 60)
{
    const shoal_segment segment = created();
    shoal_segment again = { 0 };
    shoal_queue queue;
    assert_code(shoal_queue_create(&(shoal_queue_options){ .segment = segment }, &queue), 0);
    assert_code(shoal_queue_put_bytes(queue, "kept", 5, SHOAL_NOW), 0);
    const int fd = dup(shoal_segment_fd(segment));
    assert_code(shoal_segment_detach(segment), 0);
    assert_code(shoal_queue_put_bytes(queue, "lost", 5, SHOAL_NOW), -ESTALE);
    assert_code(shoal_segment_attach_fd(fd, &again), 0);
    cr_assert(SHOAL_SAME(segment, again), "the same bits mean the same segment everywhere");
    void *payload = NULL;
    assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
    cr_assert_str_eq(payload, "kept");
    shoal_free(payload);
    assert_code(shoal_segment_detach(again), 0);
    close(fd);
}

Test(segment, of_answers_where_an_object_lies, .timeout = 60)
{
    const shoal_segment segment = created();
    shoal_queue inside, outside;
    assert_code(shoal_queue_create(&(shoal_queue_options){ .segment = segment }, &inside), 0);
    assert_code(shoal_queue_create(NULL, &outside), 0);
    cr_assert(SHOAL_SAME(shoal_segment_of(SHOAL_ANY(inside)), segment));
    cr_assert(SHOAL_SAME(shoal_segment_of(SHOAL_ANY(outside)), shoal_segment_family()));
    cr_assert(SHOAL_SAME(shoal_segment_of(SHOAL_ANY(segment)), segment));
    cr_assert(SHOAL_IS_NONE(shoal_segment_of((shoal_any){ 0 })));
    assert_code(shoal_segment_detach(segment), 0);
    cr_assert(SHOAL_IS_NONE(shoal_segment_of(SHOAL_ANY(inside))));
    assert_code(shoal_queue_destroy(outside), 0);
}

Test(segment, two_at_a_time_do_not_mix, .timeout = 60)
{
    const shoal_segment one = created(), other = created();
    cr_assert_not(SHOAL_SAME(one, other));
    char *first = shoal_alloc_in(one, 1 << 20), *second = shoal_alloc_in(other, 1 << 20);
    cr_assert(first && second);
    memset(first, 'a', 1 << 20);
    memset(second, 'b', 1 << 20);
    cr_assert(first[0] == 'a' && first[(1 << 20) - 1] == 'a');
    cr_assert_neq(shoal_ref_of(first).ref, shoal_ref_of(second).ref);
    assert_code(shoal_segment_detach(one), 0);
    cr_assert(second[0] == 'b' && second[(1 << 20) - 1] == 'b');
    assert_code(shoal_segment_detach(other), 0);
}
