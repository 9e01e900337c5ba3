/*
 * What the system refuses: every call that the library makes of it fails at its first use, at its
 * second, and so on, in every operation of the tables. And the driver that judges it, failing.h,
 * notices mistakes.
 */
#include "operations.h"
#include "refusals.h"

#include <string.h>

#include "os/chaos.h"

TestSuite(syscalls, .timeout = 180);

static const struct table *const tables[] = {
    &memory_table,  &segments_table,  &objects_table,
    &waiting_table, &processes_table, &descriptors_table
};

static const struct operation *find_operation(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (size_t k = 0; k < tables[i]->count; k++)
            if (strcmp(tables[i]->rows[k].name, name) == 0)
                return &tables[i]->rows[k];
    cr_assert(false, "no operation is called %s", name);
    return NULL;
}

#define SURVIVES(name)                                           \
    Test(syscalls, name##_survive_every_failure, .timeout = 180) \
    {                                                            \
        survive(name##_table.rows, name##_table.count);          \
    }

SURVIVES(memory)
SURVIVES(segments)
SURVIVES(objects)
SURVIVES(waiting)
SURVIVES(processes)
SURVIVES(descriptors)

/* What the driver must find; each breaks one of its promises. */
static const struct {
    const char *mistake;
    const char *operation;
    const char *found;
} mistakes[] = {
    { "memfd.swallow", "alloc large", "answers 0" },
    { "memfd.descriptor", "segment_create", "descriptors" },
    { "memfd.mapping", "segment_create", "mappings" },
    { "pages.chunks", "alloc large", "chunks" },
    { "queue.place", "queue_create large", "blocks in no hands" },
    { "process.argument", "process_create", "payloads" },
    { "process.output", "process_create", "has touched its output" },
    { "process.state", "process_start", "not usable" },
    { "child.zombie", "process_start", "never reaped" },
};

Test(syscalls, mistakes_are_found, .timeout = 180)
{
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        shl_mistake = mistakes[i].mistake;
        const char *problem = first_problem(find_operation(mistakes[i].operation));
        cr_expect(strstr(problem, mistakes[i].found), "%s: %s", shl_mistake, problem);
    }
}

/* A row that no operation reaches would prove nothing. */
Test(syscalls, every_refusal_comes, .timeout = 180)
{
    unsigned sums[REFUSALS_MAX] = { 0 };
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (size_t k = 0; k < tables[i]->count; k++)
            add_uses(&tables[i]->rows[k], sums);
    for (size_t i = 0; refusals[i].function; i++)
        cr_expect(sums[i] > 0, "%s is never used", refusals[i].function);
}
