#include "os/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "os/chaos.h"

/* Without futex_waitv only one word can be watched; a change of the others is seen this late. */
#define FALLBACK_TICK_NS (20 * SHL_NS_PER_MS)

static const struct timespec *timeout_of(uint64_t deadline_ns, struct timespec *buffer)
{
    if (deadline_ns == UINT64_MAX)
        return NULL;
    *buffer = shl_clock_timespec(deadline_ns);
    return buffer;
}

static int wait_one(const struct shl_futex_watch *watch, uint64_t deadline_ns)
{
    struct timespec buffer;
    long result = syscall(SYS_futex, watch->word, FUTEX_WAIT_BITSET, watch->expected,
                          timeout_of(deadline_ns, &buffer), NULL, FUTEX_BITSET_MATCH_ANY);
    return result < 0 ? -errno : 0;
}

static int wait_many(const struct shl_futex_watch *watches, unsigned count, uint64_t deadline_ns)
{
    struct futex_waitv waiters[SHL_FUTEX_WATCHES_MAX];
    for (unsigned i = 0; i < count; i++)
        waiters[i] = (struct futex_waitv){ .val = watches[i].expected,
                                           .uaddr = (uintptr_t)watches[i].word,
                                           .flags = FUTEX_32 };
    struct timespec buffer;
    long result = syscall(SYS_futex_waitv, waiters, count, 0, timeout_of(deadline_ns, &buffer),
                          CLOCK_MONOTONIC);
    return result < 0 ? -errno : 0;
}

/* Kernels before 5.16 and old seccomp filters lack futex_waitv: watch the first word, and look
 * again every tick for what would have changed the others. */
static int wait_first(const struct shl_futex_watch *watches, unsigned count, uint64_t deadline_ns)
{
    for (unsigned i = 0; i < count; i++)
        if (atom_load_relaxed(watches[i].word) != watches[i].expected)
            return 0;
    uint64_t tick = SHL_MISTAKE("futex.no_tick") ? UINT64_MAX : shl_clock_ns() + FALLBACK_TICK_NS;
    int code = wait_one(&watches[0], tick < deadline_ns ? tick : deadline_ns);
    return code == -ETIMEDOUT && tick < deadline_ns ? 0 : code;
}

int shl_futex_wait(const struct shl_futex_watch *watches, unsigned count, uint64_t deadline_ns)
{
    CHECK(count > 0 && count <= SHL_FUTEX_WATCHES_MAX);
    int code = count == 1 ? wait_one(watches, deadline_ns) : wait_many(watches, count, deadline_ns);
    if (code == -ENOSYS || code == -EPERM)
        code = wait_first(watches, count, deadline_ns);
    switch (code) {
    case 0:       /* woken, or spuriously */
    case -EAGAIN: /* a word had changed already */
    case -EINTR:  /* a signal: its handler ran, the wait goes on */
    case -ENOMEM: /* the kernel had no memory to queue us: the caller's loop tries again */
        return 0;
    case -ETIMEDOUT:
        return code;
    }
    CHECK(code == 0); /* EFAULT, EINVAL: a word that is not mapped, our own mistake */
    return code;
}

void shl_futex_wake(atom32 *word, int count)
{
    /* Fails only for a word that is not mapped, or without memory: then the tick is the wake. */
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}
