#include "words.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read 8 bytes at a time");

#define SLOTS_FIRST 8192
#define SLOT_AHEAD 24  /* merging a table into a large one: fetch a slot so many words ahead, */
#define ENTRY_AHEAD 12 /* and so many ahead the entry that it leads to */

const struct store store_heap = { malloc, free };

/*
 * Letters in lower case, digits and underscores stay; everything else is 0. Without branches, so
 * that the compiler makes a vector loop of it.
 */
static inline unsigned char normal(unsigned char byte)
{
    unsigned char lower = byte | 0x20;
    bool letter = (unsigned char)(lower - 'a') < 26;
    bool other = ((unsigned char)(byte - '0') < 10) | (byte == '_');

    return letter ? lower : (unsigned char)(other ? byte : 0);
}

bool word_has(char byte)
{
    return normal((unsigned char)byte) != 0;
}

static uint64_t load(const char *text)
{
    uint64_t bytes;

    memcpy(&bytes, text, sizeof(bytes));
    return bytes;
}

/* The lowest @len bytes, 1 to 8. */
static uint64_t low_bytes(uint64_t bytes, size_t len)
{
    return bytes & (UINT64_MAX >> (64 - 8 * len));
}

static uint32_t hash_word(const char *text, size_t len)
{
    const uint64_t factor = 0x9e3779b97f4a7c15u;
    uint64_t hash = len;

    for (; len > 8; len -= 8, text += 8) {
        hash = (hash ^ load(text)) * factor;
        hash ^= hash >> 32;
    }
    hash = (hash ^ low_bytes(load(text), len)) * factor;
    return (uint32_t)((hash ^ hash >> 29) >> 16);
}

static bool same_word(const char *a, const char *b, size_t len)
{
    for (; len > 8; len -= 8, a += 8, b += 8)
        if (load(a) != load(b))
            return false;
    return low_bytes(load(a) ^ load(b), len) == 0;
}

bool table_open(struct table *table, const struct store *store, size_t size_first)
{
    *table = (struct table){ .store = store, .size_first = size_first, .slots_count = SLOTS_FIRST };
    table->slots = malloc(SLOTS_FIRST * sizeof(table->slots[0]));
    return table->slots != NULL;
}

static void clear_counts(struct counts *counts)
{
    memset(counts, 0, sizeof(*counts));
    counts->text_size = WORD_SLACK;
}

bool table_begin(struct table *table)
{
    if (table->counts == NULL) {
        table->size = table->size_first;
        table->counts = table->store->allocate(table->size);
    }
    if (table->counts == NULL)
        return false;
    clear_counts(table->counts);
    memset((char *)table->counts + table->size - WORD_SLACK, 0, WORD_SLACK);
    memset(table->slots, 0, table->slots_count * sizeof(table->slots[0]));
    return true;
}

struct counts *table_take(struct table *table)
{
    struct counts *counts = table->counts;

    table->counts = NULL;
    return counts;
}

void table_close(struct table *table)
{
    if (table->counts != NULL)
        table->store->release(table->counts);
    free(table->slots);
    *table = (struct table){ 0 };
}

size_t counts_front(const struct counts *counts)
{
    return sizeof(*counts) + counts->entries_count * sizeof(counts->entries[0]);
}

static const char *text_of(const struct counts *counts, size_t size, const struct entry *entry)
{
    return (const char *)counts + size - entry->text;
}

const char *counts_word(const struct counts *counts, size_t size, const struct entry *entry,
                        size_t *ret_len)
{
    const char *text = text_of(counts, size, entry);

    *ret_len = (unsigned char)text[0];
    return text + 1;
}

/* A block of twice the size; texts keep their distance from its end, so entries stay valid. */
static bool grow_block(struct table *table)
{
    size_t size = table->size * 2;
    size_t texts = table->counts->text_size;
    char *block;

    if (size > UINT32_MAX)
        return false;
    block = table->store->allocate(size);
    if (block == NULL)
        return false;
    memcpy(block, table->counts, counts_front(table->counts));
    memcpy(block + size - texts, (char *)table->counts + table->size - texts, texts);
    table->store->release(table->counts);
    table->counts = (struct counts *)(void *)block;
    table->size = size;
    return true;
}

static void insert_slot(struct table *table, uint32_t hash, uint32_t number)
{
    size_t mask = table->slots_count - 1;
    size_t at = hash & mask;

    while (table->slots[at] != 0)
        at = (at + 1) & mask;
    table->slots[at] = (uint64_t)hash << 32 | number;
}

static bool grow_slots(struct table *table)
{
    size_t count = table->slots_count * 2;
    uint64_t *slots = calloc(count, sizeof(slots[0]));

    if (slots == NULL)
        return false;
    free(table->slots);
    table->slots = slots;
    table->slots_count = count;
    for (uint32_t i = 0; i < table->counts->entries_count; i++)
        insert_slot(table, table->counts->entries[i].hash, i + 1);
    return true;
}

static bool need_room(struct table *table, size_t len)
{
    const struct counts *counts = table->counts;
    size_t used = counts_front(counts) + counts->text_size;

    if (used + sizeof(struct entry) + len + 1 > table->size && !grow_block(table))
        return false;
    return table->counts->entries_count < table->slots_count / 2 || grow_slots(table);
}

static bool add_entry(struct table *table, uint32_t hash, const char *word, size_t len,
                      uint64_t count)
{
    struct counts *counts;
    struct entry *entry;
    char *text;

    if (!need_room(table, len))
        return false;
    counts = table->counts;
    counts->text_size += (uint32_t)len + 1;
    entry = &counts->entries[counts->entries_count++];
    *entry = (struct entry){ .count = count, .hash = hash, .text = counts->text_size };
    text = (char *)counts + table->size - counts->text_size;
    text[0] = (char)len;
    memcpy(text + 1, word, len);
    insert_slot(table, hash, counts->entries_count);
    return true;
}

static bool is_entry(const struct table *table, const struct entry *entry, const char *word,
                     size_t len)
{
    const char *text = text_of(table->counts, table->size, entry);

    return (unsigned char)text[0] == len && same_word(text + 1, word, len);
}

/* Count @word, behind which WORD_SLACK bytes are readable, @count times. */
static bool add(struct table *table, uint32_t hash, const char *word, size_t len, uint64_t count)
{
    size_t mask = table->slots_count - 1;

    for (size_t at = hash & mask; table->slots[at] != 0; at = (at + 1) & mask) {
        uint64_t slot = table->slots[at];
        struct entry *entry = &table->counts->entries[(uint32_t)slot - 1];

        if (slot >> 32 == hash && is_entry(table, entry, word, len)) {
            entry->count += count;
            return true;
        }
    }
    return add_entry(table, hash, word, len, count);
}

/* Separators become 0 and letters lower case, which lets the scan below go by 8 bytes. */
static void normalise(struct chunk *chunk)
{
    unsigned char *text = (unsigned char *)chunk->text;
    size_t len = chunk->len; /* a copy: for all the compiler knows text may overlap it */

    for (size_t i = 0; i < len; i++)
        text[i] = normal(text[i]);
    memset(text + len, 0, WORD_SLACK);
}

/* The length of a run of bytes that are not 0, which ends inside the chunk or its slack. */
static size_t run_length(const char *text)
{
    const uint64_t ones = 0x0101010101010101u;
    const char *at = text;

    for (;; at += 8) {
        uint64_t bytes = load(at);
        uint64_t zeros = (bytes - ones) & ~bytes & ones << 7;

        if (zeros != 0)
            return (size_t)(at - text) + (size_t)__builtin_ctzll(zeros) / 8;
    }
}

static const char *skip_separators(const char *at, const char *end)
{
    while (at < end) {
        uint64_t bytes = load(at);

        if (bytes != 0)
            return at + __builtin_ctzll(bytes) / 8;
        at += 8;
    }
    return end;
}

bool table_count(struct table *table, struct chunk *chunk)
{
    const char *end = chunk->text + chunk->len;
    uint64_t words = 0;

    normalise(chunk);
    for (const char *at = skip_separators(chunk->text, end); at < end;) {
        size_t run = run_length(at);
        size_t len = run < WORD_MAX ? run : WORD_MAX;

        if (!add(table, hash_word(at, len), at, len, 1))
            return false;
        words++;
        at = skip_separators(at + run, end);
    }
    table->counts->words += words;
    table->counts->bytes += chunk->bytes;
    table->counts->files += chunk->files;
    return true;
}

static bool counts_fit(const struct counts *counts, size_t size)
{
    return size >= sizeof(*counts) && counts->text_size >= WORD_SLACK &&
           counts->text_size <= size - sizeof(*counts) &&
           counts->entries_count <=
               (size - sizeof(*counts) - counts->text_size) / sizeof(struct entry);
}

/* An entry is damaged if its text is not among the block's texts. */
static bool entry_fits(const struct counts *counts, size_t size, const struct entry *entry)
{
    if (entry->text <= WORD_SLACK || entry->text > counts->text_size)
        return false;
    return (unsigned char)text_of(counts, size, entry)[0] + 1u <= entry->text - WORD_SLACK;
}

static const uint64_t *slot_of(const struct table *table, uint32_t hash)
{
    return &table->slots[hash & (table->slots_count - 1)];
}

/* Have the cache misses of several words at the same time. What is not there yet does no harm. */
static void prefetch(const struct table *table, const struct counts *counts, uint32_t i)
{
    uint64_t slot;

    if (i + SLOT_AHEAD >= counts->entries_count)
        return;
    __builtin_prefetch(slot_of(table, counts->entries[i + SLOT_AHEAD].hash));
    slot = *slot_of(table, counts->entries[i + ENTRY_AHEAD].hash);
    if (slot != 0)
        __builtin_prefetch(&table->counts->entries[(uint32_t)slot - 1]);
}

bool table_merge(struct table *table, const struct counts *counts, size_t size)
{
    if (!counts_fit(counts, size))
        return false;
    for (uint32_t i = 0; i < counts->entries_count; i++) {
        const struct entry *entry = &counts->entries[i];
        size_t len;
        const char *word;

        prefetch(table, counts, i);
        if (!entry_fits(counts, size, entry))
            return false;
        word = counts_word(counts, size, entry, &len);
        if (len == 0 || !add(table, entry->hash, word, len, entry->count))
            return false;
    }
    table->counts->words += counts->words;
    table->counts->bytes += counts->bytes;
    table->counts->files += counts->files;
    return true;
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 32) * 0xd6e8feb86659fd93u;
    return value ^ value >> 32;
}

uint64_t counts_checksum(const struct counts *counts, size_t size)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < counts->entries_count; i++) {
        size_t len;
        const char *word = counts_word(counts, size, &counts->entries[i], &len);
        uint64_t hash = 0xcbf29ce484222325u;

        for (size_t k = 0; k < len; k++)
            hash = (hash ^ (unsigned char)word[k]) * 0x100000001b3u;
        sum += mix(hash ^ mix(counts->entries[i].count));
    }
    return sum;
}
