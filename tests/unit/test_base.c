/* Deadlines, error texts, version, processors: what needs no segment. */
#include "harness.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

TestSuite(base, .timeout = 60);

/* --- deadlines ------------------------------------------------------------------------------ */

Test(base, deadline_zero_or_negative_is_now, .timeout = 60)
{
    static const int64_t amounts[] = { 0, -1, -1000, INT64_MIN };
    for (size_t i = 0; i < COUNT_OF(amounts); i++) {
        cr_assert_eq(shoal_after_us(amounts[i]).ns, 0);
        cr_assert_eq(shoal_after_ms(amounts[i]).ns, 0);
        cr_assert_eq(shoal_after_s(amounts[i]).ns, 0);
    }
}

Test(base, deadline_too_large_is_forever, .timeout = 60)
{
    cr_assert_eq(shoal_after_s(INT64_MAX).ns, UINT64_MAX);
    cr_assert_eq(shoal_after_ms(INT64_MAX).ns, UINT64_MAX);
    cr_assert_eq(shoal_after_us(INT64_MAX).ns, UINT64_MAX);
    /* The largest number of seconds whose nanoseconds fit, and then now is added. */
    cr_assert_eq(shoal_after_s((int64_t)(UINT64_MAX / 1000000000u)).ns, UINT64_MAX);
    cr_assert_lt(shoal_after_s((int64_t)(UINT64_MAX / 4000000000u)).ns, UINT64_MAX);
}

Test(base, deadline_is_absolute_and_in_its_unit, .timeout = 60)
{
    static const struct {
        shoal_deadline (*after)(int64_t amount);
        uint64_t ns;
    } units[] = { { shoal_after_us, 1000 },
                  { shoal_after_ms, 1000000 },
                  { shoal_after_s, 1000000000 } };
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        const uint64_t before = harness_now_ns();
        const shoal_deadline deadline = units[i].after(7);
        const uint64_t after = harness_now_ns();
        cr_assert_geq(deadline.ns, before + 7 * units[i].ns);
        cr_assert_leq(deadline.ns, after + 7 * units[i].ns);
        cr_assert(SHOAL_IS_NONE(deadline.cancel));
    }
}

Test(base, remaining_ms_is_what_poll_wants, .timeout = 60)
{
    cr_assert_eq(shoal_remaining_ms(SHOAL_NOW), 0);
    cr_assert_eq(shoal_remaining_ms(SHOAL_FOREVER), -1);
    cr_assert_eq(shoal_remaining_ms(shoal_at_ns(1)), 0);
    cr_assert_eq(shoal_remaining_ms(shoal_at_ns(harness_now_ns())), 0);
    const int hour = shoal_remaining_ms(shoal_after_s(3600));
    cr_assert(hour > 3590000 && hour <= 3600000, "%d", hour);
    /* Almost for ever is not for ever, and does not overflow. */
    cr_assert_eq(shoal_remaining_ms(shoal_at_ns(UINT64_MAX - 1)), INT_MAX);
}

Test(base, remaining_ms_rounds_up, .timeout = 60)
{
    /* A part of a millisecond is left: polling for 0 ms would be a busy loop. */
    for (int i = 0; i < 1000; i++) {
        const uint64_t end_ns = harness_now_ns() + 900000;
        const int left = shoal_remaining_ms(shoal_at_ns(end_ns));
        const bool before_end = harness_now_ns() < end_ns;
        if (before_end)
            cr_assert_eq(left, 1);
    }
}

/* --- errors --------------------------------------------------------------------------------- */

static const struct {
    int code;
    const char *name;
} codes[] = {
    { EINVAL, "EINVAL" },
    { ENOMEM, "ENOMEM" },
    { ETIMEDOUT, "ETIMEDOUT" },
    { ECANCELED, "ECANCELED" },
    { EPIPE, "EPIPE" },
    { ESTALE, "ESTALE" },
    { ECHILD, "ECHILD" },
    { ESRCH, "ESRCH" },
    { EALREADY, "EALREADY" },
    { EBUSY, "EBUSY" },
    { EPERM, "EPERM" },
    { EOVERFLOW, "EOVERFLOW" },
    { EDEADLK, "EDEADLK" },
    { EFAULT, "EFAULT" },
    { EXDEV, "EXDEV" },
    { EMSGSIZE, "EMSGSIZE" },
    { ERANGE, "ERANGE" },
    { ENOENT, "ENOENT" },
    { EEXIST, "EEXIST" },
    { EAGAIN, "EAGAIN" },
    { ENODATA, "ENODATA" },
    { EPROTO, "EPROTO" },
    { EADDRINUSE, "EADDRINUSE" },
    { EUSERS, "EUSERS" },
    { EMFILE, "EMFILE" },
    { ENOTSUP, "ENOTSUP" },
    { ECONNABORTED, "ECONNABORTED" },
    { EUCLEAN, "EUCLEAN" },
    { EIO, "EIO" },
    { EREMOTEIO, "EREMOTEIO" },
};

static bool starts_with_name(const char *text)
{
    size_t len = 0;
    while (isupper((unsigned char)text[len]))
        len++;
    return len > 1 && strncmp(text + len, ": ", 2) == 0;
}

Test(base, strerror_knows_the_closed_list, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        const char *text = shoal_strerror(-codes[i].code);
        const size_t len = strlen(codes[i].name);
        cr_assert(strncmp(text, codes[i].name, len) == 0, "%s", text);
        cr_assert(strncmp(text + len, ": ", 2) == 0 && strlen(text) > len + 4, "%s", text);
        cr_assert_str_eq(shoal_strerror(codes[i].code), text);
    }
}

Test(base, strerror_knows_nothing_else, .timeout = 60)
{
    unsigned known = 0;
    for (int code = -100000; code <= 0; code++) {
        const char *text = shoal_strerror(code);
        cr_assert(text && text[0], "%d", code);
        known += starts_with_name(text);
    }
    cr_assert_eq(known, COUNT_OF(codes), "%u", known);
    static const int odd[] = { INT_MIN, INT_MIN + 1, INT_MAX, 133, 4095 };
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        cr_assert(shoal_strerror(odd[i]) && !starts_with_name(shoal_strerror(odd[i])));
}

static void *message_of_a_thread(void *argument)
{
    char *texts = argument;
    snprintf(texts, 256, "%s", shoal_error_message());
    const int code = shoal_process_terminate((shoal_process){ 0 });
    snprintf(texts + 256, 256, "%s%s", code < 0 ? "" : "no error", shoal_error_message());
    return NULL;
}

Test(base, message_is_this_threads_last_failure, .timeout = 60)
{
    pthread_t thread;
    char texts[512], before[256];
    cr_assert_str_eq(shoal_error_message(), "");
    assert_code(shoal_segment_fd((shoal_segment){ 0 }), -EINVAL);
    snprintf(before, sizeof before, "%s", shoal_error_message());
    cr_assert(before[0]);
    cr_assert_eq(pthread_create(&thread, NULL, message_of_a_thread, texts), 0);
    pthread_join(thread, NULL);
    cr_assert_str_eq(texts, "", "a thread begins with another's failure");
    cr_assert(texts[256] && strcmp(texts + 256, "no error") != 0);
    cr_assert_str_eq(shoal_error_message(), before, "another thread's failure came here");
    cr_assert(shoal_cpu_count() >= 1);
    cr_assert_str_eq(shoal_error_message(), before, "a success changed the message");
}

/* --- facts ---------------------------------------------------------------------------------- */

Test(base, version_is_that_of_the_headers, .timeout = 60)
{
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", SHOAL_VERSION_MAJOR, SHOAL_VERSION_MINOR,
             SHOAL_VERSION_PATCH);
    cr_assert_str_eq(shoal_version(), text);
}

/* 1.10.12 the affinity mask counts. */
Test(base, cpu_count_follows_the_affinity_1_10_12, .timeout = 60)
{
    cpu_set_t before, one;
    cr_assert_eq(sched_getaffinity(0, sizeof before, &before), 0);
    cr_assert_eq(shoal_cpu_count(), (unsigned)CPU_COUNT(&before));
    size_t first = 0;
    while (!CPU_ISSET(first, &before))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_assert_eq(shoal_cpu_count(), 1);
}

Test(base, handles_compare_and_convert, .timeout = 60)
{
    const shoal_queue none = { 0 }, one = { 1 }, same = { 1 };
    cr_assert(SHOAL_IS_NONE(none) && !SHOAL_IS_NONE(one));
    cr_assert(SHOAL_SAME(one, same) && !SHOAL_SAME(one, none));
    cr_assert_eq(SHOAL_ANY(one).ref, 1);
    cr_assert_eq(sizeof(shoal_queue), 8);
}

/* --- the library as a whole ----------------------------------------------------------------- */

Test(base, init_refuses_absurd_options_and_changes_nothing, .timeout = 60)
{
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .start_method = SHOAL_START_SPAWN }),
                -ENOTSUP);
    assert_code(shoal_init(NULL, NULL,
                           &(shoal_init_options){ .start_method = (enum shoal_start_method)99 }),
                -EINVAL);
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .size_max = 1 }), -EINVAL);
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .size_max = SIZE_MAX }), -EINVAL);
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .reserved = { 0, 0, 1 } }), -EINVAL);
    cr_assert_eq(harness_segments_count(), 0);
    assert_code(shoal_init(NULL, NULL, NULL), 0);
    assert_code(shoal_init(NULL, NULL, NULL), -EALREADY);
}

Test(base, init_leaves_the_arguments_alone, .timeout = 60)
{
    char name[] = "program", first[] = "--first";
    char *list[] = { name, first, NULL }, **argv = list;
    int argc = 2;
    assert_code(shoal_init(&argc, &argv, &(shoal_init_options){ .no_exit_hook = true }), 0);
    cr_assert(argc == 2 && argv == list && argv[0] == name && argv[1] == first && !argv[2]);
}

Test(base, init_after_first_use_is_refused, .timeout = 60)
{
    shoal_free(shoal_alloc(1));
    assert_code(shoal_init(NULL, NULL, NULL), -EALREADY);
}

Test(base, init_limits_the_family_segment, .timeout = 60)
{
    assert_code(shoal_init(NULL, NULL, &(shoal_init_options){ .size_max = 8 << 20 }), 0);
    cr_assert_not_null(shoal_alloc(1 << 20));
    cr_assert_null(shoal_alloc(9 << 20));
    cr_assert(shoal_error_message()[0]);
    cr_assert_not_null(shoal_alloc(1 << 20));
}

Test(base, shutdown_without_children_is_done_at_once, .timeout = 60)
{
    assert_code(shoal_shutdown(SHOAL_NOW), 0);
    assert_code(shoal_init(NULL, NULL, NULL), 0);
    assert_code(shoal_shutdown(SHOAL_FOREVER), 0);
    shoal_deadline odd = SHOAL_FOREVER;
    odd.cancel.ref = 12345;
    assert_code(shoal_shutdown(odd), -ENOTSUP);
}
