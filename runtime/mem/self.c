#include "mem/self.h"

#include <stdio.h>
#include <string.h>

#include "mem/alloc.h"
#include "os/chaos.h"
#include "os/membarrier.h"
#include "os/memfd.h"
#include "os/robust.h"

atom32 shl_detach_epoch;
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
    fresh->readers_known = true;
    /* [self.shared] acq_rel: zeroed pages, or those of the thread that came first. */
    if (atom_cas_acq_rel_pointer(&shared_pages, &shared, fresh))
        return fresh;
    shl_unmap(fresh, sizeof *fresh);
    return shared;
}

/* The mapping may go with it: no list of the kernel's may lead there any more. */
static void leave(struct shl_segment *segment, struct shl_attachment *attachment)
{
    shl_alloc_flush(segment, attachment);
    shl_peer_release_thread(segment, attachment->thread);
    atom32 *bell = shl_pending();
    if (bell && shl_offset(segment, bell) < segment->size)
        shl_pending_clear(NULL);
    attachment->epoch = 0;
    shl_segment_unpin(segment);
}

void shl_self_leave(void)
{
    struct shl_self *self = shl_self_pointer;
    for (uint32_t i = 0; self && i < SHL_SEGMENTS_MAX; i++)
        if (self->attachments[i].epoch != 0)
            leave(&shl_segments[i], &self->attachments[i]);
    if (self) /* with whose slot it was found */
        memset(self->found, 0, sizeof self->found);
}

void shl_self_leave_detached_slow(struct shl_self *self, uint32_t epoch)
{
    for (uint32_t i = 0; i < SHL_SEGMENTS_MAX; i++)
        if (self->attachments[i].epoch != 0 && shl_segment_is_closing(&shl_segments[i]))
            leave(&shl_segments[i], &self->attachments[i]);
    self->detach_epoch = epoch;
}

void shl_self_forget_found(void)
{
    /* [segment.detach] release -> shl_self_leave_detached(). */
    atom_store_release(&shl_detach_epoch, atom_load_relaxed(&shl_detach_epoch) + 1);
}

void shl_self_bury(pid_t pid)
{
    struct shl_shared *shared = shl_shared();
    if (!shared)
        return;
    pthread_mutex_lock(&shared->lock); /* no segment goes meanwhile */
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
        self->detach_epoch = atom_load_relaxed(&shl_detach_epoch); /* it is in none of them */
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
    if (slot->generation == 0 && shl_process_begins) {
        pthread_mutex_unlock(&shared->lock);
        shl_process_begins();
        pthread_mutex_lock(&shared->lock);
    }
    int code = slot->generation == 0 ? shl_peer_claim_process(segment, slot) : 0;
    if (code == 0)
        *ret_slot = *slot;
    pthread_mutex_unlock(&shared->lock);
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

/* With the segment pinned. */
static int claim_slots(const struct shl_segment *segment, struct shl_slot *ret_process,
                       struct shl_slot *ret_thread)
{
    int code = process_slot(segment, ret_process);
    if (code < 0)
        return code;
    uint32_t process_owner = PEER_OWNER_MAKE(ret_process->number, ret_process->generation);
    return shl_peer_claim_thread(segment, process_owner, ret_thread);
}

struct shl_attachment *shl_self_attach_at(const struct shl_segment *segment, uint32_t epoch)
{
    struct shl_self *self = shl_self_pointer ? shl_self_pointer : make_self();
    struct shl_slot process = { 0 }, thread = { 0 };
    /* cppcheck-suppress knownConditionTrueFalse ; not in the builds with kill points */
    if (!self || shl_chaos_check() < 0)
        return NULL;
    begin_robust(self);
    if (shl_segment_pin(segment, epoch) < 0)
        return NULL;
    if (claim_slots(segment, &process, &thread) < 0) {
        shl_segment_unpin(segment);
        return NULL;
    }
    introduce(shl_thread_peer(segment, thread.number));
    struct shl_attachment *attachment = &self->attachments[segment->index];
    memset(attachment, 0, sizeof *attachment); /* of a segment that lay here before */
    attachment->process_owner = PEER_OWNER_MAKE(process.number, process.generation);
    attachment->owner = PEER_OWNER_MAKE(thread.number, thread.generation);
    attachment->owner_long = PEER_LONG_MAKE(thread.number, thread.generation);
    attachment->own_of_process = block_own_make(BLOCK_OWNED, attachment->process_owner, 0);
    attachment->own_of_thread = block_own_make(BLOCK_FREE, attachment->owner, 0);
    attachment->thread = thread.number;
    attachment->journal = &shl_thread_peer(segment, thread.number)->journal;
    attachment->is_light = shl_membarrier_register();
    /* [cells.inside] seq_cst: before it names anything. */
    atom_exchange_seq_cst(&attachment->journal->is_light, attachment->is_light);
    attachment->epoch = epoch;
    shl_chaos_begin(thread.number, shl_shared()->process_name[0]);
    return attachment;
}

struct shl_attachment *shl_self_attach(const struct shl_segment *segment)
{
    return shl_self_attach_at(segment, segment->epoch);
}

void shl_self_leave_process(const struct shl_segment *segment)
{
    struct shl_slot *slot = &shl_shared()->process_slots[segment->index];
    if (slot->generation != 0)
        shl_peer_release_process(segment, slot->number);
    slot->generation = 0;
}
