#include "mem/runs.h"

#include <string.h>

#include "mem/alloc.h"
#include "mem/journal.h"
#include "mem/object.h"
#include "mem/under.h"
#include "os/chaos.h"

#define BITS_AT UINT64_C(4096)             /* in the chunk's first page, behind the page words */
#define BITS_SIZE (PAGE_SIZE_SHM / 32 / 8) /* of a page of the smallest ones */

static_assert(BITS_AT + PAGES_PER_CHUNK * BITS_SIZE <= PAGE_SIZE_SHM, "a row for each page");

static struct shl_run run_at(const struct shl_segment *segment, uint64_t number,
                             uint32_t size_class)
{
    uint64_t chunk = number / PAGES_PER_CHUNK, page = number % PAGES_PER_CHUNK;
    char *base = shl_at(segment, chunk * CHUNK_SIZE);
    return (struct shl_run){ .segment = segment,
                             .word = &shl_page_words(segment, chunk)[page],
                             .bits = (atom64 *)(void *)(base + BITS_AT + page * BITS_SIZE),
                             .blocks = base + page * PAGE_SIZE_SHM +
                                       (size_class <= CLASS_PAYLOAD_LAST ? BLOCKS_AT : 0),
                             .number = number,
                             .size_class = size_class };
}

static struct class_shm *class_of(const struct shl_run *run)
{
    return &run->segment->shm->classes[run->size_class];
}

bool shl_run_find(const struct shl_segment *segment, uint64_t page_number, struct shl_run *ret_run)
{
    uint64_t word = shl_page_word(segment, page_number * PAGE_SIZE_SHM);
    if (page_word_kind(word) == PAGE_REST) {
        page_number -= page_number % PAGES_PER_CHUNK;
        page_number += page_word_first(word) % PAGES_PER_CHUNK;
        word = shl_page_word(segment, page_number * PAGE_SIZE_SHM);
    }
    uint32_t size_class = page_word_class(word);
    if (page_word_kind(word) != PAGE_RUN || size_class >= CLASSES_COUNT)
        return false;
    uint64_t left = PAGES_PER_CHUNK - page_number % PAGES_PER_CHUNK;
    if (shl_sizes[size_class].pages > left && !SHL_MISTAKE("runs.beyond"))
        return false; /* damaged */
    *ret_run = run_at(segment, page_number, size_class);
    return true;
}

/* Bits of a page's word: is it the first page of a run that has no owner? And of which class? */
#define IS_NOBODYS_RUN (PAGE_OWNER_MASK | 0xff)
#define RUN_CLASS_MASK (UINT64_C(0xff) << 48)

/* Over the runs between two pages, as `owner` (a thread, short), in the chunk that it names. */
struct walk {
    const struct shl_segment *segment;
    uint32_t owner;
    uint64_t mask, want; /* what their words have in these bits */
    uint64_t at, end;
    bool inside;
};

/* Goes on to the next word of the chunk that is such, or behind the chunk. */
static bool next_word(struct walk *walk)
{
    const atom64 *words = shl_page_words(walk->segment, walk->at / PAGES_PER_CHUNK);
    uint64_t next = shl_page_number(walk->at / PAGES_PER_CHUNK + 1, 0);
    for (uint64_t end = next < walk->end ? next : walk->end; walk->at < end; walk->at++)
        if ((atom_load_relaxed(&words[walk->at % PAGES_PER_CHUNK]) & walk->mask) == walk->want)
            return true;
    return false;
}

/* The next such run, unless it changes just now; false behind the last one, where nothing is named.
 */
static bool next_run(struct walk *walk, struct shl_run *ret_run)
{
    while (walk->at < walk->end) {
        uint64_t page = walk->at % PAGES_PER_CHUNK;
        if (page == 0 || !walk->inside)
            walk->inside = shl_pages_enter(walk->segment, walk->owner, walk->at - page);
        if (!walk->inside)
            walk->at += PAGES_PER_CHUNK - page;
        else if (next_word(walk) && shl_run_find(walk->segment, walk->at++, ret_run))
            return true;
    }
    if (walk->inside)
        shl_pages_leave(walk->segment, walk->owner);
    return false;
}

/* ---- free bits */

static uint32_t words_count(const struct shl_run *run)
{
    return (shl_sizes[run->size_class].blocks + 63) / 64;
}

static uint64_t full_word(const struct shl_run *run, uint32_t word)
{
    uint32_t left = shl_sizes[run->size_class].blocks - word * 64;
    return left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
}

static bool has_bits(const struct shl_run *run)
{
    for (uint32_t i = 0; i < words_count(run); i++)
        if (atom_load_relaxed(&run->bits[i]))
            return true;
    return false;
}

static bool is_whole(const struct shl_run *run)
{
    for (uint32_t i = 0; i < words_count(run); i++)
        if (atom_load_relaxed(&run->bits[i]) != full_word(run, i))
            return false;
    return true;
}

/* As the run's owner: a bit for every block of nobody. */
static void make_bits_again(const struct shl_run *run)
{
    for (uint32_t i = 0; i < shl_sizes[run->size_class].blocks; i++)
        /* [runs.free] acquire <- give: what the last user did with the block. */
        if (block_own_is_nobodys(atom_load_acquire(&shl_run_block(run, i)->own)))
            atom_or_seq_cst(&run->bits[i / 64], UINT64_C(1) << i % 64); /* [runs.free] seq_cst */
}

/* ---- the run's owner */

/* Behind SOME: see Protocol. */
static void count_some(const struct shl_run *run)
{
    SHL_CHAOS("runs.some");
    /* [runs.gives] release -> claim_some(): SOME is set. */
    atom_add_release(&class_of(run)->gives, 1);
}

static bool become_owner(const struct shl_run *run, uint32_t owner, uint64_t flags)
{
    uint64_t seen, mine;
    do {
        seen = atom_load_relaxed(run->word);
        mine = (seen & ~(RUN_SOME | RUN_WHOLE)) | (uint64_t)owner << 16;
        if (page_word_kind(seen) != PAGE_RUN || page_word_class(seen) != run->size_class ||
            page_word_owner(seen) != 0 || !(seen & flags))
            return false;
        /* [runs.free] seq_cst: see Order. */
    } while (!atom_cas_seq_cst_64(run->word, seen, mine));
    SHL_CHAOS("runs.owner");
    return true;
}

static void again(const struct shl_run *run)
{
    if (likely(!(atom_load_relaxed(run->word) & RUN_AGAIN)))
        return;
    atom_and_relaxed(run->word, ~RUN_AGAIN);
    make_bits_again(run);
}

static void leave(const struct shl_run *run)
{
    for (;;) {
        again(run);
        uint64_t seen = atom_load_relaxed(run->word);
        uint64_t next = (seen & ~(PAGE_OWNER_MASK | RUN_ENDING)) | (has_bits(run) ? RUN_SOME : 0);
        if (unlikely(seen & RUN_AGAIN))
            continue;
        /* [runs.free] seq_cst: see Order. */
        if (!atom_cas_seq_cst_64(run->word, seen, next))
            continue;
        if (next & RUN_SOME)
            count_some(run); /* also what a giver has counted: until now nobody could claim it */
        return;
    }
}

static bool claim_between(const struct shl_segment *segment, uint32_t owner, uint32_t size_class,
                          uint64_t at, uint64_t end, struct shl_run *ret_run)
{
    struct walk walk = { .segment = segment,
                         .owner = owner,
                         .mask = IS_NOBODYS_RUN | RUN_CLASS_MASK | RUN_SOME,
                         .want = page_word_make(PAGE_RUN, 0, size_class, 0) | RUN_SOME,
                         .at = at,
                         .end = end };
    while (next_run(&walk, ret_run))
        if (ret_run->size_class == size_class && become_owner(ret_run, owner, RUN_SOME)) {
            shl_pages_leave(segment, owner);
            return true;
        }
    return false;
}

/* The next run of the class that may have free blocks, from where the last ones were given on.
 * Thoroughly: also if nothing is known of any. */
static bool claim_some(const struct shl_segment *segment, uint32_t owner, uint32_t size_class,
                       bool thoroughly, struct shl_run *ret_run)
{
    struct class_shm *class = &segment->shm->classes[size_class];
    /* [runs.gives] acquire <- count_some(): SOME is set. */
    uint64_t gives = atom_load_acquire(&class->gives);
    if (gives == atom_load_relaxed(&class->in_vain) && !thoroughly)
        return false;
    uint64_t begin = shl_page_number(segment->chunks_at, 0);
    uint64_t end = shl_page_number(shl_chunks_end(segment), 0);
    uint64_t hint = atom_load_relaxed(&class->page);
    if (hint < begin || hint >= end)
        hint = begin;
    bool found = claim_between(segment, owner, size_class, hint, end, ret_run) ||
                 claim_between(segment, owner, size_class, begin, hint, ret_run);
    if (found)
        atom_store_relaxed(&class->page, ret_run->number);
    else
        atom_store_relaxed(&class->in_vain, gives);
    return found;
}

/* Free blocks of nobody, by one word of bits. */
static uint32_t take_word(const struct shl_run *run, uint32_t owner, uint32_t word,
                          struct block_shm **ret_blocks, uint32_t count)
{
    if (atom_load_relaxed(&run->bits[word]) == 0)
        return 0;
    /* [runs.free] seq_cst, acquire <- give: what the last user did with the blocks. */
    uint64_t bits = atom_exchange_seq_cst(&run->bits[word], 0) & full_word(run, word);
    SHL_CHAOS("runs.taken");
    uint32_t taken = 0;
    for (; bits && taken < count; bits &= bits - 1) {
        struct block_shm *block = shl_run_block(run, word * 64 + (uint32_t)__builtin_ctzll(bits));
        /* [runs.free] acquire <- give: the bit may be older, and set without need. */
        uint64_t own = atom_load_acquire(&block->own);
        if (unlikely(!block_own_is_nobodys(own)) && !SHL_MISTAKE("runs.header"))
            continue;
        atom_store_relaxed(&block->own, block_own_make(BLOCK_FREE, owner, block_own_seq(own)));
        ret_blocks[taken++] = block;
    }
    if (bits && !SHL_MISTAKE("runs.back"))
        atom_or_seq_cst(&run->bits[word], bits); /* [runs.free] seq_cst: put back */
    return taken;
}

static uint32_t take_from(const struct shl_run *run, uint32_t owner, struct block_shm **ret_blocks,
                          uint32_t count)
{
    uint32_t taken = 0;
    again(run);
    for (uint32_t i = 0; i < words_count(run) && taken < count; i++)
        taken += take_word(run, owner, i, ret_blocks + taken, count - taken);
    return taken;
}

/* ---- new runs */

/* Whoever collects walks over all there is: so not before a part of that is wanted in addition. */
#define WANTED_PARTS 32u
static bool is_time_to_collect(const struct shl_segment *segment, uint32_t count)
{
    uint64_t all = (shl_chunks_end(segment) - segment->chunks_at) * PAGES_PER_CHUNK;
    uint64_t part = all / WANTED_PARTS + 1;
    uint64_t wanted = atom_add_relaxed(&segment->shm->pages_wanted, count);
    return wanted / part != (wanted + count) / part;
}

/* True if there are pages of runs that are free again. */
static bool collect_all(const struct shl_segment *segment, uint32_t owner)
{
    struct shl_attachment *self = shl_self_attached(segment);
    if (self) /* each block in its hands holds a whole run */
        shl_alloc_flush(segment, self);
    return shl_runs_collect(segment, owner, false);
}

/* What lies too short goes to the system, for what is about to be taken from it. */
static void purge_all(const struct shl_segment *segment, uint32_t owner)
{
    for (uint64_t chunk = segment->chunks_at; chunk < shl_chunks_end(segment); chunk++)
        shl_pages_purge(segment, owner, chunk);
}

/* From chunks that have some, and new ones, whose pages somebody else may take first. */
static bool take_any(const struct shl_segment *segment, uint32_t owner, uint32_t count,
                     uint64_t *ret_number, bool *ret_zero)
{
    do
        if (shl_pages_take(segment, owner, count, PAGES_ANY, ret_number, ret_zero))
            return true;
    while (shl_pages_add_chunk(segment, owner) == 0);
    return false;
}

static bool take_pages(const struct shl_segment *segment, uint32_t owner, uint32_t count,
                       uint64_t *ret_number, bool *ret_zero)
{
    if (shl_pages_take(segment, owner, count, PAGES_FULL, ret_number, ret_zero))
        return true;
    if (!is_time_to_collect(segment, count) &&
        shl_pages_take(segment, owner, count, PAGES_ANY, ret_number, ret_zero))
        return true;
    if (collect_all(segment, owner) &&
        shl_pages_take(segment, owner, count, PAGES_FULL, ret_number, ret_zero))
        return true;
    purge_all(segment, owner);
    if (take_any(segment, owner, count, ret_number, ret_zero))
        return true;
    /* Also chunks of a large block that could not be given back when it was freed. */
    if (shl_runs_collect(segment, owner, true) &&
        take_any(segment, owner, count, ret_number, ret_zero))
        return true;
    return shl_pages_take(segment, owner, count, PAGES_THOROUGHLY, ret_number, ret_zero);
}

static void write_rest(const struct shl_run *run)
{
    uint32_t first = (uint32_t)(run->number % PAGES_PER_CHUNK);
    for (uint32_t i = 1; i < shl_sizes[run->size_class].pages; i++)
        atom_store_relaxed(&run->word[i], page_word_make(PAGE_REST, 0, run->size_class, first));
}

/* What was left by the pages' last user must not be taken for headers. */
static void clear_headers(const struct shl_run *run)
{
    const struct shl_size *size = &shl_sizes[run->size_class];
    if (run->size_class > CLASS_PAYLOAD_LAST)
        memset(run->blocks, 0, size->pages * PAGE_SIZE_SHM);
    else
        for (uint32_t i = 0; i < size->blocks; i++)
            atom_store_relaxed(&shl_run_block(run, i)->own, 0);
}

/* A new run, all of nobody's, that the thread owns. */
static bool add_run(const struct shl_segment *segment, uint32_t owner, uint32_t size_class,
                    struct shl_run *ret_run)
{
    bool zero = false;
    uint64_t number = 0;
    if (!take_pages(segment, owner, shl_sizes[size_class].pages, &number, &zero))
        return false;
    *ret_run = run_at(segment, number, size_class);
    if (!zero)
        clear_headers(ret_run);
    for (uint32_t i = 0; i < words_count(ret_run); i++)
        atom_store_relaxed(&ret_run->bits[i], full_word(ret_run, i));
    uint32_t first = (uint32_t)(number % PAGES_PER_CHUNK);
    /* [runs.free] release: the headers. */
    atom_store_release(ret_run->word, page_word_make(PAGE_RUN, owner, size_class, first));
    SHL_CHAOS("runs.added");
    write_rest(ret_run);
    return true;
}

uint32_t shl_runs_take(const struct shl_segment *segment, uint32_t owner, uint32_t size_class,
                       struct block_shm **ret_blocks, uint32_t count)
{
    struct shl_run run;
    uint32_t taken = 0;
    while (taken == 0) {
        if (!claim_some(segment, owner, size_class, false, &run) &&
            !add_run(segment, owner, size_class, &run) &&
            (SHL_MISTAKE("runs.thoroughly") || !claim_some(segment, owner, size_class, true, &run)))
            return 0;
        taken = take_from(&run, owner, ret_blocks, count);
        leave(&run);
    }
    return taken;
}

/* ---- giving */

/* True if all blocks of the run seem to be nobody's now. */
static bool give_bits(const struct shl_run *run, uint32_t word, uint64_t bits)
{
    SHL_CHAOS("runs.giving");
    /* [runs.free] seq_cst, release -> take: what the last user did with the blocks. */
    uint64_t before = atom_or_seq_cst(&run->bits[word], bits);
    SHL_CHAOS("runs.given");
    bool whole = (before | bits) == full_word(run, word) && is_whole(run);
    uint64_t flags = RUN_SOME | (whole ? RUN_WHOLE : 0);
    /* [runs.free] seq_cst: see Order. */
    uint64_t seen = atom_load_seq_cst(run->word);
    if ((seen & flags) == flags)
        return whole;
    seen = atom_or_seq_cst(run->word, flags); /* [runs.free] seq_cst */
    if (!(seen & RUN_SOME)) {
        count_some(run);
        atom_store_relaxed(&class_of(run)->page, run->number);
    }
    return whole;
}

/* The bits of one word of a run, gathered by `owner`, who names the run. */
struct gift {
    struct shl_run run;
    uint32_t owner;
    uint32_t word;
    uint64_t bits;
    bool whole;
};

static void give_gift(struct gift *gift)
{
    if (gift->bits)
        gift->whole = give_bits(&gift->run, gift->word, gift->bits) || gift->whole;
    gift->bits = 0;
}

/* The run of a block of that size; none if another process has damaged the words of its pages. */
static bool find_run_of(const struct shl_segment *segment, const struct block_shm *block,
                        const struct shl_size *size, struct shl_run *ret_run)
{
    if (shl_run_find(segment, shl_offset(segment, block) / PAGE_SIZE_SHM, ret_run) &&
        &shl_sizes[ret_run->size_class] == size &&
        (shl_block_begins(size, (uint64_t)((const char *)block - ret_run->blocks)) ||
         SHL_MISTAKE("runs.gift")))
        return true;
    ret_run->blocks = NULL;
    return false;
}

static void add_to_gift(struct gift *gift, const struct shl_segment *segment,
                        const struct shl_size *size, struct block_shm *block)
{
    uint64_t inside = (uint64_t)((char *)block - gift->run.blocks);
    if (!gift->run.blocks || inside >= size->pages * PAGE_SIZE_SHM) {
        give_gift(gift);
        if (!find_run_of(segment, block, size, &gift->run))
            return; /* damaged: better lost than given to a wrong run */
        shl_pages_name(segment, gift->owner, gift->run.number);
        inside = (uint64_t)((char *)block - gift->run.blocks);
    }
    uint32_t index = shl_block_index(size, inside);
    if (index / 64 != gift->word)
        give_gift(gift);
    gift->word = index / 64;
    gift->bits |= UINT64_C(1) << index % 64;
    uint32_t seq = block_own_seq(atom_load_relaxed(&block->own));
    /* [runs.free] release -> make_bits_again(): what the last user did with the block;
     * [pages.named] release -> retire(): in which run. */
    atom_store_release(&block->own, block_own_make(BLOCK_FREE, 0, seq));
}

bool shl_runs_give(const struct shl_segment *segment, uint32_t owner, uint32_t size_class,
                   struct block_shm *const *blocks, uint32_t count)
{
    struct gift gift = { .owner = owner };
    for (uint32_t i = 0; i < count; i++)
        add_to_gift(&gift, segment, &shl_sizes[size_class], blocks[i]);
    give_gift(&gift);
    shl_pages_leave(segment, owner);
    return gift.whole;
}

/* ---- collecting */

static bool is_nobodys(const struct shl_run *run)
{
    for (uint32_t i = 0; i < shl_sizes[run->size_class].blocks; i++)
        /* [runs.free] acquire <- give. */
        if (!block_own_is_nobodys(atom_load_acquire(&shl_run_block(run, i)->own)))
            return false;
    return true;
}

/* Does anybody work there, or a journal name a block? Then its blocks must not begin to count their
 * sends anew: see journal.h. */
static bool is_named(const struct shl_run *run, uint32_t owner)
{
    uint64_t pages = shl_sizes[run->size_class].pages;
    return shl_pages_are_named(run->segment, owner, run->number, pages) ||
           shl_journal_names(run->segment, shl_offset(run->segment, run->blocks),
                             shl_offset(run->segment, run->blocks) + pages * PAGE_SIZE_SHM);
}

/* As the owner of a run of nobody's blocks: its pages are free. */
static void free_pages(const struct shl_run *run, uint32_t owner)
{
    uint32_t pages = shl_sizes[run->size_class].pages;
    uint64_t taken = page_word_make(PAGE_TAKEN, owner, 0, 0);
    for (uint32_t i = 1; i < pages; i++)
        atom_store_relaxed(&run->word[i], taken);
    SHL_CHAOS("runs.retiring");
    atom_store_relaxed(run->word, taken);
    SHL_CHAOS("runs.retired");
    shl_pages_give(run->segment, run->number, pages);
}

/* As the owner of a run: false if it must stay, and was left. */
static bool retire(const struct shl_run *run, uint32_t owner)
{
    if (is_nobodys(run) || SHL_MISTAKE("runs.retire")) {
        /* [pages.named] seq_cst: settlers pass it by from here on. */
        atom_or_seq_cst(run->word, RUN_ENDING);
        if (!is_named(run, owner)) {
            free_pages(run, owner);
            return true;
        }
        atom_or_relaxed(run->word, RUN_AGAIN | RUN_WHOLE);
    }
    leave(run);
    return false;
}

bool shl_runs_collect(const struct shl_segment *segment, uint32_t owner, bool decommit)
{
    bool any = false;
    struct shl_run run;
    struct walk walk = { .segment = segment,
                         .owner = owner,
                         .mask = IS_NOBODYS_RUN | RUN_WHOLE,
                         .want = page_word_make(PAGE_RUN, 0, 0, 0) | RUN_WHOLE,
                         .at = shl_page_number(segment->chunks_at, 0),
                         .end = shl_page_number(shl_chunks_end(segment), 0) };
    while (next_run(&walk, &run))
        if (run.size_class <= CLASS_PAYLOAD_LAST && become_owner(&run, owner, RUN_WHOLE))
            any = retire(&run, owner) || any;
    for (uint64_t chunk = segment->chunks_at; decommit && chunk < shl_chunks_end(segment); chunk++)
        any = shl_pages_give_chunk(segment, owner, chunk) ||
              shl_chunks_give(segment, owner, chunk) || shl_pages_purge(segment, owner, chunk) ||
              any;
    return any;
}

/* ---- settling */

static bool names_dead(uint64_t own, const struct shl_dead *dead)
{
    uint32_t owner = block_own_owner(own);
    return block_own_state(own) == BLOCK_FREE    ? shl_is_dead_thread(dead, owner)
           : block_own_state(own) == BLOCK_OWNED ? shl_is_dead_process(dead, owner)
                                                 : false;
}

/* Of an object that is no more; of one that somebody alive is making or ending it is not. */
static bool is_orphan(const struct shl_segment *segment, uint64_t own, const struct shl_dead *dead)
{
    uint64_t offset = shl_ref_offset(own);
    enum block_state state = block_own_state(own);
    bool is_its = state == BLOCK_PART || state == BLOCK_SHARED || state == BLOCK_LEASED;
    if (!is_its || shl_object_pool(segment, offset) < 0)
        return false;
    /* [object.own] acquire <- shl_object_publish() and end. */
    uint64_t place = atom_load_acquire(&((struct object_shm *)shl_at(segment, offset))->own);
    if (block_own_state(place) == BLOCK_OBJECT)
        return place != block_own_make_ref(BLOCK_OBJECT, own);
    return block_own_is_nobodys(place) || names_dead(place, dead);
}

bool shl_block_is_lost(const struct shl_segment *segment, uint32_t owner, uint64_t own,
                       const struct shl_dead *dead)
{
    struct shl_place parent;
    if (block_own_state(own) == BLOCK_UNDER &&
        !shl_under_parent(segment, owner, own, &parent, &own))
        return true;
    return names_dead(own, dead) || is_orphan(segment, own, dead);
}

static uint32_t seq_of(uint64_t own)
{
    bool lent = block_own_state(own) != BLOCK_FREE && block_own_state(own) != BLOCK_OWNED;
    return lent ? block_own_seq_lent(own) : block_own_seq(own);
}

/* Of a block that is somebody's: true if it was the dead one's, and its free bit is missing now. */
static bool settle_block(const struct shl_run *run, uint32_t owner, struct block_shm *block,
                         const struct shl_dead *dead)
{
    uint64_t own = atom_load_relaxed(&block->own);
    if (block_own_state(own) == BLOCK_UNDER && SHL_MISTAKE("under.sweep"))
        return false;
    /* [runs.free] release -> make_bits_again(). */
    return shl_block_is_lost(run->segment, owner, own, dead) &&
           atom_cas_release_64(&block->own, own, block_own_make(BLOCK_FREE, 0, seq_of(own)));
}

/* True if a block of nobody may have no free bit. */
static bool settle_blocks(const struct shl_run *run, uint32_t owner, const struct shl_dead *dead)
{
    const struct shl_size *size = &shl_sizes[run->size_class];
    char *at = run->blocks;
    uint64_t bits = 0;
    bool missing = false;
    for (uint32_t i = 0; i < size->blocks; i++, at += size->stride, bits >>= 1) {
        struct block_shm *block = (struct block_shm *)(void *)at;
        bits = i % 64 ? bits : atom_load_relaxed(&run->bits[i / 64]);
        if (likely(block_own_is_nobodys(atom_load_relaxed(&block->own))))
            missing |= !(bits & 1);
        else
            missing |= settle_block(run, owner, block, dead);
    }
    return missing;
}

/* What a giver who was killed behind the bits has not told. */
static uint64_t flags_by_bits(const struct shl_run *run)
{
    return (has_bits(run) ? RUN_SOME : 0) | (is_whole(run) ? RUN_WHOLE : 0);
}

static void settle_run(const struct shl_run *run, uint32_t owner, const struct shl_dead *dead)
{
    bool missing = settle_blocks(run, owner, dead);
    for (;;) {
        uint64_t seen = atom_load_relaxed(run->word);
        bool owned = shl_is_dead_thread(dead, page_word_owner(seen));
        uint64_t flags = RUN_SOME | RUN_WHOLE | (SHL_MISTAKE("runs.again") ? 0 : RUN_AGAIN);
        if (!owned && !missing)
            flags = SHL_MISTAKE("runs.told") ? 0 : flags_by_bits(run);
        if (page_word_kind(seen) != PAGE_RUN || (!owned && (seen & flags) == flags))
            break;
        if (owned)
            write_rest(run);
        uint64_t next = (owned ? seen & ~(PAGE_OWNER_MASK | RUN_ENDING) : seen) | flags;
        /* [runs.free] seq_cst: see Order. */
        if (atom_cas_seq_cst_64(run->word, seen, next))
            break;
    }
    if ((atom_load_relaxed(run->word) & RUN_SOME) && !SHL_MISTAKE("runs.counted"))
        count_some(run); /* which the dead may have left out */
}

/* Named, so that it stays this run; one that a live thread is ENDING has nothing to settle. */
static void settle_page(const struct shl_segment *segment, uint32_t owner, uint64_t number,
                        const struct shl_dead *dead)
{
    struct shl_run run;
    if (!shl_pages_enter(segment, owner, number))
        return;
    /* [pages.named] seq_cst: after it is named. */
    uint64_t word = atom_load_seq_cst(
        &shl_page_words(segment, number / PAGES_PER_CHUNK)[number % PAGES_PER_CHUNK]);
    bool ending = (word & RUN_ENDING) && !shl_is_dead_thread(dead, page_word_owner(word));
    if (page_word_kind(word) == PAGE_RUN && !ending && shl_run_find(segment, number, &run))
        settle_run(&run, owner, dead);
    shl_pages_leave(segment, owner);
}

void shl_runs_settle(const struct shl_segment *segment, uint32_t owner, const struct shl_dead *dead)
{
    for (uint64_t chunk = segment->chunks_at; chunk < shl_chunks_end(segment); chunk++) {
        if (chunk_word_kind(shl_chunk_word(segment, chunk * CHUNK_SIZE)) != CHUNK_PAGES)
            continue;
        const atom64 *words = shl_page_words(segment, chunk);
        for (uint64_t page = 1; page < PAGES_PER_CHUNK; page++)
            if (page_word_kind(atom_load_relaxed(&words[page])) == PAGE_RUN)
                settle_page(segment, owner, shl_page_number(chunk, page), dead);
    }
}
