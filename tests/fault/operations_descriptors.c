/* Operations that hand descriptors over. */
#include "operations.h"

#include <unistd.h>

static struct {
    shoal_connection first, second;
} ends;
static bool sent; /* and not received yet: a failure is tried again from there */
static int received;

static void prepare_pipe(void)
{
    prepare_thread();
    CHILD_CHECK(shoal_pipe_create(NULL, &ends.first, &ends.second) == 0);
    sent = false;
}

static int hand_over(void)
{
    int code = sent ? 0 : shoal_connection_send_fd(ends.first, 0, harness_deadline());
    sent = sent || code == 0;
    if (code == 0)
        code = shoal_connection_recv_fd(ends.second, &received, harness_deadline());
    sent = sent && code < 0;
    return code;
}

static void close_received(void)
{
    close(received);
}

static void close_pipe(void)
{
    CHILD_CHECK(shoal_connection_close(ends.first) == 0);
    CHILD_CHECK(shoal_connection_close(ends.second) == 0);
}

static const struct operation descriptors[] = {
    { .name = "hand a descriptor over",
      .prepare = prepare_pipe,
      .run = hand_over,
      .undo = close_received,
      .finish = close_pipe },
};

const struct table descriptors_table = { descriptors, COUNT_OF(descriptors) };
