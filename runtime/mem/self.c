#include "mem/self.h"

#include <string.h>

#include "mem/alloc.h"
#include "os/memfd.h"

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
    shl_peer_release(segment, attachment->thread);
    attachment->epoch = 0;
}

void shl_self_leave(void)
{
    for (uint32_t i = 0; shl_self_pointer && i < SHL_SEGMENTS_MAX; i++)
        if (shl_segments[i].shm)
            detach_thread(&shl_segments[i], &shl_self_pointer->attachments[i]);
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
    int code = slot->number ? 0 : shl_peer_claim(segment, slot);
    if (code == 0)
        *ret_slot = *slot;
    pthread_mutex_unlock(&shared->lock);
    return code;
}

struct shl_attachment *shl_self_attach(const struct shl_segment *segment)
{
    struct shl_self *self = shl_self_pointer ? shl_self_pointer : make_self();
    struct shl_slot process = { 0 }, thread = { 0 };
    if (!self || process_slot(segment, &process) < 0 || shl_peer_claim(segment, &thread) < 0)
        return NULL;
    struct shl_attachment *attachment = &self->attachments[segment->index];
    memset(attachment, 0, sizeof *attachment); /* of a segment that lay here before */
    attachment->process = process.number;
    attachment->process_owner = PEER_OWNER_MAKE(process.number, process.generation);
    attachment->owner = PEER_OWNER_MAKE(thread.number, thread.generation);
    attachment->sides = shl_peer(segment, thread.number)->sides;
    attachment->thread = thread.number;
    attachment->epoch = segment->epoch;
    return attachment;
}

void shl_self_detach(const struct shl_segment *segment)
{
    struct shl_shared *shared = shl_shared();
    if (shl_self_pointer)
        detach_thread(segment, &shl_self_pointer->attachments[segment->index]);
    if (!shared)
        return;
    pthread_mutex_lock(&shared->lock);
    shl_peer_release_all(segment);
    shared->process_slots[segment->index].number = 0;
    pthread_mutex_unlock(&shared->lock);
}
