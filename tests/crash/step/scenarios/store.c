/* Dense queues without a capacity, whose store has one cell: a put that makes it larger, a get that
 * finds it empty and makes it small. What is in them is words. */
#include "../../../store.h"

#include <shoal/stats.h>
#include <shoal/values.h>

#include "../scenarios.h"

/* words[]: how often each word was got by one who told. */
enum { BY_SET_UP, BY_SET_UP_2, BY_VICTIM, BY_SURVIVOR, KINDS };

/* It is there until it is looked into, of whatever size. */
enum { FIRST_BYTES = 6000, STORE_BYTES = 600, MANY = 9 /* more than it has cells for */ };

static shoal_queue queue;

static int put(uint64_t word)
{
    return shoal_queue_put_value(queue, &word, sizeof word, step_deadline());
}

static int get(void)
{
    uint64_t word = KINDS;
    const int code = shoal_queue_get_value(queue, &word, sizeof word, SHOAL_NOW);
    if (code < 0)
        return code == -ETIMEDOUT ? 0 : code;
    STEP_CHECK(word < KINDS);
    board->words[word % KINDS]++;
    return 0;
}

static void set_up_full(void)
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
    set_up_full();
    STEP_CHECK(put(BY_SET_UP_2) == 0);
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

/* What is there is got once; nothing is beside the store; the queue is as good as new, and leaves
 * nothing behind. */
static void drain(void)
{
    const struct shl_found *found = shl_find(queue.ref, KIND_QUEUE);
    STEP_CHECK(found);
    const struct ring_shm *ring = &((struct queue_shm *)found->object)->ring;
    while (shoal_queue_qsize(queue) > 0)
        STEP_CHECK(get() == 0);
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

static void check_put(void)
{
    drain();
    STEP_CHECK(board->words[BY_SET_UP] + (unsigned)board->deaths >= 1);
    STEP_CHECK(board->words[BY_VICTIM] == 1 || board->killed[ROLE_VICTIM]);
}

static void check_get(void)
{
    drain();
    STEP_CHECK(board->words[BY_SURVIVOR] + (unsigned)board->deaths >= 1);
}

const struct scenario store_scenarios[] = {
    { .name = "dense queue put that enlarges it",
      .set_up = set_up_full,
      .actors = { [ROLE_VICTIM] = { step_attach, put_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, put_as_survivor },
                  [ROLE_SURVIVOR_2] = { step_attach, get } },
      .check = check_put,
      .takes_long = true,
      .objects_vary = FIRST_BYTES,
      .objects_end = true },
    { .name = "dense queue get that makes it small",
      .set_up = set_up_grown,
      .actors = { [ROLE_VICTIM] = { step_attach, get },
                  [ROLE_SURVIVOR] = { step_attach, put_as_survivor },
                  [ROLE_SURVIVOR_2] = { step_attach, get } },
      .check = check_get,
      .takes_long = true,
      .objects_vary = STORE_BYTES,
      .objects_end = true },
    { 0 },
};
