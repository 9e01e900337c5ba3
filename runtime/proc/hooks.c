#include "proc/hooks.h"

#include <string.h>

#include "base/heap.h"
#include "proc/process.h"

/* --- finalizers ------------------------------------------------------------------------------ */

int shoal_finalizer_create(void (*run)(void *argument), void *argument, int exit_priority,
                           shoal_finalizer *ret_finalizer)
{
    static uint64_t last_ref; /* goes on in a forked child, where its parent's name nothing */
    REQUIRE(run, -EINVAL, "no function to be run");
    struct shl_children *children = shl_children_lock();
    if (!children)
        return shl_error_code();
    struct shl_finalizers *all = &children->finalizers;
    struct shl_finalizer *list = shl_heap_grow(all->list, all->count, &all->capacity, sizeof *list);
    if (!list) {
        shl_children_unlock();
        return shl_error(-ENOMEM, "no memory for one more finalizer");
    }
    all->list = list;
    all->list[all->count++] = (struct shl_finalizer){ ++last_ref, exit_priority, run, argument };
    if (ret_finalizer)
        ret_finalizer->ref = last_ref;
    shl_children_unlock();
    return 0;
}

/* With the table locked. */
static struct shl_finalizer take(struct shl_finalizers *all, size_t index)
{
    struct shl_finalizer taken = all->list[index];
    all->count--;
    memmove(&all->list[index], &all->list[index + 1], (all->count - index) * sizeof *all->list);
    if (all->count == 0) {
        shl_heap_free(all->list);
        *all = (struct shl_finalizers){ 0 };
    }
    return taken;
}

/* Whoever takes it runs it, or nobody. `run` is NULL if it is not there. */
static struct shl_finalizer take_named(shoal_finalizer finalizer)
{
    struct shl_finalizer taken = { 0 };
    struct shl_children *children = shl_children_lock();
    if (!children)
        return taken;
    struct shl_finalizers *all = &children->finalizers;
    for (size_t i = 0; i < all->count && !taken.run; i++)
        if (all->list[i].ref == finalizer.ref)
            taken = take(all, i);
    shl_children_unlock();
    return taken;
}

static struct shl_finalizer take_next(int priority_min)
{
    struct shl_finalizer taken = { 0 };
    struct shl_children *children = shl_children_lock();
    if (!children)
        return taken;
    struct shl_finalizers *all = &children->finalizers;
    size_t next = all->count;
    for (size_t i = 0; i < all->count; i++)
        if (all->list[i].priority >= priority_min &&
            (next == all->count || all->list[i].priority >= all->list[next].priority))
            next = i;
    if (next < all->count)
        taken = take(all, next);
    shl_children_unlock();
    return taken;
}

bool shoal_finalizer_run(shoal_finalizer finalizer)
{
    struct shl_finalizer taken = take_named(finalizer);
    if (taken.run)
        taken.run(taken.argument);
    return taken.run;
}

bool shoal_finalizer_cancel(shoal_finalizer finalizer)
{
    return take_named(finalizer).run;
}

/* They may create others, which are run as well. */
void shl_finalizers_run(int priority_min)
{
    for (;;) {
        struct shl_finalizer taken = take_next(priority_min);
        if (!taken.run)
            return;
        taken.run(taken.argument);
    }
}

/* --- hooks of forked children ---------------------------------------------------------------- */

/* Only ever appended to, with the table of children locked, as it is when we fork: whole in a
 * child. */
static struct hook {
    struct hook *next;
    void (*run)(void *);
    void *argument;
} * hooks;

/* Where the next one goes; NULL if it is there already. */
/* cppcheck-suppress constParameter ; a pointer to a function */
static struct hook **find_end(void (*run)(void *), const void *argument)
{
    struct hook **end = &hooks;
    for (; *end; end = &(*end)->next)
        if ((*end)->run == run && (*end)->argument == argument)
            return NULL;
    return end;
}

int shoal_after_fork(void (*run)(void *argument), void *argument)
{
    REQUIRE(run, -EINVAL, "no function to be run");
    if (!shl_children_lock())
        return shl_error_code();
    struct hook **end = find_end(run, argument);
    struct hook *hook = end ? shl_heap_resize(NULL, sizeof *hook) : NULL;
    if (hook) {
        *hook = (struct hook){ NULL, run, argument };
        *end = hook;
    }
    shl_children_unlock();
    REQUIRE(hook || !end, -ENOMEM, "no memory for one more hook");
    return 0;
}

void shl_hooks_run(void)
{
    for (const struct hook *hook = hooks; hook; hook = hook->next)
        hook->run(hook->argument);
}
