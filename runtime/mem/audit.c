/*
 * Purpose. Where every byte of a segment is, by the words that decide it: of chunks, of pages, and
 * of blocks. Nothing is locked: the sum is exact if nobody works meanwhile.
 */
#include <shoal/stats.h>

#include <stdlib.h>
#include <string.h>

#include "mem/alloc.h"
#include "mem/journal.h"
#include "mem/lease.h"
#include "mem/object.h"
#include "mem/runs.h"
#include "mem/share.h"
#include "mem/under.h"
#include "os/memfd.h"

struct audit {
    const struct shl_segment *segment;
    uint32_t owner; /* the calling thread, short: it names what it looks at */
    struct shl_dead dead;
    shoal_audit sums;
    uint64_t *messages; /* descriptors of all that lie in queues, in order */
    size_t messages_count, messages_max;
    shoal_holder *holders; /* by process slot; NULL: not asked for */
};

/* ---- messages */

static bool count_message(void *context, uint64_t descriptor)
{
    struct audit *audit = context;
    if (audit->messages_count < audit->messages_max)
        audit->messages[audit->messages_count] = descriptor;
    audit->messages_count++;
    return false;
}

/* Also of one that has ended, while there is something in it. */
static uint64_t ref_of(const struct shl_segment *segment, struct object_shm *object)
{
    uint64_t own = atom_load_relaxed(&object->own);
    return shl_ref_make(segment->id, shl_ref_generation(own), shl_ref_offset(own));
}

static void walk_messages(struct audit *audit)
{
    struct shl_object_walk walk = { 0 };
    struct shl_visit visit = { audit->segment, audit->owner, 0, count_message, audit };
    audit->messages_count = 0;
    for (struct object_shm *object; (object = shl_object_next(audit->segment, &walk));) {
        visit.ref = ref_of(audit->segment, object);
        if (shl_settlers[walk.kind] && shl_settlers[walk.kind]->visit)
            shl_settlers[walk.kind]->visit(&visit, object);
    }
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer_shm *peer = shl_thread_peer(audit->segment, i);
        uint64_t word = atom_load_relaxed(&peer->journal.word);
        if (word && !shl_thread_slot_is_dead(audit->segment, i))
            count_message(audit, JOURNAL_DESCRIPTOR(word));
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return one < other ? -1 : one > other;
}

static int find_messages(struct audit *audit)
{
    walk_messages(audit);
    audit->messages_max = audit->messages_count;
    audit->messages = shl_wiped_pages((audit->messages_max + 1) * sizeof *audit->messages);
    REQUIRE(audit->messages, -ENOMEM, "no memory for the audit");
    walk_messages(audit);
    if (audit->messages_count > audit->messages_max)
        audit->messages_count = audit->messages_max; /* others work meanwhile */
    qsort(audit->messages, audit->messages_count, sizeof *audit->messages, compare);
    return 0;
}

static bool is_on_its_way(const struct audit *audit, const struct block_shm *block, uint64_t own)
{
    uint64_t offset = shl_offset(audit->segment, block + 1);
    uint64_t descriptor = descriptor_make(offset, block_own_seq(own));
    return bsearch(&descriptor, audit->messages, audit->messages_count, sizeof descriptor, compare);
}

/* ---- blocks */

/* A block of payload memory that is being counted: a payload, or memory under one. */
struct counted {
    struct audit *audit;
    const struct block_shm *payload;
    uint64_t own; /* of the payload */
    uint64_t size;
    unsigned count;  /* 1: it is the payload itself, and no envelope */
    unsigned living; /* who hold it, if it is shared */
};

static void count_owned(const struct counted *counted, uint32_t owner)
{
    struct audit *audit = counted->audit;
    audit->sums.owned += counted->size;
    if (!audit->holders)
        return;
    shoal_holder *holder = &audit->holders[PEER_OWNER_SLOT(owner)];
    holder->owned += counted->size;
    holder->payloads_count += counted->count;
}

/* Will somebody get what stands for a shared payload? */
static bool lives(const struct audit *audit, const struct block_shm *envelope)
{
    uint64_t own = atom_load_relaxed(&envelope->own);
    return block_own_state(own) == BLOCK_SENDING
               ? is_on_its_way(audit, envelope, own)
               : !shl_block_is_lost(audit->segment, audit->owner, own, &audit->dead);
}

static void count_holder(void *context, uint32_t owner, const struct block_shm *envelope)
{
    struct counted *counted = context;
    if (envelope ? !lives(counted->audit, envelope)
                 : shl_is_dead_process(&counted->audit->dead, owner))
        return;
    counted->living++;
    if (envelope || !counted->audit->holders)
        return;
    shoal_holder *holder = &counted->audit->holders[PEER_OWNER_SLOT(owner)];
    holder->shared += counted->size;
    holder->payloads_count += counted->count;
}

static void count_payload(struct counted *counted)
{
    shoal_audit *sums = &counted->audit->sums;
    uint32_t holder;
    switch (block_own_state(counted->own)) {
    case BLOCK_OWNED:
        sums->payloads_count += counted->count;
        count_owned(counted, block_own_owner(counted->own));
        return;
    case BLOCK_SENDING:
        sums->payloads_count += counted->count;
        *(is_on_its_way(counted->audit, counted->payload, counted->own)
              ? &sums->queued
              : &sums->lost) += counted->size;
        return;
    case BLOCK_SHARED:
        sums->payloads_count += counted->count;
        shl_share_visit(counted->audit->segment, counted->audit->owner, counted->own, count_holder,
                        counted);
        *(counted->living ? &sums->shared : &sums->lost) += counted->size;
        return;
    case BLOCK_LEASED:
        sums->payloads_count += counted->count;
        holder = shl_lease_holder(counted->audit->segment, counted->own);
        if (holder)
            count_owned(counted, holder);
        else
            sums->queued += counted->size;
        return;
    default: /* somebody works meanwhile */
        sums->lost += counted->size;
    }
}

static void count_block(struct audit *audit, const struct block_shm *block, uint64_t size,
                        bool is_found)
{
    shoal_audit *sums = &audit->sums;
    uint64_t own = atom_load_relaxed(&block->own);
    unsigned count = (atom_load_relaxed(&block->meta) & BLOCK_META_ENVELOPE) ? 0 : 1;
    struct counted counted = { audit, block, own, size, count, 0 };
    struct shl_place parent;
    if (shl_block_is_lost(audit->segment, audit->owner, own, &audit->dead)) {
        sums->lost += size;
        return;
    }
    switch (block_own_state(own)) {
    case BLOCK_FREE:
        *(!block_own_is_nobodys(own) ? &sums->kept : is_found ? &sums->free : &sums->lost) += size;
        return;
    case BLOCK_UNDER: /* counted where its parent is */
        counted.count = 0;
        if (shl_under_parent(audit->segment, audit->owner, own, &parent, &counted.own))
            counted.payload = parent.block;
        else
            counted.own = 0;
        count_payload(&counted);
        return;
    case BLOCK_OWNED:
    case BLOCK_SENDING:
    case BLOCK_SHARED:
    case BLOCK_LEASED:
        count_payload(&counted);
        return;
    case BLOCK_PART:
    case BLOCK_OBJECT:
        sums->objects += size;
        return;
    }
    sums->damaged += size;
}

static void count_run(struct audit *audit, const struct shl_run *run)
{
    const struct shl_size *size = &shl_sizes[run->size_class];
    bool again = atom_load_relaxed(run->word) & RUN_AGAIN;
    for (uint32_t i = 0; i < size->blocks; i++) {
        bool bit = atom_load_relaxed(&run->bits[i / 64]) >> i % 64 & 1;
        count_block(audit, shl_run_block(run, i), size->stride, bit || again);
    }
    audit->sums.tables += size->pages * PAGE_SIZE_SHM - (uint64_t)size->blocks * size->stride;
}

/* ---- pages and chunks */

static void count_pages(struct audit *audit, uint64_t chunk)
{
    shoal_audit *sums = &audit->sums;
    sums->tables += PAGE_SIZE_SHM;
    for (uint64_t page = 1; page < PAGES_PER_CHUNK; page++) {
        uint64_t number = shl_page_number(chunk, page);
        uint64_t word = shl_page_word(audit->segment, number * PAGE_SIZE_SHM);
        struct shl_run run;
        switch (page_word_kind(word)) {
        case PAGE_FREE:
            sums->free += PAGE_SIZE_SHM;
            break;
        case PAGE_TAKEN:
            *(shl_is_dead_thread(&audit->dead, page_word_owner(word))
                  ? &sums->lost
                  : &sums->kept) += PAGE_SIZE_SHM;
            break;
        case PAGE_RUN:
            if (shl_run_find(audit->segment, number, &run)) {
                count_run(audit, &run);
                page += shl_sizes[run.size_class].pages - 1;
                break;
            }
            /* fallthrough */
        default:
            sums->damaged += PAGE_SIZE_SHM;
        }
    }
}

static void count_large(struct audit *audit, uint64_t chunk, uint64_t size, bool dead)
{
    if (!shl_large_enter(audit->segment, audit->owner, chunk)) {
        *(dead ? &audit->sums.lost : &audit->sums.kept) += size; /* being made, or given back */
        return;
    }
    /* One of nobody's is found by whoever collects. */
    count_block(audit, shl_large(audit->segment, chunk), size, true);
    shl_pages_leave(audit->segment, audit->owner);
}

static void count_chunk(struct audit *audit, uint64_t chunk)
{
    shoal_audit *sums = &audit->sums;
    uint64_t word = shl_chunk_word(audit->segment, chunk * CHUNK_SIZE);
    bool dead = shl_is_dead_thread(&audit->dead, chunk_word_owner(word));
    switch (chunk_word_kind(word)) {
    case CHUNK_FREE:
        sums->unused += CHUNK_SIZE;
        return;
    case CHUNK_TAKEN:
        *(dead ? &sums->lost : &sums->kept) += CHUNK_SIZE;
        return;
    case CHUNK_PAGES:
        if (shl_pages_enter(audit->segment, audit->owner, shl_page_number(chunk, 0))) {
            count_pages(audit, chunk);
            shl_pages_leave(audit->segment, audit->owner);
        }
        return;
    case CHUNK_LARGE:
        count_large(audit, chunk, chunk_word_value(word) * CHUNK_SIZE, dead);
        return;
    case CHUNK_REST: /* counted with the first */
        return;
    }
    sums->damaged += CHUNK_SIZE;
}

static uint64_t sum(const shoal_audit *sums)
{
    return sums->unused + sums->tables + sums->free + sums->kept + sums->owned + sums->queued +
           sums->shared + sums->objects + sums->lost + sums->damaged;
}

static int count_all(const struct shl_segment *segment, struct audit *audit)
{
    const struct shl_attachment *self = shl_self(segment);
    if (!self)
        return shl_error_code();
    audit->segment = segment;
    audit->owner = self->owner;
    shl_peer_find_dead(segment, &audit->dead);
    int code = find_messages(audit);
    if (code < 0)
        return code;
    audit->sums.size = segment->size;
    audit->sums.tables = segment->chunks_at * CHUNK_SIZE;
    uint64_t chunk = segment->chunks_at;
    for (; chunk < shl_chunks_end(segment); chunk++)
        count_chunk(audit, chunk);
    audit->sums.unused += (shl_chunks_count(segment) - chunk) * CHUNK_SIZE;
    shl_unmap(audit->messages, (audit->messages_max + 1) * sizeof *audit->messages);
    return 0;
}

int shoal_segment_audit(shoal_segment handle, shoal_audit *ret_audit)
{
    REQUIRE(ret_audit, -EINVAL, "no place for the audit");
    const struct shl_segment *segment = shl_segment_of_handle(handle);
    struct audit audit = { .messages = NULL };
    struct shl_file_identity file = { 0 };
    int code = segment ? count_all(segment, &audit) : shl_error_code();
    if (code == 0)
        code = shl_segment_file(segment, &file);
    if (code < 0)
        return code;
    *ret_audit = audit.sums;
    ret_audit->committed = file.committed;
    REQUIRE(sum(&audit.sums) == segment->size, -EUCLEAN,
            "the sum is not the size: somebody worked meanwhile, or damaged the tables");
    return 0;
}

static int compare_holders(const void *a, const void *b)
{
    const shoal_holder *holder = a, *rival = b;
    uint64_t one = holder->owned + holder->shared, other = rival->owned + rival->shared;
    return one < other ? 1 : one > other ? -1 : 0;
}

/* The holders that hold something, the largest first; their count. */
static unsigned sort_holders(const struct shl_segment *segment, shoal_holder *holders)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (holders[i].payloads_count == 0)
            continue;
        holders[count] = holders[i];
        shl_process_who(segment, i, &holders[count].pid, holders[count].name,
                        sizeof holders[count].name);
        count++;
    }
    qsort(holders, count, sizeof *holders, compare_holders);
    return count;
}

int shoal_segment_holders(shoal_segment handle, shoal_holder *ret_holders, unsigned holders_max)
{
    REQUIRE(ret_holders || holders_max == 0, -EINVAL, "no place for the holders");
    const struct shl_segment *segment = shl_segment_of_handle(handle);
    if (!segment)
        return shl_error_code();
    size_t size = PEERS_MAX * sizeof(shoal_holder);
    struct audit audit = { .holders = shl_wiped_pages(size) };
    REQUIRE(audit.holders, -ENOMEM, "no memory for the audit");
    int code = count_all(segment, &audit);
    if (code == 0) {
        unsigned count = sort_holders(segment, audit.holders);
        count = count < holders_max ? count : holders_max;
        if (count > 0)
            memcpy(ret_holders, audit.holders, count * sizeof *ret_holders);
        code = (int)count;
    }
    shl_unmap(audit.holders, size);
    return code;
}
