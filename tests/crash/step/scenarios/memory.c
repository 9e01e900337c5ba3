/* Blocks and places for objects: given to one, and to nobody twice. */
#include <errno.h>
#include <string.h>

#include "../scenarios.h"
#include "mem/alloc.h"

enum {
    SIZE = 100,
    RUN_SIZE = 40000,      /* of a run of several pages */
    DECAY_SIZE = 1 << 20,  /* more than half of a chunk */
    CHUNKS_SIZE = 3 << 20, /* two chunks */
    BLOCKS_MAX = 3
};

/* words[]: large messages that were put and got, as far as was told. */
enum { PUT, GOT };

static shoal_event event; /* so that there is a page of events */
static shoal_queue queue;

static void set_up(void)
{
    STEP_CHECK(shoal_event_create(NULL, &event) == 0);
    shoal_free(shoal_alloc(SIZE));
}

/* Nobody else writes to it meanwhile. */
static int use_block(char letter)
{
    char *block = shoal_alloc(SIZE);
    STEP_CHECK(block);
    if (!block)
        return -1;
    memset(block, letter, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        STEP_CHECK(block[i] == letter);
    shoal_free(block);
    return 0;
}

static int use_block_as_victim(void)
{
    return use_block('v');
}

static int use_block_as_survivor(void)
{
    return use_block('s');
}

static int use_place(void)
{
    shoal_event mine;
    int code = shoal_event_create(NULL, &mine);
    if (code < 0)
        return code;
    STEP_CHECK(mine.ref != event.ref);
    STEP_CHECK(shoal_event_set(mine) == 0);
    return shoal_event_destroy(mine);
}

static void check(void)
{
    char *one = shoal_alloc(SIZE), *other = shoal_alloc(SIZE);
    STEP_CHECK(one && other && one != other);
    shoal_free(one);
    shoal_free(other);
    STEP_CHECK(use_place() == 0);
}

/* Of blocks that are larger than a step of ours should take the first and the last byte do. */
static int use_blocks(unsigned count, size_t size)
{
    char *blocks[BLOCKS_MAX];
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = shoal_alloc(size);
        STEP_CHECK(blocks[i]);
        if (!blocks[i])
            return -1;
        blocks[i][0] = blocks[i][size - 1] = (char)('a' + i);
    }
    for (unsigned i = 0; i < count; i++) {
        STEP_CHECK(blocks[i][0] == (char)('a' + i) && blocks[i][size - 1] == (char)('a' + i));
        shoal_free(blocks[i]);
    }
    return 0;
}

/* There is no run of such blocks yet. */
static int use_run(void)
{
    return use_blocks(1, RUN_SIZE);
}

static int use_chunks(void)
{
    return use_blocks(1, CHUNKS_SIZE);
}

/* While the victim stands still somebody else's block, perhaps where the victim's was. */
static int use_chunks_beside(void)
{
    static char *block;
    if (!block) {
        block = shoal_alloc(CHUNKS_SIZE);
        STEP_CHECK(block);
        if (!block)
            return -1;
        block[0] = block[CHUNKS_SIZE - 1] = 's';
        if (board->stopped)
            return -ETIMEDOUT;
    }
    STEP_CHECK(block[0] == 's' && block[CHUNKS_SIZE - 1] == 's');
    shoal_free(block);
    block = NULL;
    return 0;
}

/* Each is a run of its own, in a chunk of its own; the third is one more than a thread keeps. Then
 * all that is empty goes back to the system. */
static int use_and_decay(void)
{
    atom_store_relaxed(&shl_decayed_ns, 1); /* long ago */
    return use_blocks(3, DECAY_SIZE);
}

static void check_run(void)
{
    STEP_CHECK(use_blocks(2, RUN_SIZE) == 0);
}

static void check_chunks(void)
{
    STEP_CHECK(use_blocks(2, CHUNKS_SIZE) == 0);
}

static void check_decay(void)
{
    STEP_CHECK(use_blocks(3, DECAY_SIZE) == 0);
}

static void set_up_queue(void)
{
    set_up();
    STEP_CHECK(shoal_queue_create(&(shoal_queue_options){ .capacity_count = 8 }, &queue) == 0);
}

static int use_queue(void)
{
    shoal_queue mine;
    int code = shoal_queue_create(&(shoal_queue_options){ .capacity_count = 2 }, &mine);
    if (code == 0)
        code = shoal_queue_put_bytes(mine, "message", 8, SHOAL_NOW);
    return code < 0 ? code : shoal_queue_destroy(mine);
}

static void check_queue(void)
{
    STEP_CHECK(use_queue() == 0);
}

/* Of every kind of memory something; and one message that outlives it. */
static int hold_memory(void)
{
    if (!shoal_alloc(SIZE) || !shoal_alloc(RUN_SIZE) || !shoal_alloc(CHUNKS_SIZE))
        return -1;
    void *message = shoal_alloc(CHUNKS_SIZE);
    return message ? shoal_queue_put(queue, message, SHOAL_NOW) : -1;
}

static int sleep_on(void)
{
    return shoal_event_wait(event, SHOAL_FOREVER);
}

static void check_held(void)
{
    void *message;
    STEP_CHECK(shoal_queue_get(queue, &message, SHOAL_NOW) == 0);
    STEP_CHECK(shoal_size(message) == CHUNKS_SIZE);
    shoal_free(message);
    STEP_CHECK(shoal_queue_empty(queue));
    check();
}

/* There is room for what the dead and those who ran out of time have left in the queue. */
static int pass_message(void)
{
    char *message = shoal_alloc(CHUNKS_SIZE);
    if (!message)
        return -1;
    message[0] = message[CHUNKS_SIZE - 1] = 'm';
    int code = shoal_queue_put(queue, message, step_deadline());
    if (code < 0) {
        shoal_free(message);
        return code;
    }
    board->words[PUT]++;
    return 0;
}

static int take_message(void)
{
    void *payload;
    const int code = shoal_queue_get(queue, &payload, step_deadline());
    if (code < 0)
        return code;
    const char *message = payload;
    STEP_CHECK(shoal_size(message) == CHUNKS_SIZE);
    STEP_CHECK(message[0] == 'm' && message[CHUNKS_SIZE - 1] == 'm');
    board->words[GOT]++;
    shoal_free(payload);
    return 0;
}

static int pass_and_take(void)
{
    const int code = pass_message();
    return code < 0 ? code : take_message();
}

static void check_passed(void)
{
    const uint64_t deaths = (uint64_t)board->deaths;
    while (!shoal_queue_empty(queue))
        STEP_CHECK(take_message() == 0);
    STEP_CHECK(board->words[GOT] <= board->words[PUT] + deaths);
    STEP_CHECK(board->words[PUT] <= board->words[GOT] + deaths);
    STEP_CHECK(pass_and_take() == 0);
}

const struct scenario memory_scenarios[] = {
    { .name = "alloc and free",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_block_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, use_block_as_survivor } },
      .check = check },
    { .name = "create and destroy",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_place },
                  [ROLE_SURVIVOR] = { step_attach, use_place } },
      .object_bytes = 128,
      .check = check },
    { .name = "queue create and destroy",
      .set_up = set_up_queue,
      .actors = { [ROLE_VICTIM] = { step_attach, use_queue },
                  [ROLE_SURVIVOR] = { step_attach, step_bury },
                  [ROLE_SURVIVOR_2] = { step_attach, use_queue } },
      .object_bytes = 1500, /* one queue with its cells, not two */
      .check = check_queue,
      .takes_long = true },
    { .name = "new run",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_run },
                  [ROLE_SURVIVOR] = { step_attach, step_bury },
                  [ROLE_SURVIVOR_2] = { step_attach, use_run } },
      .check = check_run },
    { .name = "new run for both",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_run },
                  [ROLE_SURVIVOR] = { step_attach, use_run } },
      .check = check_run,
      .takes_long = true },
    { .name = "large block",
      .set_up = set_up,
      .actors = { [ROLE_DEAD] = { step_attach, sleep_on },
                  [ROLE_VICTIM] = { step_attach, use_chunks },
                  [ROLE_SURVIVOR] = { step_attach, step_bury },
                  [ROLE_SURVIVOR_2] = { step_attach, use_chunks_beside } },
      .check = check_chunks,
      .takes_long = true },
    { .name = "large block for both",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_chunks },
                  [ROLE_SURVIVOR] = { step_attach, use_chunks } },
      .check = check_chunks,
      .takes_long = true },
    { .name = "large message",
      .set_up = set_up_queue,
      .actors = { [ROLE_VICTIM] = { step_attach, pass_and_take },
                  [ROLE_SURVIVOR] = { step_attach, pass_and_take },
                  [ROLE_SURVIVOR_2] = { step_attach, pass_and_take } },
      .check = check_passed,
      .takes_long = true },
    { .name = "decay",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { step_attach, use_and_decay },
                  [ROLE_SURVIVOR] = { step_attach, step_bury },
                  [ROLE_SURVIVOR_2] = { step_attach, use_and_decay } },
      .check = check_decay,
      .takes_long = true,
      .only_every = 10 }, /* a recoverer has some 80 new states behind each: many pages */
    { .name = "recovery of memory",
      .set_up = set_up_queue,
      .actors = { [ROLE_DEAD] = { hold_memory, sleep_on },
                  [ROLE_VICTIM] = { step_attach, step_bury },
                  [ROLE_SURVIVOR] = { step_attach, step_bury } },
      .check = check_held,
      .takes_long = true },
    { 0 },
};
