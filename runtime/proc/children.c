/* The private table of children: who was started here, and by which descriptor he is watched. */
#include "proc/start.h"

#include <unistd.h>

#include "base/heap.h"
#include "flow/doors.h"
#include "mem/self.h"

static struct shl_children table;

/*
 * After a fork by other means than ours the copy of the parent's table is not this process's: it is
 * forgotten, unread, because another thread may have been changing it.
 */
static void forget_parents(void)
{
    table.list = NULL;
    table.count = table.capacity = 0;
    table.used = false;
    table.finalizers = (struct shl_finalizers){ 0 };
    shl_lifeline_close(&table.lifeline);
    shl_server_forget(&table.server);
    shl_doors_leave();
}

/* If the table is locked, whoever locked it has seen to that: perhaps we, further up. */
static void disown(void)
{
    struct shl_shared *shared = shl_shared();
    if (pthread_mutex_trylock(&shared->children_lock) != 0)
        return;
    if (!shared->children_own)
        forget_parents();
    shared->children_own = true;
    pthread_mutex_unlock(&shared->children_lock);
}

/* What it leaves behind is settled when it has been reaped, and its pid may be another's. */
static void note_slots(void)
{
    struct shl_segment *segment;
    uint64_t ref = atom_load_relaxed(&shl_shared()->process_ref);
    struct process_shm *process = ref ? shl_process_find((shoal_process){ ref }, &segment) : NULL;
    if (!process || atom_load_relaxed(&process->attached))
        return;
    atom_store_relaxed(&process->start_time, shl_process_start_time());
    atom_store_relaxed(&process->attached, true);
}

void shl_process_attaches(void)
{
    if (!shl_shared())
        return;
    disown();
    note_slots();
}

int shl_children_open_lifeline(struct shl_children *children)
{
    /* Whoever is forked by other means must not hold its end open. */
    shl_process_begins = shl_process_attaches;
    return children->lifeline.fd_write ? 0 : shl_lifeline_open(&children->lifeline);
}

struct shl_children *shl_children_lock(void)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return NULL;
    pthread_mutex_lock(&shared->children_lock);
    if (!shared->children_own)
        forget_parents();
    shared->children_own = true;
    return &table;
}

void shl_children_unlock(void)
{
    pthread_mutex_unlock(&shl_shared()->children_lock);
}

void shl_starts_lock(void)
{
    pthread_mutex_lock(&shl_shared()->starts_lock);
}

bool shl_starts_try_lock(void)
{
    return pthread_mutex_trylock(&shl_shared()->starts_lock) == 0;
}

void shl_starts_unlock(void)
{
    pthread_mutex_unlock(&shl_shared()->starts_lock);
}

int shl_children_add(struct shl_children *children, const struct shl_child *child)
{
    struct shl_child *list = shl_heap_grow(children->list, children->count, &children->capacity,
                                           sizeof *list);
    REQUIRE(list, -ENOMEM, "no memory for the table of children");
    children->list = list;
    children->list[children->count++] = *child;
    children->used = true;
    return 0;
}

struct shl_child *shl_children_find(struct shl_children *children, uint64_t ref)
{
    for (size_t i = 0; i < children->count; i++)
        if (children->list[i].ref == ref)
            return &children->list[i];
    return NULL;
}

void shl_children_remove(struct shl_children *children, struct shl_child *child)
{
    if (child->pidfd >= 0)
        close(child->pidfd);
    *child = children->list[--children->count];
    if (children->count > 0)
        return;
    shl_heap_free(children->list);
    children->list = NULL;
    children->capacity = 0;
}
