/* The mistakes that must be caught: the harness's own test. */
#include "../play.h"
#include "../scenarios.h"

const struct mistake mistakes[] = {
    { "lock.untold", "lock", LEVEL_KILL },
    { "semaphore.unsettled", "recovery", LEVEL_KILL },
    { "event.told_first", "event set with sleepers", LEVEL_KILL },
    { "condition.drop_grant", "condition wait", LEVEL_KILL },
    { "barrier.pending", "barrier wait of the last one", LEVEL_KILL },
    { "ring.commit_first", "dense queue put with a sleeper", LEVEL_KILL },
    { "values.commit_first", "value put with a sleeper", LEVEL_KILL },
    { "runs.again", "alloc and free", LEVEL_KILL },
    { "pages.settled", "new run", LEVEL_KILL },
    { "object.settled", "create and destroy", LEVEL_KILL },
    { "journal.settled", "queue put with a sleeper", LEVEL_KILL },
    { "peer.free_first", "recovery", LEVEL_KILL },
    { "pages.successor", "large block", LEVEL_STOP },
    { "park.tell", "cancel event set with sleepers", LEVEL_KILL },
    { "barrier.B3", "barrier with an action", LEVEL_KILL },
    { "joinable.pending", "joinable task done with a joiner", LEVEL_KILL },
    { "lease.taken", "joinable put with a sleeper", LEVEL_KILL },
    { "lease.put", "joinable put with a sleeper", LEVEL_KILL },
    { "pipe.life", "pipe receive with a sender", LEVEL_KILL },
    { "pipe.leave", "pipe send and close with a receiver", LEVEL_STOP },
    { "pipe.once", "descriptor received from a sender", LEVEL_STOP },
    { "park.creator", "creator destroys with sleepers", LEVEL_KILL },
    { "object.tied", "creator puts into his queue", LEVEL_KILL },
    { "chain.settle", "chain put that lengthens it", LEVEL_KILL },
    { "store.spare", "dense queue put that enlarges it", LEVEL_KILL },
    { 0 },
};
