/* What the multi-process tests start again and again. */
#ifndef SHOAL_TESTS_CHILDREN_H
#define SHOAL_TESTS_CHILDREN_H

#include "harness.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A running child; the argument is copied, and may be NULL. */
static inline shoal_process child_start(void (*target)(void *argument), const void *argument,
                                        size_t argument_size)
{
    shoal_process process = { 0 };
    const shoal_process_options options = { .target = target,
                                            .argument = argument,
                                            .argument_size = argument_size };
    assert_code(shoal_process_start_new(&options, &process), 0);
    return process;
}
#define CHILD_START(target, object) child_start(target, &(object), sizeof(object))

/* It ends with this code, and nothing of it is left. */
#define child_ends(process, code)                                            \
    do {                                                                     \
        const shoal_process ended_ = (process);                              \
        assert_code(shoal_process_join(ended_, harness_deadline()), 0);      \
        cr_assert_eq(shoal_process_exitcode(ended_), (code), "exit code %d", \
                     shoal_process_exitcode(ended_));                        \
        assert_code(shoal_process_close(ended_), 0);                         \
    } while (0)

/* Of the family's memory, by objects and payloads: bytes. */
static inline uint64_t memory_used(void)
{
    shoal_audit audit;
    assert_code(shoal_segment_audit((shoal_segment){ 0 }, &audit), 0);
    cr_assert_eq(audit.lost + audit.damaged, 0);
    return audit.owned + audit.objects;
}

static inline void target_nothing(void *argument)
{
    (void)argument;
}

static inline void target_pauses(void *argument)
{
    (void)argument;
    for (;;)
        pause();
}

#endif
