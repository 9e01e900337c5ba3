/*
 * Who descends from a process is known by its parents' numbers alone, and only while those live. So
 * nobody is signalled before all are found, and who is found is stopped first: he can neither start
 * others nor end. One looks again until nobody new is there and all have stopped. Who was orphaned
 * before is not found: his parent's number is another one's.
 */
#include "os/tree.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/heap.h"
#include "os/chaos.h"
#include "os/child.h"

struct member {
    pid_t pid;
    int pidfd;
    bool stopped; /* by us */
};

struct tree {
    struct member *list;
    size_t count, capacity;
};

static struct member *find(const struct tree *tree, pid_t pid)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->list[i].pid == pid)
            return &tree->list[i];
    return NULL;
}

/* Not reaped yet: so its number has been its own all the time. */
static bool exists(int pidfd)
{
    return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 || errno != ESRCH;
}

/* A first thread that ended is a zombie too, while the others run on. */
static bool is_stopped(const struct shl_process_state *now)
{
    return now->state == 'T' || now->state == 't' ||
           ((now->state == 'Z' || now->state == 'X') && now->threads <= 1);
}

/* Stops it. 0 or an error; with -EPERM it is a member, too. */
static int add(struct tree *tree, pid_t pid, int pidfd)
{
    struct shl_process_state now;
    struct member *list = shl_heap_grow(tree->list, tree->count, &tree->capacity, sizeof *list);
    REQUIRE(list, -ENOMEM, "no memory for the list of descendants");
    tree->list = list;
    bool runs = !shl_process_state(pid, &now) || !is_stopped(&now);
    int code = runs ? shl_child_signal(pidfd, SIGSTOP) : 0;
    if (code == 0 || code == -EPERM) /* else the caller closes it */
        tree->list[tree->count++] = (struct member){ pid, pidfd, runs && code == 0 };
    return code;
}

/* The member whose child a process is; NULL if it is nobody's, or gone. 0 or an error. */
static int find_parent(const struct tree *tree, pid_t pid, const struct member **ret_parent)
{
    struct shl_process_state state;
    bool known = shl_process_state(pid, &state);
    *ret_parent = known ? find(tree, state.parent) : NULL;
    REQUIRE(known || (errno != EMFILE && errno != ENFILE), -EMFILE,
            "no descriptor to look for descendants by");
    return 0;
}

/* 1 if it is one that was not known; 0; or an error. */
static int look_at(struct tree *tree, pid_t pid)
{
    const struct member *parent = NULL;
    int code = find(tree, pid) ? 0 : find_parent(tree, pid, &parent);
    if (!parent)
        return code;
    int pidfd = shl_child_pidfd(pid);
    if (pidfd < 0)
        return kill(pid, 0) < 0 && errno == ESRCH ? 0 : pidfd;
    /* Again, while its number is certainly its own, and its parent's the parent's. */
    code = find_parent(tree, pid, &parent);
    bool is_one = parent && exists(pidfd) && exists(parent->pidfd);
    if (is_one)
        code = add(tree, pid, pidfd);
    if (is_one && (code == 0 || code == -EPERM))
        return 1; /* who may not be stopped may not be signalled, and is told of then */
    close(pidfd);
    return code;
}

/* How many were found; or an error. */
static int look_around(struct tree *tree)
{
    DIR *all = opendir("/proc");
    if (!all)
        return shl_error(errno == ENOENT ? -ENOTSUP : shl_error_of_errno(errno),
                         "/proc is not readable: descendants are not known");
    int count = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(all); /* NOLINT(concurrency-mt-unsafe): its own */
        if (!entry)
            break;
        pid_t pid = (pid_t)strtoul(entry->d_name, NULL, 10);
        int found = pid > 0 ? look_at(tree, pid) : 0;
        count = found < 0 ? found : count + found;
        if (found < 0)
            break;
    }
    if (count >= 0 && errno != 0)
        count = shl_error(-EIO, "/proc cannot be read");
    closedir(all);
    return count;
}

/* Who does not stop waits inside the kernel, as a vfork's parent for its child, and starts nobody
 * meanwhile; or is another user's. So often, a millisecond each time, one looks again; and longer
 * for one who was told to stop, and would if he had a processor. */
enum { QUIET = 0, PATIENCE = 100, PATIENCE_BUSY = 10000 };

static int patience_with(const struct member *member)
{
    struct shl_process_state now;
    if (!shl_process_state(member->pid, &now))
        return exists(member->pidfd) ? PATIENCE : QUIET;
    if (is_stopped(&now))
        return QUIET;
    return member->stopped && now.state != 'D' ? PATIENCE_BUSY : PATIENCE;
}

/* QUIET: all have stopped. */
static int patience(const struct tree *tree)
{
    int most = QUIET;
    for (size_t i = 0; i < tree->count; i++) {
        int with = patience_with(&tree->list[i]);
        most = with > most ? with : most;
    }
    return most;
}

static int find_all(struct tree *tree)
{
    for (int i = 0, most = PATIENCE; i < most; i++) {
        most = patience(tree);
        int found = look_around(tree);
        if (found < 0 || (found == 0 && most == QUIET))
            return found;
        most = most > PATIENCE ? most : PATIENCE;
        if (found == 0)
            shl_child_pause();
    }
    return 0;
}

/* The youngest first. `signal_number` 0: none. */
static int tell_all(const struct tree *tree, int signal_number)
{
    int code = 0;
    for (size_t i = tree->count; i-- > 0;) {
        const struct member *member = &tree->list[i];
        int told = shl_child_signal(member->pidfd, signal_number);
        code = told < 0 ? told : code;
        if (member->stopped && signal_number != SIGKILL)
            shl_child_signal(member->pidfd, SIGCONT);
    }
    return code;
}

int shl_tree_signal(pid_t pid, int pidfd, int signal_number)
{
    struct tree tree = { 0 };
    int code = add(&tree, pid, pidfd);
    if (code == 0 || code == -EPERM) /* told again by tell_all() */
        code = find_all(&tree);
    SHL_CHAOS("tree.stopped");
    if (code < 0)
        tell_all(&tree, 0);
    else
        code = tell_all(&tree, signal_number);
    for (size_t i = 1; i < tree.count; i++)
        close(tree.list[i].pidfd);
    shl_heap_free(tree.list);
    return code;
}
