/*
 * Killed at every step of making a named segment and of publishing a name; and a thread that stops
 * at each step while another goes on, which a mistake there does not survive.
 */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mem/segment.h"
#include "os/chaos.h"
#include "os/futex.h"

TestSuite(names_kill, .timeout = 120);

static const shoal_segment family = { 0 };
static shoal_event first, second;

static void begin(void)
{
    assert_code(shoal_event_create(NULL, &first), 0);
    assert_code(shoal_event_create(NULL, &second), 0);
}

/* --- kills ----------------------------------------------------------------------------------- */

struct kill {
    const char *point;
    unsigned passes;
};

static int is_killed_among_names(void *argument)
{
    const struct kill *kill = argument;
    shl_chaos_plan(&(struct shl_chaos_plan){
        .point = kill->point, .action = SHL_CHAOS_KILL, .passes = kill->passes });
    for (int round = 0; round < 3; round++) {
        CHILD_CHECK(shoal_publish(SHOAL_ANY(first), "name") == 0);
        CHILD_CHECK(shoal_publish(SHOAL_ANY(first), "other") == 0);
        CHILD_CHECK(shoal_unpublish(family, "name") == 0);
        CHILD_CHECK(shoal_unpublish(family, "other") == 0);
    }
    return 1;
}

static void work_after(const char *name)
{
    shoal_event found = { 0 };
    const int code = shoal_event_open(family, name, &found);
    cr_assert(code == -ENOENT || (code == 0 && SHOAL_SAME(found, first)), "%d", code);
    const int removed = shoal_unpublish(family, name);
    cr_assert_eq(removed, code, "%d", removed);
    assert_code(shoal_publish(SHOAL_ANY(second), name), 0);
    assert_code(shoal_event_open(family, name, &found), 0);
    cr_assert(SHOAL_SAME(found, second));
    assert_code(shoal_unpublish(family, name), 0);
}

Test(names_kill, directory_survives_a_kill_at_every_step, .timeout = 120)
{
    static const char *const points[] = { "name.N1", "name.N2", "name.N3", "name.N4" };
    begin();
    for (size_t i = 0; i < COUNT_OF(points); i++)
        for (unsigned passes = 0; passes < 4; passes++) {
            struct kill kill = { points[i], passes };
            const int code = harness_wait(harness_child(is_killed_among_names, &kill));
            cr_assert(code == -SIGKILL || (code == 1 && passes > 0), "%s, %u: %d", points[i],
                      passes, code);
            work_after("name");
            work_after("other");
        }
}

static char segment_name[SHOAL_NAME_MAX + 1];

static int is_killed_while_creating(void *point)
{
    shoal_segment segment;
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = point, .action = SHL_CHAOS_KILL });
    const shoal_segment_options options = { .name = segment_name };
    return shoal_segment_create(&options, &segment) == 0 ? 1 : 2;
}

/* 2.25 */
Test(names_kill, half_made_segment_has_no_name, .timeout = 120)
{
    shoal_segment segment;
    snprintf(segment_name, sizeof segment_name, "harness-%d", (int)getpid());
    cr_assert_eq(harness_wait(harness_child(is_killed_while_creating, "segment.link")), -SIGKILL);
    assert_code(shoal_segment_attach(segment_name, &segment), -ENOENT);
    cr_assert_eq(harness_wait(harness_child(is_killed_while_creating, "segment.publish")),
                 -SIGKILL);
    assert_code(shoal_segment_attach(segment_name, &segment), 0);
    assert_code(shoal_segment_unlink(segment_name), 0);
    cr_assert_not_null(shoal_alloc_in(segment, 100));
    assert_code(shoal_segment_detach(segment), 0);
}

/* --- a thread that stops, and mistakes ------------------------------------------------------- */

struct sleeper {
    const char *point;
    int (*call)(void);
    int code;
    atom32 stalled, released;
    pthread_t thread;
};

static void *sleeps(void *argument)
{
    struct sleeper *sleeper = argument;
    shl_chaos_plan(&(struct shl_chaos_plan){ .point = sleeper->point,
                                             .action = SHL_CHAOS_STALL,
                                             .stalled = &sleeper->stalled,
                                             .released = &sleeper->released });
    sleeper->code = sleeper->call();
    return NULL;
}

static void stop_at(struct sleeper *sleeper, const char *point, int (*call)(void))
{
    *sleeper = (struct sleeper){ .point = point, .call = call };
    cr_assert_eq(pthread_create(&sleeper->thread, NULL, sleeps, sleeper), 0);
    cr_assert(harness_until(sleeper->stalled == 1), "it did not come to %s", point);
}

static int go_on(struct sleeper *sleeper)
{
    sleeper->released = 1;
    shl_futex_wake(&sleeper->released, 1);
    pthread_join(sleeper->thread, NULL);
    return sleeper->code;
}

/* Names of one bucket, found by looking. */
static char names[3][16];

static size_t used_bucket(void)
{
    const struct segment_shm *shm = shl_segments[SHL_FAMILY].shm;
    size_t bucket = 0;
    while (bucket < NAME_BUCKETS && (shm->names[bucket] & ((UINT64_C(1) << 36) - 1)) == 0)
        bucket++;
    return bucket;
}

static void find_names_of_one_bucket(void)
{
    size_t wanted = 0, count = 0;
    for (int i = 0; count < 2; i++) {
        snprintf(names[count], sizeof names[0], "n%d", i);
        assert_code(shoal_publish(SHOAL_ANY(first), names[count]), 0);
        const size_t bucket = used_bucket();
        assert_code(shoal_unpublish(family, names[count]), 0);
        if (count == 0)
            wanted = bucket;
        count += bucket == wanted;
    }
}

static int unpublishes(void)
{
    return shoal_unpublish(family, "name");
}

static int publishes(void)
{
    return shoal_publish(SHOAL_ANY(first), "name");
}

static int opens(void)
{
    shoal_event found;
    return shoal_event_open(family, names[0], &found);
}

static int publishes_second(void)
{
    return shoal_publish(SHOAL_ANY(second), "name");
}

/* An entry is about to leave its chain; its name is published anew meanwhile. */
static bool name_is_kept(void)
{
    struct sleeper publisher, remover;
    shoal_event found;
    begin();
    assert_code(publishes(), 0);
    stop_at(&publisher, "name.N2", publishes_second);
    stop_at(&remover, "name.N1", unpublishes);
    assert_code(go_on(&publisher), 0);
    assert_code(go_on(&remover), 0);
    return shoal_event_open(family, "name", &found) == 0 && SHOAL_SAME(found, second);
}

/* An entry is about to enter its chain; the name is published by another meanwhile. */
static bool one_alone_has_the_name(void)
{
    struct sleeper sleeper;
    begin();
    stop_at(&sleeper, "name.N4", publishes);
    assert_code(shoal_publish(SHOAL_ANY(second), "name"), 0);
    return go_on(&sleeper) == -EEXIST;
}

/* A walk has come to an entry that leaves, and whose place gets another name, meanwhile. */
static bool name_behind_is_found(void)
{
    struct sleeper sleeper;
    begin();
    find_names_of_one_bucket();
    assert_code(shoal_publish(SHOAL_ANY(first), names[0]), 0);
    assert_code(shoal_publish(SHOAL_ANY(first), names[1]), 0);
    stop_at(&sleeper, "name.walk", opens);
    assert_code(shoal_unpublish(family, names[1]), 0);
    assert_code(shoal_publish(SHOAL_ANY(second), "elsewhere"), 0);
    return go_on(&sleeper) == 0;
}

Test(names_kill, entry_that_leaves_takes_no_new_name_along, .timeout = 120)
{
    cr_assert(name_is_kept());
}

Test(names_kill, entry_that_leaves_without_a_tomb_is_noticed, .timeout = 120)
{
    shl_mistake = "name.no_tomb";
    cr_assert_not(name_is_kept());
}

Test(names_kill, name_is_entered_once, .timeout = 120)
{
    cr_assert(one_alone_has_the_name());
}

Test(names_kill, name_that_is_entered_blindly_is_noticed, .timeout = 120)
{
    shl_mistake = "name.blind";
    cr_assert_not(one_alone_has_the_name());
}

Test(names_kill, walk_that_went_astray_begins_anew, .timeout = 120)
{
    cr_assert(name_behind_is_found());
}

Test(names_kill, walk_that_is_believed_is_noticed, .timeout = 120)
{
    shl_mistake = "name.believe";
    cr_assert_not(name_behind_is_found());
}
