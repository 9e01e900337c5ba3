#include "proc/identity.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mem/self.h"
#include "proc/process.h"

enum { GENERATIONS_MAX = 16, PATH_MAX_SHOWN = SHOAL_PROCESS_NAME_MAX - PROCESS_TYPE_MAX - 1 };

/*
 * "14:1": the numbers of its ancestors and its own. Their objects live as long as they do, and they
 * as long as their children; of those that outlived somebody less is told.
 */
static void print_path(struct process_shm *process, char *ret_text, size_t size)
{
    uint32_t numbers[GENERATIONS_MAX] = { 0 };
    size_t count = 0, length = 0;
    while (process && process->number != 0 && count < GENERATIONS_MAX) {
        struct shl_segment *segment;
        numbers[count++] = process->number;
        process = shl_process_find((shoal_process){ process->parent }, &segment);
    }
    for (size_t i = count; i-- > 0 && length < size;)
        length += (size_t)snprintf(ret_text + length, size - length, i ? "%u:" : "%u", numbers[i]);
}

void shl_identity_give(struct process_shm *process, shoal_process creator, const char *name)
{
    char path[PATH_MAX_SHOWN + 1];
    process->parent = creator.ref;
    process->number = atom_add_relaxed(&shl_shared()->process_count, 1) + 1;
    print_path(process, path, sizeof path);
    if (name)
        snprintf(process->name, sizeof process->name, "%s", name);
    else
        snprintf(process->name, sizeof process->name, "%s-%s", process->type, path);
}

/* --- the calling process -------------------------------------------------------------------- */

/* The object of a process that was not started by us: the family's root, or another's fork. */
static uint64_t main_process(void)
{
    struct shl_segment *family = shl_segment_family();
    struct process_shm *process = family ? shl_process_new(family, 0) : NULL;
    if (!process)
        return 0;
    snprintf(process->type, sizeof process->type, "_MainProcess");
    snprintf(process->name, sizeof process->name, "MainProcess");
    atom_store_relaxed(&process->pid, (uint32_t)getpid());
    atom_store_relaxed(&process->start_time, shl_process_start_time());
    atom_store_relaxed(&process->state, PROCESS_RUNNING);
    return shl_object_publish(&process->object, KIND_PROCESS);
}

shoal_process shoal_current_process(void)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return (shoal_process){ 0 };
    uint64_t ref = atom_load_relaxed(&shared->process_ref);
    if (ref == 0) {
        pthread_mutex_lock(&shared->children_lock);
        ref = atom_load_relaxed(&shared->process_ref);
        if (ref == 0)
            ref = main_process();
        atom_store_relaxed(&shared->process_ref, ref);
        pthread_mutex_unlock(&shared->children_lock);
    }
    return (shoal_process){ ref };
}

shoal_process shoal_parent_process(void)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(shoal_current_process(), &segment);
    return (shoal_process){ process ? process->parent : 0 };
}

/* --- names ---------------------------------------------------------------------------------- */

/* A child has a copy of its name: what its creator calls it later is not seen there, nor the
 * reverse. NULL for any other process. */
static char *own_name(shoal_process handle)
{
    struct shl_shared *shared = shl_shared();
    bool self = shared && handle.ref != 0 && atom_load_relaxed(&shared->process_ref) == handle.ref;
    return self && shared->process_name[0] ? shared->process_name : NULL;
}

const char *shoal_process_name(shoal_process handle)
{
    const char *own = own_name(handle);
    if (own)
        return own;
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(handle, &segment);
    /* Another process may have damaged it. */
    return process && memchr(process->name, '\0', sizeof process->name) ? process->name : "?";
}

int shl_identity_check(const char *name)
{
    REQUIRE(strnlen(name, SHOAL_PROCESS_NAME_MAX + 1) <= SHOAL_PROCESS_NAME_MAX, -EMSGSIZE,
            "the name is longer than SHOAL_PROCESS_NAME_MAX");
    return 0;
}

int shoal_process_set_name(shoal_process handle, const char *name)
{
    REQUIRE(name, -EINVAL, "no name");
    int code = shl_identity_check(name);
    if (code < 0)
        return code;
    struct shl_segment *segment;
    struct process_shm *process = SHOAL_SAME(handle, shoal_current_process())
                                      ? shl_process_find(handle, &segment)
                                      : shl_process_find_own(handle, &segment);
    if (!process)
        return shl_error_code();
    char *own = own_name(handle);
    snprintf(own ? own : process->name, sizeof process->name, "%s", name);
    return 0;
}

bool shoal_process_is_daemon(shoal_process handle)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(handle, &segment);
    return process && (process->flags & PROCESS_DAEMON) != 0;
}

/* --- in words ------------------------------------------------------------------------------- */

static const char *status_of(shoal_process handle, const struct process_shm *process)
{
    if (SHOAL_SAME(handle, shoal_current_process()))
        return "started";
    if (process->creator_pid != (uint32_t)getpid())
        return "unknown";
    if (shoal_process_pid(handle) == 0)
        return "initial";
    return shoal_process_exitcode(handle) == SHOAL_EXITCODE_NONE ? "started" : "stopped";
}

static void print_exitcode(int exitcode, char *ret_text, size_t size)
{
    const char *name = exitcode < 0 ? sigabbrev_np(-exitcode) : NULL;
    if (exitcode == SHOAL_EXITCODE_UNKNOWN)
        snprintf(ret_text, size, " exitcode=unknown");
    else if (name)
        snprintf(ret_text, size, " exitcode=-SIG%s", name);
    else
        snprintf(ret_text, size, " exitcode=%d", exitcode);
}

size_t shoal_process_describe(shoal_process handle, char *ret_text, size_t size)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(handle, &segment);
    if (!process)
        return (size_t)snprintf(ret_text, size, "<Process closed>");
    char pid[24] = "", parent[16] = "None", exitcode[32] = "";
    const char *status = status_of(handle, process);
    if (shoal_process_pid(handle) != 0)
        snprintf(pid, sizeof pid, " pid=%d", (int)shoal_process_pid(handle));
    if (process->creator_pid != 0)
        snprintf(parent, sizeof parent, "%u", process->creator_pid);
    if (strcmp(status, "stopped") == 0)
        print_exitcode(shoal_process_exitcode(handle), exitcode, sizeof exitcode);
    return (size_t)snprintf(ret_text, size, "<%.*s name='%s'%s parent=%s %s%s%s>", PROCESS_TYPE_MAX,
                            process->type, shoal_process_name(handle), pid, parent, status,
                            exitcode, shoal_process_is_daemon(handle) ? " daemon" : "");
}
