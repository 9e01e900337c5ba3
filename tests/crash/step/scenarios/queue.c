/* Queues: a message is put or not put, and got once. */
#include <errno.h>
#include <string.h>

#include "../scenarios.h"

enum { CAPACITY = 2, SIZE = 16 }; /* the ring's cells are of the same class */

/* words[]: how often each message was got by one who told, and how often survivors have put. */
enum { BY_SET_UP, BY_SET_UP_2, BY_VICTIM, BY_SURVIVOR, MESSAGES, PUT = MESSAGES };

static shoal_queue queue;
static bool of_values;

static int put(unsigned number, shoal_deadline deadline)
{
    char message[SIZE];
    memset(message, 'a' + (int)number, sizeof message);
    return of_values ? shoal_queue_put_value(queue, message, sizeof message, deadline)
                     : shoal_queue_put_bytes(queue, message, sizeof message, deadline);
}

/* A whole message is told by its first letter. */
static void tell(const char *message)
{
    const unsigned number = (unsigned)(message[0] - 'a');
    STEP_CHECK(number < MESSAGES);
    for (unsigned i = 1; i < SIZE; i++)
        STEP_CHECK(message[i] == message[0]);
    if (number < MESSAGES)
        board->words[number]++;
}

static int get_value(shoal_deadline deadline)
{
    char message[SIZE];
    const int code = shoal_queue_get_value(queue, message, sizeof message, deadline);
    if (code == 0)
        tell(message);
    return code;
}

static int get(shoal_deadline deadline)
{
    void *payload;
    if (of_values)
        return get_value(deadline);
    const int code = shoal_queue_get(queue, &payload, deadline);
    if (code < 0)
        return code;
    STEP_CHECK(shoal_size(payload) == SIZE);
    tell(payload);
    shoal_free(payload);
    return 0;
}

static void set_up(shoal_queue_options options)
{
    options.capacity_count = CAPACITY;
    of_values = options.value_size > 0;
    STEP_CHECK(shoal_queue_create(&options, &queue) == 0);
}

static void set_up_empty(void)
{
    set_up((shoal_queue_options){ 0 });
}

static void set_up_dense(void)
{
    set_up((shoal_queue_options){ .bulk = true });
}

static void set_up_values(void)
{
    set_up((shoal_queue_options){ .value_size = SIZE });
}

static void set_up_single(void)
{
    set_up((shoal_queue_options){ .single_producer = true, .single_consumer = true });
}

static void fill(void)
{
    STEP_CHECK(put(BY_SET_UP, SHOAL_NOW) == 0 && put(BY_SET_UP_2, SHOAL_NOW) == 0);
}

static void set_up_full(void)
{
    set_up_empty();
    fill();
}

static void set_up_full_dense(void)
{
    set_up_dense();
    fill();
}

static void set_up_full_values(void)
{
    set_up_values();
    fill();
}

/* Then values go the shortest way. */
static int attach_and_look(void)
{
    const int code = step_attach();
    (void)shoal_queue_qsize(queue);
    return code;
}

static int put_as_victim(void)
{
    return put(BY_VICTIM, step_deadline());
}

static int put_as_survivor(void)
{
    const int code = put(BY_SURVIVOR, step_deadline());
    board->words[PUT] += code == 0;
    return code;
}

static int get_one(void)
{
    return get(step_deadline());
}

/* Only if the victim's message is not there: else it must have reached the sleeper already. */
static int put_if_missing(void)
{
    if (shoal_queue_qsize(queue) + board->words[BY_VICTIM] > 0)
        return 0;
    return put_as_survivor();
}

/* Of those who want to put alone the first one may, and whoever finds him dead. */
static int unless_refused(int code)
{
    return code == -EPERM ? 0 : code;
}

static int put_alone_as_victim(void)
{
    return unless_refused(put_as_victim());
}

static int put_alone_if_missing(void)
{
    return unless_refused(put_if_missing());
}

/* Likewise: only if the victim has not made room. */
static int get_if_full(void)
{
    if (shoal_queue_qsize(queue) < CAPACITY || board->words[PUT])
        return 0;
    return get_one();
}

static void drain(void)
{
    while (shoal_queue_qsize(queue) > 0)
        STEP_CHECK(get(SHOAL_NOW) == 0);
    for (unsigned i = 0; i < BY_SURVIVOR; i++)
        STEP_CHECK(board->words[i] <= 1);
    STEP_CHECK(put(BY_SET_UP, SHOAL_NOW) == 0);
    STEP_CHECK(put(BY_SET_UP_2, SHOAL_NOW) == 0);
    STEP_CHECK(shoal_queue_full(queue));
}

static void check_survivors(void)
{
    STEP_CHECK(board->words[BY_SURVIVOR] >= board->words[PUT]);
    STEP_CHECK(board->words[BY_SURVIVOR] <= board->words[PUT] + (board->deaths > 1));
}

static void check_put(void)
{
    drain();
    STEP_CHECK(board->words[BY_VICTIM] == 1 || board->killed[ROLE_VICTIM]);
    check_survivors();
}

static void check_put_alone(void)
{
    drain();
    STEP_CHECK(board->words[BY_VICTIM] + board->words[PUT] >= 1 || board->killed[ROLE_VICTIM]);
    check_survivors();
}

/* One of the first two may have died with the victim, and one with the recoverer. The sleeper's is
 * told by whoever has it: also by the victim, if another survivor saw the queue full again and the
 * sleeper had not told yet that it has put. */
static void check_get(void)
{
    drain();
    STEP_CHECK(board->words[BY_SURVIVOR] == 1);
    STEP_CHECK(board->words[BY_SET_UP] + board->words[BY_SET_UP_2] + (unsigned)board->deaths >= 2);
}

static void check_get_wait(void)
{
    drain();
    STEP_CHECK(board->words[BY_SURVIVOR] <= 1);
    STEP_CHECK(board->words[BY_SURVIVOR] == 1 || board->killed[ROLE_VICTIM]);
}

static void check_put_wait(void)
{
    drain();
    STEP_CHECK(board->words[BY_SET_UP] == 1 && board->words[BY_SET_UP_2] == 1);
    STEP_CHECK(board->words[BY_VICTIM] == 1 || board->killed[ROLE_VICTIM]);
}

const struct scenario queue_scenarios[] = {
    { .name = "queue put with a sleeper",
      .set_up = set_up_empty,
      .actors = { [ROLE_VICTIM] = { step_attach, put_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, get_one, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, put_if_missing },
                  [ROLE_SURVIVOR_3] = { step_attach, put_if_missing } },
      .check = check_put },
    { .name = "single queue put with a sleeper",
      .set_up = set_up_single,
      .actors = { [ROLE_VICTIM] = { step_attach, put_alone_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, get_one, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, put_alone_if_missing },
                  [ROLE_SURVIVOR_3] = { step_attach, put_alone_if_missing } },
      .check = check_put_alone },
    { .name = "queue get with a sleeper",
      .set_up = set_up_full,
      .actors = { [ROLE_VICTIM] = { step_attach, get_one },
                  [ROLE_SURVIVOR] = { step_attach, put_as_survivor, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, get_if_full },
                  [ROLE_SURVIVOR_3] = { step_attach, get_if_full } },
      .check = check_get },
    { .name = "dense queue put with a sleeper",
      .set_up = set_up_dense,
      .actors = { [ROLE_VICTIM] = { step_attach, put_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, get_one, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, put_if_missing },
                  [ROLE_SURVIVOR_3] = { step_attach, put_if_missing } },
      .check = check_put },
    { .name = "dense queue get with a sleeper",
      .set_up = set_up_full_dense,
      .actors = { [ROLE_VICTIM] = { step_attach, get_one },
                  [ROLE_SURVIVOR] = { step_attach, put_as_survivor, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, get_if_full },
                  [ROLE_SURVIVOR_3] = { step_attach, get_if_full } },
      .check = check_get },
    { .name = "value put with a sleeper",
      .set_up = set_up_values,
      .actors = { [ROLE_VICTIM] = { attach_and_look, put_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, get_one, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, put_if_missing },
                  [ROLE_SURVIVOR_3] = { step_attach, put_if_missing } },
      .check = check_put },
    { .name = "value get with a sleeper",
      .set_up = set_up_full_values,
      .actors = { [ROLE_VICTIM] = { attach_and_look, get_one },
                  [ROLE_SURVIVOR] = { step_attach, put_as_survivor, TURN_BEFORE, .helped = true },
                  [ROLE_SURVIVOR_2] = { step_attach, get_if_full },
                  [ROLE_SURVIVOR_3] = { step_attach, get_if_full } },
      .check = check_get },
    { .name = "queue put wait",
      .set_up = set_up_full,
      .actors = { [ROLE_WAKER] = { step_attach, get_one },
                  [ROLE_VICTIM] = { step_attach, put_as_victim },
                  [ROLE_SURVIVOR] = { step_attach, step_bury } },
      .check = check_put_wait },
    { .name = "queue get wait",
      .set_up = set_up_empty,
      .actors = { [ROLE_WAKER] = { step_attach, put_as_survivor },
                  [ROLE_VICTIM] = { step_attach, get_one },
                  [ROLE_SURVIVOR] = { step_attach, step_bury } },
      .check = check_get_wait },
    { 0 },
};
