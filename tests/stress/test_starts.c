/*
 * Starts in a row leave nothing: ten thousand by the fork server, by each other method as many as
 * some seconds allow, which is told. Spec 1.1.5.
 */
#include "proc/children.h"

#include <stdio.h>

TestSuite(starts, .timeout = 300);

enum { ALL = 10000, ENOUGH = 200, ROUND = 50 };

struct left {
    unsigned fds;
    uint64_t segment, memory; /* bytes */
};

static struct left look(void)
{
    struct left left = { .fds = harness_fds_count() };
    shoal_audit audit;
    assert_code(shoal_segment_audit((shoal_segment){ 0 }, &audit), 0);
    cr_assert_eq(audit.lost + audit.damaged, 0);
    left.segment = audit.owned + audit.objects;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    unsigned long long kilobytes;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %llu kB", &kilobytes) == 1)
            left.memory = kilobytes * 1024;
    fclose(file);
    return left;
}

static void round_of(enum shoal_start_method method, const char *argument, size_t argument_size)
{
    shoal_process processes[ROUND];
    const shoal_process_options options = { .target = target_nothing,
                                            .argument = argument,
                                            .argument_size = argument_size,
                                            .start_method = method };
    for (int i = 0; i < ROUND; i++) {
        assert_code(shoal_process_start_new(&options, &processes[i]), 0);
        if (i % 3 == 0) /* in between, and all at once */
            assert_code(shoal_process_join(processes[i], harness_deadline()), 0);
    }
    for (int i = 0; i < ROUND; i++)
        child_ends(processes[i], 0);
}

/* All, or as many as fit into the time and at least enough to see a leak. */
static void starts_leave_nothing(enum shoal_start_method method, const char *name, bool all)
{
    static char argument[3000];
    assert_code(harness_init(NULL), 0);
    const uint64_t end_ns = harness_now_ns() + (uint64_t)(harness_seconds(6) * 1e9);
    round_of(method, argument, sizeof argument);
    const struct left before = look();
    unsigned starts = 0;
    for (; starts < ALL && (all || starts < ENOUGH || harness_now_ns() < end_ns); starts += ROUND)
        round_of(method, argument, sizeof argument);
    const struct left after = look();
    fprintf(stderr, "starts: %u by %s\n", starts, name);
    cr_assert_eq(after.fds, before.fds);
    cr_assert_eq(after.segment, before.segment);
    /* A sanitizer keeps what was freed. */
    cr_assert(HARNESS_SANITIZED || after.memory <= before.memory + (256 << 10), "%llu bytes more",
              (unsigned long long)(after.memory - before.memory));
    assert_code(shoal_shutdown(harness_deadline()), 0);
}

/* 1.1.5 */
Test(starts, by_fork_leave_nothing_1_1_5, .timeout = 300)
{
    starts_leave_nothing(SHOAL_START_FORK, "fork", false);
}

/* 1.1.5 */
Test(starts, by_spawn_leave_nothing_1_1_5, .timeout = 300)
{
    starts_leave_nothing(SHOAL_START_SPAWN, "spawn", false);
}

/* 1.1.5; a sanitizer makes each start several times as long. */
Test(starts, ten_thousand_by_the_fork_server_leave_nothing_1_1_5, .timeout = 300)
{
    starts_leave_nothing(SHOAL_START_FORKSERVER, "the fork server", !HARNESS_SANITIZED);
}
