/* One segment in many processes: growth, and children that the program forks by itself. */
#include "proc/children.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

TestSuite(family, .timeout = 90);

struct meeting {
    shoal_queue there, back;
    shoal_segment family;
    const void *place;
};

enum { LARGE = 3 << 20, ROUNDS = 20 };

static void reads_what_came_later(void *argument)
{
    const struct meeting *meeting = argument;
    for (int i = 0; i < ROUNDS; i++) {
        void *payload = NULL;
        CHILD_CHECK(shoal_queue_get(meeting->there, &payload, harness_deadline()) == 0);
        const unsigned char *bytes = payload;
        CHILD_CHECK(shoal_size(payload) == LARGE);
        for (size_t k = 0; k < LARGE; k += 4096)
            CHILD_CHECK(bytes[k] == (unsigned char)(i + 1));
        memset(payload, i + 101, LARGE);
        CHILD_CHECK(shoal_queue_put(meeting->back, payload, harness_deadline()) == 0);
    }
}

/* The child is attached before the parent makes the segment grow, and the other way round. */
Test(family, segment_grows_under_attached_processes, .timeout = 90)
{
    const struct meeting meeting = { .there = queue_of(4), .back = queue_of(ROUNDS) };
    const shoal_process process = CHILD_START(reads_what_came_later, meeting);
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char *payload = shoal_alloc(LARGE); /* each is in chunks of its own */
        cr_assert_not_null(payload, "%s", shoal_error_message());
        memset(payload, i + 1, LARGE);
        assert_code(shoal_queue_put(meeting.there, payload, harness_deadline()), 0);
    }
    child_ends(process, 0);
    for (int i = 0; i < ROUNDS; i++) {
        void *payload = NULL;
        assert_code(shoal_queue_get(meeting.back, &payload, SHOAL_NOW), 0);
        cr_assert_eq(((unsigned char *)payload)[LARGE - 1], (unsigned char)(i + 101));
        shoal_free(payload);
    }
    cr_assert_eq(harness_segments_count(), 1);
    assert_code(shoal_queue_destroy(meeting.there), 0);
    assert_code(shoal_queue_destroy(meeting.back), 0);
}

static void grows_it(void *argument)
{
    const struct meeting *meeting = argument;
    for (int i = 0; i < ROUNDS; i++) {
        void *payload = shoal_alloc(LARGE);
        CHILD_CHECK(payload);
        memset(payload, i + 1, LARGE);
        CHILD_CHECK(shoal_queue_put(meeting->back, payload, harness_deadline()) == 0);
    }
}

Test(family, child_grows_the_segment_under_its_parent, .timeout = 90)
{
    const struct meeting meeting = { .back = queue_of(ROUNDS) };
    child_ends(CHILD_START(grows_it, meeting), 0);
    for (int i = 0; i < ROUNDS; i++) {
        void *payload = NULL;
        assert_code(shoal_queue_get(meeting.back, &payload, SHOAL_NOW), 0);
        cr_assert_eq(((unsigned char *)payload)[LARGE - 1], (unsigned char)(i + 1));
        shoal_free(payload);
    }
    assert_code(shoal_queue_destroy(meeting.back), 0);
}

static void is_at_the_same_place(void *argument)
{
    const struct meeting *meeting = argument;
    CHILD_CHECK(SHOAL_SAME(shoal_segment_family(), meeting->family));
    CHILD_CHECK(strcmp(meeting->place, "the same place") == 0);
    CHILD_CHECK(harness_segments_count() == 1);
}

Test(family, segment_is_one_and_at_one_address, .timeout = 90)
{
    char *payload = shoal_alloc(100);
    memcpy(payload, "the same place", 15);
    const struct meeting meeting = { .family = shoal_segment_family(), .place = payload };
    child_ends(CHILD_START(is_at_the_same_place, meeting), 0);
    shoal_free(payload);
}

/* --- children forked by hand ---------------------------------------------------------------- */

enum { HELD = 500 };

/* Uses everything; its blocks must never be its parent's or a sibling's. */
static int uses_all(void *argument)
{
    const shoal_queue queue = *(shoal_queue *)argument;
    unsigned char *held[HELD];
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < HELD; i++) {
            held[i] = shoal_alloc(64);
            CHILD_CHECK(held[i]);
            memset(held[i], getpid() + i, 64);
        }
        for (int i = 0; i < HELD; i++) {
            for (int k = 0; k < 64; k++)
                CHILD_CHECK(held[i][k] == (unsigned char)(getpid() + i));
            shoal_free(held[i]);
        }
    }
    CHILD_CHECK(shoal_queue_put_bytes(queue, "mine", 5, harness_deadline()) == 0);
    return 0;
}

static pid_t bare_fork_child(shoal_queue *queue)
{
    const pid_t pid = _Fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(uses_all(queue));
    }
    return pid;
}

/* Its context is not its parent's: caches of free blocks and slots are not inherited. */
static void raw_children_share_nothing(bool bare)
{
    shoal_queue queue = queue_of(100);
    pid_t pids[4];
    /* The parent's cache is full of free blocks when the children are made. */
    void *warm[100];
    for (size_t i = 0; i < COUNT_OF(warm); i++)
        warm[i] = shoal_alloc(64);
    for (size_t i = 0; i < COUNT_OF(warm); i++)
        shoal_free(warm[i]);
    for (size_t i = 0; i < COUNT_OF(pids); i++)
        pids[i] = bare ? bare_fork_child(&queue) : harness_child(uses_all, &queue);
    unsigned char *held[HELD];
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < HELD; i++) {
            held[i] = shoal_alloc(64);
            memset(held[i], i, 64);
        }
        for (int i = 0; i < HELD; i++) {
            for (int k = 0; k < 64; k++)
                cr_assert_eq(held[i][k], (unsigned char)i, "a child wrote into a parent's block");
            shoal_free(held[i]);
        }
    }
    for (size_t i = 0; i < COUNT_OF(pids); i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
    for (size_t i = 0; i < COUNT_OF(pids); i++) {
        void *payload = NULL;
        assert_code(shoal_queue_get(queue, &payload, SHOAL_NOW), 0);
        cr_assert_str_eq(payload, "mine");
        shoal_free(payload);
    }
    assert_code(shoal_queue_destroy(queue), 0);
}

Test(family, forked_child_uses_queue_and_memory, .timeout = 90)
{
    raw_children_share_nothing(false);
}

Test(family, bare_forked_child_uses_queue_and_memory, .timeout = 90)
{
    raw_children_share_nothing(true);
}

static int is_a_main_process(void *argument)
{
    (void)argument;
    const shoal_process me = shoal_current_process();
    CHILD_CHECK(strcmp(shoal_process_name(me), "MainProcess") == 0);
    CHILD_CHECK(shoal_process_pid(me) == getpid());
    CHILD_CHECK(shoal_process_is_alive(me));
    /* It may start children of its own. */
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target_nothing };
    CHILD_CHECK(shoal_process_start_new(&options, &process) == 0);
    CHILD_CHECK(shoal_process_join(process, harness_deadline()) == 0);
    CHILD_CHECK(shoal_process_exitcode(process) == 0);
    CHILD_CHECK(shoal_process_close(process) == 0);
    return 0;
}

Test(family, forked_child_is_a_process_of_its_own, .timeout = 90)
{
    const shoal_process root = shoal_current_process();
    cr_assert_eq(shoal_process_pid(root), getpid());
    cr_assert_eq(harness_wait(harness_child(is_a_main_process, NULL)), 0);
    cr_assert(SHOAL_SAME(root, shoal_current_process()));
    cr_assert_eq(shoal_process_pid(root), getpid());
}

static int makes_its_own_family(void *argument)
{
    (void)argument;
    void *payload = shoal_alloc(10);
    CHILD_CHECK(payload);
    shoal_free(payload);
    CHILD_CHECK(harness_segments_count() == 1);
    return 0;
}

/* Forked before the first use: each has a family of its own, and that is no error. */
Test(family, processes_forked_before_first_use_are_apart, .timeout = 90)
{
    pid_t pids[3];
    for (size_t i = 0; i < COUNT_OF(pids); i++)
        pids[i] = harness_child(makes_its_own_family, NULL);
    cr_assert_eq(makes_its_own_family(NULL), 0);
    for (size_t i = 0; i < COUNT_OF(pids); i++)
        cr_assert_eq(harness_wait(pids[i]), 0);
}

/* More processes, one after the other, than there are places for them. */
static int allocates_once(void *argument)
{
    (void)argument;
    CHILD_CHECK(shoal_alloc(64)); /* never freed: it goes with its process */
    return 0;
}

static int killed_in_use(void *argument)
{
    allocates_once(argument);
    raise(SIGKILL);
    return 0;
}

Test(family, places_of_the_dead_are_used_again, .timeout = 180)
{
    cr_assert_not_null(shoal_alloc(1));
    for (int i = 0; i < 1500; i++)
        cr_assert_eq(harness_wait(harness_child(i % 2 ? killed_in_use : allocates_once, NULL)),
                     i % 2 ? -SIGKILL : 0, "process %d", i);
}
