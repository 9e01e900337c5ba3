/*
 * Purpose. Objects are found by name: a directory that any process may die in.
 *
 * Layout. name_shm.h.
 *
 * Invariants. I1 Of the entries in a chain that have a name, at most one is no TOMB.
 *             I2 A TOMB stays one until it has left its chain.
 *             I3 An entry's name and link do not change while it is in a chain.
 *
 * Protocol, publish
 *   N1 a first entry that is EMPTY, or whose object is gone, becomes a TOMB; a TOMB there leaves
 *   N2 an entry has the name: its word, if its object is gone: -> the new object. Done
 *   N3 none has: a new entry, complete
 *   N4 bucket: the chain as N2 saw it -> the new entry in front of it; else again from N1
 * Unpublish is one change of the entry's word, then N1.
 *
 * Death. Killed before N4 or a word's change nothing was done, after it all; between, the place of
 * an entry is lost, a cost in memory.
 *
 * Order.
 *   [name.chain] N4 and N1 release -> walk acquire: the entry. A walk holds if the bucket is the
 *                same after it: then no entry has left meanwhile, to be used again.
 *   [name.entry] what is written to a place that was used before, release -> acquire of a late
 *                walk, which thereby sees at its end that the bucket has changed.
 *   [name.word]  an entry's word, acquire and release: what was done before it was published.
 *
 * Progress. Lock-free; a walk is bounded by NAME_CHAIN_MAX, and so are the tries.
 *
 * Limits. An entry that nobody needs leaves when all in front of it have left. A word's tag has 16
 * bits: a stalled publish would have to sleep through 65536 changes of one entry.
 */
#include "mem/name.h"

#include <string.h>

#include "mem/name_shm.h"
#include "mem/object.h"
#include "os/chaos.h"

enum { TRIES_MAX = 1 << 12 };

#define OFFSET_MASK ((UINT64_C(1) << 36) - 1)

static const char damaged[] = "a process damaged the segment's names";

int shl_name_check(const char *name)
{
    REQUIRE(name && name[0] != '\0' && !strchr(name, '/'), -EINVAL,
            "a name has at least one byte and no slash");
    REQUIRE(strnlen(name, SHOAL_NAME_MAX + 1) <= SHOAL_NAME_MAX, -EMSGSIZE,
            "the name is longer than SHOAL_NAME_MAX");
    return 0;
}

/* A name on its way into or through a segment. */
struct name {
    const struct shl_segment *segment;
    atom64 *bucket;
    uint64_t words[NAME_WORDS];
};

static_assert(sizeof(((struct name *)0)->words) == SHOAL_NAME_MAX + 1, "names fit");

static struct name name_in(const struct shl_segment *segment, const char *text)
{
    struct name name = { .segment = segment };
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; text[i]; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    memcpy(name.words, text, strnlen(text, SHOAL_NAME_MAX));
    name.bucket = &segment->shm->names[(hash ^ hash >> 32) % NAME_BUCKETS];
    return name;
}

/* NULL if it cannot be: another process may have damaged the chain. */
static struct name_shm *entry_at(const struct shl_segment *segment, uint64_t place)
{
    uint64_t offset = (place & OFFSET_MASK) << 4;
    bool possible = shl_object_pool(segment, offset) == POOL_NAME;
    return possible ? (struct name_shm *)shl_at(segment, offset) : NULL;
}

static bool has_name(struct name_shm *entry, const struct name *name)
{
    bool same = true;
    for (size_t i = 0; i < NAME_WORDS; i++)
        /* [name.entry] acquire <- make_entry(). */
        same = atom_load_acquire(&entry->name[i]) == name->words[i] && same;
    return same;
}

/* What a word says, without its tag; and the next word of an entry. */
static uint64_t what(uint64_t word)
{
    return word & ((UINT64_C(1) << NAME_PLACE_BITS) - 1);
}

static uint64_t next_word(uint64_t word, uint64_t saying)
{
    return ((word >> NAME_PLACE_BITS) + 1) << NAME_PLACE_BITS | what(saying);
}

static uint64_t ref_of(const struct shl_segment *segment, uint64_t word)
{
    return (uint64_t)segment->id << 48 | what(word);
}

/* What a walk has found: an entry with the name that is no TOMB, or none. */
struct found {
    uint64_t bucket;
    struct name_shm *entry;
    uint64_t word;
    unsigned count; /* entries that were passed */
};

/* One walk; false if the chain leads astray, or has changed. */
static bool walk(const struct name *name, struct found *ret_found)
{
    /* [name.chain] acquire <- N1 and N4. */
    *ret_found = (struct found){ .bucket = atom_load_acquire(name->bucket) };
    uint64_t place = ret_found->bucket & OFFSET_MASK;
    while (place != 0) {
        struct name_shm *entry = entry_at(name->segment, place);
        if (!entry || ++ret_found->count > NAME_CHAIN_MAX)
            return false;
        /* [name.entry] acquire <- make_entry(); [name.word] acquire <- change(). */
        uint64_t word = atom_load_acquire(&entry->word);
        if (has_name(entry, name) && what(word) != NAME_TOMB) {
            ret_found->entry = entry;
            ret_found->word = word;
            break;
        }
        SHL_CHAOS("name.walk");
        /* [name.entry] acquire <- make_entry(). */
        place = atom_load_acquire(&entry->next) & OFFSET_MASK;
    }
    return atom_load_relaxed(name->bucket) == ret_found->bucket || SHL_MISTAKE("name.believe");
}

static int find(const struct name *name, struct found *ret_found)
{
    for (unsigned tries = 0; tries < TRIES_MAX; tries++)
        if (walk(name, ret_found))
            return 0;
    return shl_error(-EUCLEAN, damaged);
}

/* The kind of the object that a word names; NONE if it is gone. */
static enum shl_kind kind_of(const struct shl_segment *segment, uint64_t word)
{
    uint64_t ref = ref_of(segment, word), offset = shl_ref_offset(ref);
    if (offset == 0 || shl_object_pool(segment, offset) < 0)
        return KIND_NONE;
    struct object_shm *object = shl_at(segment, offset);
    /* [object.kind] acquire <- shl_object_publish(). */
    uint32_t kind = atom_load_acquire(&object->kind);
    return shl_object_is(object, ref) ? (enum shl_kind)kind : KIND_NONE;
}

static bool change(struct name_shm *entry, uint64_t word, uint64_t saying)
{
    /* [name.word] acq_rel: what was done before it was published. */
    return atom_cas_acq_rel_64(&entry->word, word, next_word(word, saying));
}

static bool change_bucket(const struct name *name, uint64_t seen, uint64_t place)
{
    uint64_t next = ((seen >> 36) + 1) << 36 | (place & OFFSET_MASK);
    /* [name.chain] release -> walk(): the entry. */
    return atom_cas_release_64(name->bucket, seen, next);
}

static void free_entry(const struct shl_segment *segment, struct name_shm *entry)
{
    if (shl_object_end(segment, &entry->object, atom_load_relaxed(&entry->object.self)))
        shl_object_free(segment, &entry->object);
}

/* N1 once: false if the first entry is to stay. */
static bool drop_first(const struct name *name)
{
    /* [name.chain] acquire <- N1 and N4. */
    uint64_t bucket = atom_load_acquire(name->bucket);
    struct name_shm *entry = (bucket & OFFSET_MASK) ? entry_at(name->segment, bucket) : NULL;
    if (!entry)
        return false;
    /* [name.word] acquire <- change(). */
    uint64_t word = atom_load_acquire(&entry->word);
    /* [name.entry] acquire <- make_entry(). */
    uint64_t next = atom_load_acquire(&entry->next);
    if (what(word) != NAME_TOMB) {
        if (kind_of(name->segment, word) != KIND_NONE)
            return false;
        if (!SHL_MISTAKE("name.no_tomb"))
            return change(entry, word, NAME_TOMB);
    }
    SHL_CHAOS("name.N1");
    if (change_bucket(name, bucket, next))
        free_entry(name->segment, entry);
    return true;
}

static void drop_empty(const struct name *name)
{
    for (unsigned tries = 0; tries < NAME_CHAIN_MAX && drop_first(name); tries++)
        ;
}

/* N3. In no chain yet; NULL with an error. */
static struct name_shm *make_entry(const struct name *name, uint64_t ref)
{
    struct name_shm *entry = (struct name_shm *)shl_object_create(name->segment, POOL_NAME);
    if (!entry)
        return NULL;
    for (size_t i = 0; i < NAME_WORDS; i++)
        /* [name.entry] release -> walk(): the place was used before. */
        atom_store_release(&entry->name[i], name->words[i]);
    uint64_t word = next_word(atom_load_relaxed(&entry->word), ref);
    /* [name.entry] release -> walk(): likewise. */
    atom_store_release(&entry->word, word);
    shl_object_publish(&entry->object, KIND_NAME);
    return entry;
}

/* N4 */
static bool insert(const struct name *name, const struct found *found, struct name_shm *entry)
{
    /* [name.entry] release -> walk(): likewise. */
    atom_store_release(&entry->next, found->bucket & OFFSET_MASK);
    SHL_CHAOS("name.N4");
    uint64_t bucket = SHL_MISTAKE("name.blind") ? atom_load_relaxed(name->bucket) : found->bucket;
    return change_bucket(name, bucket, shl_offset(name->segment, entry) >> 4);
}

/* N2 to N4 once; -EAGAIN if another was faster. `spare` is the entry of an earlier try. */
static int try_publish(const struct name *name, uint64_t ref, struct name_shm **spare)
{
    struct found found;
    SHL_CHAOS("name.N2");
    int code = find(name, &found);
    if (code < 0)
        return code;
    if (found.entry) {
        REQUIRE(kind_of(name->segment, found.word) == KIND_NONE, -EEXIST,
                "another object has that name");
        return change(found.entry, found.word, ref) ? 0 : -EAGAIN;
    }
    REQUIRE(found.count < NAME_CHAIN_MAX, -ENOMEM, "the segment has too many names");
    SHL_CHAOS("name.N3");
    if (!*spare)
        *spare = make_entry(name, ref);
    if (!*spare)
        return shl_error_code();
    if (!insert(name, &found, *spare))
        return -EAGAIN;
    *spare = NULL;
    return 0;
}

static int publish(const struct name *name, uint64_t ref)
{
    struct name_shm *spare = NULL;
    int code = -EAGAIN;
    for (unsigned tries = 0; tries < TRIES_MAX && code == -EAGAIN; tries++) {
        drop_empty(name);
        code = try_publish(name, ref, &spare);
    }
    if (spare)
        free_entry(name->segment, spare);
    return code == -EAGAIN ? shl_error(-EUCLEAN, damaged) : code;
}

static bool can_be_named(enum shl_kind kind)
{
    return kind >= KIND_QUEUE && kind <= KIND_BARRIER;
}

int shoal_publish(shoal_any object, const char *text)
{
    int code = shl_name_check(text);
    if (code < 0)
        return code;
    REQUIRE(shl_ref_id(object.ref) != 0, -EINVAL, "the handle is none");
    shl_self_leave_detached();
    struct shl_segment *segment = shl_segment_by_id(shl_ref_id(object.ref));
    if (!segment)
        return shl_error_code();
    enum shl_kind kind = kind_of(segment, object.ref);
    REQUIRE(kind != KIND_NONE, -ESTALE, "the object is gone");
    REQUIRE(can_be_named(kind), -EINVAL, "an object of this type cannot have a name");
    struct name name = name_in(segment, text);
    return publish(&name, object.ref);
}

int shl_name_open(shoal_segment handle, const char *text, enum shl_kind kind, uint64_t *ret_ref)
{
    REQUIRE(ret_ref, -EINVAL, "no place for the handle");
    int code = shl_name_check(text);
    struct shl_segment *segment = code == 0 ? shl_segment_of_handle(handle) : NULL;
    if (!segment)
        return shl_error_code();
    struct name name = name_in(segment, text);
    struct found found;
    code = find(&name, &found);
    if (code < 0)
        return code;
    enum shl_kind has = found.entry ? kind_of(segment, found.word) : KIND_NONE;
    REQUIRE(has != KIND_NONE, -ENOENT, "no object has that name");
    REQUIRE(has == kind, -EINVAL, "the object of that name is of another type");
    *ret_ref = ref_of(segment, found.word);
    return 0;
}

int shoal_unpublish(shoal_segment handle, const char *text)
{
    int code = shl_name_check(text);
    struct shl_segment *segment = code == 0 ? shl_segment_of_handle(handle) : NULL;
    if (!segment)
        return shl_error_code();
    struct name name = name_in(segment, text);
    struct found found;
    do {
        code = find(&name, &found);
        if (code < 0)
            return code;
        REQUIRE(found.entry && what(found.word) != NAME_EMPTY, -ENOENT, "no object has that name");
    } while (!change(found.entry, found.word, NAME_EMPTY));
    drop_empty(&name);
    return 0;
}
