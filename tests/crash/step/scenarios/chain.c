/* Queues without a capacity, whose first ring, or store, has one cell. Of a chain: a put that
 * lengthens it, a get that drains a ring, and the end of all; of a dense ring: a put that makes it
 * larger, a get that finds it empty and makes it small. What is in them is words. */
#include <shoal/stats.h>
#include <shoal/values.h>

#include "../../../chain.h"
#include "../../../store.h"
#include "../scenarios.h"

/* words[]: how often each word was got by one who told. */
enum { BY_SET_UP, BY_SET_UP_2, BY_VICTIM, BY_SURVIVOR, KINDS };
enum { RING_BYTES = 1500 /* one, not two */ };

static shoal_queue queue;

static int put(uint64_t word)
{
    return shoal_queue_put_value(queue, &word, sizeof word, step_deadline());
}

static int get_at(shoal_deadline deadline)
{
    uint64_t word = KINDS;
    const int code = shoal_queue_get_value(queue, &word, sizeof word, deadline);
    if (code < 0)
        return code;
    STEP_CHECK(word < KINDS);
    board->words[word % KINDS]++;
    return 0;
}

static int get(void)
{
    return get_at(step_deadline());
}

static void set_up(void)
{
    STEP_CHECK(shoal_queue_create(&(shoal_queue_options){ .value_size = 8 }, &queue) == 0);
    STEP_CHECK(chain_shrink(queue.ref));
}

static void set_up_full(void)
{
    set_up();
    STEP_CHECK(put(BY_SET_UP) == 0);
}

/* Behind the first ring, which is drained, are two, each with a word. */
static void set_up_chained(void)
{
    set_up();
    STEP_CHECK(put(KINDS - 1) == 0);
    for (uint64_t word = BY_SET_UP; word <= BY_SET_UP_2; word++) {
        STEP_CHECK(put(word) == 0);
        const struct shl_found *first = shl_find(queue.ref, KIND_QUEUE);
        const struct queue_shm *shm = (const struct queue_shm *)first->object;
        STEP_CHECK(chain_shrink(atom_load_relaxed(&shm->cells.chain.newest)));
    }
    uint64_t word;
    STEP_CHECK(shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW) == 0);
}

static void set_up_empty(void)
{
    set_up_full();
    STEP_CHECK(put(BY_SET_UP_2) == 0);
    uint64_t word;
    for (int i = 0; i < 2; i++)
        STEP_CHECK(shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW) == 0);
}

static int put_as_victim(void)
{
    return put(BY_VICTIM);
}

static int put_as_survivor(void)
{
    return put(BY_SURVIVOR);
}

static int get_two(void)
{
    const int code = get_at(SHOAL_NOW);
    return code < 0 ? code : get_at(SHOAL_NOW);
}

static int get_if_any(void)
{
    const int code = get_at(SHOAL_NOW);
    return code == -ETIMEDOUT ? 0 : code;
}

static int destroy(void)
{
    return shoal_queue_destroy(queue);
}

static int get_until_gone(void)
{
    const int code = get();
    return code == -ESTALE ? 0 : code;
}

/* No ring is left over; what is there is got once, and the queue is as good as new. */
static void drain(void)
{
    const struct shl_found *found = shl_find(queue.ref, KIND_QUEUE);
    STEP_CHECK(found && chain_objects(found->segment) ==
                            chain_length(found->segment, (struct queue_shm *)found->object));
    while (shoal_queue_qsize(queue) > 0)
        STEP_CHECK(get_at(SHOAL_NOW) == 0);
    for (uint64_t i = 0; i < KINDS; i++)
        STEP_CHECK(board->words[i] <= 1 + (i == BY_SURVIVOR));
    STEP_CHECK(put(BY_SET_UP) == 0 && shoal_queue_qsize(queue) == 1);
    uint64_t word;
    STEP_CHECK(shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW) == 0);
}

static void judge_put(void)
{
    STEP_CHECK(board->words[BY_SET_UP] + (unsigned)board->deaths >= 1);
    STEP_CHECK(board->words[BY_VICTIM] == 1 || board->killed[ROLE_VICTIM]);
}

static void check_put(void)
{
    drain();
    judge_put();
}

static void check_get(void)
{
    drain();
    STEP_CHECK(board->words[BY_SET_UP] + board->words[BY_SET_UP_2] + (unsigned)board->deaths >= 2);
}

static void check_gone(void)
{
    STEP_CHECK(shoal_queue_destroy(queue) == 0);
    STEP_CHECK(put(0) == -ESTALE);
}

const struct scenario chain_scenarios[] = {
    { .name = "chain put that lengthens it",
      .set_up = set_up_full,
      .actors = { [ROLE_VICTIM] = { step_attach, put_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, put_as_survivor },
                  [ROLE_SURVIVOR_2] = { step_attach, get_if_any } },
      .check = check_put,
      .takes_long = true,
      .objects_vary = RING_BYTES },
    { .name = "chain get that drains a ring",
      .set_up = set_up_chained,
      .actors = { [ROLE_VICTIM] = { step_attach, get_two },
                  [ROLE_SURVIVOR] = { step_attach, get_if_any },
                  [ROLE_SURVIVOR_2] = { step_attach, put_as_survivor } },
      .check = check_get,
      .objects_vary = RING_BYTES },
    { .name = "chain destroy with a sleeper",
      .set_up = set_up_empty,
      .actors = { [ROLE_VICTIM] = { step_attach, destroy },
                  [ROLE_SURVIVOR] = { step_attach, get_until_gone, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, destroy },
                  [ROLE_SURVIVOR_3] = { step_attach, destroy } },
      .check = check_gone,
      .objects_end = true },
    { 0 },
};

/* --- the dense ring --------------------------------------------------------------------------- */

/* Bytes of its stores, the first of which was made for 1,024 words; more than it has cells for. */
enum { FIRST_BYTES = 6000, STORE_BYTES = 600, MANY = 9 };

static void set_up_store(void)
{
    const shoal_queue_options options = { .value_size = sizeof(uint64_t), .bulk = true };
    STEP_CHECK(shoal_queue_create(&options, &queue) == 0);
    STEP_CHECK(store_shrink(queue.ref));
    STEP_CHECK(put(BY_SET_UP) == 0);
}

/* It has two cells, and nothing in them. */
static void set_up_grown(void)
{
    uint64_t word;
    set_up_store();
    STEP_CHECK(put(BY_SET_UP_2) == 0);
    for (int i = 0; i < 2; i++)
        STEP_CHECK(shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW) == 0);
}

/* What is there is got once; nothing is beside the store; the queue is as good as new, and leaves
 * nothing behind. */
static void drain_store(void)
{
    const struct shl_found *found = shl_find(queue.ref, KIND_QUEUE);
    STEP_CHECK(found);
    const struct ring_shm *ring = &((struct queue_shm *)found->object)->ring;
    while (shoal_queue_qsize(queue) > 0)
        STEP_CHECK(get_at(SHOAL_NOW) == 0);
    for (uint64_t i = 0; i < KINDS; i++)
        STEP_CHECK(board->words[i] <= 1 + (i == BY_SURVIVOR));
    for (int i = 0; i < MANY; i++)
        STEP_CHECK(put(KINDS - 1) == 0);
    uint64_t word;
    for (int i = 0; i < MANY; i++)
        STEP_CHECK(shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW) == 0);
    STEP_CHECK(ring->spare == 0);
    STEP_CHECK(shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW) == -ETIMEDOUT);
    STEP_CHECK(store_mask(ring->store) == 0);
    shoal_audit audit;
    STEP_CHECK(shoal_queue_destroy(queue) == 0);
    STEP_CHECK(shoal_segment_audit((shoal_segment){ 0 }, &audit) == 0 && audit.objects == 0);
}

static void check_store_put(void)
{
    drain_store();
    judge_put();
}

static void check_store_get(void)
{
    drain_store();
    STEP_CHECK(board->words[BY_SURVIVOR] + (unsigned)board->deaths >= 1);
}

const struct scenario store_scenarios[] = {
    { .name = "dense queue put that enlarges it",
      .set_up = set_up_store,
      .actors = { [ROLE_VICTIM] = { step_attach, put_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, put_as_survivor },
                  [ROLE_SURVIVOR_2] = { step_attach, get_if_any } },
      .check = check_store_put,
      .takes_long = true,
      .objects_vary = FIRST_BYTES,
      .objects_end = true },
    { .name = "dense queue get that makes it small",
      .set_up = set_up_grown,
      .actors = { [ROLE_VICTIM] = { step_attach, get_if_any },
                  [ROLE_SURVIVOR] = { step_attach, put_as_survivor },
                  [ROLE_SURVIVOR_2] = { step_attach, get_if_any } },
      .check = check_store_get,
      .takes_long = true,
      .objects_vary = STORE_BYTES,
      .objects_end = true },
    { 0 },
};
