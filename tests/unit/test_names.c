/* Objects published and opened by name. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "mem/segment.h"

TestSuite(names, .timeout = 60);

static shoal_event made(void)
{
    shoal_event event = { 0 };
    assert_code(shoal_event_create(NULL, &event), 0);
    return event;
}

static const shoal_segment family = { 0 };

Test(names, object_is_opened_by_its_name, .timeout = 60)
{
    const shoal_event event = made();
    shoal_event found = { 77 };
    assert_code(shoal_event_open(family, "bell", &found), -ENOENT);
    cr_assert_eq(found.ref, 77);
    assert_code(shoal_publish(SHOAL_ANY(event), "bell"), 0);
    assert_code(shoal_event_open(family, "bell", &found), 0);
    cr_assert(SHOAL_SAME(event, found));
    assert_code(shoal_publish(SHOAL_ANY(event), "ring"), 0);
    assert_code(shoal_event_open(shoal_segment_family(), "ring", &found), 0);
    assert_code(shoal_unpublish(family, "bell"), 0);
    assert_code(shoal_unpublish(family, "bell"), -ENOENT);
    assert_code(shoal_event_open(family, "bell", &found), -ENOENT);
    assert_code(shoal_event_open(family, "ring", &found), 0);
    assert_code(shoal_event_destroy(event), 0);
}

Test(names, each_type_has_its_own_open, .timeout = 60)
{
    shoal_queue queue;
    shoal_lock lock;
    shoal_semaphore semaphore;
    shoal_condition condition;
    shoal_barrier barrier;
    const shoal_event event = made();
    assert_code(shoal_queue_create(NULL, &queue), 0);
    assert_code(shoal_lock_create(NULL, &lock), 0);
    assert_code(shoal_semaphore_create(1, NULL, &semaphore), 0);
    assert_code(shoal_condition_create(NULL, &condition), 0);
    assert_code(shoal_barrier_create(2, NULL, &barrier), 0);
    const shoal_any objects[] = { SHOAL_ANY(queue),     SHOAL_ANY(lock),    SHOAL_ANY(semaphore),
                                  SHOAL_ANY(condition), SHOAL_ANY(barrier), SHOAL_ANY(event) };
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        shoal_any found[COUNT_OF(objects)];
        memset(found, 0, sizeof found);
        assert_code(shoal_publish(objects[i], "it"), 0);
        const int codes[] = { shoal_queue_open(family, "it", (shoal_queue *)&found[0]),
                              shoal_lock_open(family, "it", (shoal_lock *)&found[1]),
                              shoal_semaphore_open(family, "it", (shoal_semaphore *)&found[2]),
                              shoal_condition_open(family, "it", (shoal_condition *)&found[3]),
                              shoal_barrier_open(family, "it", (shoal_barrier *)&found[4]),
                              shoal_event_open(family, "it", (shoal_event *)&found[5]) };
        for (size_t k = 0; k < COUNT_OF(objects); k++) {
            assert_code(codes[k], i == k ? 0 : -EINVAL);
            cr_assert_eq(found[k].ref, i == k ? objects[i].ref : 0);
        }
        assert_code(shoal_unpublish(family, "it"), 0);
    }
}

Test(names, name_is_taken_while_its_object_lives, .timeout = 60)
{
    const shoal_event event = made(), rival = made();
    shoal_event found;
    assert_code(shoal_publish(SHOAL_ANY(event), "bell"), 0);
    assert_code(shoal_publish(SHOAL_ANY(rival), "bell"), -EEXIST);
    assert_code(shoal_publish(SHOAL_ANY(event), "bell"), -EEXIST);
    assert_code(shoal_event_destroy(event), 0);
    assert_code(shoal_event_open(family, "bell", &found), -ENOENT);
    assert_code(shoal_publish(SHOAL_ANY(event), "bell"), -ESTALE);
    assert_code(shoal_publish(SHOAL_ANY(rival), "bell"), 0);
    assert_code(shoal_event_open(family, "bell", &found), 0);
    cr_assert(SHOAL_SAME(found, rival));
    assert_code(shoal_event_destroy(rival), 0);
    assert_code(shoal_unpublish(family, "bell"), 0);
}

Test(names, bad_arguments_are_refused, .timeout = 60)
{
    static const char *const bad[] = { NULL, "", "a/b" };
    const shoal_event event = made();
    shoal_event found = { 77 };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_code(shoal_publish(SHOAL_ANY(event), bad[i]), -EINVAL);
        assert_code(shoal_event_open(family, bad[i], &found), -EINVAL);
        assert_code(shoal_unpublish(family, bad[i]), -EINVAL);
    }
    char longest[SHOAL_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[SHOAL_NAME_MAX + 1] = '\0';
    assert_code(shoal_publish(SHOAL_ANY(event), longest), -EMSGSIZE);
    longest[SHOAL_NAME_MAX] = '\0';
    assert_code(shoal_publish(SHOAL_ANY(event), longest), 0);
    assert_code(shoal_event_open(family, longest, &found), 0);
    longest[SHOAL_NAME_MAX - 1] = 'y';
    assert_code(shoal_event_open(family, longest, &found), -ENOENT);
    assert_code(shoal_event_open(family, "x", NULL), -EINVAL);
    assert_code(shoal_event_open((shoal_segment){ UINT64_C(1) << 48 }, "x", &found), -ESTALE);
    assert_code(shoal_publish((shoal_any){ 0 }, "x"), -EINVAL);
    assert_code(shoal_publish(SHOAL_ANY(shoal_segment_family()), "x"), -ESTALE);
    shoal_connection ends[2];
    assert_code(shoal_pipe_create(NULL, &ends[0], &ends[1]), 0);
    assert_code(shoal_publish(SHOAL_ANY(ends[0]), "x"), -EINVAL);
    assert_code(shoal_connection_close(ends[0]), 0);
    assert_code(shoal_connection_close(ends[1]), 0);
}

/* More than buckets, in every order, and the places of old ones are used again. */
Test(names, thousands_of_names_do_not_mix, .timeout = 60)
{
    enum { COUNT = 3000 };
    static shoal_event events[COUNT];
    char name[20];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            events[i] = made();
            snprintf(name, sizeof name, "event %d", i);
            assert_code(shoal_publish(SHOAL_ANY(events[i]), name), 0);
        }
        for (int i = 0; i < COUNT; i++) {
            shoal_event found;
            snprintf(name, sizeof name, "event %d", i);
            assert_code(shoal_event_open(family, name, &found), 0);
            cr_assert(SHOAL_SAME(found, events[i]));
            if (i % 2)
                assert_code(shoal_unpublish(family, name), 0);
            assert_code(shoal_event_destroy(events[i]), 0);
        }
    }
}

/* A name that is never the same again must not cost memory for ever. */
Test(names, forgotten_names_of_dead_objects_are_used_again, .timeout = 60)
{
    char name[20];
    for (int i = 0; i < 200000; i++) {
        const shoal_event event = made();
        snprintf(name, sizeof name, "event %d", i);
        assert_code(shoal_publish(SHOAL_ANY(event), name), 0);
        assert_code(shoal_event_destroy(event), 0);
    }
}

/* What lies in the segment is input. */
Test(names, damaged_directory_is_an_error, .timeout = 60)
{
    const shoal_event event = made();
    shoal_event found;
    assert_code(shoal_publish(SHOAL_ANY(event), "bell"), 0);
    struct segment_shm *shm = shl_segments[SHL_FAMILY].shm;
    static const uint64_t places[] = { 1, 0xfffffffff, 1 << 16, (2 << 20) / 16 };
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        for (size_t k = 0; k < NAME_BUCKETS; k++)
            atom_store_relaxed(&shm->names[k], places[i]);
        assert_code(shoal_event_open(family, "bell", &found), -EUCLEAN);
        assert_code(shoal_publish(SHOAL_ANY(event), "other"), -EUCLEAN);
        assert_code(shoal_unpublish(family, "bell"), -EUCLEAN);
    }
    for (size_t k = 0; k < NAME_BUCKETS; k++)
        atom_store_relaxed(&shm->names[k], 0);
    assert_code(shoal_publish(SHOAL_ANY(event), "bell"), 0);
}

/* Who publishes holds the name alone until he takes it away. */
struct race {
    _Atomic int holders[4];
    _Atomic int wrong, won;
    shoal_event event;
};

static void *races(void *argument)
{
    struct race *race = argument;
    uint64_t state = (uint64_t)(uintptr_t)&state;
    for (int i = 0; i < 20000; i++) {
        const size_t which = harness_random(&state) % COUNT_OF(race->holders);
        const char name[] = { 'n', (char)('0' + which), '\0' };
        const int code = shoal_publish(SHOAL_ANY(race->event), name);
        if (code != 0) {
            race->wrong += code != -EEXIST;
            continue;
        }
        race->won++;
        race->wrong += race->holders[which]++ != 0;
        race->holders[which]--;
        race->wrong += shoal_unpublish(family, name) != 0;
    }
    return NULL;
}

Test(names, one_publisher_at_a_time_has_a_name, .timeout = 60)
{
    struct race race = { .event = made() };
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, races, &race), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(race.wrong, 0);
    cr_assert_gt(race.won, 0);
}
