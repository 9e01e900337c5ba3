#include "mem/self.h"

#include <stdio.h>
#include <string.h>

#include "mem/alloc.h"
#include "os/chaos.h"
#include "os/memfd.h"
#include "os/robust.h"

uint32_t shl_detach_epoch;
void (*shl_process_begins)(void);
_Thread_local struct shl_self *shl_self_pointer;

static struct shl_shared *shared_pages;
static pthread_key_t exit_key;
static bool exit_key_made;

struct shl_shared *shl_shared(void)
{
    /* [self.shared] acquire <- below: the pages of the thread that came first. */
    struct shl_shared *shared = atom_load_acquire_pointer(&shared_pages);
    if (likely(shared))
        return shared;
    struct shl_shared *fresh = shl_wiped_pages(sizeof *fresh);
    if (!fresh) {
        shl_error(-ENOMEM, "no memory for the process's context");
        return NULL;
    }
    /* [self.shared] acq_rel: zeroed pages, or those of the thread that came first. */
    if (atom_cas_acq_rel_pointer(&shared_pages, &shared, fresh))
        return fresh;
    shl_unmap(fresh, sizeof *fresh);
    return shared;
}

static void detach_thread(const struct shl_segment *segment, struct shl_attachment *attachment)
{
    if (attachment->epoch != segment->epoch)
        return;
    shl_alloc_flush(segment, attachment);
    shl_peer_release_thread(segment, attachment->thread);
    attachment->epoch = 0;
}

void shl_self_leave(void)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return;
    pthread_mutex_lock(&shared->lock); /* no segment goes meanwhile */
    for (uint32_t i = 0; shl_self_pointer && i < SHL_SEGMENTS_MAX; i++)
        if (shl_segments[i].shm)
            detach_thread(&shl_segments[i], &shl_self_pointer->attachments[i]);
    pthread_mutex_unlock(&shared->lock);
}

void shl_self_bury(pid_t pid)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return;
    pthread_mutex_lock(&shared->lock); /* likewise */
    for (uint32_t i = 0; i < SHL_SEGMENTS_MAX; i++)
        if (shl_segments[i].shm)
            shl_peer_bury(&shl_segments[i], pid);
    pthread_mutex_unlock(&shared->lock);
}

/* At the end of a thread; not at the end of a process, whose slots are settled by others. */
static void thread_exit(void *context)
{
    struct shl_self *self = context;
    shl_self_pointer = self; /* the thread-local may be gone already */
    shl_self_leave();
    shl_self_pointer = NULL;
    shl_unmap(self, sizeof *self);
}

/* Not pthread_once: it may fail, and be tried again. */
static bool have_exit_key(struct shl_shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    exit_key_made = exit_key_made || pthread_key_create(&exit_key, thread_exit) == 0;
    bool made = exit_key_made;
    pthread_mutex_unlock(&shared->lock);
    return made;
}

static struct shl_self *make_self(void)
{
    struct shl_shared *shared = shl_shared();
    struct shl_self *self = shared ? shl_wiped_pages(sizeof *self) : NULL;
    if (self && have_exit_key(shared) && pthread_setspecific(exit_key, self) == 0) {
        shl_self_pointer = self;
        return self;
    }
    if (self)
        shl_unmap(self, sizeof *self);
    shl_error(-ENOMEM, "no memory for the thread's context");
    return NULL;
}

/* The process's slot, claimed by the first of its threads. */
static int process_slot(const struct shl_segment *segment, struct shl_slot *ret_slot)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return shl_error_code();
    pthread_mutex_lock(&shared->lock);
    struct shl_slot *slot = &shared->process_slots[segment->index];
    bool first = slot->generation == 0;
    int code = first ? shl_peer_claim_process(segment, slot) : 0;
    if (code == 0)
        *ret_slot = *slot;
    pthread_mutex_unlock(&shared->lock);
    if (first && shl_process_begins)
        shl_process_begins();
    return code;
}

/* A forked child inherits what its parent's thread had named as pending. */
static void begin_robust(struct shl_self *self)
{
    if (self->robust)
        return;
    shl_robust_begin();
    shl_pending_clear(NULL);
    self->robust = true;
}

/* Who it is, for people. */
static void introduce(struct peer_shm *peer)
{
    struct shl_shared *shared = shl_shared();
    const char *name = shared->process_name[0] ? shared->process_name : "MainProcess";
    atom_store_relaxed(&peer->handle, atom_load_relaxed(&shared->process_ref));
    snprintf(peer->name, sizeof peer->name, "%s", name);
}

struct shl_attachment *shl_self_attach(const struct shl_segment *segment)
{
    struct shl_self *self = shl_self_pointer ? shl_self_pointer : make_self();
    struct shl_slot process = { 0 }, thread = { 0 };
    /* cppcheck-suppress knownConditionTrueFalse ; not in the builds with kill points */
    if (!self || shl_chaos_check() < 0)
        return NULL;
    begin_robust(self);
    if (process_slot(segment, &process) < 0)
        return NULL;
    uint32_t process_owner = PEER_OWNER_MAKE(process.number, process.generation);
    if (shl_peer_claim_thread(segment, process_owner, &thread) < 0)
        return NULL;
    introduce(shl_thread_peer(segment, thread.number));
    struct shl_attachment *attachment = &self->attachments[segment->index];
    memset(attachment, 0, sizeof *attachment); /* of a segment that lay here before */
    attachment->process_owner = process_owner;
    attachment->owner = PEER_OWNER_MAKE(thread.number, thread.generation);
    attachment->owner_long = PEER_LONG_MAKE(thread.number, thread.generation);
    attachment->thread = thread.number;
    attachment->epoch = segment->epoch;
    shl_chaos_begin(thread.number, shl_shared()->process_name[0]);
    return attachment;
}

int shl_self_detach(const struct shl_segment *segment)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return shl_error_code();
    if (shl_self_pointer)
        detach_thread(segment, &shl_self_pointer->attachments[segment->index]);
    pthread_mutex_lock(&shared->lock);
    struct shl_slot *slot = &shared->process_slots[segment->index];
    uint32_t alive, owner = PEER_OWNER_MAKE(slot->number, slot->generation);
    bool busy = slot->generation && shl_process_life(segment, owner, &alive);
    if (slot->generation && !busy) {
        shl_peer_release_process(segment, slot->number);
        slot->generation = 0;
    }
    pthread_mutex_unlock(&shared->lock);
    REQUIRE(!busy, -EBUSY, "other threads of this process are attached to the segment");
    shl_detach_epoch++;
    return 0;
}
