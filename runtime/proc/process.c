/*
 * Processes as objects. What everybody may know stands in the segment (process_shm.h); how its
 * creator watches it is private to him (children.c). Only the creator reaps, by descriptor, and
 * writes the exit code down for the others.
 */
#include "proc/process.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "mem/alloc.h"
#include "mem/self.h"
#include "os/chaos.h"
#include "os/fd.h"
#include "os/tree.h"
#include "proc/identity.h"
#include "proc/log.h"
#include "proc/setup.h"
#include "proc/start.h"

static_assert(SHOAL_PROCESS_NAME_MAX == sizeof(((struct process_shm *)0)->name) - 1, "names fit");
static_assert(SHOAL_PROCESS_TYPE_MAX == PROCESS_TYPE_MAX, "types fit");

struct process_shm *shl_process_find(shoal_process handle, struct shl_segment **ret_segment)
{
    return (struct process_shm *)shl_object_find(handle.ref, KIND_PROCESS, ret_segment);
}

static uint32_t state_of(struct process_shm *process)
{
    /* [process.state] acquire <- start and note_end(): pid and exit code. */
    return atom_load_acquire(&process->state);
}

struct process_shm *shl_process_find_own(shoal_process handle, struct shl_segment **ret_segment)
{
    struct process_shm *process = shl_process_find(handle, ret_segment);
    if (!process || process->creator_pid == (uint32_t)getpid())
        return process;
    shl_error(-ECHILD,
              "can only join, signal or close a child process: this process did not create it");
    return NULL;
}

bool shl_daemons_childless;

/* A process that starts others before it has come to shoal_init() would do so in each of them. */
static void check_entered(void)
{
    if (shl_start_argv || !shl_enter_pending())
        return;
    fputs("shoal: a process that is being started starts others before shoal_init()\n", stderr);
    _exit(EXIT_FAILURE);
}

static int check_type(const shoal_process_options *options)
{
    const shoal_process_type *type = options->type;
    REQUIRE_RESERVED(type);
    REQUIRE(type->name && *type->name && type->run, -EINVAL, "a type without name or run()");
    REQUIRE(strnlen(type->name, PROCESS_TYPE_MAX + 1) <= PROCESS_TYPE_MAX, -EMSGSIZE,
            "the type's name is longer than SHOAL_PROCESS_TYPE_MAX");
    REQUIRE(type->state_size <= SHOAL_PROCESS_ARGUMENT_MAX, -EMSGSIZE,
            "the state is larger than SHOAL_PROCESS_ARGUMENT_MAX");
    REQUIRE(options->argument_size <= type->state_size, -EMSGSIZE,
            "the argument is larger than the state that begins with it");
    return 0;
}

static int check_options(const shoal_process_options *options)
{
    check_entered();
    REQUIRE(options && !options->target != !options->type, -EINVAL, "one of target and type");
    if (options->type && check_type(options) < 0)
        return shl_error_code();
    REQUIRE_RESERVED(options);
    REQUIRE(!options->argument == (options->argument_size == 0), -EINVAL,
            "an argument needs a size, and a size an argument");
    REQUIRE(options->argument_size <= SHOAL_PROCESS_ARGUMENT_MAX, -EMSGSIZE,
            "the argument is larger than SHOAL_PROCESS_ARGUMENT_MAX");
    if (options->name && shl_identity_check(options->name) < 0)
        return -EMSGSIZE;
    REQUIRE(options->fds_count <= SHOAL_PROCESS_FDS_MAX, -EMSGSIZE,
            "more descriptors than SHOAL_PROCESS_FDS_MAX");
    REQUIRE(options->fds_count == 0 ||
                (options->fds && shl_fds_are_open(options->fds, options->fds_count)),
            -EINVAL, "a descriptor for the child is not open");
    REQUIRE(!options->daemon || !options->outlives_parent, -EINVAL,
            "a daemon ends with its creator");
    if (options->setup && shl_setup_check(options->setup, options->start_method) < 0)
        return shl_error_code();
    return shl_start_check(options->start_method, shl_start_argv);
}

static int copy_argument(const struct shl_segment *segment, const shoal_process_options *options,
                         uint64_t *ret_argument)
{
    *ret_argument = 0;
    size_t size = options->type ? options->type->state_size : options->argument_size;
    if (size == 0)
        return 0;
    char *copy = shl_alloc(segment, size);
    if (!copy)
        return shl_error_code();
    if (options->argument)
        memcpy(copy, options->argument, options->argument_size);
    memset(copy + options->argument_size, 0, size - options->argument_size);
    *ret_argument = shl_offset(segment, copy);
    return 0;
}

/* A type's run() is called as what it is: PROCESS_TYPED. */
static void (*target_of(const shoal_process_options *options))(void *)
{
    return options->type ? (void (*)(void *))(void (*)(void))options->type->run : options->target;
}

/* The process's own blocks, as offsets. */
struct blocks {
    uint64_t argument, setup;
};

static void free_block(const struct shl_segment *segment, uint64_t offset)
{
    struct shl_place place;
    if (offset && shl_place_at(segment, offset, &place))
        shl_free(&place);
}

static void free_blocks(const struct shl_segment *segment, const struct blocks *blocks)
{
    free_block(segment, blocks->argument);
    free_block(segment, blocks->setup);
}

static int fill_blocks(const struct shl_segment *segment, const shoal_process_options *options,
                       struct blocks *ret_blocks)
{
    *ret_blocks = (struct blocks){ 0 };
    int code = copy_argument(segment, options, &ret_blocks->argument);
    if (code == 0 && options->setup)
        code = shl_setup_write(segment, options->setup, &ret_blocks->setup);
    if (code < 0)
        free_blocks(segment, ret_blocks);
    return code;
}

static void give_block(const struct shl_segment *segment, uint64_t offset,
                       struct process_shm *process)
{
    struct shl_place place;
    if (offset && shl_place_at(segment, offset, &place))
        shl_object_part(&place, atom_load_relaxed(&process->object.self));
}

/* Takes what describe() took; the object was never visible, or its handle is stale by now. */
static void forget(const struct shl_segment *segment, struct process_shm *process,
                   const struct blocks *blocks)
{
    free_blocks(segment, blocks);
    shl_object_free(segment, &process->object);
}

struct process_shm *shl_process_new(const struct shl_segment *segment, uint32_t creator_pid)
{
    struct shl_attachment *self = shl_self(segment);
    struct process_shm *process =
        self ? (struct process_shm *)shl_object_create(segment, POOL_PROCESS) : NULL;
    if (!process)
        return NULL;
    memset((char *)process + sizeof process->object, 0, sizeof *process - sizeof process->object);
    process->creator_pid = creator_pid;
    atom_store_relaxed(&process->owners, self->process_owner);
    return process;
}

/* Two settlers may be here for two dead: whose change comes second looks again. */
static void settle(const struct shl_segment *segment, struct object_shm *object,
                   const struct shl_dead *dead)
{
    atom64 *word = &((struct process_shm *)object)->owners;
    (void)segment;
    /* [object.self] acquire <- publish and end: read first, as others may give the place away. */
    uint64_t ref = atom_load_acquire(&object->self);
    for (;;) {
        uint64_t owners = atom_load_relaxed(word);
        uint32_t owner = (uint32_t)owners, heir = (uint32_t)(owners >> 32);
        bool owner_died = shl_is_dead_process(dead, owner);
        bool heir_died = shl_is_dead_process(dead, heir);
        if (owner_died && (heir == 0 || heir_died))
            shl_object_abandon(object, ref);
        else if ((owner_died || heir_died) &&
                 !atom_cas_relaxed_64(word, owners, owner_died ? heir : owner))
            continue; /* relaxed: nothing else hangs on it */
        return;
    }
}

int shl_process_inherit(const struct shl_segment *segment, struct process_shm *process)
{
    struct shl_attachment *self = shl_self(segment);
    if (!self)
        return shl_error_code();
    for (;;) { /* in place of one whose start failed, whom somebody may settle just now */
        uint64_t owners = atom_load_relaxed(&process->owners);
        uint64_t both = (uint64_t)self->process_owner << 32 | (uint32_t)owners;
        if (atom_cas_relaxed_64(&process->owners, owners, both))
            return 0;
    }
}

const struct shl_settler shl_process_settler = { .settle = settle };

static uint32_t flags_of(const shoal_process_options *options, shoal_process creator)
{
    bool daemon = options->daemon || shoal_process_is_daemon(creator);
    return (options->outlives_parent ? PROCESS_OUTLIVES
            : daemon                 ? PROCESS_DAEMON
                                     : 0) |
           (shl_daemons_childless ? PROCESS_CHILDLESS : 0) | (options->type ? PROCESS_TYPED : 0);
}

/* With the table of children locked. */
static int describe(struct shl_children *children, const shoal_process_options *options,
                    shoal_process creator, shoal_process *ret_process)
{
    struct shl_segment *segment = shl_segment_family();
    struct blocks blocks;
    if (!segment || fill_blocks(segment, options, &blocks) < 0)
        return shl_error_code();
    struct process_shm *process = shl_process_new(segment, (uint32_t)getpid());
    if (!process) {
        if (!SHL_MISTAKE("process.argument"))
            free_blocks(segment, &blocks);
        return shl_error_code();
    }
    snprintf(process->type, sizeof process->type, "%s",
             options->type ? options->type->name : "Process");
    process->flags = flags_of(options, creator);
    shl_identity_give(process, creator, options->name);
    process->argument = blocks.argument;
    process->setup = blocks.setup;
    give_block(segment, blocks.argument, process);
    give_block(segment, blocks.setup, process);
    uint64_t ref = shl_object_publish(&process->object, KIND_PROCESS);
    struct shl_child child = { .ref = ref,
                               .target = target_of(options),
                               .argument = blocks.argument,
                               .setup = blocks.setup,
                               .method = options->start_method,
                               .fds_count = (uint32_t)options->fds_count,
                               .pidfd = -1,
                               .auto_close = options->auto_close };
    for (size_t i = 0; i < options->fds_count; i++)
        child.fds[i] = options->fds[i];
    int code = shl_children_add(children, &child);
    if (SHL_MISTAKE("process.output"))
        ret_process->ref = ref;
    if (code < 0) {
        shl_object_end(segment, &process->object, ref);
        forget(segment, process, &blocks);
        return code;
    }
    ret_process->ref = ref;
    return 0;
}

int shoal_process_create(const shoal_process_options *options, shoal_process *ret_process)
{
    REQUIRE(ret_process, -EINVAL, "no place for the handle");
    int code = check_options(options);
    if (code < 0)
        return code;
    shoal_process creator = shoal_current_process();
    struct shl_children *children = SHOAL_IS_NONE(creator) ? NULL : shl_children_lock();
    if (!children)
        return shl_error_code();
    code = describe(children, options, creator, ret_process);
    shl_children_unlock();
    return code;
}

bool shl_child_look(struct shl_child *child, struct process_shm *process)
{
    int exitcode;
    if (child->ended)
        return true;
    if (child->pidfd < 0 || !shl_child_reap(child->pidfd, &exitcode))
        return false;
    SHL_CHAOS("process.reaped");
    atom_store_relaxed(&process->exitcode, (uint32_t)exitcode);
    /* [process.state] release -> state_of(): the exit code. */
    atom_store_release(&process->state, PROCESS_ENDED);
    child->ended = true;
    if (atom_load_relaxed(&process->attached))
        shl_self_bury(child->pid);
    return true;
}

/* What a creator works on: a process of its own, and the table in which its child stands. */
struct owned {
    struct shl_segment *segment;
    struct process_shm *process;
    struct shl_children *children; /* locked */
    struct shl_child *child;       /* NULL: not, or no more */
};

/* 0, and the table is to be unlocked; or an error. */
static int lock_owned(shoal_process handle, struct owned *ret_owned)
{
    ret_owned->process = shl_process_find_own(handle, &ret_owned->segment);
    ret_owned->children = ret_owned->process ? shl_children_lock() : NULL;
    if (!ret_owned->children)
        return shl_error_code();
    ret_owned->child = shl_children_find(ret_owned->children, handle.ref);
    return 0;
}

/* With the table locked, for a child that has ended or never began. */
static void drop(struct shl_children *children, struct shl_child *child,
                 const struct shl_segment *segment, struct process_shm *process)
{
    shl_object_end(segment, &process->object, child->ref);
    forget(segment, process, &(struct blocks){ child->argument, child->setup });
    shl_children_remove(children, child);
}

void shl_children_drop_auto_closed(struct shl_children *children)
{
    for (size_t i = children->count; i-- > 0;) {
        struct shl_child *child = &children->list[i];
        struct shl_segment *segment;
        struct process_shm *process = shl_process_find((shoal_process){ child->ref }, &segment);
        if (process && child->auto_close && child->users == 0 && shl_child_look(child, process))
            drop(children, child, segment, process);
    }
}

/* With the table locked: who is described there may be started, now and by the caller. */
static int check_start(const struct owned *owned)
{
    REQUIRE(owned->child, -ECHILD, "not a child of this process");
    REQUIRE(!shl_daemons_childless || !shoal_process_is_daemon(shoal_current_process()), -EPERM,
            "daemonic processes are not allowed to have children");
    /* [process.state] acq_rel: the one who starts it. */
    REQUIRE(atom_cas_acq_rel_32(&owned->process->state, PROCESS_CREATED, PROCESS_STARTING),
            -EALREADY, "the process was started before");
    owned->child->starting = true;
    return 0;
}

/* From here to end_start() nobody else starts or closes it. */
static int begin_start(shoal_process handle, struct owned *ret_owned, struct shl_child *ret_child)
{
    int code = lock_owned(handle, ret_owned);
    if (code < 0)
        return code;
    code = check_start(ret_owned);
    if (code == 0)
        *ret_child = *ret_owned->child;
    shl_children_unlock();
    return code;
}

static void end_start(const struct owned *owned, const struct shl_child *started, int code)
{
    shl_children_lock();
    struct shl_child *child = shl_children_find(owned->children, started->ref);
    child->pid = started->pid;
    child->pidfd = started->pidfd;
    child->starting = false;
    if (code < 0 && !SHL_MISTAKE("process.state"))
        /* [process.state] release -> state_of(): as before. */
        atom_store_release(&owned->process->state, PROCESS_CREATED);
    shl_children_unlock();
}

static int start(shoal_process handle)
{
    struct owned owned;
    struct shl_child child;
    int code = begin_start(handle, &owned, &child);
    if (code < 0)
        return code;
    shl_starts_lock();
    code = shl_start(&(struct shl_start){ owned.children, &child, owned.segment, owned.process });
    shl_starts_unlock();
    end_start(&owned, &child, code);
    return code;
}

int shoal_process_start(shoal_process process)
{
    shl_child_flush();
    struct shl_children *children = shl_children_lock();
    if (!children)
        return shl_error_code();
    shl_children_drop_auto_closed(children);
    shl_children_unlock();
    return start(process);
}

void shl_process_call(shoal_process self, uint32_t flags, void (*target)(void *), void *argument)
{
    if (flags & PROCESS_TYPED)
        ((void (*)(shoal_process, void *))(void (*)(void))target)(self, argument);
    else
        target(argument);
}

int shoal_process_run(shoal_process handle)
{
    struct owned owned;
    int code = lock_owned(handle, &owned);
    if (code < 0)
        return code;
    void (*target)(void *) = owned.child ? owned.child->target : NULL;
    uint32_t flags = owned.process->flags;
    shl_children_unlock();
    REQUIRE(target, -ECHILD, "not a child of this process");
    shl_process_call(handle, flags, target, shoal_process_argument(handle));
    return 0;
}

int shoal_process_start_new(const shoal_process_options *options, shoal_process *ret_process)
{
    REQUIRE(ret_process || (options && options->auto_close), -EINVAL,
            "no place for the handle, and no auto_close");
    shoal_process process;
    int code = shoal_process_create(options, &process);
    if (code < 0)
        return code;
    code = shoal_process_start(process);
    if (code < 0)
        shoal_process_close(process);
    else if (ret_process)
        *ret_process = process;
    return code;
}

int shoal_process_set_daemon(shoal_process handle, bool daemon)
{
    struct owned owned;
    int code = lock_owned(handle, &owned); /* nobody starts it now */
    if (code < 0)
        return code;
    uint32_t flags = owned.process->flags & ~PROCESS_DAEMON;
    if (state_of(owned.process) != PROCESS_CREATED)
        code = shl_error(-EALREADY, "process has already started");
    else if (daemon && flags & PROCESS_OUTLIVES)
        code = shl_error(-EINVAL, "a daemon ends with its creator");
    else
        owned.process->flags = flags | (daemon ? PROCESS_DAEMON : 0);
    shl_children_unlock();
    return code;
}

/*
 * Borrows the child's descriptor, and tells its pid: until give_back neither is another's.
 * 0; PROCESS_ENDED if there is nothing to wait for any more; or an error.
 */
static int lend(shoal_process handle, int *ret_pidfd, pid_t *ret_pid)
{
    struct owned owned;
    int code = lock_owned(handle, &owned);
    if (code < 0)
        return code;
    if (!owned.child)
        code = shl_error(-ESTALE, "the process was closed");
    else if (owned.child->pidfd < 0)
        code = shl_error(-ESRCH, "can only join or signal a started process");
    else if (shl_child_look(owned.child, owned.process))
        code = PROCESS_ENDED;
    else {
        owned.child->users++;
        *ret_pidfd = owned.child->pidfd;
        *ret_pid = owned.child->pid;
    }
    shl_children_unlock();
    return code;
}

/* True if it is known to have ended. */
static bool give_back(shoal_process handle)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(handle, &segment);
    struct shl_children *children = shl_children_lock();
    struct shl_child *child = children ? shl_children_find(children, handle.ref) : NULL;
    bool ended = true;
    if (child) {
        child->users--;
        ended = !process || shl_child_look(child, process);
        if (process && ended && child->closing && child->users == 0)
            drop(children, child, segment, process);
    }
    if (children)
        shl_children_unlock();
    return ended;
}

int shl_join_check(shoal_deadline deadline)
{
    REQUIRE(deadline.cancel.ref == 0, -ENOTSUP,
            "waiting for a process cannot be cancelled by an event");
    return 0;
}

/* The parent is watched by a descriptor that is opened while it is certainly the parent still. */
static int join_parent(shoal_process parent, shoal_deadline deadline)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(parent, &segment);
    if (!process)
        return 0; /* the object has gone with it: this process may outlive it */
    pid_t pid = (pid_t)atom_load_relaxed(&process->pid);
    int pidfd = getppid() == pid ? shl_child_pidfd(pid) : -ESRCH;
    if (getppid() != pid) {
        if (pidfd >= 0)
            close(pidfd);
        return 0;
    }
    if (pidfd < 0)
        return pidfd;
    int code = shl_child_wait(pidfd, deadline.ns);
    close(pidfd);
    return code == -ETIMEDOUT ? shl_error(code, "the process still runs") : code;
}

int shoal_process_join(shoal_process process, shoal_deadline deadline)
{
    int code = shl_join_check(deadline);
    if (code == 0 && !SHOAL_IS_NONE(process) && SHOAL_SAME(process, shoal_parent_process()))
        return join_parent(process, deadline);
    while (code == 0) {
        int pidfd;
        pid_t pid;
        code = lend(process, &pidfd, &pid);
        if (code != 0)
            return code == PROCESS_ENDED ? 0 : code;
        code = shl_child_wait(pidfd, deadline.ns);
        if (give_back(process) || code < 0)
            break;
        /* It is dead, but its tracer has it still. */
        if (shl_deadline_passed(deadline))
            code = -ETIMEDOUT;
        shl_child_pause();
    }
    return code == -ETIMEDOUT ? shl_error(code, "the process still runs") : code;
}

int shoal_process_join_all(const shoal_process *processes, size_t count, shoal_deadline deadline)
{
    REQUIRE(processes || count == 0, -EINVAL, "no processes");
    int first = 0;
    for (size_t i = 0; i < count; i++) {
        int code = shoal_process_join(processes[i], deadline);
        if (first == 0)
            first = code;
    }
    return first;
}

static int signal_to(shoal_process process, int signal_number, bool tree)
{
    int pidfd;
    pid_t pid;
    int code = lend(process, &pidfd, &pid);
    if (code != 0)
        return code == PROCESS_ENDED ? 0 : code;
    code = tree ? shl_tree_signal(pid, pidfd, signal_number)
                : shl_child_signal(pidfd, signal_number);
    give_back(process);
    return code;
}

int shoal_process_signal(shoal_process process, int signal_number)
{
    REQUIRE(signal_number >= 0 && signal_number < NSIG, -EINVAL, "no such signal");
    return signal_to(process, signal_number, false);
}

int shoal_process_terminate(shoal_process process)
{
    return signal_to(process, SIGTERM, false);
}

int shoal_process_kill(shoal_process process)
{
    return signal_to(process, SIGKILL, false);
}

int shoal_process_terminate_tree(shoal_process process)
{
    return signal_to(process, SIGTERM, true);
}

int shoal_process_kill_tree(shoal_process process)
{
    return signal_to(process, SIGKILL, true);
}

int shoal_process_close(shoal_process handle)
{
    if (SHOAL_IS_NONE(handle))
        return 0;
    struct owned owned;
    int code = lock_owned(handle, &owned);
    if (code < 0)
        return code == -ESTALE ? 0 : code;
    struct shl_child *child = owned.child;
    if (child && (child->starting || (child->pidfd >= 0 && !shl_child_look(child, owned.process))))
        code = shl_error(-EBUSY, "cannot close a process while it is still running");
    else if (child && child->users > 0)
        child->closing = true; /* another thread's join is about to return */
    else if (child)
        drop(owned.children, child, owned.segment, owned.process);
    shl_children_unlock();
    return code;
}

pid_t shoal_process_pid(shoal_process handle)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(handle, &segment);
    return process && state_of(process) >= PROCESS_RUNNING ? (pid_t)atom_load_relaxed(&process->pid)
                                                           : 0;
}

/* The state as it is now, for the creator who can look; else as last seen. */
static uint32_t current_state(shoal_process handle, struct process_shm *process)
{
    if (process->creator_pid != (uint32_t)getpid() || state_of(process) != PROCESS_RUNNING)
        return state_of(process);
    struct shl_children *children = shl_children_lock();
    if (!children)
        return state_of(process); /* no family: the object names us without reason */
    struct shl_child *child = shl_children_find(children, handle.ref);
    if (child)
        shl_child_look(child, process);
    shl_children_unlock();
    return state_of(process);
}

int shoal_process_exitcode(shoal_process handle)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(handle, &segment);
    if (!process || current_state(handle, process) != PROCESS_ENDED)
        return SHOAL_EXITCODE_NONE;
    return (int)atom_load_relaxed(&process->exitcode);
}

bool shoal_process_is_alive(shoal_process handle)
{
    struct shl_segment *segment;
    struct process_shm *process = shl_process_find(handle, &segment);
    if (!process || current_state(handle, process) != PROCESS_RUNNING)
        return false;
    pid_t pid = (pid_t)atom_load_relaxed(&process->pid);
    /* As join_parent(): the kernel finds us another parent just before ours is seen to be gone. */
    if (SHOAL_SAME(handle, shoal_parent_process()) && getppid() != pid)
        return false;
    return !shl_process_is_gone(pid, atom_load_relaxed(&process->start_time));
}

void *shoal_process_argument(shoal_process handle)
{
    struct shl_segment *segment;
    struct shl_place place;
    struct process_shm *process = shl_process_find(handle, &segment);
    uint64_t argument = process ? process->argument : 0;
    return argument && shl_place_at(segment, argument, &place) ? shl_at(segment, argument) : NULL;
}

size_t shoal_active_children(shoal_process *ret_children, size_t count_max)
{
    size_t count = 0;
    struct shl_children *children = shl_children_lock();
    if (!children)
        return 0;
    shl_children_drop_auto_closed(children);
    for (size_t i = 0; i < children->count; i++) {
        struct shl_child *child = &children->list[i];
        struct shl_segment *segment;
        struct process_shm *process = shl_process_find((shoal_process){ child->ref }, &segment);
        if (!process || child->pidfd < 0 || shl_child_look(child, process))
            continue;
        if (count < count_max)
            ret_children[count] = (shoal_process){ child->ref };
        count++;
    }
    shl_children_unlock();
    return count;
}

int shoal_process_sentinel(shoal_process handle)
{
    struct owned owned;
    int code = lock_owned(handle, &owned);
    if (code < 0)
        return code;
    bool started = owned.child && owned.child->pidfd >= 0;
    code = started ? owned.child->pidfd : shl_error(-ESRCH, "process not started");
    shl_children_unlock();
    return code;
}

void shoal_fail(const char *format, ...)
{
    fprintf(stderr, "Process %s:\n", shoal_process_name(shoal_current_process()));
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): ends the process as its documentation says */
    exit(EXIT_FAILURE);
}
