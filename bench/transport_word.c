/* For latency, what cannot be less: a word in shared memory that is looked at, or slept on. */
#include "measure.h"
#include "near.h"
#include "transport.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct word {
    _Alignas(NEAR_LINE) _Atomic uint64_t message; /* the number after it: never as before */
    _Alignas(NEAR_LINE) _Atomic uint32_t turns;   /* of the one that is slept on */
};

static int open_word(struct channel *channel)
{
    void *memory = mmap(NULL, sizeof(struct word), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    channel->word = memory;
    return memory == MAP_FAILED ? -ENOMEM : 0;
}

static void close_word(struct channel *channel)
{
    munmap(channel->word, sizeof(struct word));
}

static int send_word(struct channel *channel, const void *message)
{
    atomic_store_explicit(&channel->word->message, *(const uint64_t *)message + 1,
                          memory_order_release);
    return 0;
}

static int poll_word(struct channel *channel, void *message)
{
    uint64_t got = atomic_load_explicit(&channel->word->message, memory_order_acquire);

    if (got == channel->seen)
        return 0;
    channel->seen = got;
    *(uint64_t *)message = got - 1;
    return 1;
}

static int receive_word(struct channel *channel, void *message)
{
    while (poll_word(channel, message) == 0)
        cpu_relax();
    return 0;
}

static int wake(struct channel *channel, const void *message)
{
    send_word(channel, message);
    atomic_fetch_add(&channel->word->turns, 1);
    syscall(SYS_futex, &channel->word->turns, FUTEX_WAKE, 1, NULL, NULL, 0);
    return 0;
}

static int sleep_for(struct channel *channel, void *message)
{
    uint32_t turns;

    while (turns = atomic_load(&channel->word->turns), poll_word(channel, message) == 0)
        syscall(SYS_futex, &channel->word->turns, FUTEX_WAIT, turns, NULL, NULL, 0);
    return 0;
}

const struct transport transport_word = { .name = "bare word",
                                          .open = open_word,
                                          .send = send_word,
                                          .recv = receive_word,
                                          .close = close_word,
                                          .poll = poll_word };
const struct transport transport_futex = {
    .name = "bare futex", .open = open_word, .send = wake, .recv = sleep_for, .close = close_word
};
