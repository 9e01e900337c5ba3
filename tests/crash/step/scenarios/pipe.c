/* Pipes: a message is sent or not, and whoever dies or closes his end ends the other one's wait. */
#include <errno.h>
#include <string.h>

#include "../scenarios.h"
#include "flow/pipe_shm.h"
#include "mem/object.h"
#include "mem/self.h"

enum { CAPACITY = 1, SIZE = 16 };

/* words[]: messages that came to the survivor. */
enum { CAME };

static shoal_connection first, second;

static void set_up(void)
{
    const shoal_pipe_options options = { .capacity_count = CAPACITY };
    STEP_CHECK(shoal_pipe_create(&options, &first, &second) == 0);
}

static int send_one(shoal_connection end, shoal_deadline deadline)
{
    char message[SIZE] = "message";
    return shoal_connection_send_bytes(end, message, SIZE, deadline);
}

static void set_up_full(void)
{
    set_up();
    STEP_CHECK(send_one(first, SHOAL_NOW) == 0);
}

/* There are no process objects here, to which an end could be given. */
static int take_end(shoal_connection end)
{
    struct shl_segment *segment;
    struct object_shm *object = shl_object_find(end.ref, KIND_CONNECTION, &segment);
    struct shl_attachment *self = object ? shl_self(segment) : NULL;
    if (!self)
        return shl_error_code();
    atom_store_relaxed(&((struct connection_shm *)object)->holder, self->process_owner);
    return 0;
}

static int take_first(void)
{
    return take_end(first);
}

static int take_second(void)
{
    return take_end(second);
}

static int send_by_first(void)
{
    return send_one(first, step_deadline());
}

static int close_first(void)
{
    return shoal_connection_close(first);
}

/* Until the other end is gone. */
static int receive_by_second(void)
{
    void *payload;
    int code;
    while ((code = shoal_connection_recv(second, &payload, step_deadline())) == 0) {
        STEP_CHECK(strcmp(payload, "message") == 0 && shoal_size(payload) == SIZE);
        board->words[CAME]++;
        shoal_free(payload);
    }
    return code == -EPIPE ? 0 : code;
}

static int receive_one_by_second(void)
{
    void *payload;
    const int code = shoal_connection_recv(second, &payload, step_deadline());
    if (code == 0)
        shoal_free(payload);
    return code == -EPIPE ? 0 : code;
}

/* Room is made, or nobody is there any more. */
static int send_or_be_told(void)
{
    const int code = send_by_first();
    return code == -EPIPE ? 0 : code;
}

static int send_and_close(void)
{
    const int code = send_by_first();
    return code == 0 ? close_first() : code;
}

static void check(void)
{
    STEP_CHECK(board->words[CAME] <= 1);
    STEP_CHECK(board->words[CAME] == 1 || board->killed[ROLE_VICTIM]);
    STEP_CHECK(shoal_connection_close(first) != -EINVAL);
}

const struct scenario pipe_scenarios[] = {
    { .name = "pipe send and close with a receiver",
      .set_up = set_up,
      .actors = { [ROLE_VICTIM] = { take_first, send_and_close },
                  [ROLE_SURVIVOR] = { take_second, receive_by_second, TURN_BEFORE },
                  [ROLE_SURVIVOR_2] = { step_attach, step_bury } },
      .check = check,
      .objects_end = true,
      .takes_long = true },
    { .name = "pipe receive with a sender",
      .set_up = set_up_full,
      .actors = { [ROLE_VICTIM] = { take_second, receive_one_by_second },
                  [ROLE_SURVIVOR] = { take_first, send_or_be_told, TURN_BEFORE },
                  [ROLE_SURVIVOR_2] = { step_attach, step_bury } },
      .objects_end = true,
      .takes_long = true },
    { 0 },
};
