/* Pipes: a message or a descriptor is sent or not, and whoever dies or closes his end ends the
 * other one's wait. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../image.h"
#include "../scenarios.h"
#include "flow/pipe_shm.h"
#include "mem/object.h"
#include "mem/self.h"

enum { CAPACITY = 1, SIZE = 16 };

/* words[]: messages or descriptors that came to the receiver; descriptors that were sent. */
enum { CAME, SENT };

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

/* The number of a door, and its secret, are others in each play. */
static void set_up_doors(void)
{
    set_up();
    struct shl_segment *segment;
    struct object_shm *object = shl_object_find(second.ref, KIND_CONNECTION, &segment);
    const struct connection_shm *end = (struct connection_shm *)object;
    image_hide(shl_offset(segment, end) + offsetof(struct connection_shm, door), 16);
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

static int send_descriptor_and_close(void)
{
    const int code = shoal_connection_send_fd(first, STDERR_FILENO, step_deadline());
    board->words[SENT] += code == 0;
    return code == 0 || code == -EPIPE ? close_first() : code;
}

static bool is_what_was_sent(int fd)
{
    struct stat sent, come;
    return fstat(STDERR_FILENO, &sent) == 0 && fstat(fd, &come) == 0 &&
           sent.st_ino == come.st_ino && sent.st_dev == come.st_dev;
}

/* Until the other end is gone. */
static int receive_descriptors(void)
{
    int fd, code;
    while ((code = shoal_connection_recv_fd(second, &fd, step_deadline())) == 0) {
        STEP_CHECK(is_what_was_sent(fd));
        board->words[CAME]++;
        close(fd);
    }
    return code == -EPIPE ? 0 : code;
}

/* Killed once it was handed in, and not yet said to be: it has come, and was not sent. */
static void check_descriptors_sent(void)
{
    STEP_CHECK(board->words[CAME] <= 1 && board->words[SENT] <= board->words[CAME]);
    STEP_CHECK(board->words[CAME] == 1 || board->killed[ROLE_VICTIM]);
}

static void check_descriptors_received(void)
{
    STEP_CHECK(board->words[CAME] == board->words[SENT] || board->killed[ROLE_VICTIM]);
    STEP_CHECK(board->words[SENT] == 1 || board->killed[ROLE_VICTIM]);
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
    { .name = "descriptor sent to a receiver",
      .set_up = set_up_doors,
      .actors = { [ROLE_VICTIM] = { take_first, send_descriptor_and_close },
                  [ROLE_SURVIVOR] = { take_second, receive_descriptors, TURN_BEFORE },
                  [ROLE_SURVIVOR_2] = { step_attach, step_bury } },
      .check = check_descriptors_sent,
      .objects_end = true,
      .takes_long = true },
    { .name = "descriptor received from a sender",
      .set_up = set_up_doors,
      .actors = { [ROLE_WAKER] = { take_first, send_descriptor_and_close },
                  [ROLE_VICTIM] = { take_second, receive_descriptors },
                  [ROLE_SURVIVOR] = { step_attach, step_bury } },
      .check = check_descriptors_received,
      .objects_end = true,
      .takes_long = true },
    { 0 },
};
