#include "mem/pages.h"

#include <string.h>

#include "mem/alloc.h"
#include "mem/journal.h"
#include "mem/peer.h"
#include "os/chaos.h"
#include "os/memfd.h"

uint64_t shl_chunks_end(const struct shl_segment *segment)
{
    uint64_t end = atom_load_relaxed(&segment->shm->chunks_end);
    uint64_t count = shl_chunks_count(segment);
    return end < count ? end : count;
}

static atom64 *works_at(const struct shl_segment *segment, uint32_t owner)
{
    return &shl_thread_peer(segment, PEER_OWNER_SLOT(owner))->journal.works_at;
}

static atom64 *looks_at(const struct shl_segment *segment, uint32_t owner)
{
    return &shl_thread_peer(segment, PEER_OWNER_SLOT(owner))->journal.looks_at;
}

void shl_pages_name(const struct shl_segment *segment, uint32_t owner, uint64_t number)
{
    /* [pages.named] relaxed: seen by whoever sees a block given after this. */
    atom_store_relaxed(works_at(segment, owner), number);
}

/* The chunk's word as it is once what lies there is named. */
static uint64_t name_and_look(const struct shl_segment *segment, atom64 *name, uint64_t number)
{
    /* [pages.named] seq_cst: named before the look. */
    atom_exchange_seq_cst(name, number);
    SHL_CHAOS("pages.naming");
    /* [pages.chunk] acquire <- publishing; seq_cst for [pages.named]. */
    return atom_load_seq_cst(&shl_chunk_words(segment)[number / PAGES_PER_CHUNK]);
}

bool shl_pages_enter(const struct shl_segment *segment, uint32_t owner, uint64_t number)
{
    if (chunk_word_kind(name_and_look(segment, works_at(segment, owner), number)) == CHUNK_PAGES)
        return true;
    shl_pages_leave(segment, owner);
    return false;
}

/* Of a large block that nobody makes or gives now. */
static bool is_whole_block(uint64_t word)
{
    return word == chunk_word_make(CHUNK_LARGE, 0, chunk_word_value(word));
}

bool shl_large_enter(const struct shl_segment *segment, uint32_t owner, uint64_t chunk)
{
    if (chunk_word_kind(shl_chunk_word(segment, chunk * CHUNK_SIZE)) != CHUNK_LARGE)
        return false;
    uint64_t word = name_and_look(segment, works_at(segment, owner), shl_page_number(chunk, 0));
    if (is_whole_block(word))
        return true;
    shl_pages_leave(segment, owner);
    return false;
}

bool shl_pages_look(const struct shl_segment *segment, uint32_t owner, uint64_t offset)
{
    uint64_t chunk = offset / CHUNK_SIZE;
    if (chunk_word_kind(shl_chunk_word(segment, offset)) == CHUNK_FREE)
        return false;
    uint64_t word = name_and_look(segment, looks_at(segment, owner), shl_page_number(chunk, 0));
    if (chunk_word_kind(word) == CHUNK_PAGES || is_whole_block(word))
        return true;
    shl_pages_look_away(segment, owner);
    return false;
}

void shl_pages_look_away(const struct shl_segment *segment, uint32_t owner)
{
    /* [pages.named] release: all looks there are done. */
    atom_store_release(looks_at(segment, owner), 0);
}

void shl_pages_leave(const struct shl_segment *segment, uint32_t owner)
{
    /* [pages.named] release: all steps there are done. */
    atom_store_release(works_at(segment, owner), 0);
}

bool shl_pages_are_named(const struct shl_segment *segment, uint32_t owner, uint64_t number,
                         uint64_t count)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        /* [pages.named] seq_cst: the caller has said before that it goes. */
        uint64_t works = atom_load_seq_cst(works_at(segment, i));
        uint64_t looks = atom_load_seq_cst(looks_at(segment, i)); /* [pages.named] seq_cst */
        if (i != PEER_OWNER_SLOT(owner) && (works - number < count || looks - number < count))
            return !SHL_MISTAKE("pages.named");
    }
    return false;
}

/* Free words in a row, of chunks or of the pages of one, that somebody takes. */
struct row {
    atom64 *words;
    uint64_t taken;    /* what they become */
    uint64_t unwanted; /* flags that none of them may have */
    uint64_t first;
    uint64_t flags; /* that any of them had: none if they were never used before */
    bool undone;    /* some were taken, and let go: who looked meanwhile has not seen them */
};

/* Takes words[first..first + count), which are free, or none of them. */
static bool take_row(struct row *row, uint64_t count)
{
    atom64 *words = &row->words[row->first];
    row->flags = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t seen = atom_load_relaxed(&words[i]);
        /* [pages.free] acquire <- shl_pages_give(), free_chunks(): its last user is done. */
        if ((seen & 0xff) == 0 && atom_cas_acquire_64(&words[i], seen, row->taken)) {
            row->flags |= seen;
            continue;
        }
        row->undone = row->undone || i > 0;
        while (i-- > 0)
            /* [pages.free] release -> take_row(): so it is still, for the next one who takes it. */
            atom_store_release(&words[i], PAGE_DIRTY | row->flags);
        return false;
    }
    return true;
}

/* Finds and takes a row between two indices. A lost race only makes it look further. */
static bool find_row(struct row *row, uint64_t begin, uint64_t end, uint64_t count)
{
    uint64_t length = 0;
    for (uint64_t i = begin; i < end; i++) {
        length = (atom_load_relaxed(&row->words[i]) & (0xff | row->unwanted)) == 0 ? length + 1 : 0;
        if (length < count)
            continue;
        row->first = i + 1 - count;
        if (take_row(row, count))
            return true;
        length = 0;
    }
    return false;
}

static int commit(const struct shl_segment *segment, uint64_t offset, uint64_t size)
{
    struct shl_file_identity identity;
    int code = shl_segment_file(segment, &identity);
    return code < 0 ? code : shl_memfd_commit(segment->fd, offset, size);
}

static void raise_end(const struct shl_segment *segment, uint64_t end)
{
    atom64 *known = &segment->shm->chunks_end;
    for (uint64_t seen = atom_load_relaxed(known); seen < end; seen = atom_load_relaxed(known))
        if (atom_cas_relaxed_64(known, seen, end))
            return;
}

/* Chunks that are TAKEN go back; decommitted, they are zero when they are taken again. The system
 * may refuse, as it does if somebody locked them in memory. */
static void free_chunks(const struct shl_segment *segment, uint64_t chunk, uint64_t count)
{
    bool zero = shl_memory_decommit(shl_at(segment, chunk * CHUNK_SIZE), count * CHUNK_SIZE);
    SHL_CHAOS("pages.decommitted");
    for (uint64_t i = count; i-- > 0;)
        /* [pages.free] release -> take_row(): we are done with it. */
        atom_store_release(&shl_chunk_words(segment)[chunk + i], zero ? CHUNK_FREE : PAGE_DIRTY);
}

/* The end is raised first: nothing lies behind it, whoever is killed. */
static bool find_chunks(const struct shl_segment *segment, struct row *row, uint64_t count)
{
    for (;;) {
        uint64_t end = shl_chunks_end(segment), most = shl_chunks_count(segment);
        if (find_row(row, segment->chunks_at, end, count))
            return true;
        end = end < segment->chunks_at ? segment->chunks_at : end;
        if (count > most || end == most)
            return false;
        raise_end(segment, end + count < most ? end + count : most);
    }
}

static int take_chunks(const struct shl_segment *segment, uint32_t owner, uint64_t count,
                       uint64_t size, uint64_t *ret_chunk, bool *ret_zero)
{
    struct row row = { .words = shl_chunk_words(segment),
                       .taken = chunk_word_make(CHUNK_TAKEN, owner, 0) };
    REQUIRE(find_chunks(segment, &row, count), -ENOMEM, "the segment has reached its size_max");
    SHL_CHAOS("pages.taken");
    *ret_chunk = row.first;
    *ret_zero = row.flags == 0;
    int code = commit(segment, row.first * CHUNK_SIZE, size);
    if (code < 0 && !SHL_MISTAKE("pages.chunks"))
        free_chunks(segment, row.first, count);
    return code;
}

int shl_chunks_take(const struct shl_segment *segment, uint32_t owner, uint64_t count,
                    uint64_t size, uint64_t *ret_chunk)
{
    bool zero;
    return take_chunks(segment, owner, count, size, ret_chunk, &zero);
}

static void write_rest(const struct shl_segment *segment, uint64_t chunk, uint64_t count)
{
    for (uint64_t i = 1; i < count; i++)
        atom_store_relaxed(&shl_chunk_words(segment)[chunk + i],
                           chunk_word_make(CHUNK_REST, 0, chunk));
}

void shl_chunks_publish(const struct shl_segment *segment, uint64_t chunk, uint64_t count)
{
    atom64 *word = &shl_chunk_words(segment)[chunk];
    uint32_t owner = chunk_word_owner(atom_load_relaxed(word));
    /* [pages.chunk] release -> shl_chunk_word(): the block's header. */
    atom_store_release(word, chunk_word_make(CHUNK_LARGE, owner, count));
    SHL_CHAOS("pages.published");
    write_rest(segment, chunk, count);
    /* [pages.chunk] release: likewise. */
    atom_store_release(word, chunk_word_make(CHUNK_LARGE, 0, count));
}

/* Are these the words of one large block? Another process may have damaged them. */
static bool is_large_run(const struct shl_segment *segment, uint64_t chunk, uint64_t count)
{
    if (count == 0 || count > shl_chunks_count(segment) - chunk)
        return false;
    for (uint64_t i = 1; i < count; i++)
        if (atom_load_relaxed(&shl_chunk_words(segment)[chunk + i]) !=
            chunk_word_make(CHUNK_REST, 0, chunk))
            return false;
    return true;
}

static bool is_nobodys(const struct shl_segment *segment, uint64_t chunk)
{
    /* [runs.free] acquire <- free, or who settled it: what its last user did with the block. */
    return block_own_is_nobodys(atom_load_acquire(&shl_large(segment, chunk)->own)) ||
           SHL_MISTAKE("pages.successor");
}

/* LARGE, by nobody -> by `owner`, who names the chunk, so that it is the block he has seen. */
static bool claim_large(const struct shl_segment *segment, uint32_t owner, uint64_t chunk,
                        uint64_t *ret_count)
{
    atom64 *word = &shl_chunk_words(segment)[chunk];
    uint64_t seen = atom_load_relaxed(word), count = *ret_count = chunk_word_value(seen);
    return is_nobodys(segment, chunk) && is_large_run(segment, chunk, count) &&
           /* [pages.named] seq_cst: before the look for others who name it. */
           atom_cas_seq_cst_64(word, chunk_word_make(CHUNK_LARGE, 0, count),
                               chunk_word_make(CHUNK_LARGE, owner, count));
}

/* The chunks of a large block go back; not while somebody else is about to change its header. */
static bool give_large(const struct shl_segment *segment, uint32_t owner, uint64_t chunk,
                       uint64_t count)
{
    atom64 *words = shl_chunk_words(segment);
    uint64_t taken = chunk_word_make(CHUNK_TAKEN, owner, 0);
    uint64_t begin = chunk * CHUNK_SIZE, pages = count * PAGES_PER_CHUNK;
    SHL_CHAOS("pages.owned");
    if (shl_pages_are_named(segment, owner, shl_page_number(chunk, 0), pages) ||
        shl_journal_names(segment, begin, begin + CHUNK_SIZE)) {
        /* [pages.chunk] release: as before; it is collected another time. */
        atom_store_release(&words[chunk], chunk_word_make(CHUNK_LARGE, 0, count));
        return false;
    }
    for (uint64_t i = 1; i < count; i++)
        atom_store_relaxed(&words[chunk + i], taken);
    /* [pages.chunk] release: it is no block from here on. */
    atom_store_release(&words[chunk], taken);
    free_chunks(segment, chunk, count);
    return true;
}

bool shl_chunks_give(const struct shl_segment *segment, uint32_t owner, uint64_t chunk)
{
    uint64_t count;
    if (!shl_large_enter(segment, owner, chunk))
        return false;
    bool given = claim_large(segment, owner, chunk, &count) &&
                 give_large(segment, owner, chunk, count);
    shl_pages_leave(segment, owner);
    return given;
}

/* Free pages were given, or let go again: whoever looks or has looked shall see them. */
static void raise_row(const struct shl_segment *segment, uint64_t chunk, uint64_t flags)
{
    atom64 *word = &shl_chunk_words(segment)[chunk];
    uint64_t seen, next;
    do {
        seen = atom_load_relaxed(word);
        if (chunk_word_kind(seen) != CHUNK_PAGES)
            return;
        uint64_t gives = chunk_word_gives(seen) + (SHL_MISTAKE("pages.counted") ? 0 : 1);
        uint64_t full = (flags & PAGE_HOLE) ? chunk_word_full(seen) : PAGES_PER_CHUNK - 1;
        next = chunk_word_make_pages(gives, full, PAGES_PER_CHUNK - 1);
        /* [pages.chunk] acq_rel: the hints alone change, behind the pages' words. */
    } while (!atom_cas_acq_rel_64(word, seen, next) && !SHL_MISTAKE("pages.told"));
}

static uint64_t row_most(uint64_t word, enum pages_search search)
{
    return search == PAGES_FULL  ? chunk_word_full(word)
           : search == PAGES_ANY ? chunk_word_row(word)
                                 : PAGES_PER_CHUNK - 1;
}

/* No `count` free pages lay in a row since the chunk's word was seen so. */
static void lower_row(const struct shl_segment *segment, uint64_t chunk, uint64_t seen,
                      uint64_t count, enum pages_search search)
{
    uint64_t full = chunk_word_full(seen), row = chunk_word_row(seen);
    full = full < count ? full : count - 1;
    row = row < count || search == PAGES_FULL ? row : count - 1;
    if (chunk_word_kind(seen) != CHUNK_PAGES && !SHL_MISTAKE("pages.leaving"))
        return; /* somebody is about to give it */
    /* [pages.chunk] acq_rel: the hints alone change. */
    atom_cas_acq_rel_64(&shl_chunk_words(segment)[chunk], seen,
                        chunk_word_make_pages(chunk_word_gives(seen), full, row));
}

/* Free again with these flags, by who has TAKEN them. */
static void make_free(const struct shl_segment *segment, uint64_t number, uint64_t count,
                      uint64_t flags)
{
    uint64_t chunk = number / PAGES_PER_CHUNK;
    atom64 *words = &shl_page_words(segment, chunk)[number % PAGES_PER_CHUNK];
    for (uint64_t i = count; i-- > 0;)
        /* [pages.free] release -> take_row(): we are done with it. */
        atom_store_release(&words[i], flags);
    raise_row(segment, chunk, flags);
}

/* Pages that are TAKEN get memory if they may have none; else they are free again, of which some
 * may have some: whoever purges sees to that. */
static bool fill_holes(const struct shl_segment *segment, uint64_t number, uint64_t count,
                       uint64_t flags)
{
    if (likely(!(flags & PAGE_HOLE)) || SHL_MISTAKE("pages.filled") ||
        commit(segment, number * PAGE_SIZE_SHM, count * PAGE_SIZE_SHM) == 0)
        return true;
    make_free(segment, number, count, PAGE_DIRTY | PAGE_HOLE);
    return false;
}

/* So many pages of a chunk, or none. */
static bool take_pages_of(const struct shl_segment *segment, uint32_t owner, uint64_t chunk,
                          uint32_t count, enum pages_search search, struct row *ret_row)
{
    if (!shl_pages_enter(segment, owner, shl_page_number(chunk, 0)))
        return false;
    *ret_row = (struct row){ .words = shl_page_words(segment, chunk),
                             .taken = page_word_make(PAGE_TAKEN, owner, 0, 0),
                             .unwanted = search == PAGES_FULL ? PAGE_HOLE : 0 };
    uint64_t seen = shl_chunk_word(segment, chunk * CHUNK_SIZE);
    bool found = find_row(ret_row, 1, PAGES_PER_CHUNK, count);
    if (ret_row->undone && !SHL_MISTAKE("pages.undone"))
        raise_row(segment, chunk, 0);
    else if (!found)
        lower_row(segment, chunk, seen, count, search);
    shl_pages_leave(segment, owner);
    return found;
}

bool shl_pages_take(const struct shl_segment *segment, uint32_t owner, uint32_t count,
                    enum pages_search search, uint64_t *ret_number, bool *ret_zero)
{
    struct row row;
    for (uint64_t chunk = segment->chunks_at; chunk < shl_chunks_end(segment); chunk++) {
        uint64_t word = shl_chunk_word(segment, chunk * CHUNK_SIZE);
        if (chunk_word_kind(word) == CHUNK_PAGES && row_most(word, search) >= count &&
            take_pages_of(segment, owner, chunk, count, search, &row) &&
            fill_holes(segment, shl_page_number(chunk, row.first), count, row.flags)) {
            *ret_number = shl_page_number(chunk, row.first);
            *ret_zero = !(row.flags & PAGE_DIRTY);
            SHL_CHAOS("pages.pages_taken");
            return true;
        }
    }
    return false;
}

int shl_pages_add_chunk(const struct shl_segment *segment, uint32_t owner)
{
    bool zero = true;
    uint64_t chunk = 0;
    int code = take_chunks(segment, owner, 1, CHUNK_SIZE, &chunk, &zero);
    if (code < 0)
        return code;
    for (uint64_t page = 1; !zero && page < PAGES_PER_CHUNK; page++)
        atom_store_relaxed(&shl_page_words(segment, chunk)[page], PAGE_DIRTY);
    /* [pages.chunk] release -> shl_chunk_word(): its memory, and its page words. */
    atom_store_release(&shl_chunk_words(segment)[chunk],
                       chunk_word_make_pages(0, PAGES_PER_CHUNK - 1, PAGES_PER_CHUNK - 1));
    return 0;
}

/* Likewise pages that may have been a run until now. */
static void give(const struct shl_segment *segment, uint64_t number, uint32_t count, uint64_t flags)
{
    if (!SHL_MISTAKE("pages.given"))
        /* [pages.given] release -> shl_run_learn(): they are no run. */
        atom_add_release(&segment->shm->pages_given, 1);
    make_free(segment, number, count, flags);
}

void shl_pages_give(const struct shl_segment *segment, uint64_t number, uint32_t count)
{
    give(segment, number, count, PAGE_DIRTY);
}

/* So few that who looks for pages meanwhile finds others. */
static uint64_t purged_most(void)
{
    return SHL_MISTAKE("pages.hidden") ? PAGES_PER_CHUNK : 16;
}

/* Takes the next free pages in a row that may have memory, from words[first] on; how many. */
static uint64_t take_full_pages(struct row *row)
{
    uint64_t count = 0;
    row->flags = 0;
    for (uint64_t page = row->first; page < PAGES_PER_CHUNK && count < purged_most(); page++) {
        uint64_t seen = atom_load_relaxed(&row->words[page]);
        /* [pages.free] acquire <- make_free(): its last user is done. */
        if (page_word_kind(seen) == PAGE_FREE && seen != PAGE_HOLE &&
            atom_cas_acquire_64(&row->words[page], seen, row->taken)) {
            row->first = page - count++;
            row->flags |= seen;
        } else if (count > 0) {
            break;
        }
    }
    return count;
}

/* Pages that the caller, who names their chunk, has TAKEN go to the system, if nobody else names
 * it: true if they are holes. They are free in any case. */
static bool purge_row(const struct shl_segment *segment, uint32_t owner, uint64_t chunk,
                      const struct row *row, uint64_t count)
{
    uint64_t number = shl_page_number(chunk, row->first);
    SHL_CHAOS("pages.purging");
    /* [pages.named] seq_cst: who names the chunk from here on sees that they are TAKEN. */
    atom_or_seq_cst(&shl_chunk_words(segment)[chunk], 0);
    bool hole = !shl_pages_are_named(segment, owner, shl_page_number(chunk, 0), PAGES_PER_CHUNK) &&
                shl_memory_decommit(shl_at(segment, number * PAGE_SIZE_SHM), count * PAGE_SIZE_SHM);
    SHL_CHAOS("pages.purged");
    make_free(segment, number, count, hole ? PAGE_HOLE : PAGE_DIRTY | row->flags);
    return hole;
}

bool shl_pages_purge(const struct shl_segment *segment, uint32_t owner, uint64_t chunk)
{
    bool any = false;
    uint64_t count;
    if (chunk_word_kind(shl_chunk_word(segment, chunk * CHUNK_SIZE)) != CHUNK_PAGES ||
        !shl_pages_enter(segment, owner, shl_page_number(chunk, 0)))
        return false;
    struct row row = { .words = shl_page_words(segment, chunk),
                       .taken = page_word_make(PAGE_TAKEN, owner, 0, 0),
                       .first = 1 };
    for (; (count = take_full_pages(&row)) > 0; row.first += count)
        any = purge_row(segment, owner, chunk, &row, count) || any;
    shl_pages_leave(segment, owner);
    return any;
}

bool shl_pages_give_chunk(const struct shl_segment *segment, uint32_t owner, uint64_t chunk)
{
    struct row row;
    atom64 *word = &shl_chunk_words(segment)[chunk];
    if (chunk_word_kind(shl_chunk_word(segment, chunk * CHUNK_SIZE)) != CHUNK_PAGES ||
        !take_pages_of(segment, owner, chunk, PAGES_PER_CHUNK - 1, PAGES_ANY, &row))
        return false;
    SHL_CHAOS("pages.chunk_emptied");
    /* [pages.named] seq_cst: nobody enters from here on. */
    uint64_t before = atom_exchange_seq_cst(word, chunk_word_make(CHUNK_TAKEN, owner, 1));
    if (shl_pages_are_named(segment, owner, shl_page_number(chunk, 0), PAGES_PER_CHUNK)) {
        /* [pages.chunk] release -> shl_chunk_word(): as before. */
        atom_store_release(word, before);
        make_free(segment, shl_page_number(chunk, 1), PAGES_PER_CHUNK - 1, PAGE_DIRTY | row.flags);
        return false;
    }
    SHL_CHAOS("pages.chunk_left");
    /* [pages.chunk] release: its page words stand no more. */
    atom_store_release(word, chunk_word_make(CHUNK_TAKEN, owner, 0));
    free_chunks(segment, chunk, 1);
    return true;
}

/* A chunk on which a dead thread had an unfinished step. */
static void settle_chunk(const struct shl_segment *segment, uint64_t chunk, uint64_t word)
{
    uint64_t count = chunk_word_value(word);
    if (chunk_word_kind(word) == CHUNK_TAKEN && count == 1)
        /* [pages.chunk] release: somebody may have named it. */
        atom_store_release(&shl_chunk_words(segment)[chunk], chunk_word_make(CHUNK_PAGES, 0, 0));
    else if (chunk_word_kind(word) == CHUNK_TAKEN)
        free_chunks(segment, chunk, 1);
    else if (chunk_word_kind(word) == CHUNK_LARGE && count > 0 &&
             count <= shl_chunks_count(segment) - chunk) {
        write_rest(segment, chunk, count);
        /* [pages.chunk] release: whole again. */
        atom_store_release(&shl_chunk_words(segment)[chunk],
                           chunk_word_make(CHUNK_LARGE, 0, count));
    }
}

static void settle_taken_pages(const struct shl_segment *segment, uint32_t owner, uint64_t chunk,
                               const struct shl_dead *dead)
{
    if (!shl_pages_enter(segment, owner, shl_page_number(chunk, 0)))
        return;
    for (uint64_t page = 1; page < PAGES_PER_CHUNK; page++) {
        uint64_t word = atom_load_relaxed(&shl_page_words(segment, chunk)[page]);
        if (page_word_kind(word) == PAGE_TAKEN && !SHL_MISTAKE("pages.settled") &&
            shl_is_dead_thread(dead, page_word_owner(word)))
            give(segment, shl_page_number(chunk, page), 1,
                 PAGE_DIRTY | (SHL_MISTAKE("pages.holes") ? 0 : PAGE_HOLE));
    }
    if (!SHL_MISTAKE("pages.raised"))
        raise_row(segment, chunk, 0); /* which the dead may have left out */
    shl_pages_leave(segment, owner);
}

/* After the runs (runs.c): a run's first page tells what its other pages are. */
void shl_pages_settle(const struct shl_segment *segment, uint32_t owner,
                      const struct shl_dead *dead)
{
    for (uint64_t chunk = segment->chunks_at; chunk < shl_chunks_end(segment); chunk++) {
        uint64_t word = shl_chunk_word(segment, chunk * CHUNK_SIZE);
        if (chunk_word_kind(word) != CHUNK_PAGES &&
            shl_is_dead_thread(dead, chunk_word_owner(word)))
            settle_chunk(segment, chunk, word);
        settle_taken_pages(segment, owner, chunk, dead);
    }
}
