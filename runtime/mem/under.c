#include "mem/under.h"

#include "mem/under_shm.h"
#include "os/chaos.h"

#define CHILDREN_FIRST 13u /* of the first table, a small block; each next one has twice as many */
#define CHILDREN_MOST 8192u

static uint64_t offset_of(const struct shl_place *place)
{
    return shl_offset(place->segment, shl_payload(place->block));
}

/* What the word of each of its children names. */
static uint64_t ref_of(const struct shl_place *parent)
{
    uint32_t generation = block_meta_generation(atom_load_relaxed(&parent->block->meta));
    return shl_ref_make(0, generation, offset_of(parent));
}

bool shl_under_parent(const struct shl_segment *segment, uint32_t owner, uint64_t own,
                      struct shl_place *ret_parent, uint64_t *ret_own)
{
    if (!shl_place_look(segment, owner, shl_ref_offset(own), ret_parent))
        return false;
    /* [alloc.own] acquire <- hand_out(): the generation. */
    *ret_own = atom_load_acquire(&ret_parent->block->own);
    enum block_state state = block_own_state(*ret_own);
    bool lives = state == BLOCK_OWNED || state == BLOCK_SENDING || state == BLOCK_SHARED ||
                 state == BLOCK_LEASED;
    bool is_same = shl_ref_generation(own) == shl_ref_generation(ref_of(ret_parent));
    shl_place_look_away(segment, owner);
    return lives && is_same;
}

/* ---- tables */

/* Is this one of its children, or a table of them? */
static bool find_child(const struct shl_segment *segment, uint64_t offset, uint64_t ref,
                       struct shl_place *ret_child)
{
    return offset < segment->size && offset % sizeof(struct block_shm) == 0 &&
           shl_place_at(segment, offset, ret_child) &&
           block_own_is_lent(atom_load_relaxed(&ret_child->block->own), BLOCK_UNDER, ref);
}

static uint64_t room(const struct shl_place *table)
{
    uint64_t size = block_meta_size(atom_load_relaxed(&table->block->meta));
    uint64_t most = shl_room(table);
    return size < most ? size : most;
}

static uint64_t capacity(const struct shl_place *table)
{
    return (room(table) - sizeof(struct under_shm)) / sizeof(uint64_t);
}

/* One that has room for a child; a smaller one is damaged. */
static bool find_table_at(const struct shl_segment *segment, uint64_t offset, uint64_t ref,
                          struct shl_place *ret_table)
{
    return find_child(segment, offset, ref, ret_table) &&
           (room(ret_table) >= sizeof(struct under_shm) + sizeof(uint64_t) ||
            SHL_MISTAKE("under.room"));
}

/* The newest table of a parent; false if it has none. */
static bool find_table(const struct shl_place *parent, struct shl_place *ret_table)
{
    /* [under.table] acquire <- add_table(): its contents. */
    uint64_t meta = atom_load_acquire(&parent->block->meta);
    return (meta & BLOCK_META_PARENT) &&
           find_table_at(parent->segment, block_meta_size(meta) << 4, ref_of(parent), ret_table);
}

uint64_t shl_under_size_seen(const struct shl_segment *segment, uint32_t owner, uint64_t offset,
                             uint64_t meta)
{
    struct shl_place place;
    uint64_t table = block_meta_size(meta) << 4, size = 0;
    uint64_t ref = shl_ref_make(0, block_meta_generation(meta), offset);
    if (!(meta & BLOCK_META_PARENT))
        return block_meta_size(meta);
    if (!shl_place_look(segment, owner, table, &place))
        return 0;
    if (find_table_at(segment, table, ref, &place))
        size = ((struct under_shm *)shl_payload(place.block))->size;
    shl_place_look_away(segment, owner);
    return size;
}

uint64_t shl_under_size(const struct shl_place *payload)
{
    /* [under.table] acquire <- add_table(): its contents. */
    uint64_t meta = atom_load_acquire(&payload->block->meta);
    return shl_under_size_seen(payload->segment, 0, offset_of(payload), meta);
}

/* Drops what is no child any more. */
static void compact(const struct shl_segment *segment, struct under_shm *table, uint64_t ref)
{
    uint64_t kept = 0;
    struct shl_place child;
    for (uint64_t i = 0; i < table->count; i++)
        if (find_child(segment, table->children[i], ref, &child))
            table->children[kept++] = table->children[i];
    table->count = kept;
}

static void put_under(struct block_shm *block, uint64_t ref)
{
    uint64_t own = atom_load_relaxed(&block->own);
    atom_store_relaxed(&block->own, block_own_lend(BLOCK_UNDER, ref, own));
    SHL_CHAOS("under.under");
}

static struct under_shm *add_table(const struct shl_place *parent, uint64_t count, uint64_t next)
{
    struct under_shm *table = shl_alloc(parent->segment,
                                        sizeof *table + count * sizeof table->children[0]);
    if (!table)
        return NULL;
    *table = (struct under_shm){ .size = shl_under_size(parent), .next = next };
    uint64_t ref = ref_of(parent), place = shl_offset(parent->segment, table) >> 4;
    put_under(shl_block(table), ref);
    uint64_t meta = block_meta_make(shl_ref_generation(ref), place) | BLOCK_META_PARENT;
    /* [under.table] release -> find_table(): its contents. */
    atom_store_release(&parent->block->meta, meta);
    SHL_CHAOS("under.table");
    return table;
}

/* A table with a place left; NULL with an error. */
static struct under_shm *table_with_room(const struct shl_place *parent)
{
    struct shl_place place;
    if (!find_table(parent, &place))
        return add_table(parent, CHILDREN_FIRST, 0);
    struct under_shm *table = shl_payload(place.block);
    uint64_t most = capacity(&place);
    if (table->count < most)
        return table;
    table->count = most;
    compact(parent->segment, table, ref_of(parent));
    if (table->count <= most / 2)
        return table;
    return add_table(parent, 2 * most < CHILDREN_MOST ? 2 * most : CHILDREN_MOST,
                     offset_of(&place));
}

/* ---- allocating and freeing */

static void *alloc_under(const struct shl_place *parent, size_t size)
{
    void *payload = shl_alloc(parent->segment, size);
    struct under_shm *table = payload ? table_with_room(parent) : NULL;
    if (!table) {
        shoal_free(payload);
        return NULL;
    }
    table->children[table->count] = shl_offset(parent->segment, payload);
    table->count++;
    SHL_CHAOS("under.named");
    put_under(shl_block(payload), ref_of(parent));
    return payload;
}

/* Makes of a child its parent, and of either an error if the caller does not own it. */
static int own_parent(struct shl_place *place, uint64_t own, const struct shl_attachment *self)
{
    const struct shl_segment *segment = place->segment;
    if (block_own_state(own) == BLOCK_UNDER) {
        REQUIRE(shl_under_parent(segment, 0, own, place, &own), -EFAULT,
                "the payload was freed with its parent");
    }
    return block_own_is_mine(own, self->process_owner) ? 0 : shl_block_error(segment, own);
}

void *shoal_alloc_under(void *parent, size_t size)
{
    struct shl_place place;
    if (!parent || !shl_place_find(parent, &place)) {
        shl_error(parent ? -EFAULT : -EINVAL, "alloc_under: the parent is not a payload");
        return NULL;
    }
    const struct shl_attachment *self = shl_self(place.segment);
    if (!self || own_parent(&place, atom_load_relaxed(&place.block->own), self) < 0)
        return NULL;
    return alloc_under(&place, size);
}

/* Of two who try, one frees it: the other finds another word. */
static void free_child(const struct shl_place *child, const struct shl_attachment *self)
{
    uint64_t own = atom_load_relaxed(&child->block->own);
    uint64_t mine = block_own_make(BLOCK_OWNED, self->process_owner, block_own_seq_lent(own));
    /* [under.child] acq_rel: nobody else's from here on. */
    if (block_own_state(own) == BLOCK_UNDER && atom_cas_acq_rel_64(&child->block->own, own, mine))
        shl_free(child);
}

int shl_under_free_child(const struct shl_place *child, uint64_t own,
                         const struct shl_attachment *self)
{
    struct shl_place parent = *child;
    int code = own_parent(&parent, own, self);
    if (code == 0)
        free_child(child, self);
    return code;
}

void shl_under_visit(const struct shl_place *parent,
                     void (*visitor)(void *context, const struct shl_place *child, bool is_table),
                     void *context)
{
    struct shl_place table, child;
    uint64_t ref = ref_of(parent);
    uint64_t steps = 0, passed = 0; /* where it was at the last power of two steps */
    for (bool more = find_table(parent, &table); more;) {
        uint64_t at = shl_offset(parent->segment, table.block);
        if (at == passed)
            return; /* damaged: a ring of tables */
        passed = (steps & (steps + 1)) == 0 ? at : passed;
        steps++;
        const struct under_shm *content = shl_payload(table.block);
        uint64_t most = capacity(&table), next = content->next;
        for (uint64_t i = 0; i < content->count && i < most; i++)
            if (find_child(parent->segment, content->children[i], ref, &child))
                visitor(context, &child, false);
        visitor(context, &table, true);
        more = find_table_at(parent->segment, next, ref, &table);
    }
}

static void free_visited(void *self, const struct shl_place *child, bool is_table)
{
    (void)is_table;
    free_child(child, self);
    SHL_CHAOS("under.freed");
}

void shl_under_free(const struct shl_place *parent, struct shl_attachment *self)
{
    shl_under_visit(parent, free_visited, self);
}
