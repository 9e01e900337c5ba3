/* The prepared segment: objects of each kind, something in them, and the interesting places. */
#include "fuzz.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../chain.h"
#include "flow/pipe_shm.h"
#include "mem/lease_shm.h"
#include "mem/object.h"
#include "mem/peer_shm.h"
#include "mem/share_shm.h"
#include "mem/sizes.h"
#include "mem/under_shm.h"

enum { PAGE = 4096, SLOTS = 3, PAGES = 20, WORDS_OF_OBJECT = 192, PAYLOAD = 100 };
enum { RARE_FROM = 2 * CHUNK_SIZE };

static char *image;
static size_t pages[FUZZ_SEGMENT_SIZE / PAGE], pages_count; /* the rare ones that are not zero */

static void add_region(struct scene *scene, const char *name, uint64_t offset, uint64_t size)
{
    fuzz_must(scene->regions_count < REGIONS_MAX, "room for the regions");
    scene->regions[scene->regions_count++] = (struct region){ name, offset, size };
}

static void add_object(struct scene *scene, const char *name, uint64_t ref)
{
    fuzz_must(scene->objects_count < OBJECTS_MAX, "room for the objects");
    const struct shl_segment *segment = shl_segment_of_handle(scene->segment);
    uint32_t number = scene->objects_count++;
    scene->objects[number] = ref;
    scene->names[number] = name;
    scene->classes[number] = CLASS_OF_POOL(shl_object_pool(segment, shl_ref_offset(ref)));
    add_region(scene, name, shl_ref_offset(ref), WORDS_OF_OBJECT);
}

#define CREATE(kind, name, ...)                                                              \
    do {                                                                                     \
        shoal_##kind object;                                                                 \
        fuzz_must(shoal_##kind##_create(__VA_ARGS__, &object) == 0, "the objects are made"); \
        add_object(scene, name, object.ref);                                                 \
    } while (0)

static void add_process(struct scene *scene)
{
    struct shl_segment *segment = shl_segment_of_handle(scene->segment);
    struct object_shm *object = shl_object_create(segment, POOL_PROCESS);
    fuzz_must(object, "the objects are made");
    add_object(scene, "process", shl_object_publish(object, KIND_PROCESS));
}

static void add_queue(struct scene *scene)
{
    shoal_segment in = scene->segment;
    shoal_queue_options options = { .segment = in, .capacity_count = 4, .bulk = true };
    shoal_queue queue;
    int code = shoal_queue_create(&options, &queue);
    for (int i = 0; i < 3; i++)
        code |= shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW);
    void *payload = NULL;
    code |= shoal_queue_get(queue, &payload, SHOAL_NOW);
    fuzz_must(code == 0, "the objects are made");
    shoal_free(payload);
    add_object(scene, "queue", queue.ref);
    const struct shl_segment *segment = shl_segment_of_handle(in);
    const struct queue_shm *shm = shl_at(segment, shl_ref_offset(queue.ref));
    add_region(scene, "cells", store_offset(shm->ring.store), 32);
    add_region(scene, "ring", shl_ref_offset(queue.ref) + SHL_LINE, 5 * SHL_LINE);
    const uint64_t *cells = shl_at(segment, store_offset(shm->ring.store));
    scene->message = descriptor_offset(cells[1]);
    add_region(scene, "message", scene->message - sizeof(struct block_shm), 32);
}

static void add_values(struct scene *scene)
{
    shoal_queue_options options = { .segment = scene->segment, .capacity_count = 4 };
    options.value_size = FUZZ_VALUE_SIZE;
    shoal_queue queue;
    int code = shoal_queue_create(&options, &queue);
    char values[2 * FUZZ_VALUE_SIZE] = { 0 };
    size_t count;
    code |= shoal_queue_put_values(queue, values, FUZZ_VALUE_SIZE, 2, &count, SHOAL_NOW);
    code |= shoal_queue_put_end(queue, SHOAL_NOW);
    fuzz_must(code == 0, "the objects are made");
    add_object(scene, "values", queue.ref);
    add_region(scene, "ring of values", shl_ref_offset(queue.ref) + SHL_LINE, 5 * SHL_LINE);
}

static struct block_shm *add_payload(struct scene *scene, const char *name, void *payload)
{
    fuzz_must(payload && scene->payloads_count < PAYLOADS_MAX, "room for the payloads");
    uint64_t offset = (uint64_t)((char *)payload - scene->base);
    scene->payload_names[scene->payloads_count] = name;
    scene->payloads[scene->payloads_count++] = offset;
    add_region(scene, name, offset - sizeof(struct block_shm), 32);
    return (struct block_shm *)payload - 1;
}

/* The object that a payload's word names: who shares it, or its lease. */
static void *add_object_of(struct scene *scene, const char *name, const struct block_shm *block)
{
    uint64_t own = atom_load_relaxed(&block->own);
    uint64_t id = shl_ref_id(scene->segment.ref), place = shl_ref_offset(own);
    add_object(scene, name, shl_ref_make((uint32_t)id, shl_ref_generation(own), place));
    return scene->base + place;
}

/* Some bytes one way; the other way a payload that is shared, and held once more. */
static void add_pipe(struct scene *scene)
{
    shoal_pipe_options options = { .segment = scene->segment, .capacity_count = 4 };
    shoal_connection first, second;
    void *shared = shoal_alloc_in(scene->segment, PAYLOAD);
    int code = shoal_pipe_create(&options, &first, &second);
    code |= shoal_share(shared) | shoal_share(shared);
    code |= shoal_connection_send(first, shared, SHOAL_NOW);
    code |= shoal_connection_send_bytes(second, "message", 8, SHOAL_NOW);
    fuzz_must(code == 0, "the objects are made");
    add_object(scene, "first end", first.ref);
    add_object(scene, "second end", second.ref);
    add_object_of(scene, "share", add_payload(scene, "shared", shared));
    uint64_t at = shl_ref_offset(second.ref);
    add_region(scene, "ring of an end", at + SHL_LINE, 5 * SHL_LINE);
    add_region(scene, "holder", at + offsetof(struct connection_shm, holder), 24);
    const struct queue_shm *queue = (const void *)(scene->base + at);
    const uint64_t *cells = (const void *)(scene->base + store_offset(queue->ring.store));
    add_region(scene, "envelope", descriptor_offset(*cells) - sizeof(struct block_shm), 32);
}

/* Two messages are leased, one was returned, and one is queued. */
static void add_joinable(struct scene *scene)
{
    shoal_queue_options options = { .segment = scene->segment, .capacity_count = 4 };
    shoal_queue queue;
    void *leased[3];
    int code = shoal_queue_create(&options, &options.dead_letters);
    options.joinable = true;
    options.deliveries_max = 2;
    code |= shoal_queue_create(&options, &queue);
    for (int i = 0; i < 4; i++)
        code |= shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW);
    for (int i = 0; i < 3; i++)
        code |= shoal_queue_get(queue, &leased[i], SHOAL_NOW);
    fuzz_must(code == 0, "the objects are made");
    add_object(scene, "dead letters", options.dead_letters.ref);
    add_object(scene, "joinable", queue.ref);
    add_region(scene, "ring of leased", shl_ref_offset(queue.ref) + SHL_LINE, 5 * SHL_LINE);
    add_object_of(scene, "lease", add_payload(scene, "leased", leased[0]));
    add_object_of(scene, "another lease", add_payload(scene, "leased", leased[1]));
    struct lease_shm *lease = add_object_of(scene, "returned lease",
                                            add_payload(scene, "returned", leased[2]));
    uint64_t self = atom_load_relaxed(&lease->object.self);
    atom_store_relaxed(&lease->word, lease_word_make(self, 1, LEASE_RETURNED, 0));
    struct queue_shm *shm = (void *)(scene->base + shl_ref_offset(queue.ref));
    atom_store_relaxed(&shm->joinable.returned, 1);
}

static void add_parent(struct scene *scene)
{
    void *parent = shoal_alloc_in(scene->segment, PAYLOAD);
    void *child = shoal_alloc_under(parent, PAYLOAD);
    const struct block_shm *block = add_payload(scene, "parent", parent);
    add_payload(scene, "child", child);
    add_payload(scene, "child", shoal_alloc_under(child, 8));
    uint64_t table = block_meta_size(atom_load_relaxed(&block->meta)) << 4;
    add_region(scene, "table of children", table - sizeof(struct block_shm), 80);
}

static void add_objects(struct scene *scene)
{
    shoal_segment in = scene->segment;
    CREATE(lock, "lock", &(shoal_lock_options){ .segment = in });
    CREATE(lock, "recursive lock", &(shoal_lock_options){ .segment = in, .recursive = true });
    CREATE(semaphore, "semaphore", 2, &(shoal_semaphore_options){ .segment = in });
    CREATE(semaphore, "owned semaphore", 3,
           &(shoal_semaphore_options){ .segment = in, .owned = true });
    CREATE(event, "event", &(shoal_event_options){ .segment = in });
    CREATE(condition, "condition", &(shoal_condition_options){ .segment = in });
    CREATE(barrier, "barrier", 1, &(shoal_barrier_options){ .segment = in });
    CREATE(barrier, "barrier of two", 2, &(shoal_barrier_options){ .segment = in });
    add_queue(scene);
    add_process(scene);
    fuzz_must(shoal_publish((shoal_any){ scene->objects[0] }, "lock") == 0, "a name is given");
    add_payload(scene, "block", shoal_alloc_in(in, PAYLOAD));
    add_payload(scene, "block", shoal_alloc_in(in, CHUNK_SIZE)); /* with its header: two chunks */
}

static void add_slots(struct scene *scene)
{
    for (uint32_t i = 0; i < 2 * SLOTS; i++) {
        uint32_t number = i < SLOTS ? i : PEERS_MAX + i - SLOTS;
        uint64_t slot = SEGMENT_PEERS_AT + number * sizeof(struct peer_shm);
        add_region(scene, "slot", slot, offsetof(struct peer_shm, name) + 8);
        add_region(scene, "journal", slot + offsetof(struct peer_shm, journal),
                   sizeof(struct journal_shm));
    }
}

static void add_class(struct scene *scene, uint32_t size_class)
{
    add_region(scene, "class", offsetof(struct segment_shm, classes) + size_class * SHL_LINE, 16);
}

/* Words of pages, free bits of the first runs, and what lies at their begin. */
static void add_pages(struct scene *scene)
{
    for (uint64_t chunk = CHUNK_SIZE; chunk < FUZZ_SEGMENT_SIZE; chunk += CHUNK_SIZE)
        add_region(scene, "page words", chunk, PAGES_PER_CHUNK * 8);
    for (uint64_t page = 1; page <= PAGES; page++) {
        add_region(scene, "free bits", CHUNK_SIZE + 4096 + PAGE_SIZE_SHM / 256 * page, 32);
        add_region(scene, "page", CHUNK_SIZE + page * PAGE_SIZE_SHM, 2048);
    }
}

static void add_tables(struct scene *scene)
{
    add_region(scene, "header", 0, 72);
    add_region(scene, "hints", SHL_LINE, 32);
    add_region(scene, "names", offsetof(struct segment_shm, names), 8 * NAME_BUCKETS);
    for (uint32_t i = 0; i < POOLS_COUNT; i++)
        add_class(scene, CLASS_OF_POOL(i));
    add_class(scene, 0);
    add_class(scene, shl_class_of(PAYLOAD));
    add_region(scene, "chunk words", SEGMENT_CHUNKS_AT, 8 * FUZZ_SEGMENT_SIZE / CHUNK_SIZE);
    add_pages(scene);
    add_region(scene, "last place", FUZZ_SEGMENT_SIZE - OBJECT_SMALL_SIZE, OBJECT_SMALL_SIZE);
    add_region(scene, "anywhere", 0, FUZZ_SEGMENT_SIZE);
}

/* A ring of cells, which has a place as a queue has. */
static const struct cells_shm *add_ring(struct scene *scene, uint64_t ref, const char *ring,
                                        const char *cells)
{
    const struct queue_shm *shm = (const void *)(scene->base + shl_ref_offset(ref));
    add_region(scene, ring, shl_ref_offset(ref) + SHL_LINE, 5 * SHL_LINE);
    add_region(scene, cells, shm->cells.cells, shm->cells.capacity * sizeof(struct cell_shm));
    return &shm->cells;
}

/* With a word and an end in it. */
static void add_words(struct scene *scene)
{
    shoal_queue_options options = { .segment = scene->segment, .capacity_count = 3 };
    options.value_size = sizeof(uint64_t);
    shoal_queue queue;
    const uint64_t word = 1;
    int code = shoal_queue_create(&options, &queue);
    code |= shoal_queue_put_value(queue, &word, sizeof word, SHOAL_NOW);
    code |= shoal_queue_put_end(queue, SHOAL_NOW);
    fuzz_must(code == 0, "the objects are made");
    add_object(scene, "words", queue.ref);
    add_ring(scene, queue.ref, "ring of words", "cells of words");
}

/* With a payload. */
static void add_messages(struct scene *scene)
{
    shoal_queue_options options = { .segment = scene->segment, .capacity_count = 2 };
    shoal_queue queue;
    int code = shoal_queue_create(&options, &queue);
    code |= shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW);
    fuzz_must(code == 0, "the objects are made");
    add_object(scene, "messages", queue.ref);
    add_ring(scene, queue.ref, "ring of messages", "messages");
}

/* Of one cell, then two, then four: the first one is drained, the last one has room. */
static void add_chain(struct scene *scene, const char *name, size_t value_size)
{
    const uint64_t word = 1;
    shoal_queue_options options = { .segment = scene->segment, .value_size = value_size };
    shoal_queue queue;
    int code = shoal_queue_create(&options, &queue);
    fuzz_must(code == 0 && chain_shrink(queue.ref), "the objects are made");
    for (int i = 0; i < 4; i++)
        code |= value_size ? shoal_queue_put_value(queue, &word, sizeof word, SHOAL_NOW)
                           : shoal_queue_put_bytes(queue, "message", 8, SHOAL_NOW);
    void *payload = NULL;
    code |= value_size ? shoal_queue_get_value(queue, &(uint64_t){ 0 }, sizeof word, SHOAL_NOW)
                       : shoal_queue_get(queue, &payload, SHOAL_NOW);
    shoal_free(payload);
    add_object(scene, name, queue.ref);
    uint64_t rings = 0;
    for (uint64_t at = queue.ref; at != 0 && rings < 4; rings++)
        at = atom_load_relaxed(&add_ring(scene, at, "ring in a chain", "chained cells")->end);
    fuzz_must(code == 0 && rings == 3, "the queue has grown twice");
}

/* Objects that end with their creator, and what two ends say of their doors. */
static void add_tied(struct scene *scene)
{
    shoal_segment in = scene->segment;
    CREATE(event, "tied event", &(shoal_event_options){ .segment = in, .ends_with_creator = true });
    CREATE(queue, "tied queue",
           &(shoal_queue_options){ .segment = in, .ends_with_creator = true, .bulk = true });
    for (uint32_t i = 0; i < scene->objects_count; i++)
        if (strstr(scene->names[i], " end"))
            add_region(scene, "door",
                       shl_ref_offset(scene->objects[i]) + offsetof(struct connection_shm, door),
                       24);
}

/* As if nobody had ever attached: who does gets the slots that these things name as their owner's,
 * in the same generation. Each input's caller holds what is prepared here. */
static void forget_slots(void)
{
    struct segment_shm *shm = (void *)image;
    memset(image + SEGMENT_PEERS_AT, 0, 2 * PEERS_MAX * sizeof(struct peer_shm));
    atom_store_relaxed(&shm->threads_attached, 0);
    atom_store_relaxed(&shm->peer_hint, 0);
}

static void make_image(const struct scene *scene)
{
    static const char zero[PAGE];
    image = malloc(FUZZ_SEGMENT_SIZE);
    fuzz_must(image, "there is memory");
    memcpy(image, scene->memory, FUZZ_SEGMENT_SIZE);
    forget_slots();
    for (size_t at = RARE_FROM; at < FUZZ_SEGMENT_SIZE; at += PAGE)
        if (memcmp(image + at, zero, PAGE) != 0)
            pages[pages_count++] = at;
}

static void check_image(struct scene *scene)
{
    const uint32_t leased = 3;
    scene_restore(scene);
    fuzz_must(shoal_segment_attach_fd(scene->fd, &scene->segment) == 0 &&
                  shoal_queue_deliveries(scene->base + scene->payloads[leased]) == 1,
              "what is prepared is the caller's");
    fuzz_must(shoal_segment_detach(scene->segment) == 0, "the segment is left");
}

/* Everything is in the file and in the image of it; nobody is attached any more. */
void scene_prepare(struct scene *scene)
{
    shoal_segment_options options = { .size_max = FUZZ_SEGMENT_SIZE };
    fuzz_must(shoal_segment_create(&options, &scene->segment) == 0, "there is a segment");
    scene->base = shl_at(shl_segment_of_handle(scene->segment), 0);
    scene->fd = dup(shoal_segment_fd(scene->segment));
    add_objects(scene);
    add_slots(scene);
    add_tables(scene);
    add_values(scene);
    add_words(scene);
    add_pipe(scene);
    add_joinable(scene);
    add_parent(scene);
    add_messages(scene);
    add_tied(scene);
    add_chain(scene, "grown words", sizeof(uint64_t));
    add_chain(scene, "grown messages", 0);
    scene->memory = mmap(NULL, FUZZ_SEGMENT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, scene->fd, 0);
    fuzz_must(scene->memory != MAP_FAILED, "the segment is mapped");
    make_image(scene);
    fuzz_must(shoal_segment_detach(scene->segment) == 0, "the segment is left");
    check_image(scene);
}

static void restore_changed(const struct scene *scene, size_t from, size_t to)
{
    for (size_t at = from; at < to; at += PAGE)
        if (memcmp(scene->memory + at, image + at, PAGE) != 0)
            memcpy(scene->memory + at, image + at, PAGE);
}

/* Nobody looks between the tables and the first chunk. The chunk of pages keeps its memory, which
 * is dear to take anew; behind it most is zero, and stays untouched. */
void scene_restore(const struct scene *scene)
{
    restore_changed(scene, 0, SEGMENT_CHUNKS_AT + PAGE);
    restore_changed(scene, CHUNK_SIZE, RARE_FROM);
    fuzz_must(fallocate(scene->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, RARE_FROM,
                        FUZZ_SEGMENT_SIZE - RARE_FROM) == 0,
              "the other chunks are empty");
    for (size_t i = 0; i < pages_count; i++)
        memcpy(scene->memory + pages[i], image + pages[i], PAGE);
}

void scene_print(const struct scene *scene)
{
    for (uint32_t i = 0; i < scene->regions_count; i++)
        printf("region %u %" PRIu64 " %s\n", i, scene->regions[i].offset, scene->regions[i].name);
    for (uint32_t i = 0; i < scene->objects_count; i++)
        printf("object %u %u %s\n", i, scene->classes[i], scene->names[i]);
    for (uint32_t i = 0; i < scene->payloads_count; i++)
        printf("payload %u %" PRIu64 " %s\n", i, scene->payloads[i], scene->payload_names[i]);
}
